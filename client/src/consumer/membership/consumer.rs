//! Pure. A member of a group whose coordinator divides the partitions (KIP-848): heartbeats tell
//! what the member wants and has, and bring what it is to have.
//!
//! One heartbeat is under way at a time. What is to go is given back first and the coordinator told
//! of it; only then it gives to others, and to this member, what is new.

mod answer;
mod heartbeat;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

use super::{Effect, Input, Options, deadline_of_revocation};
use crate::consumer::ConsumerGroupMetadata;
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::retry::Backoff;
use heartbeat::Told;

/// A partition of a topic by its id, so that a topic that is made again is another one.
type Partition = (Uuid, i32);

/// What a member tells about itself when it joins.
#[derive(Debug, Clone)]
pub(in super::super) struct Identity {
    /// For as long as the consumer lives.
    pub(in super::super) member_id: String,
    pub(in super::super) rack_id: Option<String>,
    /// How the coordinator is to divide; none for its default.
    pub(in super::super) assignor: Option<String>,
}

/// What the application wants to read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Topics(BTreeSet<Arc<str>>),
    Pattern(Arc<str>),
}

/// Where the member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No topic is wanted, or the member has left.
    Out,
    /// Not in the group, but to be.
    Joining,
    Stable,
    /// The application gives partitions back.
    Revoking {
        deadline: Instant,
    },
    /// The application made no progress; the member has left until it does.
    Expired,
    /// For good.
    Failed,
}

/// The member.
pub(in super::super) struct ConsumerMember {
    options: Options,
    identity: Identity,
    state: State,
    /// 0 outside the group.
    member_epoch: i32,
    coordinator: Option<i32>,
    finding: bool,
    wanted: Option<Wanted>,
    /// Of the topics in `owned` and `target`, as far as they are known.
    names: BTreeMap<Uuid, Arc<str>>,
    /// Every one of them has a name.
    owned: BTreeSet<Partition>,
    /// What is to be owned. None until the coordinator has said.
    target: Option<BTreeSet<Partition>>,
    /// What is being given back in `Revoking`.
    revoking: BTreeSet<Partition>,
    /// What the coordinator knows. None when that is not certain.
    told: Option<Told>,
    /// An assignment has been taken over, and the coordinator waits to hear so.
    acknowledge: bool,
    /// The number of the last heartbeat.
    attempt: u64,
    /// A heartbeat has not been answered yet.
    heartbeating: bool,
    heartbeat_at: Instant,
    /// A heartbeat that was to join was not answered: the coordinator may have taken it.
    may_have_joined: bool,
    retry_at: Option<Instant>,
    backoff: Backoff,
    effects: Vec<Effect>,
}

impl ConsumerMember {
    pub(in super::super) fn new(options: Options, identity: Identity, now: Instant) -> Self {
        Self {
            backoff: options.backoff,
            options,
            identity,
            state: State::Out,
            member_epoch: 0,
            coordinator: None,
            finding: false,
            wanted: None,
            names: BTreeMap::new(),
            owned: BTreeSet::new(),
            target: None,
            revoking: BTreeSet::new(),
            told: None,
            acknowledge: false,
            attempt: 0,
            heartbeating: false,
            heartbeat_at: now,
            may_have_joined: false,
            retry_at: None,
            effects: Vec::new(),
        }
    }

    pub(super) fn handle(&mut self, input: Input, now: Instant, fraction: f64) -> Vec<Effect> {
        match input {
            Input::Subscribed(topics) if topics.is_empty() => self.leave(),
            Input::Subscribed(topics) => self.subscribed(Wanted::Topics(topics)),
            Input::SubscribedPattern(pattern) => self.subscribed(Wanted::Pattern(pattern)),
            Input::TopicNames(names) => self.named(names, now),
            Input::Coordinator(found) => self.found_coordinator(found, now, fraction),
            Input::Answered(attempt, answer) => {
                if self.heartbeating && attempt == self.attempt {
                    self.answered(answer, now, fraction);
                }
            }
            Input::Committed(member_epoch, code) => {
                self.committed(member_epoch, code, now, fraction);
            }
            Input::Released => {
                if matches!(self.state, State::Revoking { .. }) {
                    self.released(now);
                }
            }
            Input::PollExpired => self.poll_expired(),
            Input::Returned => {
                if self.state == State::Expired {
                    self.state = State::Joining;
                }
            }
            Input::Leave => self.leave(),
            // Of the other protocol.
            Input::PartitionsChanged
            | Input::Joined(..)
            | Input::Divided(_)
            | Input::Synced(..)
            | Input::Heartbeat(..) => {}
            Input::Tick => {}
        }
        self.advance(now);
        std::mem::take(&mut self.effects)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let revocation = match self.state {
            State::Out | State::Expired | State::Failed => return None,
            State::Joining | State::Stable => None,
            State::Revoking { deadline } => Some(deadline),
        };
        let heartbeat = if self.heartbeating || self.finding {
            None
        } else if self.coordinator.is_none() || self.has_news() {
            self.retry_at
        } else {
            Some(
                self.heartbeat_at
                    .max(self.retry_at.unwrap_or(self.heartbeat_at)),
            )
        };
        match (revocation, heartbeat) {
            (Some(revocation), Some(heartbeat)) => Some(revocation.min(heartbeat)),
            (one, other) => one.or(other),
        }
    }

    pub(super) fn metadata(&self) -> ConsumerGroupMetadata {
        let mut metadata = ConsumerGroupMetadata::new(self.options.group_id.clone());
        metadata
            .group_instance_id
            .clone_from(&self.options.group_instance_id);
        if self.member_epoch > 0 {
            metadata.generation_id = self.member_epoch;
            metadata.member_id.clone_from(&self.identity.member_id);
        }
        metadata
    }

    pub(super) fn coordinator(&self) -> Option<i32> {
        self.coordinator
    }

    pub(super) fn is_in(&self) -> bool {
        !matches!(self.state, State::Out | State::Failed)
    }

    pub(super) fn may_commit(&self) -> bool {
        self.member_epoch > 0
    }

    pub(super) fn topic_ids(&self) -> BTreeSet<Uuid> {
        let target = self.target.iter().flatten();
        self.owned.iter().chain(target).map(|(id, _)| *id).collect()
    }

    pub(super) fn unnamed(&self) -> BTreeSet<Uuid> {
        let mut ids = self.topic_ids();
        ids.retain(|id| !self.names.contains_key(id));
        ids
    }

    fn subscribed(&mut self, wanted: Wanted) {
        if self.state == State::Failed {
            return;
        }
        self.wanted = Some(wanted);
        if self.state == State::Out {
            self.state = State::Joining;
        }
    }

    fn named(&mut self, mut names: BTreeMap<Uuid, Arc<str>>, now: Instant) {
        let unnamed = self.unnamed();
        names.retain(|id, _| unnamed.contains(id));
        self.names.extend(names);
        self.reconcile(now);
    }

    /// What follows from where the member is, without anything having happened.
    fn advance(&mut self, now: Instant) {
        if let State::Revoking { deadline } = self.state
            && deadline <= now
        {
            self.released(now);
        }
        let waits = self.retry_at.is_some_and(|at| now < at);
        let is_active = match self.state {
            State::Joining | State::Stable | State::Revoking { .. } => true,
            State::Out | State::Expired | State::Failed => false,
        };
        if !is_active || waits {
            return;
        }
        if self.coordinator.is_none() {
            if !self.finding {
                self.finding = true;
                self.retry_at = None;
                self.effects.push(Effect::FindCoordinator);
            }
        } else if !self.heartbeating && (self.has_news() || self.heartbeat_at <= now) {
            self.send_heartbeat();
        }
    }

    /// Goes towards the target: first gives back, then takes what has a name.
    fn reconcile(&mut self, now: Instant) {
        let Some(target) = self.target.as_ref().filter(|_| self.state == State::Stable) else {
            return;
        };
        let surplus: BTreeSet<_> = self.owned.difference(target).copied().collect();
        if !surplus.is_empty() {
            return self.revoke(surplus, now);
        }
        let names = &self.names;
        let missing = target.difference(&self.owned);
        let taken = missing.filter(|(id, _)| names.contains_key(id)).copied();
        let taken: BTreeSet<Partition> = taken.collect();
        if !taken.is_empty() {
            let partitions = self.with_names(&taken);
            self.owned.extend(taken);
            self.effects.push(Effect::Assign(partitions));
        }
    }

    fn revoke(&mut self, partitions: BTreeSet<Partition>, now: Instant) {
        let deadline = deadline_of_revocation(self.options.rebalance_timeout, now);
        self.state = State::Revoking { deadline };
        self.effects.push(Effect::Revoke {
            partitions: self.with_names(&partitions),
            deadline,
        });
        self.revoking = partitions;
    }

    fn released(&mut self, now: Instant) {
        let gone = std::mem::take(&mut self.revoking);
        self.effects.push(Effect::Release(self.with_names(&gone)));
        self.owned.retain(|partition| !gone.contains(partition));
        self.state = State::Stable;
        self.reconcile(now);
        self.forget_names();
    }

    fn with_names(&self, partitions: &BTreeSet<Partition>) -> BTreeSet<TopicPartition> {
        let with_name = |(id, number): &Partition| {
            let name = self.names.get(id)?;
            Some(TopicPartition::new(Arc::clone(name), *number))
        };
        partitions.iter().filter_map(with_name).collect()
    }

    fn forget_names(&mut self) {
        let ids = self.topic_ids();
        self.names.retain(|id, _| ids.contains(id));
    }

    /// Everything is gone, without having been given back.
    fn lose(&mut self) {
        self.revoking.clear();
        self.target = None;
        self.acknowledge = false;
        let owned = std::mem::take(&mut self.owned);
        if !owned.is_empty() {
            self.effects.push(Effect::Lose(self.with_names(&owned)));
        }
        self.names.clear();
    }

    /// Is out of the group, as far as this member can tell.
    fn reset(&mut self) {
        self.lose();
        self.member_epoch = 0;
        self.told = None;
        self.attempt += 1;
        self.heartbeating = false;
        self.retry_at = None;
    }

    fn poll_expired(&mut self) {
        if matches!(self.state, State::Out | State::Expired | State::Failed) {
            return;
        }
        self.depart();
        self.state = State::Expired;
    }

    fn leave(&mut self) {
        if self.state == State::Failed {
            return;
        }
        self.depart();
        self.wanted = None;
        self.state = State::Out;
    }

    /// Leaves the group; a static member for a while only, in which nobody else gets what it had.
    fn depart(&mut self) {
        let joins = self.heartbeating && self.member_epoch == 0;
        let is_known = self.member_epoch > 0 || joins || self.may_have_joined;
        self.reset();
        self.may_have_joined = false;
        if is_known && self.coordinator.is_some() {
            let request = Box::new(self.leaving());
            self.effects.push(Effect::LeaveConsumerGroup(request));
        }
    }

    fn fail(&mut self, error: Error) {
        self.depart();
        self.state = State::Failed;
        self.effects.push(Effect::Fail(error));
    }
}
