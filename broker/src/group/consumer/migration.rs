//! Groups change their protocol while they are in use. Pure.
//!
//! A classic group becomes a consumer group when the first member of that protocol joins, and a classic
//! one again when the last has gone. What members have is carried over, and each is asked to join again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::StrBytes;
use ottla_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartitions,
};

use super::member::{ClassicValue, MemberValue, sorted_names};
use super::{Assignment, ConsumerGroup, ConsumerState, Deadline};
use crate::group::classic::{Group, State};
use crate::group::member::Member as ClassicMember;
use crate::group::record::GroupRecord;
use crate::group::step::Step;
use crate::group::subscription::CONSUMER;
use crate::group::topics::TopicImage;
use crate::group::{Command, GroupError, JoinReply, Protocol, Reason, Refusal, Reply, SyncReply};

impl Group {
    /// The consumer group that this classic group would become, with nothing changed yet.
    pub(super) fn upgraded(&self, step: &Step<'_>) -> Result<ConsumerGroup, Refusal> {
        let refuse = |why: &str| {
            Err(Refusal::new(
                GroupError::GroupIdNotFound,
                format!(
                    "Cannot upgrade classic group {} to consumer group because {why}.",
                    self.group_id
                ),
            ))
        };
        let mut upgraded = ConsumerGroup::new(self.generation_id);
        if self.members.is_empty() {
            return Ok(upgraded);
        }
        if !step.config.migration_policy.upgrade {
            return refuse("online upgrade is disabled");
        }
        if !self.is_consumer() {
            return refuse("the group does not use the consumer embedded protocol");
        }
        if self.members.len() > step.config.consumer_max_size {
            return refuse("the group size exceeds the consumer group maximum size");
        }
        for member in self.members.values() {
            let value = self.carried_over(member, &upgraded, step.topics);
            match value {
                Some(value) => upgraded.put(value),
                None => return refuse("the embedded consumer protocol is malformed"),
            }
        }
        upgraded.is_stale = true;
        Ok(upgraded)
    }

    /// A classic member as one of the consumer group. A leader may have assigned a partition twice; of
    /// that, the first member has it.
    fn carried_over(
        &self,
        member: &ClassicMember,
        upgraded: &ConsumerGroup,
        topics: &TopicImage,
    ) -> Option<MemberValue> {
        let chosen = self.protocol_name.as_deref();
        let metadata = chosen
            .and_then(|protocol| member.metadata(protocol))
            .or_else(|| member.protocols.first().map(|offer| &offer.metadata))?;
        let subscription = Subscription::parse(metadata, topics)?;
        let assigned = parse_assignment(&member.assignment, topics)?;
        let assigned = assigned.filtered(|partition| !upgraded.taken.contains(&partition));
        let value = member.to_value();
        let carried = MemberValue {
            group_instance_id: value.group_instance_id,
            rack_id: subscription.rack_id,
            client_id: value.client_id,
            client_host: value.client_host,
            subscribed_topic_names: subscription.topics,
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            classic: Some(ClassicValue {
                session_timeout_ms: value.session_timeout_ms,
                protocols: value.protocols,
            }),
            member_epoch: self.generation_id,
            previous_member_epoch: self.generation_id,
            target: assigned.clone(),
            assigned,
            ..MemberValue::new(value.member_id)
        };
        Some(carried.dated())
    }

    /// Becomes the consumer group that was prepared. Members that wait are told to join again.
    pub(super) fn upgrade(&mut self, upgraded: ConsumerGroup, step: &mut Step<'_>) {
        self.leave_classic(step);
        step.command(Command::ProtocolChanged {
            group_id: self.group_id.clone(),
            protocol: "consumer",
        });
        let mut upgraded = Box::new(upgraded);
        let members: Vec<Arc<str>> = upgraded.members.keys().cloned().collect();
        for member_id in members {
            upgraded.refresh(&self.group_id, &member_id, step);
        }
        upgraded.unlogged.group = true;
        self.consumer = Some(upgraded);
    }

    /// Leaves nothing of the classic group but its offsets.
    fn leave_classic(&mut self, step: &mut Step<'_>) {
        for (member_id, member) in std::mem::take(&mut self.members) {
            step.timers.cancel(member.session);
            let error = GroupError::RebalanceInProgress;
            if let Some(token) = member.awaiting_join {
                step.reply(token, Reply::Join(JoinReply::failed(error, member_id)));
            }
            if let Some(token) = member.awaiting_sync {
                step.reply(token, Reply::Sync(SyncReply::failed(error)));
            }
        }
        for timer in std::mem::take(&mut self.pending_join).into_values() {
            step.timers.cancel(Some(timer));
        }
        step.timers.cancel(self.join_timer.take());
        step.timers.cancel(self.sync_timer.take());
        self.static_members.clear();
        self.pending_sync.clear();
        self.initial_delay = None;
        self.state = State::Empty;
        if self.logged.is_some() {
            let group_id = self.group_id.clone();
            step.record(GroupRecord::GroupDeleted { group_id });
        }
        self.forget();
    }

    /// Removes a member that left, or did not do in time what it must.
    pub(super) fn fence(&mut self, member_id: &str, step: &mut Step<'_>) {
        let group_id = self.group_id.clone();
        let Some(consumer) = self.consumer.as_deref_mut() else {
            return;
        };
        let rest = consumer.members.len().saturating_sub(1);
        if rest > 0 && consumer.may_downgrade(member_id, rest, step) {
            // The one that is gone leaves a target that is not for those that stay. The generation
            // is the epoch that these know, so that they hear of the rebalance and lose nothing.
            consumer.remove(member_id, step);
            self.downgrade(true, step);
        } else {
            consumer.remove_and_bump(member_id, step);
            consumer.log(&group_id, step);
        }
    }

    /// A member of a consumer group has let a deadline pass.
    pub(in crate::group) fn member_expired(
        &mut self,
        member_id: &Arc<str>,
        deadline: Deadline,
        step: &mut Step<'_>,
    ) {
        let Some(consumer) = self.consumer.as_deref_mut() else {
            return;
        };
        if let Some(member) = consumer.members.get_mut(member_id) {
            member.timers.remove(&deadline);
        }
        step.command(Command::MemberExpired {
            group_id: self.group_id.clone(),
            member_id: member_id.clone(),
        });
        self.fence(member_id, step);
    }

    /// Becomes a classic group with the members that there are, all of the classic protocol. They are
    /// asked to join again if `rebalances`, and unless each had what it was to have. A group without
    /// members becomes one too: its next member decides what it is.
    pub(in crate::group) fn downgrade(&mut self, rebalances: bool, step: &mut Step<'_>) {
        let Some(mut consumer) = self.consumer.take() else {
            return;
        };
        let is_settled = !rebalances && consumer.state() == ConsumerState::Stable;
        step.command(Command::ProtocolChanged {
            group_id: self.group_id.clone(),
            protocol: "classic",
        });
        let values: Vec<MemberValue> = consumer
            .members()
            .map(|member| member.value.clone())
            .collect();
        for value in &values {
            consumer.remove(&value.member_id, step);
        }
        consumer.unlogged.group = false;
        consumer.log(&self.group_id, step);
        step.record(GroupRecord::ConsumerGroupDeleted {
            group_id: self.group_id.clone(),
        });
        self.generation_id = consumer.group_epoch();
        self.protocol_type = Some(Arc::from(CONSUMER));
        self.current_state_timestamp_ms = Some(step.now.wall_ms);
        for value in values {
            let member = to_classic(value, step.topics);
            self.add_downgraded(member, step);
        }
        if !self.members.is_empty() {
            self.state = State::Stable;
            self.protocol_name = self.select_protocol();
        }
        self.log(step);
        if self.state == State::Stable && !is_settled {
            self.prepare_rebalance(Reason::ProtocolChanged, step);
        }
    }

    fn add_downgraded(&mut self, member: ClassicMember, step: &mut Step<'_>) {
        if let Some(instance) = &member.group_instance_id {
            self.static_members
                .insert(instance.clone(), member.member_id.clone());
        }
        let member_id = member.member_id.clone();
        self.leader.get_or_insert_with(|| member_id.clone());
        self.members.insert(member_id.clone(), member);
        self.refresh(&member_id, step);
    }
}

impl ConsumerGroup {
    /// Whether the group should be a classic one when this member is gone: all that stay are of that
    /// protocol, they are allowed to, and there is room.
    pub(super) fn may_downgrade(&self, without: &str, rest: usize, step: &Step<'_>) -> bool {
        let mut members = self.members();
        let others_are_classic =
            members.all(|member| member.value.is_classic() || *member.value.member_id == *without);
        others_are_classic && step.config.migration_policy.downgrade && rest <= step.config.max_size
    }
}

fn to_classic(value: MemberValue, topics: &TopicImage) -> ClassicMember {
    // Not the target: what the member works on until it joins again is what it may be left with, should
    // the group become a consumer group before that.
    let has = value.assigned.iter().chain(value.pending_revocation.iter());
    let assignment = assignment_blob(&value, &has.collect(), topics);
    let classic = value.classic.unwrap_or(ClassicValue {
        session_timeout_ms: 0,
        protocols: Vec::new(),
    });
    ClassicMember {
        protocols: classic.to_protocols(),
        member_id: value.member_id,
        group_instance_id: value.group_instance_id,
        client_id: value.client_id,
        client_host: value.client_host,
        session_timeout: Duration::from_millis(classic.session_timeout_ms.into()),
        rebalance_timeout: Duration::from_millis(value.rebalance_timeout_ms.into()),
        assignment,
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
        session: None,
    }
}

/// What the subscription of a classic consumer says.
pub(super) struct Subscription {
    pub(super) topics: Vec<Arc<str>>,
    pub(super) owned: Assignment,
    pub(super) rack_id: Option<Arc<str>>,
}

impl Subscription {
    pub(super) fn parse(metadata: &Bytes, topics: &TopicImage) -> Option<Self> {
        let (_, said) = ConsumerProtocolSubscription::from_bytes(metadata.clone()).ok()?;
        let names: Vec<Arc<str>> = said.topics.iter().map(|name| Arc::from(&**name)).collect();
        Some(Self {
            topics: sorted_names(&names),
            owned: by_id(&said.owned_partitions, topics),
            rack_id: said.rack_id.as_ref().map(|rack| Arc::from(&**rack)),
        })
    }
}

/// The partitions of an assignment by a leader; none at all is an empty one.
fn parse_assignment(blob: &Bytes, topics: &TopicImage) -> Option<Assignment> {
    if blob.is_empty() {
        return Some(Assignment::default());
    }
    let (_, assignment) = ConsumerProtocolAssignment::from_bytes(blob.clone()).ok()?;
    Some(by_id(&assignment.assigned_partitions, topics))
}

/// Partitions that exist.
fn by_id(partitions: &[TopicPartitions], topics: &TopicImage) -> Assignment {
    let of_topic = |of: &TopicPartitions| {
        let topic = topics.get(&of.topic);
        let exists = |partition: &&i32| {
            topic.is_some_and(|topic| (0..topic.partitions).contains(*partition))
        };
        let id = topic.map(|topic| topic.id).unwrap_or_default();
        let partitions: Vec<i32> = of.partitions.iter().filter(exists).copied().collect();
        partitions.into_iter().map(move |partition| (id, partition))
    };
    partitions.iter().flat_map(of_topic).collect()
}

/// An assignment as a classic member reads it, in the version of its subscription.
pub(super) fn assignment_blob(
    value: &MemberValue,
    assignment: &Assignment,
    topics: &TopicImage,
) -> Bytes {
    let protocols = value.classic.as_ref().map(ClassicValue::to_protocols);
    let first: Option<Protocol> = protocols.and_then(|protocols| protocols.into_iter().next());
    let version = first.and_then(|protocol| {
        let (version, _) = ConsumerProtocolSubscription::from_bytes(protocol.metadata).ok()?;
        Some(version.min(ottla_protocol::consumer_protocol::MAX_VERSION))
    });
    let mut by_name: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
    for (id, partitions) in assignment.topics() {
        if let Some(name) = topics.name(id) {
            by_name.insert(name, partitions.iter().copied().collect());
        }
    }
    let assigned_partitions = by_name
        .into_iter()
        .map(|(topic, partitions)| TopicPartitions {
            topic: StrBytes::from(&**topic),
            partitions,
        })
        .collect();
    let blob = ConsumerProtocolAssignment {
        assigned_partitions,
        user_data: None,
    };
    // Only names longer than a topic name may be could not be written.
    blob.to_bytes(version.unwrap_or_default())
        .unwrap_or_default()
}
