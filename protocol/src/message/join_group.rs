//! JoinGroup, key 11.
//!
//! Versions: 1 rebalance timeout; 4 two-step join (KIP-394); 5 static members; 6 flexible; 7
//! protocol type; 8 reason; 9 skipped assignment.

use bytes::Bytes;

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Enters a classic group.
    pub struct JoinGroupRequest {
        /// The group.
        pub group_id: StrBytes,
        /// Milliseconds without a heartbeat after which the member is dead.
        pub session_timeout_ms: i32,
        /// Milliseconds that members have to rejoin, or -1 for the session timeout.
        pub rebalance_timeout_ms: i32 [1..] = -1,
        /// The member, or empty to get an id.
        pub member_id: StrBytes,
        /// The static identity of the member, if it has one (KIP-345).
        pub group_instance_id: Option<StrBytes> [5..],
        /// What kind of group it is.
        pub protocol_type: StrBytes,
        /// Protocols that the member can use, best first.
        pub protocols: Vec<JoinGroupRequestProtocol>,
        /// Why it joins again, for the log.
        pub reason: Option<StrBytes> [8..],
    }

    /// A protocol that a member can use.
    pub struct JoinGroupRequestProtocol {
        /// The protocol.
        pub name: StrBytes,
        /// What the member subscribes to. Opaque to the broker.
        pub metadata: Bytes,
    }

    /// The generation that the member is in.
    pub struct JoinGroupResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32 [2..],
        /// The outcome.
        pub error_code: ErrorCode,
        /// The generation of the group, or -1.
        pub generation_id: i32 = -1,
        /// What kind of group it is.
        pub protocol_type: Option<StrBytes> [7..],
        /// The protocol chosen.
        pub protocol_name: Option<StrBytes> [..; null 7..],
        /// The member that assigns.
        pub leader: StrBytes,
        /// Whether the leader must not assign again.
        pub skip_assignment: bool [9..],
        /// The member.
        pub member_id: StrBytes,
        /// For the leader, all members; for others, none.
        pub members: Vec<JoinGroupResponseMember>,
    }

    /// A member, for the leader to assign to.
    pub struct JoinGroupResponseMember {
        /// The member.
        pub member_id: StrBytes,
        /// The static identity of the member, if it has one (KIP-345).
        pub group_instance_id: Option<StrBytes> [5..],
        /// What the member subscribes to. Opaque to the broker.
        pub metadata: Bytes,
    }
}
