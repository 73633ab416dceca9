//! CreateDelegationToken, key 38.
//!
//! Versions: 2 flexible; 3 owners other than the requester (KIP-373).

use bytes::Bytes;

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Makes a token that stands for a principal.
    pub struct CreateDelegationTokenRequest {
        /// The kind of principal of the owner, or null for the requester's.
        pub owner_principal_type: Option<StrBytes> [3..],
        /// The owner, or null for the requester.
        pub owner_principal_name: Option<StrBytes> [3..],
        /// Who may renew it.
        pub renewers: Vec<TokenPrincipal>,
        /// Milliseconds that it may be used for, or -1 for as long as the broker allows.
        pub max_lifetime_ms: i64,
    }

    /// A principal that has to do with a token.
    pub struct TokenPrincipal {
        /// The kind of principal.
        pub principal_type: StrBytes,
        /// The principal.
        pub principal_name: StrBytes,
    }

    /// The token.
    pub struct CreateDelegationTokenResponse {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The kind of principal of the owner.
        pub principal_type: StrBytes,
        /// The owner.
        pub principal_name: StrBytes,
        /// The kind of principal of the requester.
        pub token_requester_principal_type: StrBytes [3..],
        /// The requester.
        pub token_requester_principal_name: StrBytes [3..],
        /// When it was made, in milliseconds.
        pub issue_timestamp_ms: i64,
        /// When it expires unless it is renewed, in milliseconds.
        pub expiry_timestamp_ms: i64,
        /// When it expires for good, in milliseconds.
        pub max_timestamp_ms: i64,
        /// The token's id.
        pub token_id: StrBytes,
        /// The token's secret.
        pub hmac: Bytes,
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
    }
}
