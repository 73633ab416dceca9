//! AddOffsetsToTxn, key 25.
//!
//! Versions: 3 flexible; 4 TRANSACTION_ABORTABLE.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Adds the offsets of a group to a transaction.
    pub struct AddOffsetsToTxnRequest {
        /// The transaction that this belongs to.
        pub transactional_id: StrBytes,
        /// The producer.
        pub producer_id: i64,
        /// The epoch of the producer.
        pub producer_epoch: i16,
        /// The group.
        pub group_id: StrBytes,
    }

    /// Whether the group was added.
    pub struct AddOffsetsToTxnResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome.
        pub error_code: ErrorCode,
    }
}
