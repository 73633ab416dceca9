//! AlterUserScramCredentials, key 51.
//!
//! Has one version (KIP-554).

use bytes::Bytes;

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Changes the SCRAM credentials of users.
    pub struct AlterUserScramCredentialsRequest {
        /// Credentials to remove.
        pub deletions: Vec<ScramCredentialDeletion>,
        /// Credentials to set.
        pub upsertions: Vec<ScramCredentialUpsertion>,
    }

    /// A credential to remove.
    pub struct ScramCredentialDeletion {
        /// The user.
        pub name: StrBytes,
        /// 1 for SCRAM-SHA-256, 2 for SCRAM-SHA-512.
        pub mechanism: i8,
    }

    /// A credential to set.
    pub struct ScramCredentialUpsertion {
        /// The user.
        pub name: StrBytes,
        /// 1 for SCRAM-SHA-256, 2 for SCRAM-SHA-512.
        pub mechanism: i8,
        /// How often the password was hashed.
        pub iterations: i32,
        /// What was hashed with it.
        pub salt: Bytes,
        /// The hash.
        pub salted_password: Bytes,
    }

    /// Whose credentials were changed.
    pub struct AlterUserScramCredentialsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Outcomes by user.
        pub results: Vec<AlterUserScramCredentialsResult>,
    }

    /// The outcome for one user.
    pub struct AlterUserScramCredentialsResult {
        /// The user.
        pub user: StrBytes,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
    }
}
