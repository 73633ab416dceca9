//! Pure. The coordinator of groups, of the classic and of the consumer protocol, and their offsets.
//!
//! A logged machine: events and time go in; records, replies and reports come out. It never waits,
//! reads no clock, and does nothing but what its caller appends, answers and reports for it.
//!
//! The caller must keep this order: append an event's records, await their durability, then release
//! its replies. The replies of an event without records wait for the records of the events before,
//! because they may tell of them.

mod assignor;
mod classic;
mod config;
mod consumer;
mod error;
mod expiry;
mod groups;
mod inspect;
mod join;
mod leave;
mod machine;
mod member;
mod offsets;
mod rebalance;
mod record;
mod reply;
mod request;
mod step;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;
mod timer;
mod topics;
mod transaction;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub(crate) use crate::config::GroupOverrides;
pub(crate) use crate::env::Now;
pub(crate) use crate::machine::Token;
#[cfg(test)]
use crate::record_codec::RecordError;
pub(crate) use assignor::Assignor;
pub(crate) use classic::State;
pub(crate) use config::{GroupConfig, MigrationPolicy};
pub(crate) use consumer::{Assignment, ConsumerMember, DescribedConsumerGroup, NamedPartitions};
pub(crate) use error::GroupError;
pub(crate) use record::GroupRecord;
#[cfg(test)]
use record::OffsetKey;
pub(crate) use reply::*;
pub(crate) use request::*;
pub(crate) use topics::{TopicImage, TopicInfo};

use groups::Groups;
use step::Step;
use timer::{Timer, Timers};

/// What an event brings about, to be carried out in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// To append and make durable first, all or none.
    pub(crate) records: Vec<GroupRecord>,
    /// To release then.
    pub(crate) replies: Vec<(Token, Reply)>,
    /// To carry out last.
    pub(crate) commands: Vec<Command>,
}

/// What the caller should do besides: tell the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Command {
    /// A rebalance begins.
    Rebalancing {
        /// The group.
        group_id: Arc<str>,
        /// The generation that ends; of the consumer protocol, the epoch that begins.
        generation_id: i32,
        /// Why.
        reason: Reason,
    },
    /// A generation begins; with no members the group is empty now.
    GenerationStarted {
        /// The group.
        group_id: Arc<str>,
        /// The generation.
        generation_id: i32,
        /// Number of members.
        members: usize,
    },
    /// A member, or an id handed out, is gone without having asked for it.
    MemberExpired {
        /// The group.
        group_id: Arc<str>,
        /// The member.
        member_id: Arc<str>,
    },
    /// The group goes on in another protocol.
    ProtocolChanged {
        /// The group.
        group_id: Arc<str>,
        /// `classic` or `consumer`.
        protocol: &'static str,
    },
    /// Another member took over a static member's instance id.
    MemberFenced {
        /// The group.
        group_id: Arc<str>,
        /// The member fenced.
        member_id: Arc<str>,
    },
}

/// Why a group rebalances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Reason {
    /// A new member.
    MemberJoined,
    /// A member offers other protocols or metadata, or the leader asks for it.
    MemberRejoined,
    /// A static member came back in a way that cannot keep its assignment.
    StaticMemberReplaced,
    /// Members left.
    MemberLeft,
    /// A session ended.
    SessionExpired,
    /// Members did not fetch their assignment.
    SyncExpired,
    /// The leader's assignment is larger than a record may be.
    AssignmentTooLarge,
    /// The group was one of the consumer protocol.
    ProtocolChanged,
    /// Members read other topics than before.
    SubscriptionChanged,
    /// Topics that members read came, went or grew.
    TopicsChanged,
    /// More members were loaded than the group may have now.
    OverCapacity,
}

/// All groups of a broker.
pub(crate) struct GroupCoordinator {
    config: GroupConfig,
    /// Not logged; kept up by [`Event::TopicChanged`].
    topics: TopicImage,
    /// Not logged; kept up by [`Event::GroupConfigured`].
    settings: HashMap<Arc<str>, GroupOverrides>,
    ids: Box<dyn FnMut() -> Uuid + Send>,
    groups: Groups,
    timers: Timers,
    /// Every token not answered yet, and whose it is: group and member.
    parked: HashMap<Token, (Arc<str>, Arc<str>)>,
}

impl fmt::Debug for GroupCoordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupCoordinator")
            .field("groups", &self.groups.len())
            .field("parked", &self.parked.len())
            .finish_non_exhaustive()
    }
}

impl GroupCoordinator {
    /// No groups. `topics` and `settings` are what there is now. `ids` yields the random part of new member ids and never the same twice.
    ///
    /// [`replay`](Self::replay) what was logged, then call [`loaded`](Self::loaded) even if there was nothing.
    pub(crate) fn new(
        config: GroupConfig,
        topics: TopicImage,
        settings: HashMap<Arc<str>, GroupOverrides>,
        ids: impl FnMut() -> Uuid + Send + 'static,
    ) -> Self {
        Self {
            config,
            topics,
            settings,
            ids: Box::new(ids),
            groups: Groups::default(),
            timers: Timers::default(),
            parked: HashMap::new(),
        }
    }

    /// Applies one event.
    pub(crate) fn handle(&mut self, event: Event, now: Now) -> Effects {
        let topics_changed = self.note(&event);
        let mut effects = Effects::default();
        let (mut step, groups, ids) = self.step(now, &mut effects);
        match event {
            Event::Join(token, request) => join::handle(groups, ids, token, &request, &mut step),
            Event::Sync(token, request) => sync::handle(groups, token, &request, &mut step),
            Event::Heartbeat(token, request) => {
                sync::heartbeat(groups, token, &request, &mut step);
            }
            Event::ConsumerHeartbeat(token, request) => {
                consumer::handle(groups, ids, token, request, &mut step);
            }
            Event::Leave(token, request) => leave::handle(groups, token, request, &mut step),
            Event::CommitOffsets(token, request) => {
                offsets::commit(groups, token, request, &mut step);
            }
            Event::CommitInTransaction(token, producer_id, request) => {
                transaction::commit(groups, token, producer_id, request, &mut step);
            }
            Event::TransactionEnded {
                producer_id,
                committed,
                group_ids,
            } => transaction::ended(groups, producer_id, committed, &group_ids, &mut step),
            Event::FetchOffsets(token, request) => {
                step.reply(token, Reply::FetchOffsets(offsets::fetch(groups, request)));
            }
            Event::Describe(token, request) => {
                step.reply(token, Reply::Describe(inspect::describe(groups, &request)));
            }
            Event::DescribeConsumerGroups(token, group_ids) => {
                let described = consumer::describe(groups, &group_ids, &step);
                step.reply(token, Reply::DescribeConsumerGroups(described));
            }
            Event::List(token, request) => {
                step.reply(token, Reply::List(inspect::list(groups, &request)));
            }
            Event::DeleteGroups(token, group_ids) => {
                let results = inspect::delete(groups, group_ids, &mut step);
                step.reply(token, Reply::DeleteGroups(results));
            }
            Event::DeleteOffsets(token, request) => {
                let reply = offsets::delete(groups, request, &mut step);
                step.reply(token, Reply::DeleteOffsets(reply));
            }
            Event::Abandoned(token) => rebalance::abandoned(groups, token, &mut step),
            Event::TopicChanged { name, topic } => {
                if topic.is_none() {
                    offsets::topic_removed(groups, &name, &mut step);
                }
                if topics_changed {
                    groups.topics_changed();
                }
            }
            Event::GroupConfigured { .. } => {}
            Event::Tick => tick(groups, &mut step),
        }
        effects
    }

    /// Keeps up what is known of topics and settings, which is not logged. True if topics are not as before.
    fn note(&mut self, event: &Event) -> bool {
        match event {
            Event::TopicChanged { name, topic } => return self.topics.set(name, *topic),
            Event::GroupConfigured { group_id, settings } => {
                if *settings == GroupOverrides::default() {
                    self.settings.remove(group_id);
                } else {
                    self.settings.insert(group_id.clone(), *settings);
                }
            }
            _ => {}
        }
        false
    }

    /// The earliest moment, on [`Now::monotonic`]'s scale, at which a [`Event::Tick`] is wanted.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.timers.earliest()
    }

    /// Applies a logged record. Only while loading.
    pub(crate) fn replay(&mut self, record: GroupRecord) {
        self.groups.replay(record);
    }

    /// Producers with the groups in which offsets of theirs wait for the end of a transaction.
    pub(crate) fn pending_transactions(&self) -> Vec<(i64, Arc<str>)> {
        let groups = self.groups.iter();
        let of = |group: &classic::Group| {
            let producers = group.pending_offsets.keys();
            let pending = producers.map(|producer| (*producer, Arc::clone(&group.group_id)));
            pending.collect::<Vec<_>>()
        };
        groups.flat_map(of).collect()
    }

    /// Ends loading: every member gets a fresh session timeout and expiry begins.
    pub(crate) fn loaded(&mut self, now: Now) -> Effects {
        let mut effects = Effects::default();
        let (mut step, groups, _) = self.step(now, &mut effects);
        for group in groups.values_mut() {
            group.loaded(&mut step);
        }
        let check = step.after(step.config.offsets_retention_check_interval);
        step.timers.arm(check, Timer::Expiry);
        effects
    }

    /// The hard state as records; replaying them into an empty machine gives the same hard state.
    #[must_use]
    pub(crate) fn snapshot(&self) -> Vec<GroupRecord> {
        self.groups.snapshot()
    }

    fn step<'a>(
        &'a mut self,
        now: Now,
        effects: &'a mut Effects,
    ) -> (Step<'a>, &'a mut Groups, &'a mut dyn FnMut() -> Uuid) {
        let step = Step {
            config: &self.config,
            topics: &self.topics,
            settings: &self.settings,
            now,
            timers: &mut self.timers,
            parked: &mut self.parked,
            effects,
        };
        (step, &mut self.groups, &mut *self.ids)
    }
}

fn tick(groups: &mut Groups, step: &mut Step<'_>) {
    while let Some(timer) = step.timers.pop_due(step.now.monotonic) {
        match timer {
            Timer::Session {
                group_id,
                member_id,
            } => {
                groups.with(&group_id, |group| group.session_expired(&member_id, step));
            }
            Timer::Join { group_id } => {
                groups.with(&group_id, |group| group.join_expired(step));
            }
            Timer::Sync { group_id } => {
                groups.with(&group_id, |group| group.sync_expired(step));
            }
            Timer::Member {
                group_id,
                member_id,
                deadline,
            } => {
                groups.with(&group_id, |group| {
                    group.member_expired(&member_id, deadline, step);
                });
            }
            Timer::Expiry => expiry::run(groups, step),
        }
    }
}
