package ottla.compatibility;

import static ottla.compatibility.AdminTour.ABSENT;
import static ottla.compatibility.AdminTour.TOPIC;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Offsets, deleted records, directories of logs and producers. */
final class AdminTourRecords {
    private static final TopicPartition ZERO = new TopicPartition(TOPIC, 0);

    private final AdminTour tour;
    private final Admin admin;
    private final long now = System.currentTimeMillis();

    AdminTourRecords(AdminTour tour) {
        this.tour = tour;
        this.admin = tour.admin;
    }

    void run() throws Exception {
        produce();
        offsets();
        deletion();
        directories();
    }

    private void produce() throws Exception {
        var settings = tour.client.settings(
                "key.serializer", ByteArraySerializer.class, "value.serializer", ByteArraySerializer.class);
        try (var producer = new KafkaProducer<byte[], byte[]>(settings)) {
            for (long timestamp : List.of(now, now + 2_000, now + 1_000)) {
                producer.send(new ProducerRecord<>(TOPIC, 0, timestamp, null, new byte[1])).get();
            }
        }
        tour.answer("describeProducers", () -> {
            var producers = admin.describeProducers(List.of(ZERO)).partitionResult(ZERO).get().activeProducers();
            var producer = producers.get(0);
            return producers.size() + " with epoch " + producer.producerEpoch() + ", sequence "
                    + producer.lastSequence() + ", coordinator epoch " + producer.coordinatorEpoch()
                    + ", transaction " + producer.currentTransactionStartOffset();
        });
    }

    private void offsets() {
        offset("earliest", OffsetSpec.earliest());
        offset("latest", OffsetSpec.latest());
        offset("of the greatest timestamp", OffsetSpec.maxTimestamp());
        offset("at a time", OffsetSpec.forTimestamp(now + 500));
        offset("after all", OffsetSpec.forTimestamp(now + 5_000));
        offset("earliest local", OffsetSpec.earliestLocal());
        offset("latest tiered", OffsetSpec.latestTiered());
        offset("earliest pending upload", OffsetSpec.earliestPendingUpload());
        tour.answer("listOffsets committed", () -> admin.listOffsets(
                Map.of(ZERO, OffsetSpec.latest()), new ListOffsetsOptions(IsolationLevel.READ_COMMITTED))
                .partitionResult(ZERO).get().offset());
    }

    private void offset(String what, OffsetSpec spec) {
        tour.answer("listOffsets " + what, () -> {
            var found = admin.listOffsets(Map.of(ZERO, spec)).partitionResult(ZERO).get();
            return found.offset() + ", time is there " + (found.timestamp() >= 0) + ", epoch is there "
                    + found.leaderEpoch().isPresent();
        });
    }

    private void deletion() {
        delete("below 2", ZERO, 2);
        delete("below what is gone", ZERO, 1);
        delete("beyond the end", ZERO, 9);
        delete("of all", new TopicPartition(TOPIC, 1), -1);
        delete("below less than nothing", ZERO, -7);
        offset("earliest after deletion", OffsetSpec.earliest());
    }

    private void delete(String what, TopicPartition partition, long offset) {
        tour.answer("deleteRecords " + what, () -> "starts at " + admin
                .deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(offset)))
                .lowWatermarks().get(partition).get().lowWatermark());
    }

    private void directories() {
        tour.answer("describeLogDirs", () -> {
            var dirs = admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).values();
            var dir = dirs.iterator().next();
            var sizes = new TreeMap<String, String>();
            dir.replicaInfos().forEach((partition, info) -> {
                if (partition.topic().equals(TOPIC)) {
                    sizes.put(partition.toString(), (info.size() > 0 ? "some" : "no") + " bytes, lag "
                            + info.offsetLag() + (info.isFuture() ? ", future" : ""));
                }
            });
            return dirs.size() + " directory, error " + dir.error() + ", " + sizes
                    + ", total is there " + dir.totalBytes().isPresent()
                    + ", usable is there " + dir.usableBytes().isPresent() + ", cordoned " + dir.isCordoned();
        });
        var replica = new TopicPartitionReplica(TOPIC, 0, 1);
        tour.answer("describeReplicaLogDirs", () -> {
            var info = admin.describeReplicaLogDirs(List.of(replica)).all().get().get(replica);
            return "current is there " + (info.getCurrentReplicaLogDir() != null)
                    + ", lag " + info.getCurrentReplicaOffsetLag() + ", future " + info.getFutureReplicaLogDir();
        });
        tour.answer("describeReplicaLogDirs of no replica", () -> {
            var absent = new TopicPartitionReplica(ABSENT, 0, 1);
            var info = admin.describeReplicaLogDirs(List.of(absent)).all().get().get(absent);
            return info.getCurrentReplicaLogDir() + ", lag " + info.getCurrentReplicaOffsetLag();
        });
        move("to no directory", replica, "/no/such/directory");
        move("to a relative directory", replica, "here");
        move("of no partition", new TopicPartitionReplica(ABSENT, 0, 1), "/no/such/directory");
        tour.answer("alterReplicaLogDirs to where it is", () -> {
            var here = admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).keySet().iterator().next();
            return AdminTour.each(admin.alterReplicaLogDirs(Map.of(replica, here)).values());
        });
        tour.answer("alterReplicaLogDirs of no partition to where it would be", () -> {
            var here = admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).keySet().iterator().next();
            var absent = new TopicPartitionReplica(ABSENT, 0, 1);
            return AdminTour.each(admin.alterReplicaLogDirs(Map.of(absent, here)).values());
        });
    }

    private void move(String what, TopicPartitionReplica replica, String to) {
        tour.answer("alterReplicaLogDirs " + what,
                () -> AdminTour.each(admin.alterReplicaLogDirs(Map.of(replica, to)).values()));
    }
}
