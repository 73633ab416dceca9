//! AddPartitionsToTxn, key 24.
//!
//! Versions: 3 flexible; 4 several transactions, between brokers; 5 TRANSACTION_ABORTABLE.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Adds partitions to transactions.
    pub struct AddPartitionsToTxnRequest {
        /// The transactions. Between brokers.
        pub transactions: Vec<AddPartitionsToTxnTransaction> [4..],
        /// The transaction.
        pub v3_and_below_transactional_id: StrBytes [..=3],
        /// The producer.
        pub v3_and_below_producer_id: i64 [..=3],
        /// The epoch of the producer.
        pub v3_and_below_producer_epoch: i16 [..=3],
        /// The partitions to add, by topic.
        pub v3_and_below_topics: Vec<AddPartitionsToTxnTopic> [..=3],
    }

    /// What one transaction gets.
    pub struct AddPartitionsToTxnTransaction {
        /// The transaction that this belongs to.
        pub transactional_id: StrBytes [4..],
        /// The producer.
        pub producer_id: i64 [4..],
        /// The epoch of the producer.
        pub producer_epoch: i16 [4..],
        /// Whether to check that the partitions are in the transaction, and add none.
        pub verify_only: bool [4..],
        /// The partitions to add, by topic.
        pub topics: Vec<AddPartitionsToTxnTopic> [4..],
    }

    /// Partitions of one topic.
    pub struct AddPartitionsToTxnTopic {
        /// The topic.
        pub name: StrBytes,
        /// The partitions.
        pub partitions: Vec<i32>,
    }

    /// Which partitions were added.
    pub struct AddPartitionsToTxnResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome for the whole request.
        pub error_code: ErrorCode [4..],
        /// Outcomes by transaction. Between brokers.
        pub results_by_transaction: Vec<AddPartitionsToTxnResult> [4..],
        /// Outcomes by topic.
        pub results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult> [..=3],
    }

    /// Outcomes for one transaction.
    pub struct AddPartitionsToTxnResult {
        /// The transaction that this belongs to.
        pub transactional_id: StrBytes [4..],
        /// Outcomes by topic.
        pub topic_results: Vec<AddPartitionsToTxnTopicResult> [4..],
    }

    /// Outcomes for one topic.
    pub struct AddPartitionsToTxnTopicResult {
        /// The topic.
        pub name: StrBytes,
        /// Outcomes by partition.
        pub results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
    }

    /// The outcome for one partition.
    pub struct AddPartitionsToTxnPartitionResult {
        /// The partition.
        pub partition_index: i32,
        /// The outcome.
        pub partition_error_code: ErrorCode,
    }
}
