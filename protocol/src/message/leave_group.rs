//! LeaveGroup, key 13.
//!
//! Versions: 3 several members; 4 flexible; 5 reason.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Ends memberships of a classic group.
    pub struct LeaveGroupRequest {
        /// The group.
        pub group_id: StrBytes,
        /// The member.
        pub member_id: StrBytes [..=2],
        /// The members that leave.
        pub members: Vec<MemberIdentity> [3..],
    }

    /// A member that leaves.
    pub struct MemberIdentity {
        /// The member.
        pub member_id: StrBytes [3..],
        /// The static identity of the member, if it has one (KIP-345).
        pub group_instance_id: Option<StrBytes> [3..],
        /// Why it leaves, for the log.
        pub reason: Option<StrBytes> [5..],
    }

    /// Which members left.
    pub struct LeaveGroupResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32 [1..],
        /// The outcome.
        pub error_code: ErrorCode,
        /// Outcomes by member.
        pub members: Vec<MemberResponse> [3..],
    }

    /// The outcome for one member.
    pub struct MemberResponse {
        /// The member.
        pub member_id: StrBytes [3..],
        /// The static identity of the member, if it has one (KIP-345).
        pub group_instance_id: Option<StrBytes> [3..],
        /// The outcome.
        pub error_code: ErrorCode [3..],
    }
}
