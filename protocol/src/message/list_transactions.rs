//! ListTransactions, key 66.
//!
//! Versions: 0 flexible; 1 duration; 2 pattern of ids.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Lists the transactions of this coordinator.
    pub struct ListTransactionsRequest {
        /// States to list, or none for all.
        pub state_filters: Vec<StrBytes>,
        /// Producers to list, or none for all.
        pub producer_id_filters: Vec<i64>,
        /// Milliseconds that a transaction has at least been open, or -1.
        pub duration_filter: i64 [1..] = -1,
        /// Regular expression for the ids to list.
        pub transactional_id_pattern: Option<StrBytes> [2..],
    }

    /// The transactions.
    pub struct ListTransactionsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// States asked for that do not exist.
        pub unknown_state_filters: Vec<StrBytes>,
        /// The transactions.
        pub transaction_states: Vec<ListedTransaction>,
    }

    /// One transaction.
    pub struct ListedTransaction {
        /// Its id.
        pub transactional_id: StrBytes,
        /// The producer.
        pub producer_id: i64,
        /// The state, in words.
        pub transaction_state: StrBytes,
    }
}
