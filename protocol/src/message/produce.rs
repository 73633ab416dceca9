//! Produce, key 0.
//!
//! Appends one record batch per partition. Asked with `acks` 0 it gets no response at all.
//! Versions: 5 log start offset; 7 zstd; 8 record errors; 9 flexible; 10 current leader
//! (KIP-951); 12 adds partitions to transactions by itself (KIP-890); 13 topics by id (KIP-516).

use bytes::Bytes;
use uuid::Uuid;

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::message::shared::{LeaderIdAndEpoch, NodeEndpoint};
use crate::primitive::StrBytes;

message! {
    /// Appends record batches to partitions.
    pub struct ProduceRequest {
        /// The transaction that the batches belong to, if any.
        pub transactional_id: Option<StrBytes>,
        /// Who has to have the records first: 0 no one, 1 the leader, -1 all in-sync replicas.
        pub acks: i16,
        /// Milliseconds that the broker may take.
        pub timeout_ms: i32,
        /// Records by topic.
        pub topic_data: Vec<TopicProduceData>,
    }

    /// The batches for one topic.
    pub struct TopicProduceData {
        /// The topic.
        pub name: StrBytes [..=12],
        /// The topic, by its id.
        pub topic_id: Uuid [13..],
        /// Records by partition.
        pub partition_data: Vec<PartitionProduceData>,
    }

    /// The batch for one partition.
    pub struct PartitionProduceData {
        /// The partition.
        pub index: i32,
        /// Record batches, as they are on disk.
        pub records: Option<Bytes>,
    }

    /// What became of each batch. Not sent for `acks` 0.
    pub struct ProduceResponse {
        /// Outcomes by topic.
        pub responses: Vec<TopicProduceResponse>,
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// Where the brokers named as leaders are (KIP-951).
        pub node_endpoints: Vec<NodeEndpoint> [10..; tag 0],
    }

    /// Outcomes for one topic.
    pub struct TopicProduceResponse {
        /// The topic.
        pub name: StrBytes [..=12],
        /// The topic, by its id.
        pub topic_id: Uuid [13..],
        /// Outcomes by partition.
        pub partition_responses: Vec<PartitionProduceResponse>,
    }

    /// The outcome for one partition.
    pub struct PartitionProduceResponse {
        /// The partition.
        pub index: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// Offset of the first record appended, or -1.
        pub base_offset: i64,
        /// Time of the append in milliseconds, or -1 when records keep their own.
        pub log_append_time_ms: i64 = -1,
        /// The first offset of the log, or -1.
        pub log_start_offset: i64 [5..] = -1,
        /// Which records caused the refusal.
        pub record_errors: Vec<BatchIndexAndErrorMessage> [8..],
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes> [8..],
        /// The leader to go to, when it is not this broker (KIP-951).
        pub current_leader: LeaderIdAndEpoch [10..; tag 0],
    }

    /// A record that caused a batch to be refused.
    pub struct BatchIndexAndErrorMessage {
        /// Position of the record in its batch.
        pub batch_index: i32 [8..],
        /// What is wrong with the record.
        pub batch_index_error_message: Option<StrBytes> [8..],
    }
}
