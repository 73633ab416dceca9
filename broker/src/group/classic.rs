//! A group and its members: membership, leader, protocol, and what of it is logged. Pure.
//!
//! State and members move by the rules in `join`, `sync`, `leave` and `rebalance`; the methods here keep
//! the parts in step with each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::consumer::ConsumerGroup;
use super::member::Member;
use super::record::{CommittedOffset, GroupMetadata, GroupRecord, GroupValue};
use super::step::Step;
use super::timer::{Timer, TimerId};
use super::{GroupError, JoinReply, Protocol, Reply, SyncReply, Token};

/// Where a group stands. Allowed: Empty → PreparingRebalance → CompletingRebalance → Stable, from the last
/// two back to PreparingRebalance, and from PreparingRebalance to Empty when nobody is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// No members; perhaps offsets.
    Empty,
    /// Waits for the members to join.
    PreparingRebalance,
    /// Waits for the leader's assignment.
    CompletingRebalance,
    /// Every member can have its assignment.
    Stable,
    /// There is no such group.
    Dead,
}

impl State {
    /// Kafka's spelling.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The wait before the first rebalance of an empty group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InitialDelay {
    /// How much longer it may be extended.
    pub(super) remaining: Duration,
    /// Somebody joined since it was last extended.
    pub(super) member_added: bool,
}

/// Offsets by topic and partition.
pub(super) type PendingOffsets = BTreeMap<(Arc<str>, i32), CommittedOffset>;

/// A group of either protocol with its offsets. Of a group of the consumer protocol, what is about
/// members here is as in an empty classic group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) group_id: Arc<str>,
    /// The members of a group of the consumer protocol, and what they are to read.
    pub(super) consumer: Option<Box<ConsumerGroup>>,
    pub(super) state: State,
    pub(super) generation_id: i32,
    pub(super) protocol_type: Option<Arc<str>>,
    pub(super) protocol_name: Option<Arc<str>>,
    /// A member, whenever there are members.
    pub(super) leader: Option<Arc<str>>,
    pub(super) current_state_timestamp_ms: Option<i64>,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    /// Instance id to member id, for exactly the static members.
    pub(super) static_members: BTreeMap<Arc<str>, Arc<str>>,
    /// Ids handed out with MEMBER_ID_REQUIRED, until they join or their session ends.
    pub(super) pending_join: BTreeMap<Arc<str>, TimerId>,
    /// Members of this generation that have not asked for their assignment.
    pub(super) pending_sync: BTreeSet<Arc<str>>,
    /// Armed exactly in PreparingRebalance.
    pub(super) join_timer: Option<TimerId>,
    /// Armed while `pending_sync` is not empty.
    pub(super) sync_timer: Option<TimerId>,
    /// Set while the join timer is that of a first rebalance.
    pub(super) initial_delay: Option<InitialDelay>,
    pub(super) offsets: BTreeMap<Arc<str>, BTreeMap<i32, CommittedOffset>>,
    pub(super) offset_count: usize,
    /// By producer: offsets that come into force if its transaction commits.
    pub(super) pending_offsets: BTreeMap<i64, PendingOffsets>,
    /// What the log says of the group; none for one that only stores offsets or never had a generation.
    pub(super) logged: Option<GroupValue>,
}

impl Group {
    pub(super) fn new(group_id: Arc<str>) -> Self {
        Self {
            group_id,
            consumer: None,
            state: State::Empty,
            generation_id: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            current_state_timestamp_ms: None,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            pending_join: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            join_timer: None,
            sync_timer: None,
            initial_delay: None,
            offsets: BTreeMap::new(),
            offset_count: 0,
            pending_offsets: BTreeMap::new(),
            logged: None,
        }
    }

    /// Whether there are no members, whatever their protocol.
    pub(super) fn is_empty(&self) -> bool {
        match &self.consumer {
            Some(consumer) => consumer.is_empty(),
            None => self.state == State::Empty,
        }
    }

    /// State, as Kafka writes it.
    pub(super) fn state_name(&self) -> &'static str {
        match &self.consumer {
            Some(consumer) => consumer.state().as_str(),
            None => self.state.as_str(),
        }
    }

    /// Nothing would be lost by forgetting the group.
    pub(super) fn is_void(&self) -> bool {
        self.consumer.is_none()
            && self.state == State::Empty
            && self.logged.is_none()
            && self.pending_join.is_empty()
            && self.offset_count == 0
            && self.pending_offsets.is_empty()
    }

    /// Whether the log says anything of the group.
    pub(super) fn is_logged(&self) -> bool {
        self.consumer.is_some()
            || self.logged.is_some()
            || self.offset_count > 0
            || !self.pending_offsets.is_empty()
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Bytes of the group's record, give or take its fixed parts.
    pub(super) fn weight(&self) -> usize {
        self.members.values().map(Member::weight).sum()
    }

    /// That a member is who it says and the instance id is still its own.
    pub(super) fn validate_member(
        &self,
        member_id: &str,
        group_instance_id: Option<&str>,
    ) -> Result<(), GroupError> {
        if let Some(instance) = group_instance_id {
            match self.static_members.get(instance) {
                None => return Err(GroupError::UnknownMemberId),
                Some(owner) if **owner != *member_id => return Err(GroupError::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) {
            Ok(())
        } else {
            Err(GroupError::UnknownMemberId)
        }
    }

    /// That the group can work with these protocols: in an empty one any, otherwise its type and one that
    /// all members offer.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.members.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|offer| self.all_offer(&offer.name))
    }

    fn all_offer(&self, protocol: &str) -> bool {
        self.members.values().all(|member| member.offers(protocol))
    }

    /// The protocol most members prefer among those that all offer; of equals the first by name.
    pub(super) fn select_protocol(&self) -> Option<Arc<str>> {
        let first = self.members.values().next()?;
        let candidates: BTreeSet<&Arc<str>> = first
            .protocols
            .iter()
            .map(|offer| &offer.name)
            .filter(|name| self.all_offer(name))
            .collect();
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            let vote = member
                .protocols
                .iter()
                .find(|offer| candidates.contains(&offer.name));
            if let Some(offer) = vote {
                *votes.entry(&offer.name).or_default() += 1;
            }
        }
        votes
            .into_iter()
            .rev()
            .max_by_key(|(_, count)| *count)
            .map(|(name, _)| name.clone())
    }

    /// Adds a member; the first one gives the group its protocol type and leads it.
    pub(super) fn add(&mut self, member: Member, protocol_type: &Arc<str>, step: &mut Step<'_>) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.clone());
        }
        if let Some(timer) = self.pending_join.remove(&member.member_id) {
            step.timers.cancel(Some(timer));
        }
        if let Some(instance) = &member.group_instance_id {
            self.static_members
                .insert(instance.clone(), member.member_id.clone());
        }
        self.leader.get_or_insert_with(|| member.member_id.clone());
        self.members.insert(member.member_id.clone(), member);
    }

    /// Removes a member or an id handed out, answers what it waits for and passes its leadership on.
    /// True if it was a member; then a rebalance must follow unless one runs.
    pub(super) fn remove(&mut self, member_id: &str, step: &mut Step<'_>) -> bool {
        step.timers.cancel(self.pending_join.remove(member_id));
        let Some(mut member) = self.members.remove(member_id) else {
            return false;
        };
        step.timers.cancel(member.session);
        self.fail_waiting(&mut member, GroupError::UnknownMemberId, "", step);
        if let Some(instance) = &member.group_instance_id {
            self.static_members.remove(instance);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        true
    }

    /// Answers whatever a member waits for with an error.
    pub(super) fn fail_waiting(
        &self,
        member: &mut Member,
        error: GroupError,
        member_id: &str,
        step: &mut Step<'_>,
    ) {
        if let Some(token) = member.awaiting_join.take() {
            step.reply(
                token,
                Reply::Join(JoinReply::failed(error, Arc::from(member_id))),
            );
        }
        if let Some(token) = member.awaiting_sync.take() {
            step.reply(token, Reply::Sync(SyncReply::failed(error)));
        }
    }

    /// A member that has not synced need not be waited for any more.
    pub(super) fn drop_pending_sync(&mut self, member_id: &str, step: &mut Step<'_>) {
        if self.pending_sync.remove(member_id) && self.pending_sync.is_empty() {
            step.timers.cancel(self.sync_timer.take());
        }
    }

    /// Parks a JoinGroup. An earlier one of the same member will not be read, but must be answered.
    pub(super) fn park_join(&mut self, member_id: &Arc<str>, token: Token, step: &mut Step<'_>) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        step.parked
            .insert(token, (self.group_id.clone(), member_id.clone()));
        if let Some(earlier) = member.awaiting_join.replace(token) {
            let reply = JoinReply::failed(GroupError::RebalanceInProgress, member_id.clone());
            step.reply(earlier, Reply::Join(reply));
        }
    }

    /// Parks a SyncGroup, as [`park_join`](Self::park_join).
    pub(super) fn park_sync(&mut self, member_id: &Arc<str>, token: Token, step: &mut Step<'_>) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        step.parked
            .insert(token, (self.group_id.clone(), member_id.clone()));
        if let Some(earlier) = member.awaiting_sync.replace(token) {
            let reply = SyncReply::failed(GroupError::RebalanceInProgress);
            step.reply(earlier, Reply::Sync(reply));
        }
    }

    /// The longest any member wants a rebalance to wait for it.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.members
            .values()
            .map(|member| member.rebalance_timeout)
            .max()
            .unwrap_or_default()
    }

    pub(super) fn transition(&mut self, state: State, step: &Step<'_>) {
        debug_assert!(
            matches!(
                (self.state, state),
                (
                    State::Empty | State::CompletingRebalance | State::Stable,
                    State::PreparingRebalance
                ) | (
                    State::PreparingRebalance,
                    State::CompletingRebalance | State::Empty
                ) | (State::CompletingRebalance, State::Stable)
            ),
            "{} to {state}",
            self.state
        );
        self.state = state;
        self.current_state_timestamp_ms = Some(step.now.wall_ms);
    }

    /// Writes the group down as it is.
    pub(super) fn log(&mut self, step: &mut Step<'_>) {
        let value = GroupValue {
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone(),
            current_state_timestamp_ms: self.current_state_timestamp_ms.unwrap_or(step.now.wall_ms),
            members: self.members.values().map(Member::to_value).collect(),
        };
        self.logged = Some(value.clone());
        let metadata = GroupMetadata {
            group_id: self.group_id.clone(),
            value,
        };
        step.record(GroupRecord::GroupMetadata(metadata));
    }

    /// Takes over what the log says.
    pub(super) fn replay(&mut self, value: GroupValue) {
        self.state = if value.members.is_empty() {
            State::Empty
        } else {
            State::Stable
        };
        self.generation_id = value.generation_id;
        self.protocol_type.clone_from(&value.protocol_type);
        self.protocol_name.clone_from(&value.protocol_name);
        self.leader.clone_from(&value.leader);
        self.current_state_timestamp_ms = Some(value.current_state_timestamp_ms);
        let members = value.members.iter().map(Member::from_value);
        self.members = members
            .map(|member| (member.member_id.clone(), member))
            .collect();
        let instance = |member: &Member| {
            let instance = member.group_instance_id.clone()?;
            Some((instance, member.member_id.clone()))
        };
        self.static_members = self.members.values().filter_map(instance).collect();
        self.logged = Some(value);
    }

    pub(super) fn offset(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.offsets.get(topic)?.get(&partition)
    }

    /// Stores or, with none, forgets an offset.
    pub(super) fn set_offset(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
        offset: Option<CommittedOffset>,
    ) {
        if let Some(offset) = offset {
            let partitions = self.offsets.entry(topic.clone()).or_default();
            if partitions.insert(partition, offset).is_none() {
                self.offset_count += 1;
            }
            return;
        }
        let Some(partitions) = self.offsets.get_mut(topic) else {
            return;
        };
        if partitions.remove(&partition).is_some() {
            self.offset_count -= 1;
        }
        if partitions.is_empty() {
            self.offsets.remove(topic);
        }
    }

    /// Forgets the logged generation of a group without members.
    pub(super) fn forget(&mut self) {
        debug_assert_eq!(
            self.state,
            State::Empty,
            "only a group without members is deleted"
        );
        self.generation_id = 0;
        self.protocol_type = None;
        self.protocol_name = None;
        self.leader = None;
        self.current_state_timestamp_ms = None;
        self.logged = None;
    }

    pub(super) fn arm_join(&mut self, delay: Duration, step: &mut Step<'_>) {
        step.timers.cancel(self.join_timer);
        let timer = Timer::Join {
            group_id: self.group_id.clone(),
        };
        self.join_timer = Some(step.timers.arm(step.after(delay), timer));
    }
}
