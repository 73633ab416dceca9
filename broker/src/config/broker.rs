//! Pure. The broker's configuration: parsed once, then only read.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::describe::ConfigSource;
use super::endpoint::{Endpoint, ListenerNames};
use super::error::{ConfigError, Problem};
use super::foreign::{Foreign, Verdict, foreign};
use super::map::{ConfigMap, Origin};
use super::setting::{Scope, Value};
use super::table::{broker_setting, synonyms, topic_setting};
use super::topic::EffectiveTopicConfig;
use super::values::Values;

const MIN_SESSION: &str = "group.consumer.min.session.timeout.ms";
const MAX_SESSION: &str = "group.consumer.max.session.timeout.ms";
const MIN_HEARTBEAT: &str = "group.consumer.min.heartbeat.interval.ms";
const MAX_HEARTBEAT: &str = "group.consumer.max.heartbeat.interval.ms";

/// All that the broker is told. The fields bear Kafka's names; units are in the types.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BrokerConfig {
    /// `advertised.listeners`; without it, clients are told the address that is listened on.
    pub advertised_listener: Option<Endpoint>,
    /// `auto.create.topics.enable`.
    pub auto_create_topics_enable: bool,
    /// `broker.rack`.
    pub broker_rack: Option<String>,
    /// `connections.max.idle.ms`.
    pub connections_max_idle: Duration,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
    /// `fetch.max.bytes`.
    pub fetch_max_bytes: usize,
    /// `group.consumer.assignors`, by name, the one that is taken by default first.
    pub group_consumer_assignors: Vec<String>,
    /// `group.consumer.heartbeat.interval.ms`.
    pub group_consumer_heartbeat_interval: Duration,
    /// `group.consumer.min.heartbeat.interval.ms` to `group.consumer.max.heartbeat.interval.ms`.
    pub group_consumer_heartbeat_interval_limits: RangeInclusive<Duration>,
    /// `group.consumer.max.size`, in members.
    pub group_consumer_max_size: usize,
    /// `group.consumer.migration.policy`, as it was written.
    pub group_consumer_migration_policy: String,
    /// `group.consumer.session.timeout.ms`.
    pub group_consumer_session_timeout: Duration,
    /// `group.consumer.min.session.timeout.ms` to `group.consumer.max.session.timeout.ms`.
    pub group_consumer_session_timeout_limits: RangeInclusive<Duration>,
    /// `group.initial.rebalance.delay.ms`.
    pub group_initial_rebalance_delay: Duration,
    /// `group.max.session.timeout.ms`.
    pub group_max_session_timeout: Duration,
    /// `group.max.size`, in members.
    pub group_max_size: usize,
    /// `group.min.session.timeout.ms`.
    pub group_min_session_timeout: Duration,
    /// `listeners`.
    pub listener: Endpoint,
    /// `log.cleaner.backoff.ms`.
    pub log_cleaner_backoff: Duration,
    /// `log.cleaner.dedupe.buffer.size`, in bytes.
    pub log_cleaner_dedupe_buffer_size: usize,
    /// `log.cleaner.io.max.bytes.per.second`; above 0.
    pub log_cleaner_io_max_bytes_per_second: f64,
    /// `log.dirs`, as it was given: perhaps relative.
    pub log_dir: PathBuf,
    /// `log.retention.check.interval.ms`.
    pub log_retention_check_interval: Duration,
    /// `max.connections`.
    pub max_connections: usize,
    /// `max.connections.per.ip`.
    pub max_connections_per_ip: usize,
    /// `max.incremental.fetch.session.cache.slots`.
    pub max_incremental_fetch_session_cache_slots: usize,
    /// `max.request.partition.size.limit`, in partitions.
    pub max_request_partition_size_limit: usize,
    /// `node.id`.
    pub node_id: i32,
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval: Duration,
    /// `offsets.retention.minutes`.
    pub offsets_retention: Duration,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration: Duration,
    /// `queued.max.request.bytes`; at least `socket_request_max_bytes`.
    pub queued_max_request_bytes: usize,
    /// `socket.request.max.bytes`.
    pub socket_request_max_bytes: usize,
    /// What holds for a topic that sets nothing.
    pub topic_defaults: EffectiveTopicConfig,
    /// `transaction.max.timeout.ms`, in milliseconds as clients give theirs.
    pub transaction_max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`.
    pub transactional_id_expiration: Duration,
    given: Given,
    warnings: Vec<ConfigWarning>,
}

/// A setting that was accepted and does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWarning {
    /// Kafka's name.
    pub key: String,
    /// Where it was given.
    pub origin: Origin,
    /// Why it does nothing, as a clause.
    pub reason: &'static str,
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            origin,
            reason,
        } = self;
        write!(f, "{origin}: the setting `{key}` has no effect: {reason}")
    }
}

impl Default for BrokerConfig {
    /// What holds without any configuration.
    fn default() -> Self {
        // Every default passes its own check; a test reads them all.
        Self::from_given(Given::default(), Vec::new())
            .unwrap_or_else(|error| unreachable!("the defaults are invalid: {error}"))
    }
}

impl BrokerConfig {
    /// The configuration that these settings make, all given by the program; of a repeated key
    /// the last counts.
    ///
    /// # Errors
    ///
    /// A key is unknown or not supported, a value is not allowed, or two do not go together.
    pub fn from_entries<K, V>(
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigError>
    where
        K: AsRef<str>,
        V: Into<String>,
    {
        let mut map = ConfigMap::new();
        for (key, value) in entries {
            map.set(key.as_ref(), value, Origin::Program);
        }
        Self::from_map(&map)
    }

    /// The configuration that these settings make.
    ///
    /// # Errors
    ///
    /// As [`from_entries`](Self::from_entries).
    pub fn from_map(map: &ConfigMap) -> Result<Self, ConfigError> {
        let mut given = Given::default();
        let mut warnings = Vec::new();
        for (key, value, origin) in map.iter() {
            match broker_setting(key) {
                Ok(setting) => {
                    let value = setting
                        .parse(value)
                        .map_err(|error| error.at(Some(origin)))?;
                    given.started.insert(setting.name, (value, origin.clone()));
                }
                Err(unknown) => {
                    let warning = without_effect(key, value, origin, unknown)
                        .map_err(|error| error.at(Some(origin)))?;
                    warnings.push(warning);
                }
            }
        }
        Self::from_given(given, warnings)
    }

    /// What this configuration becomes when clients have set these: `cluster` for every broker,
    /// `broker` for this one. The latter count more, and both more than what the broker was started
    /// with.
    ///
    /// # Errors
    ///
    /// A key is unknown or cannot be changed while the broker runs, a value is not allowed, or two
    /// do not go together.
    pub(crate) fn with_dynamic(
        &self,
        cluster: &BTreeMap<String, String>,
        broker: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let given = Given {
            started: self.given.started.clone(),
            cluster: dynamic_values(cluster)?,
            broker: dynamic_values(broker)?,
        };
        Self::from_given(given, self.warnings.clone())
    }

    /// The settings that were accepted and do nothing.
    #[must_use]
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.warnings
    }

    /// Where the broker setting of this name was given; `None` if nowhere.
    #[must_use]
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.given.origin(name)
    }

    /// The values that the broker setting of this name was given, the one that holds first.
    pub(super) fn given(&self, name: &str) -> impl Iterator<Item = (ConfigSource, &Value)> {
        self.given.layers(name)
    }

    /// What holds for the broker setting of this name, with its alias and its default.
    pub(super) fn broker_value(&self, name: &'static str) -> Option<Value> {
        self.given.value(name)
    }

    /// What holds for a topic that does not set this.
    pub(super) fn topic_default(&self, name: &'static str) -> Option<Value> {
        TopicDefaults(&self.given).value(name)
    }

    fn from_given(given: Given, warnings: Vec<ConfigWarning>) -> Result<Self, ConfigError> {
        let (listener, advertised_listener) = given.listeners()?;
        given.check_together()?;
        Ok(Self {
            advertised_listener,
            auto_create_topics_enable: given.bool("auto.create.topics.enable"),
            broker_rack: given.text("broker.rack"),
            connections_max_idle: given.milliseconds("connections.max.idle.ms"),
            delete_topic_enable: given.bool("delete.topic.enable"),
            fetch_max_bytes: given.usize("fetch.max.bytes"),
            group_consumer_assignors: given.list("group.consumer.assignors"),
            group_consumer_heartbeat_interval: given
                .milliseconds("group.consumer.heartbeat.interval.ms"),
            group_consumer_heartbeat_interval_limits: given.milliseconds(MIN_HEARTBEAT)
                ..=given.milliseconds(MAX_HEARTBEAT),
            group_consumer_max_size: given.usize("group.consumer.max.size"),
            group_consumer_migration_policy: given
                .text("group.consumer.migration.policy")
                .unwrap_or_default(),
            group_consumer_session_timeout: given.milliseconds("group.consumer.session.timeout.ms"),
            group_consumer_session_timeout_limits: given.milliseconds(MIN_SESSION)
                ..=given.milliseconds(MAX_SESSION),
            group_initial_rebalance_delay: given.milliseconds("group.initial.rebalance.delay.ms"),
            group_max_session_timeout: given.milliseconds("group.max.session.timeout.ms"),
            group_max_size: given.usize("group.max.size"),
            group_min_session_timeout: given.milliseconds("group.min.session.timeout.ms"),
            listener,
            log_dir: given.log_dir()?,
            log_cleaner_backoff: given.milliseconds("log.cleaner.backoff.ms"),
            log_cleaner_dedupe_buffer_size: given.usize("log.cleaner.dedupe.buffer.size"),
            log_cleaner_io_max_bytes_per_second: given
                .double("log.cleaner.io.max.bytes.per.second"),
            log_retention_check_interval: given.milliseconds("log.retention.check.interval.ms"),
            max_connections: given.usize("max.connections"),
            max_connections_per_ip: given.usize("max.connections.per.ip"),
            max_incremental_fetch_session_cache_slots: given
                .usize("max.incremental.fetch.session.cache.slots"),
            max_request_partition_size_limit: given.usize("max.request.partition.size.limit"),
            node_id: given.i32("node.id"),
            num_partitions: given.i32("num.partitions"),
            offset_metadata_max_bytes: given.usize("offset.metadata.max.bytes"),
            offsets_retention_check_interval: given
                .milliseconds("offsets.retention.check.interval.ms"),
            offsets_retention: 60_000 * given.milliseconds("offsets.retention.minutes"),
            producer_id_expiration: given.milliseconds("producer.id.expiration.ms"),
            queued_max_request_bytes: given.usize("queued.max.request.bytes"),
            socket_request_max_bytes: given.usize("socket.request.max.bytes"),
            topic_defaults: EffectiveTopicConfig::read(&TopicDefaults(&given)),
            transaction_max_timeout_ms: given.i32("transaction.max.timeout.ms"),
            transactional_id_expiration: given.milliseconds("transactional.id.expiration.ms"),
            given,
            warnings,
        })
    }
}

/// A setting of Kafka's that can be accepted without effect, or the error that it cannot.
fn without_effect(
    key: &str,
    value: &str,
    origin: &Origin,
    unknown: ConfigError,
) -> Result<ConfigWarning, ConfigError> {
    let Some(foreign) = foreign(key) else {
        return Err(unknown);
    };
    let reason = foreign.reason;
    match foreign.verdict {
        Verdict::Refused => Err(ConfigError::new(key, Problem::Unsupported { reason })),
        Verdict::IgnoredIf(only) if !value.trim().eq_ignore_ascii_case(only) => {
            let expected = format!("`{only}`, because {reason}");
            Err(ConfigError::bad_value(key, value, &expected))
        }
        Verdict::Ignored | Verdict::IgnoredIf(_) => Ok(ConfigWarning {
            key: key.to_owned(),
            origin: origin.clone(),
            reason,
        }),
    }
}

/// What clients set, read with the types of the table.
fn dynamic_values(
    entries: &BTreeMap<String, String>,
) -> Result<BTreeMap<&'static str, Value>, ConfigError> {
    let read = |(key, value): (&String, &String)| {
        let setting = broker_setting(key).map_err(|unknown| match foreign(key) {
            Some(Foreign { reason, .. }) => ConfigError::new(key, Problem::Unsupported { reason }),
            None => unknown,
        })?;
        if !setting.dynamic {
            return Err(ConfigError::new(key, Problem::NotDynamic));
        }
        Ok((setting.name, setting.parse(value)?))
    };
    entries.iter().map(read).collect()
}

/// The values that were given, by the names in the table.
#[derive(Debug, Clone, Default)]
struct Given {
    /// When the broker was started.
    started: BTreeMap<&'static str, (Value, Origin)>,
    /// By clients, for every broker.
    cluster: BTreeMap<&'static str, Value>,
    /// By clients, for this broker.
    broker: BTreeMap<&'static str, Value>,
}

impl Values for Given {
    fn value(&self, name: &'static str) -> Option<Value> {
        let setting = broker_setting(name).ok()?;
        let given = |name| self.get(name).cloned();
        let default = setting
            .default
            .and_then(|default| setting.parse(default).ok());
        given(name).or(default).or_else(|| match setting.scope {
            Scope::Broker { alias: Some(alias) } => {
                let value = self.value(alias)?;
                setting.parse(&value.to_string()).ok()
            }
            _ => None,
        })
    }
}

impl Given {
    /// Every value of this name, the one that holds first.
    fn layers(&self, name: &str) -> impl Iterator<Item = (ConfigSource, &Value)> {
        let layer = |source, value: Option<_>| value.map(|value| (source, value));
        let started = self.started.get(name).map(|(value, _)| value);
        [
            layer(ConfigSource::DynamicBroker, self.broker.get(name)),
            layer(ConfigSource::DynamicDefaultBroker, self.cluster.get(name)),
            layer(ConfigSource::StaticBroker, started),
        ]
        .into_iter()
        .flatten()
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.layers(name).next().map(|(_, value)| value)
    }

    fn origin(&self, name: &str) -> Option<&Origin> {
        self.started.get(name).map(|(_, origin)| origin)
    }

    fn listeners(&self) -> Result<(Endpoint, Option<Endpoint>), ConfigError> {
        let bad = |name, expected: &str| {
            let value = self.list(name).join(",");
            ConfigError::bad_value(name, &value, expected).at(self.origin(name))
        };
        let pairs = self.list("listener.security.protocol.map");
        let names = ListenerNames::new(self.list("controller.listener.names"), &pairs)
            .map_err(|expected| bad("listener.security.protocol.map", expected))?;
        let listener = names
            .client_endpoint(&self.list("listeners"))
            .map_err(|expected| bad("listeners", expected))?;
        let advertised = self.list("advertised.listeners");
        if advertised.is_empty() {
            return Ok((listener, None));
        }
        let advertised = names
            .client_endpoint(&advertised)
            .map_err(|expected| bad("advertised.listeners", expected))?;
        if advertised.is_unspecified() || advertised.port == 0 {
            let expected = "an address that clients can connect to";
            return Err(bad("advertised.listeners", expected));
        }
        Ok((listener, Some(advertised)))
    }

    fn log_dir(&self) -> Result<PathBuf, ConfigError> {
        match self.list("log.dirs").as_slice() {
            [directory] => Ok(PathBuf::from(directory)),
            several => {
                let expected = "one directory, because Ottla keeps all data in one";
                let error = ConfigError::bad_value("log.dirs", &several.join(","), expected);
                Err(error.at(self.origin("log.dirs")))
            }
        }
    }

    fn check_together(&self) -> Result<(), ConfigError> {
        if let (Some((node, origin)), Some((broker, _))) =
            (self.started.get("node.id"), self.started.get("broker.id"))
            && node != broker
        {
            let reason = format!("`broker.id` is `{broker}` and must be the same");
            return Err(ConfigError::conflict("node.id", node, reason).at(Some(origin)));
        }
        self.not_more(
            "group.min.session.timeout.ms",
            "group.max.session.timeout.ms",
        )?;
        self.not_more(MIN_SESSION, "group.consumer.session.timeout.ms")?;
        self.not_more("group.consumer.session.timeout.ms", MAX_SESSION)?;
        self.not_more(MIN_HEARTBEAT, "group.consumer.heartbeat.interval.ms")?;
        self.not_more("group.consumer.heartbeat.interval.ms", MAX_HEARTBEAT)?;
        if self.list("group.consumer.assignors").is_empty() {
            let key = "group.consumer.assignors";
            return Err(ConfigError::bad_value(key, "", "at least one assignor"));
        }
        self.not_more("socket.request.max.bytes", "queued.max.request.bytes")?;
        self.not_more(
            "log.cleaner.min.compaction.lag.ms",
            "log.cleaner.max.compaction.lag.ms",
        )
    }

    fn not_more(&self, least: &'static str, most: &'static str) -> Result<(), ConfigError> {
        let (low, high) = (self.integer(least), self.integer(most));
        if low <= high {
            return Ok(());
        }
        let reason = format!("`{most}` is `{high}` and must not be less");
        Err(ConfigError::conflict(least, low, reason).at(self.origin(least)))
    }
}

/// The broker's values under the names and in the units of the topic settings.
struct TopicDefaults<'a>(&'a Given);

impl Values for TopicDefaults<'_> {
    fn value(&self, name: &'static str) -> Option<Value> {
        let setting = topic_setting(name).ok()?;
        let given = synonyms(setting).iter().find_map(|synonym| {
            Some(match self.0.get(synonym.name)? {
                Value::Integer(number) if *number > 0 => {
                    Value::Integer(number.saturating_mul(synonym.unit.factor()))
                }
                other => other.clone(),
            })
        });
        given.or_else(|| setting.parse(setting.default?).ok())
    }
}
