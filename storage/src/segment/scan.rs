//! Going from batch to batch by their headers.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::record::{BatchHeader, HEADER_LEN};

use super::as_u64;
use crate::disk::DiskFile;

/// A batch and where it starts in its segment's file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) position: u64,
    pub(crate) header: BatchHeader,
}

impl Batch {
    /// Where the next batch starts.
    pub(crate) fn end(&self) -> u64 {
        self.position.saturating_add(as_u64(self.header.size()))
    }
}

/// Why a scan stopped before its end.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// The disk could not read.
    Disk(io::Error),
    /// What is there is not the next batch.
    Invalid {
        /// Where.
        position: u64,
        /// Why not.
        reason: String,
    },
}

impl ScanError {
    pub(crate) fn invalid(position: u64, reason: impl ToString) -> Self {
        Self::Invalid {
            position,
            reason: reason.to_string(),
        }
    }
}

/// Whether a batch with this head can follow one that ended before `next_offset`, with `room`
/// bytes left; `None` where the batch in front is not known. The CRC does not cover the first 21
/// bytes, so this is all that guards them: offsets are dense (L2).
pub(crate) fn check_header(
    header: &BatchHeader,
    next_offset: Option<i64>,
    room: u64,
) -> Result<(), &'static str> {
    if as_u64(header.size()) > room {
        Err("the batch is longer than what is left")
    } else if header.last_offset_delta < 0 || header.last_offset() == i64::MAX {
        Err("the last offset of the batch is not valid")
    } else if next_offset.is_some_and(|next_offset| header.base_offset != next_offset) {
        Err("the offsets do not follow")
    } else {
        Ok(())
    }
}

/// Reads headers from one position to another, in windows.
pub(crate) struct Scanner {
    file: Arc<dyn DiskFile>,
    position: u64,
    limit: u64,
    next_offset: Option<i64>,
    window: Bytes,
    window_start: u64,
    window_len: usize,
}

impl Scanner {
    /// A scanner of the batches at `positions`; the first starts with `next_offset`, if known.
    pub(crate) fn new(
        file: Arc<dyn DiskFile>,
        positions: Range<u64>,
        next_offset: Option<i64>,
        window_len: usize,
    ) -> Self {
        Self {
            file,
            position: positions.start,
            limit: positions.end,
            next_offset,
            window: Bytes::new(),
            window_start: positions.start,
            window_len,
        }
    }

    /// The next batch, or `None` at the end.
    pub(crate) fn next_batch(&mut self) -> Result<Option<Batch>, ScanError> {
        let room = self.limit.saturating_sub(self.position);
        if room == 0 {
            return Ok(None);
        }
        if room < as_u64(HEADER_LEN) {
            return Err(ScanError::invalid(
                self.position,
                "a batch header is cut off",
            ));
        }
        let head = self.bytes(self.position, HEADER_LEN)?;
        let header =
            BatchHeader::decode(&head).map_err(|error| ScanError::invalid(self.position, error))?;
        check_header(&header, self.next_offset, room)
            .map_err(|reason| ScanError::invalid(self.position, reason))?;
        let batch = Batch {
            position: self.position,
            header,
        };
        self.position = batch.end();
        self.next_offset = Some(header.next_offset());
        Ok(Some(batch))
    }

    /// Checks the CRC of a batch that this scanner has found.
    pub(crate) fn verify(&mut self, batch: &Batch) -> Result<(), ScanError> {
        let bytes = self.bytes(batch.position, batch.header.size())?;
        batch
            .header
            .verify_crc(&bytes)
            .map_err(|error| ScanError::invalid(batch.position, error))
    }

    /// The bytes of a batch that this scanner has found.
    pub(crate) fn read(&mut self, batch: &Batch) -> Result<Bytes, ScanError> {
        self.bytes(batch.position, batch.header.size())
    }

    /// `len` bytes at `at`, from the window if they are in it.
    fn bytes(&mut self, at: u64, len: usize) -> Result<Bytes, ScanError> {
        if let Some(bytes) = self.in_window(at, len) {
            return Ok(bytes);
        }
        let room = self.limit.saturating_sub(at);
        let window = self.window_len.max(len);
        let window = usize::try_from(room).map_or(window, |room| room.min(window));
        self.window = self.file.read_at(at, window).map_err(ScanError::Disk)?;
        self.window_start = at;
        self.in_window(at, len)
            .ok_or_else(|| ScanError::invalid(at, "the batch is longer than what is left"))
    }

    fn in_window(&self, at: u64, len: usize) -> Option<Bytes> {
        let start = usize::try_from(at.checked_sub(self.window_start)?).ok()?;
        let end = start.checked_add(len)?;
        (end <= self.window.len()).then(|| self.window.slice(start..end))
    }
}
