package ottla.compatibility;

import static ottla.compatibility.AdminTour.ABSENT;
import static ottla.compatibility.AdminTour.TOPIC;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.ListConfigResourcesOptions;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.ConfigResource.Type;

/** Settings of topics, brokers and others. */
final class AdminTourConfigs {
    private final AdminTour tour;
    private final Admin admin;

    AdminTourConfigs(AdminTour tour) {
        this.tour = tour;
        this.admin = tour.admin;
    }

    void run() {
        topicSettings();
        changes();
        others();
        lists();
    }

    /** A line for each setting of a topic, so that each can differ alone. */
    private void topicSettings() {
        var all = new TreeMap<String, String>();
        tour.answer("describeConfigs", () -> {
            describe(Type.TOPIC, TOPIC).forEach((name, entry) -> all.put(name, settled(entry)));
            return all.size() > 10;
        });
        all.forEach((name, entry) -> tour.answer("topic setting " + name, () -> entry));
        tour.answer("describeConfigs of one with synonyms", () -> {
            var resource = new ConfigResource(Type.TOPIC, TOPIC);
            var options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
            var entry = admin.describeConfigs(List.of(resource), options).all().get().get(resource).get("retention.ms");
            return entry.synonyms().stream().map(s -> s.name() + "=" + s.value() + " " + s.source()).toList()
                    + ", documented " + (entry.documentation() != null);
        });
    }

    private static String settled(ConfigEntry entry) {
        return "'" + entry.value() + "' " + entry.type() + " of " + entry.source()
                + (entry.isReadOnly() ? ", read only" : "") + (entry.isSensitive() ? ", sensitive" : "");
    }

    private Map<String, ConfigEntry> describe(Type type, String name) throws Exception {
        var resource = new ConfigResource(type, name);
        var entries = admin.describeConfigs(List.of(resource)).all().get().get(resource).entries();
        var byName = new TreeMap<String, ConfigEntry>();
        entries.forEach(entry -> byName.put(entry.name(), entry));
        return byName;
    }

    private void changes() {
        change("set", Type.TOPIC, TOPIC, "retention.ms", "1000000", OpType.SET, false);
        change("set in a check", Type.TOPIC, TOPIC, "retention.ms", "2000000", OpType.SET, true);
        change("delete", Type.TOPIC, TOPIC, "retention.ms", "", OpType.DELETE, false);
        change("append", Type.TOPIC, TOPIC, "cleanup.policy", "compact", OpType.APPEND, true);
        change("append to what is no list", Type.TOPIC, TOPIC, "retention.ms", "1", OpType.APPEND, false);
        change("to a bad value", Type.TOPIC, TOPIC, "retention.ms", "long", OpType.SET, false);
        change("of no setting", Type.TOPIC, TOPIC, "no.such", "1", OpType.SET, false);
        change("of no topic", Type.TOPIC, ABSENT, "retention.ms", "1", OpType.SET, false);
        change("of a bad name", Type.TOPIC, "not/a/topic", "retention.ms", "1", OpType.SET, false);
        change("without a topic", Type.TOPIC, "", "retention.ms", "1", OpType.SET, false);
        change("of min.insync.replicas to 2", Type.TOPIC, TOPIC, "min.insync.replicas", "2", OpType.SET, true);
        change("of a broker", Type.BROKER, "1", "log.retention.ms", "1000000000", OpType.SET, false);
        change("of all brokers", Type.BROKER, "", "log.retention.ms", "2000000000", OpType.SET, false);
        tour.settle();
        tour.answer("describeConfigs after changes", () -> settled(describe(Type.TOPIC, TOPIC).get("retention.ms")));
        tour.answer("describeConfigs of all brokers", () -> describe(Type.BROKER, "").keySet());
        tour.answer("describeConfigs of the broker after changes",
                () -> settled(describe(Type.BROKER, "1").get("log.retention.ms")));
        change("of a broker back", Type.BROKER, "1", "log.retention.ms", "", OpType.DELETE, false);
        change("of all brokers back", Type.BROKER, "", "log.retention.ms", "", OpType.DELETE, false);
        change("of a broker's fixed setting", Type.BROKER, "1", "node.id", "2", OpType.SET, false);
    }

    private void change(String what, Type type, String name, String key, String value, OpType op, boolean check) {
        Map<ConfigResource, Collection<AlterConfigOp>> change = Map.of(
                new ConfigResource(type, name), List.of(new AlterConfigOp(new ConfigEntry(key, value), op)));
        tour.done("incrementalAlterConfigs " + what,
                () -> admin.incrementalAlterConfigs(change, new AlterConfigsOptions().validateOnly(check)).all());
    }

    private void others() {
        tour.answer("describeConfigs of no topic", () -> describe(Type.TOPIC, ABSENT));
        tour.answer("describeConfigs of a bad name", () -> describe(Type.TOPIC, "not/a/topic"));
        tour.answer("describeConfigs of a client metric", () -> describe(Type.CLIENT_METRICS, "any").keySet());
        tour.answer("describeConfigs of a group", () -> describe(Type.GROUP, "any").keySet());
        tour.answer("describeConfigs of a broker's loggers", () -> !describe(Type.BROKER_LOGGER, "1").isEmpty());
        change("of a client metric", Type.CLIENT_METRICS, "any", "interval.ms", "60000", OpType.SET, true);
        change("of a group", Type.GROUP, "any", "consumer.session.timeout.ms", "50000", OpType.SET, true);
        change("of a logger that is not there", Type.BROKER_LOGGER, "1", "no.such.logger", "DEBUG", OpType.SET, true);
    }

    @SuppressWarnings("removal")
    private void lists() {
        tour.answer("listConfigResources", () -> admin.listConfigResources().all().get().stream()
                .map(resource -> resource.type() + " " + resource.name()).sorted().toList());
        tour.answer("listConfigResources of brokers",
                () -> admin.listConfigResources(Set.of(Type.BROKER), new ListConfigResourcesOptions()).all().get().stream().map(ConfigResource::name).toList());
        tour.answer("listClientMetricsResources", () -> admin.listClientMetricsResources().all().get());
    }
}
