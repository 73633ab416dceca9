//! Shell. The journal as a log sees it.

use std::sync::{Arc, OnceLock, Weak};

use crate::checkpoint::Checkpointer;
use crate::error::{AppendError, Failed};
use crate::journal::{self, Driven, Journal, Journaled, LogKey, Refused};
use crate::log::{CommitSink, JournalEntry, Log};

impl Journaled for Log {
    fn key(&self) -> LogKey {
        let identity = self.identity();
        LogKey {
            topic_id: identity.topic_id,
            partition: identity.partition,
        }
    }

    fn commit(&self, end_offset: i64) {
        Log::commit(self, end_offset);
    }
}

/// Hands appends to the journal; without threads, also does the work of both.
pub(crate) struct JournalSink {
    journal: Arc<Journal<Log>>,
    threads: bool,
    checkpointer: OnceLock<Weak<Checkpointer>>,
    /// Called for each append whose commit is left to `Store::drive`.
    deferred: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl JournalSink {
    pub(crate) fn new(journal: Arc<Journal<Log>>, threads: bool) -> Self {
        Self {
            journal,
            threads,
            checkpointer: OnceLock::new(),
            deferred: OnceLock::new(),
        }
    }

    /// Who makes room in the journal when there are no threads.
    pub(crate) fn attach(&self, checkpointer: &Arc<Checkpointer>) {
        // Called once, by the store that made both.
        let _ = self.checkpointer.set(Arc::downgrade(checkpointer));
    }

    /// Leaves the work to whoever calls [`JournalSink::work`], and tells them of each append.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn defer(&self, appended: Box<dyn Fn() + Send + Sync>) {
        // Called once, before the first append.
        let _ = self.deferred.set(appended);
    }

    /// Whether threads see to the work.
    pub(crate) fn has_threads(&self) -> bool {
        self.threads
    }

    /// Writes what is queued, and does what else there is to do, in this thread.
    pub(crate) fn work(&self) {
        let mut waited = false;
        loop {
            let queued = self.journal.queued_bytes();
            let driven = self.journal.drive();
            if driven == Driven::Nested {
                return;
            }
            if let Some(checkpointer) = self.checkpointer.get().and_then(Weak::upgrade) {
                checkpointer.attend(self.journal.take_chores());
            }
            // Starved again with nothing written since the checkpoint: the disk is full.
            let progress = self.journal.queued_bytes() < queued;
            if driven == Driven::Done || (waited && !progress) {
                return;
            }
            waited = !progress;
        }
    }
}

impl CommitSink for JournalSink {
    fn admit(&self, bytes: u64) -> Result<(), AppendError> {
        if !self.threads && self.deferred.get().is_none() {
            self.work();
        }
        self.journal
            .admit(bytes, self.threads)
            .map_err(|refused| match refused {
                Refused::TooLarge { limit } => AppendError::TooLarge {
                    size: bytes,
                    segment_bytes: limit,
                },
                Refused::Short(shortage) => AppendError::Short(shortage),
                Refused::Failed(reason) => AppendError::Failed(Failed { reason }),
                Refused::Closed => AppendError::Closed,
            })
    }

    fn submit(&self, entries: Vec<JournalEntry>) -> Result<(), Failed> {
        let entries = entries.into_iter().map(|entry| journal::JournalEntry {
            log: entry.log,
            segment_base: entry.segment_base,
            position: entry.position,
            head: entry.head,
            body: entry.body,
            end_offset: entry.end_offset,
        });
        self.journal
            .submit(entries.collect())
            .map_err(|refused| match refused {
                Refused::Failed(reason) => Failed { reason },
                _ => Failed::new("the store is closed"),
            })
    }

    fn submitted(&self) {
        match self.deferred.get() {
            Some(appended) => appended(),
            None if !self.threads => self.work(),
            None => {}
        }
    }
}
