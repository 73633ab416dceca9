//! DescribeProducers, key 61.
//!
//! Has one version, flexible (KIP-664).

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Shows the producers that write to partitions.
    pub struct DescribeProducersRequest {
        /// What is asked, by topic.
        pub topics: Vec<DescribeProducersTopic>,
    }

    /// Partitions of one topic.
    pub struct DescribeProducersTopic {
        /// The topic.
        pub name: StrBytes,
        /// The partitions.
        pub partition_indexes: Vec<i32>,
    }

    /// Producers by partition.
    pub struct DescribeProducersResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Producers by topic.
        pub topics: Vec<DescribeProducersTopicResponse>,
    }

    /// Producers of one topic.
    pub struct DescribeProducersTopicResponse {
        /// The topic.
        pub name: StrBytes,
        /// Producers by partition.
        pub partitions: Vec<DescribeProducersPartitionResponse>,
    }

    /// Producers of one partition.
    pub struct DescribeProducersPartitionResponse {
        /// The partition.
        pub partition_index: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// Producers with state in the partition.
        pub active_producers: Vec<ProducerState>,
    }

    /// What a partition knows of one producer.
    pub struct ProducerState {
        /// The producer.
        pub producer_id: i64,
        /// The epoch of the producer.
        pub producer_epoch: i32,
        /// Sequence of its last record, or -1.
        pub last_sequence: i32 = -1,
        /// Timestamp of its last batch in milliseconds, or -1.
        pub last_timestamp: i64 = -1,
        /// Epoch of the coordinator that wrote its last marker, or -1.
        pub coordinator_epoch: i32,
        /// First offset of its open transaction, or -1.
        pub current_txn_start_offset: i64 = -1,
    }
}
