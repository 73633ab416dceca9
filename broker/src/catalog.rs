//! The catalog as a logged machine: topics with their settings, settings of brokers, producer ids.
//!
//! Pure. Whether a request is well formed is checked before it comes here; what depends on the
//! present catalog is decided here.

mod configs;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_protocol::ErrorCode;
use uuid::Uuid;

pub(crate) use configs::{ConfigScope, ConfigTarget};
pub(crate) use record::CatalogRecord;

use crate::config::{BrokerConfig, ConfigChange};
use crate::env::Now;
use crate::machine::{Effects, Machine, Never, Token};
use crate::record_codec::{EncodedRecord, RecordError};

/// Producer ids are handed out of blocks of this size, one record a block.
pub(crate) const PRODUCER_ID_BLOCK: i64 = 1000;

/// A topic of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicEntry {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
    /// Settings that differ from the broker's, by Kafka's names.
    pub(crate) overrides: BTreeMap<String, String>,
}

/// All topics of this broker.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Catalog {
    topics: BTreeMap<String, TopicEntry>,
    /// Names with `.` and `_` taken as the same, as they are in metric names.
    collisions: HashMap<String, String>,
    /// What clients have set for brokers, without scopes for which nothing is set.
    configs: BTreeMap<ConfigScope, BTreeMap<String, String>>,
    /// What clients have set for groups, without those for which nothing is set.
    group_configs: BTreeMap<String, BTreeMap<String, String>>,
    next_producer_id: i64,
    /// Topics deleted by a record that was replayed: their files may still be there.
    deleted: HashMap<Uuid, String>,
    limits: CatalogLimits,
}

/// Bounds of the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CatalogLimits {
    /// Partitions of all topics together.
    pub(crate) max_partitions: i64,
    /// Groups with settings of their own.
    pub(crate) max_group_configs: usize,
}

impl Default for CatalogLimits {
    fn default() -> Self {
        Self {
            max_partitions: 200_000,
            max_group_configs: 10_000,
        }
    }
}

/// What the catalog is asked.
#[derive(Debug, Clone)]
pub(crate) enum CatalogEvent {
    /// Add a topic under a new id.
    Create(Token, TopicEntry),
    /// Remove a topic.
    Delete(Token, Uuid),
    /// Raise a topic's number of partitions to `count`.
    AddPartitions {
        token: Token,
        topic: String,
        count: i32,
    },
    /// Change settings, or only check the change.
    AlterConfigs {
        token: Token,
        target: ConfigTarget,
        change: ConfigChange,
        validate_only: bool,
        /// What the broker was started with.
        started: Arc<BrokerConfig>,
    },
    /// Reserve a block of producer ids.
    ReserveProducerIds(Token),
}

/// What the catalog answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CatalogReply {
    /// The change is durable.
    Done,
    /// The change is refused.
    Refused(ErrorCode, String),
    /// A block of producer ids begins here.
    ProducerIds(i64),
}

/// What the shell does once a change is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CatalogCommand {
    /// Make the topic and its partitions there; those that are there already stay.
    Ensure(TopicEntry),
    /// Delete the topic's partitions.
    Remove(TopicEntry),
    /// From now on this is set, and nothing else.
    Configure(ConfigScope, BTreeMap<String, String>),
    /// From now on this is set for the group, and nothing else.
    ConfigureGroup(String, BTreeMap<String, String>),
}

type CatalogEffects = Effects<CatalogRecord, CatalogReply, CatalogCommand>;

impl Catalog {
    pub(crate) fn new(limits: CatalogLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = &TopicEntry> {
        self.topics.values()
    }

    /// Ids and names of topics that were deleted since the last snapshot.
    pub(crate) fn deleted(&self) -> &HashMap<Uuid, String> {
        &self.deleted
    }

    /// The names of those that are no topics now.
    pub(crate) fn deleted_names(&self) -> Vec<String> {
        let names = self.deleted.values();
        let gone = names.filter(|name| !self.topics.contains_key(*name));
        gone.cloned().collect()
    }

    /// Whether and why a topic of this name and size may not be created.
    pub(crate) fn may_create(&self, name: &str, partitions: i32) -> Result<(), CatalogReply> {
        if self.topics.contains_key(name) {
            return refuse(
                ErrorCode::TopicAlreadyExists,
                format!("Topic '{name}' already exists."),
            );
        }
        if let Some(other) = self.collisions.get(&collision_key(name)) {
            return refuse(
                ErrorCode::InvalidTopicException,
                format!("Topic '{name}' collides with existing topic '{other}'."),
            );
        }
        self.may_grow(i64::from(partitions))
    }

    fn may_grow(&self, by: i64) -> Result<(), CatalogReply> {
        let have: i64 = self
            .topics
            .values()
            .map(|topic| i64::from(topic.partitions))
            .sum();
        let max = self.limits.max_partitions;
        if have.saturating_add(by) > max {
            return refuse(
                ErrorCode::InvalidPartitions,
                format!("{by} more partitions would exceed the limit of {max} on this broker."),
            );
        }
        Ok(())
    }

    fn create(&mut self, token: Token, topic: TopicEntry) -> CatalogEffects {
        match self.may_create(&topic.name, topic.partitions) {
            Err(refusal) => Effects::reply(token, refusal),
            Ok(()) => {
                let record = CatalogRecord::topic_set(&topic);
                self.apply_topic(topic.clone());
                changed(token, record, CatalogCommand::Ensure(topic))
            }
        }
    }

    fn delete(&mut self, token: Token, id: Uuid) -> CatalogEffects {
        match self.remove_topic(id) {
            Some(topic) => {
                let record = CatalogRecord::TopicDeleted {
                    id: id.into_bytes(),
                };
                changed(token, record, CatalogCommand::Remove(topic))
            }
            None => Effects::reply(
                token,
                CatalogReply::Refused(ErrorCode::UnknownTopicId, "no such topic".to_owned()),
            ),
        }
    }

    fn add_partitions(&mut self, token: Token, topic: &str, count: i32) -> CatalogEffects {
        match self.grown(topic, count) {
            Err(refusal) => Effects::reply(token, refusal),
            Ok(topic) => {
                let record = CatalogRecord::topic_set(&topic);
                self.apply_topic(topic.clone());
                changed(token, record, CatalogCommand::Ensure(topic))
            }
        }
    }

    /// The topic with `count` partitions, or why it cannot have that many.
    pub(crate) fn grown(&self, topic: &str, count: i32) -> Result<TopicEntry, CatalogReply> {
        let Some(entry) = self.topics.get(topic) else {
            return refuse(
                ErrorCode::UnknownTopicOrPartition,
                "The topic does not exist.".to_owned(),
            );
        };
        let have = entry.partitions;
        if count == have {
            let text = format!("Topic already has {have} partition(s).");
            return refuse(ErrorCode::InvalidPartitions, text);
        }
        if count < have {
            let text = format!(
                "The topic {topic} currently has {have} partition(s); {count} would not be an increase."
            );
            return refuse(ErrorCode::InvalidPartitions, text);
        }
        self.may_grow(i64::from(count - have))?;
        Ok(TopicEntry {
            partitions: count,
            ..entry.clone()
        })
    }

    fn reserve_producer_ids(&mut self, token: Token) -> CatalogEffects {
        let first = self.next_producer_id;
        let next = first.saturating_add(PRODUCER_ID_BLOCK);
        self.next_producer_id = next;
        Effects {
            records: vec![CatalogRecord::ProducerIdsReserved { next }],
            replies: vec![(token, CatalogReply::ProducerIds(first))],
            ..Effects::default()
        }
    }

    fn apply_topic(&mut self, topic: TopicEntry) {
        self.collisions
            .insert(collision_key(&topic.name), topic.name.clone());
        self.topics.insert(topic.name.clone(), topic);
    }

    fn remove_topic(&mut self, id: Uuid) -> Option<TopicEntry> {
        let name = self
            .topics
            .values()
            .find(|topic| topic.id == id)?
            .name
            .clone();
        self.collisions.remove(&collision_key(&name));
        self.topics.remove(&name)
    }
}

impl Machine for Catalog {
    type Event = CatalogEvent;
    type Record = CatalogRecord;
    type Reply = CatalogReply;
    type Command = CatalogCommand;
    type Attachment = Never;

    fn handle(&mut self, event: CatalogEvent, _now: Now) -> CatalogEffects {
        match event {
            CatalogEvent::Create(token, topic) => self.create(token, topic),
            CatalogEvent::Delete(token, id) => self.delete(token, id),
            CatalogEvent::AddPartitions {
                token,
                topic,
                count,
            } => self.add_partitions(token, &topic, count),
            CatalogEvent::AlterConfigs {
                token,
                target,
                change,
                validate_only,
                started,
            } => self.alter_configs(token, &target, &change, validate_only, &started),
            CatalogEvent::ReserveProducerIds(token) => self.reserve_producer_ids(token),
        }
    }

    fn abandoned(_token: Token) -> Option<CatalogEvent> {
        None
    }

    fn replay(&mut self, record: CatalogRecord) {
        match record {
            CatalogRecord::TopicSet { .. } => {
                if let Some(topic) = record.into_topic() {
                    self.apply_topic(topic);
                }
            }
            CatalogRecord::TopicDeleted { id } => {
                let id = Uuid::from_bytes(id);
                if let Some(topic) = self.remove_topic(id) {
                    self.deleted.insert(id, topic.name);
                }
            }
            CatalogRecord::ProducerIdsReserved { next } => self.next_producer_id = next,
            CatalogRecord::ConfigsSet { scope, entries } => {
                self.apply_configs(scope, entries.into_iter().collect());
            }
            CatalogRecord::GroupConfigsSet { group_id, entries } => {
                self.apply_group_configs(group_id, entries.into_iter().collect());
            }
        }
    }

    fn snapshot(&self) -> Vec<CatalogRecord> {
        let ids = CatalogRecord::ProducerIdsReserved {
            next: self.next_producer_id,
        };
        let configs = self.configs.iter();
        let of_groups = self.group_configs.iter();
        self.topics
            .values()
            .map(CatalogRecord::topic_set)
            .chain(configs.map(|(scope, entries)| CatalogRecord::configs_set(*scope, entries)))
            .chain(of_groups.map(|(id, entries)| CatalogRecord::group_configs_set(id, entries)))
            .chain([ids])
            .collect()
    }

    fn encode(record: &CatalogRecord) -> Result<EncodedRecord, RecordError> {
        record.encode()
    }

    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<CatalogRecord, RecordError> {
        CatalogRecord::decode(key, value)
    }
}

fn collision_key(name: &str) -> String {
    name.replace('.', "_")
}

fn refuse<T>(code: ErrorCode, reason: String) -> Result<T, CatalogReply> {
    Err(CatalogReply::Refused(code, reason))
}

fn changed(token: Token, record: CatalogRecord, command: CatalogCommand) -> CatalogEffects {
    Effects {
        records: vec![record],
        replies: vec![(token, CatalogReply::Done)],
        commands: vec![command],
        ..Effects::default()
    }
}
