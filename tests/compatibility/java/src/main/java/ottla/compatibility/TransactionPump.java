package ottla.compatibility;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Copies a topic to another one, each record once, whatever happens to the broker: consume, transform, produce, with
 * the offsets in the transaction. Prints the number of records of each transaction that it knows to be committed.
 */
final class TransactionPump {
    private TransactionPump() {}

    static void run(Client client) throws Exception {
        while (true) {
            try {
                pump(client);
            } catch (KafkaException error) {
                // A new instance goes on at the committed offset.
                System.err.println("again after " + error);
            }
        }
    }

    private static void pump(Client client) {
        var reading = client.settings(
                "group.id", client.option("group"),
                "isolation.level", "read_committed",
                "enable.auto.commit", "false",
                "auto.offset.reset", "earliest",
                "max.poll.records", 20,
                "reconnect.backoff.max.ms", 200,
                "session.timeout.ms", 6_000,
                "heartbeat.interval.ms", 500,
                "key.deserializer", ByteArrayDeserializer.class,
                "value.deserializer", ByteArrayDeserializer.class);
        var writing = client.settings(
                "transactional.id", client.option("group"),
                "reconnect.backoff.max.ms", 200,
                "key.serializer", ByteArraySerializer.class,
                "value.serializer", ByteArraySerializer.class);
        try (var consumer = new KafkaConsumer<byte[], byte[]>(reading);
                var producer = new KafkaProducer<byte[], byte[]>(writing)) {
            producer.initTransactions();
            consumer.subscribe(List.of(client.option("topic")));
            for (int round = 0; ; round++) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(200));
                if (!records.isEmpty()) {
                    // Every fifth transaction is given up once, and its records come again.
                    boolean commit = round % 5 != 4;
                    copy(client, consumer, producer, records, commit);
                }
            }
        }
    }

    private static void copy(
            Client client,
            KafkaConsumer<byte[], byte[]> consumer,
            KafkaProducer<byte[], byte[]> producer,
            ConsumerRecords<byte[], byte[]> records,
            boolean commit) {
        producer.beginTransaction();
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            producer.send(new ProducerRecord<>(client.option("to"), record.key(), record.value()));
            TopicPartition partition = new TopicPartition(record.topic(), record.partition());
            next.put(partition, new OffsetAndMetadata(record.offset() + 1));
        }
        producer.sendOffsetsToTransaction(next, consumer.groupMetadata());
        if (commit) {
            producer.commitTransaction();
            Lines.print("checked", Integer.toString(records.count()));
            return;
        }
        producer.abortTransaction();
        for (TopicPartition partition : records.partitions()) {
            consumer.seek(partition, records.records(partition).get(0).offset());
        }
    }
}
