//! The topics that this broker serves, by name and by id.
//!
//! Shell. What exists is decided by the catalog; this is where its commands take effect.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use ottla_protocol::{ErrorCode, StrBytes};

use ottla_storage::log::{Log, LogIdentity};
use ottla_storage::store::{LogError, Store};
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use crate::catalog::TopicEntry;
use crate::config::{EffectiveTopicConfig, TopicConfig};
use crate::live_config::LiveConfig;
use crate::partition::Partition;

#[cfg(test)]
mod tests;

/// A topic with its partitions.
#[derive(Clone)]
pub(crate) struct Topic {
    pub(crate) name: StrBytes,
    pub(crate) id: Uuid,
    pub(crate) overrides: TopicConfig,
    pub(crate) config: EffectiveTopicConfig,
    /// `None` where the files of a partition cannot be used.
    partitions: Vec<Option<Arc<Partition>>>,
}

impl Topic {
    /// Number of partitions.
    pub(crate) fn partition_count(&self) -> usize {
        self.partitions.len()
    }

    /// Whether `partition` exists and its files can be used.
    pub(crate) fn is_available(&self, partition: usize) -> bool {
        matches!(self.partitions.get(partition), Some(Some(_)))
    }

    /// The partition of this number.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`, or `KAFKA_STORAGE_ERROR` when its files cannot be used.
    pub(crate) fn partition(&self, index: i32) -> Result<&Arc<Partition>, ErrorCode> {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.partitions.get(index))
            .ok_or(ErrorCode::UnknownTopicOrPartition)?
            .as_ref()
            .ok_or(ErrorCode::KafkaStorageError)
    }
}

/// The settings that a topic was created with. They were checked then; a program that knows fewer
/// settings serves the topic with its defaults rather than not at all.
pub(crate) fn stored_config(entry: &TopicEntry) -> TopicConfig {
    TopicConfig::from_entries(&entry.overrides).unwrap_or_else(|error| {
        tracing::error!(topic = entry.name, %error, "stored settings are not used");
        TopicConfig::default()
    })
}

/// All topics of the broker.
pub(crate) struct Topics {
    store: Arc<Store>,
    config: Arc<LiveConfig>,
    tables: RwLock<Tables>,
    /// One change of the tables at a time.
    changes: Mutex<()>,
}

#[derive(Default)]
struct Tables {
    by_name: BTreeMap<String, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

impl Tables {
    fn insert(&mut self, topic: Arc<Topic>) {
        self.by_id.insert(topic.id, Arc::clone(&topic));
        self.by_name.insert(topic.name.to_string(), topic);
    }
}

fn configure(partitions: &[Option<Arc<Partition>>], config: &EffectiveTopicConfig) {
    for partition in partitions.iter().flatten() {
        partition.log().set_config(config.to_log_config());
    }
}

impl Topics {
    pub(crate) fn new(store: Arc<Store>, config: Arc<LiveConfig>) -> Self {
        Self {
            store,
            config,
            tables: RwLock::default(),
            changes: Mutex::default(),
        }
    }

    /// The topic of this name.
    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Topic>> {
        self.tables.read().by_name.get(name).cloned()
    }

    /// The topic of this id.
    pub(crate) fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.tables.read().by_id.get(&id).cloned()
    }

    /// The topic that a request names, by id or by name as its version has it.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_ID` or `UNKNOWN_TOPIC_OR_PARTITION`.
    pub(crate) fn find(&self, name: &str, id: Uuid, by_id: bool) -> Result<Arc<Topic>, ErrorCode> {
        if by_id {
            self.by_id(id).ok_or(ErrorCode::UnknownTopicId)
        } else {
            self.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition)
        }
    }

    /// All topics in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.tables.read().by_name.values().cloned().collect()
    }

    /// At most `limit` topics whose names are `from` or later, in order.
    pub(crate) fn from(&self, from: &str, limit: usize) -> Vec<Arc<Topic>> {
        let tables = self.tables.read();
        tables
            .by_name
            .range(from.to_owned()..)
            .take(limit)
            .map(|(_, t)| Arc::clone(t))
            .collect()
    }

    /// Makes the topic there with these settings and all its partitions; those that are there
    /// already stay.
    pub(crate) fn ensure(&self, entry: &TopicEntry) {
        let _one = self.changes.lock();
        let overrides = stored_config(entry);
        let config = overrides.effective(&self.config.get());
        let known = self.by_name(&entry.name);
        let kept = known.as_ref().map_or(&[][..], |topic| &topic.partitions);
        let mut partitions = kept.to_vec();
        configure(&partitions, &config);
        let missing = partitions.len()..usize::try_from(entry.partitions).unwrap_or(0);
        let opened = self.open_partitions(&entry.name, entry.id, missing.clone(), &config);
        for (index, opened) in missing.zip(opened) {
            if let Err(error) = &opened {
                tracing::error!(topic = entry.name, partition = index, %error, "partition is not available");
            }
            partitions.push(opened.ok());
        }
        let topic = Arc::new(Topic {
            name: StrBytes::from(entry.name.as_str()),
            id: entry.id,
            overrides,
            config,
            partitions,
        });
        self.tables.write().insert(topic);
    }

    /// Lets changed settings of the broker take effect in every topic.
    pub(crate) fn reconfigure(&self) {
        let _one = self.changes.lock();
        let broker = self.config.get();
        let mut tables = self.tables.write();
        let topics: Vec<_> = tables.by_name.values().cloned().collect();
        for topic in topics {
            let config = topic.overrides.effective(&broker);
            configure(&topic.partitions, &config);
            tables.insert(Arc::new(Topic {
                config,
                ..Topic::clone(&topic)
            }));
        }
    }

    /// Opens once more the partitions that could not be opened, as when there was no room for
    /// their files. Damaged ones stay as they are.
    pub(crate) fn retry(&self) {
        let _one = self.changes.lock();
        for topic in self.all() {
            let mut partitions = topic.partitions.clone();
            let mut opened = 0;
            for (index, missing) in partitions.iter_mut().enumerate() {
                if missing.is_some() {
                    continue;
                }
                let found = self
                    .open_partitions(&topic.name, topic.id, index..index + 1, &topic.config)
                    .pop();
                match found.unwrap_or(Err(LogError::Closed)) {
                    Ok(partition) => {
                        *missing = Some(partition);
                        opened += 1;
                    }
                    Err(LogError::Exists { .. }) => {}
                    Err(error) => {
                        tracing::warn!(topic = &*topic.name, partition = index, %error, "partition is still not available");
                        break;
                    }
                }
            }
            if opened > 0 {
                tracing::info!(
                    topic = &*topic.name,
                    opened,
                    "partitions are available again"
                );
                self.tables.write().insert(Arc::new(Topic {
                    partitions,
                    ..Topic::clone(&topic)
                }));
            }
        }
    }

    /// Finds or creates partitions; the outcomes are in the order of the indexes.
    fn open_partitions(
        &self,
        topic: &str,
        topic_id: Uuid,
        indexes: Range<usize>,
        config: &EffectiveTopicConfig,
    ) -> Vec<Result<Arc<Partition>, LogError>> {
        let identities = indexes.map(|index| LogIdentity {
            topic: topic.to_owned(),
            topic_id,
            partition: i32::try_from(index).unwrap_or(i32::MAX),
        });
        let mut missing = Vec::new();
        let found: Vec<_> = identities
            .map(|identity| {
                let found = self.find_log(&identity).transpose();
                if found.is_none() {
                    missing.push(identity);
                }
                found
            })
            .collect();
        let created = if missing.is_empty() {
            Vec::new()
        } else {
            self.store.create_logs(missing, &config.to_log_config())
        };
        let mut created = created.into_iter();
        let opened = found
            .into_iter()
            .filter_map(|found| found.or_else(|| created.next()));
        opened
            .map(|log| {
                let log = log?;
                log.set_config(config.to_log_config());
                Ok(Partition::new(log))
            })
            .collect()
    }

    /// The log that is there already, not one of a topic of this name whose deletion failed.
    fn find_log(&self, identity: &LogIdentity) -> Result<Option<Arc<Log>>, LogError> {
        let (topic, partition) = (&identity.topic, identity.partition);
        match self.store.log(topic, partition) {
            Some(log) if log.identity().topic_id == identity.topic_id => Ok(Some(log)),
            Some(_) => self.store.delete_log(topic, partition).map(|()| None),
            None => Ok(None),
        }
    }

    /// Deletes the topic's partitions and forgets it.
    pub(crate) fn remove(&self, entry: &TopicEntry) {
        let _one = self.changes.lock();
        {
            let mut tables = self.tables.write();
            tables.by_name.remove(&entry.name);
            tables.by_id.remove(&entry.id);
        }
        for partition in 0..entry.partitions {
            if let Err(error) = self.store.delete_log(&entry.name, partition) {
                tracing::error!(topic = entry.name, partition, %error, "cannot delete partition");
            }
        }
    }
}
