package ottla.compatibility;

import static ottla.compatibility.AdminTour.ABSENT;
import static ottla.compatibility.AdminTour.TOPIC;

import java.util.List;
import java.util.Set;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Transactions: what is open, and ending it. */
final class AdminTourTransactions {
    private static final String ID = "tour-transaction";
    private static final TopicPartition TWO = new TopicPartition(TOPIC, 2);

    private final AdminTour tour;
    private final Admin admin;

    AdminTourTransactions(AdminTour tour) {
        this.tour = tour;
        this.admin = tour.admin;
    }

    void run() throws Exception {
        tour.answer("describeTransactions of none", () -> admin.describeTransactions(List.of(ABSENT)).all().get());
        tour.answer("listTransactions of none", () -> admin.listTransactions().all().get());
        try (var producer = open(ID)) {
            described();
            abort("of another producer", 987654, (short) 0, 0);
            tour.answer("abortTransaction", () -> {
                var open = admin.describeProducers(List.of(TWO)).partitionResult(TWO).get().activeProducers().get(0);
                var spec = new AbortTransactionSpec(
                        TWO, open.producerId(), (short) open.producerEpoch(), open.coordinatorEpoch().orElse(0));
                admin.abortTransaction(spec).all().get();
                return "then open " + admin.describeProducers(List.of(TWO)).partitionResult(TWO).get()
                        .activeProducers().get(0).currentTransactionStartOffset().isPresent();
            });
            tour.done("forceTerminateTransaction", () -> admin.forceTerminateTransaction(ID).result());
            tour.done("forceTerminateTransaction of none", () -> admin.forceTerminateTransaction(ABSENT).result());
        }
        try (var producer = open("tour-fenced")) {
            tour.done("fenceProducers", () -> admin.fenceProducers(List.of("tour-fenced")).all());
            tour.done("commitTransaction after that", () -> {
                producer.commitTransaction();
                throw new IllegalStateException("committed");
            });
        } catch (RuntimeException closed) {
            tour.answer("close after that", () -> AdminTour.error(closed));
        }
    }

    private KafkaProducer<byte[], byte[]> open(String id) throws Exception {
        var settings = tour.client.settings(
                "transactional.id", id,
                "key.serializer", ByteArraySerializer.class, "value.serializer", ByteArraySerializer.class);
        var producer = new KafkaProducer<byte[], byte[]>(settings);
        producer.initTransactions();
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(TOPIC, 2, null, new byte[1])).get();
        return producer;
    }

    private void described() {
        tour.answer("describeTransactions", () -> {
            var open = admin.describeTransactions(List.of(ID)).all().get().get(ID);
            return open.state() + " at " + open.coordinatorId() + " epoch " + open.producerEpoch() + ", timeout "
                    + open.transactionTimeoutMs() + ", began " + open.transactionStartTimeMs().isPresent()
                    + ", partitions " + AdminTour.text(open.topicPartitions());
        });
        list("", new ListTransactionsOptions());
        list(" in a state", new ListTransactionsOptions().filterStates(Set.of(TransactionState.PREPARE_COMMIT)));
        list(" of a producer", new ListTransactionsOptions().filterProducerIds(Set.of(987654L)));
        list(" that are old", new ListTransactionsOptions().filterOnDuration(3_600_000));
        list(" with names like", new ListTransactionsOptions().filterOnTransactionalIdPattern("tour.*"));
        list(" with a bad pattern", new ListTransactionsOptions().filterOnTransactionalIdPattern("["));
    }

    private void list(String what, ListTransactionsOptions options) {
        tour.answer("listTransactions" + what, () -> admin.listTransactions(options).all().get().stream()
                .map(open -> open.transactionalId() + " " + open.state()).sorted().toList());
    }

    private void abort(String what, long producerId, short epoch, int coordinatorEpoch) {
        tour.done("abortTransaction " + what, () -> admin.abortTransaction(
                new AbortTransactionSpec(TWO, producerId, epoch, coordinatorEpoch)).all());
    }
}
