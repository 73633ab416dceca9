package ottla.compatibility;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Questions without an effect: offsets by time, and groups. */
final class Lookup {
    private Lookup() {}

    static void offsets(Client client) {
        var settings = client.settings(
                "key.deserializer", ByteArrayDeserializer.class,
                "value.deserializer", ByteArrayDeserializer.class);
        long timestamp = Long.parseLong(client.option("timestamp"));
        try (var consumer = new KafkaConsumer<byte[], byte[]>(settings)) {
            var asked = new TreeMap<TopicPartition, Long>((a, b) -> a.partition() - b.partition());
            consumer.partitionsFor(client.option("topic")).forEach(info ->
                    asked.put(new TopicPartition(info.topic(), info.partition()), timestamp));
            var earliest = consumer.beginningOffsets(asked.keySet());
            var latest = consumer.endOffsets(asked.keySet());
            consumer.offsetsForTimes(asked).forEach((partition, at) -> Lines.print("offsets", Map.of(
                    "partition", partition.partition(),
                    "earliest", earliest.get(partition),
                    "latest", latest.get(partition),
                    "at", at == null ? -1 : at.offset())));
        }
    }

    static void groups(Client client) throws Exception {
        String id = client.option("group");
        try (Admin admin = Admin.create(client.settings())) {
            var listed = admin.listGroups(ListGroupsOptions.forConsumerGroups()).all().get();
            var group = admin.describeConsumerGroups(List.of(id)).all().get().get(id);
            Lines.print("groups", Map.of(
                    "listed", listed.stream().map(GroupListing::groupId).sorted().toList(),
                    "group", group.groupId(),
                    "state", group.groupState().toString(),
                    "members", group.members().stream()
                            .map(member -> member.assignment().topicPartitions().stream()
                                    .map(TopicPartition::partition)
                                    .sorted()
                                    .toList())
                            .toList()));
        }
    }
}
