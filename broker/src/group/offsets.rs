//! Committed offsets: commit, fetch, delete. Pure.

use std::sync::Arc;

use uuid::Uuid;

use super::classic::{Group, State};
use super::config::{MAX_REQUEST_RECORDS, OFFSET_RECORD_BYTES};
use super::groups::Groups;
use super::record::{CommittedOffset, GroupRecord, OffsetKey};
use super::step::Step;
use super::{
    CommitOffsetsRequest, CommitPartition, CommitTopic, DeleteOffsetsReply, DeleteOffsetsRequest,
    FetchOffsetsGroup, FetchOffsetsRequest, FetchedGroup, FetchedPartition, FetchedTopic,
    GroupError, PartitionErrors, Reply, Token, TopicErrors, TopicPartitions,
};

/// From this version on a member learns that its group is missing.
const GROUP_ID_NOT_FOUND_SINCE: i16 = 9;

pub(super) fn commit(
    groups: &mut Groups,
    token: Token,
    request: CommitOffsetsRequest,
    step: &mut Step<'_>,
) {
    let committed = if !fits_batch(&request) {
        Err(GroupError::InvalidCommitOffsetSize)
    } else if groups.get(&request.group_id).is_some() || request.generation_id < 0 {
        let max_groups = step.config.max_groups;
        groups
            .with_new(&request.group_id, max_groups, |group| {
                group.commit(&request, step)
            })
            .and_then(|committed| committed)
    } else if request.api_version >= GROUP_ID_NOT_FOUND_SINCE {
        Err(GroupError::GroupIdNotFound)
    } else {
        Err(GroupError::IllegalGeneration)
    };
    let errors = committed.unwrap_or_else(|error| all_failed(request, error));
    step.reply(token, Reply::CommitOffsets(errors));
}

/// Whether the records of a commit, repeated partitions included, can be written as one.
pub(super) fn fits_batch(request: &CommitOffsetsRequest) -> bool {
    let of_partition = |partition: &CommitPartition| {
        let metadata = partition.committed_metadata.as_ref();
        metadata.map_or(0, |text| text.len())
    };
    let of_topic = |topic: &CommitTopic| {
        let metadata: usize = topic.partitions.iter().map(of_partition).sum();
        metadata + topic.partitions.len() * offset_record_bytes(&request.group_id, &topic.name)
    };
    request.topics.iter().map(of_topic).sum::<usize>() <= MAX_REQUEST_RECORDS
}

/// Bytes of the record of an offset without metadata, at the most.
fn offset_record_bytes(group_id: &str, topic: &str) -> usize {
    group_id.len() + topic.len() + OFFSET_RECORD_BYTES
}

pub(super) fn all_failed(request: CommitOffsetsRequest, error: GroupError) -> PartitionErrors {
    let fail = |partition: CommitPartition| (partition.partition_index, error);
    request
        .topics
        .into_iter()
        .map(|topic| TopicErrors {
            name: topic.name,
            topic_id: topic.topic_id,
            partitions: topic.partitions.into_iter().map(fail).collect(),
        })
        .collect()
}

impl Group {
    fn commit(
        &mut self,
        request: &CommitOffsetsRequest,
        step: &mut Step<'_>,
    ) -> Result<PartitionErrors, GroupError> {
        self.validate_commit(request, step)?;
        self.refresh(&request.member_id, step);
        let mut errors = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let offset = to_offset(request.retention_time_ms, topic.topic_id, partition, step);
                let error = self.commit_one(&topic.name, partition.partition_index, offset, step);
                partitions.push((partition.partition_index, error));
            }
            let (name, topic_id) = (topic.name.clone(), topic.topic_id);
            errors.push(TopicErrors {
                name,
                topic_id,
                partitions,
            });
        }
        Ok(errors)
    }

    /// Members commit in their generation; others only while there are no members.
    fn validate_commit(
        &self,
        request: &CommitOffsetsRequest,
        step: &Step<'_>,
    ) -> Result<(), GroupError> {
        if let Some(consumer) = &self.consumer {
            return consumer.validate_commit(request, false, step.topics);
        }
        if request.generation_id < 0 && self.state == State::Empty {
            return Ok(());
        }
        let instance = request.group_instance_id.as_deref();
        if request.generation_id < 0 && request.member_id.is_empty() && instance.is_none() {
            return Err(GroupError::UnknownMemberId);
        }
        self.validate_generation(&request.member_id, instance, request.generation_id)?;
        if self.state == State::CompletingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        Ok(())
    }

    fn commit_one(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
        offset: CommittedOffset,
        step: &mut Step<'_>,
    ) -> GroupError {
        if offset.metadata.len() > step.config.offset_metadata_max_bytes {
            return GroupError::OffsetMetadataTooLarge;
        }
        let is_full = self.offset_count >= step.config.max_offsets_per_group;
        if is_full && self.offset(topic, partition).is_none() {
            return GroupError::PolicyViolation;
        }
        self.supersede_pending(topic, partition);
        self.set_offset(topic, partition, Some(offset.clone()));
        let key = OffsetKey {
            group_id: self.group_id.clone(),
            topic: topic.clone(),
            partition,
        };
        step.record(GroupRecord::OffsetCommitted(key, offset));
        GroupError::None
    }

    /// Forgets an offset if there is one, and those that wait for the end of a transaction.
    pub(super) fn delete_offset(&mut self, topic: &Arc<str>, partition: i32, step: &mut Step<'_>) {
        if self.supersede_pending(topic, partition) || self.offset(topic, partition).is_some() {
            self.set_offset(topic, partition, None);
            let group_id = self.group_id.clone();
            let key = OffsetKey {
                group_id,
                topic: topic.clone(),
                partition,
            };
            step.record(GroupRecord::OffsetDeleted(key));
        }
    }
}

pub(super) fn to_offset(
    retention_time_ms: i64,
    topic_id: Option<Uuid>,
    partition: &CommitPartition,
    step: &Step<'_>,
) -> CommittedOffset {
    let wall_ms = step.now.wall_ms;
    CommittedOffset {
        topic_id: topic_id.map(Uuid::into_bytes),
        committed_offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.clone().unwrap_or_default(),
        commit_timestamp_ms: wall_ms,
        expire_timestamp_ms: (retention_time_ms >= 0)
            .then(|| wall_ms.saturating_add(retention_time_ms)),
    }
}

pub(super) fn fetch(groups: &Groups, request: FetchOffsetsRequest) -> Vec<FetchedGroup> {
    let stable = request.require_stable;
    request
        .groups
        .into_iter()
        .map(|group| fetch_group(groups, group, stable))
        .collect()
}

fn fetch_group(groups: &Groups, request: FetchOffsetsGroup, stable: bool) -> FetchedGroup {
    let group = groups.get(&request.group_id);
    let member_id = request.member_id.as_deref();
    let refused = group
        .and_then(|group| group.consumer.as_deref())
        .and_then(|consumer| {
            consumer
                .validate_fetch(member_id, request.member_epoch)
                .err()
        });
    if let Some(error) = refused {
        return FetchedGroup {
            group_id: request.group_id,
            error,
            topics: Vec::new(),
        };
    }
    let topics = match request.topics {
        Some(topics) => topics
            .into_iter()
            .map(|topic| fetch_topic(group, topic))
            .collect(),
        None => group.map(fetch_all).unwrap_or_default(),
    };
    let topics = match group.filter(|_| stable) {
        Some(group) => topics
            .into_iter()
            .map(|topic| group.hide_unstable(topic))
            .collect(),
        None => topics,
    };
    FetchedGroup {
        group_id: request.group_id,
        error: GroupError::None,
        topics,
    }
}

fn fetch_topic(group: Option<&Group>, topic: TopicPartitions) -> FetchedTopic {
    let fetch_one = |partition: i32| {
        fetched(
            partition,
            group.and_then(|group| group.offset(&topic.name, partition)),
        )
    };
    let partitions = topic.partitions.into_iter().map(fetch_one).collect();
    FetchedTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions,
    }
}

fn fetch_all(group: &Group) -> Vec<FetchedTopic> {
    group
        .offsets
        .iter()
        .map(|(name, partitions)| FetchedTopic {
            name: name.clone(),
            topic_id: partitions
                .values()
                .find_map(|offset| offset.topic_id)
                .map(Uuid::from_bytes),
            partitions: partitions
                .iter()
                .map(|(&partition, offset)| fetched(partition, Some(offset)))
                .collect(),
        })
        .collect()
}

fn fetched(partition_index: i32, offset: Option<&CommittedOffset>) -> FetchedPartition {
    FetchedPartition {
        partition_index,
        committed_offset: offset.map_or(-1, |offset| offset.committed_offset),
        committed_leader_epoch: offset.map_or(-1, |offset| offset.leader_epoch),
        metadata: offset
            .map(|offset| offset.metadata.clone())
            .unwrap_or_default(),
        error: GroupError::None,
    }
}

pub(super) fn delete(
    groups: &mut Groups,
    request: DeleteOffsetsRequest,
    step: &mut Step<'_>,
) -> DeleteOffsetsReply {
    if request.group_id.is_empty() {
        return DeleteOffsetsReply {
            error: GroupError::InvalidGroupId,
            topics: Vec::new(),
        };
    }
    let DeleteOffsetsRequest { group_id, topics } = request;
    let of_topic = |topic: &TopicPartitions| {
        topic.partitions.len() * offset_record_bytes(&group_id, &topic.name)
    };
    if topics.iter().map(of_topic).sum::<usize>() > MAX_REQUEST_RECORDS {
        return DeleteOffsetsReply {
            error: GroupError::InvalidRequest,
            topics: Vec::new(),
        };
    }
    let deleted = groups
        .with(&group_id, |group| group.delete_offsets(topics, step))
        .unwrap_or(Err(GroupError::GroupIdNotFound));
    match deleted {
        Ok(topics) => DeleteOffsetsReply {
            error: GroupError::None,
            topics,
        },
        Err(error) => DeleteOffsetsReply {
            error,
            topics: Vec::new(),
        },
    }
}

impl Group {
    /// Offsets nobody uses. Of a group with members that can only be told when they are consumers.
    fn delete_offsets(
        &mut self,
        topics: Vec<TopicPartitions>,
        step: &mut Step<'_>,
    ) -> Result<PartitionErrors, GroupError> {
        if !self.is_empty() && !self.is_consumer() && self.consumer.is_none() {
            return Err(GroupError::NonEmptyGroup);
        }
        let subscription = self.subscription();
        let in_use: Vec<bool> = topics
            .iter()
            .map(|topic| subscription.contains(&topic.name))
            .collect();
        let mut errors = Vec::with_capacity(topics.len());
        for (topic, in_use) in topics.into_iter().zip(in_use) {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in topic.partitions {
                if in_use {
                    partitions.push((partition, GroupError::GroupSubscribedToTopic));
                } else {
                    self.delete_offset(&topic.name, partition, step);
                    partitions.push((partition, GroupError::None));
                }
            }
            errors.push(TopicErrors {
                name: topic.name,
                topic_id: topic.topic_id,
                partitions,
            });
        }
        Ok(errors)
    }
}

/// Offsets of topics that exist no more mean nothing, whoever committed them.
pub(super) fn topic_removed(groups: &mut Groups, topic: &Arc<str>, step: &mut Step<'_>) {
    if groups.topic_removed(topic) {
        let topic = topic.clone();
        step.record(GroupRecord::TopicRemoved { topic });
    }
}

impl Group {
    /// Forgets the offsets for a topic; true if there were any.
    pub(super) fn forget_topic(&mut self, topic: &Arc<str>) -> bool {
        let partitions = self.offsets.remove(topic).unwrap_or_default();
        self.offset_count -= partitions.len();
        let mut had_some = !partitions.is_empty();
        self.pending_offsets.retain(|_, offsets| {
            let before = offsets.len();
            offsets.retain(|(of, _), _| of != topic);
            had_some |= offsets.len() < before;
            !offsets.is_empty()
        });
        had_some
    }
}
