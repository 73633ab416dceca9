//! DescribeTopicPartitions, key 75.
//!
//! Has one version, flexible (KIP-966).

use uuid::Uuid;

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Describes topics page by page.
    pub struct DescribeTopicPartitionsRequest {
        /// The topics, or none for all.
        pub topics: Vec<TopicRequest>,
        /// Partitions that the response should not exceed.
        pub response_partition_limit: i32 = 2_000,
        /// Where to go on, or null for the start.
        pub cursor: Option<Cursor>,
    }

    /// A topic to describe.
    pub struct TopicRequest {
        /// The topic.
        pub name: StrBytes,
    }

    /// The first partition of the next page.
    pub struct Cursor {
        /// The topic.
        pub topic_name: StrBytes,
        /// The partition.
        pub partition_index: i32,
    }

    /// One page of topics.
    pub struct DescribeTopicPartitionsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The topics.
        pub topics: Vec<DescribeTopicPartitionsResponseTopic>,
        /// Where to go on, or null at the end.
        pub next_cursor: Option<Cursor>,
    }

    /// One topic.
    pub struct DescribeTopicPartitionsResponseTopic {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The topic, or null.
        pub name: Option<StrBytes>,
        /// The topic, by its id.
        pub topic_id: Uuid,
        /// Whether the broker keeps the topic for itself.
        pub is_internal: bool,
        /// Those of its partitions that are on the page.
        pub partitions: Vec<DescribeTopicPartitionsResponsePartition>,
        /// Bits of what the client may do, or the smallest i32 if not asked.
        pub topic_authorized_operations: i32 = i32::MIN,
    }

    /// One partition.
    pub struct DescribeTopicPartitionsResponsePartition {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The partition.
        pub partition_index: i32,
        /// The broker that leads, or -1.
        pub leader_id: i32,
        /// The epoch of the leader, or -1.
        pub leader_epoch: i32 = -1,
        /// Brokers that have the partition.
        pub replica_nodes: Vec<i32>,
        /// Brokers that have all of its committed records.
        pub isr_nodes: Vec<i32>,
        /// Replicas outside the in-sync set that may still lead (KIP-966).
        pub eligible_leader_replicas: Option<Vec<i32>>,
        /// The last such replicas known.
        pub last_known_elr: Option<Vec<i32>>,
        /// Brokers that should have the partition and are down.
        pub offline_replicas: Vec<i32>,
    }
}
