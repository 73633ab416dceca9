//! DeleteAcls, key 31.
//!
//! Versions: 2 flexible; 3 users as resources.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Removes from access control lists.
    pub struct DeleteAclsRequest {
        /// What to remove.
        pub filters: Vec<DeleteAclsFilter>,
    }

    /// What to remove.
    pub struct DeleteAclsFilter {
        /// The kind of resource, or 1 for any.
        pub resource_type_filter: i8,
        /// The resource, or null for any.
        pub resource_name_filter: Option<StrBytes>,
        /// How the name is matched.
        pub pattern_type_filter: i8 = 3,
        /// The principal, or null for any.
        pub principal_filter: Option<StrBytes>,
        /// The host, or null for any.
        pub host_filter: Option<StrBytes>,
        /// The operation, or 1 for any.
        pub operation: i8,
        /// 2 for denied, 3 for allowed, 1 for any.
        pub permission_type: i8,
    }

    /// What was removed.
    pub struct DeleteAclsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Outcomes, in the order of the request.
        pub filter_results: Vec<DeleteAclsFilterResult>,
    }

    /// The outcome for one filter.
    pub struct DeleteAclsFilterResult {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// What matched.
        pub matching_acls: Vec<DeleteAclsMatchingAcl>,
    }

    /// An entry that matched.
    pub struct DeleteAclsMatchingAcl {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// The kind of resource.
        pub resource_type: i8,
        /// The resource.
        pub resource_name: StrBytes,
        /// How the name is matched.
        pub pattern_type: i8 = 3,
        /// The principal.
        pub principal: StrBytes,
        /// The host.
        pub host: StrBytes,
        /// The operation.
        pub operation: i8,
        /// 2 for denied, 3 for allowed.
        pub permission_type: i8,
    }
}
