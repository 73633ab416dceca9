//! OffsetDelete, key 47.
//!
//! Has one version, which is not flexible (KIP-496).

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Deletes offsets of a group.
    pub struct OffsetDeleteRequest {
        /// The group.
        pub group_id: StrBytes,
        /// Partitions by topic.
        pub topics: Vec<OffsetDeleteRequestTopic>,
    }

    /// Partitions of one topic.
    pub struct OffsetDeleteRequestTopic {
        /// The topic.
        pub name: StrBytes,
        /// The partitions.
        pub partitions: Vec<OffsetDeleteRequestPartition>,
    }

    /// A partition whose offset goes.
    pub struct OffsetDeleteRequestPartition {
        /// The partition.
        pub partition_index: i32,
    }

    /// Which offsets were deleted.
    pub struct OffsetDeleteResponse {
        /// The outcome for the whole request.
        pub error_code: ErrorCode,
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Outcomes by topic.
        pub topics: Vec<OffsetDeleteResponseTopic>,
    }

    /// Outcomes for one topic.
    pub struct OffsetDeleteResponseTopic {
        /// The topic.
        pub name: StrBytes,
        /// Outcomes by partition.
        pub partitions: Vec<OffsetDeleteResponsePartition>,
    }

    /// The outcome for one partition.
    pub struct OffsetDeleteResponsePartition {
        /// The partition.
        pub partition_index: i32,
        /// The outcome.
        pub error_code: ErrorCode,
    }
}
