//! What becomes of records, and the futures that wait for it.
//!
//! All records of a batch share one slot. When a batch is split, its slot points to the slots of
//! the parts.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::error::DeliveryError;

/// Where a record went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMetadata {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset. None when the broker did not tell: with `acks=0`, and for a record that turned
    /// out to have been written by an earlier attempt.
    pub offset: Option<i64>,
    /// Milliseconds since the Unix epoch, by the clock that the topic goes by.
    pub timestamp: i64,
}

/// What became of a batch.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Written {
        /// -1 when unknown.
        base_offset: i64,
        /// Set when the broker's clock counts.
        log_append_time: Option<i64>,
    },
    Failed(DeliveryError),
    /// The slots of the parts, by the index of their first record.
    Split(Vec<(u32, Arc<Slot>)>),
}

/// The future outcome of one batch. Records that have it are read without a lock.
#[derive(Debug)]
pub(super) struct Slot {
    topic: Arc<str>,
    partition: i32,
    outcome: OnceLock<Outcome>,
    /// At most one a record. Locked while the outcome is set.
    wakers: Mutex<BTreeMap<u32, Waker>>,
}

impl Slot {
    pub(super) fn new(topic: Arc<str>, partition: i32) -> Arc<Self> {
        Arc::new(Self {
            topic,
            partition,
            outcome: OnceLock::new(),
            wakers: Mutex::default(),
        })
    }

    /// Sets the outcome and wakes who waits. Only the first outcome counts.
    pub(super) fn complete(&self, outcome: Outcome) {
        let wakers = {
            let mut wakers = self.wakers.lock();
            if self.outcome.set(outcome).is_err() {
                return;
            }
            std::mem::take(&mut *wakers)
        };
        for waker in wakers.into_values() {
            waker.wake();
        }
    }

    /// The outcome, or a promise to wake `waker` when it is there.
    fn outcome_or_wake(&self, index: u32, waker: &Waker) -> Option<&Outcome> {
        if let Some(outcome) = self.outcome.get() {
            return Some(outcome);
        }
        let mut wakers = self.wakers.lock();
        if let Some(outcome) = self.outcome.get() {
            return Some(outcome);
        }
        wakers.insert(index, waker.clone());
        None
    }
}

/// The wait for one record's acknowledgement.
///
/// # Cancel safety
/// Dropping it only stops waiting: the record is written, or fails, all the same.
#[derive(Debug)]
#[must_use = "a delivery tells whether the record was written"]
pub struct Delivery {
    slot: Arc<Slot>,
    /// Position of the record in the batch of `slot`.
    index: u32,
    timestamp: i64,
    /// The slot may hold a waker of this.
    waits: bool,
}

impl Delivery {
    pub(super) fn new(slot: Arc<Slot>, index: u32, timestamp: i64) -> Self {
        Self {
            slot,
            index,
            timestamp,
            waits: false,
        }
    }

    /// The partition that was chosen for the record.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.slot.partition
    }

    /// Follows a batch that was split to the part with the record.
    fn follow(&mut self) {
        while let Some(Outcome::Split(parts)) = self.slot.outcome.get() {
            let part = parts.iter().rev().find(|(first, _)| *first <= self.index);
            // The first part starts at 0.
            let Some((first, part)) = part else { return };
            let part = Arc::clone(part);
            self.index -= first;
            self.slot = part;
            self.waits = false;
        }
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, DeliveryError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            this.follow();
            let slot = &this.slot;
            let outcome = match slot.outcome_or_wake(this.index, context.waker()) {
                None => {
                    this.waits = true;
                    return Poll::Pending;
                }
                Some(Outcome::Split(_)) => continue,
                Some(Outcome::Failed(error)) => Err(error.clone()),
                Some(Outcome::Written {
                    base_offset,
                    log_append_time,
                }) => Ok(RecordMetadata {
                    topic: Arc::clone(&slot.topic),
                    partition: slot.partition,
                    offset: (*base_offset >= 0)
                        .then(|| base_offset.saturating_add(i64::from(this.index))),
                    timestamp: log_append_time.unwrap_or(this.timestamp),
                }),
            };
            this.waits = false;
            return Poll::Ready(outcome);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        // Most are dropped when all is said.
        if !self.waits {
            return;
        }
        self.slot.wakers.lock().remove(&self.index);
    }
}
