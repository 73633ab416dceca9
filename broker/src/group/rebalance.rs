//! How a group gets from one generation to the next, and what its timers do. Pure.

use std::sync::Arc;
use std::time::Duration;

use super::classic::{Group, InitialDelay, State};
use super::config::MIN_REBALANCE_RETRY;
use super::groups::Groups;
use super::member::Member;
use super::step::Step;
use super::timer::Timer;
use super::{Command, GroupError, JoinReply, JoinedMember, Reason, Reply, SyncReply, Token};

impl Group {
    /// After a member joined or changed: begins a rebalance, or ends the one that runs if it was the last.
    pub(super) fn rebalance_or_complete(&mut self, reason: Reason, step: &mut Step<'_>) {
        if self.state == State::PreparingRebalance {
            self.maybe_complete_join(step);
        } else {
            self.prepare_rebalance(reason, step);
        }
    }

    /// Begins a rebalance. Members learn of it from heartbeats; those waiting for an assignment at once.
    pub(super) fn prepare_rebalance(&mut self, reason: Reason, step: &mut Step<'_>) {
        if self.state == State::CompletingRebalance {
            for member in self.members.values_mut() {
                member.assignment.clear();
            }
            self.fail_syncs(GroupError::RebalanceInProgress, step);
        }
        self.pending_sync.clear();
        step.timers.cancel(self.sync_timer.take());
        step.command(Command::Rebalancing {
            group_id: self.group_id.clone(),
            generation_id: self.generation_id,
            reason,
        });
        let is_first = self.state == State::Empty;
        self.transition(State::PreparingRebalance, step);
        let delay = step.config.initial_rebalance_delay;
        if is_first && delay > Duration::ZERO {
            let remaining = self.rebalance_timeout().saturating_sub(delay);
            self.initial_delay = Some(InitialDelay {
                remaining,
                member_added: false,
            });
            self.arm_join(delay, step);
        } else if is_first || self.all_joined() {
            self.complete_join(step);
        } else {
            self.arm_join(self.rebalance_timeout(), step);
        }
    }

    /// Answers every waiting SyncGroup with an error.
    pub(super) fn fail_syncs(&mut self, error: GroupError, step: &mut Step<'_>) {
        for member in self.members.values_mut() {
            if let Some(token) = member.awaiting_sync.take() {
                member.refresh(&self.group_id, step);
                step.reply(token, Reply::Sync(SyncReply::failed(error)));
            }
        }
    }

    /// Ends the wait for members if there is nobody left to wait for.
    pub(super) fn maybe_complete_join(&mut self, step: &mut Step<'_>) {
        let is_delayed = self.initial_delay.is_some() && !self.members.is_empty();
        if self.state == State::PreparingRebalance && !is_delayed && self.all_joined() {
            self.complete_join(step);
        }
    }

    /// Members that have joined the coming generation.
    pub(super) fn joined(&self) -> usize {
        self.members
            .values()
            .filter(|member| member.awaiting_join.is_some())
            .count()
    }

    fn all_joined(&self) -> bool {
        let nobody_pending = self.pending_join.is_empty() || self.members.is_empty();
        nobody_pending && self.joined() == self.members.len()
    }

    /// Begins the next generation with the members that joined and the static ones; waits on if none joined.
    fn complete_join(&mut self, step: &mut Step<'_>) {
        step.timers.cancel(self.join_timer.take());
        self.initial_delay = None;
        self.drop_missing_members(step);
        if !self.members.is_empty() && !self.elect_joined_leader() {
            let retry = self.rebalance_timeout().max(MIN_REBALANCE_RETRY);
            self.arm_join(retry, step);
            return;
        }
        self.generation_id = self.generation_id.checked_add(1).unwrap_or(1);
        step.command(Command::GenerationStarted {
            group_id: self.group_id.clone(),
            generation_id: self.generation_id,
            members: self.members.len(),
        });
        self.protocol_name = self.select_protocol();
        if self.members.is_empty() {
            self.transition(State::Empty, step);
            self.log(step);
        } else {
            self.transition(State::CompletingRebalance, step);
            self.answer_joins(step);
            self.pending_sync = self.members.keys().cloned().collect();
            let timer = Timer::Sync {
                group_id: self.group_id.clone(),
            };
            let at = step.after(self.rebalance_timeout());
            self.sync_timer = Some(step.timers.arm(at, timer));
        }
    }

    fn drop_missing_members(&mut self, step: &mut Step<'_>) {
        let is_missing = |member: &&Member| member.awaiting_join.is_none() && !member.is_static();
        let missing: Vec<Arc<str>> = self
            .members
            .values()
            .filter(is_missing)
            .map(|member| member.member_id.clone())
            .collect();
        for member_id in missing {
            self.expire(member_id, step);
        }
    }

    /// Removes a member that did not do its part.
    /// True if it was a member and not just an id handed out.
    fn expire(&mut self, member_id: Arc<str>, step: &mut Step<'_>) -> bool {
        let was_member = self.remove(&member_id, step);
        let group_id = self.group_id.clone();
        step.command(Command::MemberExpired {
            group_id,
            member_id,
        });
        was_member
    }

    /// The leader must be one that will get the reply; true if there is one.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined = |member: &&Member| member.awaiting_join.is_some();
        let leader = self
            .leader
            .as_ref()
            .and_then(|leader| self.members.get(leader));
        if leader.filter(has_joined).is_some() {
            return true;
        }
        let elected = self.members.values().find(has_joined);
        if let Some(member) = elected {
            self.leader = Some(member.member_id.clone());
        }
        elected.is_some()
    }

    fn answer_joins(&mut self, step: &mut Step<'_>) {
        let waiting: Vec<(Arc<str>, Token)> = self
            .members
            .values_mut()
            .filter_map(|member| Some((member.member_id.clone(), member.awaiting_join.take()?)))
            .collect();
        for (member_id, token) in waiting {
            let reply = self.current_generation(member_id.clone());
            step.reply(token, Reply::Join(reply));
            if let Some(member) = self.members.get_mut(&member_id) {
                member.is_new = false;
                member.refresh(&self.group_id, step);
            }
        }
    }

    /// What a member that has joined is told: everything for the leader.
    pub(super) fn current_generation(&self, member_id: Arc<str>) -> JoinReply {
        let members = if self.is_leader(&member_id) {
            self.joined_members()
        } else {
            Vec::new()
        };
        JoinReply {
            error: GroupError::None,
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            member_id,
            members,
        }
    }

    fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        self.members
            .values()
            .map(|member| JoinedMember {
                member_id: member.member_id.clone(),
                group_instance_id: member.group_instance_id.clone(),
                metadata: member.metadata(protocol).cloned().unwrap_or_default(),
            })
            .collect()
    }

    /// The wait for members is over.
    pub(super) fn join_expired(&mut self, step: &mut Step<'_>) {
        self.join_timer = None;
        if let Some(delay) = &mut self.initial_delay
            && delay.member_added
            && delay.remaining > Duration::ZERO
        {
            let extension = step.config.initial_rebalance_delay.min(delay.remaining);
            delay.remaining -= extension;
            delay.member_added = false;
            self.arm_join(extension, step);
            return;
        }
        self.complete_join(step);
    }

    /// The wait for SyncGroup is over: whoever did not ask for its assignment is gone.
    pub(super) fn sync_expired(&mut self, step: &mut Step<'_>) {
        self.sync_timer = None;
        let missing = std::mem::take(&mut self.pending_sync);
        for member_id in missing {
            self.expire(member_id, step);
        }
        self.prepare_rebalance(Reason::SyncExpired, step);
    }

    /// A member, or one that was to join, has been silent for too long.
    pub(super) fn session_expired(&mut self, member_id: &Arc<str>, step: &mut Step<'_>) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.session = None;
            if member.is_alive_by_waiting() {
                return;
            }
        }
        if self.expire(member_id.clone(), step) {
            self.after_removal(Reason::SessionExpired, step);
        } else {
            self.maybe_complete_join(step);
        }
    }

    /// Carries on without members that were removed.
    pub(super) fn after_removal(&mut self, reason: Reason, step: &mut Step<'_>) {
        match self.state {
            State::CompletingRebalance | State::Stable => self.prepare_rebalance(reason, step),
            State::PreparingRebalance => self.maybe_complete_join(step),
            State::Empty | State::Dead => {}
        }
    }

    /// A loaded group: everybody gets time to be heard from again.
    pub(super) fn loaded(&mut self, step: &mut Step<'_>) {
        if let Some(consumer) = &mut self.consumer {
            consumer.loaded(&self.group_id, step);
        }
        for member in self.members.values_mut() {
            member.refresh(&self.group_id, step);
        }
        if self.members.len() > step.config.max_size {
            self.prepare_rebalance(Reason::OverCapacity, step);
        }
    }
}

/// A connection is gone. Its member has not joined, or not got its assignment, until it asks again.
pub(super) fn abandoned(groups: &mut Groups, token: Token, step: &mut Step<'_>) {
    let Some((group_id, member_id)) = step.parked.remove(&token) else {
        return;
    };
    groups.with(&group_id, |group| {
        let Some(member) = group.members.get_mut(&member_id) else {
            return;
        };
        for waiting in [&mut member.awaiting_join, &mut member.awaiting_sync] {
            waiting.take_if(|waiting| *waiting == token);
        }
        member.refresh(&group_id, step);
    });
}
