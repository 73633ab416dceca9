//! ConsumerGroupHeartbeat, key 68.
//!
//! Joins, keeps up and leaves a group of the consumer protocol (KIP-848). Versions: 1 subscriptions
//! by pattern; members name themselves.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;
use uuid::Uuid;

message! {
    /// What a member says about itself. Null, or -1, is as before.
    pub struct ConsumerGroupHeartbeatRequest {
        /// The group.
        pub group_id: StrBytes,
        /// The member; in version 0 empty before it has joined.
        pub member_id: StrBytes,
        /// The epoch of the member; 0 joins, -1 leaves, -2 leaves for a while.
        pub member_epoch: i32,
        /// The name of a static member.
        pub instance_id: Option<StrBytes>,
        /// The rack that the member is in.
        pub rack_id: Option<StrBytes>,
        /// Milliseconds that the member may take to give partitions back.
        pub rebalance_timeout_ms: i32 = -1,
        /// The topics that the member reads.
        pub subscribed_topic_names: Option<Vec<StrBytes>>,
        /// The pattern of topics that the member reads.
        pub subscribed_topic_regex: Option<StrBytes> [1..],
        /// How the member wants partitions to be assigned.
        pub server_assignor: Option<StrBytes>,
        /// The partitions that the member has.
        pub topic_partitions: Option<Vec<HeartbeatTopicPartitions>>,
    }

    /// Partitions of one topic.
    pub struct HeartbeatTopicPartitions {
        /// The topic.
        pub topic_id: Uuid,
        /// The partitions.
        pub partitions: Vec<i32>,
    }

    /// What the member is to do.
    pub struct ConsumerGroupHeartbeatResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// The member.
        pub member_id: Option<StrBytes>,
        /// The epoch of the member.
        pub member_epoch: i32,
        /// Milliseconds until the next heartbeat.
        pub heartbeat_interval_ms: i32,
        /// The partitions that the member is to have, or null for those it was told before.
        pub assignment: Option<HeartbeatAssignment>,
    }

    /// Partitions of a member.
    pub struct HeartbeatAssignment {
        /// Partitions by topic.
        pub topic_partitions: Vec<HeartbeatTopicPartitions>,
    }
}
