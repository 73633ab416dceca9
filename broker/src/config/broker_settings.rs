//! The broker half of the table, without the defaults of topic settings, which derive from those.

use super::setting::{Allowed, ConfigType, Scope, Setting};

use Allowed::{Any, AtLeast, Between, NotEmpty, OneOf, Only, Positive};
use ConfigType::{Bool, Double, Int, List, Long, String};

const fn broker(
    name: &'static str,
    config_type: ConfigType,
    default: &'static str,
    allowed: Allowed,
    doc: &'static str,
) -> Setting {
    let scope = Scope::Broker { alias: None };
    Setting {
        name,
        config_type,
        default: Some(default),
        allowed,
        scope,
        dynamic: false,
        doc,
    }
}

/// Without a value unless it is given.
const fn optional(
    name: &'static str,
    config_type: ConfigType,
    allowed: Allowed,
    doc: &'static str,
) -> Setting {
    let scope = Scope::Broker { alias: None };
    Setting {
        name,
        config_type,
        default: None,
        allowed,
        scope,
        dynamic: false,
        doc,
    }
}

const fn also(setting: Setting, alias: &'static str) -> Setting {
    let scope = Scope::Broker { alias: Some(alias) };
    Setting { scope, ..setting }
}

/// One that clients can change while the broker runs.
const fn dynamic(setting: Setting) -> Setting {
    Setting {
        dynamic: true,
        ..setting
    }
}

/// Every setting of the broker alone, by name.
pub(super) const BROKER_SETTINGS: &[Setting] = &[
    optional(
        "advertised.listeners",
        List,
        NotEmpty,
        "The address at which clients reach the broker, as `host:port` or \
         `PLAINTEXT://host:port`. Without it, the address of `listeners`.",
    ),
    broker(
        "auto.create.topics.enable",
        Bool,
        "true",
        Any,
        "Whether a topic is created when a client asks for it that does not forbid this.",
    ),
    broker(
        "broker.id",
        Int,
        "1",
        AtLeast(0),
        "The older name of `node.id`.",
    ),
    optional(
        "broker.rack",
        String,
        NotEmpty,
        "The rack, or zone, that clients are told.",
    ),
    broker(
        "connections.max.idle.ms",
        Long,
        "600000",
        AtLeast(1),
        "After how many milliseconds without a request a connection is closed.",
    ),
    optional(
        "controller.listener.names",
        List,
        Any,
        "The names in `listeners` that are for Kafka's controllers; they are not opened.",
    ),
    broker(
        "default.replication.factor",
        Int,
        "1",
        Only {
            value: "1",
            because: "there is one node",
        },
        "Always 1: there is one node.",
    ),
    broker(
        "delete.topic.enable",
        Bool,
        "true",
        Any,
        "Whether clients may delete topics.",
    ),
    broker(
        "fetch.max.bytes",
        Int,
        "57671680",
        AtLeast(1024),
        "The most bytes of records in one answer to a fetch. One batch is always returned whole.",
    ),
    broker(
        "group.consumer.assignors",
        List,
        "uniform,range",
        OneOf(&["uniform", "range"]),
        "The assignors that members of the consumer protocol may ask for. The first is taken when \
         none asks for one.",
    ),
    broker(
        "group.consumer.heartbeat.interval.ms",
        Int,
        "5000",
        AtLeast(1),
        "How often members of the consumer protocol are to be heard from.",
    ),
    broker(
        "group.consumer.max.heartbeat.interval.ms",
        Int,
        "15000",
        AtLeast(1),
        "The longest `consumer.heartbeat.interval.ms` of a group.",
    ),
    broker(
        "group.consumer.max.session.timeout.ms",
        Int,
        "60000",
        AtLeast(1),
        "The longest `consumer.session.timeout.ms` of a group.",
    ),
    broker(
        "group.consumer.max.size",
        Int,
        "1000",
        AtLeast(1),
        "The most members of one group of the consumer protocol.",
    ),
    broker(
        "group.consumer.migration.policy",
        String,
        "bidirectional",
        OneOf(&["bidirectional", "disabled", "downgrade", "upgrade"]),
        "In which directions a group in use may change its protocol: `upgrade` is from classic to \
         consumer, when the first member of the latter joins, and `downgrade` back, when the last \
         has left.",
    ),
    broker(
        "group.consumer.min.heartbeat.interval.ms",
        Int,
        "5000",
        AtLeast(1),
        "The shortest `consumer.heartbeat.interval.ms` of a group.",
    ),
    broker(
        "group.consumer.min.session.timeout.ms",
        Int,
        "45000",
        AtLeast(1),
        "The shortest `consumer.session.timeout.ms` of a group.",
    ),
    broker(
        "group.consumer.session.timeout.ms",
        Int,
        "45000",
        AtLeast(1),
        "After how many milliseconds of silence a member of the consumer protocol is taken for gone.",
    ),
    broker(
        "group.initial.rebalance.delay.ms",
        Int,
        "0",
        AtLeast(0),
        "How long an empty group waits for more members before its first assignment. The \
         default of 0 starts at once; members that come later cause another, cheap, rebalance.",
    ),
    broker(
        "group.max.session.timeout.ms",
        Int,
        "1800000",
        AtLeast(1),
        "The longest session timeout that a group member may ask for.",
    ),
    broker(
        "group.max.size",
        Int,
        "1000",
        AtLeast(1),
        "The most members of one group of the classic protocol.",
    ),
    broker(
        "group.min.session.timeout.ms",
        Int,
        "6000",
        AtLeast(1),
        "The shortest session timeout that a group member may ask for.",
    ),
    optional(
        "listener.security.protocol.map",
        List,
        NotEmpty,
        "Which protocol each name in `listeners` stands for, as `NAME:PROTOCOL` pairs. A name \
         without a pair is its own protocol. Listeners must be PLAINTEXT.",
    ),
    broker(
        "listeners",
        List,
        "PLAINTEXT://127.0.0.1:9092",
        NotEmpty,
        "The address to listen on, as `host:port` or `PLAINTEXT://host:port`. Port 0 takes a \
         free port; an empty host is every address of the machine.",
    ),
    dynamic(broker(
        "log.cleaner.backoff.ms",
        Long,
        "15000",
        AtLeast(0),
        "How many milliseconds compaction rests when no log needs it.",
    )),
    dynamic(broker(
        "log.cleaner.dedupe.buffer.size",
        Long,
        "134217728",
        AtLeast(1 << 20),
        "The most bytes of memory for the keys of the log that is compacted, 27 for each key. A \
         log with more keys takes more than one pass. Small logs take less memory.",
    )),
    dynamic(broker(
        "log.cleaner.io.max.bytes.per.second",
        Double,
        "1.7976931348623157E308",
        Positive,
        "How many bytes compaction reads and writes in a second, on average.",
    )),
    broker(
        "log.dir",
        String,
        "./ottla-data",
        NotEmpty,
        "The older name of `log.dirs`.",
    ),
    also(
        optional(
            "log.dirs",
            List,
            NotEmpty,
            "The directory that holds all data. There is one.",
        ),
        "log.dir",
    ),
    broker(
        "log.retention.check.interval.ms",
        Long,
        "300000",
        AtLeast(1),
        "How often the broker looks for segments that `cleanup.policy` lets go.",
    ),
    dynamic(broker(
        "max.connections",
        Int,
        "10000",
        AtLeast(1),
        "The most connections at one time.",
    )),
    dynamic(broker(
        "max.connections.per.ip",
        Int,
        "1000",
        AtLeast(1),
        "The most connections from one address at one time.",
    )),
    broker(
        "max.incremental.fetch.session.cache.slots",
        Int,
        "1000",
        AtLeast(0),
        "The most fetch sessions at one time; clients beyond that name all they read in each fetch.",
    ),
    broker(
        "max.request.partition.size.limit",
        Int,
        "2000",
        AtLeast(1),
        "The most partitions in one answer to DescribeTopicPartitions.",
    ),
    also(
        optional(
            "node.id",
            Int,
            AtLeast(0),
            "The number of this broker, which clients are told.",
        ),
        "broker.id",
    ),
    broker(
        "num.partitions",
        Int,
        "1",
        AtLeast(1),
        "How many partitions a topic gets whose creator names no number.",
    ),
    broker(
        "offset.metadata.max.bytes",
        Int,
        "4096",
        AtLeast(0),
        "The longest note that may go with a committed offset, in bytes.",
    ),
    broker(
        "offsets.retention.check.interval.ms",
        Long,
        "600000",
        AtLeast(1),
        "How often the broker looks for committed offsets that have expired.",
    ),
    broker(
        "offsets.retention.minutes",
        Int,
        "10080",
        AtLeast(1),
        "How long the committed offsets of a group without members are kept.",
    ),
    dynamic(broker(
        "producer.id.expiration.ms",
        Int,
        "86400000",
        AtLeast(1),
        "How long a partition remembers an idempotent producer that sends nothing more.",
    )),
    broker(
        "queued.max.request.bytes",
        Long,
        "268435456",
        AtLeast(1),
        "The most bytes of requests in memory, of all connections together, but for one request. \
         Reading pauses at this limit. At least `socket.request.max.bytes`.",
    ),
    broker(
        "socket.request.max.bytes",
        Int,
        "104857600",
        Between(1024, i32::MAX as i64),
        "The largest request, in bytes. A connection that sends a larger one is closed.",
    ),
    broker(
        "transaction.max.timeout.ms",
        Int,
        "900000",
        AtLeast(1),
        "The longest `transaction.timeout.ms` that a producer may ask for. A transaction that is \
         open for longer than its producer asked for is aborted.",
    ),
    broker(
        "transactional.id.expiration.ms",
        Int,
        "604800000",
        AtLeast(1),
        "How long the broker remembers a transactional id without a transaction.",
    ),
];
