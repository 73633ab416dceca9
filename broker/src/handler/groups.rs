//! The membership APIs of the classic protocol, and those of all groups: JoinGroup (11), Heartbeat (12), LeaveGroup (13),
//! SyncGroup (14), DescribeGroups (15), ListGroups (16), DeleteGroups (42).

use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::message::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest,
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
    LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse, ListedGroup,
    MemberIdentity, MemberResponse, Response, SyncGroupRequest, SyncGroupResponse,
};
use ottla_protocol::{ErrorCode, StrBytes};

use super::once::once;
use super::operations;
use crate::core::Core;
use crate::group::{self, Event, GroupCoordinator, GroupError, Reply};
use crate::machine::{Call, Token};
use crate::service::Context;

/// The first LeaveGroup version that names several members.
const FIRST_BATCHED_LEAVE: i16 = 3;

/// The first DescribeGroups version with error messages.
const FIRST_ERROR_MESSAGE: i16 = 6;

pub(super) fn arc(text: &StrBytes) -> Arc<str> {
    Arc::from(&**text)
}

pub(super) fn arcs(texts: &[StrBytes]) -> Vec<Arc<str>> {
    texts.iter().map(arc).collect()
}

pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from(text)
}

pub(super) fn optional_arc(value: Option<&StrBytes>) -> Option<Arc<str>> {
    value.map(arc)
}

pub(super) fn optional_text(value: Option<&Arc<str>>) -> Option<StrBytes> {
    value.map(|value| text(value))
}

pub(super) fn code(error: GroupError) -> ErrorCode {
    ErrorCode::from(error.code())
}

/// Asks the coordinator now; the future waits for its reply. A coordinator that cannot answer is
/// one that clients look for again.
pub(super) fn ask<F: FnOnce(Token) -> Event>(
    core: &Arc<Core>,
    event: F,
) -> impl Future<Output = Result<Reply, ErrorCode>> + Send + use<F> {
    let call: Call<GroupCoordinator> = core.groups.call(event);
    let draining = core.draining.clone();
    async move {
        tokio::select! {
            biased;
            reply = call => reply.map_err(|_| ErrorCode::CoordinatorNotAvailable),
            () = draining.cancelled() => Err(ErrorCode::CoordinatorNotAvailable),
        }
    }
}

/// A reply of another kind than was asked for would be a fault in the machine.
pub(super) const MISMATCH: ErrorCode = ErrorCode::UnknownServerError;

pub(crate) fn join(
    core: &Arc<Core>,
    context: &Context,
    request: JoinGroupRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let member_id = request.member_id.clone();
    let event = group::JoinRequest {
        api_version: context.api_version,
        client_id: arc(&context.client_id),
        client_host: arc(&context.client_host),
        group_id: arc(&request.group_id),
        member_id: arc(&request.member_id),
        group_instance_id: optional_arc(request.group_instance_id.as_ref()),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        protocol_type: arc(&request.protocol_type),
        protocols: request
            .protocols
            .into_iter()
            .map(|protocol| group::Protocol {
                name: arc(&protocol.name),
                metadata: Bytes::copy_from_slice(&protocol.metadata),
            })
            .collect(),
    };
    let api_version = context.api_version;
    let reply = ask(core, |token| Event::Join(token, event));
    async move {
        let mut response = match reply.await {
            Ok(Reply::Join(reply)) => joined(reply),
            Ok(_) => JoinGroupResponse {
                error_code: MISMATCH,
                member_id,
                ..Default::default()
            },
            Err(error_code) => JoinGroupResponse {
                error_code,
                member_id,
                ..Default::default()
            },
        };
        if api_version < 7 && response.protocol_name.is_none() {
            response.protocol_name = Some(StrBytes::default());
        }
        Response::JoinGroup(response)
    }
}

fn joined(reply: group::JoinReply) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: code(reply.error),
        generation_id: reply.generation_id,
        protocol_type: optional_text(reply.protocol_type.as_ref()),
        protocol_name: optional_text(reply.protocol_name.as_ref()),
        leader: text(&reply.leader),
        skip_assignment: reply.skip_assignment,
        member_id: text(&reply.member_id),
        members: reply
            .members
            .into_iter()
            .map(|member| JoinGroupResponseMember {
                member_id: text(&member.member_id),
                group_instance_id: optional_text(member.group_instance_id.as_ref()),
                metadata: member.metadata,
            })
            .collect(),
        ..Default::default()
    }
}

pub(crate) fn sync(
    core: &Arc<Core>,
    _context: &Context,
    request: SyncGroupRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let event = group::SyncRequest {
        group_id: arc(&request.group_id),
        generation_id: request.generation_id,
        member_id: arc(&request.member_id),
        group_instance_id: optional_arc(request.group_instance_id.as_ref()),
        protocol_type: optional_arc(request.protocol_type.as_ref()),
        protocol_name: optional_arc(request.protocol_name.as_ref()),
        assignments: request
            .assignments
            .iter()
            .map(|entry| {
                (
                    arc(&entry.member_id),
                    Bytes::copy_from_slice(&entry.assignment),
                )
            })
            .collect(),
    };
    let reply = ask(core, |token| Event::Sync(token, event));
    async move {
        Response::SyncGroup(match reply.await {
            Ok(Reply::Sync(reply)) => SyncGroupResponse {
                error_code: code(reply.error),
                protocol_type: optional_text(reply.protocol_type.as_ref()),
                protocol_name: optional_text(reply.protocol_name.as_ref()),
                assignment: reply.assignment,
                ..Default::default()
            },
            Ok(_) => SyncGroupResponse {
                error_code: MISMATCH,
                ..Default::default()
            },
            Err(error_code) => SyncGroupResponse {
                error_code,
                ..Default::default()
            },
        })
    }
}

pub(crate) fn heartbeat(
    core: &Arc<Core>,
    request: HeartbeatRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let event = group::HeartbeatRequest {
        group_id: arc(&request.group_id),
        generation_id: request.generation_id,
        member_id: arc(&request.member_id),
        group_instance_id: optional_arc(request.group_instance_id.as_ref()),
    };
    let reply = ask(core, |token| Event::Heartbeat(token, event));
    async move {
        let error_code = match reply.await {
            Ok(Reply::Heartbeat(error)) => code(error),
            Ok(_) => MISMATCH,
            Err(error_code) => error_code,
        };
        Response::Heartbeat(HeartbeatResponse {
            error_code,
            ..Default::default()
        })
    }
}

pub(crate) fn leave(
    core: &Arc<Core>,
    context: &Context,
    request: LeaveGroupRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let batched = context.api_version >= FIRST_BATCHED_LEAVE;
    let members = if batched {
        request.members
    } else {
        vec![MemberIdentity {
            member_id: request.member_id,
            ..Default::default()
        }]
    };
    let event = group::LeaveRequest {
        api_version: context.api_version,
        group_id: arc(&request.group_id),
        members: members
            .iter()
            .map(|member| group::LeavingMember {
                member_id: arc(&member.member_id),
                group_instance_id: optional_arc(member.group_instance_id.as_ref()),
            })
            .collect(),
    };
    let reply = ask(core, |token| Event::Leave(token, event));
    async move {
        Response::LeaveGroup(match reply.await {
            Ok(Reply::Leave(reply)) => LeaveGroupResponse {
                error_code: code(reply.error),
                members: reply.members.iter().map(left).collect(),
                ..Default::default()
            },
            Ok(_) => LeaveGroupResponse {
                error_code: MISMATCH,
                ..Default::default()
            },
            Err(error_code) => LeaveGroupResponse {
                error_code,
                ..Default::default()
            },
        })
    }
}

fn left(member: &group::LeftMember) -> MemberResponse {
    MemberResponse {
        member_id: text(&member.member_id),
        group_instance_id: optional_text(member.group_instance_id.as_ref()),
        error_code: code(member.error),
    }
}

pub(crate) fn describe(
    core: &Arc<Core>,
    context: &Context,
    request: DescribeGroupsRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let api_version = context.api_version;
    let operations = operations::of_group(request.include_authorized_operations);
    let named = once(request.groups, StrBytes::clone);
    let event = group::DescribeRequest {
        api_version,
        groups: arcs(&named),
    };
    let reply = ask(core, |token| Event::Describe(token, event));
    async move {
        let groups = match reply.await {
            Ok(Reply::Describe(groups)) => groups
                .into_iter()
                .map(|group| DescribedGroup {
                    authorized_operations: operations,
                    ..described(group, api_version)
                })
                .collect(),
            Ok(_) => failed_descriptions(named, MISMATCH),
            Err(error_code) => failed_descriptions(named, error_code),
        };
        Response::DescribeGroups(DescribeGroupsResponse {
            groups,
            ..Default::default()
        })
    }
}

fn failed_descriptions(groups: Vec<StrBytes>, error_code: ErrorCode) -> Vec<DescribedGroup> {
    let failed = |group_id| DescribedGroup {
        error_code,
        group_id,
        ..Default::default()
    };
    groups.into_iter().map(failed).collect()
}

fn described(group: group::DescribedGroup, api_version: i16) -> DescribedGroup {
    let missing = group.error == GroupError::GroupIdNotFound && api_version >= FIRST_ERROR_MESSAGE;
    DescribedGroup {
        error_code: code(group.error),
        error_message: missing.then(|| text(&format!("Group {} not found.", group.group_id))),
        group_id: text(&group.group_id),
        group_state: text(group.group_state.as_str()),
        protocol_type: text(&group.protocol_type),
        protocol_data: text(&group.protocol_data),
        members: group
            .members
            .into_iter()
            .map(|member| DescribedGroupMember {
                member_id: text(&member.member_id),
                group_instance_id: optional_text(member.group_instance_id.as_ref()),
                client_id: text(&member.client_id),
                client_host: text(&member.client_host),
                member_metadata: member.member_metadata,
                member_assignment: member.member_assignment,
            })
            .collect(),
        ..Default::default()
    }
}

pub(crate) fn list(
    core: &Arc<Core>,
    request: ListGroupsRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let event = group::ListRequest {
        states_filter: arcs(&request.states_filter),
        types_filter: arcs(&request.types_filter),
    };
    let reply = ask(core, |token| Event::List(token, event));
    async move {
        Response::ListGroups(match reply.await {
            Ok(Reply::List(groups)) => ListGroupsResponse {
                groups: groups.iter().map(listed).collect(),
                ..Default::default()
            },
            Ok(_) => ListGroupsResponse {
                error_code: MISMATCH,
                ..Default::default()
            },
            Err(error_code) => ListGroupsResponse {
                error_code,
                ..Default::default()
            },
        })
    }
}

fn listed(group: &group::ListedGroup) -> ListedGroup {
    ListedGroup {
        group_id: text(&group.group_id),
        protocol_type: text(&group.protocol_type),
        group_state: text(group.group_state),
        group_type: text(group.group_type),
    }
}

pub(crate) fn delete(
    core: &Arc<Core>,
    request: DeleteGroupsRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let groups = arcs(&request.groups_names);
    let reply = ask(core, |token| Event::DeleteGroups(token, groups));
    async move {
        let failed = |error_code: ErrorCode| {
            let result = |group_id| DeletableGroupResult {
                group_id,
                error_code,
            };
            request.groups_names.iter().cloned().map(result).collect()
        };
        let results = match reply.await {
            Ok(Reply::DeleteGroups(groups)) => groups
                .iter()
                .map(|(group, error)| DeletableGroupResult {
                    group_id: text(group),
                    error_code: code(*error),
                })
                .collect(),
            Ok(_) => failed(MISMATCH),
            Err(error_code) => failed(error_code),
        };
        Response::DeleteGroups(DeleteGroupsResponse {
            results,
            ..Default::default()
        })
    }
}
