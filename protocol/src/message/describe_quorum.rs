//! DescribeQuorum, key 55.
//!
//! Versions: 1 times of replicas (KIP-836); 2 directories, listeners and messages (KIP-853).

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;
use uuid::Uuid;

message! {
    /// Describes the quorum that keeps the cluster's metadata.
    pub struct DescribeQuorumRequest {
        /// Partitions by topic.
        pub topics: Vec<QuorumTopic>,
    }

    /// Partitions of one topic.
    pub struct QuorumTopic {
        /// The topic.
        pub topic_name: StrBytes,
        /// The partitions.
        pub partitions: Vec<QuorumPartition>,
    }

    /// A partition to describe.
    pub struct QuorumPartition {
        /// The partition.
        pub partition_index: i32,
    }

    /// The quorum.
    pub struct DescribeQuorumResponse {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes> [2..],
        /// Descriptions by topic.
        pub topics: Vec<DescribedQuorumTopic>,
        /// Where the replicas are.
        pub nodes: Vec<QuorumNode> [2..],
    }

    /// Descriptions of one topic.
    pub struct DescribedQuorumTopic {
        /// The topic.
        pub topic_name: StrBytes,
        /// Descriptions by partition.
        pub partitions: Vec<DescribedQuorumPartition>,
    }

    /// The quorum of one partition.
    pub struct DescribedQuorumPartition {
        /// The partition.
        pub partition_index: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes> [2..],
        /// The node that leads, or -1.
        pub leader_id: i32,
        /// The epoch of the leader.
        pub leader_epoch: i32,
        /// The high watermark.
        pub high_watermark: i64,
        /// Replicas with a vote.
        pub current_voters: Vec<QuorumReplica>,
        /// Replicas without a vote.
        pub observers: Vec<QuorumReplica>,
    }

    /// How far a replica is.
    pub struct QuorumReplica {
        /// The node.
        pub replica_id: i32,
        /// The directory of its log.
        pub replica_directory_id: Uuid [2..],
        /// Its log end offset, or -1.
        pub log_end_offset: i64,
        /// When it last fetched, by the leader's clock, or -1; in milliseconds.
        pub last_fetch_timestamp: i64 [1..] = -1,
        /// When it last had everything, by the leader's clock, or -1; in milliseconds.
        pub last_caught_up_timestamp: i64 [1..] = -1,
    }

    /// Where a replica is.
    pub struct QuorumNode {
        /// The node.
        pub node_id: i32,
        /// Where it listens.
        pub listeners: Vec<QuorumListener>,
    }

    /// An address of a node.
    pub struct QuorumListener {
        /// What the listener is called.
        pub name: StrBytes,
        /// Host to connect to.
        pub host: StrBytes,
        /// Port to connect to.
        pub port: u16,
    }
}
