//! Groups described, whichever protocol they have.

use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::consumer_protocol::ConsumerProtocolAssignment;
use ottla_protocol::message::{
    ConsumerGroupAssignment, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedConsumerGroup, DescribedGroup,
};

use crate::admin::Admin;
use crate::config::GroupProtocol;
use crate::error::{Error, check};
use crate::metadata::TopicPartition;

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDescription {
    /// Its id.
    pub group_id: String,
    /// How its members come to their partitions. A group of the consumer protocol may have
    /// members of the classic one while it migrates (KIP-848).
    pub group_protocol: GroupProtocol,
    /// Its state in Kafka's words, as `Stable` or `Empty`.
    pub state: String,
    /// How partitions are divided.
    pub protocol: String,
    /// The epoch of a group of the consumer protocol; it rises when something changes what the
    /// members are to have.
    pub group_epoch: Option<i32>,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMember {
    /// Its id.
    pub member_id: String,
    /// Its static identity, if it has one.
    pub group_instance_id: Option<String>,
    /// The rack that it is in, if it says so and its group has the consumer protocol.
    pub rack_id: Option<String>,
    /// The name that its client gives itself.
    pub client_id: String,
    /// Where its client connects from.
    pub client_host: String,
    /// The epoch of a member of a group of the consumer protocol; it follows that of the group.
    pub member_epoch: Option<i32>,
    /// What it reads, in order.
    pub assignment: Vec<TopicPartition>,
    /// What it is to read once others have given it back, in order, in a group of the consumer
    /// protocol.
    pub target_assignment: Option<Vec<TopicPartition>>,
}

impl Admin {
    /// Shows a group, whichever protocol it has.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Refused`] with `GROUP_ID_NOT_FOUND` when there is none, where
    /// brokers before Kafka 4 give a group that is `Dead`.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, Error> {
        match self.describe_consumer_group(group).await {
            // As a group of the consumer protocol there is none, or no broker knows that protocol.
            Err(Error::Unsupported(_)) => {}
            Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => {}
            other => return other,
        }
        let request = DescribeGroupsRequest {
            groups: vec![group.into()],
            include_authorized_operations: false,
        };
        let code = |response: &DescribeGroupsResponse| {
            let group = response.groups.first();
            group.map_or(ErrorCode::None, |group| group.error_code)
        };
        let response = self
            .coordinator("DescribeGroups", group, request, i16::MAX, code)
            .await?;
        let described = response.groups.into_iter().next().ok_or_else(missing)?;
        let message = described.error_message.as_deref();
        check("DescribeGroups", described.error_code, message)?;
        Ok(classic(described))
    }

    async fn describe_consumer_group(&self, group: &str) -> Result<GroupDescription, Error> {
        let request = ConsumerGroupDescribeRequest {
            group_ids: vec![group.into()],
            include_authorized_operations: false,
        };
        let code = |response: &ConsumerGroupDescribeResponse| {
            let group = response.groups.first();
            group.map_or(ErrorCode::None, |group| group.error_code)
        };
        let response = self
            .coordinator("ConsumerGroupDescribe", group, request, i16::MAX, code)
            .await?;
        let described = response.groups.into_iter().next().ok_or_else(missing)?;
        let message = described.error_message.as_deref();
        check("ConsumerGroupDescribe", described.error_code, message)?;
        Ok(consumer(described))
    }
}

fn missing() -> Error {
    Error::Corrupt("no group in the answer".to_owned())
}

fn classic(group: DescribedGroup) -> GroupDescription {
    let members = group.members.into_iter().map(|member| GroupMember {
        member_id: member.member_id.to_string(),
        group_instance_id: member.group_instance_id.map(|id| id.to_string()),
        rack_id: None,
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        member_epoch: None,
        assignment: ConsumerProtocolAssignment::from_bytes(member.member_assignment)
            .map(|(_, assignment)| of_classic(&assignment))
            .unwrap_or_default(),
        target_assignment: None,
    });
    GroupDescription {
        group_id: group.group_id.to_string(),
        group_protocol: GroupProtocol::Classic,
        state: group.group_state.to_string(),
        protocol: group.protocol_data.to_string(),
        group_epoch: None,
        members: members.collect(),
    }
}

fn consumer(group: DescribedConsumerGroup) -> GroupDescription {
    let members = group.members.into_iter().map(|member| GroupMember {
        member_id: member.member_id.to_string(),
        group_instance_id: member.instance_id.map(|id| id.to_string()),
        rack_id: member.rack_id.map(|id| id.to_string()),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        member_epoch: Some(member.member_epoch),
        assignment: of_consumer(&member.assignment),
        target_assignment: Some(of_consumer(&member.target_assignment)),
    });
    GroupDescription {
        group_id: group.group_id.to_string(),
        group_protocol: GroupProtocol::Consumer,
        state: group.group_state.to_string(),
        protocol: group.assignor_name.to_string(),
        group_epoch: Some(group.group_epoch),
        members: members.collect(),
    }
}

fn of_classic(assignment: &ConsumerProtocolAssignment) -> Vec<TopicPartition> {
    let topics = assignment.assigned_partitions.iter();
    in_order(topics.map(|topic| (&*topic.topic, &topic.partitions[..])))
}

fn of_consumer(assignment: &ConsumerGroupAssignment) -> Vec<TopicPartition> {
    let topics = assignment.topic_partitions.iter();
    in_order(topics.map(|topic| (&*topic.topic_name, &topic.partitions[..])))
}

fn in_order<'a>(topics: impl Iterator<Item = (&'a str, &'a [i32])>) -> Vec<TopicPartition> {
    let mut all = Vec::new();
    for (name, partitions) in topics {
        let name: Arc<str> = Arc::from(name);
        let partitions = partitions.iter();
        all.extend(partitions.map(|partition| TopicPartition::new(Arc::clone(&name), *partition)));
    }
    all.sort();
    all
}
