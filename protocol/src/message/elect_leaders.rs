//! ElectLeaders, key 43.
//!
//! Versions: 1 kinds of elections (KIP-460); 2 flexible.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Elects leaders.
    pub struct ElectLeadersRequest {
        /// 0 elects the preferred replica, 1 any that lives if none is in sync.
        pub election_type: i8 [1..],
        /// Partitions by topic, or null for all.
        pub topic_partitions: Option<Vec<ElectTopic>>,
        /// Milliseconds that the election may take.
        pub timeout_ms: i32 = 60_000,
    }

    /// Partitions of one topic.
    pub struct ElectTopic {
        /// The topic.
        pub topic: StrBytes,
        /// The partitions.
        pub partitions: Vec<i32>,
    }

    /// Which leaders were elected.
    pub struct ElectLeadersResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome for the whole request.
        pub error_code: ErrorCode [1..],
        /// Outcomes by topic.
        pub replica_election_results: Vec<ReplicaElectionResult>,
    }

    /// Outcomes for one topic.
    pub struct ReplicaElectionResult {
        /// The topic.
        pub topic: StrBytes,
        /// Outcomes by partition.
        pub partition_result: Vec<ElectedPartition>,
    }

    /// The outcome for one partition.
    pub struct ElectedPartition {
        /// The partition.
        pub partition_id: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
    }
}
