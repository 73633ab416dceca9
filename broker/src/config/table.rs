//! Pure. The one table of settings, and how a name is found in it.

use std::sync::LazyLock;

use super::broker_settings::BROKER_SETTINGS;
use super::error::{ConfigError, Problem};
use super::setting::{Scope, Setting, Unit};
use super::topic_settings::TOPIC_SETTINGS;

use super::setting::ConfigType;

/// The broker's settings and the defaults of the topics', by name.
static ALL_BROKER_SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let defaults = TOPIC_SETTINGS.iter().flat_map(topic_defaults);
    let mut settings: Vec<Setting> = BROKER_SETTINGS.iter().cloned().chain(defaults).collect();
    settings.sort_by_key(|setting| setting.name);
    settings
});

/// Every topic setting, sorted by name.
#[must_use]
pub fn topic_settings() -> &'static [Setting] {
    TOPIC_SETTINGS
}

/// Every broker setting, sorted by name.
#[must_use]
pub fn broker_settings() -> &'static [Setting] {
    &ALL_BROKER_SETTINGS
}

/// The topic setting of this name.
///
/// # Errors
///
/// There is none; the error names the one that was probably meant.
pub fn topic_setting(name: &str) -> Result<&'static Setting, ConfigError> {
    find(topic_settings(), name).ok_or_else(|| {
        let by_synonym = find(broker_settings(), name).and_then(topic_of);
        let nearest = by_synonym.or_else(|| nearest(topic_settings(), name));
        ConfigError::new(name, Problem::Unknown { nearest })
    })
}

/// The broker setting of this name.
///
/// # Errors
///
/// There is none; the error names the one that was probably meant.
pub fn broker_setting(name: &str) -> Result<&'static Setting, ConfigError> {
    find(broker_settings(), name).ok_or_else(|| {
        let by_topic = find(topic_settings(), name)
            .and_then(|setting| synonyms(setting).first())
            .map(|synonym| synonym.name);
        let nearest = by_topic.or_else(|| nearest(broker_settings(), name));
        ConfigError::new(name, Problem::Unknown { nearest })
    })
}

/// The names under which a value for the same thing can stand, the one that counts first.
/// Each name alone when it has no other.
pub(super) fn family(name: &'static str) -> Vec<&'static str> {
    let Some(setting) = find(broker_settings(), name) else {
        return vec![name];
    };
    match setting.scope {
        Scope::TopicDefault { topic, .. } => find(topic_settings(), topic)
            .map(|topic| synonyms(topic).iter().map(|synonym| synonym.name).collect())
            .unwrap_or_default(),
        Scope::Broker { alias: Some(alias) } => vec![name, alias],
        Scope::Broker { alias: None } => broker_settings()
            .iter()
            .find(|other| other.scope == Scope::Broker { alias: Some(name) })
            .map_or_else(|| vec![name], |other| vec![other.name, name]),
        Scope::Topic(_) | Scope::Group(_) => vec![name],
    }
}

pub(super) fn synonyms(setting: &Setting) -> &'static [super::setting::Synonym] {
    match setting.scope {
        Scope::Topic(synonyms) => synonyms,
        _ => &[],
    }
}

fn topic_of(setting: &Setting) -> Option<&'static str> {
    match setting.scope {
        Scope::TopicDefault { topic, .. } => Some(topic),
        _ => None,
    }
}

fn find(settings: &'static [Setting], name: &str) -> Option<&'static Setting> {
    let index = settings
        .binary_search_by_key(&name, |setting| setting.name)
        .ok()?;
    settings.get(index)
}

/// The broker settings that are the defaults of a topic setting. The last one has the topic
/// setting's own default, in its unit.
fn topic_defaults(topic: &Setting) -> impl Iterator<Item = Setting> + use<> {
    let (config_type, allowed, default, topic_name) =
        (topic.config_type, topic.allowed, topic.default, topic.name);
    let synonyms = synonyms(topic);
    let count = synonyms.len();
    synonyms.iter().enumerate().map(move |(i, synonym)| {
        let factor = synonym.unit.factor();
        let config_type = if synonym.unit == Unit::Same {
            config_type
        } else {
            ConfigType::Int
        };
        let scope = Scope::TopicDefault {
            topic: topic_name,
            unit: synonym.unit,
        };
        let default = default.filter(|_| i + 1 == count);
        Setting {
            name: synonym.name,
            config_type,
            default: default.map(|default| in_unit(default, factor)),
            allowed,
            scope,
            // As in Kafka: only the first name can be changed, and minutes and hours cannot.
            dynamic: i == 0,
            doc: topic_doc(topic_name),
        }
    })
}

/// A default in a larger unit. It lives as long as the table does: for ever.
fn in_unit(default: &'static str, factor: i64) -> &'static str {
    match default.parse::<i64>() {
        Ok(value) if factor > 1 => (value / factor).to_string().leak(),
        _ => default,
    }
}

fn topic_doc(topic: &str) -> &'static str {
    format!("The value of `{topic}` for a topic that does not set it.").leak()
}

/// The most alike name, if it is alike enough to be a slip.
fn nearest(settings: &'static [Setting], name: &str) -> Option<&'static str> {
    /// Longer names are not compared: the effort grows with the product of the lengths.
    const LONGEST: usize = 100;
    if name.len() > LONGEST {
        return None;
    }
    let name = name.to_ascii_lowercase().replace(['_', '-'], ".");
    settings
        .iter()
        .map(|setting| (strsim::osa_distance(&name, setting.name), setting.name))
        .min()
        .filter(|(distance, known)| *distance <= 2.max(known.len() / 4))
        .map(|(_, known)| known)
}
