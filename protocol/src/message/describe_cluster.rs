//! DescribeCluster, key 60.
//!
//! Versions: 0 flexible; 1 endpoint type; 2 fenced brokers.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;

message! {
    /// Describes the cluster.
    pub struct DescribeClusterRequest {
        /// Whether to say what the client may do with the cluster.
        pub include_cluster_authorized_operations: bool,
        /// 1 for brokers, 2 for controllers.
        pub endpoint_type: i8 [1..] = 1,
        /// Whether to list fenced brokers too.
        pub include_fenced_brokers: bool [2..],
    }

    /// The cluster as this broker sees it.
    pub struct DescribeClusterResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// 1 for brokers, 2 for controllers.
        pub endpoint_type: i8 [1..] = 1,
        /// The cluster.
        pub cluster_id: StrBytes,
        /// The broker that controls the cluster.
        pub controller_id: i32 = -1,
        /// The brokers of the cluster.
        pub brokers: Vec<DescribeClusterBroker>,
        /// Bits of what the client may do, or the smallest i32 if not asked.
        pub cluster_authorized_operations: i32 = i32::MIN,
    }

    /// One broker.
    pub struct DescribeClusterBroker {
        /// The broker.
        pub broker_id: i32,
        /// Host to connect to.
        pub host: StrBytes,
        /// Port to connect to.
        pub port: i32,
        /// The rack that the broker is in, if known.
        pub rack: Option<StrBytes>,
        /// Whether the broker is fenced.
        pub is_fenced: bool [2..],
    }
}
