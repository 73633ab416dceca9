//! DescribeGroups, key 15.
//!
//! Versions: 3 authorized operations; 4 static members; 5 flexible; 6 GROUP_ID_NOT_FOUND with a
//! message instead of a dead group (KIP-1043).

use bytes::Bytes;

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Shows groups.
    pub struct DescribeGroupsRequest {
        /// The groups.
        pub groups: Vec<StrBytes>,
        /// Whether to say what the client may do with each group.
        pub include_authorized_operations: bool [3..],
    }

    /// The groups and their members.
    pub struct DescribeGroupsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32 [1..],
        /// The groups.
        pub groups: Vec<DescribedGroup>,
    }

    /// One group.
    pub struct DescribedGroup {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes> [6..],
        /// The group.
        pub group_id: StrBytes,
        /// The state of the group, in words.
        pub group_state: StrBytes,
        /// What kind of group it is.
        pub protocol_type: StrBytes,
        /// The protocol chosen.
        pub protocol_data: StrBytes,
        /// The members.
        pub members: Vec<DescribedGroupMember>,
        /// Bits of what the client may do, or the smallest i32 if not asked.
        pub authorized_operations: i32 [3..] = i32::MIN,
    }

    /// One member.
    pub struct DescribedGroupMember {
        /// The member.
        pub member_id: StrBytes,
        /// The static identity of the member, if it has one (KIP-345).
        pub group_instance_id: Option<StrBytes> [4..],
        /// The name that the client gives itself.
        pub client_id: StrBytes,
        /// Where the client connects from.
        pub client_host: StrBytes,
        /// What the member subscribed to. Opaque to the broker.
        pub member_metadata: Bytes,
        /// What the member got. Opaque to the broker.
        pub member_assignment: Bytes,
    }
}
