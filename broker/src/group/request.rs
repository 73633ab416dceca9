//! What the coordinator is asked, free of wire versions but for the one behaviour that depends on them.
//! Fields have Kafka's names.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::Token;

/// Everything that can happen to the groups of a broker.
#[derive(Debug, Clone)]
pub enum Event {
    /// JoinGroup 0–9.
    Join(Token, JoinRequest),
    /// SyncGroup 0–5.
    Sync(Token, SyncRequest),
    /// Heartbeat 0–4.
    Heartbeat(Token, HeartbeatRequest),
    /// LeaveGroup 0–5.
    Leave(Token, LeaveRequest),
    /// OffsetCommit 2–10.
    CommitOffsets(Token, CommitOffsetsRequest),
    /// OffsetFetch 1–10.
    FetchOffsets(Token, FetchOffsetsRequest),
    /// DescribeGroups 0–6.
    Describe(Token, DescribeRequest),
    /// ListGroups 0–5.
    List(Token, ListRequest),
    /// DeleteGroups 0–2: the group ids.
    DeleteGroups(Token, Vec<Arc<str>>),
    /// OffsetDelete 0.
    DeleteOffsets(Token, DeleteOffsetsRequest),
    /// The connection of a waiting request is gone: nobody will read its reply. The member stays
    /// until its session ends.
    Abandoned(Token),
    /// Topics, by name, that exist no more; their committed offsets go with them.
    TopicsDeleted(Vec<Arc<str>>),
    /// A [`deadline`](super::GroupCoordinator::deadline) has come.
    Tick,
}

/// One assignment protocol a member offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// Name, e.g. `range`.
    pub name: Arc<str>,
    /// What the leader needs to know of the member; opaque to the broker.
    pub metadata: Bytes,
}

/// JoinGroup.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// Version of the request: 0 has no rebalance timeout, 4 and later get their member id first,
    /// 9 can be told to skip the assignment.
    pub api_version: i16,
    /// From the request's header; prefix of a new member id.
    pub client_id: Arc<str>,
    /// Address of the peer, shown by DescribeGroups.
    pub client_host: Arc<str>,
    /// The group.
    pub group_id: Arc<str>,
    /// Empty for a member that has no id yet.
    pub member_id: Arc<str>,
    /// Given by static members (KIP-345).
    pub group_instance_id: Option<Arc<str>>,
    /// How long the member may be silent.
    pub session_timeout_ms: i32,
    /// How long a rebalance may wait for this member; negative: as long as the session timeout.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect` and the like.
    pub protocol_type: Arc<str>,
    /// In the member's order of preference.
    pub protocols: Vec<Protocol>,
}

/// SyncGroup.
#[derive(Debug, Clone)]
pub struct SyncRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// The generation of the join reply.
    pub generation_id: i32,
    /// The member.
    pub member_id: Arc<str>,
    /// Given by static members.
    pub group_instance_id: Option<Arc<str>>,
    /// Version 5 and later: must be the group's.
    pub protocol_type: Option<Arc<str>>,
    /// Version 5 and later: must be the group's.
    pub protocol_name: Option<Arc<str>>,
    /// From the leader: member id and assignment.
    pub assignments: Vec<(Arc<str>, Bytes)>,
}

/// Heartbeat.
#[derive(Debug, Clone)]
pub struct HeartbeatRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// The member's generation.
    pub generation_id: i32,
    /// The member.
    pub member_id: Arc<str>,
    /// Given by static members.
    pub group_instance_id: Option<Arc<str>>,
}

/// LeaveGroup.
#[derive(Debug, Clone)]
pub struct LeaveRequest {
    /// Version of the request: before 3 the single member's error is the reply's.
    pub api_version: i16,
    /// The group.
    pub group_id: Arc<str>,
    /// Who leaves; exactly one before version 3.
    pub members: Vec<LeavingMember>,
}

/// One member that leaves.
#[derive(Debug, Clone)]
pub struct LeavingMember {
    /// Empty when an administrator removes a static member.
    pub member_id: Arc<str>,
    /// Given by static members.
    pub group_instance_id: Option<Arc<str>>,
}

/// OffsetCommit. That the partitions exist is for the caller to check.
#[derive(Debug, Clone)]
pub struct CommitOffsetsRequest {
    /// Version of the request: 9 and later learn that a group is missing.
    pub api_version: i16,
    /// The group.
    pub group_id: Arc<str>,
    /// The member's generation; negative from one that is not a member.
    pub generation_id: i32,
    /// Empty from one that is not a member.
    pub member_id: Arc<str>,
    /// Given by static members.
    pub group_instance_id: Option<Arc<str>>,
    /// Versions 2–4: how long to keep the offsets, −1 for the broker's retention.
    pub retention_time_ms: i64,
    /// What to commit.
    pub topics: Vec<CommitTopic>,
}

/// Offsets to commit in one topic.
#[derive(Debug, Clone)]
pub struct CommitTopic {
    /// Name.
    pub name: Arc<str>,
    /// Id, when known.
    pub topic_id: Option<Uuid>,
    /// Partitions.
    pub partitions: Vec<CommitPartition>,
}

/// One offset to commit.
#[derive(Debug, Clone)]
pub struct CommitPartition {
    /// Partition.
    pub partition_index: i32,
    /// The next offset to read.
    pub committed_offset: i64,
    /// Leader epoch of the last record read, −1 if unknown.
    pub committed_leader_epoch: i32,
    /// A note of the client's.
    pub committed_metadata: Option<Arc<str>>,
}

/// OffsetFetch; before version 8 with one group.
#[derive(Debug, Clone)]
pub struct FetchOffsetsRequest {
    /// The groups.
    pub groups: Vec<FetchOffsetsGroup>,
    /// Refuse partitions with a transactional commit pending; there is none yet.
    pub require_stable: bool,
}

/// What to fetch of one group.
#[derive(Debug, Clone)]
pub struct FetchOffsetsGroup {
    /// The group.
    pub group_id: Arc<str>,
    /// Topics and their partitions; none: everything committed.
    pub topics: Option<Vec<TopicPartitions>>,
}

/// A topic and some of its partitions.
#[derive(Debug, Clone)]
pub struct TopicPartitions {
    /// Name.
    pub name: Arc<str>,
    /// Id, when known; handed back as given.
    pub topic_id: Option<Uuid>,
    /// Partitions.
    pub partitions: Vec<i32>,
}

/// DescribeGroups.
#[derive(Debug, Clone)]
pub struct DescribeRequest {
    /// Version of the request: 6 and later learn that a group is missing.
    pub api_version: i16,
    /// The groups.
    pub groups: Vec<Arc<str>>,
}

/// ListGroups; an empty filter lets everything pass.
#[derive(Debug, Clone, Default)]
pub struct ListRequest {
    /// States as Kafka writes them, whatever the case.
    pub states_filter: Vec<Arc<str>>,
    /// `classic` or `consumer`, whatever the case.
    pub types_filter: Vec<Arc<str>>,
}

/// OffsetDelete.
#[derive(Debug, Clone)]
pub struct DeleteOffsetsRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// What to forget.
    pub topics: Vec<TopicPartitions>,
}
