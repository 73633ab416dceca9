//! Pure. What clients set for single groups (KIP-848): the settings there are, and what a set of them means.

use std::collections::BTreeMap;
use std::time::Duration;

use super::broker::BrokerConfig;
use super::describe::{ConfigEntry, ConfigSource, ConfigSynonym};
use super::error::{ConfigError, Problem};
use super::setting::{Allowed, ConfigType, Scope, Setting, Value};

const SESSION_TIMEOUT: &str = "consumer.session.timeout.ms";
const HEARTBEAT_INTERVAL: &str = "consumer.heartbeat.interval.ms";

const fn group(name: &'static str, broker: &'static str, doc: &'static str) -> Setting {
    Setting {
        name,
        config_type: ConfigType::Int,
        default: None,
        allowed: Allowed::AtLeast(1),
        scope: Scope::Group(broker),
        dynamic: true,
        doc,
    }
}

/// Every setting of a group, by name.
const GROUP_SETTINGS: &[Setting] = &[
    group(
        HEARTBEAT_INTERVAL,
        "group.consumer.heartbeat.interval.ms",
        "How often members of the consumer protocol are to be heard from.",
    ),
    group(
        SESSION_TIMEOUT,
        "group.consumer.session.timeout.ms",
        "After how many milliseconds of silence a member of the consumer protocol is taken for gone.",
    ),
];

/// The group setting of this name.
///
/// # Errors
///
/// There is none.
pub(crate) fn group_setting(name: &str) -> Result<&'static Setting, ConfigError> {
    let found = GROUP_SETTINGS.iter().find(|setting| setting.name == name);
    found.ok_or_else(|| ConfigError::new(name, Problem::Unknown { nearest: None }))
}

/// What is set for a group; what is none is the broker's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct GroupOverrides {
    /// `consumer.session.timeout.ms`.
    pub(crate) session_timeout: Option<Duration>,
    /// `consumer.heartbeat.interval.ms`.
    pub(crate) heartbeat_interval: Option<Duration>,
}

impl GroupOverrides {
    /// What these entries mean beside the broker's configuration.
    ///
    /// # Errors
    ///
    /// A key is unknown, a value is not allowed or outside of the broker's limits, or the interval is
    /// not shorter than the session.
    pub(crate) fn from_entries(
        entries: &BTreeMap<String, String>,
        broker: &BrokerConfig,
    ) -> Result<Self, ConfigError> {
        let mut overrides = Self::default();
        for (key, value) in entries {
            let setting = group_setting(key)?;
            let parsed = setting.parse(value)?;
            let (field, limits) = if setting.name == SESSION_TIMEOUT {
                let limits = &broker.group_consumer_session_timeout_limits;
                (&mut overrides.session_timeout, limits)
            } else {
                let limits = &broker.group_consumer_heartbeat_interval_limits;
                (&mut overrides.heartbeat_interval, limits)
            };
            let duration = milliseconds(&parsed);
            if !limits.contains(&duration) {
                let (least, most) = (limits.start().as_millis(), limits.end().as_millis());
                let expected = format!("an integer from {least} to {most}, the broker's limits");
                return Err(ConfigError::bad_value(key, value, &expected));
            }
            *field = Some(duration);
        }
        overrides.check_together(broker)?;
        Ok(overrides)
    }

    fn check_together(self, broker: &BrokerConfig) -> Result<(), ConfigError> {
        let session = self
            .session_timeout
            .unwrap_or(broker.group_consumer_session_timeout);
        let interval = self
            .heartbeat_interval
            .unwrap_or(broker.group_consumer_heartbeat_interval);
        if interval < session {
            return Ok(());
        }
        let reason = format!(
            "`{SESSION_TIMEOUT}` is `{}` and must be more",
            session.as_millis()
        );
        Err(ConfigError::conflict(
            HEARTBEAT_INTERVAL,
            interval.as_millis(),
            reason,
        ))
    }
}

fn milliseconds(value: &Value) -> Duration {
    match value {
        Value::Integer(value) => Duration::from_millis(u64::try_from(*value).unwrap_or_default()),
        _ => Duration::ZERO,
    }
}

/// Every setting of a group for which these are set, by name.
pub(crate) fn describe_group(
    entries: &BTreeMap<String, String>,
    broker: &BrokerConfig,
) -> Vec<ConfigEntry> {
    let entry = |setting: &'static Setting| {
        let own = entries.get(setting.name).map(|value| ConfigSynonym {
            name: setting.name,
            value: Some(value.clone()),
            source: ConfigSource::DynamicGroup,
        });
        let inherited = match setting.scope {
            Scope::Group(name) => broker.broker_value(name).map(|value| ConfigSynonym {
                name,
                value: Some(value.to_string()),
                source: broker
                    .given(name)
                    .next()
                    .map_or(ConfigSource::Default, |(source, _)| source),
            }),
            _ => None,
        };
        let synonyms: Vec<_> = own.into_iter().chain(inherited).collect();
        let holds = synonyms.first();
        ConfigEntry {
            name: setting.name,
            value: holds.and_then(|holds| holds.value.clone()),
            source: holds.map_or(ConfigSource::Default, |holds| holds.source),
            read_only: false,
            is_sensitive: false,
            config_type: setting.config_type,
            synonyms,
            documentation: setting.doc,
        }
    };
    GROUP_SETTINGS.iter().map(entry).collect()
}
