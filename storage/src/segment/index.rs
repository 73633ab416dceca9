//! Both indexes of a segment, in memory: grown by appends, read from files, completed by a scan.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use ottla_protocol::record::BatchHeader;

use super::scan::{Batch, ScanError, Scanner};
use super::{SCAN_WINDOW, Segment, SegmentHome, as_u64};
use crate::disk::{DiskFile, OpenMode};
use crate::index::{OffsetEntry, OffsetIndex, TimeEntry, TimeIndex};
use crate::layout::{offset_index_file, time_index_file};
use crate::text_checkpoint::read_file;

/// Newest batches whose exact positions are kept: where waiting consumers read.
const RECENT_BATCHES: usize = 32;

/// What is known of where batches are.
#[derive(Debug, Default)]
pub(crate) struct SegmentIndex {
    offset: OffsetIndex,
    time: TimeIndex,
    /// The newest timestamp, with the last offset of the first batch that has it.
    largest: Option<TimeEntry>,
    /// Log bytes since the batch of the last offset entry, that batch included.
    bytes_since_entry: u64,
    /// Base offset and position of the newest batches, ascending.
    recent: VecDeque<(i64, u64)>,
    /// Entries of the offset and of the time index that are in their files.
    written: (usize, usize),
}

/// Where to start looking for an offset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Floor {
    pub(crate) position: u64,
    known: Known,
}

/// What is known of the batch at a [`Floor`].
#[derive(Debug, Clone, Copy)]
enum Known {
    Nothing,
    BaseOffset(i64),
    LastOffset(i64),
}

impl Floor {
    /// Whether the batch found there is the one that the index means.
    pub(crate) fn matches(&self, header: &BatchHeader) -> bool {
        match self.known {
            Known::Nothing => true,
            Known::BaseOffset(base) => base == header.base_offset,
            Known::LastOffset(last) => last == header.last_offset(),
        }
    }
}

/// How thoroughly a scan looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Check {
    /// Verify the CRC of batches that end at this offset or after.
    pub(crate) crc_from: i64,
    /// Stop after the batch that ends at or past this offset.
    pub(crate) stop_at: i64,
}

impl Check {
    /// Verify every batch.
    pub(crate) const ALL: Self = Self {
        crc_from: i64::MIN,
        stop_at: i64::MAX,
    };

    /// Look at headers only, to the end.
    pub(crate) const HEADERS: Self = Self {
        crc_from: i64::MAX,
        stop_at: i64::MAX,
    };
}

/// What a scan of a segment found.
#[derive(Debug)]
pub(crate) struct SegmentScan {
    pub(crate) index: SegmentIndex,
    /// End of the last valid batch, in bytes.
    pub(crate) end: u64,
    /// Offset after the last valid batch.
    pub(crate) next_offset: i64,
    /// Why the scan stopped at `end`, if it is not the end of the file.
    pub(crate) invalid: Option<String>,
    /// The index entries that were given match the batches.
    pub(crate) consistent: bool,
}

impl SegmentIndex {
    /// The newest timestamp, with the last offset of the first batch that has it.
    pub(crate) fn largest(&self) -> Option<TimeEntry> {
        self.largest
    }

    /// Where the batch of the last offset entry starts. The time entries know the newest timestamp
    /// up to there; of later batches it is known from their headers only.
    pub(crate) fn last_position(&self) -> u64 {
        let last = self.offset.last();
        last.map_or(0, |entry| u64::from(entry.position))
    }

    /// The last time entry older than `timestamp`.
    pub(crate) fn time_before(&self, timestamp: i64) -> Option<TimeEntry> {
        self.time.lookup_before(timestamp)
    }

    /// The last time entry of a batch that ends below `relative_offset`.
    pub(crate) fn time_below(&self, relative_offset: i64) -> Option<TimeEntry> {
        self.time.lookup_below(relative_offset)
    }

    /// Adds the next batch of a segment that starts at `base_offset`.
    pub(crate) fn add(&mut self, base_offset: i64, batch: Batch, interval: u32) {
        let Some(relative_offset) = relative(base_offset, batch.header.last_offset()) else {
            return;
        };
        self.see_timestamp(&batch.header, relative_offset);
        if self.bytes_since_entry > u64::from(interval) {
            if let Ok(position) = u32::try_from(batch.position) {
                self.offset.push(OffsetEntry {
                    relative_offset,
                    position,
                });
            }
            if let Some(largest) = self.largest {
                self.time.push(largest);
            }
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += as_u64(batch.header.size());
    }

    fn see_timestamp(&mut self, header: &BatchHeader, relative_offset: u32) {
        let timestamp = header.max_timestamp;
        // Negative means that there is none; what compaction has emptied has that of no record.
        if timestamp >= 0
            && header.record_count > 0
            && self
                .largest
                .is_none_or(|largest| timestamp > largest.timestamp)
        {
            self.largest = Some(TimeEntry {
                timestamp,
                relative_offset,
            });
        }
    }

    /// Keeps the exact position of a batch that was just appended.
    pub(crate) fn remember(&mut self, base_offset: i64, position: u64) {
        if self.recent.len() >= RECENT_BATCHES {
            self.recent.pop_front();
        }
        self.recent.push_back((base_offset, position));
    }

    /// The closest known start of a batch at or before offset `from`.
    pub(crate) fn floor(&self, base_offset: i64, from: i64) -> Floor {
        let above = self.recent.partition_point(|(base, _)| *base <= from);
        if let Some((base, position)) = above.checked_sub(1).and_then(|at| self.recent.get(at)) {
            return Floor {
                position: *position,
                known: Known::BaseOffset(*base),
            };
        }
        let from = from.saturating_sub(base_offset);
        let relative_offset = u32::try_from(from.max(0)).unwrap_or(u32::MAX);
        match self.offset.lookup(relative_offset) {
            Some(entry) => Floor {
                position: u64::from(entry.position),
                known: Known::LastOffset(base_offset + i64::from(entry.relative_offset)),
            },
            None => Floor {
                position: 0,
                known: Known::Nothing,
            },
        }
    }

    /// The index in the files of `segment`, with entries of its first `trusted` offsets only;
    /// `None` when it is not there or cannot be right.
    pub(super) fn read(home: &SegmentHome, segment: &Segment, trusted: i64) -> Option<Self> {
        let base = segment.base_offset();
        // An index that cannot be read is as good as none.
        let offset = read_file(&*home.disk, &offset_index_file(&home.dir, base));
        let time = read_file(&*home.disk, &time_index_file(&home.dir, base));
        let (Ok(Some(offset)), Ok(Some(time))) = (offset, time) else {
            return None;
        };
        let offsets = segment.next_offset().saturating_sub(base);
        let parsed = (
            OffsetIndex::parse_within(&offset, segment.size(), offsets),
            TimeIndex::parse(&time, offsets),
        );
        let (Some(mut offset), Some(mut time)) = parsed else {
            return None;
        };
        let written = (offset.len(), time.len());
        offset.truncate(trusted);
        time.truncate(trusted);
        // Entries behind the trusted ones are written again.
        let written = if written == (offset.len(), time.len()) {
            written
        } else {
            (0, 0)
        };
        Some(Self {
            offset,
            time,
            written,
            ..Self::default()
        })
    }

    /// Completes the index from the batches. Starts at the batch of the last time entry, because
    /// newer timestamps than that one are known from the batches only.
    pub(super) fn complete(
        mut self,
        file: &Arc<dyn DiskFile>,
        base_offset: i64,
        size: u64,
        interval: u32,
        check: &Check,
    ) -> io::Result<SegmentScan> {
        let last_entry = self.offset.last();
        let last_time = self.time.last();
        let start = last_time
            .and_then(|time| self.offset.lookup(time.relative_offset))
            .map(|entry| {
                let last_offset = base_offset + i64::from(entry.relative_offset);
                (u64::from(entry.position), last_offset)
            });
        let start_position = start.map_or(0, |(position, _)| position);
        let first_offset = start.is_none().then_some(base_offset);
        let positions = start_position..size;
        let mut scanner = Scanner::new(Arc::clone(file), positions, first_offset, SCAN_WINDOW);
        let (mut end, mut next_offset) = (start_position, base_offset);
        let mut invalid = None;
        let mut consistent = true;
        let mut time_seen = last_time.is_none();
        while next_offset < check.stop_at {
            let batch = match scanner.next_batch().and_then(|batch| {
                match batch.filter(|batch| batch.header.last_offset() >= check.crc_from) {
                    Some(found) => scanner.verify(&found).map(|()| batch),
                    None => Ok(batch),
                }
            }) {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(ScanError::Disk(error)) => return Err(error),
                Err(ScanError::Invalid { reason, .. }) => {
                    invalid = Some(reason);
                    break;
                }
            };
            let header = &batch.header;
            if let Some((_, last_offset)) = start.filter(|_| end == start_position) {
                consistent &= header.last_offset() == last_offset;
            }
            if let Some(time) = last_time.filter(|time| {
                header.last_offset() == base_offset + i64::from(time.relative_offset)
            }) {
                time_seen = header.max_timestamp == time.timestamp;
            }
            self.take_in(base_offset, batch, last_entry, interval);
            end = batch.end();
            next_offset = header.next_offset();
        }
        consistent &= time_seen;
        Ok(SegmentScan {
            index: self,
            end,
            next_offset,
            invalid,
            consistent,
        })
    }

    /// Adds a batch unless `last_entry` shows that it is indexed already.
    fn take_in(
        &mut self,
        base_offset: i64,
        batch: Batch,
        last_entry: Option<OffsetEntry>,
        interval: u32,
    ) {
        match last_entry.map(|entry| u64::from(entry.position)) {
            Some(indexed) if batch.position <= indexed => {
                let last_offset = batch.header.last_offset();
                if let Some(relative_offset) = relative(base_offset, last_offset) {
                    self.see_timestamp(&batch.header, relative_offset);
                }
                self.bytes_since_entry = as_u64(batch.header.size());
            }
            _ => self.add(base_offset, batch, interval),
        }
    }

    /// Writes the entries that are not in their files yet.
    pub(super) fn write(
        &mut self,
        home: &SegmentHome,
        base_offset: i64,
        seal: bool,
    ) -> io::Result<()> {
        if let Some(largest) = self.largest.filter(|_| seal) {
            self.time.push(largest);
        }
        let (offset_written, time_written) = self.written;
        write_file(
            home,
            &offset_index_file(&home.dir, base_offset),
            OffsetIndex::file_position(offset_written),
            &self.offset.to_bytes(offset_written),
        )?;
        write_file(
            home,
            &time_index_file(&home.dir, base_offset),
            TimeIndex::file_position(time_written),
            &self.time.to_bytes(time_written),
        )?;
        self.written = (self.offset.len(), self.time.len());
        Ok(())
    }
}

/// Makes the file end with `bytes` at `position`.
fn write_file(home: &SegmentHome, path: &Path, position: u64, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() && position > 0 {
        return Ok(());
    }
    let file = home.disk.open(path, OpenMode::Any)?;
    if file.size()? != position {
        file.truncate(position)?;
    }
    file.write_at(position, &[IoSlice::new(bytes)])
}

/// `offset` relative to `base_offset`, as the indexes store it.
fn relative(base_offset: i64, offset: i64) -> Option<u32> {
    u32::try_from(offset.checked_sub(base_offset)?).ok()
}
