//! What a consumer's handle and its task share, under one lock. No I/O and no waiting here.

mod announce;
mod commits;
mod hand_out;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use regex_lite::Regex;
use tokio::time::Instant;

pub(super) use announce::{Announcements, Stage};
pub(super) use commits::{Commits, Outcome, fenced};
pub(super) use hand_out::{Handed, Wants};

use super::assignor::PartitionCounts;
use super::membership::Membership;
use super::partition::{Find, Partition, Place};
use super::progress::Progress;
use crate::config::GroupProtocol;
use crate::error::Error;
use crate::metadata::TopicPartition;

/// What the application asked for.
#[derive(Debug, Clone)]
pub(super) enum Subscription {
    /// Nothing yet.
    None,
    /// These topics, divided with the other members of the group.
    Topics(BTreeSet<Arc<str>>),
    /// All topics whose names match, divided likewise.
    Pattern(Regex),
    /// All topics that the broker finds by this pattern (KIP-848).
    BrokerPattern(Arc<str>),
    /// These partitions, whatever others read.
    Assigned,
}

impl Subscription {
    /// All topics whose whole names match `pattern`, found by whoever knows them: the client, or
    /// with the consumer protocol the broker, which alone can tell whether it is a pattern.
    pub(super) fn pattern(pattern: &str, protocol: GroupProtocol) -> Result<Self, Error> {
        match protocol {
            GroupProtocol::Consumer => Ok(Self::BrokerPattern(pattern.into())),
            GroupProtocol::Classic => {
                let regex = Regex::new(&format!("^(?:{pattern})$"));
                let invalid = |error| Error::Invalid(format!("pattern `{pattern}`: {error}"));
                Ok(Self::Pattern(regex.map_err(invalid)?))
            }
        }
    }
}

/// Errors that wait to be told. Each partition fails at most once between two seeks.
const MAX_ERRORS: usize = 1000;

/// Where the end of a consumer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// What is acknowledged is committed, then the group is left.
    Closing,
    Leaving,
    Closed,
}

pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) subscription: Subscription,
    /// None without a group.
    pub(super) membership: Option<Membership>,
    pub(super) partitions: BTreeMap<TopicPartition, Partition>,
    assignments: u64,
    pub(super) announcements: Announcements,
    errors: VecDeque<Error>,
    /// Told once, as the last thing.
    failure: Option<Error>,
    pub(super) commits: Commits,
    /// What is acknowledged is committed by itself.
    auto_commit: bool,
    pub(super) progress: Progress,
    /// Partitions on which the application is to make progress.
    waited_for: usize,
    /// The task has something to do about what was handed out.
    wake: bool,
    /// Partitions that may have records to hand out, in turn.
    ready: VecDeque<TopicPartition>,
    /// An acknowledgement came too late since the last commit.
    late: bool,
    /// The application has heard that it made no progress.
    pub(super) returned: bool,
    /// The application wants something else.
    pub(super) resubscribed: bool,
    /// The application wants nothing more of what its group gave: the member leaves before anything
    /// else, once what was done is committed.
    pub(super) departing: bool,
    /// Partitions that the application chose and does not want any more, until what was done of
    /// them is committed.
    departed: BTreeSet<TopicPartition>,
    /// When the consumer ends, whatever is left.
    pub(super) close_at: Option<Instant>,
    /// What the member had after the last rebalance, and in which generation.
    pub(super) last_owned: (BTreeSet<TopicPartition>, i32),
    /// Partition counts that the leader divided by.
    pub(super) divided: PartitionCounts,
    /// The next fetch begins with the partition after this one.
    pub(super) last_fetched: Option<TopicPartition>,
}

impl State {
    pub(super) fn new(
        membership: Option<Membership>,
        progress: Progress,
        auto_commit: bool,
    ) -> Self {
        Self {
            phase: Phase::Running,
            subscription: Subscription::None,
            membership,
            partitions: BTreeMap::new(),
            assignments: 0,
            announcements: Announcements::default(),
            errors: VecDeque::new(),
            failure: None,
            commits: Commits::default(),
            auto_commit,
            progress,
            waited_for: 0,
            wake: false,
            ready: VecDeque::new(),
            late: false,
            returned: false,
            resubscribed: false,
            departing: false,
            departed: BTreeSet::new(),
            close_at: None,
            last_owned: (BTreeSet::new(), -1),
            divided: PartitionCounts::new(),
            last_fetched: None,
        }
    }

    /// Whether the group decides what is read.
    pub(super) fn is_subscribed(&self) -> bool {
        matches!(
            self.subscription,
            Subscription::Topics(_) | Subscription::Pattern(_) | Subscription::BrokerPattern(_)
        )
    }

    /// Wants something else from now on.
    pub(super) fn subscribe(&mut self, subscription: Subscription) {
        if self.is_assigned() {
            // What the group gives comes on its own.
            self.give_up(|_| true);
        }
        self.subscription = subscription;
        self.resubscribed = true;
    }

    /// Hands out nothing more of what the group gave.
    pub(super) fn stop_reading(&mut self) {
        if !self.is_assigned() {
            self.partitions.values_mut().for_each(Partition::revoke);
        }
    }

    /// Reads exactly these partitions from now on.
    pub(super) fn assign(&mut self, partitions: BTreeSet<TopicPartition>) {
        if self.is_assigned() {
            self.give_up(|held| !partitions.contains(held));
        } else {
            // The application is told when the member has left.
            self.departing = true;
            self.commit_done();
            let all: Vec<_> = self.partitions.keys().cloned().collect();
            all.iter().for_each(|partition| self.forget(partition));
        }
        self.subscription = Subscription::Assigned;
        self.resubscribed = true;
        for partition in partitions {
            self.departed.remove(&partition);
            if !self.partitions.contains_key(&partition) {
                self.add(partition, Find::Committed);
            }
        }
    }

    /// Whether the application decides what is read, partition by partition.
    fn is_assigned(&self) -> bool {
        matches!(self.subscription, Subscription::Assigned)
    }

    /// Reads those of the chosen partitions no longer that are `gone`. What was done of them is
    /// still committed.
    fn give_up(&mut self, gone: impl Fn(&TopicPartition) -> bool) {
        self.commit_done();
        let held = self.partitions.keys();
        let gone: Vec<_> = held.filter(|held| gone(held)).cloned().collect();
        for partition in gone {
            self.forget(&partition);
            self.departed.insert(partition);
        }
    }

    /// Whether the application chose this partition and a commit of it is still to come.
    pub(super) fn is_departed(&self, partition: &TopicPartition) -> bool {
        self.departed.contains(partition)
    }

    /// Tells of what was given up, once that is committed.
    pub(super) fn tell_departed(&mut self) {
        let commits = &self.commits;
        let done = self.departed.extract_if(.., |gone| !commits.holds(gone));
        self.announcements.gave_up(done);
    }

    /// Commits what was acknowledged, if that is to happen by itself.
    pub(super) fn commit_done(&mut self) {
        if self.auto_commit {
            let offsets = self.to_commit();
            self.commits.add(offsets, None);
        }
    }

    pub(super) fn add(&mut self, partition: TopicPartition, find: Find) {
        self.assignments += 1;
        let new = Partition::new(self.assignments, find);
        self.partitions.insert(partition, new);
    }

    /// Forgets a partition that may be somebody else's now.
    pub(super) fn remove(&mut self, partition: &TopicPartition) {
        self.forget(partition);
        self.commits.fence(partition);
    }

    /// Forgets a partition; what was handed out of it can no longer be acknowledged.
    fn forget(&mut self, partition: &TopicPartition) {
        let removed = self.partitions.remove(partition);
        if removed.is_some_and(|held| held.is_waited_for()) {
            self.waited_for -= 1;
        }
    }

    /// Forgets what the group takes away. While the member leaves, the application may already
    /// have chosen the same partitions: those stay.
    fn remove_of_group(&mut self, partitions: &BTreeSet<TopicPartition>) {
        if !self.is_assigned() {
            partitions
                .iter()
                .for_each(|partition| self.remove(partition));
        }
    }

    /// Changes a partition that is read.
    pub(super) fn update<T>(
        &mut self,
        partition: &TopicPartition,
        change: impl FnOnce(&mut Partition) -> T,
    ) -> Option<T> {
        let held = self.partitions.get_mut(partition)?;
        let before = held.is_waited_for();
        let changed = change(held);
        let after = held.is_waited_for();
        self.waited_for = self.waited_for + usize::from(after) - usize::from(before);
        Some(changed)
    }

    /// Whether the task has to look at what was handed out since the last call.
    pub(super) fn take_wake(&mut self) -> bool {
        std::mem::take(&mut self.wake)
    }

    /// The group gave these partitions to this member.
    pub(super) fn assigned(&mut self, partitions: BTreeSet<TopicPartition>) {
        let again = self
            .departed
            .extract_if(.., |gone| partitions.contains(gone));
        self.announcements.gave_up(again);
        if !self.is_assigned() {
            for partition in &partitions {
                self.add(partition.clone(), Find::Committed);
            }
        }
        self.announcements.assigned(partitions);
    }

    /// These partitions are gone without having been given back.
    pub(super) fn lost(&mut self, partitions: &BTreeSet<TopicPartition>) {
        self.remove_of_group(partitions);
        self.announcements.lost(partitions);
    }

    /// The application has to give these back before they are released.
    pub(super) fn revoking(&mut self, partitions: &BTreeSet<TopicPartition>, deadline: Instant) {
        if !self.is_assigned() {
            for partition in partitions {
                if let Some(partition) = self.partitions.get_mut(partition) {
                    partition.revoke();
                }
            }
        }
        self.announcements.revoking(partitions, deadline);
    }

    /// These partitions are not the member's any more.
    pub(super) fn released(&mut self, partitions: &BTreeSet<TopicPartition>) {
        self.remove_of_group(partitions);
        self.announcements.released();
    }

    /// Keeps what the group gave the member, which sticky assignors want to know next time.
    pub(super) fn remember_owned(&mut self) {
        if let Some(membership) = &self.membership {
            let generation_id = membership.metadata().generation_id;
            self.last_owned = (membership.owned(), generation_id);
        }
    }

    /// Whether the application has given back what is being revoked.
    pub(super) fn is_given_back(&self) -> bool {
        let Some(revoke) = self.announcements.revoke() else {
            return false;
        };
        match revoke.stage {
            Stage::Done => true,
            Stage::Waiting | Stage::Taken => false,
            Stage::Dropped => {
                let partitions = revoke.partitions.iter();
                let mut held = partitions.filter_map(|partition| self.partitions.get(partition));
                !held.any(Partition::is_outstanding)
            }
        }
    }

    pub(super) fn tell(&mut self, error: Error) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push_back(error);
        }
    }

    /// The consumer cannot go on.
    pub(super) fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
        self.phase = Phase::Leaving;
    }

    /// No more of a partition can be read until somebody seeks.
    pub(super) fn fail_partition(&mut self, partition: &TopicPartition, error: Error) {
        if let Some(partition) = self.partitions.get_mut(partition) {
            partition.lose_place(Place::Failed);
        }
        self.tell(error);
    }

    /// When the application is taken to be stuck.
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        let counts = self.is_subscribed() && self.waited_for > 0;
        counts.then(|| self.progress.deadline())
    }

    /// Queues a partition for handing out.
    pub(super) fn enqueue(&mut self, partition: &TopicPartition) {
        let Some(held) = self.partitions.get_mut(partition) else {
            return;
        };
        if held.has_buffered() && !held.queued {
            held.queued = true;
            self.ready.push_back(partition.clone());
        }
    }
}
