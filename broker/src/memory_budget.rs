//! Memory that work on many threads shares, for what is needed only while a thread is at work.
//!
//! Shell. Waiting blocks the thread. That is short, because whoever holds a claim is computing on
//! another thread and waits for nothing else meanwhile.

use ottla_protocol::record::{BatchHeader, Compression, Limits};
use parking_lot::{Condvar, Mutex};

/// Bytes that all threads together may decompress to at a time: two of the largest batches.
pub(crate) const DECOMPRESSION_BYTES: usize = 256 << 20;

/// See the module.
pub(crate) struct MemoryBudget {
    capacity: usize,
    state: Mutex<State>,
    returned: Condvar,
    /// Held by the one that waits next, so that small claims do not pass a large one for ever.
    turn: Mutex<()>,
}

struct State {
    free: usize,
    #[cfg(test)]
    least_free: usize,
}

impl MemoryBudget {
    /// `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State {
            free: capacity,
            #[cfg(test)]
            least_free: capacity,
        };
        Self {
            capacity,
            state: Mutex::new(state),
            returned: Condvar::new(),
            turn: Mutex::new(()),
        }
    }

    /// Waits for `bytes`, or for all there are if that is less.
    pub(crate) fn claim(&self, bytes: usize) -> Claim<'_> {
        let bytes = bytes.min(self.capacity);
        if bytes > 0 {
            let _turn = self.turn.lock();
            let mut state = self.state.lock();
            while state.free < bytes {
                self.returned.wait(&mut state);
            }
            state.free -= bytes;
            #[cfg(test)]
            {
                state.least_free = state.least_free.min(state.free);
            }
        }
        Claim {
            budget: self,
            bytes,
        }
    }

    /// The most bytes that were ever claimed at once.
    #[cfg(test)]
    pub(crate) fn peak(&self) -> usize {
        self.capacity - self.state.lock().least_free
    }
}

/// A share of the budget, given back on drop.
#[must_use]
pub(crate) struct Claim<'a> {
    budget: &'a MemoryBudget,
    bytes: usize,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.state.lock().free += self.bytes;
            self.budget.returned.notify_one();
        }
    }
}

/// Bytes that it may take to decompress `batch` within `limits`. A buffer that grows is up to
/// twice as large as what is in it.
pub(crate) fn decompression_bytes(batch: &[u8], limits: &Limits) -> usize {
    let compression = BatchHeader::decode(batch)
        .ok()
        .and_then(|header| header.attributes.compression().ok());
    match compression {
        // What has no readable head is refused before it is decompressed.
        None | Some(Compression::None) => 0,
        Some(_) => limits.allowance(batch.len()).saturating_mul(2),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn claims_together_never_exceed_the_budget_and_all_are_granted() {
        let budget = MemoryBudget::new(100);
        let (held, peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |bytes: usize| {
            for _ in 0..200 {
                let _claim = budget.claim(bytes);
                let now = held.fetch_add(bytes.min(100), Ordering::SeqCst) + bytes.min(100);
                peak.fetch_max(now, Ordering::SeqCst);
                thread::yield_now();
                held.fetch_sub(bytes.min(100), Ordering::SeqCst);
            }
        };
        thread::scope(|scope| {
            for bytes in [1, 10, 40, 60, 100, 1000, 30, 70] {
                scope.spawn(move || work(bytes));
            }
        });
        assert_eq!(peak.load(Ordering::SeqCst), 100);
        assert_eq!(budget.peak(), 100);
        assert_eq!(budget.state.lock().free, 100);
    }

    #[test]
    fn nothing_is_claimed_for_records_as_they_are_or_for_nonsense() {
        let limits = Limits::default();
        for bytes in [&b""[..], &[0; 200], &[0xff; 200]] {
            assert_eq!(decompression_bytes(bytes, &limits), 0);
        }
    }
}
