//! Heartbeat, key 12.
//!
//! Versions: 3 static members; 4 flexible.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Keeps a member of a classic group alive.
    pub struct HeartbeatRequest {
        /// The group.
        pub group_id: StrBytes,
        /// The generation of the group, or -1.
        pub generation_id: i32,
        /// The member.
        pub member_id: StrBytes,
        /// The static identity of the member, if it has one (KIP-345).
        pub group_instance_id: Option<StrBytes> [3..],
    }

    /// Whether the member should go on or rejoin.
    pub struct HeartbeatResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32 [1..],
        /// The outcome.
        pub error_code: ErrorCode,
    }
}
