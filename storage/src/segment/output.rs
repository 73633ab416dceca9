//! The file that compaction writes: what is left of a run of segments.
//!
//! Shell. Offsets stay dense (L2): where nothing is left, an empty batch stands for the gap, so that
//! readers and recovery notice what is missing here as everywhere else.

use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::record::{Attributes, BatchHeader, HEADER_LEN};

use super::index::SegmentIndex;
use super::scan::Batch;
use super::{Segment, SegmentHome, as_u64};
use crate::disk::{DiskFile, OpenMode};
use crate::index::AbortedTransaction;
use crate::layout::{swap_file, temporary_file};

/// Bytes gathered before they are written.
const WRITE_WINDOW: usize = 1 << 20;

/// Offsets of which nothing is left.
#[derive(Debug, Clone, Copy)]
struct Gap {
    base_offset: i64,
    next_offset: i64,
    leader_epoch: i32,
}

impl Gap {
    /// The empty batch that stands for it.
    fn batch(self) -> BatchHeader {
        let length = i32::try_from(HEADER_LEN).unwrap_or(i32::MAX);
        let delta = self.next_offset - 1 - self.base_offset;
        let mut header = BatchHeader {
            base_offset: self.base_offset,
            batch_length: length.saturating_sub(12),
            partition_leader_epoch: self.leader_epoch,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: i32::try_from(delta).unwrap_or(i32::MAX),
            base_timestamp: -1,
            max_timestamp: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 0,
        };
        header.crc = header.compute_crc(&[]);
        header
    }
}

/// See the module. The file goes when this is dropped before it was committed.
pub(crate) struct SegmentOutput {
    home: SegmentHome,
    base_offset: i64,
    end_offset: i64,
    temporary: PathBuf,
    file: Arc<dyn DiskFile>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    /// Bytes in the file and gathered.
    size: u64,
    index: SegmentIndex,
    aborted: Vec<AbortedTransaction>,
    gap: Option<Gap>,
    committed: bool,
}

impl SegmentOutput {
    /// A new file for the segments from `base_offset` to below `end_offset`.
    pub(crate) fn create(home: SegmentHome, base_offset: i64, end_offset: i64) -> io::Result<Self> {
        let temporary = temporary_file(&swap_file(&home.dir, base_offset, end_offset));
        let file = home.disk.open(&temporary, OpenMode::Any)?;
        let output = Self {
            home,
            base_offset,
            end_offset,
            temporary,
            file,
            gathered: Vec::new(),
            gathered_bytes: 0,
            size: 0,
            index: SegmentIndex::default(),
            aborted: Vec::new(),
            gap: None,
            committed: false,
        };
        output.file.truncate(0)?;
        Ok(output)
    }

    pub(crate) fn base_offset(&self) -> i64 {
        self.base_offset
    }

    pub(crate) fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Bytes of the batches so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds a batch that stays, whose head is `header`. Answers the bytes written meanwhile.
    pub(crate) fn keep(&mut self, header: &BatchHeader, batch: Bytes) -> io::Result<u64> {
        self.close_gap();
        self.add(header, batch);
        if self.gathered_bytes < WRITE_WINDOW {
            return Ok(0);
        }
        self.write()
    }

    /// Notes that nothing is left of a batch.
    pub(crate) fn leave_out(&mut self, header: &BatchHeader) {
        let gap = Gap {
            base_offset: header.base_offset,
            next_offset: header.next_offset(),
            leader_epoch: header.partition_leader_epoch,
        };
        match &mut self.gap {
            Some(open) if open.leader_epoch == gap.leader_epoch => {
                open.next_offset = gap.next_offset;
            }
            _ => {
                self.close_gap();
                self.gap = Some(gap);
            }
        }
    }

    /// Adds to the index of aborted transactions.
    pub(crate) fn add_aborted(&mut self, entry: AbortedTransaction) {
        self.aborted.push(entry);
    }

    /// Writes what is gathered and brings all of it to disk. Answers the bytes written.
    pub(crate) fn finish(&mut self) -> io::Result<u64> {
        self.close_gap();
        let written = self.write()?;
        self.file.sync()?;
        Ok(written)
    }

    /// Gives the file, which must be finished, the name by which a start knows it. If this fails,
    /// a later start may find that name or not.
    pub(crate) fn commit(&mut self) -> io::Result<()> {
        let swap = swap_file(&self.home.dir, self.base_offset, self.end_offset);
        self.home.disk.rename(&self.temporary, &swap)?;
        self.committed = true;
        self.home.disk.sync_dir(&self.home.dir)
    }

    /// The segment that the file has become.
    pub(crate) fn into_segment(mut self) -> Segment {
        let segment = Segment::new(
            self.home.clone(),
            self.base_offset,
            self.size,
            self.end_offset,
            Some(std::mem::take(&mut self.index)),
        );
        for entry in self.aborted.drain(..) {
            segment.add_aborted(entry);
        }
        segment
    }

    fn close_gap(&mut self) {
        if let Some(gap) = self.gap.take() {
            let header = gap.batch();
            self.add(&header, Bytes::copy_from_slice(&header.encode()));
        }
    }

    fn add(&mut self, header: &BatchHeader, batch: Bytes) {
        let placed = Batch {
            position: self.size,
            header: *header,
        };
        let interval = self.home.index_interval_bytes;
        self.index.add(self.base_offset, placed, interval);
        self.size += as_u64(batch.len());
        self.gathered_bytes += batch.len();
        self.gathered.push(batch);
    }

    fn write(&mut self) -> io::Result<u64> {
        let parts: Vec<IoSlice<'_>> = self
            .gathered
            .iter()
            .map(|part| IoSlice::new(part))
            .collect();
        let bytes = as_u64(self.gathered_bytes);
        self.file.write_at(self.size - bytes, &parts)?;
        self.gathered.clear();
        self.gathered_bytes = 0;
        Ok(bytes)
    }
}

impl Drop for SegmentOutput {
    fn drop(&mut self) {
        if !self.committed {
            // What stays goes at the next start.
            let _ = self.home.disk.remove(&self.temporary);
        }
    }
}
