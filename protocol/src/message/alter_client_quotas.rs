//! AlterClientQuotas, key 49.
//!
//! Versions: 1 flexible.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::message::QuotaEntity;
use crate::primitive::StrBytes;

message! {
    /// Changes quotas.
    pub struct AlterClientQuotasRequest {
        /// Changes by entity.
        pub entries: Vec<QuotaAlteration>,
        /// Whether to check and change nothing.
        pub validate_only: bool,
    }

    /// Changes of the quotas of one entity.
    pub struct QuotaAlteration {
        /// The parts of the entity.
        pub entity: Vec<QuotaEntity>,
        /// The changes.
        pub ops: Vec<QuotaOperation>,
    }

    /// The change of one quota.
    pub struct QuotaOperation {
        /// What is limited.
        pub key: StrBytes,
        /// The limit, unless it is removed.
        pub value: f64,
        /// Whether there is to be no limit.
        pub remove: bool,
    }

    /// Which quotas were changed.
    pub struct AlterClientQuotasResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Outcomes by entity.
        pub entries: Vec<QuotaAlterationResult>,
    }

    /// The outcome for one entity.
    pub struct QuotaAlterationResult {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// The parts of the entity.
        pub entity: Vec<QuotaEntity>,
    }
}
