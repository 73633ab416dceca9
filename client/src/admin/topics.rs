//! Topics: create, delete, describe, extend, cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    CreatableTopic, CreatableTopicConfig, CreatePartitionsRequest, CreatePartitionsTopic,
    CreateTopicsRequest, DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopic, DeleteTopicState, DeleteTopicsRequest,
};
use uuid::Uuid;

use super::{Admin, Outcomes};
use crate::cluster::Topics;
use crate::env::millis_i32;
use crate::error::{Error, check};
use crate::metadata::TopicPartition;

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Number of partitions; none for the broker's default.
    pub partitions: Option<i32>,
    /// Number of replicas; none for the broker's default.
    pub replication_factor: Option<i16>,
    /// Entries of its configuration.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic with the broker's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            partitions: None,
            replication_factor: None,
            configs: BTreeMap::new(),
        }
    }

    /// With this many partitions.
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// With this entry in its configuration.
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(name.into(), value.into());
        self
    }
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its id; nil when the broker gives none.
    pub id: Uuid,
    /// Whether the broker keeps it for itself.
    pub is_internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// The broker that leads it, if there is one.
    pub leader: Option<i32>,
    /// The epoch of the leader, or -1 when unknown.
    pub leader_epoch: i32,
}

impl Admin {
    fn request_timeout(&self) -> Duration {
        self.client.cluster().config.request_timeout
    }

    /// Creates topics. The outcome of each is its id, nil when the broker gives none.
    ///
    /// # Errors
    /// [`Error::Timeout`] when no broker answered.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the topics created.
    pub async fn create_topics(
        &self,
        topics: impl IntoIterator<Item = NewTopic>,
    ) -> Result<Outcomes<Uuid>, Error> {
        let topic = |topic: NewTopic| CreatableTopic {
            name: topic.name.into(),
            num_partitions: topic.partitions.unwrap_or(-1),
            replication_factor: topic.replication_factor.unwrap_or(-1),
            configs: topic
                .configs
                .into_iter()
                .map(|(name, value)| CreatableTopicConfig {
                    name: name.into(),
                    value: Some(value.into()),
                })
                .collect(),
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest {
            topics: topics.into_iter().map(topic).collect(),
            timeout_ms: millis_i32(self.request_timeout()),
            validate_only: false,
        };
        let response = self.controller("CreateTopics", request).await?;
        let outcome = |topic: ottla_protocol::message::CreatableTopicResult| {
            let code = check(
                "CreateTopics",
                topic.error_code,
                topic.error_message.as_deref(),
            );
            (topic.name.to_string(), code.map(|()| topic.topic_id))
        };
        Ok(response.topics.into_iter().map(outcome).collect())
    }

    /// Deletes topics.
    ///
    /// # Errors
    /// [`Error::Timeout`] when no broker answered.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the topics deleted.
    pub async fn delete_topics<S: Into<String>>(
        &self,
        topics: impl IntoIterator<Item = S>,
    ) -> Result<Outcomes<()>, Error> {
        let names: Vec<String> = topics.into_iter().map(Into::into).collect();
        let state = |name: &String| DeleteTopicState {
            name: Some(name.as_str().into()),
            ..DeleteTopicState::default()
        };
        let request = DeleteTopicsRequest {
            topics: names.iter().map(state).collect(),
            topic_names: names.iter().map(|name| name.as_str().into()).collect(),
            timeout_ms: millis_i32(self.request_timeout()),
        };
        let response = self.controller("DeleteTopics", request).await?;
        let outcome = |topic: ottla_protocol::message::DeletableTopicResult| {
            let code = check(
                "DeleteTopics",
                topic.error_code,
                topic.error_message.as_deref(),
            );
            (topic.name.unwrap_or_default().to_string(), code)
        };
        Ok(response.responses.into_iter().map(outcome).collect())
    }

    /// Extends a topic to `count` partitions.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`].
    ///
    /// # Cancel safety
    /// Dropping the future may leave the topic extended.
    pub async fn create_partitions(&self, topic: &str, count: i32) -> Result<(), Error> {
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: topic.into(),
                count,
                assignments: None,
            }],
            timeout_ms: millis_i32(self.request_timeout()),
            validate_only: false,
        };
        let response = self.controller("CreatePartitions", request).await?;
        let missing = || Error::Corrupt("no outcome in the answer".to_owned());
        let result = response.results.into_iter().next().ok_or_else(missing)?;
        check(
            "CreatePartitions",
            result.error_code,
            result.error_message.as_deref(),
        )
    }

    /// Names all topics but, unless asked, the broker's own.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`].
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn list_topics(&self, internal: bool) -> Result<BTreeSet<String>, Error> {
        let cluster = self.client.cluster();
        cluster
            .retry("Metadata", cluster.deadline(), || async {
                Ok(cluster.refresh(&Topics::All, false).await?)
            })
            .await?;
        let metadata = cluster.metadata();
        let topics = metadata
            .topics
            .iter()
            .filter(|(_, topic)| internal || !topic.is_internal);
        Ok(topics.map(|(name, _)| name.to_string()).collect())
    }

    /// Shows topics.
    ///
    /// # Errors
    /// [`Error::Timeout`] when no broker answered.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn describe_topics<S: AsRef<str>>(
        &self,
        topics: impl IntoIterator<Item = S>,
    ) -> Result<Outcomes<TopicDescription>, Error> {
        let cluster = self.client.cluster();
        let names: BTreeSet<Arc<str>> = topics
            .into_iter()
            .map(|name| Arc::from(name.as_ref()))
            .collect();
        let asked = Topics::Named(names.clone());
        cluster
            .retry("Metadata", cluster.deadline(), || async {
                Ok(cluster.refresh(&asked, false).await?)
            })
            .await?;
        let metadata = cluster.metadata();
        let describe = |name: Arc<str>| {
            let unknown = ErrorCode::UnknownTopicOrPartition;
            let code = metadata.errors.get(&name).copied();
            let outcome = match (metadata.topics.get(&name), code) {
                (Some(topic), None) => Ok(describe(topic)),
                (_, code) => Err(Error::Refused {
                    operation: "Metadata",
                    code: code.unwrap_or(unknown),
                    message: None,
                }),
            };
            (name.to_string(), outcome)
        };
        Ok(names.into_iter().map(describe).collect())
    }

    /// Deletes the records before `offset`, or all with none, and returns where the log starts
    /// then.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`]; [`Error::Unsupported`] when the broker cannot do it.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the records deleted.
    pub async fn delete_records(
        &self,
        partition: &TopicPartition,
        offset: Option<i64>,
    ) -> Result<i64, Error> {
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: (&*partition.topic).into(),
                partitions: vec![DeleteRecordsPartition {
                    partition_index: partition.partition,
                    offset: offset.unwrap_or(-1),
                }],
            }],
            timeout_ms: millis_i32(self.request_timeout()),
        };
        let code = |response: &DeleteRecordsResponse| {
            let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            let result = partitions.next();
            result.map_or(ErrorCode::None, |result| result.error_code)
        };
        let operation = "DeleteRecords";
        let response = self.leader(operation, partition, request, code).await?;
        let partitions = response
            .topics
            .into_iter()
            .flat_map(|topic| topic.partitions);
        let missing = || Error::Corrupt("no outcome in the answer".to_owned());
        let result = partitions.into_iter().next().ok_or_else(missing)?;
        check(operation, result.error_code, None)?;
        Ok(result.low_watermark)
    }
}

fn describe(topic: &crate::metadata::Topic) -> TopicDescription {
    let partitions = (0..).zip(&topic.leaders);
    TopicDescription {
        id: topic.id,
        is_internal: topic.is_internal,
        partitions: partitions
            .map(|(partition, leader)| PartitionDescription {
                partition,
                leader: (leader.node_id >= 0).then_some(leader.node_id),
                leader_epoch: leader.epoch,
            })
            .collect(),
    }
}
