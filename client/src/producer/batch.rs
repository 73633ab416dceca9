//! Pure. A batch of records on its way: filled, numbered, built, perhaps split.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use ottla_protocol::record::{
    BatchBuilder, BatchHeader, BatchOptions, HEADER_LEN, Limits, ProducerIdentity, RecordBatch,
};
use tokio::time::Instant;

use super::delivery::{Outcome, Slot};
use crate::error::{DeliveryError, Error};
use crate::telemetry::Sendings;

/// Room between the orders of two batches, so that parts fit in between.
pub(super) const ORDER_WIDTH: u64 = 1 << 32;

/// The records of a batch.
#[derive(Debug)]
pub(super) enum Body {
    /// Not yet built, so not yet compressed.
    Open(Box<BatchBuilder>),
    Built(Bytes),
}

/// A batch of one partition.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) slot: Arc<Slot>,
    /// Spans of the records.
    pub(super) sendings: Sendings,
    pub(super) body: Body,
    pub(super) count: i32,
    /// What the batch takes of `buffer.memory`.
    pub(super) memory: usize,
    /// For `flush`: parts share the id of the whole.
    pub(super) id: u64,
    /// Place among the batches of the partition.
    pub(super) order: u64,
    pub(super) width: u64,
    pub(super) created: Instant,
    /// When its records have failed if they are not acknowledged.
    pub(super) deadline: Instant,
    pub(super) numbers: Option<ProducerIdentity>,
    pub(super) attempts: u32,
    /// A request with this batch was sent and its outcome is unknown.
    pub(super) may_have_been_written: bool,
    /// Who waits was told that it failed while it was still in flight.
    pub(super) expired: Option<DeliveryError>,
}

impl Batch {
    /// Bytes of the batch, before compression while it is open.
    pub(super) fn size(&self) -> usize {
        match &self.body {
            Body::Open(builder) => builder.size(),
            Body::Built(bytes) => bytes.len(),
        }
    }

    /// The bytes to send, under the batch's numbers. Builds and compresses when that was not done;
    /// the builder that is done with is returned.
    pub(super) fn bytes(&mut self) -> Result<(Bytes, Option<Box<BatchBuilder>>), Error> {
        let numbers = self.numbers.unwrap_or(ProducerIdentity::NONE);
        let invalid = |error: &dyn std::fmt::Display| Error::Invalid(error.to_string());
        match std::mem::replace(&mut self.body, Body::Built(Bytes::new())) {
            Body::Open(mut builder) => {
                builder.set_producer(numbers);
                let bytes = builder.build().map_err(|error| invalid(&error))?;
                self.body = Body::Built(bytes.clone());
                Ok((bytes, Some(builder)))
            }
            Body::Built(bytes) => {
                let bytes = renumber(bytes, numbers).map_err(|error| invalid(&error))?;
                self.body = Body::Built(bytes.clone());
                Ok((bytes, None))
            }
        }
    }

    /// Two batches with a half of the records each, under the numbers that the records had.
    pub(super) fn split(mut self, options: BatchOptions) -> Result<[Self; 2], Box<(Self, Error)>> {
        let Body::Built(bytes) = &self.body else {
            return Err(Box::new((self, Error::Invalid("not built".to_owned()))));
        };
        let halves = match halve(bytes.clone(), options) {
            Ok(halves) => halves,
            Err(error) => return Err(Box::new((self, Error::Invalid(error.to_string())))),
        };
        let [(first, first_count), (second, second_count)] = halves;
        let at = usize::try_from(first_count).unwrap_or(0);
        let [sendings, later] = self.sendings.split(at);
        let width = self.width / 2;
        let memory = self.memory / 2;
        let part = |body, count, offset: i32, sendings| Self {
            sendings,
            topic: Arc::clone(&self.topic),
            slot: Slot::new(Arc::clone(&self.topic), self.partition),
            body: Body::Built(body),
            count,
            numbers: self.numbers.map(|numbers| ProducerIdentity {
                base_sequence: super::sequence::advance(numbers.base_sequence, offset),
                ..numbers
            }),
            may_have_been_written: false,
            expired: None,
            width,
            memory,
            ..self
        };
        let mut second = part(second, second_count, first_count, later);
        second.order = self.order + width;
        second.memory = self.memory - memory;
        let first = part(first, first_count, 0, sendings);
        let at = u32::try_from(first_count).unwrap_or(0);
        let parts = vec![(0, Arc::clone(&first.slot)), (at, Arc::clone(&second.slot))];
        self.slot.complete(Outcome::Split(parts));
        Ok([first, second])
    }

    /// Its time is up, and no answer is there. What comes of it later counts for its number only.
    pub(super) fn expire(&mut self, sent: bool) {
        self.may_have_been_written |= sent;
        let error = self.fail(Error::Timeout {
            operation: "delivery",
            reason: "no answer in time".to_owned(),
        });
        self.expired = Some(error);
    }

    /// Tells those who wait that the records were not acknowledged, unless that was done.
    pub(super) fn fail(&self, error: Error) -> DeliveryError {
        if let Some(told) = &self.expired {
            return told.clone();
        }
        let error = DeliveryError {
            error,
            may_have_been_written: self.may_have_been_written,
        };
        self.sendings.failed(self.partition, &error.error);
        self.slot.complete(Outcome::Failed(error.clone()));
        error
    }
}

/// The batch under other numbers. The records are copied only if the numbers differ.
fn renumber(
    bytes: Bytes,
    numbers: ProducerIdentity,
) -> Result<Bytes, ottla_protocol::record::HeaderError> {
    let mut header = BatchHeader::decode(&bytes)?;
    let ProducerIdentity {
        producer_id,
        producer_epoch,
        base_sequence,
    } = numbers;
    let same = header.producer_id == producer_id
        && header.producer_epoch == producer_epoch
        && header.base_sequence == base_sequence;
    if same {
        return Ok(bytes);
    }
    header.producer_id = producer_id;
    header.producer_epoch = producer_epoch;
    header.base_sequence = base_sequence;
    let records = bytes.get(HEADER_LEN..).unwrap_or_default();
    header.crc = header.compute_crc(records);
    let mut patched = BytesMut::with_capacity(bytes.len());
    patched.put_slice(&header.encode());
    patched.put_slice(records);
    Ok(patched.freeze())
}

type Half = (Bytes, i32);

/// Builds two batches from the records of one.
fn halve(bytes: Bytes, options: BatchOptions) -> Result<[Half; 2], Box<dyn std::error::Error>> {
    let (batch, _) = RecordBatch::parse(bytes)?;
    let limits = Limits {
        max_decompressed: usize::MAX,
        max_ratio: usize::MAX,
        ..Limits::default()
    };
    let records: Vec<_> = batch.records(&limits)?.collect::<Result<_, _>>()?;
    let options = BatchOptions {
        max_size: usize::MAX,
        ..options
    };
    let build =
        |records: &[ottla_protocol::record::Record]| -> Result<Half, Box<dyn std::error::Error>> {
            let mut builder = BatchBuilder::new(options)?;
            for record in records {
                let headers: Vec<_> = record.headers().collect();
                let (key, value) = (record.key.as_deref(), record.value.as_deref());
                builder.append(record.timestamp, key, value, &headers)?;
            }
            let count = builder.record_count();
            Ok((builder.build()?, count))
        };
    let (first, second) = records.split_at(records.len() / 2);
    Ok([build(first)?, build(second)?])
}
