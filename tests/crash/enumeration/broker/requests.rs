//! Requests to a broker in this process, one by one.

use ottla_broker::Broker;
use ottla_protocol::message::{
    FetchPartition, FetchRequest, FetchTopic, ListOffsetsPartition, ListOffsetsRequest,
    ListOffsetsTopic, OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
    RequestMessage,
};
use ottla_protocol::record::{
    Batches, EndTransactionMarker, Limits, RecordBatch, TransactionResult,
};
use ottla_protocol::service::{Connection, Service};
use ottla_protocol::{ErrorCode, StrBytes};
use uuid::Uuid;

/// See the module.
pub(super) struct Client(Box<dyn Connection>);

impl Client {
    pub(super) fn of(broker: &Broker) -> Self {
        Self(broker.in_process().connect().expect("a connection"))
    }

    /// Asks in the newest version.
    pub(super) async fn ask<R: RequestMessage>(&self, request: R) -> Result<R::Response, String> {
        let name = StrBytes::from_static("client");
        let answer = self.0.call(request.into(), R::API_KEY.api().max, &name);
        let answer = answer.await.map_err(|error| error.to_string())?;
        let answer = answer.ok_or("no answer")?;
        R::Response::try_from(answer).map_err(|_| "the answer to something else".to_owned())
    }

    /// Where a partition ends.
    pub(super) async fn end(&self, topic: &str) -> Result<i64, String> {
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: topic.into(),
                partitions: vec![ListOffsetsPartition {
                    timestamp: -1,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let answer = self.ask(request).await?;
        let topic = answer.topics.first().ok_or("no topic")?;
        let partition = topic.partitions.first().ok_or("no partition")?;
        refused(partition.error_code)?;
        Ok(partition.offset)
    }

    /// How many transactions are committed in a partition.
    pub(super) async fn commits(&self, topic_id: Uuid, partition: i32) -> Result<i64, String> {
        let (mut commits, mut position) = (0, 0);
        loop {
            let request = FetchRequest {
                isolation_level: 1,
                topics: vec![FetchTopic {
                    topic_id,
                    partitions: vec![FetchPartition {
                        partition,
                        fetch_offset: position,
                        partition_max_bytes: i32::MAX,
                        ..Default::default()
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            };
            let answer = self.ask(request).await?;
            let topic = answer.responses.first().ok_or("no topic")?;
            let partition = topic.partitions.first().ok_or("no partition")?;
            refused(partition.error_code)?;
            let mut next = position;
            for batch in Batches::new(partition.records.clone().unwrap_or_default()) {
                let batch = batch.map_err(|error| error.to_string())?;
                next = batch.header().next_offset();
                commits += i64::from(is_commit(&batch)?);
            }
            if next == position {
                return Ok(commits);
            }
            position = next;
        }
    }

    /// The committed offset of a group; 0 if there is none.
    pub(super) async fn committed(&self, group: &str, topic: (&str, Uuid)) -> Result<i64, String> {
        let request = OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id: group.into(),
                topics: Some(vec![OffsetFetchRequestTopics {
                    name: topic.0.into(),
                    topic_id: topic.1,
                    partition_indexes: vec![0],
                }]),
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = self.ask(request).await?;
        let group = answer.groups.first().ok_or("no group")?;
        if group.error_code == ErrorCode::GroupIdNotFound {
            return Ok(0);
        }
        refused(group.error_code)?;
        let topic = group.topics.first().ok_or("no topic")?;
        let partition = topic.partitions.first().ok_or("no partition")?;
        refused(partition.error_code)?;
        Ok(partition.committed_offset.max(0))
    }
}

/// An error unless the code is none.
pub(super) fn refused(code: ErrorCode) -> Result<(), String> {
    match code {
        ErrorCode::None => Ok(()),
        code => Err(code.name().to_owned()),
    }
}

fn is_commit(batch: &RecordBatch) -> Result<bool, String> {
    if !batch.header().attributes.is_control() {
        return Ok(false);
    }
    let records = batch.records(&Limits::default());
    for record in records.map_err(|error| error.to_string())? {
        let record = record.map_err(|error| error.to_string())?;
        let marker = EndTransactionMarker::parse(&record).map_err(|error| error.to_string())?;
        if marker.is_some_and(|marker| marker.result == TransactionResult::Commit) {
            return Ok(true);
        }
    }
    Ok(false)
}
