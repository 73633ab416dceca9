//! Bytes that a consumer may hold, over all partitions (`consumer.buffer.memory`).
//!
//! A fetch reserves what its answer may have before it is sent, and what is decompressed reserves
//! what it takes. Bytes count until the last view on them is dropped, also by the application.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::Notify;

/// The part of the budget that fetches may take; the rest is for what they decompress to.
const FETCH_SHARE: usize = 2;

/// The bytes of one consumer.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    used: AtomicUsize,
    /// Bytes of `used` that were fetched, or may be by a request under way.
    fetched: AtomicUsize,
    /// Whether somebody waits for room.
    starved: AtomicBool,
    waiters: [Arc<Notify>; 2],
}

/// Bytes taken from a budget, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    budget: Arc<Budget>,
    bytes: usize,
    fetched: bool,
}

impl Budget {
    /// `waiters` are notified when bytes are given back and somebody was starved.
    pub(super) fn new(limit: usize, waiters: [Arc<Notify>; 2]) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            fetched: AtomicUsize::new(0),
            starved: AtomicBool::new(false),
            waiters,
        })
    }

    /// Bytes that are taken.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Bytes that may be decompressed now.
    pub(super) fn free(&self) -> usize {
        self.limit.saturating_sub(self.used())
    }

    /// Whether there will not be more room than now for something to be decompressed: nothing
    /// decompressed is held, and what is fetched has what it may have.
    pub(super) fn is_idle(&self) -> bool {
        let (used, fetched) = (self.used(), self.fetched.load(Ordering::Acquire));
        used <= fetched && (used <= self.limit - self.fetch_limit() || fetched > self.fetch_limit())
    }

    /// Bytes that fetches may still reserve.
    pub(super) fn fetchable(&self) -> usize {
        let ahead = self.fetch_limit();
        let ahead = ahead.saturating_sub(self.fetched.load(Ordering::Acquire));
        ahead.min(self.free())
    }

    /// Bytes that fetches may have in all.
    pub(super) fn fetch_limit(&self) -> usize {
        self.limit / FETCH_SHARE
    }

    /// Takes bytes for the answer to a fetch.
    pub(super) fn fetch(self: &Arc<Self>, bytes: usize) -> Permit {
        self.take(bytes, true)
    }

    /// Takes bytes for something decompressed.
    pub(super) fn decompressed(self: &Arc<Self>, bytes: usize) -> Permit {
        self.take(bytes, false)
    }

    fn take(self: &Arc<Self>, bytes: usize, fetched: bool) -> Permit {
        self.add(bytes, fetched);
        Permit {
            budget: Arc::clone(self),
            bytes,
            fetched,
        }
    }

    fn add(&self, bytes: usize, fetched: bool) {
        self.used.fetch_add(bytes, Ordering::AcqRel);
        if fetched {
            self.fetched.fetch_add(bytes, Ordering::AcqRel);
        }
    }

    fn subtract(&self, bytes: usize, fetched: bool) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
        if fetched {
            self.fetched.fetch_sub(bytes, Ordering::AcqRel);
        }
        if self.starved.swap(false, Ordering::AcqRel) {
            for waiter in &self.waiters {
                waiter.notify_one();
            }
        }
    }

    /// Asks for a notification when bytes are given back. What was free before has to be looked
    /// at again afterwards.
    pub(super) fn starve(&self) {
        self.starved.store(true, Ordering::Release);
    }
}

impl Permit {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps what came of what was reserved. A single batch may be larger than what was asked
    /// for; it then counts in full all the same.
    pub(super) fn resize(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            self.budget.add(bytes - self.bytes, self.fetched);
        } else {
            self.budget.subtract(self.bytes - bytes, self.fetched);
        }
        self.bytes = bytes;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.subtract(self.bytes, self.fetched);
    }
}

/// Bytes that give their permit back when the last view on them is dropped.
struct Charged<B> {
    bytes: B,
    _permit: Arc<Permit>,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Charged<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

/// Ties a permit to bytes. Slices of one answer share its memory, and so its permit.
pub(super) fn charge(bytes: impl AsRef<[u8]> + Send + 'static, permit: &Arc<Permit>) -> Bytes {
    let charged = Charged {
        bytes,
        _permit: Arc::clone(permit),
    };
    Bytes::from_owner(charged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_until_the_last_view_is_dropped() {
        let budget = Budget::new(1000, Default::default());
        let mut permit = budget.fetch(400);
        assert_eq!((budget.used(), budget.fetchable()), (400, 100));
        permit.resize(100);
        let permit = Arc::new(permit);
        let (a, b) = (charge(vec![0; 60], &permit), charge(vec![0; 40], &permit));
        drop(permit);
        let view = a.slice(10..20);
        drop((a, b));
        assert_eq!(budget.used(), 100);
        drop(view);
        assert_eq!((budget.used(), budget.fetchable()), (0, 500));
    }

    #[test]
    fn what_is_fetched_leaves_room_for_what_it_decompresses_to() {
        let budget = Budget::new(1000, Default::default());
        let _fetched = budget.fetch(500);
        assert_eq!((budget.fetchable(), budget.free()), (0, 500));
        let _decompressed = budget.decompressed(500);
        assert_eq!(budget.free(), 0);
    }

    #[test]
    fn a_batch_larger_than_what_was_asked_for_counts_in_full() {
        let budget = Budget::new(1000, Default::default());
        let mut permit = budget.fetch(100);
        permit.resize(2000);
        assert_eq!((budget.free(), budget.fetchable()), (0, 0));
        drop(permit);
        assert_eq!(budget.free(), 1000);
    }
}
