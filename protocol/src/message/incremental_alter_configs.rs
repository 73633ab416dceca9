//! IncrementalAlterConfigs, key 44.
//!
//! Changes only the entries named (KIP-339). Versions: 1 flexible.

use crate::declare::message;
use crate::message::alter_configs::AlterConfigsResourceResponse;
use crate::primitive::StrBytes;

message! {
    /// Changes entries of configurations.
    pub struct IncrementalAlterConfigsRequest {
        /// The topics or brokers.
        pub resources: Vec<IncrementalAlterConfigsResource>,
        /// Whether to check and change nothing.
        pub validate_only: bool,
    }

    /// What to change of one resource.
    pub struct IncrementalAlterConfigsResource {
        /// 2 for a topic, 4 for a broker.
        pub resource_type: i8,
        /// The topic, or the broker by its id.
        pub resource_name: StrBytes,
        /// Entries of the configuration.
        pub configs: Vec<IncrementalAlterableConfig>,
    }

    /// A change of one entry.
    pub struct IncrementalAlterableConfig {
        /// The entry.
        pub name: StrBytes,
        /// 0 sets, 1 deletes, 2 appends, 3 subtracts.
        pub config_operation: i8,
        /// The value of the entry.
        pub value: Option<StrBytes>,
    }

    /// Which resources were changed.
    pub struct IncrementalAlterConfigsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Outcomes by resource.
        pub responses: Vec<AlterConfigsResourceResponse>,
    }
}
