//! ListPartitionReassignments, key 46.
//!
//! Has one version (KIP-455).

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Lists moves of replicas that are under way.
    pub struct ListPartitionReassignmentsRequest {
        /// Milliseconds that the answer may take.
        pub timeout_ms: i32 = 60_000,
        /// Partitions by topic, or null for all.
        pub topics: Option<Vec<ListPartitionReassignmentsTopics>>,
    }

    /// Partitions of one topic.
    pub struct ListPartitionReassignmentsTopics {
        /// The topic.
        pub name: StrBytes,
        /// The partitions.
        pub partition_indexes: Vec<i32>,
    }

    /// Moves under way.
    pub struct ListPartitionReassignmentsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// Moves by topic.
        pub topics: Vec<OngoingTopicReassignment>,
    }

    /// Moves of one topic.
    pub struct OngoingTopicReassignment {
        /// The topic.
        pub name: StrBytes,
        /// Moves by partition.
        pub partitions: Vec<OngoingPartitionReassignment>,
    }

    /// The move of one partition.
    pub struct OngoingPartitionReassignment {
        /// The partition.
        pub partition_index: i32,
        /// Where replicas are.
        pub replicas: Vec<i32>,
        /// Where replicas are being added.
        pub adding_replicas: Vec<i32>,
        /// Where replicas are being removed.
        pub removing_replicas: Vec<i32>,
    }
}
