//! What a heartbeat says: everything to a coordinator that may not know it, else what is new.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::message::{ConsumerGroupHeartbeatRequest, HeartbeatTopicPartitions};
use uuid::Uuid;

use super::{ConsumerMember, Partition, State, Wanted};
use crate::consumer::membership::Effect;
use crate::env::millis_i32;

/// The epoch of a member that leaves.
const LEAVES: i32 = -1;

/// The epoch of a static member that leaves and may come back.
const LEAVES_FOR_A_WHILE: i32 = -2;

/// What the coordinator has been told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    wanted: Option<Wanted>,
    owned: BTreeSet<Partition>,
}

impl ConsumerMember {
    /// Whether the coordinator is to hear something before the next heartbeat is due.
    pub(super) fn has_news(&self) -> bool {
        let Some(told) = &self.told else { return true };
        let is_stable = self.state == State::Stable;
        told.wanted != self.wanted || (is_stable && (self.acknowledge || told.owned != self.owned))
    }

    pub(super) fn send_heartbeat(&mut self) {
        self.attempt += 1;
        self.heartbeating = true;
        self.retry_at = None;
        let told = self.told.replace(Told {
            wanted: self.wanted.clone(),
            owned: self.owned.clone(),
        });
        let request = self.heartbeat(told.as_ref());
        self.acknowledge = false;
        let effect = Effect::ConsumerHeartbeat(self.attempt, Box::new(request));
        self.effects.push(effect);
    }

    fn heartbeat(&self, told: Option<&Told>) -> ConsumerGroupHeartbeatRequest {
        let mut request = self.anything();
        if told.is_none() {
            let identity = &self.identity;
            request.rack_id = identity.rack_id.as_deref().map(Into::into);
            request.server_assignor = identity.assignor.as_deref().map(Into::into);
            request.rebalance_timeout_ms = millis_i32(self.options.rebalance_timeout);
        }
        if told.is_none_or(|told| told.wanted != self.wanted) {
            self.say_what_is_wanted(&mut request);
        }
        if self.acknowledge || told.is_none_or(|told| told.owned != self.owned) {
            request.topic_partitions = Some(by_topic(&self.owned));
        }
        request
    }

    fn say_what_is_wanted(&self, request: &mut ConsumerGroupHeartbeatRequest) {
        match &self.wanted {
            None => {}
            Some(Wanted::Topics(topics)) => {
                let names = topics.iter().map(|topic| (&**topic).into());
                request.subscribed_topic_names = Some(names.collect());
                // Takes back a pattern. Nobody has one who joins.
                request.subscribed_topic_regex = (self.member_epoch > 0).then(|| "".into());
            }
            Some(Wanted::Pattern(pattern)) => {
                request.subscribed_topic_names = Some(Vec::new());
                request.subscribed_topic_regex = Some((&**pattern).into());
            }
        }
    }

    /// The request with which the member leaves.
    pub(super) fn leaving(&self) -> ConsumerGroupHeartbeatRequest {
        let is_static = self.options.group_instance_id.is_some();
        ConsumerGroupHeartbeatRequest {
            member_epoch: if is_static {
                LEAVES_FOR_A_WHILE
            } else {
                LEAVES
            },
            ..self.anything()
        }
    }

    /// What every heartbeat says.
    fn anything(&self) -> ConsumerGroupHeartbeatRequest {
        let options = &self.options;
        ConsumerGroupHeartbeatRequest {
            group_id: options.group_id.as_str().into(),
            member_id: self.identity.member_id.as_str().into(),
            member_epoch: self.member_epoch,
            instance_id: options.group_instance_id.as_deref().map(Into::into),
            ..ConsumerGroupHeartbeatRequest::default()
        }
    }
}

fn by_topic(partitions: &BTreeSet<Partition>) -> Vec<HeartbeatTopicPartitions> {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (topic_id, partition) in partitions {
        topics.entry(*topic_id).or_default().push(*partition);
    }
    let topic = |(topic_id, partitions)| HeartbeatTopicPartitions {
        topic_id,
        partitions,
    };
    topics.into_iter().map(topic).collect()
}
