//! CreatePartitions, key 37.
//!
//! Versions: 2 flexible; 3 THROTTLING_QUOTA_EXCEEDED.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Adds partitions to topics.
    pub struct CreatePartitionsRequest {
        /// The topics to extend.
        pub topics: Vec<CreatePartitionsTopic>,
        /// Milliseconds that the broker may take.
        pub timeout_ms: i32,
        /// Whether to check and change nothing.
        pub validate_only: bool,
    }

    /// How far to extend one topic.
    pub struct CreatePartitionsTopic {
        /// The topic.
        pub name: StrBytes,
        /// Number of partitions afterwards.
        pub count: i32,
        /// Replicas of each new partition, or null for the broker to choose.
        pub assignments: Option<Vec<CreatePartitionsAssignment>>,
    }

    /// The replicas of one new partition.
    pub struct CreatePartitionsAssignment {
        /// The brokers that get a replica.
        pub broker_ids: Vec<i32>,
    }

    /// Which topics were extended.
    pub struct CreatePartitionsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Outcomes by topic.
        pub results: Vec<CreatePartitionsTopicResult>,
    }

    /// The outcome for one topic.
    pub struct CreatePartitionsTopicResult {
        /// The topic.
        pub name: StrBytes,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
    }
}
