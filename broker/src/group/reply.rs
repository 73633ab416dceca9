//! What the coordinator answers. Fields have Kafka's names.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::{GroupError, State};

/// The answer to the request named by a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To [`Event::Join`](super::Event::Join).
    Join(JoinReply),
    /// To [`Event::Sync`](super::Event::Sync).
    Sync(SyncReply),
    /// To [`Event::Heartbeat`](super::Event::Heartbeat).
    Heartbeat(GroupError),
    /// To [`Event::Leave`](super::Event::Leave).
    Leave(LeaveReply),
    /// To [`Event::CommitOffsets`](super::Event::CommitOffsets).
    CommitOffsets(PartitionErrors),
    /// To [`Event::FetchOffsets`](super::Event::FetchOffsets).
    FetchOffsets(Vec<FetchedGroup>),
    /// To [`Event::Describe`](super::Event::Describe).
    Describe(Vec<DescribedGroup>),
    /// To [`Event::List`](super::Event::List).
    List(Vec<ListedGroup>),
    /// To [`Event::DeleteGroups`](super::Event::DeleteGroups): each group id with its error.
    DeleteGroups(Vec<(Arc<str>, GroupError)>),
    /// To [`Event::DeleteOffsets`](super::Event::DeleteOffsets).
    DeleteOffsets(DeleteOffsetsReply),
}

/// JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinReply {
    /// Error.
    pub error: GroupError,
    /// The generation joined, −1 with an error.
    pub generation_id: i32,
    /// The group's protocol type.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol chosen.
    pub protocol_name: Option<Arc<str>>,
    /// Member id of the leader, empty with an error.
    pub leader: Arc<str>,
    /// Version 9: the leader need not assign, the old assignment holds.
    pub skip_assignment: bool,
    /// The member's id.
    pub member_id: Arc<str>,
    /// Everybody, for the leader only.
    pub members: Vec<JoinedMember>,
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
pub struct JoinedMember {
    /// Member id.
    pub member_id: Arc<str>,
    /// Given by static members.
    pub group_instance_id: Option<Arc<str>>,
    /// What the member said under the chosen protocol.
    pub metadata: Bytes,
}

/// SyncGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReply {
    /// Error.
    pub error: GroupError,
    /// The group's protocol type.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol chosen.
    pub protocol_name: Option<Arc<str>>,
    /// What the leader assigned to the member.
    pub assignment: Bytes,
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

/// LeaveGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveReply {
    /// Error of the whole; before version 3 that of the only member.
    pub error: GroupError,
    /// Each member asked for, in order.
    pub members: Vec<LeftMember>,
}

/// How one member left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftMember {
    /// As in the request.
    pub member_id: Arc<str>,
    /// As in the request.
    pub group_instance_id: Option<Arc<str>>,
    /// Error.
    pub error: GroupError,
}

/// An error for each partition, in the order of the request.
pub type PartitionErrors = Vec<TopicErrors>;

/// An error for each partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicErrors {
    /// Name.
    pub name: Arc<str>,
    /// Id as in the request.
    pub topic_id: Option<Uuid>,
    /// Partition and error.
    pub partitions: Vec<(i32, GroupError)>,
}

/// OffsetFetch of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedGroup {
    /// The group.
    pub group_id: Arc<str>,
    /// Error of the whole group.
    pub error: GroupError,
    /// Topics asked for, or all.
    pub topics: Vec<FetchedTopic>,
}

/// Committed offsets of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedTopic {
    /// Name.
    pub name: Arc<str>,
    /// Id as in the request, or as committed.
    pub topic_id: Option<Uuid>,
    /// Partitions.
    pub partitions: Vec<FetchedPartition>,
}

/// The committed offset of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedPartition {
    /// Partition.
    pub partition_index: i32,
    /// The next offset to read, −1 if nothing is committed (which is no error).
    pub committed_offset: i64,
    /// Leader epoch, −1 if unknown.
    pub committed_leader_epoch: i32,
    /// The client's note.
    pub metadata: Arc<str>,
    /// Error.
    pub error: GroupError,
}

/// DescribeGroups of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Error: only from version 6.
    pub error: GroupError,
    /// The group.
    pub group_id: Arc<str>,
    /// State; [`State::Dead`] when there is no such group.
    pub group_state: State,
    /// Empty for a group that only stores offsets.
    pub protocol_type: Arc<str>,
    /// The protocol chosen, in a stable group.
    pub protocol_data: Arc<str>,
    /// Members.
    pub members: Vec<DescribedMember>,
}

/// A member as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// Member id.
    pub member_id: Arc<str>,
    /// Given by static members.
    pub group_instance_id: Option<Arc<str>>,
    /// Client id.
    pub client_id: Arc<str>,
    /// Address.
    pub client_host: Arc<str>,
    /// What the member said under the chosen protocol, in a stable group.
    pub member_metadata: Bytes,
    /// What the leader assigned.
    pub member_assignment: Bytes,
}

/// ListGroups of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group.
    pub group_id: Arc<str>,
    /// Empty for a group that only stores offsets.
    pub protocol_type: Arc<str>,
    /// State.
    pub group_state: State,
    /// `classic`.
    pub group_type: &'static str,
}

/// OffsetDelete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteOffsetsReply {
    /// Error of the whole.
    pub error: GroupError,
    /// Each partition asked for; empty with an error.
    pub topics: PartitionErrors,
}
