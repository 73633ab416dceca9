//! DescribeUserScramCredentials, key 50.
//!
//! Has one version (KIP-554).

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Shows who has SCRAM credentials.
    pub struct DescribeUserScramCredentialsRequest {
        /// The users, or null for all.
        pub users: Option<Vec<ScramUser>>,
    }

    /// A user to describe.
    pub struct ScramUser {
        /// The user.
        pub name: StrBytes,
    }

    /// Credentials by user.
    pub struct DescribeUserScramCredentialsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// The users.
        pub results: Vec<DescribeUserScramCredentialsResult>,
    }

    /// The credentials of one user.
    pub struct DescribeUserScramCredentialsResult {
        /// The user.
        pub user: StrBytes,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// The credentials.
        pub credential_infos: Vec<ScramCredentialInfo>,
    }

    /// One credential.
    pub struct ScramCredentialInfo {
        /// 1 for SCRAM-SHA-256, 2 for SCRAM-SHA-512.
        pub mechanism: i8,
        /// How often the password was hashed.
        pub iterations: i32,
    }
}
