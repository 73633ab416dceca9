//! Reading: by offset.

use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::record::BatchHeader;

use super::{Bound, Log, LogRead, SegmentInfo};
use crate::error::ReadError;
use crate::offsets::{LogPosition, Offsets};
use crate::segment::{ScanError, Segment};

impl Log {
    /// Whole batches from the one that holds offset `from`, of one segment, at most `max_bytes`;
    /// the first one also when it is larger, if `at_least_one_batch`. Empty at the bound, and
    /// between it and the log end.
    ///
    /// # Errors
    /// [`ReadError::OffsetOutOfRange`] below the start or past the end of the log;
    /// [`ReadError::Corrupt`] and [`ReadError::Disk`] when the batches cannot be read.
    pub fn read(
        &self,
        from: i64,
        max_bytes: usize,
        at_least_one_batch: bool,
        bound: Bound,
    ) -> Result<LogRead, ReadError> {
        let (offsets, end) = self.bound(bound);
        check_range(from, &offsets)?;
        if bound == Bound::LastStable && offsets.last_stable_offset < offsets.high_watermark {
            return self.read_stable(from, max_bytes, at_least_one_batch, offsets);
        }
        let empty = LogRead {
            records: Bytes::new(),
            offsets,
            next_offset: from,
        };
        if from >= end.offset {
            return Ok(empty);
        }
        let segments = self.segments();
        let epochs = Arc::clone(&self.leader_epochs.read());
        let first = first_segment(&segments, from);
        let Some(segment) = segments.get(first) else {
            return Ok(empty);
        };
        let limit = limit_in(segment, end);
        self.keep_warm(segment);
        let found = segment.locate(from, limit).and_then(|batch| match batch {
            Some(batch) => segment.read(batch, limit, max_bytes, at_least_one_batch, &epochs),
            // Offsets are dense (L2): a batch in front claims fewer records than it has.
            None => Err(segment.corrupt(ScanError::invalid(limit, "a record is missing"))),
        });
        match found {
            Ok(None) => Ok(empty),
            Ok(Some((records, next_offset))) => Ok(LogRead {
                records,
                offsets,
                next_offset,
            }),
            Err(error) => Err(self.explain(error, from)),
        }
    }

    /// As [`Log::read`], where an open transaction is in front of the high watermark: what is read
    /// is cut in front of it.
    fn read_stable(
        &self,
        from: i64,
        max_bytes: usize,
        at_least_one_batch: bool,
        offsets: Offsets,
    ) -> Result<LogRead, ReadError> {
        let stable = offsets.last_stable_offset;
        let mut read = LogRead {
            records: Bytes::new(),
            offsets,
            next_offset: from,
        };
        if from >= stable {
            return Ok(read);
        }
        let found = self.read(from, max_bytes, at_least_one_batch, Bound::HighWatermark)?;
        let mut end = 0;
        while let Some(rest) = found.records.get(end..)
            && let Ok(header) = BatchHeader::decode(rest)
            && header.base_offset < stable
        {
            end += header.size();
            read.next_offset = header.next_offset();
        }
        read.records = found.records.slice(..end.min(found.records.len()));
        Ok(read)
    }

    /// Bytes that a read from `from` up to a bound could give, at most `max_bytes`, without
    /// touching data. Up to `index.interval.bytes` too many away from the log end.
    ///
    /// # Errors
    /// [`ReadError::OffsetOutOfRange`].
    pub fn available(&self, from: i64, max_bytes: usize, bound: Bound) -> Result<usize, ReadError> {
        let (offsets, end) = self.bound(bound);
        check_range(from, &offsets)?;
        if from >= end.offset || is_unstable(from, &offsets, bound) {
            return Ok(0);
        }
        let segments = self.segments();
        let first = first_segment(&segments, from);
        match segments.get(first) {
            // A consumer that far behind does not wait.
            Some(segment) if segment.base_offset() < end.segment_base => Ok(max_bytes),
            Some(segment) if segment.has_index() => {
                let floor = segment.with_index(|index| index.floor(segment.base_offset(), from))?;
                let bytes = end.position.saturating_sub(floor.position);
                Ok(usize::try_from(bytes).map_or(max_bytes, |bytes| bytes.min(max_bytes)))
            }
            _ => Ok(max_bytes),
        }
    }

    /// Whether [`Log::read`] of this range up to the high watermark would be answered without
    /// waiting for a disk.
    #[must_use]
    pub fn is_resident(&self, from: i64, max_bytes: usize) -> bool {
        let (offsets, end) = self.bound(Bound::HighWatermark);
        if check_range(from, &offsets).is_err() || from >= end.offset {
            return true;
        }
        let segments = self.segments();
        let Some(segment) = segments.get(first_segment(&segments, from)) else {
            return true;
        };
        if !segment.has_index() {
            return false;
        }
        let floor = segment.with_index(|index| index.floor(segment.base_offset(), from));
        let (Ok(floor), Ok(file)) = (floor, segment.file()) else {
            return false;
        };
        let room = limit_in(segment, end).saturating_sub(floor.position);
        // The batch itself may start up to an index interval behind the floor.
        let interval = usize::try_from(self.config().index_interval_bytes).unwrap_or(0);
        let wanted = max_bytes.saturating_add(interval);
        let len = usize::try_from(room).map_or(wanted, |room| room.min(wanted));
        file.is_resident(floor.position, len)
    }

    /// The segments, oldest first.
    ///
    /// # Errors
    /// [`ReadError`] when the newest timestamp of a segment could not be found.
    pub fn segments_info(&self) -> Result<Vec<SegmentInfo>, ReadError> {
        let segments = self.segments();
        let active = segments.last().map(|segment| segment.base_offset());
        segments
            .iter()
            .map(|segment| {
                let largest = segment.largest_timestamp()?;
                if segment.has_index() {
                    self.keep_warm(segment);
                }
                Ok(SegmentInfo {
                    base_offset: segment.base_offset(),
                    size: segment.size(),
                    largest_timestamp: largest.map(|entry| entry.timestamp),
                    is_active: Some(segment.base_offset()) == active,
                })
            })
            .collect()
    }

    /// The offsets, and where a read with this bound ends.
    pub(super) fn bound(&self, bound: Bound) -> (Offsets, LogPosition) {
        let state = self.offsets.lock();
        let end = match bound {
            Bound::HighWatermark | Bound::LastStable => state.high_watermark(),
            Bound::LogEnd => state.log_end(),
        };
        (state.offsets(), end)
    }

    /// The error of a read of offset `from`; retention may have taken the segment meanwhile.
    pub(super) fn explain(&self, error: ReadError, from: i64) -> ReadError {
        check_range(from, &self.offsets()).err().unwrap_or(error)
    }

    /// Notes that a sealed segment is in use, and so must be closed some time.
    pub(super) fn keep_warm(&self, segment: &Arc<Segment>) {
        let segments = self.segments();
        if segments
            .last()
            .is_some_and(|active| active.base_offset() == segment.base_offset())
        {
            return;
        }
        self.warm.read().used(segment);
    }
}

/// Whether a reader with this bound must not see what is at `from` yet.
fn is_unstable(from: i64, offsets: &Offsets, bound: Bound) -> bool {
    bound == Bound::LastStable && from >= offsets.last_stable_offset
}

/// Fails unless `from` is in the log or at its end.
pub(super) fn check_range(from: i64, offsets: &Offsets) -> Result<(), ReadError> {
    if (offsets.log_start_offset..=offsets.log_end_offset).contains(&from) {
        Ok(())
    } else {
        Err(ReadError::OffsetOutOfRange {
            offset: from,
            log_start_offset: offsets.log_start_offset,
            log_end_offset: offsets.log_end_offset,
        })
    }
}

/// The number of the last segment that starts at or before `from`.
pub(super) fn first_segment(segments: &[Arc<Segment>], from: i64) -> usize {
    segments
        .partition_point(|segment| segment.base_offset() <= from)
        .saturating_sub(1)
}

/// Where reads of `segment` end, given where reads of the log end.
pub(super) fn limit_in(segment: &Segment, end: LogPosition) -> u64 {
    if segment.base_offset() == end.segment_base {
        // A smaller one may have taken the segment's place since `end` was asked for.
        end.position.min(segment.size())
    } else {
        segment.size()
    }
}
