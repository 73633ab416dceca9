//! RenewDelegationToken, key 39.
//!
//! Versions: 2 flexible.

use bytes::Bytes;

use crate::declare::message;
use crate::error_code::ErrorCode;

message! {
    /// Lets a token be used for longer.
    pub struct RenewDelegationTokenRequest {
        /// The token's secret.
        pub hmac: Bytes,
        /// Milliseconds from now that it may be used for.
        pub renew_period_ms: i64,
    }

    /// When the token expires now.
    pub struct RenewDelegationTokenResponse {
        /// The outcome.
        pub error_code: ErrorCode,
        /// When it expires, in milliseconds.
        pub expiry_timestamp_ms: i64,
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
    }
}
