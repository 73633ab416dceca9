//! The APIs of groups of the consumer protocol (KIP-848): ConsumerGroupHeartbeat (68) and
//! ConsumerGroupDescribe (69).

use std::sync::Arc;

use ottla_protocol::StrBytes;
use ottla_protocol::message::{
    ConsumerGroupAssignment, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ConsumerGroupMember,
    ConsumerGroupTopicPartitions, DescribedConsumerGroup, HeartbeatAssignment,
    HeartbeatTopicPartitions, Response,
};
use uuid::Uuid;

use super::groups::{MISMATCH, arc, arcs, ask, code, optional_arc, optional_text, text};
use super::once::once;
use crate::core::Core;
use crate::env::millis;
use crate::group::{self, Assignment, Event, NamedPartitions, Refusal, Reply};
use crate::service::Context;

pub(crate) fn heartbeat(
    core: &Arc<Core>,
    context: &Context,
    request: ConsumerGroupHeartbeatRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let event = group::ConsumerHeartbeatRequest {
        api_version: context.api_version,
        client_id: arc(&context.client_id),
        client_host: arc(&context.client_host),
        group_id: arc(&request.group_id),
        member_id: arc(&request.member_id),
        member_epoch: request.member_epoch,
        group_instance_id: optional_arc(request.instance_id.as_ref()),
        rack_id: optional_arc(request.rack_id.as_ref()),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        subscribed_topic_names: request.subscribed_topic_names.as_deref().map(arcs),
        subscribed_topic_regex: optional_arc(request.subscribed_topic_regex.as_ref()),
        server_assignor: optional_arc(request.server_assignor.as_ref()),
        owned: request.topic_partitions.as_deref().map(owned),
    };
    let reply = ask(core, |token| Event::ConsumerHeartbeat(token, event));
    async move {
        Response::ConsumerGroupHeartbeat(match reply.await {
            Ok(Reply::ConsumerHeartbeat(Ok(reply))) => beaten(reply),
            Ok(Reply::ConsumerHeartbeat(Err(refusal))) => ConsumerGroupHeartbeatResponse {
                error_code: code(refusal.error),
                error_message: Some(StrBytes::from(refusal.why)),
                ..Default::default()
            },
            Ok(_) => ConsumerGroupHeartbeatResponse {
                error_code: MISMATCH,
                ..Default::default()
            },
            Err(error_code) => ConsumerGroupHeartbeatResponse {
                error_code,
                ..Default::default()
            },
        })
    }
}

fn owned(topics: &[HeartbeatTopicPartitions]) -> Assignment {
    let partitions = |topic: &HeartbeatTopicPartitions| {
        let id = topic.topic_id.into_bytes();
        let partitions: Vec<i32> = topic.partitions.clone();
        partitions.into_iter().map(move |partition| (id, partition))
    };
    topics.iter().flat_map(partitions).collect()
}

fn beaten(reply: group::ConsumerHeartbeatReply) -> ConsumerGroupHeartbeatResponse {
    let topic = |(id, partitions): (&[u8; 16], &std::collections::BTreeSet<i32>)| {
        HeartbeatTopicPartitions {
            topic_id: Uuid::from_bytes(*id),
            partitions: partitions.iter().copied().collect(),
        }
    };
    let assignment = reply.assignment.map(|assignment| HeartbeatAssignment {
        topic_partitions: assignment.topics().map(topic).collect(),
    });
    ConsumerGroupHeartbeatResponse {
        member_id: Some(text(&reply.member_id)),
        member_epoch: reply.member_epoch,
        heartbeat_interval_ms: i32::try_from(millis(reply.heartbeat_interval)).unwrap_or(i32::MAX),
        assignment,
        ..Default::default()
    }
}

pub(crate) fn describe(
    core: &Arc<Core>,
    request: ConsumerGroupDescribeRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let named = once(request.group_ids, StrBytes::clone);
    let group_ids = arcs(&named);
    let reply = ask(core, |token| {
        Event::DescribeConsumerGroups(token, group_ids)
    });
    async move {
        let failed = |error_code| {
            let group = |group_id: &StrBytes| DescribedConsumerGroup {
                error_code,
                group_id: group_id.clone(),
                ..Default::default()
            };
            named.iter().map(group).collect()
        };
        let groups = match reply.await {
            Ok(Reply::DescribeConsumerGroups(groups)) => groups
                .into_iter()
                .map(|(group_id, group)| described(&group_id, group))
                .collect(),
            Ok(_) => failed(MISMATCH),
            Err(error_code) => failed(error_code),
        };
        Response::ConsumerGroupDescribe(ConsumerGroupDescribeResponse {
            groups,
            ..Default::default()
        })
    }
}

fn described(
    group_id: &str,
    group: Result<group::DescribedConsumerGroup, Refusal>,
) -> DescribedConsumerGroup {
    match group {
        Ok(group) => DescribedConsumerGroup {
            group_id: text(group_id),
            group_state: text(group.group_state.as_str()),
            group_epoch: group.group_epoch,
            assignment_epoch: group.assignment_epoch,
            assignor_name: text(group.assignor_name),
            members: group.members.into_iter().map(described_member).collect(),
            ..Default::default()
        },
        Err(refusal) => DescribedConsumerGroup {
            error_code: code(refusal.error),
            error_message: Some(StrBytes::from(refusal.why)),
            group_id: text(group_id),
            ..Default::default()
        },
    }
}

fn described_member(member: group::ConsumerMember) -> ConsumerGroupMember {
    const CLASSIC: i8 = 0;
    const CONSUMER: i8 = 1;
    let value = member.value;
    ConsumerGroupMember {
        member_id: text(&value.member_id),
        instance_id: optional_text(value.group_instance_id.as_ref()),
        rack_id: optional_text(value.rack_id.as_ref()),
        member_epoch: value.member_epoch,
        client_id: text(&value.client_id),
        client_host: text(&value.client_host),
        subscribed_topic_names: value
            .subscribed_topic_names
            .iter()
            .map(|name| text(name))
            .collect(),
        subscribed_topic_regex: optional_text(value.subscribed_topic_regex.as_ref()),
        assignment: assignment(member.assignment),
        target_assignment: assignment(member.target_assignment),
        member_type: if value.classic.is_some() {
            CLASSIC
        } else {
            CONSUMER
        },
    }
}

fn assignment(topics: Vec<NamedPartitions>) -> ConsumerGroupAssignment {
    let topic = |(name, id, partitions): NamedPartitions| ConsumerGroupTopicPartitions {
        topic_id: Uuid::from_bytes(id),
        topic_name: text(&name),
        partitions,
    };
    ConsumerGroupAssignment {
        topic_partitions: topics.into_iter().map(topic).collect(),
    }
}
