//! What administrators ask of whole groups: describe, list, delete. Pure.

use std::sync::Arc;

use bytes::Bytes;

use super::classic::{Group, State};
use super::groups::Groups;
use super::member::Member;
use super::step::Step;
use super::subscription::CONSUMER;
use super::{
    DescribeRequest, DescribedGroup, DescribedMember, GroupError, ListRequest, ListedGroup,
};

/// The types of groups.
const CLASSIC: &str = "classic";
const CONSUMER_PROTOCOL: &str = "consumer";
/// From this version on a missing group is an error instead of a dead group.
const GROUP_ID_NOT_FOUND_SINCE: i16 = 6;

pub(super) fn describe(groups: &Groups, request: &DescribeRequest) -> Vec<DescribedGroup> {
    let missing = if request.api_version >= GROUP_ID_NOT_FOUND_SINCE {
        GroupError::GroupIdNotFound
    } else {
        GroupError::None
    };
    request
        .groups
        .iter()
        .map(|group_id| match groups.get(group_id) {
            Some(group) if group.consumer.is_none() => describe_group(group),
            // Whoever asks so knows nothing of the consumer protocol.
            _ => DescribedGroup {
                error: missing,
                group_id: group_id.clone(),
                group_state: State::Dead,
                protocol_type: Arc::default(),
                protocol_data: Arc::default(),
                members: Vec::new(),
            },
        })
        .collect()
}

/// Protocol and metadata are those of a generation, so only a stable group shows them.
fn describe_group(group: &Group) -> DescribedGroup {
    let protocol = group
        .protocol_name
        .clone()
        .filter(|_| group.state == State::Stable);
    let describe_member = |member: &Member| {
        let metadata = protocol
            .as_ref()
            .and_then(|protocol| member.metadata(protocol));
        DescribedMember {
            member_id: member.member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            member_metadata: metadata.cloned().unwrap_or_else(Bytes::new),
            member_assignment: member.assignment.clone(),
        }
    };
    DescribedGroup {
        error: GroupError::None,
        group_id: group.group_id.clone(),
        group_state: group.state,
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        members: group.members.values().map(describe_member).collect(),
        protocol_data: protocol.unwrap_or_default(),
    }
}

pub(super) fn list(groups: &Groups, request: &ListRequest) -> Vec<ListedGroup> {
    let passes = |filter: &[Arc<str>], value: &str| {
        filter.is_empty()
            || filter
                .iter()
                .any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    groups
        .iter()
        .map(listed)
        .filter(|group| {
            passes(&request.states_filter, group.group_state)
                && passes(&request.types_filter, group.group_type)
        })
        .collect()
}

fn listed(group: &Group) -> ListedGroup {
    let (protocol_type, group_type) = match &group.consumer {
        Some(_) => (Arc::from(CONSUMER), CONSUMER_PROTOCOL),
        None => (group.protocol_type.clone().unwrap_or_default(), CLASSIC),
    };
    ListedGroup {
        group_id: group.group_id.clone(),
        protocol_type,
        group_state: group.state_name(),
        group_type,
    }
}

pub(super) fn delete(
    groups: &mut Groups,
    group_ids: Vec<Arc<str>>,
    step: &mut Step<'_>,
) -> Vec<(Arc<str>, GroupError)> {
    let mut delete_one = |group_id: Arc<str>| {
        let error = match groups.get(&group_id).map(Group::is_empty) {
            None => GroupError::GroupIdNotFound,
            Some(true) => {
                groups.delete(&group_id, step);
                GroupError::None
            }
            Some(false) => GroupError::NonEmptyGroup,
        };
        (group_id, error)
    };
    group_ids.into_iter().map(&mut delete_one).collect()
}
