//! A client without a library: requests one by one, and a new connection after each that failed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::message::{
    FetchPartition, FetchRequest, FetchTopic, ListOffsetsPartition, ListOffsetsRequest,
    ListOffsetsTopic, PartitionData, RequestMessage,
};
use ottla_protocol::record::{Batches, Limits, Record};
use ottla_protocol::service::{Connection, Service};
use ottla_protocol::{ErrorCode, StrBytes};
use tokio::time::timeout;
use uuid::Uuid;

use crate::history::Place;

/// Timestamps that ask for the end and the start of a log.
pub(crate) const LATEST: i64 = -1;
pub(crate) const EARLIEST: i64 = -2;

/// It is not known what became of the request.
#[derive(Debug)]
pub(crate) struct Lost;

/// See the module.
pub(crate) struct Link {
    service: Arc<dyn Service>,
    connection: Option<Box<dyn Connection>>,
    client_id: StrBytes,
    patience: Duration,
}

impl Link {
    pub(crate) fn new(service: Arc<dyn Service>, client_id: &str) -> Self {
        Self {
            service,
            connection: None,
            client_id: StrBytes::from(client_id),
            patience: Duration::from_secs(7),
        }
    }

    /// Waits longer for answers.
    pub(crate) fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Asks in the newest version.
    pub(crate) async fn ask<R: RequestMessage>(&mut self, request: R) -> Result<R::Response, Lost> {
        self.ask_in(R::API_KEY.api().max, request).await
    }

    pub(crate) async fn ask_in<R: RequestMessage>(
        &mut self,
        version: i16,
        request: R,
    ) -> Result<R::Response, Lost> {
        if self.connection.is_none() {
            self.connection = self.service.connect().ok();
        }
        let connection = self.connection.as_ref().ok_or(Lost)?;
        let answer = connection.call(request.into(), version, &self.client_id);
        let answer = timeout(self.patience, answer).await;
        if let Ok(Ok(Some(answer))) = answer
            && let Ok(answer) = R::Response::try_from(answer)
        {
            return Ok(answer);
        }
        self.connection = None;
        Err(Lost)
    }

    pub(crate) async fn fetch(
        &mut self,
        topic: Uuid,
        partition: i32,
        offset: i64,
        committed: bool,
        max_bytes: i32,
        max_wait_ms: i32,
    ) -> Result<PartitionData, Lost> {
        let partition = FetchPartition {
            partition,
            fetch_offset: offset,
            partition_max_bytes: max_bytes,
            ..Default::default()
        };
        let request = FetchRequest {
            max_wait_ms,
            min_bytes: 1,
            max_bytes,
            isolation_level: i8::from(committed),
            topics: vec![FetchTopic {
                topic_id: topic,
                partitions: vec![partition],
                ..Default::default()
            }],
            ..Default::default()
        };
        let mut answer = self.ask(request).await?;
        let mut topic = answer.responses.pop().ok_or(Lost)?;
        topic.partitions.pop().ok_or(Lost)
    }

    pub(crate) async fn list_offset(&mut self, place: Place, timestamp: i64) -> Result<i64, Lost> {
        let partition = ListOffsetsPartition {
            partition_index: place.partition,
            timestamp,
            ..Default::default()
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: place.topic.into(),
                partitions: vec![partition],
            }],
            ..Default::default()
        };
        let answer = self.ask(request).await?;
        let topic = answer.topics.first().ok_or(Lost)?;
        let partition = topic.partitions.first().ok_or(Lost)?;
        match partition.error_code {
            ErrorCode::None => Ok(partition.offset),
            _ => Err(Lost),
        }
    }
}

/// A record as the simulation has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) offset: i64,
    pub(crate) id: u64,
    pub(crate) transaction: u32,
}

/// The value of a record: what it is known by, and filling.
pub(crate) fn value(id: u64, transaction: u32, filling: usize) -> Bytes {
    let mut value = id.to_be_bytes().to_vec();
    value.extend(transaction.to_be_bytes());
    value.resize(value.len() + filling, b'.');
    value.into()
}

/// What a record is known by.
pub(crate) fn found(record: &Record) -> Found {
    let value = record.value.as_deref().expect("a value");
    Found {
        offset: record.offset,
        id: u64::from_be_bytes(value[..8].try_into().expect("an id")),
        transaction: u32::from_be_bytes(value[8..12].try_into().expect("a number")),
    }
}

/// The records of a fetch from `position` on that a reader may have, and where it goes on.
pub(crate) fn read(data: &PartitionData, position: i64) -> (Vec<Found>, i64) {
    let mut aborted = data.aborted_transactions.clone().unwrap_or_default();
    aborted.sort_by_key(|aborted| aborted.first_offset);
    let mut aborted = aborted.into_iter().peekable();
    let mut dropped = std::collections::BTreeSet::new();
    let (mut found, mut next) = (Vec::new(), position);
    for batch in Batches::new(data.records.clone().unwrap_or_default()) {
        let batch = batch.expect("a batch");
        batch.verify_crc().expect("an intact batch");
        let header = *batch.header();
        while let Some(aborted) =
            aborted.next_if(|aborted| aborted.first_offset <= header.last_offset())
        {
            dropped.insert(aborted.producer_id);
        }
        next = header.next_offset();
        if header.attributes.is_control() {
            dropped.remove(&header.producer_id);
            continue;
        }
        if header.attributes.is_transactional() && dropped.contains(&header.producer_id) {
            continue;
        }
        for record in batch.records(&Limits::default()).expect("records") {
            let record = self::found(&record.expect("a record"));
            if record.offset >= position {
                found.push(record);
            }
        }
    }
    (found, next)
}
