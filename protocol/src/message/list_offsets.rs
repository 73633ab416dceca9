//! ListOffsets, key 2.
//!
//! Versions: 2 isolation level; 4 leader epochs; 6 flexible; 7 largest timestamp; 8 earliest
//! local; 9 latest tiered; 10 timeout; 11 earliest pending upload.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Finds offsets by timestamp or position.
    pub struct ListOffsetsRequest {
        /// The broker that asks, or -1 for a consumer.
        pub replica_id: i32,
        /// 0 reads all records, 1 those of committed transactions.
        pub isolation_level: i8 [2..],
        /// What is asked, by topic.
        pub topics: Vec<ListOffsetsTopic>,
        /// Milliseconds that the broker may take.
        pub timeout_ms: i32 [10..],
    }

    /// What to find in one topic.
    pub struct ListOffsetsTopic {
        /// The topic.
        pub name: StrBytes,
        /// What is asked, by partition.
        pub partitions: Vec<ListOffsetsPartition>,
    }

    /// What to find in one partition.
    pub struct ListOffsetsPartition {
        /// The partition.
        pub partition_index: i32,
        /// The epoch that the client knows, to fence stale ones, or -1.
        pub current_leader_epoch: i32 [4..] = -1,
        /// Milliseconds since the epoch, or a position: -1 latest, -2 earliest, -3 largest
        /// timestamp, -4 earliest local, -5 latest tiered, -6 earliest pending upload.
        pub timestamp: i64,
    }

    /// The offsets found.
    pub struct ListOffsetsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32 [2..],
        /// What was found, by topic.
        pub topics: Vec<ListOffsetsTopicResponse>,
    }

    /// What was found in one topic.
    pub struct ListOffsetsTopicResponse {
        /// The topic.
        pub name: StrBytes,
        /// What was found, by partition.
        pub partitions: Vec<ListOffsetsPartitionResponse>,
    }

    /// What was found in one partition.
    pub struct ListOffsetsPartitionResponse {
        /// The partition.
        pub partition_index: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// Timestamp of the record found in milliseconds, or -1.
        pub timestamp: i64 = -1,
        /// The offset found, or -1.
        pub offset: i64 = -1,
        /// The epoch of the leader, or -1.
        pub leader_epoch: i32 [4..] = -1,
    }
}
