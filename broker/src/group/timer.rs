//! The moments the groups wait for, earliest first. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::consumer::Deadline;

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Timer {
    /// A member, or an id handed out, has been silent for its session timeout.
    Session {
        group_id: Arc<str>,
        member_id: Arc<str>,
    },
    /// The wait for members to join is over.
    Join { group_id: Arc<str> },
    /// The wait for members to sync is over.
    Sync { group_id: Arc<str> },
    /// A member of a group of the consumer protocol has let a deadline pass.
    Member {
        group_id: Arc<str>,
        member_id: Arc<str>,
        deadline: Deadline,
    },
    /// Offsets are looked through.
    Expiry,
}

/// Names an armed timer. Its owner keeps it to cancel the timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TimerId {
    at: Duration,
    sequence: u64,
}

/// All armed timers; arming and cancelling cost a tree lookup.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeMap<TimerId, Timer>,
    next: u64,
}

impl Timers {
    pub(super) fn arm(&mut self, at: Duration, timer: Timer) -> TimerId {
        let id = TimerId {
            at,
            sequence: self.next,
        };
        self.next += 1;
        self.queue.insert(id, timer);
        id
    }

    pub(super) fn cancel(&mut self, id: Option<TimerId>) {
        if let Some(id) = id {
            self.queue.remove(&id);
        }
    }

    /// Takes the earliest timer that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<Timer> {
        if self.earliest()? > now {
            return None;
        }
        self.queue.pop_first().map(|(_, timer)| timer)
    }

    pub(super) fn earliest(&self) -> Option<Duration> {
        self.queue.first_key_value().map(|(id, _)| id.at)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}
