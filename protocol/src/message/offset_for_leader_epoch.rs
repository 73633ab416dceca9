//! OffsetForLeaderEpoch, key 23.
//!
//! Versions: 3 replica id; 4 flexible.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Finds where leader epochs end.
    pub struct OffsetForLeaderEpochRequest {
        /// The broker that asks, -1 for a consumer, -2 for a debugging consumer.
        pub replica_id: i32 [3..] = -2,
        /// What is asked, by topic.
        pub topics: Vec<OffsetForLeaderTopic>,
    }

    /// What to find in one topic.
    pub struct OffsetForLeaderTopic {
        /// The topic.
        pub topic: StrBytes,
        /// What is asked, by partition.
        pub partitions: Vec<OffsetForLeaderPartition>,
    }

    /// What to find in one partition.
    pub struct OffsetForLeaderPartition {
        /// The partition.
        pub partition: i32,
        /// The epoch that the client knows, to fence stale ones, or -1.
        pub current_leader_epoch: i32 = -1,
        /// The epoch whose end is asked.
        pub leader_epoch: i32,
    }

    /// The ends of epochs.
    pub struct OffsetForLeaderEpochResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// What was found, by topic.
        pub topics: Vec<OffsetForLeaderTopicResult>,
    }

    /// What was found in one topic.
    pub struct OffsetForLeaderTopicResult {
        /// The topic.
        pub topic: StrBytes,
        /// What was found, by partition.
        pub partitions: Vec<EpochEndOffset>,
    }

    /// The end of an epoch in one partition.
    pub struct EpochEndOffset {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The partition.
        pub partition: i32,
        /// The largest epoch not above the one asked, or -1.
        pub leader_epoch: i32 = -1,
        /// The first offset after that epoch, or -1.
        pub end_offset: i64 = -1,
    }
}
