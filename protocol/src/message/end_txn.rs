//! EndTxn, key 26.
//!
//! Versions: 3 flexible; 5 bumps the epoch at each end (KIP-890).

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Commits or aborts a transaction.
    pub struct EndTxnRequest {
        /// The transaction that this belongs to.
        pub transactional_id: StrBytes,
        /// The producer.
        pub producer_id: i64,
        /// The epoch of the producer.
        pub producer_epoch: i16,
        /// Whether to commit, or abort.
        pub committed: bool,
    }

    /// Whether the end is decided.
    pub struct EndTxnResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The id for the next transaction, or -1 (KIP-890).
        pub producer_id: i64 [5..] = -1,
        /// The epoch for the next transaction, or -1.
        pub producer_epoch: i16 [5..] = -1,
    }
}
