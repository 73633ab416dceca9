//! OffsetFetch, key 9.
//!
//! Versions: 2 null for all topics; 5 leader epochs; 6 flexible; 7 stable offsets (KIP-447); 8
//! several groups; 9 member epochs (KIP-848); 10 topics by id.

use uuid::Uuid;

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Reads the offsets of groups.
    pub struct OffsetFetchRequest {
        /// The group.
        pub group_id: StrBytes [..=7],
        /// What to read, or null for all.
        pub topics: Option<Vec<OffsetFetchRequestTopic>> [..=7; null 2..=7],
        /// The groups.
        pub groups: Vec<OffsetFetchRequestGroup> [8..],
        /// Whether to refuse offsets that a transaction may still change.
        pub require_stable: bool [7..],
    }

    /// Partitions of one topic.
    pub struct OffsetFetchRequestTopic {
        /// The topic.
        pub name: StrBytes [..=7],
        /// The partitions.
        pub partition_indexes: Vec<i32> [..=7],
    }

    /// What to read of one group.
    pub struct OffsetFetchRequestGroup {
        /// The group.
        pub group_id: StrBytes [8..],
        /// The member that asks, to check its epoch.
        pub member_id: Option<StrBytes> [9..],
        /// The epoch of the member, or -1.
        pub member_epoch: i32 [9..] = -1,
        /// What to read, or null for all.
        pub topics: Option<Vec<OffsetFetchRequestTopics>> [8..],
    }

    /// Partitions of one topic.
    pub struct OffsetFetchRequestTopics {
        /// The topic.
        pub name: StrBytes [8..=9],
        /// The topic, by its id.
        pub topic_id: Uuid [10..],
        /// The partitions.
        pub partition_indexes: Vec<i32> [8..],
    }

    /// The offsets of groups.
    pub struct OffsetFetchResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32 [3..],
        /// Offsets by topic.
        pub topics: Vec<OffsetFetchResponseTopic> [..=7],
        /// The outcome for the whole request.
        pub error_code: ErrorCode [2..=7],
        /// Offsets by group.
        pub groups: Vec<OffsetFetchResponseGroup> [8..],
    }

    /// Offsets of one topic.
    pub struct OffsetFetchResponseTopic {
        /// The topic.
        pub name: StrBytes [..=7],
        /// Offsets by partition.
        pub partitions: Vec<OffsetFetchResponsePartition> [..=7],
    }

    /// The offset of one partition.
    pub struct OffsetFetchResponsePartition {
        /// The partition.
        pub partition_index: i32 [..=7],
        /// The next offset to read, or -1 for none.
        pub committed_offset: i64 [..=7],
        /// Leader epoch of the last record read, or -1.
        pub committed_leader_epoch: i32 [5..=7] = -1,
        /// What the client stored with the offset.
        pub metadata: Option<StrBytes> [..=7],
        /// The outcome.
        pub error_code: ErrorCode [..=7],
    }

    /// Offsets of one group.
    pub struct OffsetFetchResponseGroup {
        /// The group.
        pub group_id: StrBytes [8..],
        /// Offsets by topic.
        pub topics: Vec<OffsetFetchResponseTopics> [8..],
        /// The outcome for the group.
        pub error_code: ErrorCode [8..],
    }

    /// Offsets of one topic.
    pub struct OffsetFetchResponseTopics {
        /// The topic.
        pub name: StrBytes [8..=9],
        /// The topic, by its id.
        pub topic_id: Uuid [10..],
        /// Offsets by partition.
        pub partitions: Vec<OffsetFetchResponsePartitions> [8..],
    }

    /// The offset of one partition.
    pub struct OffsetFetchResponsePartitions {
        /// The partition.
        pub partition_index: i32 [8..],
        /// The next offset to read, or -1 for none.
        pub committed_offset: i64 [8..],
        /// Leader epoch of the last record read, or -1.
        pub committed_leader_epoch: i32 [8..] = -1,
        /// What the client stored with the offset.
        pub metadata: Option<StrBytes> [8..],
        /// The outcome.
        pub error_code: ErrorCode [8..],
    }
}
