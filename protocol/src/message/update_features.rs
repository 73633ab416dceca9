//! UpdateFeatures, key 57.
//!
//! Versions: 1 kinds of changes and checking only; 2 one outcome for all.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Changes which levels of features the cluster uses.
    pub struct UpdateFeaturesRequest {
        /// Milliseconds that the change may take.
        pub timeout_ms: i32 = 60_000,
        /// The changes.
        pub feature_updates: Vec<FeatureUpdate>,
        /// Whether to check and change nothing.
        pub validate_only: bool [1..],
    }

    /// The change of one feature.
    pub struct FeatureUpdate {
        /// The feature.
        pub feature: StrBytes,
        /// The level to use; less than 1 for not using the feature.
        pub max_version_level: i16,
        /// Whether the level may go down.
        pub allow_downgrade: bool [..=0],
        /// 1 upgrades, 2 downgrades where nothing is lost, 3 downgrades anyway.
        pub upgrade_type: i8 [1..] = 1,
    }

    /// Which features were changed.
    pub struct UpdateFeaturesResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// Outcomes by feature.
        pub results: Vec<UpdatableFeatureResult> [..=1],
    }

    /// The outcome for one feature.
    pub struct UpdatableFeatureResult {
        /// The feature.
        pub feature: StrBytes,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
    }
}
