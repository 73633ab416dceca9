//! A group of the consumer protocol (KIP-848): what of it is logged and what follows from that. Pure.
//!
//! The coordinator assigns. A change of members, subscriptions or topics raises the group epoch; the next
//! heartbeat computes a target for that epoch; each member is led to its target in steps, and gets a
//! partition only when nobody else has it any more.
//!
//! Members move by the rules in `heartbeat` and, those of the classic protocol, `classic`; how groups
//! change their protocol is in `migration`.

mod assignment;
mod classic;
mod describe;
mod heartbeat;
mod member;
mod migration;
mod offsets;
mod pattern;
mod target;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bincode::{Decode, Encode};

use super::record::GroupRecord;
use super::step::Step;
use super::timer::Timer;
use super::topics::TopicId;

pub(crate) use assignment::Assignment;
pub(super) use describe::describe;
pub(crate) use describe::{ConsumerMember, DescribedConsumerGroup, NamedPartitions};
pub(super) use heartbeat::handle;
use member::MemberState;
pub(crate) use member::MemberValue;
pub(super) use member::{Deadline, Member};

/// Where a consumer group stands; it follows from epochs and members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConsumerState {
    /// No members; perhaps offsets.
    Empty,
    /// There is no target for the group epoch yet.
    Assigning,
    /// Members are on their way to the target.
    Reconciling,
    /// Every member has what it is to have.
    Stable,
}

impl ConsumerState {
    /// Kafka's spelling.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

impl fmt::Display for ConsumerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is logged of the group itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ConsumerGroupValue {
    /// Raised by every change that asks for another target.
    pub(crate) group_epoch: i32,
    /// The group epoch that the target is for.
    pub(crate) assignment_epoch: i32,
    /// Of the topics subscribed to, so that a change of them is noticed also across a restart.
    pub(crate) topics_hash: u64,
}

/// A group of the consumer protocol.
#[derive(Debug, Default)]
pub(super) struct ConsumerGroup {
    value: ConsumerGroupValue,
    members: BTreeMap<Arc<str>, Member>,
    /// Instance id to member id, for exactly the static members.
    static_members: BTreeMap<Arc<str>, Arc<str>>,
    /// What members have or have not given back yet. No partition is another member's too.
    taken: HashSet<(TopicId, i32)>,
    /// The topics of each pattern that members subscribe by.
    patterns: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Topics may have changed since hash and patterns were made.
    is_stale: bool,
    /// What is not logged yet, within one event.
    unlogged: Unlogged,
}

#[derive(Debug, Default)]
struct Unlogged {
    group: bool,
    members: BTreeSet<Arc<str>>,
}

impl ConsumerGroup {
    /// A group without members that goes on from this epoch.
    pub(super) fn new(group_epoch: i32) -> Self {
        let value = ConsumerGroupValue {
            group_epoch,
            assignment_epoch: group_epoch,
            ..ConsumerGroupValue::default()
        };
        let unlogged = Unlogged {
            group: true,
            ..Unlogged::default()
        };
        Self {
            value,
            unlogged,
            ..Self::default()
        }
    }

    pub(super) fn group_epoch(&self) -> i32 {
        self.value.group_epoch
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn state(&self) -> ConsumerState {
        let assignment_epoch = self.value.assignment_epoch;
        let mut members = self.members.values();
        if self.is_empty() {
            ConsumerState::Empty
        } else if self.value.group_epoch > assignment_epoch {
            ConsumerState::Assigning
        } else if members.all(|member| member.value.is_reconciled_to(assignment_epoch)) {
            ConsumerState::Stable
        } else {
            ConsumerState::Reconciling
        }
    }

    fn value(&self, member_id: &str) -> Option<&MemberValue> {
        self.members.get(member_id).map(|member| &member.value)
    }

    /// Takes over what the log says of the group.
    pub(super) fn replay(&mut self, value: ConsumerGroupValue) {
        self.value = value;
    }

    /// Takes over what the log says of a member.
    pub(super) fn replay_member(&mut self, member_id: &str, value: Option<MemberValue>) {
        let timers = self.forget(member_id);
        if let Some(value) = value {
            self.set(value, timers.unwrap_or_default());
        }
    }

    /// Every member gets time to be heard from again.
    pub(super) fn loaded(&mut self, group_id: &Arc<str>, step: &mut Step<'_>) {
        self.is_stale = true;
        self.resolve_patterns(step);
        let members: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in members {
            self.refresh(group_id, &member_id, step);
            let Some(value) = self.value(&member_id) else {
                continue;
            };
            if value.state == MemberState::UnrevokedPartitions && !value.is_classic() {
                let timeout = value.rebalance_timeout();
                self.arm(group_id, &member_id, Deadline::Revocation, timeout, step);
            }
        }
    }

    /// The hard state as records.
    pub(super) fn snapshot(&self, group_id: &Arc<str>) -> impl Iterator<Item = GroupRecord> {
        let group = GroupRecord::ConsumerGroup {
            group_id: group_id.clone(),
            value: self.value,
        };
        let group_id = group_id.clone();
        let members = self.members.values().map(move |member| {
            let member_id = member.value.member_id.clone();
            let value = Some(Box::new(member.value.clone()));
            GroupRecord::ConsumerMember {
                group_id: group_id.clone(),
                member_id,
                value,
            }
        });
        std::iter::once(group).chain(members)
    }

    /// Writes down what has changed.
    fn log(&mut self, group_id: &Arc<str>, step: &mut Step<'_>) {
        let Unlogged { group, members } = std::mem::take(&mut self.unlogged);
        if group {
            step.record(GroupRecord::ConsumerGroup {
                group_id: group_id.clone(),
                value: self.value,
            });
        }
        for member_id in members {
            let value = self.value(&member_id).cloned().map(Box::new);
            step.record(GroupRecord::ConsumerMember {
                group_id: group_id.clone(),
                member_id,
                value,
            });
        }
    }

    fn set(&mut self, value: MemberValue, timers: BTreeMap<Deadline, super::timer::TimerId>) {
        if let Some(instance) = &value.group_instance_id {
            self.static_members
                .insert(instance.clone(), value.member_id.clone());
        }
        self.taken.extend(value.assigned.iter());
        self.taken.extend(value.pending_revocation.iter());
        let member_id = value.member_id.clone();
        self.members.insert(member_id, Member { value, timers });
    }

    fn forget(&mut self, member_id: &str) -> Option<BTreeMap<Deadline, super::timer::TimerId>> {
        let Member { value, timers } = self.members.remove(member_id)?;
        if let Some(instance) = &value.group_instance_id
            && self.static_members.get(instance) == Some(&value.member_id)
        {
            self.static_members.remove(instance);
        }
        let had = value.assigned.iter().chain(value.pending_revocation.iter());
        for partition in had {
            self.taken.remove(&partition);
        }
        Some(timers)
    }

    /// Makes a member what `value` says; a new one if there is none of this id.
    fn put(&mut self, value: MemberValue) {
        if self.value(&value.member_id) == Some(&value) {
            return;
        }
        let member_id = value.member_id.clone();
        let timers = self.forget(&member_id).unwrap_or_default();
        self.set(value, timers);
        self.unlogged.members.insert(member_id);
    }

    /// Removes a member, with its timers.
    fn remove(&mut self, member_id: &str, step: &mut Step<'_>) -> Option<MemberValue> {
        let value = self.value(member_id)?.clone();
        for timer in self.forget(member_id)?.into_values() {
            step.timers.cancel(Some(timer));
        }
        self.unlogged.members.insert(value.member_id.clone());
        Some(value)
    }

    /// The group needs another target.
    fn bump(&mut self) {
        self.value.group_epoch = self.value.group_epoch.saturating_add(1);
        self.unlogged.group = true;
    }

    /// Removes a member that left or was fenced.
    fn remove_and_bump(&mut self, member_id: &str, step: &mut Step<'_>) {
        if self.remove(member_id, step).is_some() {
            self.forget_unused_patterns();
            self.bump();
            if !self.is_stale {
                self.value.topics_hash = self.topics_hash(step.topics);
            }
        }
    }

    /// A member is alive.
    fn refresh(&mut self, group_id: &Arc<str>, member_id: &str, step: &mut Step<'_>) {
        let Some(value) = self.value(member_id) else {
            return;
        };
        let timeout = match &value.classic {
            Some(classic) => Duration::from_millis(classic.session_timeout_ms.into()),
            None => step.settings(group_id).session_timeout,
        };
        self.arm(group_id, member_id, Deadline::Session, timeout, step);
    }

    /// Arms a timer of a member anew.
    fn arm(
        &mut self,
        group_id: &Arc<str>,
        member_id: &str,
        deadline: Deadline,
        timeout: Duration,
        step: &mut Step<'_>,
    ) {
        let at = step.after(timeout);
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        let timer = Timer::Member {
            group_id: group_id.clone(),
            member_id: member.value.member_id.clone(),
            deadline,
        };
        let armed = step.timers.arm(at, timer);
        step.timers.cancel(member.timers.insert(deadline, armed));
    }

    fn arm_if_absent(
        &mut self,
        group_id: &Arc<str>,
        member_id: &str,
        deadline: Deadline,
        timeout: Duration,
        step: &mut Step<'_>,
    ) {
        let member = self.members.get(member_id);
        if member.is_some_and(|member| !member.timers.contains_key(&deadline)) {
            self.arm(group_id, member_id, deadline, timeout, step);
        }
    }

    fn disarm(&mut self, member_id: &str, deadline: Deadline, step: &mut Step<'_>) {
        if let Some(member) = self.members.get_mut(member_id) {
            step.timers.cancel(member.timers.remove(&deadline));
        }
    }
}
