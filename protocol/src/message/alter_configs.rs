//! AlterConfigs, key 33.
//!
//! Replaces whole configurations, so entries not named fall back. Versions: 2 flexible.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Replaces configurations.
    pub struct AlterConfigsRequest {
        /// The topics or brokers.
        pub resources: Vec<AlterConfigsResource>,
        /// Whether to check and change nothing.
        pub validate_only: bool,
    }

    /// The new configuration of one resource.
    pub struct AlterConfigsResource {
        /// 2 for a topic, 4 for a broker.
        pub resource_type: i8,
        /// The topic, or the broker by its id.
        pub resource_name: StrBytes,
        /// Entries of the configuration.
        pub configs: Vec<AlterableConfig>,
    }

    /// One entry.
    pub struct AlterableConfig {
        /// The entry.
        pub name: StrBytes,
        /// The value of the entry.
        pub value: Option<StrBytes>,
    }

    /// Which resources were changed.
    pub struct AlterConfigsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Outcomes by resource.
        pub responses: Vec<AlterConfigsResourceResponse>,
    }

    /// The outcome for one resource.
    pub struct AlterConfigsResourceResponse {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// 2 for a topic, 4 for a broker.
        pub resource_type: i8,
        /// The topic, or the broker by its id.
        pub resource_name: StrBytes,
    }
}
