package ottla.compatibility;

import java.time.Duration;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.AddRaftVoterOptions;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.FeatureUpdate.UpgradeType;
import org.apache.kafka.clients.admin.RaftVoterEndpoint;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.Uuid;

/** The cluster, its features and its quorum. */
final class AdminTourCluster {
    /** Kafka looks for a voter that is not there until the call times out. */
    private static final int SHORT = 2_000;

    private final AdminTour tour;
    private final Admin admin;

    AdminTourCluster(AdminTour tour) {
        this.tour = tour;
        this.admin = tour.admin;
    }

    void run() {
        cluster();
        features();
        quorum();
    }

    private void cluster() {
        tour.answer("describeCluster", () -> {
            var options = new DescribeClusterOptions().includeAuthorizedOperations(true).includeFencedBrokers(true);
            var cluster = admin.describeCluster(options);
            return "nodes " + cluster.nodes().get().stream().map(Node::id).toList()
                    + ", controller " + cluster.controller().get().id()
                    + ", cluster id " + (cluster.clusterId().get().length() == 22 ? "of 22 letters" : "other")
                    + ", operations " + AdminTour.text(cluster.authorizedOperations().get());
        });
        tour.done("unregisterBroker of no broker", () -> admin.unregisterBroker(77).all());
        tour.answer("clientInstanceId", () -> admin.clientInstanceId(Duration.ofSeconds(5)) != null);
    }

    private void features() {
        tour.answer("describeFeatures", () -> {
            var features = admin.describeFeatures().featureMetadata().get();
            var supported = features.supportedFeatures();
            return features.finalizedFeatures().entrySet().stream()
                    .map(entry -> entry.getKey() + " " + entry.getValue().maxVersionLevel()
                            + " of " + supported.get(entry.getKey()).minVersion()
                            + " to " + supported.get(entry.getKey()).maxVersion())
                    .sorted().toList();
        });
        tour.answer("describeFeatures epoch is there", () ->
                admin.describeFeatures().featureMetadata().get().finalizedFeaturesEpoch().isPresent());
        update("to its level", "transaction.version", 2, UpgradeType.UPGRADE, false);
        update("above all levels", "transaction.version", 9, UpgradeType.UPGRADE, false);
        update("down as an upgrade", "transaction.version", 1, UpgradeType.UPGRADE, true);
        update("down in a check", "transaction.version", 1, UpgradeType.SAFE_DOWNGRADE, true);
        update("of no feature", "no.such.feature", 1, UpgradeType.UPGRADE, false);
    }

    private void update(String what, String feature, int level, UpgradeType type, boolean check) {
        tour.answer("updateFeatures " + what, () -> {
            var update = Map.of(feature, new FeatureUpdate((short) level, type));
            return AdminTour.each(
                    admin.updateFeatures(update, new UpdateFeaturesOptions().validateOnly(check)).values());
        });
    }

    private void quorum() {
        tour.answer("describeMetadataQuorum", () -> {
            var quorum = admin.describeMetadataQuorum().quorumInfo().get();
            var voter = quorum.voters().get(0);
            return "leader " + quorum.leaderId()
                    + ", epoch is there " + (quorum.leaderEpoch() >= 0)
                    + ", high watermark is there " + (quorum.highWatermark() >= 0)
                    + ", voters " + quorum.voters().stream().map(v -> v.replicaId()).toList()
                    + ", directory is there " + !voter.replicaDirectoryId().equals(Uuid.ZERO_UUID)
                    + ", is caught up " + (voter.logEndOffset() >= quorum.highWatermark())
                    + ", fetched " + voter.lastFetchTimestamp().isPresent()
                    + ", caught up " + voter.lastCaughtUpTimestamp().isPresent()
                    + ", observers " + quorum.observers()
                    + ", nodes " + quorum.nodes().keySet();
        });
        var endpoint = new RaftVoterEndpoint("CONTROLLER", "localhost", 1);
        tour.done("addRaftVoter", () -> admin.addRaftVoter(
                2, Uuid.randomUuid(), Set.of(endpoint), new AddRaftVoterOptions().timeoutMs(SHORT)).all());
        tour.done("removeRaftVoter", () -> admin.removeRaftVoter(2, Uuid.randomUuid()).all());
    }
}
