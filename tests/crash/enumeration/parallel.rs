//! Work on all cores, which says how far it is when it takes long.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// Seconds between one word and the next.
const WORD: u64 = 60;

/// Does `work` with the numbers below `count`.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing depends on the time but what is printed"
)]
pub(crate) fn in_parallel(count: usize, work: impl Fn(usize) + Sync) {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (start, words) = (Instant::now(), AtomicU64::new(0));
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    work(number);
                    let due = start.elapsed().as_secs() / WORD;
                    if words.fetch_max(due, Ordering::Relaxed) < due {
                        eprintln!("{number} of {count} after {due} minutes");
                    }
                }
            });
        }
    });
}
