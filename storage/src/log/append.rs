//! Appending: decide, assign offsets, roll, reserve, write, index, hand to the journal.

use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::record::{
    AppendHead, BatchHeader, EndTransactionMarker, HEADER_LEN, TimestampType,
};

use super::transaction::{aborted, marker_batch};
use super::{Append, Appended, Change, JournalEntry, Log, Writer};
use crate::config::LogConfig;
use crate::error::{AppendError, Failed, Shortage};
use crate::offsets::LogPosition;
use crate::producer_snapshot::{self, Snapshot};
use crate::producer_state::{Sequence, TransactionGuard};
use crate::segment::{Segment, as_u64, write_aborted};

/// The first and the largest step in which blocks are reserved.
const SMALLEST_RESERVE: u64 = 64 << 10;
const LARGEST_RESERVE: u64 = 16 << 20;
/// Kafka's tools read positions as signed numbers.
const LARGEST_SEGMENT: u32 = i32::MAX.unsigned_abs();

/// A batch with everything decided, to be written at `position`.
pub(super) struct Staged {
    header: BatchHeader,
    body: Bytes,
    /// What a control batch says.
    marker: Option<EndTransactionMarker>,
    position: u64,
}

/// What becomes of a batch.
pub(super) enum Decision {
    /// It is in the log already.
    Duplicate(Appended),
    /// It goes to the end of the log.
    Stage(Staged),
}

impl Log {
    /// Appends one batch of a client at time `now_ms`. It is visible, and may be acknowledged,
    /// when the high watermark is past it.
    ///
    /// # Errors
    /// [`AppendError`]; nothing of the batch is in the log then, except after `Failed`.
    pub fn append(&self, batch: Append, now_ms: i64) -> Result<Appended, AppendError> {
        self.append_one(Change::Batch(batch, None), now_ms)
    }

    /// As [`Log::append`], for a batch of a transaction that was looked at after `guard` was taken.
    ///
    /// # Errors
    /// [`AppendError::TransactionEnded`] when it has ended meanwhile.
    pub fn append_guarded(
        &self,
        batch: Append,
        guard: TransactionGuard,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        self.append_one(Change::Batch(batch, Some(guard)), now_ms)
    }

    pub(super) fn append_one(&self, change: Change, now_ms: i64) -> Result<Appended, AppendError> {
        if let Some(sink) = self.sink.get() {
            sink.admit(change.size())?;
        }
        let (result, sink) = {
            let mut writer = self.writer.lock();
            let result = self.append_locked(&mut writer, change, now_ms);
            (result, self.sink.get())
        };
        let (appended, moved) = match result {
            Err(error @ AppendError::Failed(_)) => {
                self.tell_failure();
                return Err(error);
            }
            result => result?,
        };
        match sink {
            Some(sink) => sink.submitted(),
            None => self.flush_appended()?,
        }
        self.notify(moved);
        Ok(appended)
    }

    /// Starts a new segment unless the active one is empty.
    ///
    /// # Errors
    /// [`AppendError`] when the log takes no appends or the disk refuses a new file.
    pub fn roll(&self) -> Result<(), AppendError> {
        let mut writer = self.writer.lock();
        self.check_appendable()?;
        self.roll_locked(&mut writer).map_err(refused)
    }

    fn append_locked(
        &self,
        writer: &mut Writer,
        change: Change,
        now_ms: i64,
    ) -> Result<(Appended, Option<i64>), AppendError> {
        let mut staged = match self.decide(writer, change, now_ms)? {
            Decision::Duplicate(appended) => return Ok((appended, None)),
            Decision::Stage(staged) => staged,
        };
        self.write(writer, &mut staged, now_ms)?;
        let (appended, moved) = self.publish(writer, &staged, now_ms);
        if let Some(sink) = self.sink.get()
            && let Err(failed) = sink.submit(vec![self.journal_entry(writer, staged)?])
        {
            self.mark_failed(failed.clone());
            return Err(AppendError::Failed(failed));
        }
        Ok((appended, moved))
    }

    /// Whether the batch may be appended, and with which head.
    pub(super) fn decide(
        &self,
        writer: &Writer,
        change: Change,
        now_ms: i64,
    ) -> Result<Decision, AppendError> {
        self.check_appendable()?;
        let config = self.config();
        let (batch, marker) = match change {
            Change::Batch(batch, guard) => {
                validate(&batch, &config)?;
                if let Sequence::Duplicate(original) =
                    writer.producers.check(&batch.header, guard.as_ref())?
                {
                    return Ok(Decision::Duplicate(Appended {
                        base_offset: original.base_offset,
                        last_offset: original.last_offset,
                        log_append_time: log_append_time(&config, original.timestamp),
                        log_start_offset: self.offsets().log_start_offset,
                        duplicate: true,
                    }));
                }
                (batch, None)
            }
            Change::Marker(marker) => {
                writer.producers.check_marker(&marker)?;
                (marker_batch(&marker, now_ms)?, Some(marker.end))
            }
        };
        let header = self.assign(&batch, &config, now_ms)?;
        Ok(Decision::Stage(Staged {
            header,
            body: batch.body,
            marker,
            position: 0,
        }))
    }

    /// The head as it is stored.
    fn assign(
        &self,
        batch: &Append,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<BatchHeader, AppendError> {
        let timestamp_type = config.timestamp_type;
        let header = batch.header.for_append(&AppendHead {
            base_offset: self.offsets().log_end_offset,
            partition_leader_epoch: self.leader_epoch,
            timestamp_type,
            max_timestamp: match timestamp_type {
                TimestampType::LogAppendTime => now_ms,
                TimestampType::CreateTime => batch.header.max_timestamp,
            },
        });
        if header.last_offset() >= i64::MAX - 1 {
            return Err(AppendError::Invalid("the log is out of offsets"));
        }
        Ok(header)
    }

    /// Writes the batch behind the last one, in a new segment if it is time for one; on an error
    /// the file is as before, or the log failed.
    pub(super) fn write(
        &self,
        writer: &mut Writer,
        staged: &mut Staged,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        if should_roll(writer, &staged.header, &self.config(), now_ms) {
            self.roll_locked(writer).map_err(refused)?;
        }
        staged.position = writer.active.size();
        let end = staged.position + as_u64(staged.header.size());
        reserve(writer, end).map_err(refused)?;
        let head = staged.header.encode();
        let parts = [IoSlice::new(&head), IoSlice::new(&staged.body)];
        match writer.file.write_at(staged.position, &parts) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.unwrite(writer, staged.position, error)),
        }
    }

    /// Takes back what was written at `position` and not published. Answers the error to tell.
    pub(super) fn unwrite(
        &self,
        writer: &mut Writer,
        position: u64,
        error: io::Error,
    ) -> AppendError {
        writer.reserved = position;
        match writer.file.truncate(position) {
            Ok(()) => refused(error),
            Err(second) => {
                let failed = Failed::new(format_args!(
                    "an append failed ({error}) and could not be undone ({second})"
                ));
                self.mark_failed(failed.clone());
                AppendError::Failed(failed)
            }
        }
    }

    /// What the journal gets of a batch that was written.
    pub(super) fn journal_entry(
        &self,
        writer: &Writer,
        staged: Staged,
    ) -> Result<JournalEntry, AppendError> {
        Ok(JournalEntry {
            log: self.me.upgrade().ok_or(AppendError::Closed)?,
            segment_base: writer.active.base_offset(),
            position: staged.position,
            head: staged.header.encode(),
            end_offset: staged.header.next_offset(),
            body: staged.body,
        })
    }

    /// Makes a written batch part of the log. Answers where it is, and the high watermark if it
    /// moved.
    pub(super) fn publish(
        &self,
        writer: &mut Writer,
        staged: &Staged,
        now_ms: i64,
    ) -> (Appended, Option<i64>) {
        let header = &staged.header;
        writer.active.appended(header);
        let completed = match staged.marker {
            Some(marker) => writer.producers.replay_marker(header, marker),
            None => {
                writer.producers.replay(header);
                None
            }
        };
        writer.producers_changed |= header.has_producer_id();
        writer.bytes_since_snapshot += as_u64(header.size());
        writer.first_timestamp.get_or_insert(header.max_timestamp);
        writer.first_append_ms.get_or_insert(now_ms);
        let records = u64::from(header.last_offset_delta.unsigned_abs()) + 1;
        writer.unflushed_records = writer.unflushed_records.saturating_add(records);
        writer.unflushed_since_ms.get_or_insert(now_ms);
        let end = LogPosition {
            offset: header.next_offset(),
            segment_base: writer.active.base_offset(),
            position: writer.active.size(),
        };
        let durable = !self.is_journaled();
        let first_unstable = writer.producers.first_unstable_offset();
        // Readers of committed records must find it before they can read past the marker.
        if let Some(aborted) = completed.and_then(|ended| aborted(&ended, first_unstable)) {
            writer.active.add_aborted(aborted);
        }
        let mut offsets = self.offsets.lock();
        if let Some(completed) = completed {
            offsets.transaction_ends(completed.first_offset, end.offset);
        }
        offsets.appended(end, first_unstable, durable);
        let appended = Appended {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            log_append_time: log_append_time(&self.config(), header.max_timestamp),
            log_start_offset: offsets.offsets().log_start_offset,
            duplicate: false,
        };
        (appended, durable.then_some(end.offset))
    }

    /// Seals the active segment and starts one at the log end.
    pub(super) fn roll_locked(&self, writer: &mut Writer) -> io::Result<()> {
        if writer.active.size() == 0 {
            return Ok(());
        }
        let log_end_offset = self.offsets().log_end_offset;
        let new = Arc::new(Segment::create(self.new_home(), log_end_offset)?);
        let file = new.file()?;
        self.seal(writer, log_end_offset);
        {
            let mut segments = self.segments.write();
            Arc::make_mut(&mut segments).push(Arc::clone(&new));
        }
        self.offsets.lock().rolled(LogPosition {
            offset: log_end_offset,
            segment_base: log_end_offset,
            position: 0,
        });
        let sealed = std::mem::replace(&mut writer.active, new);
        writer.file = file;
        writer.reserved = 0;
        writer.first_timestamp = None;
        writer.first_append_ms = None;
        writer.directory_changed = true;
        self.keep_warm(&sealed);
        Ok(())
    }

    /// Gives back the reserve of the active segment and writes what only makes a start faster:
    /// none of it may fail the append that rolls.
    pub(super) fn seal(&self, writer: &mut Writer, log_end_offset: i64) {
        let dir = &self.home.dir;
        let sealed = writer
            .file
            .truncate(writer.active.size())
            .and_then(|()| writer.active.write_index(true));
        if let Err(error) = sealed {
            tracing::warn!(dir = %dir.display(), %error, "segment sealed without index");
        }
        if self.disk().is_volatile() {
            return;
        }
        // A flush that stores them at the moment is not waited for.
        let Some(_one) = self.state_files.try_lock() else {
            return;
        };
        match self.store_snapshot(writer, log_end_offset) {
            Ok(()) => writer.bytes_since_snapshot = 0,
            Err(error) => tracing::warn!(dir = %dir.display(), %error, "no producer snapshot"),
        }
    }

    /// Writes a snapshot that a crash may take. Epochs go first: recovery looks for newer ones
    /// only behind the newest snapshot.
    fn store_snapshot(&self, writer: &mut Writer, log_end_offset: i64) -> io::Result<()> {
        let (disk, dir) = (self.disk(), &self.home.dir);
        if writer.epochs_changed {
            self.leader_epochs.read().store(disk, dir)?;
            writer.epochs_changed = false;
        }
        let segments = self.segments();
        write_aborted(disk, dir, segments.iter())?;
        let bytes = producer_snapshot::to_bytes(&Snapshot::new(&writer.producers, &segments))?;
        producer_snapshot::store_unsynced(disk, dir, log_end_offset, &bytes)
    }
}

fn log_append_time(config: &LogConfig, timestamp: i64) -> i64 {
    match config.timestamp_type {
        TimestampType::LogAppendTime => timestamp,
        TimestampType::CreateTime => -1,
    }
}

fn validate(batch: &Append, config: &LogConfig) -> Result<(), AppendError> {
    let size = as_u64(HEADER_LEN) + as_u64(batch.body.len());
    let segment_bytes = config.segment_bytes.min(LARGEST_SEGMENT);
    if size > u64::from(segment_bytes) {
        return Err(AppendError::TooLarge {
            size,
            segment_bytes,
        });
    }
    if as_u64(batch.header.size()) != size {
        return Err(AppendError::Invalid(
            "its length is not that of its records",
        ));
    }
    if batch.header.last_offset_delta < 0 {
        return Err(AppendError::Invalid("its last offset is before its first"));
    }
    Ok(())
}

/// As Kafka: by size, by age, and before a relative offset overflows.
fn should_roll(writer: &Writer, header: &BatchHeader, config: &LogConfig, now_ms: i64) -> bool {
    let size = writer.active.size();
    if size == 0 {
        return false;
    }
    let segment_bytes = config.segment_bytes.min(LARGEST_SEGMENT);
    if size + as_u64(header.size()) > u64::from(segment_bytes) {
        return true;
    }
    if header.last_offset() - writer.active.base_offset() > i64::from(i32::MAX) {
        return true;
    }
    let age_ms = match (writer.first_timestamp, writer.first_append_ms) {
        (Some(first), _) if first >= 0 && header.max_timestamp >= 0 => {
            header.max_timestamp.saturating_sub(first)
        }
        (_, Some(first)) => now_ms.saturating_sub(first),
        _ => 0,
    };
    u128::try_from(age_ms).is_ok_and(|age_ms| age_ms > config.segment_age.as_millis())
}

/// Has the disk promise room up to `end`, with some to spare if it has that.
fn reserve(writer: &mut Writer, end: u64) -> io::Result<()> {
    if end <= writer.reserved {
        return Ok(());
    }
    let step = writer.reserved.clamp(SMALLEST_RESERVE, LARGEST_RESERVE);
    let wanted = (writer.reserved + step).max(end);
    match writer.file.reserve(wanted) {
        Ok(()) => writer.reserved = wanted,
        Err(_) => {
            writer.file.reserve(end)?;
            writer.reserved = end;
        }
    }
    Ok(())
}

pub(super) fn refused(error: io::Error) -> AppendError {
    match Shortage::of(&error) {
        Some(shortage) => AppendError::Short(shortage),
        None => AppendError::Disk(error),
    }
}
