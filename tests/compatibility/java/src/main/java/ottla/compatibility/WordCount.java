package ottla.compatibility;

import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/** Kafka Streams' word count, exactly once: words of {@code --topic}, each new count to {@code --output}. */
final class WordCount {
    private WordCount() {}

    static void run(Client client) throws Exception {
        var strings = Serdes.String();
        var builder = new StreamsBuilder();
        builder.stream(client.option("topic"), Consumed.with(Serdes.Bytes(), strings))
                .flatMapValues(line -> Arrays.asList(line.split(" ")))
                .groupBy((key, word) -> word, Grouped.with(strings, strings))
                .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts"))
                        .withKeySerde(strings)
                        .withValueSerde(Serdes.Long()))
                .toStream()
                .mapValues(count -> Long.toString(count))
                .to(client.option("output"), Produced.with(strings, strings));

        Properties settings = client.settings(
                StreamsConfig.APPLICATION_ID_CONFIG, client.option("topic") + "-counter",
                StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2,
                StreamsConfig.STATE_DIR_CONFIG, client.option("state"),
                // Each count is told, not only the newest.
                StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0,
                StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100,
                StreamsConfig.consumerPrefix("session.timeout.ms"), 6_000);
        try (var streams = new KafkaStreams(builder.build(), settings)) {
            streams.setStateListener((state, before) -> {
                if (state == KafkaStreams.State.RUNNING) {
                    Lines.print("checked", "running");
                }
            });
            streams.start();
            while (Lines.read() != null) {}
        }
    }
}
