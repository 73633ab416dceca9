//! Limits and delays of the group coordinator, under Kafka's names where Kafka has one.

use std::time::Duration;

use super::assignor::Assignor;

/// What a [`GroupCoordinator`](super::GroupCoordinator) may be told to do differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupConfig {
    /// `group.min.session.timeout.ms`: a shorter session is refused. 6 s.
    pub(crate) min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`: a longer session is refused. 30 min.
    pub(crate) max_session_timeout: Duration,
    /// `group.initial.rebalance.delay.ms`: how long the first rebalance of an empty group waits for
    /// more members. While new members keep arriving it is extended by the same step, up to the
    /// largest rebalance timeout. Zero (the default; Kafka: 3 s) completes the first member's join
    /// at once and lets the others cause a rebalance each, which is quicker for a handful of members.
    pub(crate) initial_rebalance_delay: Duration,
    /// How long the parked JoinGroup of a new member counts as a sign of life. 5 min, as in Kafka.
    pub(crate) new_member_join_timeout: Duration,
    /// `group.max.size`: members of one group, and separately ids handed out but not joined yet.
    /// 1,000 (Kafka: no limit).
    pub(crate) max_size: usize,
    /// `group.consumer.session.timeout.ms`: the session of members of the consumer protocol. 45 s.
    pub(crate) consumer_session_timeout: Duration,
    /// `group.consumer.heartbeat.interval.ms`: how often they are told to be heard from. 5 s.
    pub(crate) consumer_heartbeat_interval: Duration,
    /// `group.consumer.max.size`: members of one group of the consumer protocol. 1,000 (Kafka: no limit).
    pub(crate) consumer_max_size: usize,
    /// `group.consumer.assignors`: those that members may ask for; the first is taken when none asks.
    pub(crate) consumer_assignors: Vec<Assignor>,
    /// `group.consumer.migration.policy`: whether groups change their protocol while in use.
    pub(crate) migration_policy: MigrationPolicy,
    /// Groups of this broker, those that only store offsets included. 100,000.
    pub(crate) max_groups: usize,
    /// Committed offsets of one group. 1,000,000.
    pub(crate) max_offsets_per_group: usize,
    /// Bytes of all protocols one member may offer. 1 MiB.
    pub(crate) max_member_metadata: usize,
    /// Bytes of protocols and assignments of one group, which is what one record holds. 32 MiB.
    pub(crate) max_group_metadata: usize,
    /// `offset.metadata.max.bytes`: metadata of one committed offset. 4,096.
    pub(crate) offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`: how long offsets outlive their use. 7 d.
    pub(crate) offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`: 10 min.
    pub(crate) offsets_retention_check_interval: Duration,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_secs(30 * 60),
            initial_rebalance_delay: Duration::ZERO,
            new_member_join_timeout: Duration::from_secs(5 * 60),
            max_size: 1_000,
            consumer_session_timeout: Duration::from_secs(45),
            consumer_heartbeat_interval: Duration::from_secs(5),
            consumer_max_size: 1_000,
            consumer_assignors: vec![Assignor::Uniform, Assignor::Range],
            migration_policy: MigrationPolicy::default(),
            max_groups: 100_000,
            max_offsets_per_group: 1_000_000,
            max_member_metadata: 1 << 20,
            max_group_metadata: 32 << 20,
            offset_metadata_max_bytes: 4_096,
            offsets_retention: Duration::from_secs(7 * 24 * 60 * 60),
            offsets_retention_check_interval: Duration::from_secs(10 * 60),
        }
    }
}

impl GroupConfig {
    /// The assignor of groups whose members ask for none.
    pub(super) fn default_assignor(&self) -> Assignor {
        let first = self.consumer_assignors.first();
        first.copied().unwrap_or(Assignor::Uniform)
    }
}

/// In which directions groups with members may change their protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MigrationPolicy {
    /// From classic to consumer.
    pub(crate) upgrade: bool,
    /// From consumer to classic.
    pub(crate) downgrade: bool,
}

impl Default for MigrationPolicy {
    fn default() -> Self {
        Self {
            upgrade: true,
            downgrade: true,
        }
    }
}

/// Longest group, member and instance id in bytes.
pub(super) const MAX_ID: usize = 1_024;
/// Longest client id that is kept and put in front of a member id, in bytes.
pub(super) const MAX_CLIENT_ID: usize = 255;
/// Protocols one member may offer.
pub(super) const MAX_PROTOCOLS: usize = 64;
/// Tombstones one expiry round may write; what is left waits for [`EXPIRY_PAUSE`].
pub(super) const MAX_EXPIRED: usize = 10_000;
/// Pause between two expiry rounds when one was not enough.
pub(super) const EXPIRY_PAUSE: Duration = Duration::from_secs(1);
/// Shortest wait after a rebalance that nobody joined; without it a rebalance timeout of zero would spin.
pub(super) const MIN_REBALANCE_RETRY: Duration = Duration::from_secs(1);
/// Different patterns by which the members of one group may subscribe.
pub(super) const MAX_PATTERNS: usize = 64;
/// Bytes that the records of one request may take, which are one batch.
pub(super) const MAX_REQUEST_RECORDS: usize = 40 << 20;
/// Bytes of the record of an offset, at the most, besides its texts.
pub(super) const OFFSET_RECORD_BYTES: usize = 128;
