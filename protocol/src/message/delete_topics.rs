//! DeleteTopics, key 20.
//!
//! Versions: 4 flexible; 5 error messages; 6 topics by id.

use uuid::Uuid;

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Deletes topics.
    pub struct DeleteTopicsRequest {
        /// The topics to delete.
        pub topics: Vec<DeleteTopicState> [6..],
        /// The topics.
        pub topic_names: Vec<StrBytes> [..=5],
        /// Milliseconds that the broker may take.
        pub timeout_ms: i32,
    }

    /// A topic, by name or id.
    pub struct DeleteTopicState {
        /// The topic, or null when named by id.
        pub name: Option<StrBytes> [6..],
        /// The topic, by its id.
        pub topic_id: Uuid [6..],
    }

    /// Which topics were deleted.
    pub struct DeleteTopicsResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Outcomes by topic.
        pub responses: Vec<DeletableTopicResult>,
    }

    /// The outcome for one topic.
    pub struct DeletableTopicResult {
        /// The topic, or null when its name must not be told.
        pub name: Option<StrBytes> [..; null 6..],
        /// The topic, by its id.
        pub topic_id: Uuid [6..],
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes> [5..],
    }
}
