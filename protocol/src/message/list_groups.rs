//! ListGroups, key 16.
//!
//! Versions: 3 flexible; 4 states; 5 types.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Lists the groups of this coordinator.
    pub struct ListGroupsRequest {
        /// States to list, or none for all.
        pub states_filter: Vec<StrBytes> [4..],
        /// Types to list, or none for all.
        pub types_filter: Vec<StrBytes> [5..],
    }

    /// The groups.
    pub struct ListGroupsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32 [1..],
        /// The outcome.
        pub error_code: ErrorCode,
        /// The groups.
        pub groups: Vec<ListedGroup>,
    }

    /// One group.
    pub struct ListedGroup {
        /// The group.
        pub group_id: StrBytes,
        /// What kind of group it is.
        pub protocol_type: StrBytes,
        /// The state of the group, in words.
        pub group_state: StrBytes [4..],
        /// Classic, consumer, share or streams.
        pub group_type: StrBytes [5..],
    }
}
