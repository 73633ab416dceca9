package ottla.compatibility;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;

/** The scenarios of the Java client: {@code Client <scenario> --bootstrap host:port [--name value ...]}. */
public final class Client {
    private final Map<String, String> options = new HashMap<>();
    private final Properties settings = new Properties();

    private Client(String[] arguments) {
        for (int i = 1; i < arguments.length; i += 2) {
            if (arguments[i].equals("--set")) {
                String[] setting = arguments[i + 1].split("=", 2);
                settings.put(setting[0], setting[1]);
            } else {
                options.put(arguments[i].substring(2), arguments[i + 1]);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        Client client = new Client(arguments);
        switch (arguments[0]) {
            case "create-topic" -> client.createTopic();
            case "produce" -> Produce.run(client);
            case "consume" -> Consume.run(client);
            case "group" -> Member.run(client);
            case "offsets" -> Lookup.offsets(client);
            case "groups" -> Lookup.groups(client);
            case "admin" -> AdminTour.run(client);
            case "transactions" -> TransactionTour.run(client);
            case "hold-transaction" -> TransactionTour.hold(client);
            case "word-count" -> WordCount.run(client);
            case "pump" -> TransactionPump.run(client);
            default -> throw new IllegalArgumentException("no scenario " + arguments[0]);
        }
    }

    /** The value of {@code --name}. */
    String option(String name) {
        String value = options.get(name);
        if (value == null) {
            throw new IllegalArgumentException("--" + name + " is missing");
        }
        return value;
    }

    /** The value of {@code --name}, or another if it is not given. */
    int number(String name, int otherwise) {
        return options.containsKey(name) ? Integer.parseInt(options.get(name)) : otherwise;
    }

    /** The settings of any client: the address, these pairs, and then each {@code --set key=value}. */
    Properties settings(Object... pairs) {
        Properties all = new Properties();
        all.put("bootstrap.servers", option("bootstrap"));
        for (int i = 0; i < pairs.length; i += 2) {
            all.put(pairs[i], pairs[i + 1]);
        }
        all.putAll(settings);
        return all;
    }

    private void createTopic() throws Exception {
        try (Admin admin = Admin.create(settings())) {
            int partitions = Integer.parseInt(option("partitions"));
            NewTopic topic = new NewTopic(option("topic"), partitions, (short) 1);
            admin.createTopics(List.of(topic)).all().get();
        }
    }
}
