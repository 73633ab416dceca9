//! A member of a consumer group, and how it gets from what it has to what it is to have. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bincode::{Decode, Encode};

use super::assignment::Assignment;
use crate::group::Protocol;
use crate::group::member::protocols_weight;
use crate::group::record::Blob;
use crate::group::timer::TimerId;
use crate::group::topics::TopicId;

/// Where a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum MemberState {
    /// It has what it was to have at its epoch.
    Stable,
    /// It must give back what is pending revocation before it may go on.
    UnrevokedPartitions,
    /// Others must give back what it is to have.
    UnreleasedPartitions,
}

/// All that is logged of a member.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct MemberValue {
    /// Member id.
    pub(crate) member_id: Arc<str>,
    /// Given by static members.
    pub(crate) group_instance_id: Option<Arc<str>>,
    /// The rack that the client is in.
    pub(crate) rack_id: Option<Arc<str>>,
    /// Client id.
    pub(crate) client_id: Arc<str>,
    /// Address.
    pub(crate) client_host: Arc<str>,
    /// Topics subscribed to by name, sorted, each once.
    pub(crate) subscribed_topic_names: Vec<Arc<str>>,
    /// And by pattern.
    pub(crate) subscribed_topic_regex: Option<Arc<str>>,
    /// The assignor that the member would like.
    pub(crate) server_assignor: Option<Arc<str>>,
    /// How long the member may take to give partitions back, in milliseconds.
    pub(crate) rebalance_timeout_ms: u32,
    /// What a member of the classic protocol said.
    pub(crate) classic: Option<ClassicValue>,
    /// 0 before the first assignment, -2 while a static member is away.
    pub(crate) member_epoch: i32,
    /// The epoch before, for a member that did not get the last answer.
    pub(crate) previous_member_epoch: i32,
    /// State.
    pub(crate) state: MemberState,
    /// What the member has, or is told to take.
    pub(crate) assigned: Assignment,
    /// What the member is told to give back and may still have.
    pub(crate) pending_revocation: Assignment,
    /// The epochs at which it got what it has and has not given back yet (KIP-1251).
    pub(crate) since: BTreeMap<TopicId, BTreeMap<i32, i32>>,
    /// What the member is to have in the end.
    pub(crate) target: Assignment,
}

/// A member of the classic protocol in a consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ClassicValue {
    /// Session timeout in milliseconds.
    pub(crate) session_timeout_ms: u32,
    /// Protocols offered, with their metadata, in order of preference.
    pub(crate) protocols: Vec<(Arc<str>, Blob)>,
}

impl ClassicValue {
    pub(in crate::group) fn to_protocols(&self) -> Vec<Protocol> {
        let protocol = |(name, Blob(metadata)): &(Arc<str>, Blob)| Protocol {
            name: name.clone(),
            metadata: metadata.clone(),
        };
        self.protocols.iter().map(protocol).collect()
    }
}

impl MemberValue {
    /// One that has not said anything yet.
    pub(in crate::group) fn new(member_id: Arc<str>) -> Self {
        Self {
            member_id,
            group_instance_id: None,
            rack_id: None,
            client_id: Arc::default(),
            client_host: Arc::default(),
            subscribed_topic_names: Vec::new(),
            subscribed_topic_regex: None,
            server_assignor: None,
            rebalance_timeout_ms: 0,
            classic: None,
            member_epoch: 0,
            previous_member_epoch: 0,
            state: MemberState::Stable,
            assigned: Assignment::default(),
            pending_revocation: Assignment::default(),
            since: BTreeMap::new(),
            target: Assignment::default(),
        }
    }

    pub(in crate::group) fn is_classic(&self) -> bool {
        self.classic.is_some()
    }

    pub(in crate::group) fn rebalance_timeout(&self) -> Duration {
        Duration::from_millis(self.rebalance_timeout_ms.into())
    }

    /// Whether it has reached this epoch of the target and waits for nothing.
    pub(in crate::group) fn is_reconciled_to(&self, assignment_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.member_epoch == assignment_epoch
    }

    /// Whether both subscribe to the same.
    pub(in crate::group) fn subscribes_like(&self, other: &Self) -> bool {
        self.subscribed_topic_names == other.subscribed_topic_names
            && self.subscribed_topic_regex == other.subscribed_topic_regex
    }

    /// Bytes that it brings into the group by what it says.
    pub(in crate::group) fn weight(&self) -> usize {
        /// What a name takes besides its letters.
        const OF_A_NAME: usize = 32;
        let names: usize = self
            .subscribed_topic_names
            .iter()
            .map(|name| name.len() + OF_A_NAME)
            .sum();
        let regex = self.subscribed_topic_regex.as_ref();
        let classic = self.classic.as_ref().map(ClassicValue::to_protocols);
        names
            + regex.map_or(0, |regex| regex.len())
            + protocols_weight(&classic.unwrap_or_default())
    }

    /// One step towards the target of `assignment_epoch`; `owned` is what the member says it has, and
    /// `is_taken` tells what other members have. None if there is no step to take now.
    pub(in crate::group) fn reconciled(
        &self,
        assignment_epoch: i32,
        owned: Option<&Assignment>,
        is_taken: impl Fn((TopicId, i32)) -> bool,
    ) -> Option<Self> {
        let reached = match self.state {
            MemberState::Stable if self.member_epoch == assignment_epoch => return None,
            MemberState::Stable | MemberState::UnreleasedPartitions => self.member_epoch,
            MemberState::UnrevokedPartitions
                if owned.is_none_or(|owned| owned.intersects(&self.pending_revocation)) =>
            {
                return None;
            }
            MemberState::UnrevokedPartitions => self.member_epoch.saturating_add(1),
        };
        let keeps = self
            .assigned
            .filtered(|partition| self.target.contains(partition));
        let gives = self
            .assigned
            .filtered(|partition| !self.target.contains(partition));
        let must_give = !gives.is_empty() && owned.is_none_or(|owned| owned.intersects(&gives));
        if must_give {
            let next = self.at(
                reached.min(assignment_epoch),
                MemberState::UnrevokedPartitions,
            );
            let next = Self {
                assigned: keeps,
                pending_revocation: gives,
                ..next
            };
            return Some(next.dated());
        }
        let takes = self
            .target
            .filtered(|partition| !self.assigned.contains(partition));
        let free = takes.filtered(|partition| !is_taken(partition));
        let state = if free.len() == takes.len() {
            MemberState::Stable
        } else {
            MemberState::UnreleasedPartitions
        };
        let mut assigned = keeps;
        assigned.extend(free.iter());
        let next = Self {
            assigned,
            pending_revocation: Assignment::default(),
            ..self.at(assignment_epoch, state)
        };
        let next = next.dated();
        (next != *self).then_some(next)
    }

    /// With its present epoch for what it has got since its last one.
    pub(in crate::group) fn dated(mut self) -> Self {
        let known = std::mem::take(&mut self.since);
        for (topic, partition) in self.assigned.iter().chain(self.pending_revocation.iter()) {
            let at = known
                .get(&topic)
                .and_then(|of_topic| of_topic.get(&partition));
            let at = at.copied().unwrap_or(self.member_epoch);
            self.since.entry(topic).or_default().insert(partition, at);
        }
        self
    }

    /// Whether the member has had a partition since this epoch, or longer.
    pub(in crate::group) fn has_since(&self, topic: &TopicId, partition: i32, epoch: i32) -> bool {
        let of_topic = self.since.get(topic);
        of_topic
            .and_then(|of_topic| of_topic.get(&partition))
            .is_some_and(|at| *at <= epoch)
    }

    fn at(&self, member_epoch: i32, state: MemberState) -> Self {
        let previous_member_epoch = if member_epoch == self.member_epoch {
            self.previous_member_epoch
        } else {
            self.member_epoch
        };
        Self {
            member_epoch,
            previous_member_epoch,
            state,
            ..self.clone()
        }
    }
}

/// What a member must do in time, or it is fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::group) enum Deadline {
    /// Be heard from.
    Session,
    /// Give back what is pending revocation.
    Revocation,
    /// Join again; only of a classic member.
    Join,
    /// Sync; only of a classic member.
    Sync,
}

/// A member with its armed timers.
#[derive(Debug)]
pub(in crate::group) struct Member {
    pub(in crate::group) value: MemberValue,
    pub(in crate::group) timers: BTreeMap<Deadline, TimerId>,
}

/// Names as they are stored: sorted, each once.
pub(in crate::group) fn sorted_names(names: &[Arc<str>]) -> Vec<Arc<str>> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    names
}
