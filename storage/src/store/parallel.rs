//! Shell. Work on many logs at once.
//!
//! A file system commits the syncs that come together as one, so that many threads which mostly
//! wait bring many small files to disk in the time that one takes for a few.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

/// Threads that wait for the disk at the same time.
const THREADS: usize = 16;

/// Fewer items than this for each thread are not worth one.
const LEAST_ITEMS: usize = 8;

/// Does `job` for all items and answers what came out, in the order of the items. Without
/// `threads` one after the other, so that one run is like the next.
pub(crate) fn for_all<T: Sync, R: Send>(
    threads: bool,
    items: &[T],
    job: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let workers = if threads {
        THREADS.min(items.len() / LEAST_ITEMS)
    } else {
        0
    };
    if workers < 2 {
        return items.iter().map(job).collect();
    }
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((at, item)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    items.get(at).map(|item| (at, item))
                } {
                    let result = job(item);
                    results.lock().push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner();
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_has_its_result_at_its_place() {
        let items: Vec<usize> = (0..500).collect();
        let doubled: Vec<usize> = items.iter().map(|item| item * 2).collect();
        for threads in [false, true] {
            assert_eq!(for_all(threads, &items, |item| item * 2), doubled);
        }
        assert_eq!(for_all(true, &[], |item: &usize| *item), [0; 0]);
    }
}
