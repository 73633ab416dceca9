package ottla.compatibility;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Sends each record of stdin with an idempotent producer; survives an absent broker for ten minutes. */
final class Produce {
    private Produce() {}

    static void run(Client client) throws Exception {
        var settings = client.settings(
                "compression.type", client.option("codec"),
                "delivery.timeout.ms", 600_000,
                "max.block.ms", 600_000,
                "reconnect.backoff.max.ms", 500,
                "key.serializer", ByteArraySerializer.class,
                "value.serializer", ByteArraySerializer.class);
        String topic = client.option("topic");
        try (var producer = new KafkaProducer<byte[], byte[]>(settings)) {
            for (String text = Lines.read(); text != null; text = Lines.read()) {
                JsonNode line = Lines.parse(text);
                long index = line.get("index").longValue();
                producer.send(Lines.record(topic, line), (metadata, error) -> {
                    if (error != null) {
                        Lines.print("failed", Map.of("index", index, "error", error.toString()));
                    } else {
                        Lines.print("ack", Map.of(
                                "index", index,
                                "partition", metadata.partition(),
                                "offset", metadata.offset()));
                    }
                });
            }
        }
    }
}
