//! Committed offsets: OffsetCommit (8), OffsetFetch (9), OffsetDelete (47).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ottla_protocol::message::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic, OffsetDeleteRequest,
    OffsetDeleteRequestTopic, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic, OffsetFetchRequest, OffsetFetchResponse, OffsetFetchResponseGroup,
    OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics, Response,
};
use ottla_protocol::{ErrorCode, StrBytes};
use uuid::Uuid;

use super::groups::{MISMATCH, arc, ask, code, text};
use super::once::once;
use crate::core::Core;
use crate::group::{self, Event, GroupError, Reply};
use crate::service::Context;
use crate::topics::Topics;

/// The first OffsetFetch version that asks for several groups.
const FIRST_BATCHED_FETCH: i16 = 8;

/// The first OffsetFetch and OffsetCommit version that names topics by id.
const FIRST_TOPIC_ID: i16 = 10;

/// Resolves what a request calls a topic into its name.
fn topic_name(topics: &Topics, name: &str, id: Uuid, by_id: bool) -> Option<Arc<str>> {
    if !by_id {
        return Some(Arc::from(name));
    }
    topics.by_id(id).map(|topic| Arc::from(&*topic.name))
}

fn id_of(id: Uuid) -> Option<Uuid> {
    (!id.is_nil()).then_some(id)
}

pub(crate) fn commit(
    core: &Arc<Core>,
    context: &Context,
    request: OffsetCommitRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let by_id = context.api_version >= FIRST_TOPIC_ID;
    let (known, mut refused) = known_topics(core, &request.topics, by_id);
    let event = group::CommitOffsetsRequest {
        api_version: context.api_version,
        group_id: arc(&request.group_id),
        generation_id: request.generation_id_or_member_epoch,
        member_id: arc(&request.member_id),
        group_instance_id: request.group_instance_id.as_ref().map(arc),
        retention_time_ms: request.retention_time_ms,
        topics: known,
    };
    let reply = ask(core, |token| Event::CommitOffsets(token, event));
    async move {
        let mut topics = match reply.await {
            Ok(Reply::CommitOffsets(topics)) => topics.iter().map(committed).collect(),
            Ok(_) => failed_commit(&request.topics, MISMATCH),
            Err(error_code) => failed_commit(&request.topics, error_code),
        };
        topics.append(&mut refused);
        Response::OffsetCommit(OffsetCommitResponse {
            topics,
            ..Default::default()
        })
    }
}

/// Splits the topics of a commit into those that exist and the answers for those that do not.
fn known_topics(
    core: &Core,
    topics: &[OffsetCommitRequestTopic],
    by_id: bool,
) -> (Vec<group::CommitTopic>, Vec<OffsetCommitResponseTopic>) {
    let mut known = Vec::new();
    let mut refused = Vec::new();
    for topic in topics {
        let found = match core.topics.find(&topic.name, topic.topic_id, by_id) {
            Ok(found) => found,
            Err(error_code) => {
                refused.extend(failed_commit(std::slice::from_ref(topic), error_code));
                continue;
            }
        };
        let (exists, missing): (Vec<_>, Vec<_>) = topic.partitions.iter().partition(|partition| {
            usize::try_from(partition.partition_index)
                .is_ok_and(|index| index < found.partition_count())
        });
        if !missing.is_empty() {
            refused.push(OffsetCommitResponseTopic {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partitions: missing
                    .iter()
                    .map(|partition| OffsetCommitResponsePartition {
                        partition_index: partition.partition_index,
                        error_code: ErrorCode::UnknownTopicOrPartition,
                    })
                    .collect(),
            });
        }
        known.push(group::CommitTopic {
            name: arc(&found.name),
            topic_id: id_of(topic.topic_id),
            partitions: exists
                .iter()
                .map(|partition| group::CommitPartition {
                    partition_index: partition.partition_index,
                    committed_offset: partition.committed_offset,
                    committed_leader_epoch: partition.committed_leader_epoch,
                    committed_metadata: partition.committed_metadata.as_ref().map(arc),
                })
                .collect(),
        });
    }
    (known, refused)
}

fn committed(topic: &group::TopicErrors) -> OffsetCommitResponseTopic {
    OffsetCommitResponseTopic {
        name: text(&topic.name),
        topic_id: topic.topic_id.unwrap_or_default(),
        partitions: topic
            .partitions
            .iter()
            .map(|(partition_index, error)| OffsetCommitResponsePartition {
                partition_index: *partition_index,
                error_code: code(*error),
            })
            .collect(),
    }
}

fn failed_commit(
    topics: &[OffsetCommitRequestTopic],
    error_code: ErrorCode,
) -> Vec<OffsetCommitResponseTopic> {
    let failed = |topic: &OffsetCommitRequestTopic| OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code,
            })
            .collect(),
    };
    topics.iter().map(failed).collect()
}

pub(crate) fn fetch(
    core: &Arc<Core>,
    context: &Context,
    request: OffsetFetchRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let api_version = context.api_version;
    let (groups, unknown) = wanted_groups(core, api_version, &request);
    let ids: Vec<_> = groups
        .iter()
        .map(|group| Arc::clone(&group.group_id))
        .collect();
    let event = group::FetchOffsetsRequest {
        groups,
        require_stable: request.require_stable,
    };
    let reply = ask(core, |token| Event::FetchOffsets(token, event));
    let core = Arc::clone(core);
    async move {
        let failed = |error_code| {
            let group = |id: &Arc<str>| OffsetFetchResponseGroup {
                group_id: text(id),
                error_code,
                ..Default::default()
            };
            ids.iter().map(group).collect::<Vec<_>>()
        };
        let mut groups = match reply.await {
            Ok(Reply::FetchOffsets(groups)) => groups
                .iter()
                .map(|group| fetched(&core.topics, api_version, group))
                .collect(),
            Ok(_) => failed(MISMATCH),
            Err(error_code) => failed(error_code),
        };
        for (group, mut topics) in groups.iter_mut().zip(unknown) {
            group.topics.append(&mut topics);
        }
        Response::OffsetFetch(if api_version >= FIRST_BATCHED_FETCH {
            OffsetFetchResponse {
                groups,
                ..Default::default()
            }
        } else {
            single_group(groups.pop().unwrap_or_default())
        })
    }
}

/// Partitions that a group was asked about.
type Told = HashSet<(Arc<str>, i32)>;

/// The partitions that were not asked about before.
fn untold(told: &mut Told, topic: &Arc<str>, partitions: &[i32]) -> Vec<i32> {
    let is_new = |partition: &i32| told.insert((Arc::clone(topic), *partition));
    partitions.iter().copied().filter(is_new).collect()
}

type Unknown = Vec<Vec<OffsetFetchResponseTopics>>;

/// What the coordinator is asked for each group, and the answers for topic ids that nobody has.
fn wanted_groups(
    core: &Core,
    api_version: i16,
    request: &OffsetFetchRequest,
) -> (Vec<group::FetchOffsetsGroup>, Unknown) {
    if api_version < FIRST_BATCHED_FETCH {
        let mut told = Told::new();
        let topics = request.topics.as_ref().map(|topics| {
            topics
                .iter()
                .map(|topic| {
                    let name = arc(&topic.name);
                    group::TopicPartitions {
                        partitions: untold(&mut told, &name, &topic.partition_indexes),
                        name,
                        topic_id: None,
                    }
                })
                .collect()
        });
        let group = group::FetchOffsetsGroup {
            group_id: arc(&request.group_id),
            member_id: None,
            member_epoch: -1,
            topics,
        };
        return (vec![group], Vec::new());
    }
    let by_id = api_version >= FIRST_TOPIC_ID;
    let mut unknown = Vec::new();
    let mut groups = Vec::new();
    for group in once(&request.groups, |group| group.group_id.clone()) {
        let mut missing = Vec::new();
        let mut told = Told::new();
        let topics = group.topics.as_ref().map(|topics| {
            let resolve = |topic: &ottla_protocol::message::OffsetFetchRequestTopics| {
                let found = topic_name(&core.topics, &topic.name, topic.topic_id, by_id);
                let Some(name) = found else {
                    missing.push(unknown_id(topic.topic_id, &topic.partition_indexes));
                    return None;
                };
                Some(group::TopicPartitions {
                    partitions: untold(&mut told, &name, &topic.partition_indexes),
                    name,
                    topic_id: id_of(topic.topic_id),
                })
            };
            topics.iter().filter_map(resolve).collect()
        });
        groups.push(group::FetchOffsetsGroup {
            group_id: arc(&group.group_id),
            member_id: group.member_id.as_ref().map(arc),
            member_epoch: group.member_epoch,
            topics,
        });
        unknown.push(missing);
    }
    (groups, unknown)
}

fn unknown_id(topic_id: Uuid, partitions: &[i32]) -> OffsetFetchResponseTopics {
    let partition = |index: &i32| OffsetFetchResponsePartitions {
        partition_index: *index,
        committed_offset: -1,
        metadata: Some(text("")),
        error_code: ErrorCode::UnknownTopicId,
        ..Default::default()
    };
    OffsetFetchResponseTopics {
        topic_id,
        partitions: partitions.iter().map(partition).collect(),
        ..Default::default()
    }
}

fn fetched(
    topics: &Topics,
    api_version: i16,
    group: &group::FetchedGroup,
) -> OffsetFetchResponseGroup {
    let topic = |topic: &group::FetchedTopic| {
        let id = topic
            .topic_id
            .or_else(|| topics.by_name(&topic.name).map(|topic| topic.id));
        if api_version >= FIRST_TOPIC_ID && id.is_none() {
            return None;
        }
        Some(OffsetFetchResponseTopics {
            name: text(&topic.name),
            topic_id: id.unwrap_or_default(),
            partitions: topic.partitions.iter().map(fetched_partition).collect(),
        })
    };
    OffsetFetchResponseGroup {
        group_id: text(&group.group_id),
        topics: group.topics.iter().filter_map(topic).collect(),
        error_code: code(group.error),
    }
}

fn fetched_partition(partition: &group::FetchedPartition) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: Some(text(&partition.metadata)),
        error_code: code(partition.error),
    }
}

/// The form of versions before 8, which answer for one group.
fn single_group(group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    };
    let topic = |topic: OffsetFetchResponseTopics| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    };
    OffsetFetchResponse {
        topics: group.topics.into_iter().map(topic).collect(),
        error_code: group.error_code,
        ..Default::default()
    }
}

pub(crate) fn delete(
    core: &Arc<Core>,
    request: OffsetDeleteRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let (known, unknown) = sort_out(core, request.topics);
    let event = group::DeleteOffsetsRequest {
        group_id: arc(&request.group_id),
        topics: known,
    };
    // As in Kafka, the group is not looked at for partitions alone that are not there.
    let is_needed = unknown.is_empty() || !event.topics.is_empty();
    let reply = is_needed.then(|| ask(core, |token| Event::DeleteOffsets(token, event)));
    async move {
        let outcome = match reply {
            None => Ok(Vec::new()),
            Some(reply) => match reply.await {
                Ok(Reply::DeleteOffsets(reply)) if reply.error == GroupError::None => {
                    Ok(reply.topics.iter().map(deleted).collect())
                }
                Ok(Reply::DeleteOffsets(reply)) => Err(code(reply.error)),
                Ok(_) => Err(MISMATCH),
                Err(error_code) => Err(error_code),
            },
        };
        Response::OffsetDelete(match outcome {
            Ok(topics) => OffsetDeleteResponse {
                topics: with_unknown(topics, unknown),
                ..Default::default()
            },
            Err(error_code) => OffsetDeleteResponse {
                error_code,
                ..Default::default()
            },
        })
    }
}

/// The partitions that are there, and the answers for those that are not.
fn sort_out(
    core: &Core,
    topics: Vec<OffsetDeleteRequestTopic>,
) -> (Vec<group::TopicPartitions>, Vec<OffsetDeleteResponseTopic>) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for topic in topics {
        let count = core
            .topics
            .by_name(&topic.name)
            .map_or(0, |found| found.partition_count());
        let indexes = topic.partitions.iter().map(|p| p.partition_index);
        let (here, gone): (Vec<i32>, Vec<i32>) =
            indexes.partition(|index| usize::try_from(*index).is_ok_and(|index| index < count));
        if !here.is_empty() {
            known.push(group::TopicPartitions {
                name: arc(&topic.name),
                topic_id: None,
                partitions: here,
            });
        }
        if !gone.is_empty() {
            let answer = |partition_index| OffsetDeleteResponsePartition {
                partition_index,
                error_code: ErrorCode::UnknownTopicOrPartition,
            };
            unknown.push(OffsetDeleteResponseTopic {
                name: topic.name,
                partitions: gone.into_iter().map(answer).collect(),
            });
        }
    }
    (known, unknown)
}

/// One entry for each topic.
fn with_unknown(
    mut topics: Vec<OffsetDeleteResponseTopic>,
    unknown: Vec<OffsetDeleteResponseTopic>,
) -> Vec<OffsetDeleteResponseTopic> {
    let names = topics.iter().enumerate();
    let mut places: HashMap<StrBytes, usize> = names
        .map(|(place, topic)| (topic.name.clone(), place))
        .collect();
    for topic in unknown {
        let place = *places.entry(topic.name.clone()).or_insert(topics.len());
        match topics.get_mut(place) {
            Some(known) => known.partitions.extend(topic.partitions),
            None => topics.push(topic),
        }
    }
    topics
}

fn deleted(topic: &group::TopicErrors) -> OffsetDeleteResponseTopic {
    OffsetDeleteResponseTopic {
        name: text(&topic.name),
        partitions: topic
            .partitions
            .iter()
            .map(|(partition_index, error)| OffsetDeleteResponsePartition {
                partition_index: *partition_index,
                error_code: code(*error),
            })
            .collect(),
    }
}
