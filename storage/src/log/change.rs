//! Changes other than appends: a later start, forgotten producers. The end of a log goes back only
//! when it is opened after a crash.

use std::io::{self};
use std::sync::Arc;
use std::time::Duration;

use super::Log;
use super::open::store_log_start;
use crate::error::{ChangeError, Shortage};
use crate::producer_snapshot::{self, Snapshot};
use crate::segment::{Segment, write_aborted};

impl Log {
    /// Lets the log start at `to`, durably, and deletes the segments below. Readers keep what they
    /// have. Answers where the log starts now; it never goes back.
    ///
    /// # Errors
    /// [`ChangeError::OffsetOutOfRange`] past the high watermark; [`ChangeError::Disk`] when the
    /// new start could not be stored: the log is as before then; or when the removal of segments
    /// could not be made durable: the log starts at `to` all the same.
    pub fn advance_log_start(&self, to: i64) -> Result<i64, ChangeError> {
        let _maintenance = self.maintenance.lock();
        self.check_changeable()?;
        let offsets = self.offsets();
        if to <= offsets.log_start_offset {
            return Ok(offsets.log_start_offset);
        }
        if to > offsets.high_watermark {
            return Err(ChangeError::OffsetOutOfRange {
                offset: to,
                log_start_offset: offsets.log_start_offset,
                limit: offsets.high_watermark,
            });
        }
        match self.store_start(to) {
            Err(error) if Shortage::of(&error) == Some(Shortage::Space) => {
                self.make_room(to);
                self.store_start(to)?;
            }
            stored => stored?,
        }
        self.offsets.lock().advance_log_start(to);
        if Arc::make_mut(&mut self.leader_epochs.write()).truncate_from_start(to) {
            self.writer.lock().epochs_changed = true;
        }
        let doomed = self.take_segments_below(to);
        for segment in &doomed {
            // Left over files are removed when the log is opened: its start is stored.
            if let Err(error) = segment.remove_files() {
                tracing::warn!(dir = %self.home.dir.display(), %error, "segment not removed");
            }
        }
        if !doomed.is_empty() {
            self.disk().sync_dir(&self.home.dir)?;
        }
        Ok(to)
    }

    /// Stores that the log starts at `to`.
    fn store_start(&self, to: i64) -> io::Result<()> {
        self.keep_producers(to)?;
        store_log_start(self.disk(), &self.home.dir, &self.identity, to)
    }

    /// Gives back what a full disk holds for the sake of speed only: deletion must not need room
    /// that there is not. The reserve of the active segment, and indexes of segments that go.
    fn make_room(&self, to: i64) {
        {
            let mut writer = self.writer.lock();
            let size = writer.active.size();
            if writer.file.truncate(size).is_ok() {
                writer.reserved = size;
            }
        }
        for [segment, next] in self.segments().array_windows() {
            if next.base_offset() <= to
                && let Err(error) = segment.remove_indexes()
            {
                tracing::warn!(dir = %self.home.dir.display(), %error, "index not removed");
            }
        }
    }

    /// Before batches below `to` go: what they say of producers must be durable elsewhere.
    fn keep_producers(&self, to: i64) -> io::Result<()> {
        let segments = self.segments();
        let first_kept = segments
            .get(super::read::first_segment(&segments, to))
            .map_or(to, |segment| segment.base_offset());
        let goes = segments
            .first()
            .is_some_and(|first| first.base_offset() < first_kept);
        let (disk, dir) = (self.disk(), &self.home.dir);
        if !goes || disk.is_volatile() {
            return Ok(());
        }
        let usable = first_kept..=self.offsets().high_watermark;
        if producer_snapshot::sync_between(disk, dir, usable)? {
            return Ok(());
        }
        self.store_producers()
    }

    /// Stores what is known of producers, durably.
    pub(super) fn store_producers(&self) -> io::Result<()> {
        let (disk, dir) = (self.disk(), &self.home.dir);
        let (log_end_offset, bytes, epochs) = {
            let writer = self.writer.lock();
            let snapshot = Snapshot::new(&writer.producers, &self.segments());
            let bytes = producer_snapshot::to_bytes(&snapshot)?;
            let epochs = Arc::clone(&self.leader_epochs.read());
            (self.offsets().log_end_offset, bytes, epochs)
        };
        let _one = self.state_files.lock();
        // Epochs go first: recovery looks for newer ones only behind the newest snapshot.
        epochs.store(disk, dir)?;
        write_aborted(disk, dir, self.segments().iter())?;
        producer_snapshot::store(disk, dir, log_end_offset, &bytes)
    }

    /// Takes the sealed segments that end at or below `to` out of the list.
    fn take_segments_below(&self, to: i64) -> Vec<Arc<Segment>> {
        let mut segments = self.segments.write();
        let doomed = segments
            .windows(2)
            .take_while(|pair| pair.last().is_some_and(|next| next.base_offset() <= to))
            .count();
        Arc::make_mut(&mut segments).drain(..doomed).collect()
    }

    /// Forgets producers without a batch for `expiration` at time `now_ms`
    /// (`producer.id.expiration.ms`), unless their transaction is open.
    pub fn expire_producers(&self, now_ms: i64, expiration: Duration) {
        let age_ms = i64::try_from(expiration.as_millis()).unwrap_or(i64::MAX);
        let mut writer = self.writer.lock();
        if writer.producers.expire(now_ms.saturating_sub(age_ms)) {
            writer.producers_changed = true;
        }
    }
}
