//! AlterReplicaLogDirs, key 34.
//!
//! Versions: 2 flexible.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Moves replicas between directories of a broker.
    pub struct AlterReplicaLogDirsRequest {
        /// Replicas by directory.
        pub dirs: Vec<AlterReplicaLogDir>,
    }

    /// Replicas that are to be in one directory.
    pub struct AlterReplicaLogDir {
        /// The absolute path of the directory.
        pub path: StrBytes,
        /// Partitions by topic.
        pub topics: Vec<AlterReplicaLogDirTopic>,
    }

    /// Partitions of one topic.
    pub struct AlterReplicaLogDirTopic {
        /// The topic.
        pub name: StrBytes,
        /// The partitions.
        pub partitions: Vec<i32>,
    }

    /// Which moves were begun.
    pub struct AlterReplicaLogDirsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Outcomes by topic.
        pub results: Vec<AlterReplicaLogDirTopicResult>,
    }

    /// Outcomes for one topic.
    pub struct AlterReplicaLogDirTopicResult {
        /// The topic.
        pub topic_name: StrBytes,
        /// Outcomes by partition.
        pub partitions: Vec<AlterReplicaLogDirPartitionResult>,
    }

    /// The outcome for one partition.
    pub struct AlterReplicaLogDirPartitionResult {
        /// The partition.
        pub partition_index: i32,
        /// The outcome.
        pub error_code: ErrorCode,
    }
}
