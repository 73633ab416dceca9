//! Pure. The table and its values as DescribeConfigs shows them.

use super::broker::BrokerConfig;
use super::setting::{ConfigType, Scope, Setting, Value};
use super::table::{broker_setting, broker_settings, synonyms, topic_settings};
use super::topic::TopicConfig;

/// Where a value comes from, as DescribeConfigs tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// The topic's own configuration.
    DynamicTopic,
    /// The configuration that the broker was started with.
    StaticBroker,
    /// The table.
    Default,
}

impl ConfigSource {
    /// The code in a DescribeConfigs response.
    #[must_use]
    pub fn code(self) -> i8 {
        match self {
            Self::DynamicTopic => 1,
            Self::StaticBroker => 4,
            Self::Default => 5,
        }
    }
}

/// A value for the same thing, under its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The setting.
    pub name: &'static str,
    /// Its value, in its own unit.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
}

/// One setting with what holds for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Kafka's name.
    pub name: &'static str,
    /// What holds.
    pub value: Option<String>,
    /// Where that comes from.
    pub source: ConfigSource,
    /// Whether clients cannot change it.
    pub read_only: bool,
    /// Whether clients are not to see the value. No setting is, so far.
    pub is_sensitive: bool,
    /// The type of the value.
    pub config_type: ConfigType,
    /// All values for the same thing; the first of them holds.
    pub synonyms: Vec<ConfigSynonym>,
    /// What it does.
    pub documentation: &'static str,
}

/// Every setting of a topic, by name.
#[must_use]
pub fn describe_topic(topic: &TopicConfig, broker: &BrokerConfig) -> Vec<ConfigEntry> {
    topic_settings()
        .iter()
        .map(|setting| topic_entry(setting, topic, broker))
        .collect()
}

/// Every setting of the broker, by name. None can be changed while it runs.
#[must_use]
pub fn describe_broker(broker: &BrokerConfig) -> Vec<ConfigEntry> {
    broker_settings()
        .iter()
        .map(|setting| broker_entry(setting, broker))
        .collect()
}

fn topic_entry(setting: &Setting, topic: &TopicConfig, broker: &BrokerConfig) -> ConfigEntry {
    let own = topic.get(setting.name).map(|value| ConfigSynonym {
        name: setting.name,
        value: Some(value.to_owned()),
        source: ConfigSource::DynamicTopic,
    });
    let defaults = synonyms(setting)
        .iter()
        .filter_map(|synonym| broker_setting(synonym.name).ok());
    let defaults: Vec<&Setting> = defaults.collect();
    let synonyms: Vec<ConfigSynonym> = own
        .iter()
        .cloned()
        .chain(values(&defaults, broker))
        .collect();
    let inherited = || {
        broker
            .topic_default(setting.name)
            .map(|value| value.to_string())
    };
    ConfigEntry {
        name: setting.name,
        value: own.and_then(|own| own.value).or_else(inherited),
        source: source(&synonyms),
        read_only: false,
        is_sensitive: false,
        config_type: setting.config_type,
        synonyms,
        documentation: setting.doc,
    }
}

fn broker_entry(setting: &'static Setting, broker: &BrokerConfig) -> ConfigEntry {
    let mut names = vec![setting];
    if let Scope::Broker { alias: Some(alias) } = setting.scope {
        names.extend(broker_setting(alias));
    }
    let synonyms = values(&names, broker);
    ConfigEntry {
        name: setting.name,
        value: broker
            .broker_value(setting.name)
            .map(|value| value.to_string()),
        source: source(&synonyms),
        read_only: true,
        is_sensitive: false,
        config_type: setting.config_type,
        synonyms,
        documentation: setting.doc,
    }
}

fn source(synonyms: &[ConfigSynonym]) -> ConfigSource {
    synonyms
        .first()
        .map_or(ConfigSource::Default, |synonym| synonym.source)
}

/// What was given under these names, in their order, then their defaults.
fn values(names: &[&'static Setting], broker: &BrokerConfig) -> Vec<ConfigSynonym> {
    let synonym = |setting: &&'static Setting, value: Option<String>, source| {
        value.map(|value| ConfigSynonym {
            name: setting.name,
            value: Some(value),
            source,
        })
    };
    let given = names.iter().filter_map(|setting| {
        let value = broker.given(setting.name).map(Value::to_string);
        synonym(setting, value, ConfigSource::StaticBroker)
    });
    let defaults = names.iter().filter_map(|setting| {
        synonym(
            setting,
            setting.default.map(str::to_owned),
            ConfigSource::Default,
        )
    });
    given.chain(defaults).collect()
}
