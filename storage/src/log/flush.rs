//! Making a log durable by itself: for checkpoints of the journal, weaker modes, and closing.

use std::io;
use std::sync::Arc;

use super::append::refused;
use super::{FlushPoint, Log, Status, Writer};
use crate::config::Durability;
use crate::error::{AppendError, ChangeError, Failed, Shortage};
use crate::leader_epochs::LeaderEpochs;
use crate::producer_snapshot::{self, Snapshot};
use crate::segment::{Segment, write_aborted};

/// Log bytes after which a snapshot is worth it although no producer changed: so much must be
/// read at the next start without one.
const SNAPSHOT_INTERVAL: u64 = 16 << 20;

/// What one flush writes, gathered under the writer's lock and written without it.
struct FlushWork {
    point: FlushPoint,
    segments: Arc<Vec<Arc<Segment>>>,
    snapshot: Option<Vec<u8>>,
    leader_epochs: Option<Arc<LeaderEpochs>>,
    directory: bool,
    /// Records since the last flush, and when the first of them came, in milliseconds.
    unflushed: (u64, Option<i64>),
}

impl Log {
    /// Syncs batches, producer state and epochs. All below the answered point is on the disk.
    /// Indexes are written but not synced: they are rebuilt when a crash takes them.
    ///
    /// # Errors
    /// [`ChangeError::Failed`] when the disk could not sync: the log has failed then (D6).
    pub fn flush(&self) -> Result<FlushPoint, ChangeError> {
        let result = {
            let mut last = self.maintenance.lock();
            self.check_changeable()
                .and_then(|()| self.flush_locked(&mut last))
        };
        self.tell_failure();
        result
    }

    /// Whether `flush.messages` or `flush.ms` ask for a flush at time `now_ms`. Never for a log
    /// behind the journal.
    #[must_use]
    pub fn needs_flush(&self, now_ms: i64) -> bool {
        if self.is_journaled() {
            return false;
        }
        let (messages, interval) = match self.config().durability {
            Durability::PageCache { messages, interval } => (messages, interval),
            Durability::Journal => (1, None),
        };
        let writer = self.writer.lock();
        let Some(since) = writer.unflushed_since_ms else {
            return false;
        };
        let age_ms = u128::try_from(now_ms.saturating_sub(since)).unwrap_or(0);
        writer.unflushed_records >= messages
            || interval.is_some_and(|interval| age_ms >= interval.as_millis())
    }

    /// Syncs an append before it is acknowledged, if the settings ask for that since the log was
    /// opened and it has not joined the journal yet.
    pub(super) fn flush_appended(&self) -> Result<(), AppendError> {
        if !self.is_to_join() {
            return Ok(());
        }
        match self.flush() {
            Ok(_) => Ok(()),
            Err(ChangeError::Failed(failed)) => Err(AppendError::Failed(failed)),
            Err(ChangeError::Closed) => Err(AppendError::Closed),
            Err(ChangeError::Disk(error)) => Err(refused(error)),
            Err(error) => Err(AppendError::Disk(io::Error::other(error))),
        }
    }

    /// Flushes and takes no appends any more; it can still be read. After it, the log can be
    /// opened with [`Tail::Clean`](super::Tail::Clean). Closing a closed log does nothing.
    ///
    /// # Errors
    /// [`ChangeError::Failed`] when the log had failed, or fails now: it needs recovery.
    pub fn close(&self) -> Result<(), ChangeError> {
        let result = self.close_locked();
        self.tell_failure();
        result
    }

    fn close_locked(&self) -> Result<(), ChangeError> {
        let mut last = self.maintenance.lock();
        {
            let mut writer = self.writer.lock();
            match self.check_changeable() {
                Err(ChangeError::Closed) => return Ok(()),
                checked => checked?,
            }
            let log_end_offset = self.offsets().log_end_offset;
            self.seal(&mut writer, log_end_offset);
            writer.reserved = 0;
            writer.producers_changed = true;
            *self.status.write() = Status::Closed;
        }
        self.flush_locked(&mut last)?;
        Ok(())
    }

    pub(super) fn flush_locked(&self, last: &mut FlushPoint) -> Result<FlushPoint, ChangeError> {
        let work = self.flush_work(&mut self.writer.lock());
        if self.disk().is_volatile() {
            *last = work.point;
            return Ok(work.point);
        }
        if let Err(error) = self.sync(&work, last) {
            // A sync that was not begun has not failed.
            if Shortage::of(&error) == Some(Shortage::Files) {
                self.put_back(&work);
                return Err(error.into());
            }
            let failed = Failed::new(format_args!("the log could not be synced: {error}"));
            self.mark_failed(failed.clone());
            return Err(failed.into());
        }
        self.store_state(&work)?;
        *last = work.point;
        Ok(work.point)
    }

    fn flush_work(&self, writer: &mut Writer) -> FlushWork {
        let point = FlushPoint::from(self.offsets.lock().log_end());
        let wants_snapshot =
            writer.producers_changed || writer.bytes_since_snapshot >= SNAPSHOT_INTERVAL;
        let snapshot = if wants_snapshot {
            writer.bytes_since_snapshot = 0;
            self.snapshot(writer)
        } else {
            None
        };
        writer.producers_changed = false;
        FlushWork {
            point,
            segments: self.segments(),
            snapshot,
            leader_epochs: writer
                .epochs_changed
                .then(|| Arc::clone(&self.leader_epochs.read())),
            directory: std::mem::take(&mut writer.directory_changed),
            unflushed: (
                std::mem::take(&mut writer.unflushed_records),
                writer.unflushed_since_ms.take(),
            ),
        }
    }

    /// The bytes of a snapshot. `None` when they are too many, as a log may hold batches of more
    /// producers than are remembered at a time: what it would say is in the batches.
    fn snapshot(&self, writer: &Writer) -> Option<Vec<u8>> {
        let snapshot = Snapshot::new(&writer.producers, &self.segments());
        let bytes = producer_snapshot::to_bytes(&snapshot);
        let warn = |error: &io::Error| {
            tracing::warn!(dir = %self.home.dir.display(), %error, "no producer snapshot");
        };
        bytes.inspect_err(warn).ok()
    }

    /// Syncs what was appended since the flush point `last`.
    fn sync(&self, work: &FlushWork, last: &FlushPoint) -> io::Result<()> {
        if work.point != *last {
            let first = super::read::first_segment(&work.segments, last.segment_base);
            for segment in work.segments.iter().skip(first) {
                match segment.file() {
                    // Retention took it: what is not in the log need not be on the disk.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    file => file?.sync()?,
                }
                if let Err(error) = segment.write_index(false) {
                    tracing::warn!(dir = %self.home.dir.display(), %error, "index not written");
                }
            }
        }
        if work.directory {
            self.disk().sync_dir(&self.home.dir)?;
        }
        Ok(())
    }

    /// Undoes `flush_work`: all of it is still to be written.
    fn put_back(&self, work: &FlushWork) {
        let mut writer = self.writer.lock();
        writer.producers_changed |= work.snapshot.is_some();
        writer.directory_changed |= work.directory;
        let (records, since) = work.unflushed;
        writer.unflushed_records = writer.unflushed_records.saturating_add(records);
        writer.unflushed_since_ms = since.or(writer.unflushed_since_ms);
    }

    /// Stores producers and epochs. A full disk is no reason to fail: both are in the batches too.
    fn store_state(&self, work: &FlushWork) -> Result<(), ChangeError> {
        let Err(error) = self.write_state(work) else {
            return Ok(());
        };
        if Shortage::of(&error).is_some() {
            tracing::warn!(dir = %self.home.dir.display(), %error, "producer state not stored");
            self.writer.lock().producers_changed |= work.snapshot.is_some();
            return Ok(());
        }
        let failed = Failed::new(format_args!("producer state could not be stored: {error}"));
        self.mark_failed(failed.clone());
        Err(failed.into())
    }

    fn write_state(&self, work: &FlushWork) -> io::Result<()> {
        let (disk, dir) = (self.disk(), &self.home.dir);
        let _one = self.state_files.lock();
        if let Some(epochs) = &work.leader_epochs {
            epochs.store(disk, dir)?;
            // Only now: a roll during this flush may store a snapshot, but none ahead of them.
            self.writer.lock().epochs_changed = false;
        }
        let Some(bytes) = &work.snapshot else {
            return Ok(());
        };
        write_aborted(disk, dir, work.segments.iter())?;
        producer_snapshot::store(disk, dir, work.point.offset, bytes)
    }
}
