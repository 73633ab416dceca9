//! Opening: what files there are, how far they can be trusted, what producers and epochs they hold.

use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};

use super::compact::CleanerState;
use super::{CommitSink, FlushPoint, Log, LogIdentity, Status, Tail, Writer, replay};
use crate::config::{Durability, LogConfig};
use crate::disk::{Disk, OpenMode};
use crate::error::{OpenError, ReadError};
use crate::layout::{LOG_START_OFFSET_CHECKPOINT, LogFile, log_file};
use crate::offsets::{LogPosition, OffsetState};
use crate::partition_metadata::{PartitionMetadata, StoredDurability};
use crate::recovery::{Found, Verdict, verdict};
use crate::segment::{Check, Segment, SegmentHome, SegmentIndex, SegmentScan, swap};
use crate::text_checkpoint::{load_offset, store_offset};

/// The tail of a log as a scan found it.
struct TailScan {
    found: Found,
    /// Number of the first segment that was scanned.
    first: usize,
    /// The last segment to keep, and what is in it; `None` when there is no segment.
    last: Option<(usize, SegmentScan)>,
}

impl Log {
    /// Opens, or creates, the log in `dir`; the caller syncs the directory above a new one. The
    /// journal has written again to the files what they lost. Appends get `leader_epoch` and go to
    /// `sink`, unless the disk is volatile or the settings ask for less.
    ///
    /// # Errors
    /// [`OpenError::Quarantined`] when the log is damaged where it must not be: nothing of it was
    /// changed. [`OpenError::TopicId`] for another topic's directory.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: LogIdentity,
        config: LogConfig,
        leader_epoch: i32,
        sink: Option<Arc<dyn CommitSink>>,
        tail: Tail,
    ) -> Result<Arc<Self>, OpenError> {
        let journaled = config.durability == Durability::Journal && !disk.is_volatile();
        let sink = sink.filter(|_| journaled);
        disk.create_dir(dir)?;
        let home = SegmentHome {
            disk,
            dir: dir.into(),
            index_interval_bytes: config.index_interval_bytes,
        };
        check_metadata(&home, &identity, sink.is_some())?;
        let stored_start = load_log_start(&*home.disk, dir)?;
        if stored_start > 0 && !matches!(tail, Tail::Clean | Tail::Closed { .. }) {
            // The process may have ended before this was durable, even because a sync failed, which may
            // have left what looks synced. Who is told now where the log starts relies on it.
            store_log_start(&*home.disk, dir, &identity, stored_start)?;
        }
        let cleaner = CleanerState::load(&home)?;
        let found = find_segments(&home, stored_start)?;
        let scan = scan_tail(&found, tail, stored_start)?;
        let segments = settle(&home, found, scan, tail, stored_start)?;
        let (Some(first), Some(active)) = (segments.first(), segments.last().cloned()) else {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        };
        let log_start_offset = stored_start.max(first.base_offset());
        let end = LogPosition {
            offset: active.next_offset(),
            segment_base: active.base_offset(),
            position: active.size(),
        };
        let records = log_start_offset..end.offset;
        let mut rebuilt =
            replay::rebuild(&home, &segments, records, leader_epoch).map_err(quarantined)?;
        let leader_epoch = rebuilt.leader_epoch;
        let epochs_changed = rebuilt.leader_epochs.assign(leader_epoch, end.offset);
        let mut offsets = OffsetState::new(log_start_offset, end);
        offsets.set_first_unstable(rebuilt.producers.first_unstable_offset());
        let writer = Writer {
            file: active.file()?,
            first_timestamp: first_timestamp(&active).map_err(quarantined)?,
            active,
            reserved: 0,
            first_append_ms: None,
            producers: rebuilt.producers,
            producers_changed: rebuilt.replayed,
            epochs_changed: epochs_changed || rebuilt.replayed,
            directory_changed: true,
            bytes_since_snapshot: 0,
            unflushed_records: 0,
            unflushed_since_ms: None,
        };
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            home,
            identity,
            leader_epoch,
            sink: sink.map(OnceLock::from).unwrap_or_default(),
            config: RwLock::new(Arc::new(config)),
            listener: RwLock::new(None),
            status: RwLock::new(Status::Open),
            failure_told: AtomicBool::new(false),
            maintenance: Mutex::new(FlushPoint::from(end)),
            state_files: Mutex::new(()),
            writer: Mutex::new(writer),
            segments: RwLock::new(Arc::new(segments)),
            offsets: Mutex::new(offsets),
            leader_epochs: RwLock::new(Arc::new(rebuilt.leader_epochs)),
            warm: RwLock::default(),
            cleaner,
        }))
    }
}

impl From<LogPosition> for FlushPoint {
    fn from(position: LogPosition) -> Self {
        Self {
            offset: position.offset,
            segment_base: position.segment_base,
            position: position.position,
        }
    }
}

/// Damage that a reader found while the log was opened.
fn quarantined(error: ReadError) -> OpenError {
    match error {
        ReadError::Disk(error) => OpenError::Disk(error),
        ReadError::Corrupt {
            segment_base_offset,
            ..
        } => OpenError::Quarantined {
            offset: segment_base_offset,
            reason: error.to_string(),
        },
        ReadError::OffsetOutOfRange { offset, .. } => OpenError::Quarantined {
            offset,
            reason: error.to_string(),
        },
    }
}

/// Refuses another topic's directory; a new directory gets its metadata before any append. That the
/// directory itself is new as well, whoever creates a log has to sync.
fn check_metadata(
    home: &SegmentHome,
    identity: &LogIdentity,
    journaled: bool,
) -> Result<(), OpenError> {
    if let Some(found) = PartitionMetadata::load(&*home.disk, &home.dir)? {
        return if found.topic_id == identity.topic_id {
            Ok(())
        } else {
            Err(OpenError::TopicId {
                found: found.topic_id,
                expected: identity.topic_id,
            })
        };
    }
    let durability = if journaled {
        StoredDurability::Journal
    } else {
        StoredDurability::PageCache
    };
    let metadata = PartitionMetadata {
        topic_id: identity.topic_id,
        durability,
    };
    Ok(metadata.store(&*home.disk, &home.dir)?)
}

/// The stored start of the log in `dir`; 0 when there is none.
pub(crate) fn load_log_start(disk: &dyn Disk, dir: &Path) -> io::Result<i64> {
    match load_offset(disk, &dir.join(LOG_START_OFFSET_CHECKPOINT))? {
        None => Ok(0),
        Some(Some(offset)) => Ok(offset),
        Some(None) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "log-start-offset-checkpoint is damaged",
        )),
    }
}

/// Stores the start of the log in `dir` durably.
pub(crate) fn store_log_start(
    disk: &dyn Disk,
    dir: &Path,
    identity: &LogIdentity,
    offset: i64,
) -> io::Result<()> {
    let path = dir.join(LOG_START_OFFSET_CHECKPOINT);
    let LogIdentity {
        topic, partition, ..
    } = identity;
    store_offset(disk, &path, topic, *partition, offset)
}

/// The segments on the disk, ascending, without those that lie below the start of the log.
/// Removes what interrupted writes and removals left.
fn find_segments(home: &SegmentHome, stored_start: i64) -> io::Result<Vec<Arc<Segment>>> {
    swap::finish_all(&*home.disk, &home.dir)?;
    let entries = home.disk.list(&home.dir)?;
    let mut bases: Vec<i64> = Vec::new();
    for entry in &entries {
        match LogFile::parse(&entry.name) {
            LogFile::Log(base) => bases.push(base),
            LogFile::Temporary => home.disk.remove(&home.dir.join(&entry.name))?,
            _ => {}
        }
    }
    bases.sort_unstable();
    let mut segments = Vec::with_capacity(bases.len());
    for (at, base) in bases.iter().copied().enumerate() {
        let next_offset = bases.get(at + 1).copied();
        let file = home
            .disk
            .open(&log_file(&home.dir, base), OpenMode::Existing)?;
        let size = file.size()?;
        let segment = Segment::new(
            home.clone(),
            base,
            size,
            next_offset.unwrap_or(i64::MAX),
            None,
        );
        if next_offset.is_some_and(|next| next <= stored_start) {
            segment.remove_files()?;
        } else {
            segments.push(Arc::new(segment));
        }
    }
    for entry in &entries {
        if let LogFile::OffsetIndex(base)
        | LogFile::TimeIndex(base)
        | LogFile::TransactionIndex(base) = LogFile::parse(&entry.name)
            && bases.binary_search(&base).is_err()
        {
            home.disk.remove(&home.dir.join(&entry.name))?;
        }
    }
    Ok(segments)
}

/// Goes through the part of the log that must be verified, and the end of it in any case.
fn scan_tail(segments: &[Arc<Segment>], tail: Tail, stored_start: i64) -> io::Result<TailScan> {
    let verify_from = tail.verify_from();
    let check = Check {
        crc_from: verify_from,
        stop_at: tail.stop_at(),
    };
    let first = super::read::first_segment(segments, verify_from);
    let mut result = TailScan {
        found: Found {
            starts_late: segments
                .first()
                .is_some_and(|first| first.base_offset() > stored_start),
            end: stored_start,
            invalid: None,
            valid_behind: false,
        },
        first,
        last: None,
    };
    for (number, segment) in segments.iter().enumerate().skip(first) {
        if result.last.is_some() && result.found.end != segment.base_offset() {
            result.found.invalid =
                Some(format!("segment {} does not follow", segment.base_offset()));
            break;
        }
        let mut scan = segment.scan(segment.stored_index(verify_from), &check)?;
        if !scan.consistent {
            // Either may be damaged, the index or the batches.
            let check = Check {
                crc_from: i64::MIN,
                ..check
            };
            scan = segment.scan(SegmentIndex::default(), &check)?;
        }
        result.found.end = scan.next_offset;
        result.found.invalid.clone_from(&scan.invalid);
        let stop = scan.invalid.is_some() || scan.next_offset >= check.stop_at;
        result.last = Some((number, scan));
        if stop {
            break;
        }
    }
    if result.found.invalid.is_some() {
        result.found.valid_behind = match tail {
            Tail::Scan { .. } => valid_behind(segments, &result, true)?,
            // Appends that were never acknowledged may be torn in any way; they fit the last segment.
            Tail::Unknown => valid_behind(segments, &result, false)?,
            _ => false,
        };
    }
    Ok(result)
}

/// Whether an intact batch lies behind what the scan kept: in the same segment, if that counts, or in a later one.
fn valid_behind(segments: &[Arc<Segment>], scan: &TailScan, same_counts: bool) -> io::Result<bool> {
    let Some((number, last)) = &scan.last else {
        return Ok(false);
    };
    let first = if same_counts { *number } else { number + 1 };
    for (at, segment) in segments.iter().enumerate().skip(first) {
        let start = if at == *number { last.end } else { 0 };
        let file = segment.file()?;
        let found = replay::find_intact_batch(&*file, start..segment.size(), scan.found.end)?;
        if found.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Does what the verdict says and answers the segments of the log. What is kept is synced before
/// anyone sees it (D4).
fn settle(
    home: &SegmentHome,
    mut segments: Vec<Arc<Segment>>,
    scan: TailScan,
    tail: Tail,
    stored_start: i64,
) -> Result<Vec<Arc<Segment>>, OpenError> {
    let found_end = scan.found.end;
    let quarantine = |reason: String| OpenError::Quarantined {
        offset: found_end,
        reason,
    };
    match verdict(tail, &scan.found) {
        Verdict::Quarantine(reason) => return Err(quarantine(reason)),
        Verdict::Keep | Verdict::Cut => {}
    }
    let behind_start = found_end < stored_start;
    if behind_start && !matches!(tail, Tail::Scan { .. } | Tail::Unknown) {
        let reason = format!("the log starts at {stored_start}, but ends before");
        return Err(quarantine(reason));
    }
    let Some((last, scanned)) = scan.last.filter(|_| !behind_start) else {
        for segment in segments.iter().rev() {
            segment.remove_files()?;
        }
        let segment = Segment::create(home.clone(), stored_start)?;
        home.disk.sync_dir(&home.dir)?;
        return Ok(vec![Arc::new(segment)]);
    };
    for doomed in segments.drain(last + 1..).rev() {
        tracing::warn!(dir = %home.dir.display(), base_offset = doomed.base_offset(), "segment cut");
        doomed.remove_files()?;
    }
    if let Some(active) = segments.last() {
        let torn = active.size().saturating_sub(scanned.end);
        if torn > 0 {
            tracing::warn!(dir = %home.dir.display(), offset = found_end, torn, "tail cut");
            active.file()?.truncate(scanned.end)?;
        }
        active.adopt(scanned);
    }
    if !tail.is_closed() {
        for segment in segments.iter().skip(scan.first) {
            segment.file()?.sync()?;
        }
        home.disk.sync_dir(&home.dir)?;
    }
    let sealed = segments.len().saturating_sub(1);
    for segment in segments.iter().take(sealed).skip(scan.first) {
        segment.release();
    }
    Ok(segments)
}

/// Timestamp of the first batch of a segment.
pub(super) fn first_timestamp(segment: &Segment) -> Result<Option<i64>, ReadError> {
    let mut scanner = segment.scanner(0..segment.size())?;
    let first = scanner
        .next_batch()
        .map_err(|error| segment.corrupt(error))?;
    Ok(first.map(|batch| batch.header.max_timestamp))
}
