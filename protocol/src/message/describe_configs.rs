//! DescribeConfigs, key 32.
//!
//! Versions: 1 synonyms; 3 types and documentation; 4 flexible.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Shows configurations.
    pub struct DescribeConfigsRequest {
        /// The topics or brokers.
        pub resources: Vec<DescribeConfigsResource>,
        /// Whether to show where a value falls back to.
        pub include_synonyms: bool,
        /// Whether to explain each entry.
        pub include_documentation: bool [3..],
    }

    /// Whose configuration to show.
    pub struct DescribeConfigsResource {
        /// 2 for a topic, 4 for a broker.
        pub resource_type: i8,
        /// The topic, or the broker by its id.
        pub resource_name: StrBytes,
        /// Entries to show, or null for all.
        pub configuration_keys: Option<Vec<StrBytes>>,
    }

    /// The configurations.
    pub struct DescribeConfigsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Configurations by resource.
        pub results: Vec<DescribeConfigsResult>,
    }

    /// The configuration of one resource.
    pub struct DescribeConfigsResult {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// 2 for a topic, 4 for a broker.
        pub resource_type: i8,
        /// The topic, or the broker by its id.
        pub resource_name: StrBytes,
        /// Entries of the configuration.
        pub configs: Vec<DescribeConfigsResourceResult>,
    }

    /// One entry.
    pub struct DescribeConfigsResourceResult {
        /// The entry.
        pub name: StrBytes,
        /// The value, or null when withheld.
        pub value: Option<StrBytes>,
        /// Whether the entry cannot be changed.
        pub read_only: bool,
        /// Where the value comes from.
        pub config_source: i8 = -1,
        /// Whether the value is a secret and withheld.
        pub is_sensitive: bool,
        /// What the value falls back to, nearest first.
        pub synonyms: Vec<DescribeConfigsSynonym>,
        /// The type of the value.
        pub config_type: i8 [3..],
        /// What the entry does.
        pub documentation: Option<StrBytes> [3..],
    }

    /// What an entry falls back to.
    pub struct DescribeConfigsSynonym {
        /// The entry fallen back to.
        pub name: StrBytes,
        /// The value of the entry.
        pub value: Option<StrBytes>,
        /// Where the value comes from.
        pub source: i8,
    }
}
