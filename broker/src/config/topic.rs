//! Pure. What a topic sets itself, and what holds for it together with the broker's defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_protocol::record::{Compression, Limits, Rules, TimestampType};
use ottla_storage::config::{Compaction, Durability, LogConfig};

use super::broker::BrokerConfig;
use super::error::ConfigError;
use super::setting::Value;
use super::table::topic_setting;
use super::values::Values;

/// The settings that a topic has of its own. All of them are valid.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TopicConfig {
    overrides: BTreeMap<&'static str, String>,
}

impl TopicConfig {
    /// The settings in `entries`; of a repeated key the last.
    ///
    /// # Errors
    ///
    /// A key is unknown, a value is not allowed, or two do not go together.
    pub fn from_entries<K, V>(
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigError>
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let mut config = Self::default();
        for (key, value) in entries {
            let setting = topic_setting(key.as_ref())?;
            let value = setting.parse(value.as_ref())?;
            config.overrides.insert(setting.name, value.to_string());
        }
        config.check_together()?;
        Ok(config)
    }

    /// This configuration with one setting more.
    ///
    /// # Errors
    ///
    /// As [`from_entries`](Self::from_entries).
    pub fn with(&self, key: &str, value: &str) -> Result<Self, ConfigError> {
        Self::from_entries(self.iter().chain([(key, value)]))
    }

    /// This configuration without this setting, which then has the broker's default.
    ///
    /// # Errors
    ///
    /// The key is unknown, or what is left does not go together.
    pub fn without(&self, key: &str) -> Result<Self, ConfigError> {
        let name = topic_setting(key)?.name;
        Self::from_entries(self.iter().filter(|(key, _)| *key != name))
    }

    /// The settings, by key, as they are to be stored.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.overrides
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
    }

    /// The value that the topic itself has for this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.overrides.get(key).map(String::as_str)
    }

    /// What holds for the topic: its own settings, then the broker's.
    #[must_use]
    pub fn effective(&self, broker: &BrokerConfig) -> EffectiveTopicConfig {
        EffectiveTopicConfig::read(&Layers {
            topic: self,
            broker,
        })
    }

    fn check_together(&self) -> Result<(), ConfigError> {
        let lag = |name| self.get(name).and_then(|value| value.parse::<i64>().ok());
        let (Some(min), Some(max)) = (lag("min.compaction.lag.ms"), lag("max.compaction.lag.ms"))
        else {
            return Ok(());
        };
        if min > max {
            let reason = format!("`max.compaction.lag.ms` is `{max}` and must not be less");
            return Err(ConfigError::conflict("min.compaction.lag.ms", min, reason));
        }
        Ok(())
    }
}

/// Checks one setting of a topic.
///
/// # Errors
///
/// The key is unknown or the value is not allowed.
pub fn validate_topic_override(key: &str, value: &str) -> Result<(), ConfigError> {
    topic_setting(key)?.parse(value).map(drop)
}

/// Which of its old records a topic lets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Segments that are too old or too many.
    pub delete: bool,
    /// Records whose key has a newer one.
    pub compact: bool,
}

/// How the broker compresses batches anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recompression {
    /// The codec.
    pub codec: Compression,
    /// `compression.gzip.level` or `compression.zstd.level`; `None` is the codec's default.
    pub level: Option<i32>,
}

/// All that holds for one topic.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectiveTopicConfig {
    /// `cleanup.policy`.
    pub cleanup_policy: CleanupPolicy,
    /// `compression.type`; `None` keeps the producer's.
    pub compression: Option<Recompression>,
    /// `delete.retention.ms`.
    pub delete_retention: Duration,
    /// `flush.messages` and `flush.ms`.
    pub durability: Durability,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// `max.compaction.lag.ms`; `None` for never.
    pub max_compaction_lag: Option<Duration>,
    /// `max.message.bytes`: the largest batch, with its header.
    pub max_message_bytes: u32,
    /// `message.timestamp.after.max.ms`; `None` for any.
    pub message_timestamp_after_max: Option<Duration>,
    /// `message.timestamp.before.max.ms`; `None` for any.
    pub message_timestamp_before_max: Option<Duration>,
    /// `message.timestamp.type`.
    pub message_timestamp_type: TimestampType,
    /// `min.cleanable.dirty.ratio`, from 0 to 1.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag: Duration,
    /// `retention.bytes`; `None` for no limit.
    pub retention_bytes: Option<u64>,
    /// `retention.ms`; `None` for no limit.
    pub retention: Option<Duration>,
    /// `segment.bytes`.
    pub segment_bytes: u32,
    /// `segment.ms`.
    pub segment_age: Duration,
}

impl EffectiveTopicConfig {
    /// What a producer that speaks this version of Produce may append.
    pub(crate) fn rules(&self, produce_version: i16) -> Rules {
        Rules {
            max_batch_size: usize::try_from(self.max_message_bytes).unwrap_or(usize::MAX),
            produce_version,
            compacted: self.cleanup_policy.compact,
            timestamp_type: self.message_timestamp_type,
            timestamp_before_max: self.message_timestamp_before_max,
            timestamp_after_max: self.message_timestamp_after_max,
            limits: Limits::default(),
        }
    }

    pub(super) fn read(values: &impl Values) -> Self {
        let cleanup = values.list("cleanup.policy");
        let append_time = values.text("message.timestamp.type").as_deref() == Some("LogAppendTime");
        Self {
            cleanup_policy: CleanupPolicy {
                delete: cleanup.iter().any(|policy| policy == "delete"),
                compact: cleanup.iter().any(|policy| policy == "compact"),
            },
            compression: recompression(values),
            delete_retention: values.milliseconds("delete.retention.ms"),
            durability: durability(values),
            index_interval_bytes: values.u32("index.interval.bytes"),
            max_compaction_lag: values.milliseconds_or_never("max.compaction.lag.ms"),
            max_message_bytes: values.u32("max.message.bytes"),
            message_timestamp_after_max: values
                .milliseconds_or_never("message.timestamp.after.max.ms"),
            message_timestamp_before_max: values
                .milliseconds_or_never("message.timestamp.before.max.ms"),
            message_timestamp_type: if append_time {
                TimestampType::LogAppendTime
            } else {
                TimestampType::CreateTime
            },
            min_cleanable_dirty_ratio: values.double("min.cleanable.dirty.ratio"),
            min_compaction_lag: values.milliseconds("min.compaction.lag.ms"),
            retention_bytes: values.unlimited_if_negative("retention.bytes"),
            retention: values
                .unlimited_if_negative("retention.ms")
                .map(Duration::from_millis),
            segment_bytes: values.u32("segment.bytes"),
            segment_age: values.milliseconds("segment.ms"),
        }
    }

    /// The part that storage needs.
    #[must_use]
    pub fn to_log_config(&self) -> LogConfig {
        let compaction = self.cleanup_policy.compact.then_some(Compaction {
            min_cleanable_dirty_ratio: self.min_cleanable_dirty_ratio,
            min_lag: self.min_compaction_lag,
            max_lag: self.max_compaction_lag,
            delete_retention: self.delete_retention,
        });
        // What is appended to is not compacted, so it is rolled in time for that.
        let max_lag = self
            .max_compaction_lag
            .filter(|_| self.cleanup_policy.compact);
        LogConfig {
            segment_bytes: self.segment_bytes,
            segment_age: max_lag.map_or(self.segment_age, |lag| lag.min(self.segment_age)),
            index_interval_bytes: self.index_interval_bytes,
            timestamp_type: self.message_timestamp_type,
            durability: self.durability,
            compaction,
        }
    }
}

fn recompression(values: &impl Values) -> Option<Recompression> {
    let level = |name| Some(values.i32(name));
    let (codec, level) = match values.text("compression.type").as_deref() {
        Some("uncompressed") => (Compression::None, None),
        Some("gzip") => {
            let level = level("compression.gzip.level").filter(|level| *level >= 0);
            (Compression::Gzip, level)
        }
        Some("snappy") => (Compression::Snappy, None),
        Some("lz4") => (Compression::Lz4, None),
        Some("zstd") => (Compression::Zstd, level("compression.zstd.level")),
        _ => return None,
    };
    Some(Recompression { codec, level })
}

/// One record at most, or no time at all, in memory only means that the journal has it first.
fn durability(values: &impl Values) -> Durability {
    let messages = values.integer("flush.messages");
    let interval = values.milliseconds_or_never("flush.ms");
    if messages <= 1 || interval == Some(Duration::ZERO) {
        return Durability::Journal;
    }
    let messages = if messages == i64::MAX {
        u64::MAX
    } else {
        messages.unsigned_abs()
    };
    Durability::PageCache { messages, interval }
}

struct Layers<'a> {
    topic: &'a TopicConfig,
    broker: &'a BrokerConfig,
}

impl Values for Layers<'_> {
    fn value(&self, name: &'static str) -> Option<Value> {
        let own = self
            .topic
            .get(name)
            .and_then(|value| topic_setting(name).ok()?.parse(value).ok());
        own.or_else(|| self.broker.topic_default(name))
    }
}
