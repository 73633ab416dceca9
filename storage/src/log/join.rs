//! Joining the journal: a log that was opened without it, and is to be durable from now on.

use std::io;
use std::sync::Arc;

use super::{CommitSink, Log};
use crate::config::Durability;
use crate::error::{ChangeError, Failed};
use crate::partition_metadata::{PartitionMetadata, StoredDurability};

/// How often a log is flushed to find it at rest.
const ATTEMPTS: u32 = 8;

impl Log {
    /// Whether the settings ask for the journal since the log was opened without it.
    pub(crate) fn is_to_join(&self) -> bool {
        !self.is_journaled()
            && self.config().durability == Durability::Journal
            && !self.disk().is_volatile()
    }

    /// Has appends go through `sink` from now on, unless the log is never at rest; then it is to be
    /// asked again. First `note` notes durably that the log is on disk up to the offset that it is
    /// given: recovery must not look for what is in front of it in the journal.
    ///
    /// # Errors
    /// [`ChangeError::Disk`] is that of `note`, or a shortage, and the log is as before.
    /// [`ChangeError::Failed`] when a start may find it in the journal, or not.
    pub(crate) fn join(
        &self,
        sink: Arc<dyn CommitSink>,
        note: impl FnOnce(i64) -> io::Result<()>,
    ) -> Result<(), ChangeError> {
        let result = self.join_locked(sink, note);
        self.tell_failure();
        result
    }

    fn join_locked(
        &self,
        sink: Arc<dyn CommitSink>,
        note: impl FnOnce(i64) -> io::Result<()>,
    ) -> Result<(), ChangeError> {
        let mut last = self.maintenance.lock();
        for _ in 0..ATTEMPTS {
            self.check_changeable()?;
            self.flush_locked(&mut last)?;
            let _writer = self.writer.lock();
            // Who has appended meanwhile waits for the first lock, to sync it.
            if self.offsets().log_end_offset != last.offset {
                continue;
            }
            note(last.offset)?;
            let metadata = PartitionMetadata {
                topic_id: self.identity.topic_id,
                durability: StoredDurability::Journal,
            };
            if let Err(error) = metadata.store(self.disk(), &self.home.dir) {
                let failed = Failed::new(format_args!("the log could not join: {error}"));
                self.mark_failed(failed.clone());
                return Err(failed.into());
            }
            // It is empty: only this fills it, with the lock held.
            let _ = self.sink.set(sink);
            break;
        }
        Ok(())
    }
}
