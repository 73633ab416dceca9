//! Changes other than appends: an earlier end, a later start, forgotten producers.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use super::open::{first_timestamp, store_log_start};
use super::{FlushPoint, Log, Writer, replay};
use crate::disk::{DiskFile, OpenMode};
use crate::error::{ChangeError, Failed, ReadError, Shortage};
use crate::layout::{log_file, temporary_file};
use crate::offsets::LogPosition;
use crate::producer_snapshot::{self, Snapshot};
use crate::segment::{Check, Segment, SegmentIndex, as_u64, write_aborted};

/// Bytes copied at once when a segment is cut that readers may hold.
const COPY_WINDOW: u64 = 1 << 20;

/// Where the log is cut.
struct Cut {
    /// Number of the segment that becomes active.
    number: usize,
    segment: Arc<Segment>,
    /// The new end.
    end: LogPosition,
}

impl Log {
    /// Lets the log start at `to`, durably, and deletes the segments below. Readers keep what they
    /// have. Answers where the log starts now; it never goes back.
    ///
    /// # Errors
    /// [`ChangeError::OffsetOutOfRange`] past the high watermark; [`ChangeError::Disk`] when the
    /// new start could not be stored: the log is as before then.
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

    /// Lets the log end at `offset`, or before it when that is inside a batch. For recovery and
    /// repair; the journal must not bring back what is cut.
    ///
    /// # Errors
    /// [`ChangeError::OffsetOutOfRange`] when nothing of the log would be left of its start.
    pub fn truncate_to(&self, offset: i64) -> Result<(), ChangeError> {
        let result = self.truncate_locked(offset);
        self.tell_failure();
        result
    }

    fn truncate_locked(&self, offset: i64) -> Result<(), ChangeError> {
        let mut last = self.maintenance.lock();
        let mut writer = self.writer.lock();
        self.check_changeable()?;
        let offsets = self.offsets();
        if offset >= offsets.log_end_offset {
            return Ok(());
        }
        let out_of_range = ChangeError::OffsetOutOfRange {
            offset,
            log_start_offset: offsets.log_start_offset,
            limit: offsets.log_end_offset,
        };
        if offset < offsets.log_start_offset {
            return Err(out_of_range);
        }
        let cut = self.find_cut(offset)?;
        if cut.end.offset < offsets.log_start_offset {
            return Err(out_of_range);
        }
        if let Err(error) = self.cut(&mut writer, &cut) {
            let failed = Failed::new(format_args!("the log could not be truncated: {error}"));
            self.mark_failed(failed.clone());
            return Err(failed.into());
        }
        if last.offset > cut.end.offset {
            *last = FlushPoint::from(cut.end);
        }
        Ok(())
    }

    fn find_cut(&self, offset: i64) -> Result<Cut, ReadError> {
        let segments = self.segments();
        let number = super::read::first_segment(&segments, offset);
        let Some(segment) = segments.get(number).cloned() else {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        };
        let end = match segment.locate(offset, segment.size())? {
            Some(batch) => LogPosition {
                offset: batch.header.base_offset.min(offset),
                segment_base: segment.base_offset(),
                position: batch.position,
            },
            None => LogPosition {
                offset,
                segment_base: segment.base_offset(),
                position: segment.size(),
            },
        };
        Ok(Cut {
            number,
            segment,
            end,
        })
    }

    fn cut(&self, writer: &mut Writer, cut: &Cut) -> Result<(), ReadError> {
        let end = cut.end;
        let old = &cut.segment;
        let index = old.stored_index(end.offset);
        let is_visible = self.offsets().high_watermark > end.offset;
        let doomed: Vec<_> = self
            .segments()
            .iter()
            .skip(cut.number + 1)
            .cloned()
            .collect();
        for segment in doomed.iter().rev() {
            segment.remove_files()?;
        }
        let file = old.file()?;
        if is_visible {
            self.replace_by_copy(&*file, end)?;
        } else {
            file.truncate(end.position)?;
            file.sync()?;
        }
        self.disk().sync_dir(&self.home.dir)?;
        let new = Segment::new(
            self.home.clone(),
            end.segment_base,
            end.position,
            end.offset,
            None,
        );
        let mut scan = new.scan(index, &Check::HEADERS)?;
        if !scan.consistent || scan.end != end.position {
            scan = new.scan(SegmentIndex::default(), &Check::HEADERS)?;
        }
        // Compaction may have left a gap in front of the new end.
        scan.next_offset = end.offset;
        new.adopt(scan);
        let new = Arc::new(new);
        {
            let mut segments = self.segments.write();
            let segments = Arc::make_mut(&mut segments);
            segments.truncate(cut.number);
            segments.push(Arc::clone(&new));
        }
        self.restart_writer(writer, new, end)
    }

    /// Makes `active` the segment that is appended to, with the state at its end.
    fn restart_writer(
        &self,
        writer: &mut Writer,
        active: Arc<Segment>,
        end: LogPosition,
    ) -> Result<(), ReadError> {
        let segments = self.segments();
        let log_start_offset = self.offsets().log_start_offset;
        let mut rebuilt = replay::rebuild(
            &self.home,
            &segments,
            log_start_offset..end.offset,
            self.leader_epoch,
        )?;
        rebuilt.leader_epochs.assign(self.leader_epoch, end.offset);
        if !self.disk().is_volatile() {
            // Before the next append: what the stored epochs say of later offsets is wrong now.
            rebuilt.leader_epochs.store(self.disk(), &self.home.dir)?;
        }
        *self.leader_epochs.write() = Arc::new(rebuilt.leader_epochs);
        let first_unstable = rebuilt.producers.first_unstable_offset();
        self.offsets.lock().truncated(end, first_unstable);
        writer.file = active.file()?;
        writer.first_timestamp = first_timestamp(&active)?;
        writer.first_append_ms = None;
        writer.active = active;
        writer.reserved = 0;
        writer.producers = rebuilt.producers;
        writer.producers_changed = true;
        writer.epochs_changed = false;
        Ok(())
    }

    /// Puts a copy of the first bytes of a segment in its place. A file that readers may have
    /// mapped is never cut: they keep the old one.
    fn replace_by_copy(&self, from: &dyn DiskFile, end: LogPosition) -> io::Result<()> {
        let path = log_file(&self.home.dir, end.segment_base);
        let temporary = temporary_file(&path);
        let to = self.disk().open(&temporary, OpenMode::Any)?;
        to.truncate(0)?;
        let mut at = 0;
        while at < end.position {
            let len = usize::try_from((end.position - at).min(COPY_WINDOW)).unwrap_or(0);
            let bytes = from.read_at(at, len)?;
            to.write_at(at, &[IoSlice::new(&bytes)])?;
            at += as_u64(len);
        }
        to.sync()?;
        self.disk().rename(&temporary, &path)
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
