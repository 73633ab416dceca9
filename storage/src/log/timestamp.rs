//! Reading: by time. Only what is below the high watermark is found.

use std::sync::Arc;

use ottla_protocol::record::{Limits, RecordBatch};

use super::read::{first_segment, limit_in};
use super::{Bound, Log, TimestampOffset};
use crate::error::ReadError;
use crate::index::TimeEntry;
use crate::offsets::LogPosition;
use crate::segment::{Batch, ScanError, Segment, SegmentIndex};

impl Log {
    /// The first record whose timestamp is `timestamp` or later, in milliseconds. Decompresses
    /// the batch that holds it.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] and [`ReadError::Disk`] when the batches cannot be read.
    pub fn offset_for_timestamp(
        &self,
        timestamp: i64,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let (offsets, end) = self.bound(Bound::HighWatermark);
        let start = offsets.log_start_offset;
        for segment in self.readable_segments(start, end) {
            self.keep_warm(&segment);
            let found = search(&segment, start, timestamp, limit_in(&segment, end));
            match found {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => return Err(self.explain(error, start)),
            }
        }
        Ok(None)
    }

    /// The first record with the newest timestamp; `None` when no record has one.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] and [`ReadError::Disk`] when the batches cannot be read.
    pub fn max_timestamp(&self) -> Result<Option<TimestampOffset>, ReadError> {
        let (offsets, end) = self.bound(Bound::HighWatermark);
        let start = offsets.log_start_offset;
        let mut largest: Option<(Arc<Segment>, Batch)> = None;
        for segment in self.readable_segments(start, end) {
            self.keep_warm(&segment);
            let found =
                largest_in(&segment, start, end).map_err(|error| self.explain(error, start))?;
            if let Some(batch) = found
                && largest.as_ref().is_none_or(|(_, largest)| {
                    batch.header.max_timestamp > largest.header.max_timestamp
                })
            {
                largest = Some((segment, batch));
            }
        }
        let Some((segment, batch)) = largest else {
            return Ok(None);
        };
        let found = record_in(&segment, &batch, 0, batch.header.max_timestamp)?;
        // The record itself may be deleted, while others of its batch are not.
        Ok(found.map(|found| TimestampOffset {
            offset: found.offset.max(start),
            ..found
        }))
    }

    /// The segments with records between `start` and `end`.
    fn readable_segments(&self, start: i64, end: LogPosition) -> Vec<Arc<Segment>> {
        let segments = self.segments();
        let first = first_segment(&segments, start);
        segments
            .iter()
            .skip(first)
            .filter(|segment| segment.base_offset() <= end.segment_base)
            .cloned()
            .collect()
    }
}

/// The first record of a segment, from offset `start` on, that is not older than `timestamp`.
fn search(
    segment: &Segment,
    start: i64,
    timestamp: i64,
    limit: u64,
) -> Result<Option<TimestampOffset>, ReadError> {
    let largest = segment.largest_timestamp()?;
    if largest.is_none_or(|largest| largest.timestamp < timestamp) {
        verify_newest(segment)?;
        segment.check_whole()?;
        return Ok(None);
    }
    let from = segment.offset_of_time_entry(|index| index.time_before(timestamp))?;
    let Some(first) = segment.locate(from.max(start), limit)? else {
        segment.check_whole()?;
        return Ok(None);
    };
    let mut scanner = segment.scanner(first.position..limit)?;
    while let Some(batch) = scanner
        .next_batch()
        .map_err(|error| segment.corrupt(error))?
    {
        if batch.header.max_timestamp < timestamp {
            // Damaged, it may hold what is looked for.
            verified(segment, &batch)?;
            continue;
        }
        if let Some(found) = record_in(segment, &batch, start, timestamp)? {
            return Ok(Some(found));
        }
    }
    segment.check_whole()?;
    Ok(None)
}

/// Verifies what tells the newest timestamp: the batch of the last time entry, which must have it,
/// and those behind the last offset entry. Damaged, one of them may hold a newer one.
fn verify_newest(segment: &Segment) -> Result<(), ReadError> {
    segment.offset_of_time_entry(|index| index.time_below(i64::MAX))?;
    let from = segment.with_index(SegmentIndex::last_position)?;
    let mut scanner = segment.scanner(from..segment.size())?;
    while let Some(batch) = scanner
        .next_batch()
        .map_err(|error| segment.corrupt(error))?
    {
        verified(segment, &batch)?;
    }
    Ok(())
}

/// The first batch with the newest timestamp between offset `start` and `end`.
fn largest_in(segment: &Segment, start: i64, end: LogPosition) -> Result<Option<Batch>, ReadError> {
    let base = segment.base_offset();
    let limit = limit_in(segment, end);
    let known = segment.largest_timestamp()?;
    segment.check_whole()?;
    let Some(known) = known else {
        return Ok(None);
    };
    let offset_of = |entry: TimeEntry| base + i64::from(entry.relative_offset);
    let is_readable = (start..end.offset).contains(&offset_of(known));
    let from = if is_readable {
        offset_of(known)
    } else {
        // It is deleted, or not visible yet: up to the last entry below the end, none is newer
        // than that entry.
        let below = end.offset.saturating_sub(base);
        segment.offset_of_time_entry(|index| index.time_below(below))?
    };
    let Some(first) = segment.locate(from.max(start), limit)? else {
        return Ok(None);
    };
    let mut largest: Option<Batch> = None;
    let mut scanner = segment.scanner(first.position..limit)?;
    while let Some(batch) = scanner
        .next_batch()
        .map_err(|error| segment.corrupt(error))?
    {
        verified(segment, &batch)?;
        let timestamp = batch.header.max_timestamp;
        if timestamp >= 0
            && batch.header.record_count > 0
            && largest.is_none_or(|largest| timestamp > largest.header.max_timestamp)
        {
            largest = Some(batch);
        }
        if is_readable {
            break;
        }
    }
    Ok(largest)
}

/// The first record of a batch, from offset `start` on, that is not older than `timestamp`.
fn record_in(
    segment: &Segment,
    batch: &Batch,
    start: i64,
    timestamp: i64,
) -> Result<Option<TimestampOffset>, ReadError> {
    let damaged = |error| segment.corrupt(ScanError::invalid(batch.position, error));
    let whole = verified(segment, batch)?;
    let records = whole.records(&Limits::stored()).map_err(damaged)?;
    for record in records {
        let record = record.map_err(damaged)?;
        if record.offset >= start && record.timestamp >= timestamp {
            return Ok(Some(TimestampOffset {
                timestamp: record.timestamp,
                offset: record.offset,
                leader_epoch: batch.header.partition_leader_epoch,
            }));
        }
    }
    Ok(None)
}

/// The batch as it is on disk, its checksum checked.
fn verified(segment: &Segment, batch: &Batch) -> Result<RecordBatch, ReadError> {
    let damaged = |error| segment.corrupt(ScanError::invalid(batch.position, error));
    let bytes = segment
        .file()?
        .read_at(batch.position, batch.header.size())?;
    let (whole, _) = RecordBatch::parse(bytes).map_err(damaged)?;
    whole.verify_crc().map_err(damaged)?;
    Ok(whole)
}
