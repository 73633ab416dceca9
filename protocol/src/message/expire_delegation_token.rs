//! ExpireDelegationToken, key 40.
//!
//! Versions: 2 flexible.

use bytes::Bytes;

use crate::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Sets when a token expires.
    pub struct ExpireDelegationTokenRequest {
        /// The token's secret.
        pub hmac: Bytes,
        /// Milliseconds from now after which it expires; less than 0 for at once.
        pub expiry_time_period_ms: i64,
    }

    /// When the token expires now.
    pub struct ExpireDelegationTokenResponse {
        /// The outcome.
        pub error_code: ErrorCode,
        /// When it expires, in milliseconds.
        pub expiry_timestamp_ms: i64,
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
    }
}
