package ottla.compatibility;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.common.KafkaFuture;

/**
 * Every call of the admin client, valid and invalid, on a broker that was just started; prints what each call answers
 * as a line of text, without what differs from run to run.
 */
final class AdminTour {
    static final String TOPIC = "tour";
    static final String ABSENT = "absent";

    final Client client;
    final Admin admin;

    private AdminTour(Client client, Admin admin) {
        this.client = client;
        this.admin = admin;
    }

    static void run(Client client) throws Exception {
        var settings = client.settings(AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, 30_000);
        try (Admin admin = Admin.create(settings)) {
            AdminTour tour = new AdminTour(client, admin);
            new AdminTourCluster(tour).run();
            new AdminTourTopics(tour).run();
            new AdminTourConfigs(tour).run();
            new AdminTourRecords(tour).run();
            new AdminTourGroups(tour).run();
            new AdminTourTransactions(tour).run();
            new AdminTourSecurity(tour).run();
            new AdminTourTopics(tour).delete();
        }
    }

    /** Waits where a broker answers from a copy that lags behind: {@code --pause} milliseconds. */
    void settle() {
        try {
            Thread.sleep(client.number("pause", 0));
        } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
        }
    }

    /** Prints what a call answers: what it returns, or the class of its error. */
    void answer(String call, Callable<?> made) {
        String answer;
        try {
            answer = text(made.call());
        } catch (ExecutionException | CompletionException failure) {
            answer = error(failure.getCause());
        } catch (Exception failure) {
            answer = error(failure);
        }
        System.out.println(call + ": " + answer);
    }

    /** Prints what a call answers that returns nothing. */
    void done(String call, Callable<KafkaFuture<?>> made) {
        answer(call, () -> {
            made.call().get();
            return "done";
        });
    }

    static String error(Throwable failure) {
        return failure.getClass().getSimpleName();
    }

    /** What a future holds for each key, sorted. */
    static String each(Map<?, ? extends KafkaFuture<?>> futures) {
        Map<String, String> answers = new TreeMap<>();
        futures.forEach((key, future) -> {
            try {
                Object value = future.get();
                answers.put(text(key), value == null ? "done" : text(value));
            } catch (ExecutionException failure) {
                answers.put(text(key), error(failure.getCause()));
            } catch (InterruptedException interrupted) {
                throw new IllegalStateException(interrupted);
            }
        });
        return answers.toString();
    }

    /** A text that is the same for equal values: what has no order is sorted. */
    static String text(Object value) {
        if (value instanceof Map<?, ?> map) {
            return map.entrySet().stream()
                    .map(entry -> text(entry.getKey()) + "=" + text(entry.getValue()))
                    .sorted()
                    .collect(Collectors.joining(", ", "{", "}"));
        }
        if (value instanceof List<?> list) {
            return list.stream().map(AdminTour::text).collect(Collectors.joining(", ", "[", "]"));
        }
        if (value instanceof Iterable<?> all) {
            List<String> texts = new ArrayList<>();
            all.forEach(one -> texts.add(text(one)));
            texts.sort(Comparator.naturalOrder());
            return String.join(", ", texts);
        }
        return String.valueOf(value);
    }
}
