//! DescribeDelegationToken, key 41.
//!
//! Versions: 2 flexible; 3 who asked for a token (KIP-373).

use bytes::Bytes;

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::message::TokenPrincipal;
use crate::primitive::StrBytes;

message! {
    /// Shows tokens.
    pub struct DescribeDelegationTokenRequest {
        /// Whose tokens, or null for all.
        pub owners: Option<Vec<TokenPrincipal>>,
    }

    /// The tokens.
    pub struct DescribeDelegationTokenResponse {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The tokens.
        pub tokens: Vec<DescribedDelegationToken>,
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
    }

    /// A token.
    pub struct DescribedDelegationToken {
        /// The kind of principal of the owner.
        pub principal_type: StrBytes,
        /// The owner.
        pub principal_name: StrBytes,
        /// The kind of principal of who asked for it.
        pub token_requester_principal_type: StrBytes [3..],
        /// Who asked for it.
        pub token_requester_principal_name: StrBytes [3..],
        /// When it was made, in milliseconds.
        pub issue_timestamp: i64,
        /// When it expires unless it is renewed, in milliseconds.
        pub expiry_timestamp: i64,
        /// When it expires for good, in milliseconds.
        pub max_timestamp: i64,
        /// The token's id.
        pub token_id: StrBytes,
        /// The token's secret.
        pub hmac: Bytes,
        /// Who may renew it.
        pub renewers: Vec<TokenPrincipal>,
    }
}
