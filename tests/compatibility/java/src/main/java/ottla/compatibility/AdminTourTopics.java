package ottla.compatibility;

import static ottla.compatibility.AdminTour.ABSENT;
import static ottla.compatibility.AdminTour.TOPIC;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterPartitionReassignmentsOptions;
import org.apache.kafka.clients.admin.CreatePartitionsOptions;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;

/** Topics, partitions, their leaders and replicas. */
final class AdminTourTopics {
    private final AdminTour tour;
    private final Admin admin;

    AdminTourTopics(AdminTour tour) {
        this.tour = tour;
        this.admin = tour.admin;
    }

    void run() {
        creation();
        descriptions();
        partitions();
        elections();
        reassignments();
    }

    private void creation() {
        tour.answer("createTopics", () -> {
            var wanted = new NewTopic(TOPIC, 2, (short) 1).configs(Map.of("retention.ms", "86400000"));
            var created = admin.createTopics(List.of(wanted));
            created.all().get();
            var retention = created.config(TOPIC).get().get("retention.ms");
            return created.numPartitions(TOPIC).get() + " partitions, " + created.replicationFactor(TOPIC).get()
                    + " replica, retention.ms " + retention.value() + " of " + retention.source()
                    + ", id is there " + !created.topicId(TOPIC).get().equals(Uuid.ZERO_UUID);
        });
        create("of a topic that exists", new NewTopic(TOPIC, 1, (short) 1));
        create("with a bad name", new NewTopic("not/a/topic", 1, (short) 1));
        create("with a name of dots", new NewTopic("..", 1, (short) 1));
        create("without a name", new NewTopic("", 1, (short) 1));
        create("with a long name", "n".repeat(250));
        create("with no partition", new NewTopic("bad", 0, (short) 1));
        create("with three replicas", new NewTopic("bad", 1, (short) 3));
        create("with no replica", new NewTopic("bad", 1, (short) 0));
        create("with an unknown setting", new NewTopic("bad", 1, (short) 1).configs(Map.of("no.such", "1")));
        create("with a bad value", new NewTopic("bad", 1, (short) 1).configs(Map.of("retention.ms", "long")));
        create("on a broker that is not there", new NewTopic("bad", Map.of(0, List.of(9))));
        create("twice on one broker", new NewTopic("bad", Map.of(0, List.of(1, 1))));
        create("with a gap between partitions", new NewTopic("bad", Map.of(0, List.of(1), 2, List.of(1))));
        create("by assignment", new NewTopic("assigned", Map.of(0, List.of(1), 1, List.of(1))));
        create("by default", new NewTopic("defaults", Optional.empty(), Optional.empty()));
        create("with a dot", new NewTopic("col.lides", 1, (short) 1));
        create("with a name that collides", new NewTopic("col_lides", 1, (short) 1));
        tour.settle();
        tour.answer("createTopics in a check", () -> {
            var created = admin.createTopics(
                    List.of(new NewTopic("checked", 3, (short) 1)), new CreateTopicsOptions().validateOnly(true));
            return created.numPartitions("checked").get() + " partitions, then listed "
                    + admin.listTopics().names().get().contains("checked");
        });
    }

    private void create(String what, NewTopic... topics) {
        tour.answer("createTopics " + what, () -> AdminTour.each(admin.createTopics(List.of(topics)).values()));
    }

    private void create(String what, String longName) {
        tour.done("createTopics " + what, () -> admin.createTopics(List.of(new NewTopic(longName, 1, (short) 1))).all());
    }

    private void descriptions() {
        tour.answer("listTopics", () -> admin.listTopics().names().get());
        tour.answer("listTopics with internal ones", () -> admin.listTopics(
                        new ListTopicsOptions().listInternal(true)).listings().get().stream()
                .map(listing -> listing.name() + (listing.isInternal() ? " (internal)" : "")).sorted().toList());
        tour.answer("describeTopics", () -> {
            var options = new DescribeTopicsOptions().includeAuthorizedOperations(true);
            var topic = admin.describeTopics(List.of(TOPIC), options).allTopicNames().get().get(TOPIC);
            List<String> partitions = new ArrayList<>();
            for (var partition : topic.partitions()) {
                partitions.add(partition.partition() + " led by " + partition.leader().id()
                        + " replicas " + partition.replicas().stream().map(node -> node.id()).toList()
                        + " in sync " + partition.isr().stream().map(node -> node.id()).toList()
                        + " elr " + partition.elr() + " last known elr " + partition.lastKnownElr());
            }
            return partitions + ", internal " + topic.isInternal()
                    + ", operations " + AdminTour.text(topic.authorizedOperations());
        });
        tour.answer("describeTopics of no topic",
                () -> AdminTour.each(admin.describeTopics(List.of(ABSENT)).topicNameValues()));
        tour.answer("describeTopics of a bad name",
                () -> AdminTour.each(admin.describeTopics(List.of("not/a/topic")).topicNameValues()));
        tour.answer("describeTopics by id", () -> {
            Uuid id = admin.describeTopics(List.of(TOPIC)).allTopicNames().get().get(TOPIC).topicId();
            return admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds().get().get(id).name();
        });
        tour.answer("describeTopics of no id", () -> admin.describeTopics(
                TopicCollection.ofTopicIds(List.of(new Uuid(7, 7)))).allTopicIds().get());
    }

    private void partitions() {
        grow("by one", TOPIC, NewPartitions.increaseTo(3), false);
        grow("to fewer", TOPIC, NewPartitions.increaseTo(1), false);
        grow("to as many", TOPIC, NewPartitions.increaseTo(3), false);
        grow("to none", TOPIC, NewPartitions.increaseTo(0), false);
        grow("of no topic", ABSENT, NewPartitions.increaseTo(3), false);
        grow("on a broker that is not there", TOPIC, NewPartitions.increaseTo(4, List.of(List.of(9))), false);
        grow("with too many assignments", TOPIC, NewPartitions.increaseTo(4, List.of(List.of(1), List.of(1))), false);
        grow("by assignment in a check", TOPIC, NewPartitions.increaseTo(4, List.of(List.of(1))), true);
        grow("by two replicas", TOPIC, NewPartitions.increaseTo(4, List.of(List.of(1, 1))), false);
    }

    private void grow(String what, String topic, NewPartitions to, boolean check) {
        var options = new CreatePartitionsOptions().validateOnly(check);
        tour.done("createPartitions " + what, () -> admin.createPartitions(Map.of(topic, to), options).all());
    }

    private void elections() {
        var known = new TopicPartition(TOPIC, 0);
        var beyond = new TopicPartition(TOPIC, 99);
        var unknown = new TopicPartition(ABSENT, 0);
        for (ElectionType type : ElectionType.values()) {
            String name = "electLeaders " + type.name().toLowerCase();
            elect(name, type, Set.of(known));
            elect(name + " of no partition", type, Set.of(beyond, unknown));
            elect(name + " of all", type, null);
        }
    }

    private void elect(String call, ElectionType type, Set<TopicPartition> partitions) {
        tour.answer(call, () -> {
            var elected = new TreeMap<String, String>();
            admin.electLeaders(type, partitions).partitions().get().forEach((partition, error) ->
                    elected.put(partition.toString(), error.map(AdminTour::error).orElse("done")));
            return elected;
        });
    }

    private void reassignments() {
        reassign("to where it is", TOPIC, 0, Optional.of(new NewPartitionReassignment(List.of(1))), true);
        reassign("to a broker that is not there", TOPIC, 0, Optional.of(new NewPartitionReassignment(List.of(9))), true);
        reassign("to two brokers", TOPIC, 0, Optional.of(new NewPartitionReassignment(List.of(1, 9))), true);
        reassign("to a broker twice", TOPIC, 0, Optional.of(new NewPartitionReassignment(List.of(1, 1))), true);
        reassign("with another number of replicas", TOPIC, 0, Optional.of(new NewPartitionReassignment(List.of(1, 2))), false);
        reassign("to a negative broker", TOPIC, 0, Optional.of(new NewPartitionReassignment(List.of(-1))), true);
        reassign("of no partition", TOPIC, 99, Optional.of(new NewPartitionReassignment(List.of(1))), true);
        reassign("of no topic", ABSENT, 0, Optional.of(new NewPartitionReassignment(List.of(1))), true);
        reassign("cancelled where there is none", TOPIC, 0, Optional.empty(), true);
        tour.answer("listPartitionReassignments", () -> admin.listPartitionReassignments().reassignments().get());
        tour.answer("listPartitionReassignments of partitions", () -> admin.listPartitionReassignments(
                Set.of(new TopicPartition(TOPIC, 0), new TopicPartition(ABSENT, 0))).reassignments().get());
    }

    private void reassign(
            String what, String topic, int partition, Optional<NewPartitionReassignment> to, boolean change) {
        var options = new AlterPartitionReassignmentsOptions().allowReplicationFactorChange(change);
        tour.done("alterPartitionReassignments " + what, () -> admin.alterPartitionReassignments(
                Map.of(new TopicPartition(topic, partition), to), options).all());
    }

    void delete() {
        delete("of no topic", TopicCollection.ofTopicNames(List.of(ABSENT)));
        delete("of no id", TopicCollection.ofTopicIds(List.of(new Uuid(7, 7))));
        delete("by name", TopicCollection.ofTopicNames(List.of("assigned", "defaults")));
        tour.done("deleteTopics by id", () -> {
            Uuid id = admin.describeTopics(List.of(TOPIC)).allTopicNames().get().get(TOPIC).topicId();
            return admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all();
        });
    }

    private void delete(String what, TopicCollection topics) {
        tour.answer("deleteTopics " + what, () -> {
            var deleted = admin.deleteTopics(topics);
            return AdminTour.each(
                    deleted.topicNameValues() != null ? deleted.topicNameValues() : deleted.topicIdValues());
        });
    }
}
