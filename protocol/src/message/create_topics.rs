//! CreateTopics, key 19.
//!
//! Versions: 4 default counts; 5 flexible, shows the result; 7 topic ids.

use uuid::Uuid;

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Creates topics.
    pub struct CreateTopicsRequest {
        /// The topics to create.
        pub topics: Vec<CreatableTopic>,
        /// Milliseconds that the broker may take.
        pub timeout_ms: i32 = 60_000,
        /// Whether to check and change nothing.
        pub validate_only: bool,
    }

    /// A topic to create.
    pub struct CreatableTopic {
        /// The topic.
        pub name: StrBytes,
        /// Number of partitions, or -1 for the default or an explicit assignment.
        pub num_partitions: i32,
        /// Number of replicas, or -1 for the default or an explicit assignment.
        pub replication_factor: i16,
        /// Replicas by partition, or none for the broker to choose.
        pub assignments: Vec<CreatableReplicaAssignment>,
        /// Entries of the configuration.
        pub configs: Vec<CreatableTopicConfig>,
    }

    /// The replicas of one partition.
    pub struct CreatableReplicaAssignment {
        /// The partition.
        pub partition_index: i32,
        /// The brokers that get a replica.
        pub broker_ids: Vec<i32>,
    }

    /// An entry of the configuration of a topic.
    pub struct CreatableTopicConfig {
        /// The entry.
        pub name: StrBytes,
        /// The value of the entry.
        pub value: Option<StrBytes>,
    }

    /// Which topics were created.
    pub struct CreateTopicsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Outcomes by topic.
        pub topics: Vec<CreatableTopicResult>,
    }

    /// The outcome for one topic.
    pub struct CreatableTopicResult {
        /// The topic.
        pub name: StrBytes,
        /// The topic, by its id.
        pub topic_id: Uuid [7..],
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// Why there are no `configs`, if there are none.
        pub topic_config_error_code: ErrorCode [5..; tag 0],
        /// Number of partitions, or -1 when withheld.
        pub num_partitions: i32 [5..] = -1,
        /// Number of replicas, or -1 when withheld.
        pub replication_factor: i16 [5..] = -1,
        /// Its configuration, or null when withheld.
        pub configs: Option<Vec<CreatableTopicConfigs>> [5..],
    }

    /// An entry of the configuration that a topic got.
    pub struct CreatableTopicConfigs {
        /// The entry.
        pub name: StrBytes [5..],
        /// The value of the entry.
        pub value: Option<StrBytes> [5..],
        /// Whether the entry cannot be changed.
        pub read_only: bool [5..],
        /// Where the value comes from.
        pub config_source: i8 [5..] = -1,
        /// Whether the value is a secret and withheld.
        pub is_sensitive: bool [5..],
    }
}
