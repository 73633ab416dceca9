//! Goes through a segment and tells intact batches, those whose head can be mended, and what is lost.
//!
//! The CRC of a batch does not cover the first 21 bytes of its head; what they must be follows from
//! what is in front of it, so that damage there loses nothing.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use ottla_protocol::record::{BatchHeader, HEADER_LEN};

use crate::disk::DiskFile;
use crate::leader_epochs::LeaderEpochs;
use crate::log::find_intact_batch;
use crate::segment::{as_u64, check_header};

/// Bytes in front of what the CRC covers: base offset, length, leader epoch, magic, CRC.
const UNCOVERED: usize = 21;
const LENGTH_AT: usize = 8;
const EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;

/// A part of a segment, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A batch as it was written.
    Intact {
        /// Where.
        bytes: Range<u64>,
        header: BatchHeader,
    },
    /// A batch whose records are intact, with the head that it must have.
    Mended {
        /// Where.
        bytes: Range<u64>,
        header: BatchHeader,
        reason: String,
    },
    /// Bytes, none when there are none, that are not the batches of these offsets.
    Lost {
        bytes: Range<u64>,
        offsets: Range<i64>,
        reason: String,
    },
}

impl Piece {
    pub(crate) fn lost(bytes: Range<u64>, offsets: Range<i64>, reason: &str) -> Self {
        Self::Lost {
            bytes,
            offsets,
            reason: reason.to_owned(),
        }
    }

    pub(crate) fn offsets(&self) -> Range<i64> {
        match self {
            Self::Intact { header, .. } | Self::Mended { header, .. } => {
                header.base_offset..header.next_offset()
            }
            Self::Lost { offsets, .. } => offsets.clone(),
        }
    }
}

/// Adds the pieces of a segment of `size` bytes that begins with offset `base`, and ends with
/// `next_base` if another follows. Answers the offset behind.
pub(crate) fn survey(
    file: &dyn DiskFile,
    size: u64,
    base: i64,
    next_base: Option<i64>,
    epochs: Option<&LeaderEpochs>,
    pieces: &mut Vec<Piece>,
) -> io::Result<i64> {
    let (mut at, mut next) = (0, base);
    while at < size {
        let epoch = epochs.and_then(|epochs| epochs.span(next));
        let epoch = epoch.map(|(epoch, _)| epoch);
        let reason = match intact(file, at..size, next, epoch)? {
            Ok(header) => {
                let bytes = at..at + as_u64(header.size());
                at = bytes.end;
                next = header.next_offset();
                pieces.push(Piece::Intact { bytes, header });
                continue;
            }
            Err(reason) => reason,
        };
        if let Some(header) = mend(file, at..size, next, epoch)? {
            let bytes = at..at + as_u64(header.size());
            at = bytes.end;
            next = header.next_offset();
            pieces.push(Piece::Mended {
                bytes,
                header,
                reason,
            });
            continue;
        }
        let behind = find_intact_batch(file, at + 1..size, next)?
            .filter(|batch| next_base.is_none_or(|end| batch.header.base_offset < end));
        let (until, offset) = match behind {
            Some(batch) => (batch.position, batch.header.base_offset),
            None => (size, next_base.unwrap_or(next).max(next)),
        };
        pieces.push(Piece::lost(at..until, next..offset, &reason));
        (at, next) = (until, offset);
    }
    if let Some(end) = next_base.filter(|end| *end > next) {
        pieces.push(Piece::lost(at..at, next..end, "the segment ends before"));
        next = end;
    }
    Ok(next)
}

/// The batch at the start of a range, or why it is not the next one.
fn intact(
    file: &dyn DiskFile,
    range: Range<u64>,
    next: i64,
    epoch: Option<i32>,
) -> io::Result<Result<BatchHeader, String>> {
    let room = range.end - range.start;
    if room < as_u64(HEADER_LEN) {
        return Ok(Err("a batch header is cut off".to_owned()));
    }
    let head = file.read_at(range.start, HEADER_LEN)?;
    let header = match BatchHeader::decode(&head) {
        Ok(header) => header,
        Err(error) => return Ok(Err(error.to_string())),
    };
    if let Err(reason) = check_header(&header, Some(next), room) {
        return Ok(Err(reason.to_owned()));
    }
    if epoch.is_some_and(|epoch| epoch != header.partition_leader_epoch) {
        return Ok(Err("the leader epoch is not that of the offset".to_owned()));
    }
    let batch = file.read_at(range.start, header.size())?;
    Ok(match header.verify_crc(&batch) {
        Ok(()) => Ok(header),
        Err(error) => Err(error.to_string()),
    })
}

/// The head that the batch at the start of a range must have, if its records are intact: with the
/// next offset and its epoch, and with a length or a CRC that is at most one bit away.
fn mend(
    file: &dyn DiskFile,
    range: Range<u64>,
    next: i64,
    epoch: Option<i32>,
) -> io::Result<Option<BatchHeader>> {
    let room = range.end - range.start;
    if room < as_u64(HEADER_LEN) {
        return Ok(None);
    }
    let mut head = file.read_at(range.start, HEADER_LEN)?.to_vec();
    let put = |head: &mut Vec<u8>, at: usize, bytes: &[u8]| {
        if let Some(to) = head.get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    };
    put(&mut head, 0, &next.to_be_bytes());
    put(&mut head, MAGIC_AT, &[2]);
    if let Some(epoch) = epoch {
        put(&mut head, EPOCH_AT, &epoch.to_be_bytes());
    }
    let flipped = |at: usize, bit: usize| {
        let mut head = head.clone();
        if let Some(byte) = head.get_mut(at + bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        head
    };
    let lengths = (0..32).map(|bit| flipped(LENGTH_AT, bit));
    let sums = (0..32).map(|bit| flipped(CRC_AT, bit));
    for head in std::iter::once(head.clone()).chain(lengths).chain(sums) {
        let Ok(header) = BatchHeader::decode(&head) else {
            continue;
        };
        if check_header(&header, Some(next), room).is_err() {
            continue;
        }
        let found = file.read_at(range.start, header.size())?;
        if header.verify_crc(&with_head(&head, &found)).is_ok() {
            return Ok(Some(header));
        }
    }
    Ok(None)
}

/// A batch with another head, as far as the CRC does not cover it.
fn with_head(head: &[u8], batch: &Bytes) -> Vec<u8> {
    let mut mended = batch.to_vec();
    if let (Some(to), Some(from)) = (mended.get_mut(..UNCOVERED), head.get(..UNCOVERED)) {
        to.copy_from_slice(from);
    }
    mended
}
