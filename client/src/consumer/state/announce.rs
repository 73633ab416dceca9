//! Pure. What the application has not been told yet about its partitions. As much is kept as there
//! are partitions, however long the application does not ask.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::metadata::TopicPartition;

/// How far a revocation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Stage {
    /// The application has not been told.
    Waiting,
    /// The application works on it.
    Taken,
    /// The application has dropped it, and may still acknowledge records.
    Dropped,
    /// The application has given the partitions back.
    Done,
}

/// Partitions that the group wants back.
#[derive(Debug, Clone)]
pub(in super::super) struct Revoke {
    pub(in super::super) number: u64,
    pub(in super::super) partitions: BTreeSet<TopicPartition>,
    pub(in super::super) deadline: Instant,
    pub(in super::super) stage: Stage,
    /// What was done is being committed.
    committing: bool,
}

/// What is next to be told.
#[derive(Debug)]
pub(super) enum Announcement {
    PollIntervalExceeded,
    Lost(BTreeSet<TopicPartition>),
    Revoking(Revoke),
    Assigned(BTreeSet<TopicPartition>),
}

#[derive(Debug, Default)]
pub(in super::super) struct Announcements {
    assigned: BTreeSet<TopicPartition>,
    lost: BTreeSet<TopicPartition>,
    revoke: Option<Revoke>,
    revocations: u64,
    poll_exceeded: bool,
}

impl Announcements {
    pub(super) fn assigned(&mut self, partitions: BTreeSet<TopicPartition>) {
        self.assigned.extend(partitions);
    }

    /// Only what the application knows of can be lost to it.
    pub(super) fn lost(&mut self, partitions: &BTreeSet<TopicPartition>) {
        self.revoke = None;
        for partition in partitions {
            if !self.assigned.remove(partition) {
                self.lost.insert(partition.clone());
            }
        }
    }

    /// The application did not want these any more, and all of that is done.
    pub(super) fn gave_up(&mut self, partitions: impl IntoIterator<Item = TopicPartition>) {
        self.lost.extend(partitions);
    }

    pub(super) fn revoking(&mut self, partitions: &BTreeSet<TopicPartition>, deadline: Instant) {
        let known = partitions.iter();
        let known: BTreeSet<_> = known
            .filter(|partition| !self.assigned.remove(partition))
            .cloned()
            .collect();
        self.revocations += 1;
        self.revoke = Some(Revoke {
            number: self.revocations,
            stage: if known.is_empty() {
                Stage::Done
            } else {
                Stage::Waiting
            },
            partitions: known,
            deadline,
            committing: false,
        });
    }

    /// The revocation is over. What the application had not given back by then is lost to it.
    pub(super) fn released(&mut self) {
        let Some(revoke) = self.revoke.take() else {
            return;
        };
        if !revoke.committing {
            self.lost.extend(revoke.partitions);
        }
    }

    pub(in super::super) fn revoke(&self) -> Option<&Revoke> {
        self.revoke.as_ref()
    }

    /// Whether the last commit before the release has begun; from now on it has.
    pub(in super::super) fn begin_commit(&mut self) -> bool {
        let revoke = self.revoke.as_mut();
        revoke.is_none_or(|revoke| std::mem::replace(&mut revoke.committing, true))
    }

    /// The application is done with a revocation, or only with the event about it.
    pub(in super::super) fn give_back(&mut self, number: u64, stage: Stage) {
        let revoke = self.revoke.as_mut();
        if let Some(revoke) = revoke.filter(|revoke| revoke.number == number) {
            revoke.stage = revoke.stage.max(stage);
        }
    }

    pub(in super::super) fn poll_exceeded(&mut self) {
        self.poll_exceeded = true;
    }

    pub(super) fn next(&mut self) -> Option<Announcement> {
        if std::mem::take(&mut self.poll_exceeded) {
            return Some(Announcement::PollIntervalExceeded);
        }
        if !self.lost.is_empty() {
            return Some(Announcement::Lost(std::mem::take(&mut self.lost)));
        }
        if let Some(revoke) = &mut self.revoke
            && revoke.stage == Stage::Waiting
        {
            revoke.stage = Stage::Taken;
            return Some(Announcement::Revoking(revoke.clone()));
        }
        if !self.assigned.is_empty() {
            let assigned = std::mem::take(&mut self.assigned);
            return Some(Announcement::Assigned(assigned));
        }
        None
    }
}
