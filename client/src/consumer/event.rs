//! What a consumer tells its application.

use std::sync::Arc;

use ottla_protocol::record::Record;
use tokio::time::Instant;

use super::Shared;
use crate::metadata::TopicPartition;
use crate::offsets::CommittedOffset;

/// Something that happened to a consumer.
#[derive(Debug)]
pub enum Event {
    /// Records of one partition, in order.
    Records(Records),
    /// These partitions are the consumer's from now on, besides those it has.
    Assigned(Vec<TopicPartition>),
    /// The group wants these partitions back.
    Revoking(Revoking),
    /// These partitions belong to others now, or may: what was read of them and not committed is
    /// read again by someone else. There was no time to give them back, or the application has
    /// asked for something else.
    Lost(Vec<TopicPartition>),
    /// No progress was made on records for `max.poll.interval.ms`, so the consumer left its
    /// group. [`Lost`](Self::Lost) names the partitions; the consumer joins again now.
    PollIntervalExceeded,
}

/// Which reading of a partition an acknowledgement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Token {
    pub(super) assignment: u64,
    pub(super) seek: u64,
    pub(super) number: u64,
}

/// Records of one partition, in order: at most `max.poll.records`.
///
/// They are views on what was fetched, and all of that counts against `consumer.buffer.memory`
/// until the last view on it is dropped: copy what is kept for long.
#[derive(Debug, Clone)]
pub struct Records {
    pub(super) partition: TopicPartition,
    pub(super) records: Vec<Record>,
    pub(super) next_offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) token: Token,
}

impl Records {
    /// Where the records come from.
    #[must_use]
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// How many there are; at least one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Never true.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records, by rising offset.
    pub fn iter(&self) -> std::slice::Iter<'_, Record> {
        self.records.iter()
    }

    /// What to commit when all of these are processed.
    #[must_use]
    pub fn next(&self) -> CommittedOffset {
        CommittedOffset {
            leader_epoch: (self.leader_epoch >= 0).then_some(self.leader_epoch),
            ..CommittedOffset::new(self.next_offset)
        }
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = &'a Record;
    type IntoIter = std::slice::Iter<'a, Record>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Records {
    type Item = Record;
    type IntoIter = std::vec::IntoIter<Record>;

    fn into_iter(self) -> Self::IntoIter {
        self.records.into_iter()
    }
}

/// Partitions that the group wants back. No more of their records are handed out.
///
/// The group waits until all records of these partitions that were handed out are acknowledged, or
/// [`done`](Self::done) is called, but not beyond the deadline: then they are lost. With
/// `enable.auto.commit` what was acknowledged is committed before they are given back.
#[derive(Debug)]
pub struct Revoking {
    pub(super) partitions: Vec<TopicPartition>,
    pub(super) deadline: Instant,
    pub(super) number: u64,
    pub(super) shared: Arc<Shared>,
}

impl Revoking {
    /// The partitions.
    #[must_use]
    pub fn partitions(&self) -> &[TopicPartition] {
        &self.partitions
    }

    /// When the partitions are given away in any case.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Gives the partitions back at once. Records that are not acknowledged by now will be read
    /// again by someone else.
    pub fn done(self) {
        self.shared.give_back(self.number, true);
    }
}

impl Drop for Revoking {
    fn drop(&mut self) {
        self.shared.give_back(self.number, false);
    }
}
