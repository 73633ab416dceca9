//! AlterPartitionReassignments, key 45.
//!
//! Moves replicas (KIP-455). Versions: 1 whether their number may change (KIP-860).

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Begins or cancels moves of replicas.
    pub struct AlterPartitionReassignmentsRequest {
        /// Milliseconds that the change may take.
        pub timeout_ms: i32 = 60_000,
        /// Whether the number of replicas may change.
        pub allow_replication_factor_change: bool [1..] = true,
        /// Moves by topic.
        pub topics: Vec<ReassignableTopic>,
    }

    /// Moves of one topic.
    pub struct ReassignableTopic {
        /// The topic.
        pub name: StrBytes,
        /// Moves by partition.
        pub partitions: Vec<ReassignablePartition>,
    }

    /// The move of one partition.
    pub struct ReassignablePartition {
        /// The partition.
        pub partition_index: i32,
        /// Where the replicas are to be, or null to cancel a move.
        pub replicas: Option<Vec<i32>>,
    }

    /// Which moves were begun or cancelled.
    pub struct AlterPartitionReassignmentsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Whether the number of replicas could change.
        pub allow_replication_factor_change: bool [1..] = true,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// Outcomes by topic.
        pub responses: Vec<ReassignableTopicResponse>,
    }

    /// Outcomes for one topic.
    pub struct ReassignableTopicResponse {
        /// The topic.
        pub name: StrBytes,
        /// Outcomes by partition.
        pub partitions: Vec<ReassignablePartitionResponse>,
    }

    /// The outcome for one partition.
    pub struct ReassignablePartitionResponse {
        /// The partition.
        pub partition_index: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
    }
}
