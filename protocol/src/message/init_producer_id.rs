//! InitProducerId, key 22.
//!
//! Versions: 2 flexible; 3 recovery of an epoch (KIP-360); 4 PRODUCER_FENCED; 5
//! TRANSACTION_ABORTABLE.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Asks for a producer id and epoch.
    pub struct InitProducerIdRequest {
        /// The transaction that the producer works under, or null if it is only idempotent.
        pub transactional_id: Option<StrBytes>,
        /// Milliseconds after which the coordinator aborts a transaction.
        pub transaction_timeout_ms: i32,
        /// The id that the producer has, or -1.
        pub producer_id: i64 [3..] = -1,
        /// The epoch that the producer has, or -1.
        pub producer_epoch: i16 [3..] = -1,
    }

    /// The id and epoch to produce with.
    pub struct InitProducerIdResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The id, or -1.
        pub producer_id: i64 = -1,
        /// The epoch of that id.
        pub producer_epoch: i16,
    }
}
