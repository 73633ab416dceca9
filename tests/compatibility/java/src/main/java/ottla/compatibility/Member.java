package ottla.compatibility;

import java.time.Duration;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A member of a group. A line on stdin commits, the end of stdin leaves. */
final class Member {
    private static final String END = "end of input";

    private Member() {}

    static void run(Client client) {
        var settings = client.settings(
                "group.id", client.option("group"),
                "auto.offset.reset", "earliest",
                "enable.auto.commit", false,
                "reconnect.backoff.max.ms", 500,
                "key.deserializer", ByteArrayDeserializer.class,
                "value.deserializer", ByteArrayDeserializer.class);
        boolean assignedByBroker = "consumer".equals(settings.get("group.protocol"));
        if (!assignedByBroker) {
            settings.put("heartbeat.interval.ms", 500);
        }
        var commands = new LinkedBlockingQueue<String>();
        var reader = new Thread(() -> read(commands));
        reader.setDaemon(true);
        reader.start();
        try (var consumer = new KafkaConsumer<byte[], byte[]>(settings)) {
            var listener = new Listener(consumer, assignedByBroker);
            if (assignedByBroker && client.option("topic").contains("*")) {
                consumer.subscribe(new SubscriptionPattern(client.option("topic")), listener);
            } else {
                consumer.subscribe(List.of(client.option("topic")), listener);
            }
            for (String command = null; !END.equals(command); command = commands.poll()) {
                if (command != null) {
                    consumer.commitSync();
                    Lines.print("committed", true);
                }
                consumer.poll(Duration.ofMillis(100)).forEach(Lines::printRecord);
            }
        }
    }

    private static void read(LinkedBlockingQueue<String> commands) {
        try {
            for (String line = Lines.read(); line != null; line = Lines.read()) {
                commands.add(line);
            }
        } catch (java.io.IOException error) {
            error.printStackTrace();
        }
        commands.add(END);
    }

    /** Commits what is given back and prints what is held. */
    private record Listener(KafkaConsumer<?, ?> consumer, boolean keepsTheRest)
            implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
            consumer.commitSync();
            Lines.print("revoked", numbers(revoked));
            if (keepsTheRest) {
                var rest = new HashSet<>(consumer.assignment());
                rest.removeAll(revoked);
                Lines.print("assignment", numbers(rest));
            }
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> lost) {
            Lines.print("revoked", numbers(lost));
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> added) {
            Lines.print("assignment", numbers(consumer.assignment()));
        }

        private static List<Integer> numbers(Collection<TopicPartition> partitions) {
            return partitions.stream().map(TopicPartition::partition).sorted().toList();
        }
    }
}
