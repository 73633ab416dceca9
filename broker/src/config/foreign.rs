//! Pure. Kafka's settings that are not in the table: which of them a server.properties may carry
//! here without effect, and which would make a promise that Ottla does not keep.

/// What becomes of a setting of Kafka's that Ottla does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Accepted with a warning.
    Ignored,
    /// Accepted with a warning if it has this value, otherwise refused.
    IgnoredIf(&'static str),
    /// Refused.
    Refused,
}

/// Settings that share a verdict and its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    /// Kafka's name, or the beginning of many names if it ends with a dot.
    pub name: &'static str,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why, as a clause.
    pub reason: &'static str,
}

const fn ignored(name: &'static str, reason: &'static str) -> Foreign {
    Foreign {
        name,
        verdict: Verdict::Ignored,
        reason,
    }
}

const fn refused(name: &'static str, reason: &'static str) -> Foreign {
    Foreign {
        name,
        verdict: Verdict::Refused,
        reason,
    }
}

const fn ignored_if(name: &'static str, value: &'static str, reason: &'static str) -> Foreign {
    Foreign {
        name,
        verdict: Verdict::IgnoredIf(value),
        reason,
    }
}

const ONE_NODE: &str = "there is one node";
const OWN_THREADS: &str = "Ottla sizes its threads and buffers itself";
const OWN_JOURNAL: &str = "Ottla keeps its own journal instead";
const INTERNAL_TOPIC: &str = "Ottla's internal topics have no such settings";
const ONE_FORMAT: &str = "there is one message format";
const NOT_YET: &str = "Ottla does not have this feature yet";
const NO_TLS: &str = "there is no TLS and no authentication yet";
const NO_CLASSES: &str = "Ottla cannot load a Java class";
const NO_TIERS: &str = "there is no remote storage";

/// The first entry that matches a name counts.
pub(super) const FOREIGN: &[Foreign] = &[
    ignored("auto.include.jmx.reporter", "there is no JMX"),
    ignored("auto.leader.rebalance.enable", ONE_NODE),
    ignored("background.threads", OWN_THREADS),
    ignored("broker.heartbeat.interval.ms", ONE_NODE),
    ignored("broker.id.generation.enable", ONE_NODE),
    ignored("broker.session.timeout.ms", ONE_NODE),
    ignored("connection.failed.authentication.delay.ms", NO_TLS),
    ignored("control.plane.listener.name", ONE_NODE),
    ignored("controlled.shutdown.", ONE_NODE),
    ignored("controller.", ONE_NODE),
    ignored(
        "delete.records.purgatory.purge.interval.requests",
        OWN_THREADS,
    ),
    ignored("early.start.listeners", ONE_NODE),
    ignored("fetch.purgatory.purge.interval.requests", OWN_THREADS),
    ignored(
        "group.consumer.",
        "assignments follow a change of members, subscriptions or topics at once",
    ),
    ignored("group.coordinator.", OWN_THREADS),
    ignored("group.share.", "share groups do not exist"),
    ignored("group.streams.", "streams groups do not exist"),
    ignored("initial.broker.registration.timeout.ms", ONE_NODE),
    ignored("inter.broker.", ONE_NODE),
    ignored("kafka.metrics.", "there is no JMX"),
    ignored("leader.imbalance.", ONE_NODE),
    ignored_if(
        "log.cleaner.enable",
        "true",
        "compaction cannot be turned off for all topics",
    ),
    ignored("log.cleaner.io.", OWN_THREADS),
    ignored("log.cleaner.threads", OWN_THREADS),
    ignored("log.dir.failure.timeout.ms", ONE_NODE),
    ignored("log.flush.offset.checkpoint.interval.ms", OWN_JOURNAL),
    ignored("log.flush.start.offset.checkpoint.interval.ms", OWN_JOURNAL),
    ignored("log.initial.task.delay.ms", OWN_THREADS),
    ignored("log.message.downconversion.enable", ONE_FORMAT),
    ignored("log.message.format.version", ONE_FORMAT),
    ignored("metadata.log.", ONE_NODE),
    ignored("metadata.max.", ONE_NODE),
    ignored("metric.reporters", "there is no JMX"),
    ignored("metrics.", "there is no JMX"),
    ignored("num.io.threads", OWN_THREADS),
    ignored("num.network.threads", OWN_THREADS),
    ignored("num.recovery.threads.per.data.dir", OWN_THREADS),
    ignored("num.replica.alter.log.dirs.threads", OWN_THREADS),
    ignored("num.replica.fetchers", ONE_NODE),
    ignored("offsets.commit.required.acks", ONE_NODE),
    ignored("offsets.commit.timeout.ms", ONE_NODE),
    ignored("offsets.load.buffer.size", OWN_THREADS),
    ignored("offsets.topic.", INTERNAL_TOPIC),
    ignored("process.roles", "Ottla is broker and controller in one"),
    ignored("producer.id.expiration.check.interval.ms", OWN_THREADS),
    ignored("producer.purgatory.purge.interval.requests", OWN_THREADS),
    ignored("queued.max.requests", OWN_THREADS),
    ignored("replica.", ONE_NODE),
    ignored("replication.quota.", ONE_NODE),
    ignored("request.timeout.ms", ONE_NODE),
    ignored("reserved.broker.max.id", ONE_NODE),
    ignored_if("security.inter.broker.protocol", "PLAINTEXT", ONE_NODE),
    ignored("server.max.startup.time.ms", ONE_NODE),
    ignored("share.coordinator.", "share groups do not exist"),
    ignored("socket.connection.setup.timeout.", ONE_NODE),
    ignored("socket.listen.backlog.size", OWN_THREADS),
    ignored("socket.receive.buffer.bytes", OWN_THREADS),
    ignored("socket.send.buffer.bytes", OWN_THREADS),
    ignored(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "transactions are aborted as soon as they time out",
    ),
    ignored(
        "transaction.partition.verification.enable",
        "it is always on",
    ),
    ignored(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        "it is done every hour",
    ),
    ignored("transaction.state.log.", ONE_NODE),
    ignored_if("transaction.two.phase.commit.enable", "false", NOT_YET),
    ignored("unclean.leader.election.interval.ms", ONE_NODE),
    ignored_if("unstable.api.versions.enable", "false", NOT_YET),
    ignored_if("unstable.feature.versions.enable", "false", NOT_YET),
    ignored("zookeeper.", "there is no ZooKeeper"),
    refused("alter.config.policy.class.name", NO_CLASSES),
    refused("alter.log.dirs.replication.quota.", NOT_YET),
    refused("allow.everyone.if.no.acl.found", NO_TLS),
    refused("authorizer.class.name", NO_CLASSES),
    refused("client.quota.callback.class", NO_CLASSES),
    refused("connections.max.reauth.ms", NO_TLS),
    refused("create.topic.policy.class.name", NO_CLASSES),
    refused("delegation.token.", NO_TLS),
    refused("listener.name.", "a listener has no settings of its own"),
    refused(
        "log.message.timestamp.difference.max.ms",
        "use `log.message.timestamp.before.max.ms` and `log.message.timestamp.after.max.ms`",
    ),
    refused("max.connection.creation.rate", NOT_YET),
    refused("max.connections.per.ip.overrides", NOT_YET),
    refused("password.encoder.", NO_TLS),
    refused("principal.builder.class", NO_CLASSES),
    refused("quota.", NOT_YET),
    ignored_if("remote.log.storage.system.enable", "false", NO_TIERS),
    refused("remote.log.", NO_TIERS),
    refused("sasl.", NO_TLS),
    refused("security.providers", NO_CLASSES),
    refused("ssl.", NO_TLS),
    refused("super.users", NO_TLS),
];

/// What becomes of this name, if it is one of Kafka's.
#[must_use]
pub fn foreign(name: &str) -> Option<&'static Foreign> {
    FOREIGN.iter().find(|foreign| {
        if foreign.name.ends_with('.') {
            name.len() > foreign.name.len() && name.starts_with(foreign.name)
        } else {
            name == foreign.name
        }
    })
}
