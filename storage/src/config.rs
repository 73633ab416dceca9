//! What a log and a data directory can be told. Names are Kafka's, units are in the types.

use std::time::Duration;

use ottla_protocol::record::TimestampType;

/// When an append counts as durable. Derived from `flush.messages` and `flush.ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// `flush.messages=1`: acknowledged after the shared journal has synced it. Nothing
    /// acknowledged is lost when the machine loses power.
    Journal,
    /// Acknowledged from the page cache: survives the end of the process, not of the machine.
    /// The log is synced after this many records or this time, whichever comes first.
    PageCache {
        /// `flush.messages`; `u64::MAX` for never.
        messages: u64,
        /// `flush.ms`; `None` for never.
        interval: Option<Duration>,
    },
}

/// How a log is compacted: what of `cleanup.policy=compact` is not the same for all topics.
#[derive(Debug, Clone, PartialEq)]
pub struct Compaction {
    /// `min.cleanable.dirty.ratio`, from 0 to 1.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`: younger records are left alone.
    pub min_lag: Duration,
    /// `max.compaction.lag.ms`: older ones are compacted whatever the ratio; `None` for never.
    pub max_lag: Option<Duration>,
    /// `delete.retention.ms`: how long tombstones and markers stay once nothing else is left.
    pub delete_retention: Duration,
}

impl Default for Compaction {
    fn default() -> Self {
        Self {
            min_cleanable_dirty_ratio: 0.5,
            min_lag: Duration::ZERO,
            max_lag: None,
            delete_retention: Duration::from_secs(24 * 3600),
        }
    }
}

/// The settings of one log, those of its topic.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment is rolled before it would grow past this many bytes.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is rolled when its first record is older than this.
    pub segment_age: Duration,
    /// `index.interval.bytes`: log bytes between two entries of the offset index.
    pub index_interval_bytes: u32,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `flush.messages` and `flush.ms`.
    pub durability: Durability,
    /// `cleanup.policy`: `None` unless it has `compact`.
    pub compaction: Option<Compaction>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_age: Duration::from_secs(7 * 24 * 3600),
            index_interval_bytes: 4096,
            timestamp_type: TimestampType::CreateTime,
            durability: Durability::Journal,
            compaction: None,
        }
    }
}
