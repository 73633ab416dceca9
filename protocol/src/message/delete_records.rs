//! DeleteRecords, key 21.
//!
//! Versions: 2 flexible.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Moves log start offsets up.
    pub struct DeleteRecordsRequest {
        /// What is asked, by topic.
        pub topics: Vec<DeleteRecordsTopic>,
        /// Milliseconds that the broker may take.
        pub timeout_ms: i32,
    }

    /// What to delete of one topic.
    pub struct DeleteRecordsTopic {
        /// The topic.
        pub name: StrBytes,
        /// What is asked, by partition.
        pub partitions: Vec<DeleteRecordsPartition>,
    }

    /// What to delete of one partition.
    pub struct DeleteRecordsPartition {
        /// The partition.
        pub partition_index: i32,
        /// The new log start offset, or -1 for the high watermark.
        pub offset: i64,
    }

    /// Where the logs start now.
    pub struct DeleteRecordsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Outcomes by topic.
        pub topics: Vec<DeleteRecordsTopicResult>,
    }

    /// Outcomes for one topic.
    pub struct DeleteRecordsTopicResult {
        /// The topic.
        pub name: StrBytes,
        /// Outcomes by partition.
        pub partitions: Vec<DeleteRecordsPartitionResult>,
    }

    /// The outcome for one partition.
    pub struct DeleteRecordsPartitionResult {
        /// The partition.
        pub partition_index: i32,
        /// The first offset of the log afterwards.
        pub low_watermark: i64,
        /// The outcome.
        pub error_code: ErrorCode,
    }
}
