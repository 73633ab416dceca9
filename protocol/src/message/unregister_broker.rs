//! UnregisterBroker, key 64.
//!
//! Has one version (KIP-631).

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Forgets a broker.
    pub struct UnregisterBrokerRequest {
        /// The broker.
        pub broker_id: i32,
    }

    /// Whether the broker was forgotten.
    pub struct UnregisterBrokerResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
    }
}
