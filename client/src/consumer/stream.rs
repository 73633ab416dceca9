//! A consumer as a stream of records, for applications that process one after the other.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use ottla_protocol::record::Record;
use tokio::sync::futures::OwnedNotified;

use super::{Consumer, ConsumerHandle, Event, Records};
use crate::error::Error;
use crate::metadata::TopicPartition;

/// A record and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerRecord {
    /// The partition.
    pub partition: TopicPartition,
    /// The record.
    pub record: Record,
}

impl Deref for ConsumerRecord {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

/// The records of a consumer, one by one. Made by [`Consumer::into_stream`].
///
/// Asking for the next record acknowledges the one before. Partitions that the group wants back
/// are given back by then. It ends when the consumer has: after an error that
/// [`Consumer::next_event`] calls the end.
///
/// # Cancel safety
/// Dropping the wait for a record loses none; what comes after it does not count as processed.
pub struct RecordStream {
    consumer: Consumer,
    current: Option<Current>,
    waiting: Option<Pin<Box<OwnedNotified>>>,
}

/// An event that is being handed on, record by record.
struct Current {
    /// What is acknowledged; without records.
    event: Records,
    left: std::vec::IntoIter<Record>,
    /// Behind the record that was handed on last.
    processed: i64,
}

impl RecordStream {
    pub(super) fn new(consumer: Consumer) -> Self {
        Self {
            consumer,
            current: None,
            waiting: None,
        }
    }

    /// The handle of the consumer.
    #[must_use]
    pub fn handle(&self) -> ConsumerHandle {
        self.consumer.handle()
    }

    /// Ends the consumer, as [`Consumer::close`] does. The record that was handed on last does not
    /// count as processed.
    ///
    /// # Errors
    /// As [`Consumer::close`].
    ///
    /// # Cancel safety
    /// As [`Consumer::close`].
    pub async fn close(self, limit: Duration) -> Result<(), Error> {
        self.consumer.close(limit).await
    }

    /// Acknowledges the record before, and takes the next of the same event.
    fn next_of_event(&mut self) -> Option<ConsumerRecord> {
        let current = self.current.as_mut()?;
        let partition = current.event.partition.clone();
        if let Some(record) = current.left.next() {
            self.consumer.ack_before(&current.event, current.processed);
            current.processed = record.offset.saturating_add(1);
            return Some(ConsumerRecord { partition, record });
        }
        self.consumer.ack(&current.event);
        self.current = None;
        None
    }
}

impl Stream for RecordStream {
    type Item = Result<ConsumerRecord, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(record) = this.next_of_event() {
                return Poll::Ready(Some(Ok(record)));
            }
            match this.consumer.try_next_event() {
                Some(Ok(Event::Records(mut records))) => {
                    let left = std::mem::take(&mut records.records).into_iter();
                    let first = left.as_slice().first();
                    this.current = Some(Current {
                        processed: first.map_or(i64::MIN, |record| record.offset),
                        event: records,
                        left,
                    });
                }
                // Nothing is held when the next record is asked for.
                Some(Ok(_)) => {}
                Some(Err(Error::Closed)) => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    let application = &this.consumer.shared().application;
                    let waiting = this
                        .waiting
                        .get_or_insert_with(|| Box::pin(Arc::clone(application).notified_owned()));
                    ready!(waiting.as_mut().poll(context));
                    this.waiting = None;
                }
            }
        }
    }
}
