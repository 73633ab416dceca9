//! ConsumerGroupHeartbeat: members join, go on, give back, take and leave. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::member::{Deadline, MemberValue, sorted_names};
use super::{Assignment, ConsumerGroup, MemberState, pattern};
use crate::group::classic::Group;
use crate::group::config::{MAX_CLIENT_ID, MAX_ID, MAX_PATTERNS};
use crate::group::groups::Groups;
use crate::group::join::prefix;
use crate::group::step::Step;
use crate::group::{
    Assignor, Command, ConsumerHeartbeatReply, ConsumerHeartbeatRequest, GroupConfig, GroupError,
    Refusal, Reply, Token,
};

/// The epoch of a member that joins.
pub(super) const JOIN: i32 = 0;
/// The epoch of a member that leaves.
const LEAVE: i32 = -1;
/// The epoch of a static member that leaves and will come back.
pub(super) const LEAVE_FOR_A_WHILE: i32 = -2;
/// From this version on members make their own ids.
const OWN_MEMBER_ID_SINCE: i16 = 1;

pub(in crate::group) fn handle(
    groups: &mut Groups,
    ids: &mut dyn FnMut() -> Uuid,
    token: Token,
    mut request: ConsumerHeartbeatRequest,
    step: &mut Step<'_>,
) {
    if request.member_id.is_empty() && request.member_epoch == JOIN && !request.has_own_id() {
        request.member_id = Arc::from(ids().to_string());
    }
    let answer = check(&request, step.config).and_then(|()| {
        let group_id = request.group_id.clone();
        if request.member_epoch == JOIN {
            let max_groups = step.config.max_groups;
            let joined = groups.with_new(&group_id, max_groups, |group| group.beat(&request, step));
            return joined.map_err(|error| match error {
                GroupError::PolicyViolation => Refusal::new(
                    GroupError::GroupMaxSizeReached,
                    format!("The broker has as many groups as it may, {max_groups}."),
                ),
                error => Refusal::new(error, "The group id is too long."),
            })?;
        }
        let answer = groups.with(&group_id, |group| match request.member_epoch {
            LEAVE | LEAVE_FOR_A_WHILE => group.leave_consumer(&request, step),
            _ => group.beat(&request, step),
        });
        let missing = || {
            Refusal::new(
                GroupError::GroupIdNotFound,
                format!("Group {group_id} not found."),
            )
        };
        answer.unwrap_or_else(|| Err(missing()))
    });
    step.reply(token, Reply::ConsumerHeartbeat(answer));
}

impl ConsumerHeartbeatRequest {
    fn has_own_id(&self) -> bool {
        self.api_version >= OWN_MEMBER_ID_SINCE
    }

    /// Whether the member says all there is to say about itself, as after an error. It is told its
    /// assignment even if that is as before.
    fn is_full(&self) -> bool {
        let subscribes =
            self.subscribed_topic_names.is_some() || self.subscribed_topic_regex.is_some();
        let has_all = self.rebalance_timeout_ms >= 0 && subscribes && self.owned.is_some();
        self.member_epoch == JOIN || has_all
    }

    /// Whether it leaves a member as it is.
    fn is_keep_alive(&self, value: &MemberValue) -> bool {
        let same =
            |said: &Option<Arc<str>>, known: &Option<Arc<str>>| said.is_none() || said == known;
        !self.is_full()
            && self.rebalance_timeout_ms < 0
            && self.subscribed_topic_names.is_none()
            && self.subscribed_topic_regex.is_none()
            && self.server_assignor.is_none()
            && same(&self.group_instance_id, &value.group_instance_id)
            && same(&self.rack_id, &value.rack_id)
            && self.client_host == value.client_host
            && *prefix(&self.client_id, MAX_CLIENT_ID) == *value.client_id
            && !value.is_classic()
    }

    /// A member as this makes it of what it was.
    fn apply(&self, value: &MemberValue) -> MemberValue {
        let mut value = value.clone();
        if self.member_epoch == JOIN && value.member_epoch == LEAVE_FOR_A_WHILE {
            value = value.renamed(value.member_id.clone());
        }
        let change = |to: &mut Option<Arc<str>>, said: &Option<Arc<str>>| {
            if said.is_some() {
                to.clone_from(said);
            }
        };
        change(&mut value.group_instance_id, &self.group_instance_id);
        change(&mut value.rack_id, &self.rack_id);
        change(&mut value.server_assignor, &self.server_assignor);
        if let Ok(timeout) = u32::try_from(self.rebalance_timeout_ms) {
            value.rebalance_timeout_ms = timeout;
        }
        if let Some(names) = &self.subscribed_topic_names {
            value.subscribed_topic_names = sorted_names(names);
        }
        if let Some(regex) = &self.subscribed_topic_regex {
            value.subscribed_topic_regex = Some(regex.clone()).filter(|regex| !regex.is_empty());
        }
        value.client_id = Arc::from(prefix(&self.client_id, MAX_CLIENT_ID));
        value.client_host.clone_from(&self.client_host);
        value.classic = None;
        value
    }
}

/// What can be refused without looking at the group.
fn check(request: &ConsumerHeartbeatRequest, config: &GroupConfig) -> Result<(), Refusal> {
    let invalid = |why: &str| Err(Refusal::new(GroupError::InvalidRequest, why));
    let is_blank = |text: &str| text.trim().is_empty();
    let is_blank_if_any = |text: &Option<Arc<str>>| text.as_deref().is_some_and(is_blank);
    if is_blank(&request.group_id) {
        return invalid("GroupId can't be empty.");
    }
    if is_blank(&request.member_id) {
        return invalid("MemberId can't be empty.");
    }
    if is_blank_if_any(&request.group_instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if is_blank_if_any(&request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    let texts = [&request.group_instance_id, &request.rack_id];
    let texts = texts.into_iter().flatten();
    let longest = texts.chain([&request.member_id, &request.client_host]);
    if longest.map(|text| text.len()).max() > Some(MAX_ID) {
        return invalid("A name in the request is too long.");
    }
    match request.member_epoch {
        JOIN => {
            if request.rebalance_timeout_ms < 0 {
                return invalid("RebalanceTimeoutMs must be provided in first request.");
            }
            if request.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
                return invalid("TopicPartitions must be empty when (re-)joining.");
            }
            if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none()
            {
                return invalid(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
                     (re-)joining.",
                );
            }
        }
        LEAVE_FOR_A_WHILE if request.group_instance_id.is_none() => {
            return invalid("InstanceId can't be null.");
        }
        epoch if epoch < LEAVE_FOR_A_WHILE => return invalid("MemberEpoch is invalid."),
        _ => {}
    }
    check_assignor(request.server_assignor.as_deref(), config)
}

fn check_assignor(name: Option<&str>, config: &GroupConfig) -> Result<(), Refusal> {
    let Some(name) = name else { return Ok(()) };
    let assignors = &config.consumer_assignors;
    if Assignor::named(name).is_some_and(|assignor| assignors.contains(&assignor)) {
        return Ok(());
    }
    let known: Vec<&str> = assignors.iter().map(|assignor| assignor.name()).collect();
    Err(Refusal::new(
        GroupError::UnsupportedAssignor,
        format!(
            "ServerAssignor {name} is not supported. Supported assignors: {}.",
            known.join(", ")
        ),
    ))
}

impl Group {
    /// One heartbeat of one that is a member or becomes one. Nothing has changed when it is refused.
    fn beat(
        &mut self,
        request: &ConsumerHeartbeatRequest,
        step: &mut Step<'_>,
    ) -> Result<ConsumerHeartbeatReply, Refusal> {
        let upgraded = match &self.consumer {
            Some(_) => None,
            None if request.member_epoch == JOIN => Some(self.upgraded(step)?),
            None => return Err(not_a_consumer_group(&self.group_id)),
        };
        let Some(consumer) = self.consumer.as_deref().or(upgraded.as_ref()) else {
            return Err(not_a_consumer_group(&self.group_id));
        };
        let known = consumer.admit(request, step.config)?;
        if let Some(value) = known
            && consumer.is_at_rest(value)
            && request.is_keep_alive(value)
        {
            return Ok(self.keep_alive(request, step));
        }
        let before = match known {
            Some(value) => value.clone(),
            None => MemberValue::new(request.member_id.clone()),
        };
        let is_new = known.is_none();
        let replaced = Some(before.member_id.clone()).filter(|id| *id != request.member_id);
        let before = before.renamed_if_other(&request.member_id);
        let updated = request.apply(&before);
        consumer.check_subscription(&updated, step.config)?;
        if let Some(upgraded) = upgraded {
            self.upgrade(upgraded, step);
        }
        let group_id = self.group_id.clone();
        let Some(consumer) = self.consumer.as_deref_mut() else {
            return Err(not_a_consumer_group(&group_id));
        };
        if let Some(replaced) = replaced {
            consumer.replace(&group_id, &replaced, step);
        }
        let has_resubscribed = is_new || !updated.subscribes_like(&before);
        consumer.put(updated);
        consumer.update_target(&group_id, has_resubscribed, step);
        let member_id = &request.member_id;
        consumer.reconcile(&group_id, member_id, request.owned.as_ref(), step);
        consumer.refresh(&group_id, member_id, step);
        for classic_only in [Deadline::Join, Deadline::Sync] {
            consumer.disarm(member_id, classic_only, step);
        }
        consumer.log(&group_id, step);
        let after = consumer.value(member_id).unwrap_or(&before);
        let is_told = request.is_full() || after.assigned != before.assigned;
        Ok(ConsumerHeartbeatReply {
            member_id: request.member_id.clone(),
            member_epoch: after.member_epoch,
            heartbeat_interval: step.settings(&group_id).heartbeat_interval,
            assignment: is_told.then(|| after.assigned.clone()),
        })
    }

    /// A heartbeat by which nothing changes, as nearly all are.
    fn keep_alive(
        &mut self,
        request: &ConsumerHeartbeatRequest,
        step: &mut Step<'_>,
    ) -> ConsumerHeartbeatReply {
        let group_id = self.group_id.clone();
        let mut member_epoch = request.member_epoch;
        if let Some(consumer) = self.consumer.as_deref_mut() {
            consumer.refresh(&group_id, &request.member_id, step);
            let value = consumer.value(&request.member_id);
            member_epoch = value.map_or(member_epoch, |value| value.member_epoch);
        }
        ConsumerHeartbeatReply {
            member_id: request.member_id.clone(),
            member_epoch,
            heartbeat_interval: step.settings(&group_id).heartbeat_interval,
            assignment: None,
        }
    }

    fn leave_consumer(
        &mut self,
        request: &ConsumerHeartbeatRequest,
        step: &mut Step<'_>,
    ) -> Result<ConsumerHeartbeatReply, Refusal> {
        let group_id = self.group_id.clone();
        let Some(consumer) = self.consumer.as_deref_mut() else {
            return Err(not_a_consumer_group(&group_id));
        };
        let instance = request.group_instance_id.as_deref();
        let value = consumer.identified(&request.member_id, instance)?;
        if request.member_epoch == LEAVE_FOR_A_WHILE {
            let away = MemberValue {
                member_epoch: LEAVE_FOR_A_WHILE,
                state: MemberState::Stable,
                pending_revocation: Assignment::default(),
                ..value.clone()
            };
            consumer.put(away);
            consumer.disarm(&request.member_id, Deadline::Revocation, step);
            consumer.log(&group_id, step);
        } else {
            self.fence(&request.member_id, step);
        }
        Ok(ConsumerHeartbeatReply {
            member_id: request.member_id.clone(),
            member_epoch: request.member_epoch,
            heartbeat_interval: step.settings(&group_id).heartbeat_interval,
            assignment: None,
        })
    }
}

fn not_a_consumer_group(group_id: &str) -> Refusal {
    Refusal::new(
        GroupError::GroupIdNotFound,
        format!("Group {group_id} is not a consumer group."),
    )
}

impl MemberValue {
    /// The same member under another id, or back from being away: it has joined again, with nothing but
    /// what it was to have.
    pub(super) fn renamed(&self, member_id: Arc<str>) -> Self {
        Self {
            member_id,
            member_epoch: 0,
            previous_member_epoch: 0,
            state: MemberState::Stable,
            pending_revocation: Assignment::default(),
            ..self.clone()
        }
    }

    pub(super) fn renamed_if_other(self, member_id: &Arc<str>) -> Self {
        if self.member_id == *member_id {
            self
        } else {
            self.renamed(member_id.clone())
        }
    }
}

impl ConsumerGroup {
    /// The member that a heartbeat is of, perhaps one under another id that it replaces; none if it is new.
    fn admit(
        &self,
        request: &ConsumerHeartbeatRequest,
        config: &GroupConfig,
    ) -> Result<Option<&MemberValue>, Refusal> {
        let is_joining = request.member_epoch == JOIN;
        let instance = request.group_instance_id.as_ref();
        let owner = instance.and_then(|instance| self.static_members.get(instance));
        if let Some(owner) = owner.filter(|owner| is_joining && **owner != request.member_id) {
            let value = self.value(owner);
            let is_released = value
                .is_some_and(|value| value.is_classic() || value.member_epoch == LEAVE_FOR_A_WHILE);
            if !is_released {
                return Err(Refusal::new(
                    GroupError::UnreleasedInstanceId,
                    format!(
                        "Static member {} with instance id {} cannot join the group because the \
                         instance id is owned by {owner} member.",
                        request.member_id,
                        instance.map_or("", |instance| instance)
                    ),
                ));
            }
            return Ok(value);
        }
        if is_joining && self.value(&request.member_id).is_none() {
            self.check_room(config)?;
            return Ok(None);
        }
        let instance = instance.filter(|_| !is_joining).map(|instance| &**instance);
        let value = self.identified(&request.member_id, instance)?;
        check_epoch(request, value)?;
        Ok(Some(value))
    }

    /// That one more member may join.
    pub(super) fn check_room(&self, config: &GroupConfig) -> Result<(), Refusal> {
        let max = config.consumer_max_size;
        if self.members.len() < max {
            return Ok(());
        }
        Err(Refusal::new(
            GroupError::GroupMaxSizeReached,
            format!("The consumer group has reached its maximum capacity of {max} members."),
        ))
    }

    /// The member of this id, which must be the one with the instance id if that is given.
    pub(super) fn identified(
        &self,
        member_id: &str,
        group_instance_id: Option<&str>,
    ) -> Result<&MemberValue, Refusal> {
        if let Some(instance) = group_instance_id {
            match self.static_members.get(instance) {
                None => {
                    let why = format!("Instance id {instance} is unknown.");
                    return Err(Refusal::new(GroupError::UnknownMemberId, why));
                }
                Some(owner) if **owner != *member_id => {
                    let why = format!(
                        "Static member {member_id} with instance id {instance} was fenced by \
                         member {owner}."
                    );
                    return Err(Refusal::new(GroupError::FencedInstanceId, why));
                }
                Some(_) => {}
            }
        }
        self.value(member_id).ok_or_else(|| {
            let why = format!("Member {member_id} is not a member of the group.");
            Refusal::new(GroupError::UnknownMemberId, why)
        })
    }

    /// Whether nothing is to be done for a member but to note that it lives.
    fn is_at_rest(&self, value: &MemberValue) -> bool {
        !self.is_stale
            && self.value.group_epoch == self.value.assignment_epoch
            && value.is_reconciled_to(self.value.assignment_epoch)
    }

    /// That the group can hold what a member says.
    pub(super) fn check_subscription(
        &self,
        updated: &MemberValue,
        config: &GroupConfig,
    ) -> Result<(), Refusal> {
        let others = || {
            let members = self.members.values().map(|member| &member.value);
            members.filter(|value| value.member_id != updated.member_id)
        };
        if updated.weight() > config.max_member_metadata {
            let why = "The subscription is too large.";
            return Err(Refusal::new(GroupError::InvalidRequest, why));
        }
        let weight: usize = others().map(MemberValue::weight).sum();
        if weight + updated.weight() > config.max_group_metadata {
            let why = "The subscriptions of the group are too large.";
            return Err(Refusal::new(GroupError::GroupMaxSizeReached, why));
        }
        let Some(regex) = &updated.subscribed_topic_regex else {
            return Ok(());
        };
        if self.patterns.contains_key(regex) {
            return Ok(());
        }
        let patterns: BTreeSet<_> = others()
            .filter_map(|value| value.subscribed_topic_regex.as_ref())
            .collect();
        if patterns.len() >= MAX_PATTERNS {
            let why = format!("A group may subscribe by {MAX_PATTERNS} different patterns.");
            return Err(Refusal::new(GroupError::PolicyViolation, why));
        }
        pattern::compile(regex).map(drop).map_err(|why| {
            let why =
                format!("SubscribedTopicRegex `{regex}` is not a valid regular expression: {why}.");
            Refusal::new(GroupError::InvalidRegularExpression, why)
        })
    }

    /// A static member is replaced by the same one under another id.
    pub(super) fn replace(&mut self, group_id: &Arc<str>, replaced: &str, step: &mut Step<'_>) {
        if let Some(value) = self.remove(replaced, step) {
            step.command(Command::MemberFenced {
                group_id: group_id.clone(),
                member_id: value.member_id,
            });
        }
    }
}

/// That a member is at the epoch that it was told last; one that missed the last answer may be behind,
/// as long as it has nothing that it should not have.
fn check_epoch(request: &ConsumerHeartbeatRequest, value: &MemberValue) -> Result<(), Refusal> {
    let said = request.member_epoch;
    let known = value.member_epoch;
    let missed_an_answer = said == value.previous_member_epoch
        && said < known
        && request
            .owned
            .as_ref()
            .is_some_and(|owned| owned.is_subset(&value.assigned));
    if said == JOIN || said == known || missed_an_answer {
        return Ok(());
    }
    let comparison = if said > known { "greater" } else { "smaller" };
    let why = format!(
        "The consumer group member has a {comparison} member epoch ({said}) than the one known by \
         the group coordinator ({known}). The member must abandon all its partitions and rejoin."
    );
    Err(Refusal::new(GroupError::FencedMemberEpoch, why))
}
