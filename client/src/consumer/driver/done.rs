//! What comes back to the task of a consumer.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::SyncGroupRequestAssignment;
use tokio::time::Instant;

use super::{Driver, Offsets};
use crate::consumer::ConsumerGroupMetadata;
use crate::consumer::assignor::PartitionCounts;
use crate::consumer::fetch;
use crate::consumer::job::{Round, partition_counts};
use crate::consumer::locate::Located;
use crate::consumer::membership::{Failure, Input, Joined};
use crate::consumer::partition::{Find, Place};
use crate::consumer::state::{Outcome, State, Subscription};
use crate::error::{Error, check};
use crate::metadata::TopicPartition;
use crate::retry::Attempt;

/// A partition whose place was looked for, how, and under which assignment and seek.
type Looked = (TopicPartition, Find, u64, u64);

/// A request came back.
pub(super) enum Done {
    Nothing,
    Input(Input),
    Joined(u64, Result<(Joined, Round), (Failure, Option<String>)>),
    Divided(u64, Vec<SyncGroupRequestAssignment>, PartitionCounts),
    Left,
    Metadata(Result<(), Error>),
    Located(Vec<Looked>, Located),
    Committed(
        ConsumerGroupMetadata,
        Offsets,
        Result<BTreeMap<TopicPartition, ErrorCode>, Error>,
    ),
    Fetched {
        node: i32,
        slot: usize,
        answer: fetch::Answer,
    },
}

impl Driver {
    pub(super) fn take(&mut self, done: Done) {
        let shared = Arc::clone(&self.shared);
        let now = shared.cluster.env.now();
        let mut state = shared.state.lock();
        let committed = self.take_under_lock(&mut state, done, now);
        drop(state);
        if !committed.is_empty() {
            for interceptor in &shared.interceptors {
                interceptor.on_commit(&committed);
            }
        }
    }

    /// Returns what was committed.
    fn take_under_lock(&mut self, state: &mut State, done: Done, now: Instant) -> Offsets {
        let shared = Arc::clone(&self.shared);
        match done {
            Done::Nothing => {}
            Done::Left => self.leaves = self.leaves.saturating_sub(1),
            Done::Input(input) => {
                let synced = matches!(&input, Input::Synced(_, Ok(_)));
                self.tick(state, input, now);
                if synced {
                    state.remember_owned();
                }
            }
            Done::Joined(attempt, joined) => {
                let joined = joined.map(|(joined, round)| {
                    self.round = Some(round);
                    joined
                });
                self.tick(state, Input::Joined(attempt, joined), now);
            }
            Done::Divided(attempt, assignments, counts) => {
                self.assignments = assignments;
                state.divided = counts;
                self.tick(state, Input::Divided(attempt), now);
            }
            Done::Metadata(refreshed) => self.refreshed(state, refreshed.is_ok(), now),
            Done::Located(looked, located) => self.located(state, looked, located, now),
            Done::Committed(group, offsets, outcome) => {
                return self.committed(state, &group, &offsets, outcome, now);
            }
            Done::Fetched { node, slot, answer } => {
                let slot = self
                    .busy
                    .get_mut(&node)
                    .and_then(|slots| slots.get_mut(slot));
                if let Some(slot) = slot {
                    *slot = false;
                }
                let retry_at = now + shared.cluster.config.retry_backoff;
                let reset = shared.config.auto_offset_reset;
                let verdict = fetch::take(state, answer, reset, retry_at);
                self.stale |= verdict.stale;
            }
        }
        Offsets::new()
    }

    fn refreshed(&mut self, state: &mut State, succeeded: bool, now: Instant) {
        let shared = Arc::clone(&self.shared);
        let metadata = shared.cluster.metadata();
        let topics = match &state.subscription {
            Subscription::Topics(topics) => Some(topics.clone()),
            Subscription::Pattern(pattern) => {
                let internal = !shared.config.exclude_internal_topics;
                let topics = metadata.topics.iter();
                let matching = topics.filter(|(name, topic)| {
                    (internal || !topic.is_internal) && pattern.is_match(name)
                });
                Some(matching.map(|(name, _)| name.clone()).collect())
            }
            Subscription::BrokerPattern(_) | Subscription::None | Subscription::Assigned => None,
        };
        let all_named = self.name_topics(state, now);
        let known = |topic: &Arc<str>| {
            let topic = metadata.topics.get(topic);
            topic.is_some_and(|topic| topic.leaders.iter().all(|leader| leader.node_id >= 0))
        };
        let complete = topics
            .as_ref()
            .is_none_or(|topics| topics.iter().all(known))
            && all_named
            && state
                .partitions
                .keys()
                .all(|partition| known(&partition.topic));
        let fraction = shared.cluster.env.fraction();
        self.metadata.end(succeeded && complete, now, fraction);
        self.metadata_at = match self.metadata.at {
            Some(at) => at,
            None => now + shared.cluster.config.metadata_max_age,
        };
        if !succeeded {
            return;
        }
        if state.departing {
            // The member leaves first.
        } else if let Some(topics) = topics {
            self.tick(state, Input::Subscribed(topics), now);
        } else if let Subscription::BrokerPattern(pattern) = &state.subscription {
            let pattern = Arc::clone(pattern);
            self.tick(state, Input::SubscribedPattern(pattern), now);
        }
        let divided = state.divided.keys().cloned().collect();
        if partition_counts(&shared, &divided) != state.divided {
            self.tick(state, Input::PartitionsChanged, now);
        }
    }

    fn located(
        &mut self,
        state: &mut State,
        looked: Vec<Looked>,
        mut located: Located,
        now: Instant,
    ) {
        let mut succeeded = true;
        for (partition, find, assignment, seek) in looked {
            let held = state.partitions.get_mut(&partition);
            let held = held.filter(|held| held.assignment == assignment && held.seek == seek);
            let Some(held) = held else { continue };
            held.finding = false;
            if held.place() != Place::Unknown(find) {
                continue;
            }
            match located.remove(&partition) {
                Some(Ok(Some((position, committed)))) => held.found(position, committed),
                Some(Ok(None)) => {
                    state.fail_partition(&partition, fetch::no_offset(&partition));
                }
                Some(Err(error)) => match Attempt::from(error) {
                    Attempt::Again(_) => succeeded = false,
                    Attempt::Stop(error) => state.fail_partition(&partition, error),
                },
                None => succeeded = false,
            }
        }
        self.stale |= !succeeded;
        let fraction = self.shared.cluster.env.fraction();
        self.finding.end(succeeded, now, fraction);
    }

    fn committed(
        &mut self,
        state: &mut State,
        group: &ConsumerGroupMetadata,
        offsets: &Offsets,
        outcome: Result<BTreeMap<TopicPartition, ErrorCode>, Error>,
        now: Instant,
    ) -> Offsets {
        let generation_id = state
            .membership
            .as_ref()
            .map_or(-1, |m| m.metadata().generation_id);
        let is_current = generation_id == group.generation_id;
        let owned: std::collections::BTreeSet<_> = state.partitions.keys().cloned().collect();
        let subscribed = state.is_subscribed();
        let mut again = false;
        let mut told = ErrorCode::None;
        let mut outcomes = BTreeMap::new();
        for partition in offsets.keys() {
            let code = match &outcome {
                Ok(codes) => codes
                    .get(partition)
                    .copied()
                    .unwrap_or(ErrorCode::UnknownServerError),
                Err(error) => match Attempt::from(error.clone()) {
                    Attempt::Again(_) => ErrorCode::NetworkException,
                    Attempt::Stop(error) => {
                        outcomes.insert(partition.clone(), Outcome::Failed(error));
                        continue;
                    }
                },
            };
            let chosen = !subscribed || state.departing || state.is_departed(partition);
            let kept = chosen || owned.contains(partition);
            let outcome = outcome_of(partition, code, is_current, kept);
            if is_fencing(code) || is_passing(code) {
                told = code;
            }
            again |= outcome == Outcome::Again;
            outcomes.insert(partition.clone(), outcome);
        }
        let committed = state.commits.complete(|partition| {
            let outcome = outcomes.get(partition).cloned();
            outcome.unwrap_or(Outcome::Failed(Error::Closed))
        });
        for (partition, offset) in &committed {
            if let Some(held) = state.partitions.get_mut(partition) {
                held.committed(offset.offset);
            }
        }
        let fraction = self.shared.cluster.env.fraction();
        self.committing.end(!again, now, fraction);
        self.tick(state, Input::Committed(group.generation_id, told), now);
        committed
    }
}

/// Whether the group does not know the member any more as what it committed.
fn is_fencing(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UnknownMemberId
            | ErrorCode::IllegalGeneration
            | ErrorCode::FencedMemberEpoch
            | ErrorCode::FencedInstanceId
    )
}

/// Whether the group is between two generations, or the member between two epochs.
fn is_passing(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::RebalanceInProgress | ErrorCode::StaleMemberEpoch
    )
}

fn outcome_of(
    partition: &TopicPartition,
    code: ErrorCode,
    is_current: bool,
    kept: bool,
) -> Outcome {
    match code {
        ErrorCode::None => Outcome::Committed,
        // The member has moved on to a newer generation meanwhile, with the partition.
        code if is_fencing(code) && !is_current && kept => Outcome::Again,
        code if is_fencing(code) || !kept => {
            Outcome::Failed(crate::consumer::state::fenced(partition))
        }
        code if is_passing(code) => Outcome::Again,
        code if code.is_retriable() => Outcome::Again,
        code => match check("OffsetCommit", code, None) {
            Ok(()) => Outcome::Committed,
            Err(error) => Outcome::Failed(error),
        },
    }
}
