//! Pure. A member of a classic group: it joins, one of the members divides, and all sync.
//!
//! At most one request that concerns membership is under way at a time, besides heartbeats. An
//! answer that belongs to an earlier attempt is passed over by its number.

mod answer;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Effect, Input, Options, deadline_of_revocation};
use crate::config::AssignmentStrategy;
use crate::consumer::ConsumerGroupMetadata;
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::retry::Backoff;

/// Where the member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No topic is wanted, or the member has left.
    Out,
    /// About to join, at `retry_at` or as soon as there is a coordinator.
    Unjoined,
    Joining,
    Dividing,
    Syncing,
    Stable,
    /// The application gives partitions back; after that the member joins again.
    Revoking {
        deadline: Instant,
    },
    /// The application made no progress; the member has left until it does.
    Expired,
    /// For good.
    Failed,
}

/// The member.
pub(in super::super) struct ClassicMember {
    options: Options,
    heartbeat_interval: Duration,
    strategies: Vec<AssignmentStrategy>,
    state: State,
    attempt: u64,
    member_id: String,
    generation_id: i32,
    coordinator: Option<i32>,
    finding: bool,
    topics: BTreeSet<Arc<str>>,
    owned: BTreeSet<TopicPartition>,
    /// What is being given back in `Revoking`.
    revoking: BTreeSet<TopicPartition>,
    is_leader: bool,
    /// Something changed since the last JoinGroup was sent.
    rejoin: bool,
    heartbeat_at: Instant,
    heartbeating: bool,
    retry_at: Option<Instant>,
    backoff: Backoff,
    effects: Vec<Effect>,
}

impl ClassicMember {
    pub(in super::super) fn new(
        options: Options,
        heartbeat_interval: Duration,
        strategies: Vec<AssignmentStrategy>,
        now: Instant,
    ) -> Self {
        Self {
            backoff: options.backoff,
            options,
            heartbeat_interval,
            strategies,
            state: State::Out,
            attempt: 0,
            member_id: String::new(),
            generation_id: -1,
            coordinator: None,
            finding: false,
            topics: BTreeSet::new(),
            owned: BTreeSet::new(),
            revoking: BTreeSet::new(),
            is_leader: false,
            rejoin: false,
            heartbeat_at: now,
            heartbeating: false,
            retry_at: None,
            effects: Vec::new(),
        }
    }

    /// Takes what happened; `fraction` is random, from 0 up to 1.
    pub(super) fn handle(&mut self, input: Input, now: Instant, fraction: f64) -> Vec<Effect> {
        match input {
            Input::Subscribed(topics) => self.subscribed(topics, now),
            Input::PartitionsChanged => {
                if self.is_leader && self.state == State::Stable {
                    self.rejoin(now);
                }
            }
            Input::Coordinator(found) => self.found_coordinator(found, now, fraction),
            Input::Joined(attempt, answer) => {
                if self.state == State::Joining && attempt == self.attempt {
                    self.joined(answer, now, fraction);
                }
            }
            Input::Divided(attempt) => {
                if self.state == State::Dividing && attempt == self.attempt {
                    self.sync();
                }
            }
            Input::Synced(attempt, answer) => {
                if self.state == State::Syncing && attempt == self.attempt {
                    self.synced(answer, now, fraction);
                }
            }
            Input::Heartbeat(attempt, answer) => self.heartbeat(attempt, answer, now, fraction),
            Input::Committed(generation_id, code) => self.committed(generation_id, code, now),
            Input::Released => {
                if matches!(self.state, State::Revoking { .. }) {
                    self.released();
                }
            }
            Input::PollExpired => self.poll_expired(),
            Input::Returned => {
                if self.state == State::Expired {
                    self.state = State::Unjoined;
                    self.retry_at = None;
                }
            }
            Input::Leave => self.leave(),
            // Of the other protocol.
            Input::SubscribedPattern(_) | Input::TopicNames(_) | Input::Answered(..) => {}
            Input::Tick => {}
        }
        self.advance(now);
        std::mem::take(&mut self.effects)
    }

    /// When it wants a tick.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Unjoined => self.retry_at,
            State::Stable => self.next_heartbeat(),
            State::Revoking { deadline } => {
                let heartbeat = self.next_heartbeat().unwrap_or(deadline);
                Some(deadline.min(heartbeat))
            }
            _ => self.retry_at,
        }
    }

    fn next_heartbeat(&self) -> Option<Instant> {
        if self.coordinator.is_none() {
            return self.retry_at;
        }
        (!self.heartbeating).then_some(self.heartbeat_at)
    }

    /// Who the member is now; outside a generation nobody.
    pub(super) fn metadata(&self) -> ConsumerGroupMetadata {
        ConsumerGroupMetadata {
            group_id: self.options.group_id.clone(),
            generation_id: self.generation_id,
            member_id: self.member_id.clone(),
            group_instance_id: self.options.group_instance_id.clone(),
        }
    }

    pub(super) fn coordinator(&self) -> Option<i32> {
        self.coordinator
    }

    pub(super) fn topics(&self) -> &BTreeSet<Arc<str>> {
        &self.topics
    }

    pub(super) fn owned(&self) -> &BTreeSet<TopicPartition> {
        &self.owned
    }

    /// Whether the member is in its group, or about to be.
    pub(super) fn is_in(&self) -> bool {
        !matches!(self.state, State::Out | State::Failed)
    }

    /// Whether the group takes commits of this generation, unless a rebalance has ended without
    /// this member.
    pub(super) fn may_commit(&self) -> bool {
        matches!(self.state, State::Stable | State::Revoking { .. })
    }

    /// All members keep what does not move: only if every strategy that is offered allows it.
    fn is_cooperative(&self) -> bool {
        let mut strategies = self.strategies.iter();
        strategies.all(|strategy| *strategy == AssignmentStrategy::CooperativeSticky)
    }

    fn subscribed(&mut self, topics: BTreeSet<Arc<str>>, now: Instant) {
        if topics == self.topics || self.state == State::Failed {
            return;
        }
        self.topics = topics;
        if self.topics.is_empty() {
            self.leave();
            return;
        }
        match self.state {
            State::Out => self.state = State::Unjoined,
            State::Stable => self.rejoin(now),
            State::Joining | State::Dividing | State::Syncing => self.rejoin = true,
            // The next JoinGroup says so.
            State::Unjoined | State::Revoking { .. } | State::Expired | State::Failed => {}
        }
    }

    /// What follows from where the member is, without anything having happened.
    fn advance(&mut self, now: Instant) {
        if let State::Revoking { deadline } = self.state
            && deadline <= now
        {
            self.released();
        }
        let waits = self.retry_at.is_some_and(|at| now < at);
        let wants_coordinator = match self.state {
            State::Unjoined | State::Stable | State::Revoking { .. } => true,
            State::Joining | State::Dividing | State::Syncing => false,
            State::Out | State::Expired | State::Failed => false,
        };
        if wants_coordinator && self.coordinator.is_none() && !self.finding && !waits {
            self.finding = true;
            self.retry_at = None;
            self.effects.push(Effect::FindCoordinator);
        }
        if self.coordinator.is_none() {
            return;
        }
        match self.state {
            State::Unjoined if !waits => self.join(),
            State::Stable | State::Revoking { .. }
                if !self.heartbeating && self.heartbeat_at <= now =>
            {
                self.heartbeating = true;
                self.effects.push(Effect::Heartbeat(self.attempt));
            }
            _ => {}
        }
    }

    fn join(&mut self) {
        self.state = State::Joining;
        self.rejoin = false;
        self.retry_at = None;
        self.attempt += 1;
        self.heartbeating = false;
        self.effects.push(Effect::Join {
            attempt: self.attempt,
            owned: self.owned.clone(),
        });
    }

    fn sync(&mut self) {
        self.state = State::Syncing;
        self.effects.push(Effect::Sync(self.attempt));
    }

    /// Joins again; first the application gives back what it has, unless members keep that.
    fn rejoin(&mut self, now: Instant) {
        if self.is_cooperative() || self.owned.is_empty() {
            self.state = State::Unjoined;
            self.retry_at = None;
        } else {
            self.revoke(self.owned.clone(), now);
        }
    }

    fn revoke(&mut self, partitions: BTreeSet<TopicPartition>, now: Instant) {
        let deadline = deadline_of_revocation(self.options.rebalance_timeout, now);
        self.revoking.clone_from(&partitions);
        self.state = State::Revoking { deadline };
        self.effects.push(Effect::Revoke {
            partitions,
            deadline,
        });
    }

    fn released(&mut self) {
        let partitions = std::mem::take(&mut self.revoking);
        self.owned
            .retain(|partition| !partitions.contains(partition));
        self.effects.push(Effect::Release(partitions));
        self.state = State::Unjoined;
        self.retry_at = None;
    }

    /// Everything is gone, without having been given back.
    fn lose(&mut self) {
        self.revoking.clear();
        let owned = std::mem::take(&mut self.owned);
        if !owned.is_empty() {
            self.effects.push(Effect::Lose(owned));
        }
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
        self.topics.clear();
        self.state = State::Out;
    }

    /// Leaves the group. A static member stays in it until its session ends, so that it can come
    /// back (KIP-345).
    fn depart(&mut self) {
        self.lose();
        self.attempt += 1;
        self.generation_id = -1;
        self.is_leader = false;
        self.rejoin = false;
        self.retry_at = None;
        self.heartbeating = false;
        let member_id = std::mem::take(&mut self.member_id);
        if self.options.group_instance_id.is_none() && !member_id.is_empty() {
            self.effects.push(Effect::LeaveGroup(member_id));
        }
    }

    fn fail(&mut self, error: Error) {
        self.lose();
        self.attempt += 1;
        self.generation_id = -1;
        self.state = State::Failed;
        self.effects.push(Effect::Fail(error));
    }
}
