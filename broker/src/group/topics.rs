//! The topics that groups can read, as the coordinator was told. Pure, and not logged: the catalog is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The id of a topic, as it is stored.
pub(crate) type TopicId = [u8; 16];

/// What assignments need to know of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TopicInfo {
    /// Its id; another one when the name is used again.
    pub(crate) id: TopicId,
    /// Number of partitions.
    pub(crate) partitions: i32,
}

/// All topics of the broker.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct TopicImage {
    by_name: BTreeMap<Arc<str>, TopicInfo>,
    names: HashMap<TopicId, Arc<str>>,
}

impl TopicImage {
    /// Makes the topic there as this says, or gone. True if it was not so before.
    pub(crate) fn set(&mut self, name: &Arc<str>, topic: Option<TopicInfo>) -> bool {
        let before = match topic {
            Some(topic) => self.by_name.insert(name.clone(), topic),
            None => self.by_name.remove(name),
        };
        if let Some(before) = before {
            self.names.remove(&before.id);
        }
        if let Some(topic) = topic {
            self.names.insert(topic.id, name.clone());
        }
        before != topic
    }

    pub(super) fn get(&self, name: &str) -> Option<TopicInfo> {
        self.by_name.get(name).copied()
    }

    pub(super) fn name(&self, id: &TopicId) -> Option<&Arc<str>> {
        self.names.get(id)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.keys()
    }
}
