//! DescribeLogDirs, key 35.
//!
//! Versions: 2 flexible; 3 error for the whole request; 4 sizes of volumes; 5 cordoned
//! directories.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Shows log directories.
    pub struct DescribeLogDirsRequest {
        /// The partitions of interest, or null for all.
        pub topics: Option<Vec<DescribableLogDirTopic>>,
    }

    /// Partitions of one topic.
    pub struct DescribableLogDirTopic {
        /// The topic.
        pub topic: StrBytes,
        /// The partitions.
        pub partitions: Vec<i32>,
    }

    /// The log directories.
    pub struct DescribeLogDirsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome for the whole request.
        pub error_code: ErrorCode [3..],
        /// One entry per directory.
        pub results: Vec<DescribeLogDirsResult>,
    }

    /// One directory.
    pub struct DescribeLogDirsResult {
        /// The outcome.
        pub error_code: ErrorCode,
        /// Absolute path of the directory.
        pub log_dir: StrBytes,
        /// The logs in it, by topic.
        pub topics: Vec<DescribeLogDirsTopic>,
        /// Bytes of the volume, or -1.
        pub total_bytes: i64 [4..] = -1,
        /// Bytes free on the volume, or -1.
        pub usable_bytes: i64 [4..] = -1,
        /// Whether the directory takes no new partitions.
        pub is_cordoned: bool [5..],
    }

    /// The logs of one topic.
    pub struct DescribeLogDirsTopic {
        /// The topic.
        pub name: StrBytes,
        /// The logs, by partition.
        pub partitions: Vec<DescribeLogDirsPartition>,
    }

    /// The log of one partition.
    pub struct DescribeLogDirsPartition {
        /// The partition.
        pub partition_index: i32,
        /// Bytes of all segments.
        pub partition_size: i64,
        /// Offsets that the log is behind.
        pub offset_lag: i64,
        /// Whether the log is about to replace another one.
        pub is_future_key: bool,
    }
}
