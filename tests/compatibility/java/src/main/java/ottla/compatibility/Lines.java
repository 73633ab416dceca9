package ottla.compatibility;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;

/** Lines of JSON on stdin and stdout; bytes are base64. */
final class Lines {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final BufferedReader IN =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

    private Lines() {}

    /** The next line, or null at the end. */
    static String read() throws IOException {
        return IN.readLine();
    }

    /** A record to send; its index is in {@link #index}. */
    static ProducerRecord<byte[], byte[]> record(String topic, JsonNode line) throws IOException {
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
                topic,
                line.get("partition").intValue(),
                line.get("timestamp").longValue(),
                bytes(line.get("key")),
                bytes(line.get("value")));
        for (JsonNode header : line.get("headers")) {
            record.headers().add(header.get(0).textValue(), bytes(header.get(1)));
        }
        return record;
    }

    static JsonNode parse(String line) throws IOException {
        return JSON.readTree(line);
    }

    static void printRecord(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode node = JSON.createObjectNode();
        node.put("partition", record.partition());
        node.put("offset", record.offset());
        node.put("timestamp", record.timestamp());
        node.put("key", base64(record.key()));
        node.put("value", base64(record.value()));
        ArrayNode headers = node.putArray("headers");
        for (Header header : record.headers()) {
            headers.addArray().add(header.key()).add(base64(header.value()));
        }
        print("record", node);
    }

    /** Prints {@code {"name": value}}. */
    static synchronized void print(String name, Object value) {
        ObjectNode line = JSON.createObjectNode();
        line.set(name, JSON.valueToTree(value));
        try {
            System.out.println(JSON.writeValueAsString(line));
        } catch (JsonProcessingException impossible) {
            throw new IllegalStateException(impossible);
        }
        System.out.flush();
    }

    private static byte[] bytes(JsonNode text) {
        return text.isNull() ? null : Base64.getDecoder().decode(text.textValue());
    }

    private static String base64(byte[] bytes) {
        return bytes == null ? null : Base64.getEncoder().encodeToString(bytes);
    }
}
