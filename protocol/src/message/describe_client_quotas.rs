//! DescribeClientQuotas, key 48.
//!
//! Versions: 1 flexible.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Shows quotas.
    pub struct DescribeClientQuotasRequest {
        /// What the entities are to be like.
        pub components: Vec<QuotaComponent>,
        /// Whether entities with further parts are left out.
        pub strict: bool,
    }

    /// What one part of an entity is to be like.
    pub struct QuotaComponent {
        /// `user`, `client-id` or `ip`.
        pub entity_type: StrBytes,
        /// 0 has the name `match_name`, 1 is the default, 2 is any.
        pub match_type: i8,
        /// The name, where one is looked for.
        pub match_name: Option<StrBytes>,
    }

    /// Quotas by entity.
    pub struct DescribeClientQuotasResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// The entities, or null after an error.
        pub entries: Option<Vec<DescribedQuota>>,
    }

    /// The quotas of one entity.
    pub struct DescribedQuota {
        /// The parts of the entity.
        pub entity: Vec<QuotaEntity>,
        /// The quotas.
        pub values: Vec<QuotaValue>,
    }

    /// One part of an entity.
    pub struct QuotaEntity {
        /// `user`, `client-id` or `ip`.
        pub entity_type: StrBytes,
        /// The name, or null for the default.
        pub entity_name: Option<StrBytes>,
    }

    /// One quota.
    pub struct QuotaValue {
        /// What is limited.
        pub key: StrBytes,
        /// The limit.
        pub value: f64,
    }
}
