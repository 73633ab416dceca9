//! What the coordinator answers. Fields have Kafka's names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::consumer::{Assignment, DescribedConsumerGroup};
use super::{GroupError, State};

/// The answer to the request named by a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// To [`Event::Join`](super::Event::Join).
    Join(JoinReply),
    /// To [`Event::Sync`](super::Event::Sync).
    Sync(SyncReply),
    /// To [`Event::Heartbeat`](super::Event::Heartbeat).
    Heartbeat(GroupError),
    /// To [`Event::ConsumerHeartbeat`](super::Event::ConsumerHeartbeat).
    ConsumerHeartbeat(Result<ConsumerHeartbeatReply, Refusal>),
    /// To [`Event::Leave`](super::Event::Leave).
    Leave(LeaveReply),
    /// To [`Event::CommitOffsets`](super::Event::CommitOffsets).
    CommitOffsets(PartitionErrors),
    /// To [`Event::FetchOffsets`](super::Event::FetchOffsets).
    FetchOffsets(Vec<FetchedGroup>),
    /// To [`Event::Describe`](super::Event::Describe).
    Describe(Vec<DescribedGroup>),
    /// To [`Event::DescribeConsumerGroups`](super::Event::DescribeConsumerGroups): each group id
    /// with the group.
    DescribeConsumerGroups(Vec<(Arc<str>, Result<DescribedConsumerGroup, Refusal>)>),
    /// To [`Event::List`](super::Event::List).
    List(Vec<ListedGroup>),
    /// To [`Event::DeleteGroups`](super::Event::DeleteGroups): each group id with its error.
    DeleteGroups(Vec<(Arc<str>, GroupError)>),
    /// To [`Event::DeleteOffsets`](super::Event::DeleteOffsets).
    DeleteOffsets(DeleteOffsetsReply),
}

/// JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinReply {
    /// Error.
    pub(crate) error: GroupError,
    /// The generation joined, −1 with an error.
    pub(crate) generation_id: i32,
    /// The group's protocol type.
    pub(crate) protocol_type: Option<Arc<str>>,
    /// The protocol chosen.
    pub(crate) protocol_name: Option<Arc<str>>,
    /// Member id of the leader, empty with an error.
    pub(crate) leader: Arc<str>,
    /// Version 9: the leader need not assign, the old assignment holds.
    pub(crate) skip_assignment: bool,
    /// The member's id.
    pub(crate) member_id: Arc<str>,
    /// Everybody, for the leader only.
    pub(crate) members: Vec<JoinedMember>,
}

impl JoinReply {
    /// A refusal.
    pub(super) fn failed(error: GroupError, member_id: Arc<str>) -> Self {
        Self {
            error,
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: Arc::from(""),
            skip_assignment: false,
            member_id,
            members: Vec::new(),
        }
    }
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinedMember {
    /// Member id.
    pub(crate) member_id: Arc<str>,
    /// Given by static members.
    pub(crate) group_instance_id: Option<Arc<str>>,
    /// What the member said under the chosen protocol.
    pub(crate) metadata: Bytes,
}

/// SyncGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyncReply {
    /// Error.
    pub(crate) error: GroupError,
    /// The group's protocol type.
    pub(crate) protocol_type: Option<Arc<str>>,
    /// The protocol chosen.
    pub(crate) protocol_name: Option<Arc<str>>,
    /// What the leader assigned to the member.
    pub(crate) assignment: Bytes,
}

impl SyncReply {
    /// A refusal.
    pub(super) fn failed(error: GroupError) -> Self {
        Self {
            error,
            protocol_type: None,
            protocol_name: None,
            assignment: Bytes::new(),
        }
    }
}

/// An error and what to do about it, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Error.
    pub(crate) error: GroupError,
    /// Why.
    pub(crate) why: String,
}

impl Refusal {
    pub(super) fn new(error: GroupError, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { error, why }
    }
}

/// ConsumerGroupHeartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConsumerHeartbeatReply {
    /// The member's id.
    pub(crate) member_id: Arc<str>,
    /// The epoch that it is at now, or the one that it left by.
    pub(crate) member_epoch: i32,
    /// When the next heartbeat is due.
    pub(crate) heartbeat_interval: Duration,
    /// The partitions to have; none: as told before.
    pub(crate) assignment: Option<Assignment>,
}

/// LeaveGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeaveReply {
    /// Error of the whole; before version 3 that of the only member.
    pub(crate) error: GroupError,
    /// Each member asked for, in order.
    pub(crate) members: Vec<LeftMember>,
}

/// How one member left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftMember {
    /// As in the request.
    pub(crate) member_id: Arc<str>,
    /// As in the request.
    pub(crate) group_instance_id: Option<Arc<str>>,
    /// Error.
    pub(crate) error: GroupError,
}

/// An error for each partition, in the order of the request.
pub(crate) type PartitionErrors = Vec<TopicErrors>;

/// An error for each partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicErrors {
    /// Name.
    pub(crate) name: Arc<str>,
    /// Id as in the request.
    pub(crate) topic_id: Option<Uuid>,
    /// Partition and error.
    pub(crate) partitions: Vec<(i32, GroupError)>,
}

/// OffsetFetch of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchedGroup {
    /// The group.
    pub(crate) group_id: Arc<str>,
    /// Error of the whole group.
    pub(crate) error: GroupError,
    /// Topics asked for, or all.
    pub(crate) topics: Vec<FetchedTopic>,
}

/// Committed offsets of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchedTopic {
    /// Name.
    pub(crate) name: Arc<str>,
    /// Id as in the request, or as committed.
    pub(crate) topic_id: Option<Uuid>,
    /// Partitions.
    pub(crate) partitions: Vec<FetchedPartition>,
}

/// The committed offset of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchedPartition {
    /// Partition.
    pub(crate) partition_index: i32,
    /// The next offset to read, −1 if nothing is committed (which is no error).
    pub(crate) committed_offset: i64,
    /// Leader epoch, −1 if unknown.
    pub(crate) committed_leader_epoch: i32,
    /// The client's note.
    pub(crate) metadata: Arc<str>,
    /// Error.
    pub(crate) error: GroupError,
}

/// DescribeGroups of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DescribedGroup {
    /// Error: only from version 6.
    pub(crate) error: GroupError,
    /// The group.
    pub(crate) group_id: Arc<str>,
    /// State; [`State::Dead`] when there is no such group.
    pub(crate) group_state: State,
    /// Empty for a group that only stores offsets.
    pub(crate) protocol_type: Arc<str>,
    /// The protocol chosen, in a stable group.
    pub(crate) protocol_data: Arc<str>,
    /// Members.
    pub(crate) members: Vec<DescribedMember>,
}

/// A member as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DescribedMember {
    /// Member id.
    pub(crate) member_id: Arc<str>,
    /// Given by static members.
    pub(crate) group_instance_id: Option<Arc<str>>,
    /// Client id.
    pub(crate) client_id: Arc<str>,
    /// Address.
    pub(crate) client_host: Arc<str>,
    /// What the member said under the chosen protocol, in a stable group.
    pub(crate) member_metadata: Bytes,
    /// What the leader assigned.
    pub(crate) member_assignment: Bytes,
}

/// ListGroups of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedGroup {
    /// The group.
    pub(crate) group_id: Arc<str>,
    /// Empty for a group that only stores offsets.
    pub(crate) protocol_type: Arc<str>,
    /// State, as Kafka writes it.
    pub(crate) group_state: &'static str,
    /// `classic` or `consumer`.
    pub(crate) group_type: &'static str,
}

/// OffsetDelete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeleteOffsetsReply {
    /// Error of the whole.
    pub(crate) error: GroupError,
    /// Each partition asked for; empty with an error.
    pub(crate) topics: PartitionErrors,
}
