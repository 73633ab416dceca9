//! Requests about offsets that consumers and administration share.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic, OffsetCommitRequest,
    OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};
use tokio::time::Instant;

use crate::cluster::{Cluster, Lane, Topics};
use crate::config::IsolationLevel;
use crate::consumer::ConsumerGroupMetadata;
use crate::env::millis_i32;
use crate::error::{Error, check};
use crate::metadata::TopicPartition;
use crate::retry::Attempt;

/// The last version of OffsetCommit that names topics by name.
pub(crate) const COMMIT_BY_NAME: i16 = 9;

/// The last version of OffsetFetch that names topics by name.
pub(crate) const FETCH_BY_NAME: i16 = 9;

/// Which offset of a log is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OffsetSpec {
    /// That of the oldest record.
    Earliest,
    /// That after the newest record; with read_committed, after the last that is decided.
    Latest,
    /// That of the record with the largest timestamp.
    MaxTimestamp,
    /// That of the first record whose timestamp, in milliseconds since the Unix epoch, is not
    /// older than this.
    Timestamp(i64),
}

/// An offset of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset.
    pub offset: i64,
    /// Timestamp of the record, in milliseconds since the Unix epoch, if one was looked for.
    pub timestamp: Option<i64>,
    /// Epoch of the leader when the record was written, if known.
    pub leader_epoch: Option<i32>,
}

/// An offset that a group has committed: the next to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: i64,
    /// Leader epoch of the record before, if known.
    pub leader_epoch: Option<i32>,
    /// What was stored with the offset.
    pub metadata: String,
}

impl CommittedOffset {
    /// `offset` without anything beside it.
    #[must_use]
    pub fn new(offset: i64) -> Self {
        Self {
            offset,
            ..Self::default()
        }
    }
}

/// Finds one offset of a partition.
pub(crate) async fn list_offset(
    cluster: &Cluster,
    partition: &TopicPartition,
    spec: OffsetSpec,
    isolation_level: IsolationLevel,
    deadline: Instant,
) -> Result<Option<FoundOffset>, Error> {
    let timestamp = match spec {
        OffsetSpec::Latest => -1,
        OffsetSpec::Earliest => -2,
        OffsetSpec::MaxTimestamp => -3,
        OffsetSpec::Timestamp(timestamp) => timestamp.max(0),
    };
    let names = Topics::Named([Arc::clone(&partition.topic)].into());
    let names = &names;
    let mut first = true;
    cluster
        .retry("ListOffsets", deadline, || {
            let refresh = !std::mem::take(&mut first);
            async move {
                if refresh {
                    cluster.refresh(names, false).await?;
                }
                ask(cluster, partition, timestamp, isolation_level, deadline).await
            }
        })
        .await
}

async fn ask(
    cluster: &Cluster,
    partition: &TopicPartition,
    timestamp: i64,
    isolation_level: IsolationLevel,
    deadline: Instant,
) -> Result<Option<FoundOffset>, Attempt> {
    let leader = cluster.leader(partition, deadline).await?;
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: isolation(isolation_level),
        topics: vec![ListOffsetsTopic {
            name: (&*partition.topic).into(),
            partitions: vec![ListOffsetsPartition {
                partition_index: partition.partition,
                current_leader_epoch: leader.epoch,
                timestamp,
            }],
        }],
        timeout_ms: millis_i32(cluster.config.request_timeout),
    };
    let timeout = cluster.config.request_timeout;
    let response = cluster
        .call(leader.node_id, Lane::GENERAL, request, i16::MAX, timeout)
        .await
        .map_err(|error| Attempt::from(error.error))?;
    let topic = response.topics.into_iter().next();
    let found = topic.and_then(|topic| topic.partitions.into_iter().next());
    let found = found.ok_or_else(|| Error::Corrupt("no partition in the answer".to_owned()))?;
    check("ListOffsets", found.error_code, None)?;
    Ok((found.offset >= 0).then(|| FoundOffset {
        offset: found.offset,
        timestamp: (found.timestamp >= 0).then_some(found.timestamp),
        leader_epoch: (found.leader_epoch >= 0).then_some(found.leader_epoch),
    }))
}

/// The number of an isolation level on the wire.
pub(crate) fn isolation(level: IsolationLevel) -> i8 {
    match level {
        IsolationLevel::ReadUncommitted => 0,
        IsolationLevel::ReadCommitted => 1,
    }
}

/// Asks for offsets of a group, in the forms of all versions at once; all with no partitions.
pub(crate) fn fetch_request(
    group: &str,
    partitions: Option<&[TopicPartition]>,
    require_stable: bool,
) -> OffsetFetchRequest {
    let by_topic = partitions.map(|partitions| {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for partition in partitions {
            topics
                .entry(&partition.topic)
                .or_default()
                .push(partition.partition);
        }
        topics
    });
    let old = by_topic.as_ref().map(|topics| {
        let topic = |(name, partitions): (&&str, &Vec<i32>)| OffsetFetchRequestTopic {
            name: (*name).into(),
            partition_indexes: partitions.clone(),
        };
        topics.iter().map(topic).collect()
    });
    let new = by_topic.as_ref().map(|topics| {
        let topic = |(name, partitions): (&&str, &Vec<i32>)| OffsetFetchRequestTopics {
            name: (*name).into(),
            partition_indexes: partitions.clone(),
            ..OffsetFetchRequestTopics::default()
        };
        topics.iter().map(topic).collect()
    });
    OffsetFetchRequest {
        group_id: group.into(),
        topics: old,
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.into(),
            topics: new,
            ..OffsetFetchRequestGroup::default()
        }],
        require_stable,
    }
}

/// The offsets in an answer of any version. Partitions without one are left out.
pub(crate) fn committed(
    response: OffsetFetchResponse,
) -> Result<BTreeMap<TopicPartition, CommittedOffset>, Error> {
    let mut offsets = BTreeMap::new();
    check("OffsetFetch", response.error_code, None)?;
    let mut insert = |topic: &str, partition, code, offset, epoch: i32, metadata: Option<_>| {
        check("OffsetFetch", code, None)?;
        if offset >= 0 {
            let leader_epoch = (epoch >= 0).then_some(epoch);
            let metadata = metadata.map_or_else(String::new, |text: ottla_protocol::StrBytes| {
                text.to_string()
            });
            let committed = CommittedOffset {
                offset,
                leader_epoch,
                metadata,
            };
            offsets.insert(TopicPartition::new(topic, partition), committed);
        }
        Ok::<_, Error>(())
    };
    for topic in response.topics {
        for p in topic.partitions {
            let (epoch, code) = (p.committed_leader_epoch, p.error_code);
            let offset = p.committed_offset;
            insert(
                &topic.name,
                p.partition_index,
                code,
                offset,
                epoch,
                p.metadata,
            )?;
        }
    }
    for group in response.groups {
        check("OffsetFetch", group.error_code, None)?;
        for topic in group.topics {
            for p in topic.partitions {
                let (epoch, code) = (p.committed_leader_epoch, p.error_code);
                let offset = p.committed_offset;
                insert(
                    &topic.name,
                    p.partition_index,
                    code,
                    offset,
                    epoch,
                    p.metadata,
                )?;
            }
        }
    }
    Ok(offsets)
}

/// Stores offsets of a group.
pub(crate) fn commit_request(
    group: &ConsumerGroupMetadata,
    offsets: &BTreeMap<TopicPartition, CommittedOffset>,
) -> OffsetCommitRequest {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for (partition, committed) in offsets {
        topics
            .entry(&partition.topic)
            .or_default()
            .push(OffsetCommitRequestPartition {
                partition_index: partition.partition,
                committed_offset: committed.offset,
                committed_leader_epoch: committed.leader_epoch.unwrap_or(-1),
                committed_metadata: Some(committed.metadata.as_str().into()),
            });
    }
    let topic = |(name, partitions): (&str, _)| OffsetCommitRequestTopic {
        name: name.into(),
        partitions,
        ..OffsetCommitRequestTopic::default()
    };
    OffsetCommitRequest {
        group_id: group.group_id.as_str().into(),
        generation_id_or_member_epoch: group.generation_id,
        member_id: group.member_id.as_str().into(),
        group_instance_id: group.group_instance_id.as_deref().map(Into::into),
        topics: topics.into_iter().map(topic).collect(),
        ..OffsetCommitRequest::default()
    }
}

/// The first error in an answer to a commit, if there is one.
pub(crate) fn commit_code(response: &OffsetCommitResponse) -> ErrorCode {
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    let mut codes = partitions.map(|partition| partition.error_code);
    codes
        .find(|code| *code != ErrorCode::None)
        .unwrap_or(ErrorCode::None)
}
