//! Groups: list, describe, remove members, delete.

mod describe;

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    DeleteGroupsRequest, DeleteGroupsResponse, LeaveGroupRequest, LeaveGroupResponse,
    ListGroupsRequest, MemberIdentity,
};

use super::{Admin, Outcomes};
use crate::error::{Error, check};

pub use describe::{GroupDescription, GroupMember};

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupListing {
    /// Its id.
    pub group_id: String,
    /// What its members form: `consumer` for groups of consumers.
    pub protocol_type: String,
    /// Its type in Kafka's words, as `Classic` or `Consumer`; empty when the broker does not say.
    pub group_type: String,
    /// Its state in Kafka's words; empty when the broker does not say.
    pub state: String,
}

/// Which groups to list: all, unless something is named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupFilter {
    states: Vec<String>,
    types: Vec<String>,
}

impl GroupFilter {
    /// All groups.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only groups in one of these states, in Kafka's words, as `Stable` or `Empty` (KIP-518).
    #[must_use]
    pub fn states<S: Into<String>>(mut self, states: impl IntoIterator<Item = S>) -> Self {
        self.states = states.into_iter().map(Into::into).collect();
        self
    }

    /// Only groups of one of these types, in Kafka's words, as `classic` or `consumer` (KIP-848).
    #[must_use]
    pub fn types<S: Into<String>>(mut self, types: impl IntoIterator<Item = S>) -> Self {
        self.types = types.into_iter().map(Into::into).collect();
        self
    }

    /// The oldest version of ListGroups that filters so.
    fn floor(&self) -> i16 {
        match (self.states.is_empty(), self.types.is_empty()) {
            (true, true) => 0,
            (false, true) => 4,
            (_, false) => 5,
        }
    }
}

impl Admin {
    /// Lists the groups of all brokers, by id.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`].
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, Error> {
        self.list_groups_that(&GroupFilter::new()).await
    }

    /// Lists the groups of all brokers that pass a filter, by id.
    ///
    /// # Errors
    /// As [`list_groups`](Self::list_groups); [`Error::Unsupported`] when a broker cannot filter
    /// so.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn list_groups_that(&self, filter: &GroupFilter) -> Result<Vec<GroupListing>, Error> {
        let words = |words: &[String]| words.iter().map(|word| word.as_str().into()).collect();
        let request = ListGroupsRequest {
            states_filter: words(&filter.states),
            types_filter: words(&filter.types),
        };
        let mut groups = Vec::new();
        for node in self.nodes().await? {
            let code = |response: &ottla_protocol::message::ListGroupsResponse| response.error_code;
            let response = self
                .node("ListGroups", node, request.clone(), filter.floor(), code)
                .await?;
            check("ListGroups", response.error_code, None)?;
            groups.extend(response.groups.into_iter().map(|group| GroupListing {
                group_id: group.group_id.to_string(),
                protocol_type: group.protocol_type.to_string(),
                group_type: group.group_type.to_string(),
                state: group.group_state.to_string(),
            }));
        }
        groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        Ok(groups)
    }

    /// Removes static members from a group, by their `group.instance.id`s, so that their
    /// partitions go to others before their sessions end (KIP-345). A member that still runs ends
    /// with [`Error::Fenced`], or joins again.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`]; in an outcome [`Error::Refused`] with
    /// `UNKNOWN_MEMBER_ID` when there is no such member.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the members removed.
    pub async fn remove_group_members<S: Into<String>>(
        &self,
        group: &str,
        instances: impl IntoIterator<Item = S>,
    ) -> Result<Outcomes<()>, Error> {
        let members = instances.into_iter().map(|instance| MemberIdentity {
            group_instance_id: Some(instance.into().into()),
            ..identity()
        });
        let response = self.leave(group, members.collect()).await?;
        let outcome = |member: ottla_protocol::message::MemberResponse| {
            let instance = member.group_instance_id.unwrap_or_default();
            (
                instance.to_string(),
                check("LeaveGroup", member.error_code, None),
            )
        };
        Ok(response.members.into_iter().map(outcome).collect())
    }

    /// Removes all members from a group; gives the outcomes by their ids. Members that still run
    /// join again.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Refused`], with `GROUP_ID_NOT_FOUND` when there is no group; in
    /// an outcome [`Error::Refused`] for a member that the broker does not remove so, as one of
    /// the consumer protocol without a `group.instance.id`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the members removed.
    pub async fn remove_all_group_members(&self, group: &str) -> Result<Outcomes<()>, Error> {
        let described = self.describe_group(group).await?;
        let members = described.members.iter().map(|member| MemberIdentity {
            member_id: member.member_id.as_str().into(),
            group_instance_id: member.group_instance_id.as_deref().map(Into::into),
            ..identity()
        });
        let members: Vec<_> = members.collect();
        if members.is_empty() {
            return Ok(BTreeMap::new());
        }
        let response = self.leave(group, members).await?;
        let outcome = |member: ottla_protocol::message::MemberResponse| {
            let outcome = check("LeaveGroup", member.error_code, None);
            (member.member_id.to_string(), outcome)
        };
        Ok(response.members.into_iter().map(outcome).collect())
    }

    async fn leave(
        &self,
        group: &str,
        members: Vec<MemberIdentity>,
    ) -> Result<LeaveGroupResponse, Error> {
        let request = LeaveGroupRequest {
            group_id: group.into(),
            member_id: "".into(),
            members,
        };
        let code = |response: &LeaveGroupResponse| response.error_code;
        let response = self
            .coordinator("LeaveGroup", group, request, i16::MAX, code)
            .await?;
        check("LeaveGroup", response.error_code, None)?;
        Ok(response)
    }

    /// Deletes a group without members, and its offsets.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Refused`] when it has members or does not exist.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the group deleted.
    pub async fn delete_group(&self, group: &str) -> Result<(), Error> {
        let request = DeleteGroupsRequest {
            groups_names: vec![group.into()],
        };
        let code = |response: &DeleteGroupsResponse| {
            let group = response.results.first();
            group.map_or(ErrorCode::None, |group| group.error_code)
        };
        let response = self
            .coordinator("DeleteGroups", group, request, i16::MAX, code)
            .await?;
        check("DeleteGroups", code(&response), None)
    }
}

/// A member that an administrator removes.
fn identity() -> MemberIdentity {
    MemberIdentity {
        reason: Some("removed by an administrator".into()),
        ..MemberIdentity::default()
    }
}
