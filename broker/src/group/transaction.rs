//! Offsets committed in a transaction: kept aside until the transaction ends. Pure.

use std::sync::Arc;

use super::classic::Group;
use super::groups::Groups;
use super::offsets::{all_failed, fits_batch, to_offset};
use super::record::{CommittedOffset, GroupRecord, OffsetKey};
use super::step::Step;
use super::{
    CommitOffsetsRequest, FetchedPartition, FetchedTopic, GroupError, PartitionErrors, Reply,
    Token, TopicErrors,
};

pub(super) fn commit(
    groups: &mut Groups,
    token: Token,
    producer_id: i64,
    request: CommitOffsetsRequest,
    step: &mut Step<'_>,
) {
    let committed = if !fits_batch(&request) {
        Err(GroupError::InvalidCommitOffsetSize)
    } else if groups.get(&request.group_id).is_some() || request.generation_id < 0 {
        let max_groups = step.config.max_groups;
        groups
            .with_new(&request.group_id, max_groups, |group| {
                group.commit_in_transaction(producer_id, &request, step)
            })
            .and_then(|committed| committed)
    } else {
        Err(GroupError::IllegalGeneration)
    };
    let errors = committed.unwrap_or_else(|error| all_failed(request, error));
    step.reply(token, Reply::CommitOffsets(errors));
}

/// The transaction of a producer has ended for these groups.
pub(super) fn ended(
    groups: &mut Groups,
    producer_id: i64,
    committed: bool,
    group_ids: &[Arc<str>],
    step: &mut Step<'_>,
) {
    for group_id in group_ids {
        groups.with(group_id, |group| {
            if group.pending_offsets.contains_key(&producer_id) {
                group.end_transaction(producer_id, committed);
                step.record(GroupRecord::TransactionEnded {
                    group_id: group_id.clone(),
                    producer_id,
                    committed,
                });
            }
        });
    }
}

impl Group {
    fn commit_in_transaction(
        &mut self,
        producer_id: i64,
        request: &CommitOffsetsRequest,
        step: &mut Step<'_>,
    ) -> Result<PartitionErrors, GroupError> {
        let instance = request.group_instance_id.as_deref();
        let says_member =
            request.generation_id >= 0 || !request.member_id.is_empty() || instance.is_some();
        // Producers before KIP-447 do not say of which member the offsets are.
        if says_member {
            match &self.consumer {
                Some(consumer) => consumer.validate_commit(request, true, step.topics)?,
                None => {
                    self.validate_generation(&request.member_id, instance, request.generation_id)?;
                }
            }
        }
        let mut errors = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let offset = to_offset(-1, topic.topic_id, partition, step);
                let index = partition.partition_index;
                let error = self.set_pending(producer_id, &topic.name, index, offset, step);
                partitions.push((index, error));
            }
            errors.push(TopicErrors {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partitions,
            });
        }
        Ok(errors)
    }

    fn set_pending(
        &mut self,
        producer_id: i64,
        topic: &Arc<str>,
        partition: i32,
        offset: CommittedOffset,
        step: &mut Step<'_>,
    ) -> GroupError {
        if offset.metadata.len() > step.config.offset_metadata_max_bytes {
            return GroupError::OffsetMetadataTooLarge;
        }
        let pending: usize = self
            .pending_offsets
            .values()
            .map(|offsets| offsets.len())
            .sum();
        if self.offset_count + pending >= step.config.max_offsets_per_group {
            return GroupError::PolicyViolation;
        }
        let key = OffsetKey {
            group_id: self.group_id.clone(),
            topic: topic.clone(),
            partition,
        };
        let offsets = self.pending_offsets.entry(producer_id).or_default();
        offsets.insert((topic.clone(), partition), offset.clone());
        step.record(GroupRecord::OffsetPending(producer_id, key, offset));
        GroupError::None
    }

    /// Brings the offsets of a transaction into force, or forgets them.
    pub(super) fn end_transaction(&mut self, producer_id: i64, committed: bool) {
        let pending = self
            .pending_offsets
            .remove(&producer_id)
            .unwrap_or_default();
        for ((topic, partition), offset) in pending.into_iter().filter(|_| committed) {
            self.set_offset(&topic, partition, Some(offset));
        }
    }

    /// Forgets what open transactions have committed for a partition: it does not come into force
    /// over what was committed or deleted later. True if there was any.
    pub(super) fn supersede_pending(&mut self, topic: &Arc<str>, partition: i32) -> bool {
        let key = (topic.clone(), partition);
        let mut had_some = false;
        self.pending_offsets.retain(|_, offsets| {
            had_some |= offsets.remove(&key).is_some();
            !offsets.is_empty()
        });
        had_some
    }

    /// Refuses partitions whose offset an open transaction may change.
    pub(super) fn hide_unstable(&self, mut topic: FetchedTopic) -> FetchedTopic {
        for partition in &mut topic.partitions {
            let key = (topic.name.clone(), partition.partition_index);
            let is_unstable = |offsets: &super::classic::PendingOffsets| offsets.contains_key(&key);
            if self.pending_offsets.values().any(is_unstable) {
                *partition = FetchedPartition {
                    partition_index: partition.partition_index,
                    committed_offset: -1,
                    committed_leader_epoch: -1,
                    metadata: Arc::default(),
                    error: GroupError::UnstableOffsetCommit,
                };
            }
        }
        topic
    }
}
