//! Sets of partitions by topic id. Pure.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};

use crate::group::topics::TopicId;

/// Some partitions. No topic is listed without one, so equal sets are equal values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Assignment(BTreeMap<TopicId, BTreeSet<i32>>);

impl Assignment {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of partitions.
    pub(in crate::group) fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// Partitions by topic.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (&TopicId, &BTreeSet<i32>)> {
        self.0.iter()
    }

    pub(in crate::group) fn iter(&self) -> impl Iterator<Item = (TopicId, i32)> {
        let partitions = |(topic, partitions): (&TopicId, &BTreeSet<i32>)| {
            let topic = *topic;
            let partitions: Vec<i32> = partitions.iter().copied().collect();
            partitions
                .into_iter()
                .map(move |partition| (topic, partition))
        };
        self.0.iter().flat_map(partitions)
    }

    pub(in crate::group) fn contains(&self, (topic, partition): (TopicId, i32)) -> bool {
        self.0
            .get(&topic)
            .is_some_and(|partitions| partitions.contains(&partition))
    }

    pub(in crate::group) fn insert(&mut self, (topic, partition): (TopicId, i32)) {
        self.0.entry(topic).or_default().insert(partition);
    }

    /// Those for which `keep` holds.
    pub(in crate::group) fn filtered(&self, keep: impl Fn((TopicId, i32)) -> bool) -> Self {
        self.iter().filter(|partition| keep(*partition)).collect()
    }

    pub(in crate::group) fn intersects(&self, other: &Self) -> bool {
        self.iter().any(|partition| other.contains(partition))
    }

    pub(in crate::group) fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|partition| other.contains(partition))
    }
}

impl Extend<(TopicId, i32)> for Assignment {
    fn extend<T: IntoIterator<Item = (TopicId, i32)>>(&mut self, partitions: T) {
        for partition in partitions {
            self.insert(partition);
        }
    }
}

impl FromIterator<(TopicId, i32)> for Assignment {
    fn from_iter<T: IntoIterator<Item = (TopicId, i32)>>(partitions: T) -> Self {
        let mut assignment = Self::default();
        assignment.extend(partitions);
        assignment
    }
}
