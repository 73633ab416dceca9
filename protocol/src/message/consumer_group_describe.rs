//! ConsumerGroupDescribe, key 69.
//!
//! Versions: 1 which protocol a member speaks.

use crate::declare::message;
use crate::error_code::ErrorCode;
use crate::primitive::StrBytes;
use uuid::Uuid;

message! {
    /// Shows groups of the consumer protocol.
    pub struct ConsumerGroupDescribeRequest {
        /// The groups.
        pub group_ids: Vec<StrBytes>,
        /// Whether to tell what the client may do with the groups.
        pub include_authorized_operations: bool,
    }

    /// The groups.
    pub struct ConsumerGroupDescribeResponse {
        /// Milliseconds that the client should wait because of a quota.
        pub throttle_time_ms: i32,
        /// The groups.
        pub groups: Vec<DescribedConsumerGroup>,
    }

    /// One group.
    pub struct DescribedConsumerGroup {
        /// The outcome.
        pub error_code: ErrorCode,
        /// The outcome in words, if there is more to say.
        pub error_message: Option<StrBytes>,
        /// The group.
        pub group_id: StrBytes,
        /// The state of the group, in a word.
        pub group_state: StrBytes,
        /// The epoch of the group.
        pub group_epoch: i32,
        /// The epoch of the target assignment.
        pub assignment_epoch: i32,
        /// How partitions are assigned.
        pub assignor_name: StrBytes,
        /// The members.
        pub members: Vec<ConsumerGroupMember>,
        /// What the client may do with the group, as bits.
        pub authorized_operations: i32 = i32::MIN,
    }

    /// A member of a group.
    pub struct ConsumerGroupMember {
        /// The member.
        pub member_id: StrBytes,
        /// The name of a static member.
        pub instance_id: Option<StrBytes>,
        /// The rack that the member is in.
        pub rack_id: Option<StrBytes>,
        /// The epoch of the member.
        pub member_epoch: i32,
        /// What the client calls itself.
        pub client_id: StrBytes,
        /// The address of the client.
        pub client_host: StrBytes,
        /// The topics that the member reads.
        pub subscribed_topic_names: Vec<StrBytes>,
        /// The pattern of topics that the member reads.
        pub subscribed_topic_regex: Option<StrBytes>,
        /// The partitions that the member has.
        pub assignment: ConsumerGroupAssignment,
        /// The partitions that the member is to have.
        pub target_assignment: ConsumerGroupAssignment,
        /// 0 for a member of the classic protocol, 1 of the consumer protocol, -1 if unknown.
        pub member_type: i8 [1..] = -1,
    }

    /// Partitions of a member.
    pub struct ConsumerGroupAssignment {
        /// Partitions by topic.
        pub topic_partitions: Vec<ConsumerGroupTopicPartitions>,
    }

    /// Partitions of one topic.
    pub struct ConsumerGroupTopicPartitions {
        /// The topic.
        pub topic_id: Uuid,
        /// The topic by its name.
        pub topic_name: StrBytes,
        /// The partitions.
        pub partitions: Vec<i32>,
    }
}
