//! WriteTxnMarkers, key 27.
//!
//! Versions: 1 flexible; 2 transaction version.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Writes the markers that end transactions.
    pub struct WriteTxnMarkersRequest {
        /// The markers, by producer.
        pub markers: Vec<WritableTxnMarker>,
    }

    /// The marker of one transaction.
    pub struct WritableTxnMarker {
        /// The producer.
        pub producer_id: i64,
        /// The epoch of the producer.
        pub producer_epoch: i16,
        /// Whether it committed, or aborted.
        pub transaction_result: bool,
        /// The partitions, by topic.
        pub topics: Vec<WritableTxnMarkerTopic>,
        /// The epoch of the transaction coordinator.
        pub coordinator_epoch: i32,
        /// The transaction protocol in use.
        pub transaction_version: i8 [2..],
    }

    /// Partitions of one topic.
    pub struct WritableTxnMarkerTopic {
        /// The topic.
        pub name: StrBytes,
        /// The partitions.
        pub partition_indexes: Vec<i32>,
    }

    /// Which markers were written.
    pub struct WriteTxnMarkersResponse {
        /// Outcomes by producer.
        pub markers: Vec<WritableTxnMarkerResult>,
    }

    /// Outcomes for one transaction.
    pub struct WritableTxnMarkerResult {
        /// The producer.
        pub producer_id: i64,
        /// Outcomes by topic.
        pub topics: Vec<WritableTxnMarkerTopicResult>,
    }

    /// Outcomes for one topic.
    pub struct WritableTxnMarkerTopicResult {
        /// The topic.
        pub name: StrBytes,
        /// Outcomes by partition.
        pub partitions: Vec<WritableTxnMarkerPartitionResult>,
    }

    /// The outcome for one partition.
    pub struct WritableTxnMarkerPartitionResult {
        /// The partition.
        pub partition_index: i32,
        /// The outcome.
        pub error_code: ErrorCode,
    }
}
