package ottla.compatibility;

import java.time.Duration;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads all partitions from the start, without a group, until {@code --count} records came. */
final class Consume {
    private Consume() {}

    static void run(Client client) {
        var settings = client.settings(
                "key.deserializer", ByteArrayDeserializer.class,
                "value.deserializer", ByteArrayDeserializer.class);
        try (var consumer = new KafkaConsumer<byte[], byte[]>(settings)) {
            var partitions = consumer.partitionsFor(client.option("topic")).stream()
                    .map(info -> new TopicPartition(info.topic(), info.partition()))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            int missing = Integer.parseInt(client.option("count"));
            while (missing > 0) {
                var records = consumer.poll(Duration.ofSeconds(1));
                records.forEach(Lines::printRecord);
                missing -= records.count();
            }
        }
    }
}
