//! A partition: a log, and those who wait for its high watermark to move.
//!
//! Shell. Waiting is by registration and wake-up, never by polling.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_storage::error::Failed;
use ottla_storage::log::{Log, LogListener};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A partition that this broker leads.
pub(crate) struct Partition {
    log: Arc<Log>,
    waiters: Arc<Waiters>,
}

impl Partition {
    pub(crate) fn new(log: Arc<Log>) -> Arc<Self> {
        let waiters = Arc::new(Waiters::default());
        log.set_listener(Arc::clone(&waiters) as Arc<dyn LogListener>);
        Arc::new(Self { log, waiters })
    }

    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// Wakes `signal` when the high watermark has reached `offset`, or the log has failed, for as
    /// long as the registration lives. Look at the log after registering, not before: what
    /// happened earlier wakes nobody.
    pub(crate) fn wake_at(&self, offset: i64, signal: &Arc<Notify>) -> Registration {
        let mut table = self.waiters.0.lock();
        table.next += 1;
        let key = (offset, table.next);
        table.waiting.insert(key, Arc::clone(signal));
        Registration {
            waiters: Arc::clone(&self.waiters),
            key,
        }
    }
}

#[derive(Default)]
struct Waiters(Mutex<Table>);

#[derive(Default)]
struct Table {
    next: u64,
    /// By the offset that is waited for, so that a move looks only at those whom it reaches.
    waiting: BTreeMap<(i64, u64), Arc<Notify>>,
}

impl LogListener for Waiters {
    fn high_watermark_moved(&self, offset: i64) {
        let table = self.0.lock();
        for (_, signal) in table.waiting.range(..=(offset, u64::MAX)) {
            signal.notify_one();
        }
    }

    fn failed(&self, _failed: &Failed) {
        for signal in self.0.lock().waiting.values() {
            signal.notify_one();
        }
    }
}

/// A place among the waiters of a partition, given up on drop.
pub(crate) struct Registration {
    waiters: Arc<Waiters>,
    key: (i64, u64),
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.waiters.0.lock().waiting.remove(&self.key);
    }
}
