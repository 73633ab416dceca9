//! CreateAcls, key 30.
//!
//! Versions: 2 flexible; 3 users as resources.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Adds to access control lists.
    pub struct CreateAclsRequest {
        /// What to add.
        pub creations: Vec<AclCreation>,
    }

    /// What to add to one list.
    pub struct AclCreation {
        /// The kind of resource.
        pub resource_type: i8,
        /// The resource.
        pub resource_name: StrBytes,
        /// How the name is matched.
        pub resource_pattern_type: i8 = 3,
        /// The principal.
        pub principal: StrBytes,
        /// The host.
        pub host: StrBytes,
        /// The operation.
        pub operation: i8,
        /// 2 for denied, 3 for allowed.
        pub permission_type: i8,
    }

    /// What was added.
    pub struct CreateAclsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Outcomes, in the order of the request.
        pub results: Vec<AclCreationResult>,
    }

    /// The outcome for one entry.
    pub struct AclCreationResult {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
    }
}
