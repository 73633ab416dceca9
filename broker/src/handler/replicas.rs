//! Where replicas are and which of them leads, on the one node there is: AlterReplicaLogDirs (34),
//! ElectLeaders (43), AlterPartitionReassignments (45), ListPartitionReassignments (46).

use std::path::Path;

use ottla_protocol::message::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse, ElectLeadersRequest, ElectLeadersResponse, ElectedPartition,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopicResponse, ReplicaElectionResult, Response,
};
use ottla_protocol::{ErrorCode, StrBytes};

use super::topics::Refusal;
use crate::core::Core;
use crate::service::Context;

/// The first ElectLeaders version that says which kind of election.
const FIRST_ELECTION_TYPE: i16 = 1;

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

fn told(refusal: Refusal) -> (ErrorCode, Option<StrBytes>) {
    let (error_code, why) = refusal;
    (error_code, Some(StrBytes::from(why)))
}

fn known(core: &Core, topic: &str, index: i32) -> Result<(), Refusal> {
    let found = core.topics.by_name(topic);
    let count = found.map_or(0, |topic| topic.partition_count());
    if usize::try_from(index).is_ok_and(|index| index < count) {
        return Ok(());
    }
    let why = format!("There is no partition {topic}-{index}.");
    Err((ErrorCode::UnknownTopicOrPartition, why))
}

/// The only replica leads already, or its log failed and no election can help.
pub(crate) fn elect_leaders(
    core: &Core,
    context: &Context,
    request: ElectLeadersRequest,
) -> Response {
    let has_type = context.api_version >= FIRST_ELECTION_TYPE;
    let election = if has_type {
        request.election_type
    } else {
        PREFERRED
    };
    if election != PREFERRED && election != UNCLEAN {
        return Response::ElectLeaders(ElectLeadersResponse {
            error_code: ErrorCode::InvalidRequest,
            ..Default::default()
        });
    }
    let replica_election_results = match request.topic_partitions {
        // Kafka tells of all topics, with those partitions alone that needed an election.
        None => core
            .topics
            .all()
            .iter()
            .map(|topic| {
                let indexes = (0..).take(topic.partition_count());
                let elected = indexes.map(|index| elect(core, &topic.name, index, election));
                ReplicaElectionResult {
                    topic: topic.name.clone(),
                    partition_result: elected
                        .filter(|elected| elected.error_code != ErrorCode::ElectionNotNeeded)
                        .collect(),
                }
            })
            .collect(),
        Some(topics) => topics
            .into_iter()
            .map(|topic| {
                let elected = topic.partitions.iter();
                let elected = elected.map(|index| elect(core, &topic.topic, *index, election));
                ReplicaElectionResult {
                    partition_result: elected.collect(),
                    topic: topic.topic.clone(),
                }
            })
            .collect(),
    };
    Response::ElectLeaders(ElectLeadersResponse {
        replica_election_results,
        ..Default::default()
    })
}

fn elect(core: &Core, topic: &str, partition_id: i32, election: i8) -> ElectedPartition {
    let (error_code, error_message) = match known(core, topic, partition_id) {
        Err(refusal) => told(refusal),
        Ok(()) => {
            let leads = core
                .topics
                .by_name(topic)
                .is_some_and(|topic| topic.partition(partition_id).is_ok());
            if leads {
                let why = "The leader is the only replica.".to_owned();
                told((ErrorCode::ElectionNotNeeded, why))
            } else {
                let code = if election == PREFERRED {
                    ErrorCode::PreferredLeaderNotAvailable
                } else {
                    ErrorCode::EligibleLeadersNotAvailable
                };
                told((code, "The only replica could not be opened.".to_owned()))
            }
        }
    };
    ElectedPartition {
        partition_id,
        error_code,
        error_message,
    }
}

/// A replica stays where it is: a request that says so is granted, every other refused.
pub(crate) fn alter_reassignments(
    core: &Core,
    request: AlterPartitionReassignmentsRequest,
) -> Response {
    let responses = request
        .topics
        .into_iter()
        .map(|topic| {
            let partition = |wanted: &ReassignablePartition| {
                let (error_code, error_message) = match reassign(core, &topic.name, wanted) {
                    Ok(()) => (ErrorCode::None, None),
                    Err(refusal) => told(refusal),
                };
                ReassignablePartitionResponse {
                    partition_index: wanted.partition_index,
                    error_code,
                    error_message,
                }
            };
            ReassignableTopicResponse {
                partitions: topic.partitions.iter().map(partition).collect(),
                name: topic.name.clone(),
            }
        })
        .collect();
    Response::AlterPartitionReassignments(AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        responses,
        ..Default::default()
    })
}

fn reassign(core: &Core, topic: &str, wanted: &ReassignablePartition) -> Result<(), Refusal> {
    known(core, topic, wanted.partition_index)?;
    match &wanted.replicas {
        None => Err((
            ErrorCode::NoReassignmentInProgress,
            "No move of this partition is in progress.".to_owned(),
        )),
        Some(replicas) if *replicas == [core.config.node_id] => Ok(()),
        Some(_) => Err((
            ErrorCode::InvalidReplicaAssignment,
            format!(
                "A partition has one replica, on broker {}, which is the only one.",
                core.config.node_id
            ),
        )),
    }
}

/// Nothing ever moves.
pub(crate) fn list_reassignments(_request: &ListPartitionReassignmentsRequest) -> Response {
    Response::ListPartitionReassignments(ListPartitionReassignmentsResponse::default())
}

/// There is one directory, where every log is already.
pub(crate) fn alter_log_dirs(core: &Core, request: AlterReplicaLogDirsRequest) -> Response {
    let results = request
        .dirs
        .into_iter()
        .flat_map(|dir| {
            let is_ours = Path::new(&*dir.path) == core.store.dir();
            dir.topics.into_iter().map(move |topic| (is_ours, topic))
        })
        .map(|(is_ours, topic)| {
            let found = core.topics.by_name(&topic.name);
            let partition = |partition_index: &i32| AlterReplicaLogDirPartitionResult {
                partition_index: *partition_index,
                error_code: match &found {
                    _ if !is_ours => ErrorCode::LogDirNotFound,
                    None => ErrorCode::UnknownTopicOrPartition,
                    Some(found) => found
                        .partition(*partition_index)
                        .err()
                        .unwrap_or(ErrorCode::None),
                },
            };
            AlterReplicaLogDirTopicResult {
                partitions: topic.partitions.iter().map(partition).collect(),
                topic_name: topic.name.clone(),
            }
        })
        .collect();
    Response::AlterReplicaLogDirs(AlterReplicaLogDirsResponse {
        results,
        ..Default::default()
    })
}
