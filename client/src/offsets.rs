//! Requests about offsets that consumers and administration share.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::message::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic, OffsetCommitRequest,
    OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};
use ottla_protocol::{ApiKey, ErrorCode};
use tokio::time::Instant;

use crate::cluster::{Cluster, Lane, Topics};
use crate::config::IsolationLevel;
use crate::consumer::ConsumerGroupMetadata;
use crate::env::millis_i32;
use crate::error::{CallError, Error, check};
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
    /// That of the oldest record on the broker's own disks (KIP-405); where no records are kept
    /// elsewhere, that of the oldest.
    EarliestLocal,
    /// That of the newest record that is kept elsewhere (KIP-1005).
    LatestTiered,
    /// That of the oldest record that is to be kept elsewhere and is not yet (KIP-1023).
    EarliestPendingUpload,
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
    let wanted = BTreeMap::from([(partition.clone(), spec)]);
    let mut found = list_offsets(cluster, &wanted, isolation_level, deadline).await?;
    Ok(found.remove(partition).flatten())
}

/// Finds an offset of each partition, none where no record matches, asking until `deadline`.
pub(crate) async fn list_offsets(
    cluster: &Cluster,
    wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    isolation_level: IsolationLevel,
    deadline: Instant,
) -> Result<BTreeMap<TopicPartition, Option<FoundOffset>>, Error> {
    let topics = wanted.keys().map(|partition| Arc::clone(&partition.topic));
    let topics = Topics::Named(topics.collect());
    let topics = &topics;
    let found = parking_lot::Mutex::new(BTreeMap::new());
    let found_here = &found;
    let mut first = true;
    let attempt = || {
        let refresh = !std::mem::take(&mut first);
        async move {
            if refresh {
                cluster.refresh(topics, false).await?;
            }
            let missing = wanted
                .iter()
                .filter(|(p, _)| !found_here.lock().contains_key(*p));
            let missing = missing.map(|(partition, spec)| (partition.clone(), *spec));
            let answers = ask_offsets(cluster, missing.collect(), isolation_level).await;
            let mut failure = None;
            for (partition, answer) in answers {
                match answer.map_err(Attempt::from) {
                    Ok(offset) => {
                        found_here.lock().insert(partition, offset);
                    }
                    Err(stop @ Attempt::Stop(_)) => return Err(stop),
                    Err(again) => failure = Some(again),
                }
            }
            failure.map_or(Ok(()), Err)
        }
    };
    cluster.retry("ListOffsets", deadline, attempt).await?;
    Ok(found.into_inner())
}

/// Asks the leaders once. Every partition is in the outcome.
pub(crate) async fn ask_offsets(
    cluster: &Cluster,
    wanted: BTreeMap<TopicPartition, OffsetSpec>,
    isolation_level: IsolationLevel,
) -> BTreeMap<TopicPartition, Result<Option<FoundOffset>, Error>> {
    let metadata = cluster.metadata();
    let mut outcome = BTreeMap::new();
    let mut by_leader: BTreeMap<i32, Vec<(TopicPartition, OffsetSpec, i32)>> = BTreeMap::new();
    for (partition, spec) in wanted {
        match metadata.leader(&partition) {
            Some(leader) => {
                let list = by_leader.entry(leader.node_id).or_default();
                list.push((partition, spec, leader.epoch));
            }
            None => {
                let error = Error::Unavailable(format!("{partition} has no leader"));
                outcome.insert(partition, Err(error));
            }
        }
    }
    let asking = by_leader
        .into_iter()
        .map(|(node, wanted)| ask_leader(cluster, node, wanted, isolation_level));
    for answers in futures_util::future::join_all(asking).await {
        outcome.extend(answers);
    }
    outcome
}

async fn ask_leader(
    cluster: &Cluster,
    node: i32,
    wanted: Vec<(TopicPartition, OffsetSpec, i32)>,
    isolation_level: IsolationLevel,
) -> BTreeMap<TopicPartition, Result<Option<FoundOffset>, Error>> {
    let mut topics: BTreeMap<Arc<str>, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (partition, spec, leader_epoch) in &wanted {
        let list = topics.entry(Arc::clone(&partition.topic)).or_default();
        list.push(ListOffsetsPartition {
            partition_index: partition.partition,
            current_leader_epoch: *leader_epoch,
            timestamp: spec.timestamp(),
        });
    }
    let topic = |(name, partitions): (Arc<str>, _)| ListOffsetsTopic {
        name: (&*name).into(),
        partitions,
    };
    let timeout = cluster.config.request_timeout;
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: isolation(isolation_level),
        topics: topics.into_iter().map(topic).collect(),
        timeout_ms: millis_i32(timeout),
    };
    let missing = Error::Corrupt("a partition is not in the answer".to_owned());
    let floors = wanted.iter().map(|(_, spec, _)| spec.floor());
    let floor = floors.max().unwrap_or_default();
    let answer = async {
        let connection = cluster.node(node, Lane::GENERAL).await?;
        if connection.serves_less(ApiKey::ListOffsets, floor) {
            let text = format!("ListOffsets of version {floor}");
            return Err(CallError::unsent(Error::Unsupported(text)));
        }
        connection.call(request, i16::MAX, timeout).await
    };
    let (topics, missing) = match answer.await {
        Ok(response) => (response.topics, missing),
        Err(error) => (Vec::new(), error.error),
    };
    let partitions = wanted.into_iter().map(|(partition, ..)| partition);
    let mut outcome: BTreeMap<_, _> = partitions.map(|p| (p, Err(missing.clone()))).collect();
    for topic in topics {
        let name: Arc<str> = Arc::from(&*topic.name);
        for found in topic.partitions {
            let partition = TopicPartition::new(Arc::clone(&name), found.partition_index);
            if let Some(slot) = outcome.get_mut(&partition) {
                *slot = check("ListOffsets", found.error_code, None).map(|()| {
                    (found.offset >= 0).then(|| FoundOffset {
                        offset: found.offset,
                        timestamp: (found.timestamp >= 0).then_some(found.timestamp),
                        leader_epoch: (found.leader_epoch >= 0).then_some(found.leader_epoch),
                    })
                });
            }
        }
    }
    outcome
}

impl OffsetSpec {
    /// The timestamp that means this on the wire.
    fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Timestamp(timestamp) => timestamp.max(0),
            Self::EarliestLocal => -4,
            Self::LatestTiered => -5,
            Self::EarliestPendingUpload => -6,
        }
    }

    /// The oldest version of ListOffsets that knows this.
    fn floor(self) -> i16 {
        match self {
            Self::Latest | Self::Earliest | Self::Timestamp(_) => 0,
            Self::MaxTimestamp => 7,
            Self::EarliestLocal => 8,
            Self::LatestTiered => 9,
            Self::EarliestPendingUpload => 11,
        }
    }
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
