//! Changes of settings. Pure.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use ottla_protocol::ErrorCode;

use super::{
    Catalog, CatalogCommand, CatalogEffects, CatalogRecord, CatalogReply, TopicEntry, changed,
    refuse,
};
use crate::config::{
    BrokerConfig, ConfigChange, ConfigError, GroupOverrides, TopicConfig, broker_setting,
    group_setting, topic_setting,
};
use crate::machine::{Effects, Token};

/// For whom settings of the broker are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(crate) enum ConfigScope {
    /// Every broker of the cluster.
    Cluster,
    /// The broker with this id.
    Broker(i32),
}

/// Whose settings are changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConfigTarget {
    /// Those of the topic with this name.
    Topic(String),
    /// Those of brokers.
    Broker(ConfigScope),
    /// Those of the group with this id.
    Group(String),
}

type Entries = BTreeMap<String, String>;

impl Catalog {
    /// What clients have set for this scope.
    pub(crate) fn configs(&self, scope: ConfigScope) -> Entries {
        self.configs.get(&scope).cloned().unwrap_or_default()
    }

    pub(super) fn alter_configs(
        &mut self,
        token: Token,
        target: &ConfigTarget,
        change: &ConfigChange,
        validate_only: bool,
        started: &BrokerConfig,
    ) -> CatalogEffects {
        let planned = match target {
            ConfigTarget::Topic(name) => self.topic_change(name, change).map(Planned::Topic),
            ConfigTarget::Broker(scope) => self
                .broker_change(*scope, change, started)
                .map(|entries| Planned::Broker(*scope, entries)),
            ConfigTarget::Group(group_id) => self
                .group_change(group_id, change, started)
                .map(|entries| Planned::Group(group_id.clone(), entries)),
        };
        match planned {
            Err(refusal) => Effects::reply(token, refusal),
            Ok(_) if validate_only => Effects::reply(token, CatalogReply::Done),
            Ok(Planned::Topic(topic)) => {
                let record = CatalogRecord::topic_set(&topic);
                self.apply_topic(topic.clone());
                changed(token, record, CatalogCommand::Ensure(topic))
            }
            Ok(Planned::Broker(scope, entries)) => {
                let record = CatalogRecord::configs_set(scope, &entries);
                self.apply_configs(scope, entries.clone());
                changed(token, record, CatalogCommand::Configure(scope, entries))
            }
            Ok(Planned::Group(group_id, entries)) => {
                let record = CatalogRecord::group_configs_set(&group_id, &entries);
                self.apply_group_configs(group_id.clone(), entries.clone());
                let command = CatalogCommand::ConfigureGroup(group_id, entries);
                changed(token, record, command)
            }
        }
    }

    fn topic_change(&self, name: &str, change: &ConfigChange) -> Result<TopicEntry, CatalogReply> {
        let Some(topic) = self.topics.get(name) else {
            let code = ErrorCode::UnknownTopicOrPartition;
            return refuse(code, format!("The topic '{name}' does not exist."));
        };
        let valid = change
            .apply(&topic.overrides, topic_setting)
            .and_then(TopicConfig::from_entries);
        match valid {
            Ok(config) => Ok(TopicEntry {
                overrides: config
                    .iter()
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .collect(),
                ..topic.clone()
            }),
            Err(error) => refuse(ErrorCode::InvalidConfig, sentence(&error)),
        }
    }

    fn broker_change(
        &self,
        scope: ConfigScope,
        change: &ConfigChange,
        started: &BrokerConfig,
    ) -> Result<Entries, CatalogReply> {
        let checked = change
            .apply(&self.configs(scope), broker_setting)
            .and_then(|entries| {
                let (cluster, broker) = match scope {
                    ConfigScope::Cluster => (entries.clone(), Entries::new()),
                    ConfigScope::Broker(_) => (self.configs(ConfigScope::Cluster), entries.clone()),
                };
                started.with_dynamic(&cluster, &broker)?;
                Ok(entries)
            });
        // Kafka answers so for brokers, and INVALID_CONFIG only for topics and operations.
        checked.or_else(|error| refuse(ErrorCode::InvalidRequest, sentence(&error)))
    }

    fn group_change(
        &self,
        group_id: &str,
        change: &ConfigChange,
        started: &BrokerConfig,
    ) -> Result<Entries, CatalogReply> {
        let current = self.group_configs.get(group_id);
        let max = self.limits.max_group_configs;
        if current.is_none() && self.group_configs.len() >= max {
            let why = format!("{max} groups have settings of their own; no more may.");
            return refuse(ErrorCode::PolicyViolation, why);
        }
        let checked = change
            .apply(&current.cloned().unwrap_or_default(), group_setting)
            .and_then(|entries| {
                GroupOverrides::from_entries(&entries, started)?;
                Ok(entries)
            });
        checked.or_else(|error| refuse(ErrorCode::InvalidConfig, sentence(&error)))
    }

    /// What clients have set for groups.
    pub(crate) fn group_configs(&self) -> &BTreeMap<String, Entries> {
        &self.group_configs
    }

    pub(super) fn apply_group_configs(&mut self, group_id: String, entries: Entries) {
        if entries.is_empty() {
            self.group_configs.remove(&group_id);
        } else {
            self.group_configs.insert(group_id, entries);
        }
    }

    pub(super) fn apply_configs(&mut self, scope: ConfigScope, entries: Entries) {
        if entries.is_empty() {
            self.configs.remove(&scope);
        } else {
            self.configs.insert(scope, entries);
        }
    }
}

/// A change that may be made.
enum Planned {
    Topic(TopicEntry),
    Broker(ConfigScope, Entries),
    Group(String, Entries),
}

fn sentence(error: &ConfigError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}
