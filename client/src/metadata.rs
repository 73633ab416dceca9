//! Pure. What is known of the cluster: brokers, topics and leaders.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{MetadataResponse, MetadataResponseTopic};
use tokio::time::Instant;
use uuid::Uuid;

use crate::transport::Endpoint;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Who leads a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leader {
    /// The broker, or -1.
    pub(crate) node_id: i32,
    /// The epoch, or -1 when unknown.
    pub(crate) epoch: i32,
}

/// A topic as last described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    /// Nil when the broker gives none.
    pub(crate) id: Uuid,
    pub(crate) is_internal: bool,
    /// By partition number.
    pub(crate) leaders: Vec<Leader>,
    pub(crate) as_of: Instant,
}

/// The cluster as last described.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metadata {
    pub(crate) brokers: BTreeMap<i32, Endpoint>,
    pub(crate) controller_id: Option<i32>,
    pub(crate) cluster_id: Option<String>,
    pub(crate) topics: BTreeMap<Arc<str>, Topic>,
    /// Why a topic that was asked for is not in `topics`.
    pub(crate) errors: BTreeMap<Arc<str>, ErrorCode>,
}

impl Metadata {
    pub(crate) fn leader(&self, partition: &TopicPartition) -> Option<Leader> {
        let topic = self.topics.get(&partition.topic)?;
        let leader = topic
            .leaders
            .get(usize::try_from(partition.partition).ok()?)?;
        (leader.node_id >= 0).then_some(*leader)
    }

    pub(crate) fn topic_name(&self, id: Uuid) -> Option<Arc<str>> {
        let mut topics = self.topics.iter();
        topics
            .find(|(_, topic)| topic.id == id)
            .map(|(name, _)| Arc::clone(name))
    }

    /// Takes over what a broker says. Topics that it does not mention stay as they are.
    pub(crate) fn update(&mut self, response: &MetadataResponse, now: Instant) {
        let endpoint = |broker: &ottla_protocol::message::MetadataResponseBroker| {
            let port = u16::try_from(broker.port).ok()?;
            Some((
                broker.node_id,
                Endpoint {
                    host: broker.host.to_string(),
                    port,
                },
            ))
        };
        self.brokers = response.brokers.iter().filter_map(endpoint).collect();
        self.controller_id = Some(response.controller_id).filter(|id| *id >= 0);
        self.cluster_id = response.cluster_id.as_ref().map(ToString::to_string);
        for topic in &response.topics {
            if let Some(name) = &topic.name {
                self.update_topic(Arc::from(&**name), topic, now);
            }
        }
    }

    fn update_topic(&mut self, name: Arc<str>, topic: &MetadataResponseTopic, now: Instant) {
        if topic.error_code != ErrorCode::None {
            // A topic without a leader for now keeps what is known of it.
            if topic.error_code != ErrorCode::LeaderNotAvailable {
                self.topics.remove(&name);
            }
            self.errors.insert(name, topic.error_code);
            return;
        }
        self.errors.remove(&name);
        let known = self
            .topics
            .get(&name)
            .filter(|known| known.id == topic.topic_id);
        let count = topic.partitions.len();
        let mut leaders = vec![
            Leader {
                node_id: -1,
                epoch: -1
            };
            count
        ];
        for partition in &topic.partitions {
            let Ok(index) = usize::try_from(partition.partition_index) else {
                continue;
            };
            let told = Leader {
                node_id: partition.leader_id,
                epoch: partition.leader_epoch,
            };
            // A broker that lags behind must not undo what is known (KIP-320).
            let newer = known
                .and_then(|known| known.leaders.get(index))
                .filter(|known| told.epoch >= 0 && known.epoch > told.epoch);
            if let Some(slot) = leaders.get_mut(index) {
                *slot = newer.copied().unwrap_or(told);
            }
        }
        let topic = Topic {
            id: topic.topic_id,
            is_internal: topic.is_internal,
            leaders,
            as_of: now,
        };
        self.topics.insert(name, topic);
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::message::{MetadataResponseBroker, MetadataResponsePartition};

    use super::*;

    fn response(id: u128, leader_id: i32, leader_epoch: i32) -> MetadataResponse {
        MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: 1,
                host: "h".into(),
                port: 9,
                rack: None,
            }],
            topics: vec![MetadataResponseTopic {
                name: Some("t".into()),
                topic_id: Uuid::from_u128(id),
                partitions: vec![MetadataResponsePartition {
                    leader_id,
                    leader_epoch,
                    ..MetadataResponsePartition::default()
                }],
                ..MetadataResponseTopic::default()
            }],
            ..MetadataResponse::default()
        }
    }

    fn leader_after(responses: &[MetadataResponse]) -> Option<i32> {
        let mut metadata = Metadata::default();
        for response in responses {
            metadata.update(response, Instant::now());
        }
        metadata
            .leader(&TopicPartition::new("t", 0))
            .map(|leader| leader.node_id)
    }

    #[test]
    fn an_older_leader_epoch_does_not_undo_a_leadership_change() {
        assert_eq!(
            leader_after(&[response(1, 1, 5), response(1, 2, 6)]),
            Some(2)
        );
        assert_eq!(
            leader_after(&[response(1, 2, 6), response(1, 1, 5)]),
            Some(2)
        );
    }

    #[test]
    fn a_topic_made_again_starts_with_new_epochs() {
        assert_eq!(
            leader_after(&[response(1, 2, 6), response(2, 1, 0)]),
            Some(1)
        );
    }

    #[test]
    fn a_partition_without_leader_has_none() {
        assert_eq!(leader_after(&[response(1, -1, 6)]), None);
        assert_eq!(leader_after(&[]), None);
    }

    #[test]
    fn a_deleted_topic_is_forgotten_and_its_error_kept() {
        let mut metadata = Metadata::default();
        metadata.update(&response(1, 1, 1), Instant::now());
        let mut gone = response(1, 1, 1);
        gone.topics[0].error_code = ErrorCode::UnknownTopicOrPartition;
        metadata.update(&gone, Instant::now());
        assert!(metadata.topics.is_empty());
        assert_eq!(
            metadata.errors.get("t"),
            Some(&ErrorCode::UnknownTopicOrPartition)
        );
    }
}
