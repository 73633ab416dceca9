//! DeleteGroups, key 42.
//!
//! Versions: 2 flexible.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Deletes groups.
    pub struct DeleteGroupsRequest {
        /// The groups.
        pub groups_names: Vec<StrBytes>,
    }

    /// Which groups were deleted.
    pub struct DeleteGroupsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Outcomes by group.
        pub results: Vec<DeletableGroupResult>,
    }

    /// The outcome for one group.
    pub struct DeletableGroupResult {
        /// The group.
        pub group_id: StrBytes,
        /// The outcome.
        pub error_code: ErrorCode,
    }
}
