//! What becomes of records, and the futures that wait for it.
//!
//! All records of a batch share one slot. When a batch is split, its slot points to the slots of
//! the parts.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
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

#[derive(Debug, Default)]
struct State {
    outcome: Option<Outcome>,
    /// At most one a record.
    wakers: BTreeMap<u32, Waker>,
}

/// The future outcome of one batch.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<State>);

impl Slot {
    /// Sets the outcome and wakes who waits. Only the first outcome counts.
    pub(super) fn complete(&self, outcome: Outcome) {
        let wakers = {
            let mut state = self.0.lock();
            if state.outcome.is_some() {
                return;
            }
            state.outcome = Some(outcome);
            std::mem::take(&mut state.wakers)
        };
        for waker in wakers.into_values() {
            waker.wake();
        }
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
    topic: Arc<str>,
    partition: i32,
    timestamp: i64,
    /// The slot may hold a waker of this.
    waits: bool,
}

impl Delivery {
    pub(super) fn new(
        slot: Arc<Slot>,
        index: u32,
        topic: Arc<str>,
        partition: i32,
        timestamp: i64,
    ) -> Self {
        Self {
            slot,
            index,
            topic,
            partition,
            timestamp,
            waits: false,
        }
    }

    /// The partition that was chosen for the record.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The outcome, if it is known by now.
    fn outcome(&mut self, waker: Option<&Waker>) -> Option<Result<RecordMetadata, DeliveryError>> {
        loop {
            let slot = Arc::clone(&self.slot);
            let mut state = slot.0.lock();
            match &state.outcome {
                None => {
                    if let Some(waker) = waker {
                        state.wakers.insert(self.index, waker.clone());
                        self.waits = true;
                    }
                    return None;
                }
                Some(Outcome::Failed(error)) => return Some(Err(error.clone())),
                Some(Outcome::Written {
                    base_offset,
                    log_append_time,
                }) => {
                    return Some(Ok(RecordMetadata {
                        topic: Arc::clone(&self.topic),
                        partition: self.partition,
                        offset: (*base_offset >= 0)
                            .then(|| base_offset.saturating_add(i64::from(self.index))),
                        timestamp: log_append_time.unwrap_or(self.timestamp),
                    }));
                }
                Some(Outcome::Split(parts)) => {
                    let part = parts.iter().rev().find(|(first, _)| *first <= self.index);
                    // The first part starts at 0.
                    let (first, part) = part?;
                    self.index -= first;
                    self.slot = Arc::clone(part);
                }
            }
        }
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, DeliveryError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match this.outcome(Some(context.waker())) {
            Some(outcome) => {
                this.waits = false;
                Poll::Ready(outcome)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        // Most are dropped when all is said.
        if !self.waits {
            return;
        }
        let mut state = self.slot.0.lock();
        if state.outcome.is_none() {
            state.wakers.remove(&self.index);
        }
    }
}
