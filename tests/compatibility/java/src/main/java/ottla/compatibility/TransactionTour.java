package ottla.compatibility;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** What a transactional producer and a reader of committed records can expect, step by step. */
final class TransactionTour {
    private final Client client;
    private final String topic;

    private TransactionTour(Client client) {
        this.client = client;
        this.topic = client.option("topic");
    }

    static void run(Client client) throws Exception {
        TransactionTour tour = new TransactionTour(client);
        tour.createTopics();
        tour.commitsAndAborts();
        tour.openTransactionsHoldReaders();
        tour.offsetsGoWithTheTransaction();
        tour.aNewInstanceFencesTheOld();
        tour.transactionsTimeOut();
        tour.administratorsSeeAndAbort();
    }

    /** Begins a transaction with one record, and holds it until the end of stdin. */
    static void hold(Client client) throws Exception {
        TransactionTour tour = new TransactionTour(client);
        try (var producer = tour.producer("held", 600_000)) {
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(tour.topic, 0, null, "held")).get();
            Lines.print("checked", "open");
            while (Lines.read() != null) {}
        }
    }

    private void createTopics() throws Exception {
        try (Admin admin = Admin.create(client.settings())) {
            List<NewTopic> topics = new ArrayList<>();
            for (String step : List.of("ends", "open", "offsets", "fence", "time", "admin")) {
                topics.add(new NewTopic(topic + "-" + step, 2, (short) 1));
            }
            admin.createTopics(topics).all().get();
        }
    }

    private KafkaProducer<String, String> producer(String step, int timeoutMs) {
        KafkaProducer<String, String> producer = new KafkaProducer<>(client.settings(
                "transactional.id", topic + "-" + step,
                "transaction.timeout.ms", timeoutMs,
                "key.serializer", StringSerializer.class,
                "value.serializer", StringSerializer.class));
        producer.initTransactions();
        return producer;
    }

    private ProducerRecord<String, String> record(String step, int partition, String value) {
        return new ProducerRecord<>(topic + "-" + step, partition, null, value);
    }

    /** The values that a reader of committed records sees, up to the last stable offset. */
    private List<String> committed(String step) {
        var settings = client.settings(
                "isolation.level", "read_committed",
                "key.deserializer", StringDeserializer.class,
                "value.deserializer", StringDeserializer.class);
        List<String> values = new ArrayList<>();
        try (var consumer = new KafkaConsumer<String, String>(settings)) {
            List<TopicPartition> partitions = List.of(
                    new TopicPartition(topic + "-" + step, 0), new TopicPartition(topic + "-" + step, 1));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    values.add(record.value());
                }
            }
        }
        values.sort(null);
        return values;
    }

    private void expect(Object expected, Object found) {
        if (!expected.equals(found)) {
            throw new AssertionError("expected " + expected + ", found " + found);
        }
    }

    private void commitsAndAborts() throws Exception {
        try (var producer = producer("ends", 60_000)) {
            for (int round = 0; round < 6; round++) {
                producer.beginTransaction();
                producer.send(record("ends", 0, "a" + round));
                producer.send(record("ends", 1, "b" + round));
                producer.flush();
                if (round % 2 == 0) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
            producer.beginTransaction();
            producer.abortTransaction();
            producer.beginTransaction();
            producer.commitTransaction();
        }
        expect(List.of("a0", "a2", "a4", "b0", "b2", "b4"), committed("ends"));
        Lines.print("checked", "commitsAndAborts");
    }

    private void openTransactionsHoldReaders() throws Exception {
        TopicPartition partition = new TopicPartition(topic + "-open", 0);
        try (var producer = producer("open", 60_000);
                Admin admin = Admin.create(client.settings())) {
            producer.beginTransaction();
            producer.send(record("open", 0, "held")).get();
            expect(List.of(), committed("open"));
            var stable = new ListOffsetsOptions(IsolationLevel.READ_COMMITTED);
            var latest = Map.of(partition, OffsetSpec.latest());
            expect(0L, admin.listOffsets(latest, stable).partitionResult(partition).get().offset());
            expect(1L, admin.listOffsets(latest).partitionResult(partition).get().offset());
            producer.commitTransaction();
            expect(List.of("held"), committed("open"));
            expect(2L, admin.listOffsets(latest, stable).partitionResult(partition).get().offset());
        }
        Lines.print("checked", "openTransactionsHoldReaders");
    }

    private void offsetsGoWithTheTransaction() throws Exception {
        String group = topic + "-group";
        TopicPartition partition = new TopicPartition(topic + "-ends", 0);
        try (var producer = producer("offsets", 60_000);
                Admin admin = Admin.create(client.settings())) {
            for (boolean commit : List.of(false, true)) {
                producer.beginTransaction();
                producer.send(record("offsets", 0, "with offsets " + commit));
                var offsets = Map.of(partition, new OffsetAndMetadata(commit ? 7 : 3));
                producer.sendOffsetsToTransaction(offsets, metadata(group));
                expect(Optional.empty(), offset(admin, group, partition));
                if (commit) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
            expect(Optional.of(7L), offset(admin, group, partition));
        }
        expect(List.of("with offsets true"), committed("offsets"));
        Lines.print("checked", "offsetsGoWithTheTransaction");
    }

    /** A group without members, as a producer that assigns its partitions itself has it. */
    @SuppressWarnings("removal")
    private static ConsumerGroupMetadata metadata(String group) {
        return new ConsumerGroupMetadata(group);
    }

    private Optional<Long> offset(Admin admin, String group, TopicPartition partition) throws Exception {
        var offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        return Optional.ofNullable(offsets.get(partition)).map(OffsetAndMetadata::offset);
    }

    private void aNewInstanceFencesTheOld() throws Exception {
        try (var old = producer("fence", 60_000)) {
            old.beginTransaction();
            old.send(record("fence", 0, "of the old")).get();
            try (var young = producer("fence", 60_000)) {
                expectFenced(old);
                young.beginTransaction();
                young.send(record("fence", 0, "of the young"));
                young.commitTransaction();
            }
        }
        expect(List.of("of the young"), committed("fence"));
        Lines.print("checked", "aNewInstanceFencesTheOld");
    }

    private void expectFenced(KafkaProducer<String, String> producer) {
        try {
            producer.send(record("fence", 0, "too late"));
            producer.commitTransaction();
        } catch (KafkaException expected) {
            return;
        }
        throw new AssertionError("the producer was not fenced");
    }

    private void transactionsTimeOut() throws Exception {
        try (var slow = producer("time", 1_000)) {
            slow.beginTransaction();
            slow.send(record("time", 0, "too slow")).get();
            TopicPartition partition = new TopicPartition(topic + "-time", 0);
            try (Admin admin = Admin.create(client.settings())) {
                var stable = new ListOffsetsOptions(IsolationLevel.READ_COMMITTED);
                var latest = Map.of(partition, OffsetSpec.latest());
                while (admin.listOffsets(latest, stable).partitionResult(partition).get().offset() == 0) {
                    Thread.sleep(50);
                }
            }
            expectFenced(slow);
        }
        expect(List.of(), committed("time"));
        Lines.print("checked", "transactionsTimeOut");
    }

    private void administratorsSeeAndAbort() throws Exception {
        String id = topic + "-admin";
        TopicPartition partition = new TopicPartition(topic + "-admin", 1);
        try (var producer = producer("admin", 60_000);
                Admin admin = Admin.create(client.settings())) {
            producer.beginTransaction();
            producer.send(record("admin", 1, "seen")).get();
            var described = admin.describeTransactions(List.of(id)).description(id).get();
            expect(TransactionState.ONGOING, described.state());
            expect(java.util.Set.of(partition), described.topicPartitions());
            var filter = new ListTransactionsOptions().filterStates(List.of(TransactionState.ONGOING));
            var listed = admin.listTransactions(filter).all().get().stream()
                    .map(TransactionListing::transactionalId)
                    .filter(id::equals)
                    .toList();
            expect(List.of(id), listed);
            ProducerState state = admin.describeProducers(List.of(partition))
                    .partitionResult(partition).get().activeProducers().get(0);
            expect(described.producerId(), state.producerId());
            expect(0L, state.currentTransactionStartOffset().getAsLong());
            var spec = new AbortTransactionSpec(
                    partition, state.producerId(), (short) (state.producerEpoch() + 1), 0);
            try {
                admin.abortTransaction(spec).all().get();
            } catch (ExecutionException error) {
                throw new AssertionError("the administrator could not abort", error);
            }
            expect(List.of(), committed("admin"));
        }
        Lines.print("checked", "administratorsSeeAndAbort");
    }
}
