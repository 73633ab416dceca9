//! Shell. The requests of a consumer, each a future that its task waits for among others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, MAX_VERSION, TopicPartitions,
};
use ottla_protocol::message::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatRequest,
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse, LeaveGroupRequest,
    MemberIdentity, SyncGroupRequest, SyncGroupRequestAssignment,
};
use ottla_protocol::{ApiKey, ErrorCode, StrBytes};

use super::assignor::{Member, PartitionCounts, divide};
use super::membership::{Failure, Input, Joined};
use super::user_data;
use super::{ConsumerGroupMetadata, Shared};
use crate::cluster::Topics;
use crate::config::AssignmentStrategy;
use crate::env::millis_i32;
use crate::error::{CallError, Error};
use crate::metadata::TopicPartition;
use crate::offsets::{COMMIT_BY_NAME, CommittedOffset, commit_request};

/// The kind of group that consumers form.
const PROTOCOL_TYPE: &str = "consumer";

/// How much longer than the rebalance a JoinGroup may take.
const JOIN_MARGIN: Duration = Duration::from_secs(5);

/// The last round of joining: what the leader divides by, and what SyncGroup has to repeat.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) protocol: StrBytes,
    pub(super) strategy: AssignmentStrategy,
    pub(super) members: Vec<Member>,
    /// The leader's assignment of before still holds (KIP-814).
    pub(super) skip_assignment: bool,
}

fn lost(error: CallError) -> Failure {
    Failure::Lost(error.error)
}

/// Joins with what is wanted and owned. The answer comes with the round it opens.
pub(super) async fn join(
    shared: &Shared,
    coordinator: i32,
    group: ConsumerGroupMetadata,
    topics: BTreeSet<Arc<str>>,
    owned: BTreeSet<TopicPartition>,
) -> Result<(Joined, Round), (Failure, Option<String>)> {
    let config = &shared.config;
    let strategies = &config.assignment_strategy.0;
    let protocol = |strategy: &AssignmentStrategy| {
        Ok(JoinGroupRequestProtocol {
            name: protocol_name(*strategy).into(),
            metadata: subscription(shared, *strategy, &group, &topics, &owned)?,
        })
    };
    let protocols: Result<Vec<_>, Error> = strategies.iter().map(protocol).collect();
    let request = JoinGroupRequest {
        group_id: group.group_id.as_str().into(),
        session_timeout_ms: millis_i32(config.session_timeout),
        rebalance_timeout_ms: millis_i32(config.max_poll_interval),
        member_id: group.member_id.as_str().into(),
        group_instance_id: group.group_instance_id.as_deref().map(Into::into),
        protocol_type: PROTOCOL_TYPE.into(),
        protocols: protocols.map_err(|error| (Failure::Lost(error), None))?,
        reason: None,
    };
    let timeout = config
        .max_poll_interval
        .max(shared.cluster.config.request_timeout);
    let lane = shared.lanes.membership;
    let response = shared
        .cluster
        .call(coordinator, lane, request, i16::MAX, timeout + JOIN_MARGIN)
        .await
        .map_err(|error| (lost(error), None))?;
    joined(response, strategies)
}

fn joined(
    response: JoinGroupResponse,
    strategies: &[AssignmentStrategy],
) -> Result<(Joined, Round), (Failure, Option<String>)> {
    if response.error_code != ErrorCode::None {
        let member_id = Some(response.member_id.to_string());
        return Err((Failure::Code(response.error_code), member_id));
    }
    let protocol = response.protocol_name.unwrap_or_default();
    let mut known = strategies.iter();
    let strategy = known.find(|strategy| protocol_name(**strategy) == &*protocol);
    let Some(strategy) = strategy.copied() else {
        let text = format!("the group chose protocol {protocol}, which was not offered");
        return Err((Failure::Lost(Error::Corrupt(text)), None));
    };
    let members = response.members.into_iter().map(|member| {
        let blob = ConsumerProtocolSubscription::from_bytes(member.metadata);
        let subscription = blob
            .map(|(_, subscription)| subscription)
            .unwrap_or_default();
        let (owned, generation_id) = user_data::owned(strategy, &subscription);
        Member {
            member_id: member.member_id.to_string(),
            group_instance_id: member.group_instance_id.map(|id| id.to_string()),
            topics: subscription
                .topics
                .iter()
                .map(|topic| Arc::from(&**topic))
                .collect(),
            owned,
            generation_id,
        }
    });
    let joined = Joined {
        generation_id: response.generation_id,
        is_leader: response.leader == response.member_id,
        member_id: response.member_id.to_string(),
    };
    let round = Round {
        members: members.collect(),
        skip_assignment: response.skip_assignment,
        protocol,
        strategy,
    };
    Ok((joined, round))
}

fn subscription(
    shared: &Shared,
    strategy: AssignmentStrategy,
    group: &ConsumerGroupMetadata,
    topics: &BTreeSet<Arc<str>>,
    owned: &BTreeSet<TopicPartition>,
) -> Result<bytes::Bytes, Error> {
    let rack = &shared.config.client_rack;
    let last = shared.state.lock().last_owned.clone();
    let (last_owned, last_generation) = last;
    let subscription = ConsumerProtocolSubscription {
        topics: topics.iter().map(|topic| (&**topic).into()).collect(),
        user_data: user_data::encode(strategy, &last_owned, last_generation),
        owned_partitions: by_topic(owned),
        generation_id: group.generation_id,
        rack_id: (!rack.is_empty()).then(|| rack.as_str().into()),
    };
    Ok(subscription.to_bytes(MAX_VERSION)?)
}

/// Partitions as the blobs have them.
pub(super) fn by_topic<'a>(
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics
            .entry(&partition.topic)
            .or_default()
            .push(partition.partition);
    }
    let topic = |(topic, partitions): (&str, _)| TopicPartitions {
        topic: topic.into(),
        partitions,
    };
    topics.into_iter().map(topic).collect()
}

/// Divides the partitions of all topics that members want, unless what was divided before still
/// holds; also gives what it divided by, which the leader has to watch in any case.
pub(super) async fn divide_among(
    shared: &Shared,
    round: &Round,
) -> (Vec<SyncGroupRequestAssignment>, PartitionCounts) {
    let topics: BTreeSet<Arc<str>> = round
        .members
        .iter()
        .flat_map(|m| m.topics.clone())
        .collect();
    // Without an answer what is known has to do: the next refresh brings the rest.
    let _ = shared
        .cluster
        .refresh(&Topics::Named(topics.clone()), false)
        .await;
    let counts = partition_counts(shared, &topics);
    if round.skip_assignment {
        return (Vec::new(), counts);
    }
    let there = counts.iter().filter(|(_, count)| **count > 0);
    let there = there.map(|(topic, count)| (Arc::clone(topic), *count));
    let division = divide(round.strategy, &round.members, &there.collect());
    let assignment = |(member_id, partitions): (String, Vec<TopicPartition>)| {
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: by_topic(&partitions),
            user_data: None,
        };
        SyncGroupRequestAssignment {
            member_id: member_id.into(),
            assignment: assignment.to_bytes(MAX_VERSION).unwrap_or_default(),
        }
    };
    (division.into_iter().map(assignment).collect(), counts)
}

/// How many partitions these topics have, as far as is known. One that is not there has none, so
/// that its creation is a change.
pub(super) fn partition_counts(shared: &Shared, topics: &BTreeSet<Arc<str>>) -> PartitionCounts {
    let metadata = shared.cluster.metadata();
    let count = |topic: &Arc<str>| {
        let known = metadata.topics.get(topic);
        let count = known.map_or(0, |topic| topic.leaders.len());
        (Arc::clone(topic), i32::try_from(count).unwrap_or(i32::MAX))
    };
    topics.iter().map(count).collect()
}

/// Tells the division, or nothing, and learns one's own part.
pub(super) async fn sync(
    shared: &Shared,
    coordinator: i32,
    group: ConsumerGroupMetadata,
    protocol: StrBytes,
    assignments: Vec<SyncGroupRequestAssignment>,
) -> Result<BTreeSet<TopicPartition>, Failure> {
    let request = SyncGroupRequest {
        group_id: group.group_id.as_str().into(),
        generation_id: group.generation_id,
        member_id: group.member_id.as_str().into(),
        group_instance_id: group.group_instance_id.as_deref().map(Into::into),
        protocol_type: Some(PROTOCOL_TYPE.into()),
        protocol_name: Some(protocol),
        assignments,
    };
    let timeout = shared
        .config
        .max_poll_interval
        .max(shared.cluster.config.request_timeout);
    let lane = shared.lanes.membership;
    let call = shared
        .cluster
        .call(coordinator, lane, request, i16::MAX, timeout + JOIN_MARGIN);
    let response = call.await.map_err(lost)?;
    Input::outcome(response.error_code)?;
    if response.assignment.is_empty() {
        return Ok(BTreeSet::new());
    }
    let assignment = ConsumerProtocolAssignment::from_bytes(response.assignment);
    let (_, assignment) = assignment.map_err(|error| Failure::Lost(error.into()))?;
    let mut partitions = BTreeSet::new();
    for topic in assignment.assigned_partitions {
        let name: Arc<str> = Arc::from(&*topic.topic);
        let numbers = topic.partitions.into_iter();
        partitions.extend(numbers.map(|number| TopicPartition::new(Arc::clone(&name), number)));
    }
    Ok(partitions)
}

pub(super) async fn heartbeat(
    shared: &Shared,
    coordinator: i32,
    group: ConsumerGroupMetadata,
) -> Result<(), Failure> {
    let request = HeartbeatRequest {
        group_id: group.group_id.as_str().into(),
        generation_id: group.generation_id,
        member_id: group.member_id.as_str().into(),
        group_instance_id: group.group_instance_id.as_deref().map(Into::into),
    };
    let timeout = shared
        .cluster
        .config
        .request_timeout
        .min(shared.config.session_timeout);
    let lane = shared.lanes.membership;
    let call = shared
        .cluster
        .call(coordinator, lane, request, i16::MAX, timeout);
    let response = call.await.map_err(lost)?;
    Input::outcome(response.error_code)
}

/// The oldest version in which members name themselves.
const NAMED_MEMBERS: i16 = 1;

/// Sends a heartbeat of a group of the consumer protocol. A member that leaves sends its last one
/// the same way, so that it does not overtake another.
pub(super) async fn consumer_heartbeat(
    shared: &Shared,
    coordinator: i32,
    request: ConsumerGroupHeartbeatRequest,
) -> Result<ConsumerGroupHeartbeatResponse, Error> {
    let cluster = &shared.cluster;
    let connection = cluster.node(coordinator, shared.lanes.membership).await;
    let connection = connection.map_err(|error| error.error)?;
    if connection.serves_less(ApiKey::ConsumerGroupHeartbeat, NAMED_MEMBERS) {
        let text = "group.protocol=consumer; use group.protocol=classic";
        return Err(Error::Unsupported(text.to_owned()));
    }
    let timeout = cluster.config.request_timeout;
    let answer = connection.call(request, i16::MAX, timeout).await;
    answer.map_err(|error| error.error)
}

/// Leaves the group; whatever comes back, the member is gone.
pub(super) async fn leave(shared: &Shared, coordinator: i32, group: &str, member_id: &str) {
    let request = LeaveGroupRequest {
        group_id: group.into(),
        member_id: member_id.into(),
        members: vec![MemberIdentity {
            member_id: member_id.into(),
            group_instance_id: None,
            reason: Some("the consumer was closed".into()),
        }],
    };
    let timeout = shared.cluster.config.request_timeout;
    // Not behind a JoinGroup that waits.
    let lane = shared.lanes.offsets;
    let call = shared
        .cluster
        .call(coordinator, lane, request, i16::MAX, timeout);
    if let Err(error) = call.await {
        tracing::debug!(error = %error.error, "leaving the group was not confirmed");
    }
}

/// Commits; the outcome has a code for every partition.
pub(super) async fn commit(
    shared: &Shared,
    group: &ConsumerGroupMetadata,
    offsets: &BTreeMap<TopicPartition, CommittedOffset>,
) -> Result<BTreeMap<TopicPartition, ErrorCode>, Error> {
    let cluster = &shared.cluster;
    let node = shared.offsets_coordinator().await?;
    let request = commit_request(group, offsets);
    let timeout = cluster.config.request_timeout;
    let lane = shared.lanes.offsets;
    let answer = cluster
        .call(node, lane, request, COMMIT_BY_NAME, timeout)
        .await;
    let response = answer.map_err(|error| {
        shared.forget_coordinator();
        error.error
    })?;
    let mut codes = BTreeMap::new();
    for topic in response.topics {
        let name: Arc<str> = Arc::from(&*topic.name);
        for partition in topic.partitions {
            if matches!(
                partition.error_code,
                ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable
            ) {
                shared.forget_coordinator();
            }
            let number = partition.partition_index;
            codes.insert(
                TopicPartition::new(Arc::clone(&name), number),
                partition.error_code,
            );
        }
    }
    Ok(codes)
}

fn protocol_name(strategy: AssignmentStrategy) -> &'static str {
    match strategy {
        AssignmentStrategy::Range => "range",
        AssignmentStrategy::RoundRobin => "roundrobin",
        AssignmentStrategy::Sticky => "sticky",
        AssignmentStrategy::CooperativeSticky => "cooperative-sticky",
    }
}
