//! TxnOffsetCommit, key 28.
//!
//! Versions: 2 leader epochs; 3 flexible, members; 5 adds the group by itself (KIP-890).

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Stores the offsets of a group within a transaction.
    pub struct TxnOffsetCommitRequest {
        /// The transaction that this belongs to.
        pub transactional_id: StrBytes,
        /// The group.
        pub group_id: StrBytes,
        /// The producer.
        pub producer_id: i64,
        /// The epoch of the producer.
        pub producer_epoch: i16,
        /// The generation of the group, or -1.
        pub generation_id: i32 [3..] = -1,
        /// The member.
        pub member_id: StrBytes [3..],
        /// The static identity of the member, if it has one (KIP-345).
        pub group_instance_id: Option<StrBytes> [3..],
        /// Offsets by topic.
        pub topics: Vec<TxnOffsetCommitRequestTopic>,
    }

    /// Offsets to store for one topic.
    pub struct TxnOffsetCommitRequestTopic {
        /// The topic.
        pub name: StrBytes,
        /// Offsets by partition.
        pub partitions: Vec<TxnOffsetCommitRequestPartition>,
    }

    /// The offset to store for one partition.
    pub struct TxnOffsetCommitRequestPartition {
        /// The partition.
        pub partition_index: i32,
        /// The next offset to read, or -1 for none.
        pub committed_offset: i64,
        /// Leader epoch of the last record read, or -1.
        pub committed_leader_epoch: i32 [2..] = -1,
        /// Whatever the client wants to keep with the offset.
        pub committed_metadata: Option<StrBytes>,
    }

    /// Which offsets were stored.
    pub struct TxnOffsetCommitResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Outcomes by topic.
        pub topics: Vec<TxnOffsetCommitResponseTopic>,
    }

    /// Outcomes for one topic.
    pub struct TxnOffsetCommitResponseTopic {
        /// The topic.
        pub name: StrBytes,
        /// Outcomes by partition.
        pub partitions: Vec<TxnOffsetCommitResponsePartition>,
    }

    /// The outcome for one partition.
    pub struct TxnOffsetCommitResponsePartition {
        /// The partition.
        pub partition_index: i32,
        /// The outcome.
        pub error_code: ErrorCode,
    }
}
