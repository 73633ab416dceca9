//! Appending: decide, assign offsets, roll, reserve, write, index, hand to the journal.

use std::io::{self, IoSlice};
use std::sync::Arc;

use ottla_protocol::record::{AppendHead, BatchHeader, HEADER_LEN, TimestampType};

use super::{Append, Appended, JournalEntry, Log, Writer};
use crate::config::LogConfig;
use crate::error::{AppendError, Failed, Shortage};
use crate::offsets::LogPosition;
use crate::producer_snapshot;
use crate::producer_state::Sequence;
use crate::segment::{Segment, as_u64};

/// The first and the largest step in which blocks are reserved.
const SMALLEST_RESERVE: u64 = 64 << 10;
const LARGEST_RESERVE: u64 = 16 << 20;
/// Kafka's tools read positions as signed numbers.
const LARGEST_SEGMENT: u32 = i32::MAX.unsigned_abs();

impl Log {
    /// Appends one batch of a client at time `now_ms`. It is visible, and may be acknowledged,
    /// when the high watermark is past it.
    ///
    /// # Errors
    /// [`AppendError`]; nothing of the batch is in the log then, except after `Failed`.
    pub fn append(&self, batch: Append, now_ms: i64) -> Result<Appended, AppendError> {
        if let Some(sink) = &self.sink {
            sink.admit(as_u64(batch.header.size()))?;
        }
        let result = {
            let mut writer = self.writer.lock();
            self.append_locked(&mut writer, batch, now_ms)
        };
        let (appended, moved) = match result {
            Err(error @ AppendError::Failed(_)) => {
                self.tell_failure();
                return Err(error);
            }
            result => result?,
        };
        if let Some(sink) = &self.sink {
            sink.submitted();
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
        batch: Append,
        now_ms: i64,
    ) -> Result<(Appended, Option<i64>), AppendError> {
        self.check_appendable()?;
        let config = self.config();
        validate(&batch, &config)?;
        let offsets = self.offsets();
        let log_append_time = |timestamp| match config.timestamp_type {
            TimestampType::LogAppendTime => timestamp,
            TimestampType::CreateTime => -1,
        };
        if let Sequence::Duplicate(original) = writer.producers.check(&batch.header)? {
            let appended = Appended {
                base_offset: original.base_offset,
                last_offset: original.last_offset,
                log_append_time: log_append_time(original.timestamp),
                log_start_offset: offsets.log_start_offset,
                duplicate: true,
            };
            return Ok((appended, None));
        }
        let header = self.assign(&batch, offsets.log_end_offset, &config, now_ms)?;
        if should_roll(writer, &header, &config, now_ms) {
            self.roll_locked(writer).map_err(refused)?;
        }
        let position = self.write(writer, &header, &batch)?;
        let moved = self.publish(writer, &header, now_ms);
        let appended = Appended {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            log_append_time: log_append_time(header.max_timestamp),
            log_start_offset: offsets.log_start_offset,
            duplicate: false,
        };
        if let Some(sink) = &self.sink {
            let entry = JournalEntry {
                log: self.me.upgrade().ok_or(AppendError::Closed)?,
                segment_base: writer.active.base_offset(),
                position,
                head: header.encode(),
                body: batch.body,
                end_offset: header.next_offset(),
            };
            if let Err(failed) = sink.submit(vec![entry]) {
                self.mark_failed(failed.clone());
                return Err(AppendError::Failed(failed));
            }
        }
        Ok((appended, moved))
    }

    /// The head as it is stored.
    fn assign(
        &self,
        batch: &Append,
        base_offset: i64,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<BatchHeader, AppendError> {
        let timestamp_type = config.timestamp_type;
        let header = batch.header.for_append(&AppendHead {
            base_offset,
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

    /// Writes the batch behind the last one; on an error the file is as before, or the log failed.
    fn write(
        &self,
        writer: &mut Writer,
        header: &BatchHeader,
        batch: &Append,
    ) -> Result<u64, AppendError> {
        let position = writer.active.size();
        reserve(writer, position + as_u64(header.size())).map_err(refused)?;
        let head = header.encode();
        let parts = [IoSlice::new(&head), IoSlice::new(&batch.body)];
        let Err(error) = writer.file.write_at(position, &parts) else {
            return Ok(position);
        };
        writer.reserved = position;
        match writer.file.truncate(position) {
            Ok(()) => Err(refused(error)),
            Err(second) => {
                let failed = Failed::new(format_args!(
                    "an append failed ({error}) and could not be undone ({second})"
                ));
                self.mark_failed(failed.clone());
                Err(AppendError::Failed(failed))
            }
        }
    }

    /// Makes a written batch part of the log. Answers the high watermark if it moved.
    fn publish(&self, writer: &mut Writer, header: &BatchHeader, now_ms: i64) -> Option<i64> {
        writer.active.appended(header);
        writer.producers.replay(header);
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
        let durable = self.sink.is_none();
        let first_unstable = writer.producers.first_unstable_offset();
        self.offsets.lock().appended(end, first_unstable, durable);
        durable.then_some(end.offset)
    }

    /// Seals the active segment and starts one at the log end.
    pub(super) fn roll_locked(&self, writer: &mut Writer) -> io::Result<()> {
        if writer.active.size() == 0 {
            return Ok(());
        }
        let log_end_offset = self.offsets().log_end_offset;
        let new = Arc::new(Segment::create(self.home.clone(), log_end_offset)?);
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
        let bytes = producer_snapshot::to_bytes(&writer.producers)?;
        producer_snapshot::store_unsynced(disk, dir, log_end_offset, &bytes)
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

fn refused(error: io::Error) -> AppendError {
    match Shortage::of(&error) {
        Some(shortage) => AppendError::Short(shortage),
        None => AppendError::Disk(error),
    }
}
