//! Pure. Offsets on their way to the coordinator: one request at a time, so that a newer offset is
//! never overtaken by an older one.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::oneshot;

use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::offsets::CommittedOffset;

type Offsets = BTreeMap<TopicPartition, CommittedOffset>;

/// Who waits for a commit.
struct Waiter {
    partitions: BTreeSet<TopicPartition>,
    reply: oneshot::Sender<Result<(), Error>>,
}

/// What became of one partition of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Outcome {
    Committed,
    /// Another attempt may succeed.
    Again,
    Failed(Error),
}

#[derive(Default)]
pub(in super::super) struct Commits {
    queued: Offsets,
    under_way: Offsets,
    /// Those of `under_way` that the member does not have any more.
    fenced: BTreeSet<TopicPartition>,
    waiters: Vec<Waiter>,
}

impl Commits {
    /// Queues offsets; newer ones replace older ones that have not been sent.
    pub(in super::super) fn add(
        &mut self,
        offsets: Offsets,
        reply: Option<oneshot::Sender<Result<(), Error>>>,
    ) {
        let partitions = offsets.keys().cloned().collect();
        self.queued.extend(offsets);
        self.waiters.retain(|waiter| !waiter.reply.is_closed());
        if let Some(reply) = reply {
            self.waiters.push(Waiter { partitions, reply });
        }
        self.settle();
    }

    pub(in super::super) fn is_idle(&self) -> bool {
        self.queued.is_empty() && self.under_way.is_empty()
    }

    pub(in super::super) fn is_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    pub(in super::super) fn is_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    /// Whether offsets of a partition are on their way.
    pub(in super::super) fn holds(&self, partition: &TopicPartition) -> bool {
        self.queued.contains_key(partition) || self.under_way.contains_key(partition)
    }

    /// What to send, if nothing is under way.
    pub(in super::super) fn take(&mut self) -> Option<Offsets> {
        if self.is_under_way() || self.queued.is_empty() {
            return None;
        }
        self.under_way = std::mem::take(&mut self.queued);
        Some(self.under_way.clone())
    }

    /// Takes the outcome of the request under way, and gives back what was committed.
    pub(in super::super) fn complete(
        &mut self,
        outcome: impl Fn(&TopicPartition) -> Outcome,
    ) -> Offsets {
        let mut committed = Offsets::new();
        let fenced_now = std::mem::take(&mut self.fenced);
        for (partition, offset) in std::mem::take(&mut self.under_way) {
            match outcome(&partition) {
                Outcome::Committed => {
                    committed.insert(partition, offset);
                }
                Outcome::Again if fenced_now.contains(&partition) => {
                    self.fail(&partition, &fenced(&partition));
                }
                Outcome::Again => {
                    self.queued.entry(partition).or_insert(offset);
                }
                Outcome::Failed(error) => self.fail(&partition, &error),
            }
        }
        self.settle();
        committed
    }

    /// The partition is no longer the member's.
    pub(super) fn fence(&mut self, partition: &TopicPartition) {
        if self.under_way.contains_key(partition) {
            self.fenced.insert(partition.clone());
        }
        if self.queued.remove(partition).is_some() {
            self.fail(partition, &fenced(partition));
            self.settle();
        }
    }

    /// Nothing will be sent any more.
    pub(in super::super) fn abandon(&mut self, error: &Error) {
        self.queued.clear();
        self.under_way.clear();
        for waiter in self.waiters.drain(..) {
            let _ = waiter.reply.send(Err(error.clone()));
        }
    }

    fn fail(&mut self, partition: &TopicPartition, error: &Error) {
        let waiters = std::mem::take(&mut self.waiters);
        for waiter in waiters {
            if waiter.partitions.contains(partition) {
                let _ = waiter.reply.send(Err(error.clone()));
            } else {
                self.waiters.push(waiter);
            }
        }
    }

    /// Tells those of whose partitions none is on its way any more.
    fn settle(&mut self) {
        let waiters = std::mem::take(&mut self.waiters);
        for waiter in waiters {
            let mut partitions = waiter.partitions.iter();
            let waits = |partition| {
                self.queued.contains_key(partition) || self.under_way.contains_key(partition)
            };
            if partitions.any(waits) {
                self.waiters.push(waiter);
            } else {
                let _ = waiter.reply.send(Ok(()));
            }
        }
    }
}

/// What to say about a partition that somebody else may own.
pub(in super::super) fn fenced(partition: &TopicPartition) -> Error {
    Error::Fenced(format!(
        "{partition} is not assigned to this consumer any more; its records will be read again"
    ))
}
