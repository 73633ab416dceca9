//! Fetch, key 1.
//!
//! Reads whole record batches, waiting for `min_bytes` up to `max_wait_ms`. Versions: 7 sessions
//! (KIP-227); 9 leader epochs (KIP-320); 10 zstd; 11 racks (KIP-392); 12 flexible, divergence; 13
//! topics by id; 15 replica state; 16 node endpoints (KIP-951); 17 replica directory; 18 high
//! watermark of followers (KIP-1166).

use bytes::Bytes;
use uuid::Uuid;

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::message::shared::{LeaderIdAndEpoch, NodeEndpoint};
use crate::primitive::StrBytes;

message! {
    /// Reads record batches from partitions.
    pub struct FetchRequest {
        /// The cluster. Only between brokers.
        pub cluster_id: Option<StrBytes> [12..; tag 0],
        /// The broker that asks, or -1 for a consumer.
        pub replica_id: i32 [..=14] = -1,
        /// The broker that asks, with its epoch.
        pub replica_state: ReplicaState [15..; tag 1],
        /// Milliseconds to wait for `min_bytes`.
        pub max_wait_ms: i32,
        /// Bytes to wait for.
        pub min_bytes: i32,
        /// Bytes that the response should not exceed.
        pub max_bytes: i32 = i32::MAX,
        /// 0 reads all records, 1 those of committed transactions.
        pub isolation_level: i8,
        /// The fetch session, or 0 for none (KIP-227).
        pub session_id: i32 [7..],
        /// Position in the fetch session, 0 to start one, -1 for none.
        pub session_epoch: i32 [7..] = -1,
        /// What to read, by topic.
        pub topics: Vec<FetchTopic>,
        /// Partitions to drop from the session.
        pub forgotten_topics_data: Vec<ForgottenTopic> [7..],
        /// The rack that the client is in.
        pub rack_id: StrBytes [11..],
    }

    /// A broker that fetches as a follower.
    pub struct ReplicaState {
        /// The broker, or -1 for a consumer.
        pub replica_id: i32 [15..] = -1,
        /// The epoch of that broker, or -1.
        pub replica_epoch: i64 [15..] = -1,
    }

    /// What to read of one topic.
    pub struct FetchTopic {
        /// The topic.
        pub topic: StrBytes [..=12],
        /// The topic, by its id.
        pub topic_id: Uuid [13..],
        /// What to read, by partition.
        pub partitions: Vec<FetchPartition>,
    }

    /// What to read of one partition.
    pub struct FetchPartition {
        /// The partition.
        pub partition: i32,
        /// The epoch that the client knows, to fence stale ones, or -1.
        pub current_leader_epoch: i32 [9..] = -1,
        /// Offset to read from.
        pub fetch_offset: i64,
        /// Leader epoch of the last record read, to detect divergence, or -1.
        pub last_fetched_epoch: i32 [12..] = -1,
        /// First offset of the follower's log. -1 from consumers.
        pub log_start_offset: i64 [5..] = -1,
        /// Bytes to read from the partition.
        pub partition_max_bytes: i32,
        /// The directory of the replica that asks.
        pub replica_directory_id: Uuid [17..; tag 0],
        /// The high watermark that the follower knows. The largest i64 if it knows none.
        pub high_watermark: i64 [18..; tag 1] = i64::MAX,
    }

    /// Partitions that leave a fetch session.
    pub struct ForgottenTopic {
        /// The topic.
        pub topic: StrBytes [7..=12],
        /// The topic, by its id.
        pub topic_id: Uuid [13..],
        /// The partitions.
        pub partitions: Vec<i32> [7..],
    }

    /// Record batches by partition.
    pub struct FetchResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome.
        pub error_code: ErrorCode [7..],
        /// The fetch session, or 0 for none (KIP-227).
        pub session_id: i32 [7..],
        /// What was read, by topic.
        pub responses: Vec<FetchableTopicResponse>,
        /// Where the brokers named as leaders are (KIP-951).
        pub node_endpoints: Vec<NodeEndpoint> [16..; tag 0],
    }

    /// What was read of one topic.
    pub struct FetchableTopicResponse {
        /// The topic.
        pub topic: StrBytes [..=12],
        /// The topic, by its id.
        pub topic_id: Uuid [13..],
        /// What was read, by partition.
        pub partitions: Vec<PartitionData>,
    }

    /// What was read of one partition.
    pub struct PartitionData {
        /// The partition.
        pub partition_index: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The offset below which records are committed.
        pub high_watermark: i64,
        /// The offset below which transactions are decided, or -1.
        pub last_stable_offset: i64 = -1,
        /// The first offset of the log, or -1.
        pub log_start_offset: i64 [5..] = -1,
        /// Where the logs part, when the reader has records that the leader lacks.
        pub diverging_epoch: DivergingEpoch [12..; tag 0],
        /// The leader to go to, when it is not this broker (KIP-951).
        pub current_leader: LeaderIdAndEpoch [12..; tag 1],
        /// The snapshot to fetch instead. Only between brokers.
        pub snapshot_id: SnapshotId [12..; tag 2],
        /// Aborted transactions within the records, by first offset. Null unless read committed.
        pub aborted_transactions: Option<Vec<AbortedTransaction>>,
        /// The replica to read from instead, or -1.
        pub preferred_read_replica: i32 [11..] = -1,
        /// Record batches, as they are on disk.
        pub records: Option<Bytes>,
    }

    /// The end of an epoch in the log of the leader.
    pub struct DivergingEpoch {
        /// The epoch.
        pub epoch: i32 [12..] = -1,
        /// The first offset after the epoch.
        pub end_offset: i64 [12..] = -1,
    }

    /// A snapshot of a metadata log.
    pub struct SnapshotId {
        /// First offset that the snapshot lacks.
        pub end_offset: i64 = -1,
        /// Epoch of its last record.
        pub epoch: i32 = -1,
    }

    /// An aborted transaction whose records the reader has to drop.
    pub struct AbortedTransaction {
        /// The producer.
        pub producer_id: i64,
        /// First offset of the transaction in the partition.
        pub first_offset: i64,
    }
}
