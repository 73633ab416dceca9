//! Metadata, key 3.
//!
//! Versions: 1 null for all topics, controller; 2 cluster id; 4 creation on request; 5 offline
//! replicas; 7 leader epochs; 8 authorized operations (until 10 for the cluster); 9 flexible; 10
//! topic ids; 12 topics by id; 13 error for the whole request.

use uuid::Uuid;

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Describes brokers and topics.
    pub struct MetadataRequest {
        /// The topics, or null for all. Version 0 asks for all with none.
        pub topics: Option<Vec<MetadataRequestTopic>> [..; null 1..],
        /// Whether the broker may create what it lacks.
        pub allow_auto_topic_creation: bool [4..] = true,
        /// Whether to say what the client may do with the cluster.
        pub include_cluster_authorized_operations: bool [8..=10],
        /// Whether to say what the client may do with each topic.
        pub include_topic_authorized_operations: bool [8..],
    }

    /// A topic, by name or id.
    pub struct MetadataRequestTopic {
        /// The topic, by its id.
        pub topic_id: Uuid [10..],
        /// The topic, or null when asked by id.
        pub name: Option<StrBytes> [..; null 10..],
    }

    /// The cluster as this broker sees it.
    pub struct MetadataResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32 [3..],
        /// The brokers of the cluster.
        pub brokers: Vec<MetadataResponseBroker>,
        /// The cluster, if known.
        pub cluster_id: Option<StrBytes> [2..],
        /// The broker that controls the cluster.
        pub controller_id: i32 [1..] = -1,
        /// The topics.
        pub topics: Vec<MetadataResponseTopic>,
        /// Bits of what the client may do, or the smallest i32 if not asked.
        pub cluster_authorized_operations: i32 [8..=10] = i32::MIN,
        /// The outcome for the whole request.
        pub error_code: ErrorCode [13..],
    }

    /// One broker.
    pub struct MetadataResponseBroker {
        /// The broker.
        pub node_id: i32,
        /// Host to connect to.
        pub host: StrBytes,
        /// Port to connect to.
        pub port: i32,
        /// The rack that the broker is in, if known.
        pub rack: Option<StrBytes> [1..],
    }

    /// One topic.
    pub struct MetadataResponseTopic {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The topic, or null for an unknown id.
        pub name: Option<StrBytes> [..; null 12..],
        /// The topic, by its id.
        pub topic_id: Uuid [10..],
        /// Whether the broker keeps the topic for itself.
        pub is_internal: bool [1..],
        /// Its partitions.
        pub partitions: Vec<MetadataResponsePartition>,
        /// Bits of what the client may do, or the smallest i32 if not asked.
        pub topic_authorized_operations: i32 [8..] = i32::MIN,
    }

    /// One partition.
    pub struct MetadataResponsePartition {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The partition.
        pub partition_index: i32,
        /// The broker that leads, or -1.
        pub leader_id: i32,
        /// The epoch of the leader, or -1.
        pub leader_epoch: i32 [7..] = -1,
        /// Brokers that have the partition.
        pub replica_nodes: Vec<i32>,
        /// Brokers that have all of its committed records.
        pub isr_nodes: Vec<i32>,
        /// Brokers that should have the partition and are down.
        pub offline_replicas: Vec<i32> [5..],
    }
}
