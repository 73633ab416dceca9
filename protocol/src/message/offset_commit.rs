//! OffsetCommit, key 8.
//!
//! Versions: until 4 retention time; 6 leader epochs; 7 static members; 8 flexible; 9 member
//! epochs (KIP-848); 10 topics by id.

use uuid::Uuid;

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Stores the offsets of a group.
    pub struct OffsetCommitRequest {
        /// The group.
        pub group_id: StrBytes,
        /// Generation in a classic group, epoch in a consumer group, -1 without membership.
        pub generation_id_or_member_epoch: i32 = -1,
        /// The member.
        pub member_id: StrBytes,
        /// The static identity of the member, if it has one (KIP-345).
        pub group_instance_id: Option<StrBytes> [7..],
        /// Milliseconds to keep the offsets, or -1 for the setting of the broker.
        pub retention_time_ms: i64 [..=4] = -1,
        /// Offsets by topic.
        pub topics: Vec<OffsetCommitRequestTopic>,
    }

    /// Offsets to store for one topic.
    pub struct OffsetCommitRequestTopic {
        /// The topic.
        pub name: StrBytes [..=9],
        /// The topic, by its id.
        pub topic_id: Uuid [10..],
        /// Offsets by partition.
        pub partitions: Vec<OffsetCommitRequestPartition>,
    }

    /// The offset to store for one partition.
    pub struct OffsetCommitRequestPartition {
        /// The partition.
        pub partition_index: i32,
        /// The next offset to read, or -1 for none.
        pub committed_offset: i64,
        /// Leader epoch of the last record read, or -1.
        pub committed_leader_epoch: i32 [6..] = -1,
        /// Whatever the client wants to keep with the offset.
        pub committed_metadata: Option<StrBytes>,
    }

    /// Which offsets were stored.
    pub struct OffsetCommitResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32 [3..],
        /// Outcomes by topic.
        pub topics: Vec<OffsetCommitResponseTopic>,
    }

    /// Outcomes for one topic.
    pub struct OffsetCommitResponseTopic {
        /// The topic.
        pub name: StrBytes [..=9],
        /// The topic, by its id.
        pub topic_id: Uuid [10..],
        /// Outcomes by partition.
        pub partitions: Vec<OffsetCommitResponsePartition>,
    }

    /// The outcome for one partition.
    pub struct OffsetCommitResponsePartition {
        /// The partition.
        pub partition_index: i32,
        /// The outcome.
        pub error_code: ErrorCode,
    }
}
