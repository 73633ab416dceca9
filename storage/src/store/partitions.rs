//! The open logs of a data directory, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::log::Log;
use crate::segment::WarmSegments;

/// See the module.
#[derive(Default)]
pub(crate) struct Partitions {
    topics: RwLock<BTreeMap<String, BTreeMap<i32, Arc<Log>>>>,
    /// What they hold open together.
    warm: Arc<WarmSegments>,
}

impl Partitions {
    /// The log of a partition.
    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<Arc<Log>> {
        let topics = self.topics.read();
        topics.get(topic)?.get(&partition).map(Arc::clone)
    }

    /// All logs, in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<Log>> {
        let topics = self.topics.read();
        let logs = topics.values().flat_map(BTreeMap::values);
        logs.map(Arc::clone).collect()
    }

    /// Adds a log.
    pub(crate) fn insert(&self, log: Arc<Log>) {
        log.share_warm(&self.warm);
        let identity = log.identity();
        let (topic, partition) = (identity.topic.clone(), identity.partition);
        let mut topics = self.topics.write();
        topics.entry(topic).or_default().insert(partition, log);
    }

    /// Takes a log out.
    pub(crate) fn remove(&self, topic: &str, partition: i32) -> Option<Arc<Log>> {
        let mut topics = self.topics.write();
        let logs = topics.get_mut(topic)?;
        let log = logs.remove(&partition);
        if logs.is_empty() {
            topics.remove(topic);
        }
        log
    }

    /// Takes all logs out.
    pub(crate) fn clear(&self) -> Vec<Arc<Log>> {
        let topics = std::mem::take(&mut *self.topics.write());
        let logs = topics.into_values().flat_map(BTreeMap::into_values);
        logs.collect()
    }
}
