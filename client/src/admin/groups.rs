//! Groups: list, describe, delete.

use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::consumer_protocol::ConsumerProtocolAssignment;
use ottla_protocol::message::{
    DeleteGroupsRequest, DescribeGroupsRequest, DescribedGroup, ListGroupsRequest,
};

use super::Admin;
use crate::cluster::Lane;
use crate::error::{Error, check};
use crate::metadata::TopicPartition;
use crate::retry::Attempt;

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub group_id: String,
    /// What kind it is: `consumer` for groups of consumers.
    pub protocol_type: String,
    /// Its state in Kafka's words; empty when the broker does not say.
    pub state: String,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its id.
    pub group_id: String,
    /// Its state in Kafka's words.
    pub state: String,
    /// How partitions are divided.
    pub protocol: String,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id.
    pub member_id: String,
    /// Its static identity, if it has one.
    pub group_instance_id: Option<String>,
    /// The name that its client gives itself.
    pub client_id: String,
    /// Where its client connects from.
    pub client_host: String,
    /// What it reads.
    pub assignment: Vec<TopicPartition>,
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
        let cluster = self.client.cluster();
        let deadline = cluster.deadline();
        let timeout = cluster.config.request_timeout;
        let nodes: Vec<i32> = cluster.metadata().brokers.keys().copied().collect();
        let mut groups = Vec::new();
        for node in nodes {
            let listed = cluster
                .retry("ListGroups", deadline, || async move {
                    let request = ListGroupsRequest::default();
                    let response = cluster
                        .call(node, Lane::GENERAL, request, i16::MAX, timeout)
                        .await
                        .map_err(|error| Attempt::from(error.error))?;
                    check("ListGroups", response.error_code, None)?;
                    Ok(response.groups)
                })
                .await?;
            groups.extend(listed.into_iter().map(|group| GroupListing {
                group_id: group.group_id.to_string(),
                protocol_type: group.protocol_type.to_string(),
                state: group.group_state.to_string(),
            }));
        }
        groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        Ok(groups)
    }

    /// Shows a group.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Refused`] with `GROUP_ID_NOT_FOUND` when there is none, where
    /// brokers before Kafka 4 give a group that is `Dead`.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, Error> {
        let request = DescribeGroupsRequest {
            groups: vec![group.into()],
            include_authorized_operations: false,
        };
        let code = |response: &ottla_protocol::message::DescribeGroupsResponse| {
            response
                .groups
                .first()
                .map_or(ErrorCode::None, |group| group.error_code)
        };
        let response = self
            .coordinator("DescribeGroups", group, request, i16::MAX, code)
            .await?;
        let missing = || Error::Corrupt("no group in the answer".to_owned());
        let group = response.groups.into_iter().next().ok_or_else(missing)?;
        check(
            "DescribeGroups",
            group.error_code,
            group.error_message.as_deref(),
        )?;
        Ok(describe(group))
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
        let code = |response: &ottla_protocol::message::DeleteGroupsResponse| {
            response
                .results
                .first()
                .map_or(ErrorCode::None, |group| group.error_code)
        };
        let response = self
            .coordinator("DeleteGroups", group, request, i16::MAX, code)
            .await?;
        check("DeleteGroups", code(&response), None)
    }
}

fn describe(group: DescribedGroup) -> GroupDescription {
    let members = group.members.into_iter().map(|member| GroupMember {
        member_id: member.member_id.to_string(),
        group_instance_id: member.group_instance_id.map(|id| id.to_string()),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        assignment: ConsumerProtocolAssignment::from_bytes(member.member_assignment)
            .map(|(_, assignment)| partitions(&assignment))
            .unwrap_or_default(),
    });
    GroupDescription {
        group_id: group.group_id.to_string(),
        state: group.group_state.to_string(),
        protocol: group.protocol_data.to_string(),
        members: members.collect(),
    }
}

fn partitions(assignment: &ConsumerProtocolAssignment) -> Vec<TopicPartition> {
    let mut all = Vec::new();
    for topic in &assignment.assigned_partitions {
        let name: Arc<str> = Arc::from(&*topic.topic);
        let numbers = topic.partitions.iter();
        all.extend(numbers.map(|partition| TopicPartition::new(Arc::clone(&name), *partition)));
    }
    all.sort();
    all
}
