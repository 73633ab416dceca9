package ottla.compatibility;

import static ottla.compatibility.AdminTour.ABSENT;
import static ottla.compatibility.AdminTour.TOPIC;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeClassicGroupsOptions;
import org.apache.kafka.clients.admin.DescribeConsumerGroupsOptions;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListStreamsGroupOffsetsSpec;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Groups, their members and their offsets. */
final class AdminTourGroups {
    private static final String IDLE = "tour-idle";
    private static final String BUSY = "tour-busy";
    private static final TopicPartition ZERO = new TopicPartition(TOPIC, 0);
    private static final TopicPartition ONE = new TopicPartition(TOPIC, 1);

    private final AdminTour tour;
    private final Admin admin;

    AdminTourGroups(AdminTour tour) {
        this.tour = tour;
        this.admin = tour.admin;
    }

    void run() {
        offsets();
        var settings = tour.client.settings(
                "group.id", BUSY, "group.instance.id", "static",
                "key.deserializer", ByteArrayDeserializer.class, "value.deserializer", ByteArrayDeserializer.class);
        try (var consumer = new KafkaConsumer<byte[], byte[]>(settings)) {
            consumer.subscribe(List.of(TOPIC));
            while (consumer.assignment().isEmpty()) {
                consumer.poll(Duration.ofMillis(100));
            }
            consumer.commitSync(Map.of(ZERO, new OffsetAndMetadata(2)));
            descriptions();
            ofMembers();
        }
        deletion();
        otherTypes();
    }

    private void offsets() {
        var offsets = Map.of(ZERO, new OffsetAndMetadata(2, "a note"), ONE, new OffsetAndMetadata(0));
        alter("", IDLE, offsets);
        alter(" of no topic", IDLE, Map.of(new TopicPartition(ABSENT, 0), new OffsetAndMetadata(2)));
        alter(" with a long note", IDLE, Map.of(ZERO, new OffsetAndMetadata(2, "n".repeat(5000))));
        tour.answer("listConsumerGroupOffsets", () -> committed(IDLE));
        tour.answer("listConsumerGroupOffsets of no group", () -> committed(ABSENT));
        tour.answer("listConsumerGroupOffsets of partitions", () -> {
            var spec = new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(ZERO, new TopicPartition(ABSENT, 0)));
            return admin.listConsumerGroupOffsets(Map.of(IDLE, spec)).partitionsToOffsetAndMetadata(IDLE).get();
        });
        forget("", IDLE, ONE);
        forget(" of no topic", IDLE, new TopicPartition(ABSENT, 0));
        forget(" of no group", ABSENT, ONE);
        tour.answer("listConsumerGroupOffsets after deletion", () -> committed(IDLE).keySet());
    }

    private void alter(String what, String group, Map<TopicPartition, OffsetAndMetadata> offsets) {
        tour.done("alterConsumerGroupOffsets" + what, () -> admin.alterConsumerGroupOffsets(group, offsets).all());
    }

    private void forget(String what, String group, TopicPartition partition) {
        tour.done("deleteConsumerGroupOffsets" + what,
                () -> admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all());
    }

    private Map<TopicPartition, OffsetAndMetadata> committed(String group) throws Exception {
        return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
    }

    @SuppressWarnings("removal")
    private void descriptions() {
        tour.answer("listGroups", () -> listed(new ListGroupsOptions()));
        tour.answer("listGroups for consumers", () -> listed(ListGroupsOptions.forConsumerGroups()));
        tour.answer("listGroups in a state",
                () -> listed(new ListGroupsOptions().inGroupStates(Set.of(GroupState.STABLE))));
        tour.answer("listGroups of a type",
                () -> listed(new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER))));
        tour.answer("listGroups of a protocol",
                () -> listed(new ListGroupsOptions().withProtocolTypes(Set.of("consumer"))));
        tour.answer("listConsumerGroups", () -> admin.listConsumerGroups().all().get().stream()
                .map(group -> group.groupId() + " " + group.groupState().get()).sorted().toList());
        tour.answer("describeConsumerGroups", () -> {
            var options = new DescribeConsumerGroupsOptions().includeAuthorizedOperations(true);
            var group = admin.describeConsumerGroups(List.of(BUSY), options).all().get().get(BUSY);
            var member = group.members().iterator().next();
            return group.groupState() + " " + group.type() + ", assignor " + group.partitionAssignor()
                    + ", coordinator " + group.coordinator().id() + ", simple " + group.isSimpleConsumerGroup()
                    + ", epochs " + group.groupEpoch() + " " + group.targetAssignmentEpoch()
                    + ", operations " + AdminTour.text(group.authorizedOperations())
                    + ", member " + member.groupInstanceId() + " at " + member.host()
                    + " with " + AdminTour.text(member.assignment().topicPartitions())
                    + ", upgraded " + member.upgraded();
        });
        tour.answer("describeConsumerGroups of an idle one", () -> {
            var group = admin.describeConsumerGroups(List.of(IDLE)).all().get().get(IDLE);
            return group.groupState() + " " + group.type() + ", members " + group.members().size()
                    + ", simple " + group.isSimpleConsumerGroup() + ", assignor '" + group.partitionAssignor() + "'";
        });
        tour.answer("describeConsumerGroups of none", () -> admin.describeConsumerGroups(List.of(ABSENT)).all().get());
        tour.answer("describeClassicGroups", () -> {
            var options = new DescribeClassicGroupsOptions().includeAuthorizedOperations(true);
            var group = admin.describeClassicGroups(List.of(BUSY), options).all().get().get(BUSY);
            return group.state() + " " + group.protocol() + " " + group.protocolData()
                    + ", members " + group.members().size();
        });
        tour.answer("describeClassicGroups of none", () -> admin.describeClassicGroups(List.of(ABSENT)).all().get());
    }

    private String listed(ListGroupsOptions options) throws Exception {
        return admin.listGroups(options).all().get().stream().map(AdminTourGroups::listing).sorted().toList().toString();
    }

    private static String listing(GroupListing group) {
        return group.groupId() + " " + group.type().get() + " '" + group.protocol() + "' " + group.groupState().get();
    }

    private void ofMembers() {
        alter(" of a busy group", BUSY, Map.of(ZERO, new OffsetAndMetadata(1)));
        forget(" of a subscribed topic", BUSY, ZERO);
        tour.done("deleteConsumerGroups of a busy group", () -> admin.deleteConsumerGroups(List.of(BUSY)).all());
        var absent = new RemoveMembersFromConsumerGroupOptions(Set.of(new MemberToRemove("nobody")));
        tour.done("removeMembersFromConsumerGroup of nobody",
                () -> admin.removeMembersFromConsumerGroup(BUSY, absent).all());
        var one = new RemoveMembersFromConsumerGroupOptions(Set.of(new MemberToRemove("static")));
        tour.done("removeMembersFromConsumerGroup", () -> admin.removeMembersFromConsumerGroup(BUSY, one).all());
        tour.answer("describeConsumerGroups without members", () -> admin.describeConsumerGroups(List.of(BUSY))
                .all().get().get(BUSY).groupState());
    }

    private void deletion() {
        tour.answer("deleteConsumerGroups", () -> AdminTour.each(
                admin.deleteConsumerGroups(List.of(IDLE, BUSY, ABSENT)).deletedGroups()));
        alter(" without a group", "", Map.of(ZERO, new OffsetAndMetadata(2)));
    }

    private void otherTypes() {
        tour.answer("describeShareGroups", () -> AdminTour.each(admin.describeShareGroups(List.of(ABSENT)).describedGroups()));
        tour.answer("listShareGroupOffsets", () -> admin.listShareGroupOffsets(
                Map.of(ABSENT, new ListShareGroupOffsetsSpec())).partitionsToOffsetInfo(ABSENT).get());
        tour.done("alterShareGroupOffsets", () -> admin.alterShareGroupOffsets(ABSENT, Map.of(ZERO, 1L)).all());
        tour.done("deleteShareGroupOffsets", () -> admin.deleteShareGroupOffsets(ABSENT, Set.of(TOPIC)).all());
        tour.answer("deleteShareGroups", () -> AdminTour.each(admin.deleteShareGroups(List.of(ABSENT)).deletedGroups()));
        tour.answer("describeStreamsGroups", () -> AdminTour.each(admin.describeStreamsGroups(List.of(ABSENT)).describedGroups()));
        tour.answer("listStreamsGroupOffsets", () -> admin.listStreamsGroupOffsets(
                Map.of(ABSENT, new ListStreamsGroupOffsetsSpec())).partitionsToOffsetAndMetadata(ABSENT).get());
        tour.done("alterStreamsGroupOffsets", () -> admin.alterStreamsGroupOffsets(
                "tour-streams", Map.of(ZERO, new OffsetAndMetadata(1))).all());
        tour.done("deleteStreamsGroupOffsets", () -> admin.deleteStreamsGroupOffsets("tour-streams", Set.of(ZERO)).all());
        tour.answer("deleteStreamsGroups", () -> AdminTour.each(
                admin.deleteStreamsGroups(List.of("tour-streams", ABSENT)).deletedGroups()));
    }
}
