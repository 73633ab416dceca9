package ottla.compatibility;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Each call of the admin client once, with its answer checked; prints a line for each. */
final class AdminTour {
    private final Admin admin;
    private final String topic;
    private final String group;

    private AdminTour(Admin admin, String topic) {
        this.admin = admin;
        this.topic = topic;
        this.group = topic + "-group";
    }

    static void run(Client client) throws Exception {
        var settings = client.settings(AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, 30_000);
        try (Admin admin = Admin.create(settings)) {
            AdminTour tour = new AdminTour(admin, client.option("topic"));
            tour.cluster();
            tour.topics();
            tour.configs();
            tour.partitions();
            tour.offsets(client);
            tour.groups();
            tour.deletion();
        }
    }

    private void cluster() throws Exception {
        var cluster = admin.describeCluster();
        var nodes = cluster.nodes().get();
        expect("nodes", nodes.size(), 1);
        expect("controller", nodes.contains(cluster.controller().get()), true);
        expect("cluster id is there", cluster.clusterId().get().isEmpty(), false);
        done("describeCluster");
    }

    private void topics() throws Exception {
        var wanted = new NewTopic(topic, 2, (short) 1)
                .configs(Map.of("retention.ms", "86400000", "max.message.bytes", "2000000"));
        var created = admin.createTopics(List.of(wanted));
        created.all().get();
        expect("partitions", created.numPartitions(topic).get(), 2);
        expect("retention", created.config(topic).get().get("retention.ms").value(), "86400000");
        expectError(TopicExistsException.class, admin.createTopics(List.of(wanted)).all());
        var invalid = new NewTopic("not/a/topic", 1, (short) 1);
        expectError(InvalidTopicException.class, admin.createTopics(List.of(invalid)).all());
        done("createTopics");

        expect("listed", admin.listTopics().names().get().contains(topic), true);
        done("listTopics");

        TopicDescription description = describe();
        expect("id", description.topicId().equals(Uuid.ZERO_UUID), false);
        expect("id", description.topicId(), created.topicId(topic).get());
        for (var partition : description.partitions()) {
            expect("replicas", partition.replicas(), List.of(partition.leader()));
            expect("in sync", partition.isr(), partition.replicas());
        }
        expectError(
                UnknownTopicOrPartitionException.class,
                admin.describeTopics(List.of(topic + "-absent")).allTopicNames());
        done("describeTopics");
    }

    private void configs() throws Exception {
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        var config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
        expect("retention", config.get("retention.ms").value(), "86400000");
        expect("own retention", config.get("retention.ms").isDefault(), false);
        expect("largest batch", config.get("max.message.bytes").value(), "2000000");
        expect("policy", config.get("cleanup.policy").value(), "delete");
        expect("default policy", config.get("cleanup.policy").isDefault(), true);
        var node = admin.describeCluster().nodes().get().iterator().next();
        var broker = new ConfigResource(ConfigResource.Type.BROKER, node.idString());
        var ofBroker = admin.describeConfigs(List.of(broker)).all().get().get(broker);
        expect("num.partitions is there", ofBroker.get("num.partitions") != null, true);
        done("describeConfigs");
    }

    private void partitions() throws Exception {
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
        expect("partitions", describe().partitions().size(), 3);
        expectError(
                InvalidPartitionsException.class,
                admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all());
        done("createPartitions");
    }

    private void offsets(Client client) throws Exception {
        long now = System.currentTimeMillis();
        var settings = client.settings(
                "key.serializer", ByteArraySerializer.class,
                "value.serializer", ByteArraySerializer.class);
        try (var producer = new KafkaProducer<byte[], byte[]>(settings)) {
            for (long timestamp : List.of(now, now + 2_000, now + 1_000)) {
                producer.send(new ProducerRecord<>(topic, 0, timestamp, null, new byte[1])).get();
            }
        }
        expect("earliest", offset(OffsetSpec.earliest()), 0L);
        expect("latest", offset(OffsetSpec.latest()), 3L);
        expect("greatest timestamp", offset(OffsetSpec.maxTimestamp()), 1L);
        expect("at a time", offset(OffsetSpec.forTimestamp(now + 500)), 1L);
        expect("after all", offset(OffsetSpec.forTimestamp(now + 5_000)), -1L);
        done("listOffsets");
    }

    private void groups() throws Exception {
        var zero = new TopicPartition(topic, 0);
        var one = new TopicPartition(topic, 1);
        var wanted = Map.of(zero, new OffsetAndMetadata(2, "a note"), one, new OffsetAndMetadata(0));
        admin.alterConsumerGroupOffsets(group, wanted).all().get();
        done("alterConsumerGroupOffsets");

        expect("committed", committed(), wanted);
        done("listConsumerGroupOffsets");

        admin.deleteConsumerGroupOffsets(group, Set.of(one)).all().get();
        expect("still committed", committed().keySet(), Set.of(zero));
        done("deleteConsumerGroupOffsets");

        boolean listed = admin.listGroups().all().get().stream()
                .anyMatch(listing -> listing.groupId().equals(group));
        expect("listed", listed, true);
        done("listConsumerGroups");

        var described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        expect("state", described.groupState().toString(), "Empty");
        expect("members", described.members().size(), 0);
        expectError(
                GroupIdNotFoundException.class,
                admin.describeConsumerGroups(List.of(group + "-absent")).all());
        done("describeConsumerGroups");

        admin.deleteConsumerGroups(List.of(group)).all().get();
        expectError(
                GroupIdNotFoundException.class,
                admin.deleteConsumerGroups(List.of(group)).all());
        done("deleteConsumerGroups");
    }

    private void deletion() throws Exception {
        Uuid before = describe().topicId();
        admin.deleteTopics(List.of(topic)).all().get();
        expectError(
                UnknownTopicOrPartitionException.class,
                admin.describeTopics(List.of(topic)).allTopicNames());
        var created = admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1)));
        expect("a new id", created.topicId(topic).get().equals(before), false);
        expect("empty again", offset(OffsetSpec.latest()), 0L);
        admin.deleteTopics(List.of(topic)).all().get();
        done("deleteTopics");
    }

    private TopicDescription describe() throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    }

    private long offset(OffsetSpec spec) throws Exception {
        var partition = new TopicPartition(topic, 0);
        return admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get().offset();
    }

    private Map<TopicPartition, OffsetAndMetadata> committed() throws Exception {
        return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
    }

    private static void expect(String what, Object actual, Object expected) {
        if (!expected.equals(actual)) {
            throw new AssertionError(what + ": " + actual + " instead of " + expected);
        }
    }

    private static void expectError(Class<?> error, KafkaFuture<?> future) throws Exception {
        try {
            future.get();
        } catch (ExecutionException failure) {
            if (error.isInstance(failure.getCause())) {
                return;
            }
            throw failure;
        }
        throw new AssertionError("no " + error.getSimpleName());
    }

    private static void done(String call) {
        Lines.print("checked", call);
    }
}
