//! SyncGroup and Heartbeat: what members of a generation ask. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::classic::{Group, State};
use super::groups::Groups;
use super::member::protocols_weight;
use super::step::Step;
use super::{GroupError, HeartbeatRequest, Reason, Reply, SyncReply, SyncRequest, Token};

pub(super) fn handle(
    groups: &mut Groups,
    token: Token,
    request: &SyncRequest,
    step: &mut Step<'_>,
) {
    let synced = if request.group_id.is_empty() {
        Err(GroupError::InvalidGroupId)
    } else {
        groups
            .with(&request.group_id, |group| group.sync(token, request, step))
            .unwrap_or(Err(GroupError::UnknownMemberId))
    };
    if let Err(error) = synced {
        step.reply(token, Reply::Sync(SyncReply::failed(error)));
    }
}

pub(super) fn heartbeat(
    groups: &mut Groups,
    token: Token,
    request: &HeartbeatRequest,
    step: &mut Step<'_>,
) {
    let beaten = if request.group_id.is_empty() {
        Err(GroupError::InvalidGroupId)
    } else {
        groups
            .with(&request.group_id, |group| group.heartbeat(request, step))
            .unwrap_or(Err(GroupError::UnknownMemberId))
    };
    step.reply(token, Reply::Heartbeat(beaten.err().unwrap_or_default()));
}

impl Group {
    fn sync(
        &mut self,
        token: Token,
        request: &SyncRequest,
        step: &mut Step<'_>,
    ) -> Result<(), GroupError> {
        if self.consumer.is_some() {
            let reply = self.sync_consumer(request, step)?;
            step.reply(token, Reply::Sync(reply));
            return Ok(());
        }
        self.validate_sync(request)?;
        match self.state {
            State::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            State::CompletingRebalance => {
                self.drop_pending_sync(&request.member_id, step);
                self.park_sync(&request.member_id, token, step);
                if self.is_leader(&request.member_id) {
                    self.assign(request, step);
                }
                Ok(())
            }
            State::Stable => {
                self.drop_pending_sync(&request.member_id, step);
                let reply = self.assignment_of(&request.member_id);
                step.reply(token, Reply::Sync(reply));
                Ok(())
            }
            State::Empty | State::Dead => Err(GroupError::UnknownMemberId),
        }
    }

    fn validate_sync(&self, request: &SyncRequest) -> Result<(), GroupError> {
        self.validate_generation(
            &request.member_id,
            request.group_instance_id.as_deref(),
            request.generation_id,
        )?;
        let differs = |claimed: &Option<Arc<str>>, actual: &Option<Arc<str>>| {
            claimed.is_some() && actual.is_some() && claimed != actual
        };
        if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol_name)
        {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    /// That it is a member, and of this generation.
    pub(super) fn validate_generation(
        &self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
    ) -> Result<(), GroupError> {
        self.validate_member(member_id, group_instance_id)?;
        if generation_id == self.generation_id {
            Ok(())
        } else {
            Err(GroupError::IllegalGeneration)
        }
    }

    /// The leader has spoken: everybody has an assignment, be it an empty one.
    fn assign(&mut self, request: &SyncRequest, step: &mut Step<'_>) {
        let assignments: HashMap<&str, &Bytes> = request
            .assignments
            .iter()
            .map(|(id, assignment)| (&**id, assignment))
            .collect();
        let mine = |id: &Arc<str>| {
            assignments
                .get(&**id)
                .map(|bytes| &bytes[..])
                .unwrap_or_default()
        };
        let weight: usize = self
            .members
            .iter()
            .map(|(id, member)| protocols_weight(&member.protocols) + mine(id).len())
            .sum();
        if weight > step.config.max_group_metadata {
            self.fail_syncs(GroupError::UnknownServerError, step);
            self.prepare_rebalance(Reason::AssignmentTooLarge, step);
            return;
        }
        for (id, member) in &mut self.members {
            member.assignment = Bytes::copy_from_slice(mine(id));
        }
        self.transition(State::Stable, step);
        self.log(step);
        self.answer_syncs(step);
    }

    fn answer_syncs(&mut self, step: &mut Step<'_>) {
        let mut waiting = Vec::new();
        for member in self.members.values_mut() {
            if let Some(token) = member.awaiting_sync.take() {
                member.refresh(&self.group_id, step);
                waiting.push((token, member.member_id.clone()));
            }
        }
        for (token, member_id) in waiting {
            let reply = self.assignment_of(&member_id);
            step.reply(token, Reply::Sync(reply));
        }
    }

    fn assignment_of(&self, member_id: &str) -> SyncReply {
        SyncReply {
            error: GroupError::None,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: self
                .members
                .get(member_id)
                .map(|member| member.assignment.clone())
                .unwrap_or_default(),
        }
    }

    fn heartbeat(
        &mut self,
        request: &HeartbeatRequest,
        step: &mut Step<'_>,
    ) -> Result<(), GroupError> {
        if self.consumer.is_some() {
            return self.heartbeat_consumer(request, step);
        }
        self.validate_generation(
            &request.member_id,
            request.group_instance_id.as_deref(),
            request.generation_id,
        )?;
        self.refresh(&request.member_id, step);
        match self.state {
            State::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => Ok(()),
            State::Empty | State::Dead => Err(GroupError::UnknownMemberId),
        }
    }

    /// A sign of life of a member.
    pub(super) fn refresh(&mut self, member_id: &str, step: &mut Step<'_>) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.refresh(&self.group_id, step);
        }
    }
}
