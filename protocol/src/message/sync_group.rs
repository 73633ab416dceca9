//! SyncGroup, key 14.
//!
//! Versions: 3 static members; 4 flexible; 5 protocol type and name.

use bytes::Bytes;

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Asks for the assignment; that of the leader brings it.
    pub struct SyncGroupRequest {
        /// The group.
        pub group_id: StrBytes,
        /// The generation of the group, or -1.
        pub generation_id: i32,
        /// The member.
        pub member_id: StrBytes,
        /// The static identity of the member, if it has one (KIP-345).
        pub group_instance_id: Option<StrBytes> [3..],
        /// What kind of group it is.
        pub protocol_type: Option<StrBytes> [5..],
        /// The protocol chosen.
        pub protocol_name: Option<StrBytes> [5..],
        /// From the leader, what each member gets; from others, none.
        pub assignments: Vec<SyncGroupRequestAssignment>,
    }

    /// What one member gets.
    pub struct SyncGroupRequestAssignment {
        /// The member.
        pub member_id: StrBytes,
        /// What the member gets. Opaque to the broker.
        pub assignment: Bytes,
    }

    /// The assignment of the member.
    pub struct SyncGroupResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32 [1..],
        /// The outcome.
        pub error_code: ErrorCode,
        /// What kind of group it is.
        pub protocol_type: Option<StrBytes> [5..],
        /// The protocol chosen.
        pub protocol_name: Option<StrBytes> [5..],
        /// What the member gets. Opaque to the broker.
        pub assignment: Bytes,
    }
}
