//! One file in memory: frozen pieces that readers share, and a tail that grows.
//!
//! What readers have is never touched again: a piece is cut by making a shorter view of it.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;

use crate::disk::DiskFile;

/// The smallest and the largest allocation for a tail; in between it grows with the file.
const SMALLEST_BLOCK: u64 = 4 << 10;
const LARGEST_BLOCK: u64 = 4 << 20;
/// A tail shorter than this is copied for its readers and not frozen, so that a file read after
/// each small append does not fall into crumbs.
const SMALLEST_PIECE: usize = 4 << 10;
/// Zeros written at once to fill a gap.
const ZEROS: &[u8] = &[0; 4 << 10];

/// The room that all files of a disk share.
pub(super) struct Space {
    capacity: AtomicU64,
    used: AtomicU64,
}

impl Space {
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            capacity: AtomicU64::new(capacity),
            used: AtomicU64::new(0),
        }
    }

    pub(super) fn set_capacity(&self, bytes: u64) {
        self.capacity.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        let capacity = self.capacity.load(Ordering::Relaxed);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|used| *used <= capacity)
            })
            .map(|_| ())
            .map_err(|_| io::ErrorKind::StorageFull.into())
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

pub(super) struct MemoryFile {
    content: Mutex<Content>,
    space: Arc<Space>,
}

#[derive(Default)]
struct Content {
    /// Frozen pieces with the offset of their first byte, ascending and without gaps.
    pieces: Vec<(u64, Bytes)>,
    /// Where the tail starts: the end of the last piece.
    tail_start: u64,
    tail: BytesMut,
    /// Room taken from the disk: the larger of length and reservation.
    charged: u64,
}

impl MemoryFile {
    pub(super) fn new(space: Arc<Space>) -> Self {
        Self {
            content: Mutex::default(),
            space,
        }
    }

    /// Takes room up to `len` bytes for this file.
    fn charge(&self, content: &mut Content, len: u64) -> io::Result<()> {
        if len > content.charged {
            self.space.take(len - content.charged)?;
            content.charged = len;
        }
        Ok(())
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        self.space.give_back(self.content.get_mut().charged);
    }
}

impl DiskFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.content.lock().size())
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let len: u64 = parts.iter().map(|part| as_u64(part.len())).sum();
        let end = offset.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
        let mut content = self.content.lock();
        let size = content.size();
        let new_size = size.max(end);
        self.charge(&mut content, new_size)?;
        if offset > size {
            content.extend_with_zeros(offset);
        }
        let behind = content.split_behind(offset, end.min(size));
        content.make_room(len);
        for part in parts {
            content.push(part);
        }
        for piece in behind {
            content.push_piece(piece);
        }
        Ok(())
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let end = offset
            .checked_add(as_u64(len))
            .ok_or(io::ErrorKind::InvalidInput)?;
        let mut content = self.content.lock();
        if end > content.size() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if end > content.tail_start && content.tail.len() >= SMALLEST_PIECE {
            content.freeze_tail();
        }
        Ok(content.read(offset, len))
    }

    fn is_resident(&self, _offset: u64, _len: usize) -> bool {
        true
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.charge(&mut self.content.lock(), len)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut content = self.content.lock();
        let size = content.size();
        if len > size {
            self.charge(&mut content, len)?;
            content.extend_with_zeros(len);
        } else {
            drop(content.split_behind(len, size));
        }
        self.space.give_back(content.charged.saturating_sub(len));
        content.charged = len;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Content {
    fn size(&self) -> u64 {
        self.tail_start + as_u64(self.tail.len())
    }

    /// Appends a copy of `bytes`.
    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.make_room(1);
            let room = self.tail.capacity() - self.tail.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.tail.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Gives the tail room for `len` bytes more, or for a whole block if that is less: what is
    /// written at once lies in one piece then, and is read without copying it together.
    fn make_room(&mut self, len: u64) {
        let len = len.min(LARGEST_BLOCK);
        if as_u64(self.tail.capacity() - self.tail.len()) < len {
            self.freeze_tail();
            let grown = self.tail_start.clamp(SMALLEST_BLOCK, LARGEST_BLOCK);
            let block = usize::try_from(grown.max(len)).unwrap_or(usize::MAX);
            self.tail = BytesMut::with_capacity(block);
        }
    }

    /// Appends a piece without copying it.
    fn push_piece(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        self.freeze_tail();
        let start = self.tail_start;
        self.tail_start += as_u64(piece.len());
        self.pieces.push((start, piece));
    }

    /// Turns what the tail holds into a piece; the tail keeps the room behind it.
    fn freeze_tail(&mut self) {
        if !self.tail.is_empty() {
            let piece = self.tail.split().freeze();
            let start = self.tail_start;
            self.tail_start += as_u64(piece.len());
            self.pieces.push((start, piece));
        }
    }

    fn extend_with_zeros(&mut self, len: u64) {
        while self.size() < len {
            let missing = usize::try_from(len - self.size()).unwrap_or(usize::MAX);
            self.push(ZEROS.get(..missing).unwrap_or(ZEROS));
        }
    }

    /// Cuts the file at `cut` and answers what lay from `keep` on.
    fn split_behind(&mut self, cut: u64, keep: u64) -> Vec<Bytes> {
        let mut behind = Vec::new();
        if cut >= self.size() {
            return behind;
        }
        if cut >= self.tail_start && keep >= self.size() {
            let len = usize::try_from(cut - self.tail_start).unwrap_or(usize::MAX);
            self.tail.truncate(len);
            return behind;
        }
        self.freeze_tail();
        let first = self
            .pieces
            .partition_point(|(at, piece)| at + as_u64(piece.len()) <= cut);
        let mut kept_head = None;
        for (at, piece) in self.pieces.drain(first..) {
            let mut tail = piece.clone();
            tail.advance(clamp_index(keep, at, piece.len()));
            if !tail.is_empty() {
                behind.push(tail);
            }
            if at < cut {
                kept_head = Some((at, piece.slice(..clamp_index(cut, at, piece.len()))));
            }
        }
        self.pieces.extend(kept_head);
        self.tail_start = cut;
        // The room behind the tail is not behind the cut any more.
        self.tail = BytesMut::new();
        behind
    }

    /// A range that the file has: shared when it lies in one piece, else copied.
    fn read(&self, offset: u64, len: usize) -> Bytes {
        let first = self
            .pieces
            .partition_point(|(at, piece)| at + as_u64(piece.len()) <= offset);
        let mut copied = BytesMut::new();
        let mut at = offset;
        for (start, piece) in self.pieces.iter().skip(first) {
            let from = clamp_index(at, *start, piece.len());
            let to = clamp_index(offset + as_u64(len), *start, piece.len());
            if to - from == len {
                return piece.slice(from..to);
            }
            if from == to {
                break;
            }
            if copied.is_empty() {
                copied.reserve(len);
            }
            copied.extend_from_slice(piece.get(from..to).unwrap_or_default());
            at += as_u64(to - from);
        }
        let from = clamp_index(at, self.tail_start, self.tail.len());
        let to = clamp_index(offset + as_u64(len), self.tail_start, self.tail.len());
        copied.extend_from_slice(self.tail.get(from..to).unwrap_or_default());
        copied.freeze()
    }
}

/// `offset` as an index into the `len` bytes that start at `start`.
fn clamp_index(offset: u64, start: u64, len: usize) -> usize {
    usize::try_from(offset.saturating_sub(start)).map_or(len, |index| index.min(len))
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
