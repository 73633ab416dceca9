//! Pure. Offsets on their way to the coordinator: one request at a time, so that a newer offset is
//! never overtaken by an older one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;

use tokio::sync::oneshot;

use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::offsets::CommittedOffset;

type Offsets = BTreeMap<TopicPartition, CommittedOffset>;

/// Who waits for a commit.
struct Waiter {
    /// A request that carries this number or a later one carries what is waited for.
    number: u64,
    /// Those of which no such request has come back.
    partitions: BTreeSet<TopicPartition>,
    reply: oneshot::Sender<Result<(), Error>>,
}

/// An offset and the number of the call that brought it.
#[derive(Debug, Clone)]
struct Entry {
    number: u64,
    offset: CommittedOffset,
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
    queued: BTreeMap<TopicPartition, Entry>,
    under_way: BTreeMap<TopicPartition, Entry>,
    /// Those of `under_way` that the member does not have any more.
    fenced: BTreeSet<TopicPartition>,
    waiters: Vec<Waiter>,
    /// Of the last call that queued something.
    number: u64,
}

impl Commits {
    /// Queues offsets; newer ones replace older ones that have not been sent.
    pub(in super::super) fn add(
        &mut self,
        offsets: Offsets,
        reply: Option<oneshot::Sender<Result<(), Error>>>,
    ) {
        self.number += 1;
        let number = self.number;
        self.waiters.retain(|waiter| !waiter.reply.is_closed());
        if let Some(reply) = reply {
            let partitions = offsets.keys().cloned().collect();
            self.waiters.push(Waiter {
                number,
                partitions,
                reply,
            });
        }
        let entries = offsets.into_iter();
        let entries = entries.map(|(partition, offset)| (partition, Entry { number, offset }));
        self.queued.extend(entries);
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
        let entries = self.under_way.iter();
        let offset = |(partition, entry): (&TopicPartition, &Entry)| {
            (partition.clone(), entry.offset.clone())
        };
        Some(entries.map(offset).collect())
    }

    /// Takes the outcome of the request under way, and gives back what was committed.
    pub(in super::super) fn complete(
        &mut self,
        outcome: impl Fn(&TopicPartition) -> Outcome,
    ) -> Offsets {
        let mut committed = Offsets::new();
        let fenced_now = std::mem::take(&mut self.fenced);
        for (partition, entry) in std::mem::take(&mut self.under_way) {
            let number = entry.number;
            match outcome(&partition) {
                Outcome::Committed => {
                    self.came_back(&partition, number);
                    committed.insert(partition, entry.offset);
                }
                Outcome::Again if fenced_now.contains(&partition) => {
                    self.fail(&partition, ..=number, &fenced(&partition));
                }
                Outcome::Again => {
                    self.queued.entry(partition).or_insert(entry);
                }
                Outcome::Failed(error) => self.fail(&partition, ..=number, &error),
            }
        }
        self.settle();
        committed
    }

    /// The partition is no longer the member's.
    pub(super) fn fence(&mut self, partition: &TopicPartition) {
        let under_way = self.under_way.get(partition).map(|entry| entry.number);
        if under_way.is_some() {
            self.fenced.insert(partition.clone());
        }
        if self.queued.remove(partition).is_some() {
            // What is under way may still be taken.
            let first = under_way.map_or(0, |number| number + 1);
            self.fail(partition, first.., &fenced(partition));
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

    /// A partition's offset with this number was committed, and with it those before.
    fn came_back(&mut self, partition: &TopicPartition, number: u64) {
        let waiters = self.waiters.iter_mut();
        for waiter in waiters.filter(|waiter| waiter.number <= number) {
            waiter.partitions.remove(partition);
        }
    }

    /// Fails those who wait for one of these numbers of a partition.
    fn fail(&mut self, partition: &TopicPartition, numbers: impl RangeBounds<u64>, error: &Error) {
        let fails = |waiter: &mut Waiter| {
            numbers.contains(&waiter.number) && waiter.partitions.contains(partition)
        };
        for waiter in self.waiters.extract_if(.., fails) {
            let _ = waiter.reply.send(Err(error.clone()));
        }
    }

    /// Tells those who wait for nothing more.
    fn settle(&mut self) {
        let done = |waiter: &mut Waiter| waiter.partitions.is_empty();
        for waiter in self.waiters.extract_if(.., done) {
            let _ = waiter.reply.send(Ok(()));
        }
    }
}

/// What to say about a partition that somebody else may own.
pub(in super::super) fn fenced(partition: &TopicPartition) -> Error {
    Error::Fenced(format!(
        "{partition} is not assigned to this consumer any more; its records will be read again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = oneshot::Receiver<Result<(), Error>>;

    fn partition() -> TopicPartition {
        TopicPartition::new("t", 0)
    }

    fn add(commits: &mut Commits, offset: i64) -> Answer {
        let (reply, answer) = oneshot::channel();
        let offsets = [(partition(), CommittedOffset::new(offset))].into();
        commits.add(offsets, Some(reply));
        answer
    }

    #[test]
    fn a_commit_is_done_when_its_request_is_however_much_is_queued_since() {
        let mut commits = Commits::default();
        let mut first = add(&mut commits, 1);
        commits.take().unwrap();
        let mut second = add(&mut commits, 2);
        let committed = commits.complete(|_| Outcome::Committed);
        assert_eq!(committed[&partition()].offset, 1);
        assert_eq!(first.try_recv(), Ok(Ok(())));
        assert!(second.try_recv().is_err());
        let _third = add(&mut commits, 3);
        assert_eq!(commits.take().unwrap()[&partition()].offset, 3);
        commits.complete(|_| Outcome::Committed);
        assert_eq!(second.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn a_commit_does_not_fail_for_the_request_before_it() {
        let mut commits = Commits::default();
        let mut first = add(&mut commits, 1);
        commits.take().unwrap();
        let mut second = add(&mut commits, 2);
        commits.complete(|_| Outcome::Failed(Error::Closed));
        assert_eq!(first.try_recv(), Ok(Err(Error::Closed)));
        commits.take().unwrap();
        commits.complete(|_| Outcome::Committed);
        assert_eq!(second.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn a_commit_that_is_to_be_sent_again_is_done_with_the_newer_one() {
        let mut commits = Commits::default();
        let mut first = add(&mut commits, 1);
        commits.take().unwrap();
        let _second = add(&mut commits, 2);
        commits.complete(|_| Outcome::Again);
        assert!(first.try_recv().is_err());
        assert_eq!(commits.take().unwrap()[&partition()].offset, 2);
        commits.complete(|_| Outcome::Committed);
        assert_eq!(first.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn what_is_under_way_when_its_partition_goes_may_still_be_taken() {
        let mut commits = Commits::default();
        let mut first = add(&mut commits, 1);
        commits.take().unwrap();
        let mut second = add(&mut commits, 2);
        commits.fence(&partition());
        assert!(second.try_recv().unwrap().unwrap_err().is_fenced());
        commits.complete(|_| Outcome::Committed);
        assert_eq!(first.try_recv(), Ok(Ok(())));
    }
}
