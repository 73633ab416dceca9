package ottla.compatibility;

import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** The worked example: sends one order. {@code OrderProducer host:port [order [compression]]} */
public final class OrderProducer {
    public static void main(String[] arguments) throws Exception {
        String order = arguments.length > 1 ? arguments[1] : "order-12345";
        Properties settings = new Properties();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, StringSerializer.class.getName());
        settings.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, StringSerializer.class.getName());
        if (arguments.length > 2) {
            settings.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, arguments[2]);
        }
        String event = "{\"event\":\"ORDER_CREATED\",\"orderId\":\"" + order + "\"}";
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
            var metadata = producer.send(new ProducerRecord<>("order-events", order, event)).get();
            System.out.println("sent " + order + " to " + metadata);
        }
    }
}
