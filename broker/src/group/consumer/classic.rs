//! Members of the classic protocol in a consumer group: what they do not know is assigned for them. Pure.
//!
//! Their generation is their member epoch. JoinGroup takes them one step towards their target, SyncGroup
//! tells them what they have, and Heartbeat sends them to join again when there is another step to take.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::heartbeat::JOIN;
use super::member::{ClassicValue, Deadline, MemberValue};
use super::migration::{Subscription, assignment_blob};
use super::{ConsumerGroup, MemberState};
use crate::group::classic::Group;
use crate::group::config::MAX_CLIENT_ID;
use crate::group::join::{Join, MEMBER_ID_REQUIRED_SINCE, prefix};
use crate::group::record::Blob;
use crate::group::step::Step;
use crate::group::subscription::CONSUMER;
use crate::group::{
    GroupError, HeartbeatRequest, JoinReply, JoinRequest, LeavingMember, Protocol, Refusal, Reply,
    SyncReply, SyncRequest,
};

impl Group {
    /// JoinGroup of a group with members of the consumer protocol.
    pub(in crate::group) fn join_consumer(
        &mut self,
        join: &Join<'_>,
        ids: &mut dyn FnMut() -> Uuid,
        step: &mut Step<'_>,
    ) -> Result<(), GroupError> {
        let Some(consumer) = self.consumer.as_deref_mut() else {
            return Err(GroupError::UnknownMemberId);
        };
        let request = join.request;
        consumer.check_protocols(request)?;
        let instance = request.group_instance_id.as_ref();
        let member_id = if request.member_id.is_empty() {
            let prefix = instance.map_or(prefix(&request.client_id, MAX_CLIENT_ID), |id| &**id);
            Arc::from(format!("{prefix}-{}", ids()))
        } else {
            request.member_id.clone()
        };
        let known = consumer.admit_classic(request, &member_id, step)?;
        let needs_id = request.member_id.is_empty()
            && instance.is_none()
            && request.api_version >= MEMBER_ID_REQUIRED_SINCE;
        if needs_id {
            let reply = JoinReply::failed(GroupError::MemberIdRequired, member_id);
            step.reply(join.token, Reply::Join(reply));
            return Ok(());
        }
        let subscription = request
            .protocols
            .first()
            .and_then(|offer| Subscription::parse(&offer.metadata, step.topics))
            .ok_or(GroupError::InconsistentGroupProtocol)?;
        let replaced = known
            .as_ref()
            .map(|known| known.member_id.clone())
            .filter(|id| *id != member_id);
        let size = consumer.members.len();
        let is_last_consumer = replaced
            .as_ref()
            .is_some_and(|replaced| consumer.may_downgrade(replaced, size, step));
        let reply = consumer.join_classic(join, known, member_id, &subscription, step)?;
        if is_last_consumer {
            self.downgrade(false, step);
        }
        step.reply(join.token, Reply::Join(reply));
        Ok(())
    }

    /// SyncGroup of a member of the classic protocol.
    pub(in crate::group) fn sync_consumer(
        &mut self,
        request: &SyncRequest,
        step: &mut Step<'_>,
    ) -> Result<SyncReply, GroupError> {
        let group_id = self.group_id.clone();
        let consumer = self.consumer.as_deref_mut();
        let consumer = consumer.ok_or(GroupError::UnknownMemberId)?;
        let instance = request.group_instance_id.as_deref();
        let (value, protocol) =
            consumer.classic_member(&request.member_id, instance, request.generation_id)?;
        let differs =
            |said: &Option<Arc<str>>, own: &str| said.as_deref().is_some_and(|said| said != own);
        if differs(&request.protocol_type, CONSUMER) || differs(&request.protocol_name, &protocol) {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        let timeout = value.rebalance_timeout();
        let must_join = consumer.group_epoch() > value.member_epoch
            && value.state != MemberState::UnrevokedPartitions;
        let assignment = assignment_blob(value, &value.assigned, step.topics);
        let member_id = &request.member_id;
        if must_join {
            consumer.arm_if_absent(&group_id, member_id, Deadline::Join, timeout, step);
            return Err(GroupError::RebalanceInProgress);
        }
        consumer.disarm(member_id, Deadline::Sync, step);
        consumer.refresh(&group_id, member_id, step);
        Ok(SyncReply {
            error: GroupError::None,
            protocol_type: Some(Arc::from(CONSUMER)),
            protocol_name: Some(protocol),
            assignment,
        })
    }

    /// Heartbeat of a member of the classic protocol.
    pub(in crate::group) fn heartbeat_consumer(
        &mut self,
        request: &HeartbeatRequest,
        step: &mut Step<'_>,
    ) -> Result<(), GroupError> {
        let group_id = self.group_id.clone();
        let consumer = self.consumer.as_deref_mut();
        let consumer = consumer.ok_or(GroupError::UnknownMemberId)?;
        let instance = request.group_instance_id.as_deref();
        let (value, _) =
            consumer.classic_member(&request.member_id, instance, request.generation_id)?;
        let timeout = value.rebalance_timeout();
        let has_a_step = match value.state {
            MemberState::Stable => false,
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => !consumer.waits_for_others(value),
        };
        let must_join = has_a_step || value.member_epoch < consumer.group_epoch();
        consumer.refresh(&group_id, &request.member_id, step);
        if must_join {
            let member_id = &request.member_id;
            consumer.arm_if_absent(&group_id, member_id, Deadline::Join, timeout, step);
            return Err(GroupError::RebalanceInProgress);
        }
        Ok(())
    }

    /// LeaveGroup: the error of each member.
    pub(in crate::group) fn leave_consumer_members(
        &mut self,
        leaving: &[LeavingMember],
        step: &mut Step<'_>,
    ) -> Vec<GroupError> {
        let mut leave_one = |member| {
            let left = self.leave_consumer_member(member, step);
            left.err().unwrap_or_default()
        };
        leaving.iter().map(&mut leave_one).collect()
    }

    fn leave_consumer_member(
        &mut self,
        leaving: &LeavingMember,
        step: &mut Step<'_>,
    ) -> Result<(), GroupError> {
        let consumer = self.consumer.as_deref_mut();
        let consumer = consumer.ok_or(GroupError::UnknownMemberId)?;
        let instance = leaving.group_instance_id.as_deref();
        let owner = instance.and_then(|instance| consumer.static_members.get(instance));
        let member_id = match owner {
            Some(owner) if leaving.member_id.is_empty() => owner.clone(),
            _ => leaving.member_id.clone(),
        };
        let value = consumer.identified(&member_id, instance);
        let value = value.map_err(|refusal: Refusal| refusal.error)?;
        if value.is_classic() {
            consumer.remove_and_bump(&member_id, step);
            consumer.log(&self.group_id, step);
        } else if instance.is_some() {
            // An administrator removes a static member by its name, whatever its protocol.
            self.fence(&member_id, step);
        } else {
            return Err(GroupError::UnknownMemberId);
        }
        Ok(())
    }
}

impl Join<'_> {
    /// A member as this request makes it of what it was.
    fn apply(&self, value: &MemberValue, subscription: &Subscription) -> MemberValue {
        let request = self.request;
        let to_ms = |timeout: Duration| u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        let protocol = |offer: &Protocol| (offer.name.clone(), Blob(offer.metadata.clone()));
        MemberValue {
            group_instance_id: request
                .group_instance_id
                .clone()
                .or_else(|| value.group_instance_id.clone()),
            rack_id: subscription
                .rack_id
                .clone()
                .or_else(|| value.rack_id.clone()),
            client_id: Arc::from(prefix(&request.client_id, MAX_CLIENT_ID)),
            client_host: request.client_host.clone(),
            subscribed_topic_names: subscription.topics.clone(),
            subscribed_topic_regex: None,
            rebalance_timeout_ms: to_ms(self.timeouts.rebalance),
            classic: Some(ClassicValue {
                session_timeout_ms: to_ms(self.timeouts.session),
                protocols: request.protocols.iter().map(protocol).collect(),
            }),
            ..value.clone()
        }
    }
}

impl ConsumerGroup {
    /// That the member is a consumer and offers a protocol that all classic members offer.
    fn check_protocols(&self, request: &JoinRequest) -> Result<(), GroupError> {
        let offers = |classic: &ClassicValue, protocol: &Protocol| {
            let mut names = classic.protocols.iter();
            names.any(|(name, _)| *name == protocol.name)
        };
        let others: Vec<&ClassicValue> = self
            .members()
            .filter(|member| member.value.member_id != request.member_id)
            .filter_map(|member| member.value.classic.as_ref())
            .collect();
        let mut protocols = request.protocols.iter();
        let has_common =
            protocols.any(|protocol| others.iter().all(|classic| offers(classic, protocol)));
        if *request.protocol_type == *CONSUMER && has_common {
            Ok(())
        } else {
            Err(GroupError::InconsistentGroupProtocol)
        }
    }

    /// The member that a JoinGroup is of, perhaps one under another id that it replaces; none if it is new.
    fn admit_classic(
        &self,
        request: &JoinRequest,
        member_id: &str,
        step: &Step<'_>,
    ) -> Result<Option<MemberValue>, GroupError> {
        let instance = request.group_instance_id.as_deref();
        let is_known = !request.member_id.is_empty();
        let owner = instance.and_then(|instance| self.static_members.get(instance));
        let value = match (instance, owner) {
            (Some(_), _) if is_known => {
                let value = self.identified(member_id, instance);
                Some(value.map_err(|refusal| refusal.error)?)
            }
            (Some(_), Some(owner)) => self.value(owner),
            _ => self.value(member_id),
        };
        if value.is_none() {
            self.check_room(step.config)
                .map_err(|refusal| refusal.error)?;
        }
        Ok(value.cloned())
    }

    /// Makes a member what its JoinGroup says, in place of the one that it is or replaces, and takes it one
    /// step towards its target.
    fn join_classic(
        &mut self,
        join: &Join<'_>,
        known: Option<MemberValue>,
        member_id: Arc<str>,
        subscription: &Subscription,
        step: &mut Step<'_>,
    ) -> Result<JoinReply, GroupError> {
        let group_id = join.request.group_id.clone();
        let is_new = known.is_none();
        let known = known.unwrap_or_else(|| MemberValue::new(member_id.clone()));
        let replaced = Some(known.member_id.clone()).filter(|id| *id != member_id);
        let before = known.renamed_if_other(&member_id);
        let updated = join.apply(&before, subscription);
        self.check_subscription(&updated, step.config)
            .map_err(|refusal| refusal.error)?;
        if let Some(replaced) = &replaced {
            self.replace(&group_id, replaced, step);
        }
        let has_resubscribed = is_new || !updated.subscribes_like(&before);
        self.put(updated);
        self.update_target(&group_id, has_resubscribed, step);
        self.reconcile(&group_id, &member_id, Some(&subscription.owned), step);
        self.disarm(&member_id, Deadline::Join, step);
        self.refresh(&group_id, &member_id, step);
        let timeout = join.timeouts.rebalance;
        self.arm(&group_id, &member_id, Deadline::Sync, timeout, step);
        self.log(&group_id, step);
        Ok(self.joined(&member_id))
    }

    fn joined(&self, member_id: &Arc<str>) -> JoinReply {
        let value = self.value(member_id);
        JoinReply {
            error: GroupError::None,
            generation_id: value.map_or(JOIN, |value| value.member_epoch),
            protocol_type: Some(Arc::from(CONSUMER)),
            protocol_name: value.and_then(first_protocol),
            leader: Arc::default(),
            skip_assignment: false,
            member_id: member_id.clone(),
            members: Vec::new(),
        }
    }

    /// A member of the classic protocol in its generation, and the protocol that it was told.
    fn classic_member(
        &self,
        member_id: &str,
        group_instance_id: Option<&str>,
        generation_id: i32,
    ) -> Result<(&MemberValue, Arc<str>), GroupError> {
        let value = self.identified(member_id, group_instance_id);
        let value = value.map_err(|refusal| refusal.error)?;
        let protocol = first_protocol(value).ok_or(GroupError::UnknownMemberId)?;
        if value.member_epoch == generation_id {
            Ok((value, protocol))
        } else {
            Err(GroupError::IllegalGeneration)
        }
    }
}

fn first_protocol(value: &MemberValue) -> Option<Arc<str>> {
    let (name, _) = value.classic.as_ref()?.protocols.first()?;
    Some(name.clone())
}
