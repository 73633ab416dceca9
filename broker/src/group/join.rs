//! JoinGroup: who becomes a member and whether that takes a rebalance. Pure.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::classic::{Group, State};
use super::config::{MAX_CLIENT_ID, MAX_ID, MAX_PROTOCOLS};
use super::groups::Groups;
use super::member::{Member, protocols_weight};
use super::step::Step;
use super::timer::Timer;
use super::{
    Command, GroupConfig, GroupError, JoinReply, JoinRequest, Protocol, Reason, Reply, Token,
};

/// From this version on a member is told its id before it may join (KIP-394).
pub(super) const MEMBER_ID_REQUIRED_SINCE: i16 = 4;
/// From this version on a leader can be told that the old assignment holds (KIP-814).
const SKIP_ASSIGNMENT_SINCE: i16 = 9;

pub(super) fn handle(
    groups: &mut Groups,
    ids: &mut dyn FnMut() -> Uuid,
    token: Token,
    request: &JoinRequest,
    step: &mut Step<'_>,
) {
    let joined = check(request, step.config).and_then(|timeouts| {
        let join = Join {
            request,
            timeouts,
            token,
        };
        if request.member_id.is_empty() {
            let max_groups = step.config.max_groups;
            groups
                .with_new(&request.group_id, max_groups, |group| {
                    group.join_any(&join, ids, step)
                })
                .map_err(|error| match error {
                    GroupError::PolicyViolation => GroupError::GroupMaxSizeReached,
                    error => error,
                })?
        } else {
            groups
                .with(&request.group_id, |group| group.join_any(&join, ids, step))
                .unwrap_or(Err(GroupError::UnknownMemberId))
        }
    });
    if let Err(error) = joined {
        step.reply(
            token,
            Reply::Join(JoinReply::failed(error, request.member_id.clone())),
        );
    }
}

pub(super) struct Join<'a> {
    pub(super) request: &'a JoinRequest,
    pub(super) timeouts: Timeouts,
    pub(super) token: Token,
}

#[derive(Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) session: Duration,
    pub(super) rebalance: Duration,
}

/// What can be refused without looking at the group.
fn check(request: &JoinRequest, config: &GroupConfig) -> Result<Timeouts, GroupError> {
    if request.group_id.is_empty() || request.group_id.len() > MAX_ID {
        return Err(GroupError::InvalidGroupId);
    }
    let session = to_duration(request.session_timeout_ms).unwrap_or_default();
    if session < config.min_session_timeout || session > config.max_session_timeout {
        return Err(GroupError::InvalidSessionTimeout);
    }
    let is_instance_too_long = request
        .group_instance_id
        .as_ref()
        .is_some_and(|instance| instance.len() > MAX_ID);
    if is_instance_too_long
        || request.protocol_type.len() > MAX_ID
        || request.client_host.len() > MAX_ID
        || request.protocols.len() > MAX_PROTOCOLS
        || protocols_weight(&request.protocols) > config.max_member_metadata
    {
        return Err(GroupError::InvalidRequest);
    }
    let rebalance = match request.api_version {
        0 => session,
        _ => to_duration(request.rebalance_timeout_ms).unwrap_or(session),
    };
    Ok(Timeouts { session, rebalance })
}

fn to_duration(ms: i32) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}

impl Join<'_> {
    /// A member as the request describes it. What it keeps is copied: a member must not keep a whole
    /// request alive.
    fn to_member(&self, member_id: Arc<str>) -> Member {
        let request = self.request;
        Member {
            member_id,
            group_instance_id: request.group_instance_id.clone(),
            client_id: Arc::from(prefix(&request.client_id, MAX_CLIENT_ID)),
            client_host: request.client_host.clone(),
            session_timeout: self.timeouts.session,
            rebalance_timeout: self.timeouts.rebalance,
            protocols: copy(&request.protocols),
            assignment: Bytes::new(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: true,
            session: None,
        }
    }
}

impl Group {
    /// A group of the consumer protocol that has no members is a classic one from here on.
    fn join_any(
        &mut self,
        join: &Join<'_>,
        ids: &mut dyn FnMut() -> Uuid,
        step: &mut Step<'_>,
    ) -> Result<(), GroupError> {
        match &self.consumer {
            Some(consumer) if !consumer.is_empty() => {
                return self.join_consumer(join, ids, step);
            }
            Some(_) => self.downgrade(false, step),
            None => {}
        }
        if join.request.member_id.is_empty() {
            self.join_new(join, ids, step)
        } else {
            self.join_existing(join, step)
        }
    }

    fn join_new(
        &mut self,
        join: &Join<'_>,
        ids: &mut dyn FnMut() -> Uuid,
        step: &mut Step<'_>,
    ) -> Result<(), GroupError> {
        let request = join.request;
        let instance = request.group_instance_id.as_ref();
        let replaced = instance
            .and_then(|instance| self.static_members.get(instance))
            .cloned();
        if replaced.is_none() && self.members.len() >= step.config.max_size {
            return Err(GroupError::GroupMaxSizeReached);
        }
        self.check_protocols(request, replaced.as_ref(), step.config)?;
        let prefix = instance.map_or(prefix(&request.client_id, MAX_CLIENT_ID), |instance| {
            &**instance
        });
        let member_id: Arc<str> = Arc::from(format!("{prefix}-{}", ids()));
        if let Some(replaced) = replaced {
            self.replace_static(join, &replaced, member_id, step);
        } else if instance.is_none() && request.api_version >= MEMBER_ID_REQUIRED_SINCE {
            return self.hand_out(join, member_id, step);
        } else {
            self.add_and_rebalance(join, member_id, step);
        }
        Ok(())
    }

    /// That the group can work with the protocols offered and has room for their metadata.
    fn check_protocols(
        &self,
        request: &JoinRequest,
        replaced: Option<&Arc<str>>,
        config: &GroupConfig,
    ) -> Result<(), GroupError> {
        if !self.supports(&request.protocol_type, &request.protocols) {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        let freed = replaced
            .and_then(|member_id| self.members.get(member_id))
            .map_or(0, |member| protocols_weight(&member.protocols));
        let weight = self.weight().saturating_sub(freed) + protocols_weight(&request.protocols);
        if weight > config.max_group_metadata {
            return Err(GroupError::GroupMaxSizeReached);
        }
        Ok(())
    }

    /// Answers with a member id to join with, and keeps it for a session timeout.
    fn hand_out(
        &mut self,
        join: &Join<'_>,
        member_id: Arc<str>,
        step: &mut Step<'_>,
    ) -> Result<(), GroupError> {
        if self.pending_join.len() >= step.config.max_size {
            return Err(GroupError::GroupMaxSizeReached);
        }
        let timer = Timer::Session {
            group_id: self.group_id.clone(),
            member_id: member_id.clone(),
        };
        let timer = step.timers.arm(step.after(join.timeouts.session), timer);
        self.pending_join.insert(member_id.clone(), timer);
        let reply = JoinReply::failed(GroupError::MemberIdRequired, member_id);
        step.reply(join.token, Reply::Join(reply));
        Ok(())
    }

    fn add_and_rebalance(&mut self, join: &Join<'_>, member_id: Arc<str>, step: &mut Step<'_>) {
        if let Some(delay) = &mut self.initial_delay {
            delay.member_added = true;
        }
        let mut member = join.to_member(member_id.clone());
        member.refresh_for(step.config.new_member_join_timeout, &self.group_id, step);
        self.add(member, &join.request.protocol_type, step);
        self.park_join(&member_id, join.token, step);
        self.rebalance_or_complete(Reason::MemberJoined, step);
    }

    fn join_existing(&mut self, join: &Join<'_>, step: &mut Step<'_>) -> Result<(), GroupError> {
        let request = join.request;
        if !self.accepts(&request.member_id, step.config) {
            self.remove(&request.member_id, step);
            self.maybe_complete_join(step);
            return Err(GroupError::GroupMaxSizeReached);
        }
        let instance = request.group_instance_id.as_deref();
        let is_pending = self.pending_join.contains_key(&request.member_id) && instance.is_none();
        self.check_protocols(request, Some(&request.member_id), step.config)?;
        if is_pending {
            self.add_and_rebalance(join, request.member_id.clone(), step);
            return Ok(());
        }
        self.validate_member(&request.member_id, instance)?;
        let is_same = self
            .members
            .get(&request.member_id)
            .is_some_and(|member| member.protocols == request.protocols);
        let keeps_generation = match self.state {
            State::CompletingRebalance => is_same,
            State::Stable => is_same && !self.is_leader(&request.member_id),
            State::PreparingRebalance | State::Empty | State::Dead => false,
        };
        if keeps_generation {
            let reply = self.current_generation(request.member_id.clone());
            step.reply(join.token, Reply::Join(reply));
        } else {
            self.rejoin(join, step);
        }
        Ok(())
    }

    /// Whether there is room. A rebalance that began with too many members drops the last to rejoin.
    fn accepts(&self, member_id: &str, config: &GroupConfig) -> bool {
        match self.members.get(member_id) {
            None => {
                !self.pending_join.contains_key(member_id) || self.members.len() < config.max_size
            }
            Some(member) => {
                self.state != State::PreparingRebalance
                    || member.awaiting_join.is_some()
                    || self.joined() < config.max_size
            }
        }
    }

    fn rejoin(&mut self, join: &Join<'_>, step: &mut Step<'_>) {
        let member_id = &join.request.member_id;
        if let Some(member) = self.members.get_mut(member_id) {
            member.session_timeout = join.timeouts.session;
            member.rebalance_timeout = join.timeouts.rebalance;
            member.protocols = copy(&join.request.protocols);
        }
        self.park_join(member_id, join.token, step);
        self.rebalance_or_complete(Reason::MemberRejoined, step);
    }

    /// A static member came back without its id: it gets a new one and what the old one had (KIP-345).
    fn replace_static(
        &mut self,
        join: &Join<'_>,
        old_id: &Arc<str>,
        new_id: Arc<str>,
        step: &mut Step<'_>,
    ) {
        let Some(mut old) = self.members.remove(old_id) else {
            return;
        };
        let old_leader = self.leader.clone();
        step.timers.cancel(old.session);
        self.fail_waiting(&mut old, GroupError::FencedInstanceId, old_id, step);
        let group_id = self.group_id.clone();
        step.command(Command::MemberFenced {
            group_id,
            member_id: old_id.clone(),
        });
        let mut member = join.to_member(new_id.clone());
        member.assignment = old.assignment;
        member.is_new = false;
        member.refresh(&self.group_id, step);
        if let Some(instance) = &member.group_instance_id {
            self.static_members.insert(instance.clone(), new_id.clone());
        }
        self.members.insert(new_id.clone(), member);
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        if self.pending_sync.remove(old_id) {
            self.pending_sync.insert(new_id.clone());
        }
        if self.state == State::Stable && self.select_protocol() == self.protocol_name {
            self.log(step);
            let reply = self.unchanged_generation(join, new_id, old_leader);
            step.reply(join.token, Reply::Join(reply));
        } else {
            self.park_join(&new_id, join.token, step);
            self.rebalance_or_complete(Reason::StaticMemberReplaced, step);
        }
    }

    /// The leader must not assign again: it is told so, or, before that was possible, that another leads.
    fn unchanged_generation(
        &self,
        join: &Join<'_>,
        member_id: Arc<str>,
        old_leader: Option<Arc<str>>,
    ) -> JoinReply {
        let mut reply = self.current_generation(member_id);
        if join.request.api_version >= SKIP_ASSIGNMENT_SINCE {
            reply.skip_assignment = self.is_leader(&reply.member_id);
        } else {
            reply.leader = old_leader.unwrap_or_default();
            reply.members.clear();
        }
        reply
    }
}

fn copy(protocols: &[Protocol]) -> Vec<Protocol> {
    protocols
        .iter()
        .map(|offer| Protocol {
            name: offer.name.clone(),
            metadata: Bytes::copy_from_slice(&offer.metadata),
        })
        .collect()
}

/// At most `max` bytes of `text`, whole characters only.
pub(super) fn prefix(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max))
        .unwrap_or_default()
}
