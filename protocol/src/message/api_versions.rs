//! ApiVersions, key 18.
//!
//! The first request on a connection. Its response header is never flexible, and a version above
//! ours is answered in version 0. Versions: 3 flexible, names the client, features; 4 features
//! with minimum 0.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Asks which APIs the broker serves.
    pub struct ApiVersionsRequest {
        /// Name of the client library.
        pub client_software_name: StrBytes [3..],
        /// Version of the client library.
        pub client_software_version: StrBytes [3..],
    }

    /// The APIs and features of the broker.
    pub struct ApiVersionsResponse {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The APIs served.
        pub api_keys: Vec<ApiVersion>,
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32 [1..],
        /// Features that the broker could run with.
        pub supported_features: Vec<SupportedFeatureKey> [3..; tag 0],
        /// Epoch of the finalized features, or -1 when unknown.
        pub finalized_features_epoch: i64 [3..; tag 1] = -1,
        /// Features that the cluster runs with.
        pub finalized_features: Vec<FinalizedFeatureKey> [3..; tag 2],
        /// Whether a migration from ZooKeeper may start. Never here.
        pub zk_migration_ready: bool [3..; tag 3],
    }

    /// The versions of one API.
    pub struct ApiVersion {
        /// The API.
        pub api_key: i16,
        /// Oldest version.
        pub min_version: i16,
        /// Newest version.
        pub max_version: i16,
    }

    /// A feature that the broker knows.
    pub struct SupportedFeatureKey {
        /// The feature.
        pub name: StrBytes [3..],
        /// Oldest version.
        pub min_version: i16 [3..],
        /// Newest version.
        pub max_version: i16 [3..],
    }

    /// A feature in force in the cluster.
    pub struct FinalizedFeatureKey {
        /// The feature.
        pub name: StrBytes [3..],
        /// Newest level in force.
        pub max_version_level: i16 [3..],
        /// Oldest level in force.
        pub min_version_level: i16 [3..],
    }
}
