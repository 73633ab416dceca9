//! DescribeAcls, key 29.
//!
//! Versions: 2 flexible; 3 users as resources.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Shows access control lists.
    pub struct DescribeAclsRequest {
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

    /// Access control lists by resource.
    pub struct DescribeAclsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// The resources.
        pub resources: Vec<DescribeAclsResource>,
    }

    /// The list of one resource.
    pub struct DescribeAclsResource {
        /// The kind of resource.
        pub resource_type: i8,
        /// The resource.
        pub resource_name: StrBytes,
        /// How the name is matched.
        pub pattern_type: i8 = 3,
        /// The list.
        pub acls: Vec<AclDescription>,
    }

    /// An entry of a list.
    pub struct AclDescription {
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
