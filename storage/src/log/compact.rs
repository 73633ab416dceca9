//! Compaction as a log sees it: what there is to do, and one segment in the place of several.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use ottla_protocol::record::BatchHeader;

use super::open::first_timestamp;
use super::{Log, LogIdentity};
use crate::compaction::{Cleanable, SealedSegment, cleanable};
use crate::error::{ChangeError, ReadError, Shortage};
use crate::layout::CLEANER_OFFSET_CHECKPOINT;
use crate::offsets::LogPosition;
use crate::producer_snapshot;
use crate::segment::{Segment, SegmentHome, SegmentOutput, swap};
use crate::text_checkpoint::{load_offset, store_offset};

/// How far compaction has come.
pub(super) struct CleanerState {
    /// From here on it has not looked at the log.
    first_dirty: AtomicI64,
    /// It has failed here and is not tried again before the next start.
    given_up: AtomicBool,
    /// One compaction at a time.
    is_running: AtomicBool,
}

impl CleanerState {
    /// The state in the log's directory. It can be made anew: by compacting from the start.
    pub(super) fn load(home: &SegmentHome) -> io::Result<Self> {
        let path = home.dir.join(CLEANER_OFFSET_CHECKPOINT);
        let first_dirty = load_offset(&*home.disk, &path)?.unwrap_or_default();
        Ok(Self {
            first_dirty: AtomicI64::new(first_dirty.unwrap_or(0)),
            given_up: AtomicBool::new(false),
            is_running: AtomicBool::new(false),
        })
    }
}

impl Log {
    /// What there is to compact at time `now_ms`; nothing without `cleanup.policy=compact`, after a
    /// failure, or while a compaction is under way.
    ///
    /// # Errors
    /// [`ReadError`] when the age of a segment could not be found.
    pub(crate) fn cleanable(&self, now_ms: i64) -> Result<Option<Cleanable>, ReadError> {
        let config = self.config();
        let Some(compaction) = &config.compaction else {
            return Ok(None);
        };
        if self.cleaner.given_up.load(Ordering::Acquire)
            || self.cleaner.is_running.load(Ordering::Acquire)
            || self.check_changeable().is_err()
        {
            return Ok(None);
        }
        let offsets = self.offsets();
        let first_dirty = self.first_dirty();
        let segments = self.segments();
        let mut sealed = Vec::with_capacity(segments.len());
        for [segment, next] in segments.array_windows() {
            let is_dirty = next.base_offset() > first_dirty;
            let mut facts = SealedSegment {
                base_offset: segment.base_offset(),
                next_offset: next.base_offset(),
                size: segment.size(),
                first_timestamp: None,
                largest_timestamp: None,
            };
            // Files are not opened for what nobody asks.
            if is_dirty && compaction.max_lag.is_some() {
                facts.first_timestamp = first_timestamp(segment)?;
            }
            if is_dirty && !compaction.min_lag.is_zero() {
                facts.largest_timestamp = segment.largest_timestamp()?.map(|entry| entry.timestamp);
            }
            sealed.push(facts);
        }
        let limit = offsets.last_stable_offset;
        Ok(cleanable(&sealed, first_dirty, limit, compaction, now_ms))
    }

    /// From where on compaction has not looked at the log.
    fn first_dirty(&self) -> i64 {
        let first_dirty = self.cleaner.first_dirty.load(Ordering::Acquire);
        // One past the end is that of records that a crash took.
        if first_dirty > self.offsets().log_end_offset {
            return 0;
        }
        first_dirty
    }

    /// Begins a compaction, unless one is under way.
    pub(crate) fn begin_cleaning(&self) -> bool {
        !self.cleaner.is_running.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn end_cleaning(&self) {
        self.cleaner.is_running.store(false, Ordering::Release);
    }

    /// Compaction ends early. What does not pass by itself, such as damage, is not met again before
    /// the next start: there may be other logs to compact.
    pub(crate) fn cleaning_failed(&self, error: &ChangeError) {
        let passes = match error {
            ChangeError::Disk(error) | ChangeError::Read(ReadError::Disk(error)) => {
                // Retention takes segments as it likes.
                Shortage::of(error).is_some() || error.kind() == io::ErrorKind::NotFound
            }
            ChangeError::Read(_) => false,
            _ => true,
        };
        if !passes {
            self.cleaner.given_up.store(true, Ordering::Release);
        }
    }

    /// Stores, durably, that all below `offset` is compacted.
    pub(crate) fn cleaned_to(&self, offset: i64) -> Result<(), ChangeError> {
        let _maintenance = self.maintenance.lock();
        self.check_changeable()?;
        let LogIdentity {
            topic, partition, ..
        } = &self.identity;
        let path = self.home.dir.join(CLEANER_OFFSET_CHECKPOINT);
        store_offset(self.disk(), &path, topic, *partition, offset)?;
        self.cleaner.first_dirty.store(offset, Ordering::Release);
        Ok(())
    }

    /// Whether what this batch says of its producer is nowhere else.
    pub(crate) fn is_newest_of_producer(&self, header: &BatchHeader) -> bool {
        self.writer.lock().producers.is_newest(header)
    }

    /// The segments that begin below `end`.
    pub(crate) fn segments_below(&self, end: i64) -> Vec<Arc<Segment>> {
        let segments = self.segments();
        let below = segments.partition_point(|segment| segment.base_offset() < end);
        segments.iter().take(below).cloned().collect()
    }

    /// The file for what is left of these segments, which end at `end_offset`.
    pub(crate) fn begin_output(
        &self,
        base_offset: i64,
        end_offset: i64,
    ) -> Result<SegmentOutput, ChangeError> {
        // The directory of a log that is deleted may be that of its successor.
        let _maintenance = self.maintenance.lock();
        self.check_changeable()?;
        Ok(SegmentOutput::create(
            self.new_home(),
            base_offset,
            end_offset,
        )?)
    }

    /// Puts what is left of these segments, which is on the disk, in their place. Readers keep the
    /// old ones for as long as they look at them. Answers `output` when it is to be tried again,
    /// once the journal has what is being appended.
    ///
    /// # Errors
    /// [`ChangeError::Superseded`] when they are not the log's any more. [`ChangeError`]: the old
    /// ones go on being served; if the change had begun, a restart completes it.
    pub(crate) fn replace_segments(
        &self,
        old: &[Arc<Segment>],
        mut output: SegmentOutput,
    ) -> Result<Option<SegmentOutput>, ChangeError> {
        let _maintenance = self.maintenance.lock();
        self.check_changeable()?;
        let Some(at) = position_of(&self.segments(), old).filter(|_| self.is_compacted()) else {
            return Err(ChangeError::Superseded);
        };
        let (base_offset, end_offset) = (output.base_offset(), output.end_offset());
        if !self.keep_producers_elsewhere(end_offset)? {
            return Ok(Some(output));
        }
        for segment in old {
            segment.pin()?;
        }
        // From here on the files may be others than those in memory.
        self.cleaner.given_up.store(true, Ordering::Release);
        output.commit()?;
        swap::finish(self.disk(), &self.home.dir, base_offset, end_offset)?;
        self.cleaner.given_up.store(false, Ordering::Release);
        let new = Arc::new(output.into_segment());
        {
            let mut segments = self.segments.write();
            let range = at..at + old.len();
            Arc::make_mut(&mut segments).splice(range, [Arc::clone(&new)]);
        }
        self.offsets.lock().moved_on(LogPosition {
            offset: end_offset,
            segment_base: end_offset,
            position: 0,
        });
        // The next snapshot counts the aborted transactions of the new segment.
        self.writer.lock().producers_changed = true;
        if let Err(error) = new.write_index(true) {
            tracing::warn!(dir = %self.home.dir.display(), %error, "index not written");
        }
        self.keep_warm(&new);
        Ok(None)
    }

    fn is_compacted(&self) -> bool {
        self.config().compaction.is_some()
    }

    /// What batches below `end` say of producers must be durable elsewhere, and no state from
    /// within them may be taken up again: the markers behind it may be gone. Answers `false` while
    /// the only state there is covers records that are not durable yet.
    fn keep_producers_elsewhere(&self, end: i64) -> io::Result<bool> {
        let (disk, dir) = (self.disk(), &self.home.dir);
        if disk.is_volatile() {
            return Ok(true);
        }
        let usable = |log: &Self| end..=log.offsets().high_watermark;
        if !producer_snapshot::sync_between(disk, dir, usable(self))? {
            self.store_producers()?;
            if !producer_snapshot::sync_between(disk, dir, usable(self))? {
                return Ok(false);
            }
        }
        producer_snapshot::remove_below(disk, dir, end)?;
        Ok(true)
    }
}

/// Where `part` is in `all`, if it is a part of it.
fn position_of(all: &[Arc<Segment>], part: &[Arc<Segment>]) -> Option<usize> {
    let first = part.first()?;
    let at = all.iter().position(|segment| Arc::ptr_eq(segment, first))?;
    let found = all.get(at..at.checked_add(part.len())?)?;
    let is_same = found.iter().zip(part).all(|(a, b)| Arc::ptr_eq(a, b));
    // The active segment is never compacted.
    (is_same && at + part.len() < all.len()).then_some(at)
}
