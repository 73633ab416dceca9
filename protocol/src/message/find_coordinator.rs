//! FindCoordinator, key 10.
//!
//! Versions: 1 transactions; 3 flexible; 4 several keys; 5 TRANSACTION_ABORTABLE (KIP-890); 6
//! share groups (KIP-932).

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Finds the coordinators of groups or transactions.
    pub struct FindCoordinatorRequest {
        /// The group or transaction.
        pub key: StrBytes [..=3],
        /// 0 for a group, 1 for a transaction, 2 for a share group.
        pub key_type: i8 [1..],
        /// The groups or transactions.
        pub coordinator_keys: Vec<StrBytes> [4..],
    }

    /// Coordinators and where they are.
    pub struct FindCoordinatorResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32 [1..],
        /// The outcome.
        pub error_code: ErrorCode [..=3],
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes> [1..=3],
        /// The broker.
        pub node_id: i32 [..=3],
        /// Host to connect to.
        pub host: StrBytes [..=3],
        /// Port to connect to.
        pub port: i32 [..=3],
        /// The coordinators found.
        pub coordinators: Vec<Coordinator> [4..],
    }

    /// The coordinator of one key.
    pub struct Coordinator {
        /// The group or transaction.
        pub key: StrBytes [4..],
        /// The broker.
        pub node_id: i32 [4..],
        /// Host to connect to.
        pub host: StrBytes [4..],
        /// Port to connect to.
        pub port: i32 [4..],
        /// The outcome.
        pub error_code: ErrorCode [4..],
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes> [4..],
    }
}
