//! ListConfigResources, key 74.
//!
//! Version 0 lists the subscriptions of client metrics only; version 1 (KIP-1142) all kinds.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Lists what has a configuration.
    pub struct ListConfigResourcesRequest {
        /// The kinds to list; none for all.
        pub resource_types: Vec<i8> [1..],
    }

    /// What has a configuration.
    pub struct ListConfigResourcesResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The resources.
        pub config_resources: Vec<ConfigResource>,
    }

    /// A resource with a configuration.
    pub struct ConfigResource {
        /// The topic, group or subscription, or the broker by its id.
        pub resource_name: StrBytes,
        /// 2 for a topic, 4 for a broker, 8 for its loggers, 16 for client metrics, 32 for a group.
        pub resource_type: i8 [1..] = 16,
    }
}
