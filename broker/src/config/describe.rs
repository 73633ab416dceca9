//! Pure. The table and its values as DescribeConfigs shows them.

use super::broker::BrokerConfig;
use super::setting::{ConfigType, Setting};
use super::table::{broker_setting, broker_settings, family, synonyms, topic_settings};
use super::topic::TopicConfig;

/// Where a value comes from, as DescribeConfigs tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// The topic's own configuration.
    DynamicTopic,
    /// Set by a client, for this broker.
    DynamicBroker,
    /// Set by a client, for every broker.
    DynamicDefaultBroker,
    /// The configuration that the broker was started with.
    StaticBroker,
    /// The table.
    Default,
    /// The group's own configuration.
    DynamicGroup,
}

impl ConfigSource {
    /// The code in a DescribeConfigs response.
    #[must_use]
    pub fn code(self) -> i8 {
        match self {
            Self::DynamicTopic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicDefaultBroker => 3,
            Self::StaticBroker => 4,
            Self::Default => 5,
            Self::DynamicGroup => 8,
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

/// Every setting of the broker, by name.
#[must_use]
pub fn describe_broker(broker: &BrokerConfig) -> Vec<ConfigEntry> {
    broker_settings()
        .iter()
        .map(|setting| broker_entry(setting, broker))
        .collect()
}

/// The settings that clients have set for every broker, by name.
#[must_use]
pub fn describe_cluster_defaults(broker: &BrokerConfig) -> Vec<ConfigEntry> {
    let set_for_all = |setting: &'static Setting| {
        let (source, value) = broker
            .given(setting.name)
            .find(|(source, _)| *source == ConfigSource::DynamicDefaultBroker)?;
        let value = Some(value.to_string());
        Some(ConfigEntry {
            name: setting.name,
            value: value.clone(),
            source,
            read_only: false,
            is_sensitive: false,
            config_type: setting.config_type,
            synonyms: vec![ConfigSynonym {
                name: setting.name,
                value,
                source,
            }],
            documentation: setting.doc,
        })
    };
    broker_settings().iter().filter_map(set_for_all).collect()
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
    let family = family(setting.name).into_iter();
    // A value under an earlier name counts more: it is no synonym of a later one.
    let names: Vec<&Setting> = family
        .skip_while(|name| *name != setting.name)
        .filter_map(|name| broker_setting(name).ok())
        .collect();
    let synonyms = values(&names, broker);
    ConfigEntry {
        name: setting.name,
        value: broker
            .broker_value(setting.name)
            .map(|value| value.to_string()),
        source: source(&synonyms),
        read_only: !setting.dynamic,
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
    let synonym = |setting: &Setting, value, source| ConfigSynonym {
        name: setting.name,
        value: Some(value),
        source,
    };
    let given = names.iter().flat_map(|setting| {
        let layers = broker.given(setting.name);
        layers.map(|(source, value)| synonym(setting, value.to_string(), source))
    });
    let defaults = names.iter().filter_map(|setting| {
        let default = setting.default?.to_owned();
        Some(synonym(setting, default, ConfigSource::Default))
    });
    given.chain(defaults).collect()
}
