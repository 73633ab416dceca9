//! Pure. A member of a group: what happened and the time go in, what to do comes out.
//!
//! There are two protocols and a machine for each. Both tell the application the same.

mod classic;
mod consumer;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use tokio::time::Instant;
use uuid::Uuid;

use super::ConsumerGroupMetadata;
use crate::error::{Error, check};
use crate::metadata::TopicPartition;
use crate::retry::Backoff;

pub(super) use classic::ClassicMember;
pub(super) use consumer::{ConsumerMember, Identity};

/// What a member of either protocol brings along.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) group_id: String,
    pub(super) group_instance_id: Option<String>,
    /// How long the group waits for its members in a rebalance.
    pub(super) rebalance_timeout: Duration,
    pub(super) backoff: Backoff,
}

/// How a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The coordinator refused.
    Code(ErrorCode),
    /// There was no answer, or none that makes sense.
    Lost(Error),
}

/// What JoinGroup answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) generation_id: i32,
    pub(super) member_id: String,
    pub(super) is_leader: bool,
}

/// What happened. A machine passes over what is of the other protocol.
#[derive(Debug)]
pub(super) enum Input {
    /// The application wants these topics, or a pattern matches them now.
    Subscribed(BTreeSet<Arc<str>>),
    /// The application wants the topics that the broker finds by this pattern.
    SubscribedPattern(Arc<str>),
    /// Topics of the group have another number of partitions than the leader knew.
    PartitionsChanged,
    /// The names of topics, by their ids.
    TopicNames(BTreeMap<Uuid, Arc<str>>),
    Coordinator(Result<i32, Error>),
    /// JoinGroup came back; with the id that is to be used, if the coordinator gave one.
    Joined(u64, Result<Joined, (Failure, Option<String>)>),
    /// The leader has divided the partitions.
    Divided(u64),
    Synced(u64, Result<BTreeSet<TopicPartition>, Failure>),
    Heartbeat(u64, Result<(), Failure>),
    /// ConsumerGroupHeartbeat came back.
    Answered(u64, Result<ConsumerGroupHeartbeatResponse, Error>),
    /// A commit came back, which tells about the membership too.
    Committed(i32, ErrorCode),
    /// The application has given back what it was asked for.
    Released,
    /// The application makes no progress.
    PollExpired,
    /// The application is back.
    Returned,
    /// No more topics are wanted, or the consumer closes.
    Leave,
    /// Time passed.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    FindCoordinator,
    /// Join with these partitions as those that are owned.
    Join {
        attempt: u64,
        owned: BTreeSet<TopicPartition>,
    },
    /// Divide the partitions among the members that JoinGroup listed.
    Divide(u64),
    /// Tell the coordinator the division, or nothing, and ask for one's own part.
    Sync(u64),
    Heartbeat(u64),
    /// Leave by this id; nobody waits for the answer.
    LeaveGroup(String),
    /// Send this, and say what comes back.
    ConsumerHeartbeat(u64, Box<ConsumerGroupHeartbeatRequest>),
    /// Send this, which leaves; nobody waits for the answer.
    LeaveConsumerGroup(Box<ConsumerGroupHeartbeatRequest>),
    /// Learn the names of topics that are [unnamed](Membership::unnamed).
    NameTopics,
    /// Ask the application to give partitions back before `deadline`.
    Revoke {
        partitions: BTreeSet<TopicPartition>,
        deadline: Instant,
    },
    /// These were given back, or not in time: they are not the member's any more.
    Release(BTreeSet<TopicPartition>),
    Assign(BTreeSet<TopicPartition>),
    /// These are gone without having been given back.
    Lose(BTreeSet<TopicPartition>),
    /// The member cannot go on.
    Fail(Error),
}

/// The member, of whichever protocol its group has.
pub(super) enum Membership {
    Classic(ClassicMember),
    Consumer(ConsumerMember),
}

/// Asks the machine there is.
macro_rules! either {
    ($membership:expr, $member:ident => $answer:expr) => {
        match $membership {
            Membership::Classic($member) => $answer,
            Membership::Consumer($member) => $answer,
        }
    };
}

impl Membership {
    /// Takes what happened; `fraction` is random, from 0 up to 1.
    pub(super) fn handle(&mut self, input: Input, now: Instant, fraction: f64) -> Vec<Effect> {
        either!(self, member => member.handle(input, now, fraction))
    }

    /// When it wants a tick.
    pub(super) fn deadline(&self) -> Option<Instant> {
        either!(self, member => member.deadline())
    }

    /// Who the member is now; outside its group nobody.
    pub(super) fn metadata(&self) -> ConsumerGroupMetadata {
        either!(self, member => member.metadata())
    }

    pub(super) fn coordinator(&self) -> Option<i32> {
        either!(self, member => member.coordinator())
    }

    /// Whether the member is in its group, or about to be.
    pub(super) fn is_in(&self) -> bool {
        either!(self, member => member.is_in())
    }

    /// Whether the group takes commits of this member now.
    pub(super) fn may_commit(&self) -> bool {
        either!(self, member => member.may_commit())
    }

    /// The topics that a classic member joins with.
    pub(super) fn topics(&self) -> BTreeSet<Arc<str>> {
        match self {
            Self::Classic(member) => member.topics().clone(),
            Self::Consumer(_) => BTreeSet::new(),
        }
    }

    /// What a classic member has, for the leader of its next generation.
    pub(super) fn owned(&self) -> BTreeSet<TopicPartition> {
        match self {
            Self::Classic(member) => member.owned().clone(),
            Self::Consumer(_) => BTreeSet::new(),
        }
    }

    /// Topics that the member has or is to have, if the broker finds them for it.
    pub(super) fn topic_ids(&self) -> BTreeSet<Uuid> {
        match self {
            Self::Classic(_) => BTreeSet::new(),
            Self::Consumer(member) => member.topic_ids(),
        }
    }

    /// Topics of which the member is to have partitions and does not know the names.
    pub(super) fn unnamed(&self) -> BTreeSet<Uuid> {
        match self {
            Self::Classic(_) => BTreeSet::new(),
            Self::Consumer(member) => member.unnamed(),
        }
    }

    /// Who asks for committed offsets, where the broker checks that.
    pub(super) fn reader(&self) -> Option<ConsumerGroupMetadata> {
        match self {
            Self::Consumer(member) if member.may_commit() => Some(member.metadata()),
            Self::Classic(_) | Self::Consumer(_) => None,
        }
    }
}

/// When partitions are given away in any case, so that time is left for the commit and for telling
/// the group before that gives up on the member.
fn deadline_of_revocation(rebalance_timeout: Duration, now: Instant) -> Instant {
    let margin = (rebalance_timeout / 10).min(Duration::from_secs(5));
    now + (rebalance_timeout - margin)
}

/// Whether somebody else coordinates the group now.
fn has_moved(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable
    )
}

fn refused(operation: &'static str, code: ErrorCode) -> Error {
    check(operation, code, None).err().unwrap_or(Error::Closed)
}

impl Input {
    /// The outcome of a request by its code.
    pub(super) fn outcome(code: ErrorCode) -> Result<(), Failure> {
        match code {
            ErrorCode::None => Ok(()),
            code => Err(Failure::Code(code)),
        }
    }
}
