//! All groups by id, and their hard state. Pure.

use std::collections::BTreeMap;
use std::collections::btree_map::ValuesMut;
use std::sync::Arc;

use super::GroupError;
use super::classic::{Group, State};
use super::config::MAX_ID;
use super::consumer::{ConsumerGroup, MemberValue};
use super::record::{GroupMetadata, GroupRecord, OffsetKey};
use super::step::Step;

#[derive(Debug, Default)]
pub(super) struct Groups {
    by_id: BTreeMap<Arc<str>, Group>,
}

impl Groups {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn get(&self, group_id: &str) -> Option<&Group> {
        self.by_id.get(group_id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.by_id.values()
    }

    pub(super) fn ids(&self) -> Vec<Arc<str>> {
        self.by_id.keys().cloned().collect()
    }

    pub(super) fn values_mut(&mut self) -> ValuesMut<'_, Arc<str>, Group> {
        self.by_id.values_mut()
    }

    /// Topics have changed; groups look at them when a member is heard from.
    pub(super) fn topics_changed(&mut self) {
        for group in self.by_id.values_mut() {
            if let Some(consumer) = &mut group.consumer {
                consumer.topics_changed();
            }
        }
    }

    /// Lets `rule` change a group, and forgets the group if nothing of it is left.
    pub(super) fn with<T>(
        &mut self,
        group_id: &str,
        rule: impl FnOnce(&mut Group) -> T,
    ) -> Option<T> {
        let group = self.by_id.get_mut(group_id)?;
        let result = rule(group);
        if group.is_void() {
            self.by_id.remove(group_id);
        }
        Some(result)
    }

    /// As [`with`](Self::with), on a new group if there is none and room for one.
    pub(super) fn with_new<T>(
        &mut self,
        group_id: &Arc<str>,
        max_groups: usize,
        rule: impl FnOnce(&mut Group) -> T,
    ) -> Result<T, GroupError> {
        if !self.by_id.contains_key(group_id) {
            if group_id.len() > MAX_ID {
                return Err(GroupError::InvalidGroupId);
            }
            if self.by_id.len() >= max_groups {
                return Err(GroupError::PolicyViolation);
            }
            self.by_id
                .insert(group_id.clone(), Group::new(group_id.clone()));
        }
        self.with(group_id, rule)
            .ok_or(GroupError::UnknownServerError)
    }

    /// Deletes a group that has no members, with its offsets and the ids it handed out.
    pub(super) fn delete(&mut self, group_id: &str, step: &mut Step<'_>) {
        let deletable = self.by_id.get(group_id).is_some_and(Group::is_empty);
        if !deletable {
            return;
        }
        let Some(group) = self.by_id.remove(group_id) else {
            return;
        };
        for timer in group.pending_join.values() {
            step.timers.cancel(Some(*timer));
        }
        if group.is_logged() {
            let group_id = group.group_id;
            step.record(GroupRecord::GroupRemoved { group_id });
        }
    }

    /// Forgets the offsets for a topic that exists no more, whoever committed them.
    pub(super) fn topic_removed(&mut self, topic: &Arc<str>) -> bool {
        let mut had_some = false;
        self.by_id.retain(|_, group| {
            had_some |= group.forget_topic(topic);
            !group.is_void()
        });
        had_some
    }

    /// Applies a logged record, whatever came before it: a compacted log keeps only the last of each key.
    pub(super) fn replay(&mut self, record: GroupRecord) {
        if let GroupRecord::TopicRemoved { topic } = &record {
            self.topic_removed(topic);
        }
        let Some(group_id) = record.group_id().cloned() else {
            return;
        };
        let new = || Group::new(group_id.clone());
        let group = self.by_id.entry(group_id.clone()).or_insert_with(new);
        match record {
            GroupRecord::GroupMetadata(GroupMetadata { value, .. }) => group.replay(value),
            GroupRecord::GroupDeleted { .. } => {
                group.members.clear();
                group.static_members.clear();
                group.state = State::Empty;
                group.forget();
            }
            GroupRecord::OffsetCommitted(key, offset) => {
                group.supersede_pending(&key.topic, key.partition);
                group.set_offset(&key.topic, key.partition, Some(offset));
            }
            GroupRecord::OffsetDeleted(key) => {
                group.supersede_pending(&key.topic, key.partition);
                group.set_offset(&key.topic, key.partition, None);
            }
            GroupRecord::OffsetPending(producer_id, key, offset) => {
                let pending = group.pending_offsets.entry(producer_id).or_default();
                pending.insert((key.topic, key.partition), offset);
            }
            GroupRecord::TransactionEnded {
                producer_id,
                committed,
                ..
            } => group.end_transaction(producer_id, committed),
            GroupRecord::ConsumerGroup { value, .. } => {
                group.consumer.get_or_insert_default().replay(value);
            }
            GroupRecord::ConsumerGroupDeleted { .. } => group.consumer = None,
            GroupRecord::ConsumerMember {
                member_id, value, ..
            } => replay_member(group, &member_id, value),
            GroupRecord::GroupRemoved { .. } => *group = new(),
            GroupRecord::TopicRemoved { .. } => {}
        }
        if group.is_void() {
            self.by_id.remove(&group_id);
        }
    }

    pub(super) fn snapshot(&self) -> Vec<GroupRecord> {
        let mut records = Vec::new();
        for (group_id, group) in &self.by_id {
            if let Some(value) = group.logged.clone() {
                let group_id = group_id.clone();
                records.push(GroupRecord::GroupMetadata(GroupMetadata {
                    group_id,
                    value,
                }));
            }
            if let Some(consumer) = &group.consumer {
                records.extend(consumer.snapshot(group_id));
            }
            for (topic, partitions) in &group.offsets {
                for (&partition, offset) in partitions {
                    let key = OffsetKey {
                        group_id: group_id.clone(),
                        topic: topic.clone(),
                        partition,
                    };
                    records.push(GroupRecord::OffsetCommitted(key, offset.clone()));
                }
            }
            for (&producer_id, pending) in &group.pending_offsets {
                for ((topic, partition), offset) in pending {
                    let key = OffsetKey {
                        group_id: group_id.clone(),
                        topic: topic.clone(),
                        partition: *partition,
                    };
                    records.push(GroupRecord::OffsetPending(producer_id, key, offset.clone()));
                }
            }
        }
        records
    }
}

/// A tombstone does not make a group one of the consumer protocol.
fn replay_member(group: &mut Group, member_id: &str, value: Option<Box<MemberValue>>) {
    let consumer: Option<&mut ConsumerGroup> = match &value {
        Some(_) => Some(group.consumer.get_or_insert_default()),
        None => group.consumer.as_deref_mut(),
    };
    if let Some(consumer) = consumer {
        consumer.replay_member(member_id, value.map(|value| *value));
    }
}
