//! DescribeTransactions, key 65.
//!
//! Has one version, flexible (KIP-664).

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Shows transactions.
    pub struct DescribeTransactionsRequest {
        /// The transactions.
        pub transactional_ids: Vec<StrBytes>,
    }

    /// The transactions.
    pub struct DescribeTransactionsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The transactions.
        pub transaction_states: Vec<DescribedTransaction>,
    }

    /// One transaction.
    pub struct DescribedTransaction {
        /// The outcome.
        pub error_code: ErrorCode,
        /// Its id.
        pub transactional_id: StrBytes,
        /// The state, in words.
        pub transaction_state: StrBytes,
        /// Milliseconds after which the coordinator aborts a transaction.
        pub transaction_timeout_ms: i32,
        /// Start of the transaction in milliseconds since the epoch, or -1.
        pub transaction_start_time_ms: i64,
        /// The producer.
        pub producer_id: i64,
        /// The epoch of the producer.
        pub producer_epoch: i16,
        /// The partitions in it, by topic.
        pub topics: Vec<DescribedTransactionTopic>,
    }

    /// Partitions of one topic.
    pub struct DescribedTransactionTopic {
        /// The topic.
        pub topic: StrBytes,
        /// The partitions.
        pub partitions: Vec<i32>,
    }
}
