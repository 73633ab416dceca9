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

/// The settings of one log, those of its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_age: Duration::from_secs(7 * 24 * 3600),
            index_interval_bytes: 4096,
            timestamp_type: TimestampType::CreateTime,
            durability: Durability::Journal,
        }
    }
}
