//! What the application gets next, and what it says it has done.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::announce::{Announcement, Revoke};
use super::commits::fenced;
use super::{Phase, State};
use crate::consumer::chunk::{Blocked, Piece, Reading};
use crate::consumer::event::{Records, Token};
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::offsets::CommittedOffset;

/// What is handed out.
#[derive(Debug)]
pub(in super::super) enum Handed {
    Records(Records),
    Assigned(Vec<TopicPartition>),
    Revoking(Revoke),
    Lost(Vec<TopicPartition>),
    PollIntervalExceeded,
}

/// How the application wants its records.
pub(in super::super) struct Wants<'a> {
    pub(in super::super) max_records: usize,
    pub(in super::super) reading: &'a Reading,
    /// Whether records are to be acknowledged.
    pub(in super::super) tracked: bool,
    /// Bytes of a partition below which more is fetched.
    pub(in super::super) ahead: usize,
}

impl State {
    /// The next thing for the application, if there is one.
    pub(in super::super) fn next(
        &mut self,
        wants: &Wants<'_>,
        now: Instant,
    ) -> Option<Result<Handed, Error>> {
        if let Some(announcement) = self.announcements.next() {
            return Some(Ok(match announcement {
                Announcement::PollIntervalExceeded => {
                    self.returned = true;
                    self.wake = true;
                    Handed::PollIntervalExceeded
                }
                Announcement::Lost(partitions) => Handed::Lost(partitions.into_iter().collect()),
                Announcement::Revoking(revoke) => Handed::Revoking(revoke),
                Announcement::Assigned(partitions) => {
                    Handed::Assigned(partitions.into_iter().collect())
                }
            }));
        }
        if let Some(error) = self.errors.pop_front() {
            return Some(Err(error));
        }
        if self.phase != Phase::Running {
            return Some(Err(self.failure.take().unwrap_or(Error::Closed)));
        }
        match self.next_records(wants, now) {
            Some(records) => Some(Ok(Handed::Records(records))),
            None => self.errors.pop_front().map(Err),
        }
    }

    fn next_records(&mut self, wants: &Wants<'_>, now: Instant) -> Option<Records> {
        let mut starved = false;
        if let Some(records) = self.take_turns(wants, now, &mut starved) {
            return Some(records);
        }
        if !starved {
            return None;
        }
        // Room that came in between would be told to nobody.
        wants.reading.budget.starve();
        self.take_turns(wants, now, &mut starved)
    }

    fn take_turns(
        &mut self,
        wants: &Wants<'_>,
        now: Instant,
        starved: &mut bool,
    ) -> Option<Records> {
        for _ in 0..self.ready.len() {
            let partition = self.ready.pop_front()?;
            let Some(held) = self.partitions.get_mut(&partition) else {
                continue;
            };
            held.queued = false;
            if !held.has_buffered() {
                continue;
            }
            if !held.has_room() {
                self.enqueue(&partition);
                continue;
            }
            let piece = held.read(wants.max_records, wants.reading);
            self.wake |= held.becomes_hungry(wants.ahead);
            let Some(piece) = piece else {
                continue;
            };
            if piece.records.is_empty() {
                match piece.blocked {
                    Some(blocked) if blocked.is_final(&wants.reading.budget) => {
                        self.fail_partition(&partition, unreadable(&partition, &blocked));
                    }
                    _ => {
                        *starved = true;
                        self.enqueue(&partition);
                    }
                }
                continue;
            }
            return Some(self.hand_out(partition, piece, wants, now));
        }
        None
    }

    fn hand_out(
        &mut self,
        partition: TopicPartition,
        piece: Piece,
        wants: &Wants<'_>,
        now: Instant,
    ) -> Records {
        if self.waited_for == 0 {
            self.progress.made(now);
            // The task has to watch from now on.
            self.wake |= self.is_subscribed();
        }
        let token = self.update(&partition, |held| Token {
            assignment: held.assignment,
            seek: held.seek,
            number: held.hand_out(&piece, wants.tracked),
        });
        self.enqueue(&partition);
        Records {
            partition,
            records: piece.records,
            next_offset: piece.next_offset,
            leader_epoch: piece.leader_epoch,
            token: token.unwrap_or_default(),
        }
    }

    /// The application has done all of an event, or all before an offset. True when the partition
    /// waited for that before it could go on.
    pub(in super::super) fn acknowledge(
        &mut self,
        partition: &TopicPartition,
        token: Token,
        before: Option<i64>,
        now: Instant,
    ) -> Result<bool, Error> {
        // One from before a seek is void, and nobody else has the partition: nothing to tell.
        let taken = self.update(partition, |held| {
            let waited = !held.has_room();
            (held.assignment == token.assignment).then(|| {
                let _ = match before {
                    Some(offset) => held.acknowledge_before(offset, token.seek),
                    None => held.acknowledge(token.number, token.seek),
                };
                waited
            })
        });
        let Some(waited) = taken.flatten() else {
            self.late = true;
            return Err(fenced(partition));
        };
        self.progress.made(now);
        Ok(waited)
    }

    /// The application commits an offset itself: what comes before it is done.
    pub(in super::super) fn processed_before(
        &mut self,
        partition: &TopicPartition,
        offset: i64,
        now: Instant,
    ) {
        let done = self.update(partition, |held| held.acknowledge_before(offset, held.seek));
        if done.is_some() {
            self.progress.made(now);
        }
    }

    /// What is done and not committed yet.
    pub(in super::super) fn to_commit(&self) -> BTreeMap<TopicPartition, CommittedOffset> {
        let offset = |(partition, held): (&TopicPartition, &super::Partition)| {
            Some((partition.clone(), held.to_commit()?))
        };
        self.partitions.iter().filter_map(offset).collect()
    }

    /// Whether an acknowledgement came too late since the last call.
    pub(in super::super) fn take_late(&mut self) -> bool {
        std::mem::take(&mut self.late)
    }

    /// Refuses offsets of partitions that the group has given to others.
    pub(in super::super) fn check_owned<'a>(
        &self,
        mut partitions: impl Iterator<Item = &'a TopicPartition>,
    ) -> Result<(), Error> {
        if !self.is_subscribed() {
            return Ok(());
        }
        let foreign = partitions.find(|partition| !self.partitions.contains_key(*partition));
        foreign.map_or(Ok(()), |partition| Err(fenced(partition)))
    }
}

fn unreadable(partition: &TopicPartition, blocked: &Blocked) -> Error {
    match blocked {
        Blocked::Budget => Error::Invalid(format!(
            "a batch of {partition} decompresses to more than consumer.buffer.memory has room \
             for; raise it, or seek past the batch"
        )),
        Blocked::Damaged { offset, reason } => Error::Corrupt(format!(
            "{partition} cannot be read at offset {offset}: {reason}; seek past it to go on"
        )),
    }
}
