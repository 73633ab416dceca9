//! The topic half of the table: what DescribeConfigs of a topic lists.

use super::setting::{Allowed, ConfigType, Scope, Setting, Synonym, Unit};

use Allowed::{Any, AtLeast, Between, OneOf, Only, Ratio};
use ConfigType::{Bool, Double, Int, List, Long, String};

const NO_TIERS: &str = "there is no remote storage";
const NO_REPLICAS: &str = "there is one node and so no replica";

const fn same(name: &'static str) -> Synonym {
    Synonym {
        name,
        unit: Unit::Same,
    }
}

const fn minutes(name: &'static str) -> Synonym {
    Synonym {
        name,
        unit: Unit::Minutes,
    }
}

const fn hours(name: &'static str) -> Synonym {
    Synonym {
        name,
        unit: Unit::Hours,
    }
}

const fn topic(
    name: &'static str,
    config_type: ConfigType,
    default: &'static str,
    allowed: Allowed,
    synonyms: &'static [Synonym],
    doc: &'static str,
) -> Setting {
    let scope = Scope::Topic(synonyms);
    Setting {
        name,
        config_type,
        default: Some(default),
        allowed,
        scope,
        dynamic: true,
        doc,
    }
}

/// Every topic setting, by name.
pub(super) const TOPIC_SETTINGS: &[Setting] = &[
    topic(
        "cleanup.policy",
        List,
        "delete",
        OneOf(&["compact", "delete"]),
        &[same("log.cleanup.policy")],
        "What happens to old records: `delete` drops whole segments by age and size, `compact` \
         drops records whose key has a newer one. With both, both happen; empty keeps everything.",
    ),
    topic(
        "compression.gzip.level",
        Int,
        "-1",
        OneOf(&["-1", "1", "2", "3", "4", "5", "6", "7", "8", "9"]),
        &[same("compression.gzip.level")],
        "How hard the broker tries when it compresses by gzip itself, see `compression.type`. -1 \
         is the codec's default.",
    ),
    topic(
        "compression.lz4.level",
        Int,
        "9",
        Between(1, 17),
        &[same("compression.lz4.level")],
        "Has no effect: there is one level of LZ4 here, the fastest.",
    ),
    topic(
        "compression.type",
        String,
        "producer",
        OneOf(&["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]),
        &[same("compression.type")],
        "How stored batches are compressed. `producer` keeps them as the producer compressed \
         them, which costs nothing; otherwise the broker compresses batches of another codec anew.",
    ),
    topic(
        "compression.zstd.level",
        Int,
        "3",
        Between(-131_072, 22),
        &[same("compression.zstd.level")],
        "How hard the broker tries when it compresses by zstd itself, see `compression.type`. \
         Levels below -7 are taken as -7.",
    ),
    topic(
        "delete.retention.ms",
        Long,
        "86400000",
        AtLeast(0),
        &[same("log.cleaner.delete.retention.ms")],
        "How many milliseconds compaction keeps a record without a value, so that a reader who \
         is behind still learns that its key was deleted.",
    ),
    topic(
        "file.delete.delay.ms",
        Long,
        "60000",
        AtLeast(0),
        &[same("log.segment.delete.delay.ms")],
        "Has no effect: a deleted segment goes when its last reader has let go of it.",
    ),
    topic(
        "flush.messages",
        Long,
        "1",
        AtLeast(1),
        &[same("log.flush.interval.messages")],
        "How many records may be in memory only. With 1, the default, a record is on disk before \
         it is acknowledged and survives a power failure; appends that wait at the same time \
         share one sync. With more, a record is acknowledged from the page cache: it survives \
         the end of the process, and a power failure can lose as many records as this.",
    ),
    topic(
        "flush.ms",
        Long,
        "9223372036854775807",
        AtLeast(0),
        &[
            same("log.flush.interval.ms"),
            same("log.flush.scheduler.interval.ms"),
        ],
        "How many milliseconds a record may be in memory only, where `flush.messages` is more \
         than 1. With 0, a record is on disk before it is acknowledged.",
    ),
    topic(
        "follower.replication.throttled.replicas",
        List,
        "",
        Only {
            value: "",
            because: NO_REPLICAS,
        },
        &[],
        "Always empty: there is one node and so no replica.",
    ),
    topic(
        "index.interval.bytes",
        Int,
        "4096",
        AtLeast(0),
        &[same("log.index.interval.bytes")],
        "How many bytes of log there are between two entries of a segment's index. Fewer make a \
         read find its place faster and the index larger.",
    ),
    topic(
        "leader.replication.throttled.replicas",
        List,
        "",
        Only {
            value: "",
            because: NO_REPLICAS,
        },
        &[],
        "Always empty: there is one node and so no replica.",
    ),
    topic(
        "local.retention.bytes",
        Long,
        "-2",
        Only {
            value: "-2",
            because: NO_TIERS,
        },
        &[same("log.local.retention.bytes")],
        "Always -2, the value of `retention.bytes`: there is no remote storage.",
    ),
    topic(
        "local.retention.ms",
        Long,
        "-2",
        Only {
            value: "-2",
            because: NO_TIERS,
        },
        &[same("log.local.retention.ms")],
        "Always -2, the value of `retention.ms`: there is no remote storage.",
    ),
    topic(
        "max.compaction.lag.ms",
        Long,
        "9223372036854775807",
        AtLeast(1),
        &[same("log.cleaner.max.compaction.lag.ms")],
        "After how many milliseconds at the latest a record is compacted.",
    ),
    topic(
        "max.message.bytes",
        Int,
        "1048588",
        AtLeast(0),
        &[same("message.max.bytes")],
        "The largest batch that is taken, in bytes, as compressed and with its header.",
    ),
    topic(
        "message.timestamp.after.max.ms",
        Long,
        "3600000",
        AtLeast(0),
        &[same("log.message.timestamp.after.max.ms")],
        "How many milliseconds a record's time may be ahead of the broker's, where \
         `message.timestamp.type` is CreateTime.",
    ),
    topic(
        "message.timestamp.before.max.ms",
        Long,
        "9223372036854775807",
        AtLeast(0),
        &[same("log.message.timestamp.before.max.ms")],
        "How many milliseconds a record's time may be behind the broker's, where \
         `message.timestamp.type` is CreateTime.",
    ),
    topic(
        "message.timestamp.type",
        String,
        "CreateTime",
        OneOf(&["CreateTime", "LogAppendTime"]),
        &[same("log.message.timestamp.type")],
        "Whose time a record carries: the producer's (CreateTime) or the broker's at the append \
         (LogAppendTime).",
    ),
    topic(
        "min.cleanable.dirty.ratio",
        Double,
        "0.5",
        Ratio,
        &[same("log.cleaner.min.cleanable.ratio")],
        "The share of a log that must be new since the last compaction before it is compacted \
         again.",
    ),
    topic(
        "min.compaction.lag.ms",
        Long,
        "0",
        AtLeast(0),
        &[same("log.cleaner.min.compaction.lag.ms")],
        "For how many milliseconds at least a record is left alone by compaction.",
    ),
    topic(
        "min.insync.replicas",
        Int,
        "1",
        Only {
            value: "1",
            because: "there is one node",
        },
        &[same("min.insync.replicas")],
        "Always 1: there is one node.",
    ),
    topic(
        "preallocate",
        Bool,
        "false",
        Any,
        &[same("log.preallocate")],
        "Has no effect: space on disk is reserved ahead of the writes in growing steps.",
    ),
    topic(
        "remote.log.copy.disable",
        Bool,
        "false",
        Only {
            value: "false",
            because: NO_TIERS,
        },
        &[],
        "Always false: there is no remote storage.",
    ),
    topic(
        "remote.log.delete.on.disable",
        Bool,
        "false",
        Only {
            value: "false",
            because: NO_TIERS,
        },
        &[],
        "Always false: there is no remote storage.",
    ),
    topic(
        "remote.storage.enable",
        Bool,
        "false",
        Only {
            value: "false",
            because: NO_TIERS,
        },
        &[],
        "Always false: there is no remote storage.",
    ),
    topic(
        "retention.bytes",
        Long,
        "-1",
        AtLeast(-1),
        &[same("log.retention.bytes")],
        "How many bytes a partition keeps; older segments go. -1 is no limit. Counts where \
         `cleanup.policy` has `delete`.",
    ),
    topic(
        "retention.ms",
        Long,
        "604800000",
        AtLeast(-1),
        &[
            same("log.retention.ms"),
            minutes("log.retention.minutes"),
            hours("log.retention.hours"),
        ],
        "How long records are kept. -1 is no limit. Counts where `cleanup.policy` has `delete`.",
    ),
    topic(
        "segment.bytes",
        Int,
        "1073741824",
        AtLeast(14),
        &[same("log.segment.bytes")],
        "How large a segment file grows, in bytes. Records go by whole segments.",
    ),
    topic(
        "segment.index.bytes",
        Int,
        "10485760",
        AtLeast(4),
        &[same("log.index.size.max.bytes")],
        "Has no effect: an index grows with its segment.",
    ),
    topic(
        "segment.jitter.ms",
        Long,
        "0",
        AtLeast(0),
        &[same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")],
        "Has no effect: many segments that roll at the same time do no harm.",
    ),
    topic(
        "segment.ms",
        Long,
        "604800000",
        AtLeast(1),
        &[same("log.roll.ms"), hours("log.roll.hours")],
        "How old the first record of a segment gets before a new segment is begun.",
    ),
    topic(
        "unclean.leader.election.enable",
        Bool,
        "false",
        Any,
        &[same("unclean.leader.election.enable")],
        "Has no effect: there is one node, which leads every partition.",
    ),
];
