//! What the coordinator is asked, free of wire versions but for the one behaviour that depends on them.
//! Fields have Kafka's names.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::consumer::Assignment;
use super::topics::TopicInfo;
use super::{GroupOverrides, Token};

/// Everything that can happen to the groups of a broker.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// JoinGroup 0–9.
    Join(Token, JoinRequest),
    /// SyncGroup 0–5.
    Sync(Token, SyncRequest),
    /// Heartbeat 0–4.
    Heartbeat(Token, HeartbeatRequest),
    /// ConsumerGroupHeartbeat 0–1.
    ConsumerHeartbeat(Token, ConsumerHeartbeatRequest),
    /// LeaveGroup 0–5.
    Leave(Token, LeaveRequest),
    /// OffsetCommit 2–10.
    CommitOffsets(Token, CommitOffsetsRequest),
    /// TxnOffsetCommit 0–5, of this producer, whose transaction the group is in.
    CommitInTransaction(Token, i64, CommitOffsetsRequest),
    /// The transaction of a producer has ended for these groups.
    TransactionEnded {
        /// The producer.
        producer_id: i64,
        /// Whether its offsets come into force.
        committed: bool,
        /// The groups.
        group_ids: Vec<Arc<str>>,
    },
    /// OffsetFetch 1–10.
    FetchOffsets(Token, FetchOffsetsRequest),
    /// DescribeGroups 0–6.
    Describe(Token, DescribeRequest),
    /// ConsumerGroupDescribe 0–1: the group ids.
    DescribeConsumerGroups(Token, Vec<Arc<str>>),
    /// ListGroups 0–5.
    List(Token, ListRequest),
    /// DeleteGroups 0–2: the group ids.
    DeleteGroups(Token, Vec<Arc<str>>),
    /// OffsetDelete 0.
    DeleteOffsets(Token, DeleteOffsetsRequest),
    /// The connection of a waiting request is gone: nobody will read its reply. The member stays
    /// until its session ends.
    Abandoned(Token),
    /// A topic is there as this says, or exists no more; then its committed offsets go with it.
    TopicChanged {
        /// Its name.
        name: Arc<str>,
        /// What there is of it.
        topic: Option<TopicInfo>,
    },
    /// From now on this is set for a group, and nothing else.
    GroupConfigured {
        /// The group, which need not exist.
        group_id: Arc<str>,
        /// What is set.
        settings: GroupOverrides,
    },
    /// A [`deadline`](super::GroupCoordinator::deadline) has come.
    Tick,
}

/// One assignment protocol a member offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protocol {
    /// Name, e.g. `range`.
    pub(crate) name: Arc<str>,
    /// What the leader needs to know of the member; opaque to the broker.
    pub(crate) metadata: Bytes,
}

/// JoinGroup.
#[derive(Debug, Clone)]
pub(crate) struct JoinRequest {
    /// Version of the request: 0 has no rebalance timeout, 4 and later get their member id first,
    /// 9 can be told to skip the assignment.
    pub(crate) api_version: i16,
    /// From the request's header; prefix of a new member id.
    pub(crate) client_id: Arc<str>,
    /// Address of the peer, shown by DescribeGroups.
    pub(crate) client_host: Arc<str>,
    /// The group.
    pub(crate) group_id: Arc<str>,
    /// Empty for a member that has no id yet.
    pub(crate) member_id: Arc<str>,
    /// Given by static members (KIP-345).
    pub(crate) group_instance_id: Option<Arc<str>>,
    /// How long the member may be silent.
    pub(crate) session_timeout_ms: i32,
    /// How long a rebalance may wait for this member; negative: as long as the session timeout.
    pub(crate) rebalance_timeout_ms: i32,
    /// `consumer`, `connect` and the like.
    pub(crate) protocol_type: Arc<str>,
    /// In the member's order of preference.
    pub(crate) protocols: Vec<Protocol>,
}

/// SyncGroup.
#[derive(Debug, Clone)]
pub(crate) struct SyncRequest {
    /// The group.
    pub(crate) group_id: Arc<str>,
    /// The generation of the join reply.
    pub(crate) generation_id: i32,
    /// The member.
    pub(crate) member_id: Arc<str>,
    /// Given by static members.
    pub(crate) group_instance_id: Option<Arc<str>>,
    /// Version 5 and later: must be the group's.
    pub(crate) protocol_type: Option<Arc<str>>,
    /// Version 5 and later: must be the group's.
    pub(crate) protocol_name: Option<Arc<str>>,
    /// From the leader: member id and assignment.
    pub(crate) assignments: Vec<(Arc<str>, Bytes)>,
}

/// Heartbeat.
#[derive(Debug, Clone)]
pub(crate) struct HeartbeatRequest {
    /// The group.
    pub(crate) group_id: Arc<str>,
    /// The member's generation.
    pub(crate) generation_id: i32,
    /// The member.
    pub(crate) member_id: Arc<str>,
    /// Given by static members.
    pub(crate) group_instance_id: Option<Arc<str>>,
}

/// ConsumerGroupHeartbeat. What is none is as before.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerHeartbeatRequest {
    /// Version of the request: 1 and later have a member id of their own from the start.
    pub(crate) api_version: i16,
    /// From the request's header.
    pub(crate) client_id: Arc<str>,
    /// Address of the peer.
    pub(crate) client_host: Arc<str>,
    /// The group.
    pub(crate) group_id: Arc<str>,
    /// The member; in version 0 empty before it has joined.
    pub(crate) member_id: Arc<str>,
    /// The member's epoch; 0 joins, -1 leaves, -2 leaves for a while.
    pub(crate) member_epoch: i32,
    /// Given by static members.
    pub(crate) group_instance_id: Option<Arc<str>>,
    /// The rack that the client is in.
    pub(crate) rack_id: Option<Arc<str>>,
    /// How long the member may take to give partitions back; negative: as before.
    pub(crate) rebalance_timeout_ms: i32,
    /// Topics that it reads, by name.
    pub(crate) subscribed_topic_names: Option<Vec<Arc<str>>>,
    /// And by pattern; empty: by none.
    pub(crate) subscribed_topic_regex: Option<Arc<str>>,
    /// The assignor that it would like.
    pub(crate) server_assignor: Option<Arc<str>>,
    /// The partitions that it has.
    pub(crate) owned: Option<Assignment>,
}

/// LeaveGroup.
#[derive(Debug, Clone)]
pub(crate) struct LeaveRequest {
    /// Version of the request: before 3 the single member's error is the reply's.
    pub(crate) api_version: i16,
    /// The group.
    pub(crate) group_id: Arc<str>,
    /// Who leaves; exactly one before version 3.
    pub(crate) members: Vec<LeavingMember>,
}

/// One member that leaves.
#[derive(Debug, Clone)]
pub(crate) struct LeavingMember {
    /// Empty when an administrator removes a static member.
    pub(crate) member_id: Arc<str>,
    /// Given by static members.
    pub(crate) group_instance_id: Option<Arc<str>>,
}

/// OffsetCommit. That the partitions exist is for the caller to check.
#[derive(Debug, Clone)]
pub(crate) struct CommitOffsetsRequest {
    /// Version of the request: 9 and later learn that a group is missing.
    pub(crate) api_version: i16,
    /// The group.
    pub(crate) group_id: Arc<str>,
    /// The member's generation or epoch; negative from one that is not a member.
    pub(crate) generation_id: i32,
    /// Empty from one that is not a member.
    pub(crate) member_id: Arc<str>,
    /// Given by static members.
    pub(crate) group_instance_id: Option<Arc<str>>,
    /// Versions 2–4: how long to keep the offsets, −1 for the broker's retention.
    pub(crate) retention_time_ms: i64,
    /// What to commit.
    pub(crate) topics: Vec<CommitTopic>,
}

/// Offsets to commit in one topic.
#[derive(Debug, Clone)]
pub(crate) struct CommitTopic {
    /// Name.
    pub(crate) name: Arc<str>,
    /// Id, when known.
    pub(crate) topic_id: Option<Uuid>,
    /// Partitions.
    pub(crate) partitions: Vec<CommitPartition>,
}

/// One offset to commit.
#[derive(Debug, Clone)]
pub(crate) struct CommitPartition {
    /// Partition.
    pub(crate) partition_index: i32,
    /// The next offset to read.
    pub(crate) committed_offset: i64,
    /// Leader epoch of the last record read, −1 if unknown.
    pub(crate) committed_leader_epoch: i32,
    /// A note of the client's.
    pub(crate) committed_metadata: Option<Arc<str>>,
}

/// OffsetFetch; before version 8 with one group.
#[derive(Debug, Clone)]
pub(crate) struct FetchOffsetsRequest {
    /// The groups.
    pub(crate) groups: Vec<FetchOffsetsGroup>,
    /// Refuse partitions with a transactional commit pending.
    pub(crate) require_stable: bool,
}

/// What to fetch of one group.
#[derive(Debug, Clone)]
pub(crate) struct FetchOffsetsGroup {
    /// The group.
    pub(crate) group_id: Arc<str>,
    /// The member of the consumer protocol that asks, if it says so.
    pub(crate) member_id: Option<Arc<str>>,
    /// Its epoch; negative without a member.
    pub(crate) member_epoch: i32,
    /// Topics and their partitions; none: everything committed.
    pub(crate) topics: Option<Vec<TopicPartitions>>,
}

/// A topic and some of its partitions.
#[derive(Debug, Clone)]
pub(crate) struct TopicPartitions {
    /// Name.
    pub(crate) name: Arc<str>,
    /// Id, when known; handed back as given.
    pub(crate) topic_id: Option<Uuid>,
    /// Partitions.
    pub(crate) partitions: Vec<i32>,
}

/// DescribeGroups.
#[derive(Debug, Clone)]
pub(crate) struct DescribeRequest {
    /// Version of the request: 6 and later learn that a group is missing.
    pub(crate) api_version: i16,
    /// The groups.
    pub(crate) groups: Vec<Arc<str>>,
}

/// ListGroups; an empty filter lets everything pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListRequest {
    /// States as Kafka writes them, whatever the case.
    pub(crate) states_filter: Vec<Arc<str>>,
    /// `classic` or `consumer`, whatever the case.
    pub(crate) types_filter: Vec<Arc<str>>,
}

/// OffsetDelete.
#[derive(Debug, Clone)]
pub(crate) struct DeleteOffsetsRequest {
    /// The group.
    pub(crate) group_id: Arc<str>,
    /// What to forget.
    pub(crate) topics: Vec<TopicPartitions>,
}
