//! One segment of a log: a file of record batches and its indexes.
//!
//! Shell. The file and, once sealed, the indexes are opened on demand and can be released. What a
//! reader does holds no lock while it touches data.

mod aborted;
mod index;
mod output;
mod read;
mod scan;
pub(crate) mod swap;
mod warm;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use ottla_protocol::record::{BatchHeader, RecordError};
use parking_lot::{Mutex, RwLock};

use self::aborted::AbortedIndex;
pub(crate) use self::aborted::{AbortedSummary, write_all as write_aborted};
pub(crate) use self::index::{Check, SegmentIndex, SegmentScan};
pub(crate) use self::output::SegmentOutput;
pub(crate) use self::scan::{Batch, ScanError, Scanner, check_header};
pub(crate) use self::warm::WarmSegments;
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::error::ReadError;
use crate::index::TimeEntry;
use crate::layout::{log_file, offset_index_file, time_index_file, transaction_index_file};

/// Bytes read at once while looking for a batch.
const LOOKUP_WINDOW: usize = 4 << 10;
/// Bytes read at once while going through a whole segment.
const SCAN_WINDOW: usize = 1 << 20;

/// Where a segment lives and how densely it is indexed.
#[derive(Clone)]
pub(crate) struct SegmentHome {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: Arc<Path>,
    pub(crate) index_interval_bytes: u32,
}

/// A run of batches in one file. Only the last segment of a log grows.
pub(crate) struct Segment {
    home: SegmentHome,
    base_offset: i64,
    /// Bytes of whole batches. Grows after they are written and indexed.
    size: AtomicU64,
    /// No batch of this segment has this offset or a later one.
    next_offset: AtomicI64,
    file: Mutex<Option<Arc<dyn DiskFile>>>,
    /// `None` while nobody needs it; always there for the active segment.
    index: RwLock<Option<SegmentIndex>>,
    /// The index ends before the segment must: something in it is damaged or missing.
    is_damaged: AtomicBool,
    /// Transactions whose abort markers are in this segment.
    aborted: RwLock<AbortedIndex>,
    /// The newest timestamp, while the index is not in memory; known once it was.
    known_largest: Mutex<Option<Option<TimeEntry>>>,
    /// Its files are about to go: what is in memory stays there.
    pinned: AtomicBool,
}

impl Segment {
    /// A segment with `size` valid bytes on the disk.
    pub(crate) fn new(
        home: SegmentHome,
        base_offset: i64,
        size: u64,
        next_offset: i64,
        index: Option<SegmentIndex>,
    ) -> Self {
        Self {
            home,
            base_offset,
            size: AtomicU64::new(size),
            next_offset: AtomicI64::new(next_offset),
            file: Mutex::new(None),
            index: RwLock::new(index),
            is_damaged: AtomicBool::new(false),
            aborted: RwLock::default(),
            known_largest: Mutex::new(None),
            pinned: AtomicBool::new(false),
        }
    }

    /// An empty segment with a new file, and the file.
    ///
    /// # Errors
    /// `AlreadyExists` when there is a file with something in it.
    pub(crate) fn create(home: SegmentHome, base_offset: i64) -> io::Result<Self> {
        let path = log_file(&home.dir, base_offset);
        // A file that is left behind by a failure would claim later offsets at the next start, so
        // nothing may fail once it is there.
        let file = match home.disk.open(&path, OpenMode::New) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = home.disk.open(&path, OpenMode::Existing)?;
                if file.size()? > 0 {
                    return Err(error);
                }
                file
            }
            file => file?,
        };
        let segment = Self::new(
            home,
            base_offset,
            0,
            base_offset,
            Some(SegmentIndex::default()),
        );
        *segment.file.lock() = Some(file);
        Ok(segment)
    }

    pub(crate) fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// Bytes of whole batches.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// No batch of this segment has this offset or a later one.
    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset.load(Ordering::Acquire)
    }

    /// The file of batches, opened if it is not.
    ///
    /// # Errors
    /// As the disk; `NotFound` when retention has removed it.
    pub(crate) fn file(&self) -> io::Result<Arc<dyn DiskFile>> {
        let mut file = self.file.lock();
        if let Some(file) = &*file {
            return Ok(Arc::clone(file));
        }
        let path = log_file(&self.home.dir, self.base_offset);
        let opened = self.home.disk.open(&path, OpenMode::Existing)?;
        *file = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Makes the segment readable for as long as it is in memory, whatever becomes of its files.
    ///
    /// # Errors
    /// As the disk, or when the batches cannot be read.
    pub(crate) fn pin(&self) -> Result<(), ReadError> {
        self.pinned.store(true, Ordering::Release);
        self.file()?;
        self.load_aborted()?;
        self.with_index(|_| ())
    }

    /// Closes the file and forgets the index; for sealed segments.
    pub(crate) fn release(&self) {
        if self.pinned.load(Ordering::Acquire) {
            return;
        }
        *self.file.lock() = None;
        // In a volatile disk the index is nowhere else.
        if !self.home.disk.is_volatile() {
            if let Some(index) = self.index.write().take() {
                *self.known_largest.lock() = Some(index.largest());
            }
            self.release_aborted();
        }
    }

    /// Takes in a batch that was written at the end.
    pub(crate) fn appended(&self, header: &BatchHeader) {
        let mut index = self.index.write();
        let position = self.size();
        let index = index.get_or_insert_default();
        index.add(
            self.base_offset,
            Batch {
                position,
                header: *header,
            },
            self.home.index_interval_bytes,
        );
        index.remember(header.base_offset, position);
        self.next_offset
            .store(header.next_offset(), Ordering::Release);
        // Last, and under the lock: a rebuild in between must not miss the batch.
        self.size
            .store(position + as_u64(header.size()), Ordering::Release);
    }

    /// Whether the index is in memory.
    pub(crate) fn has_index(&self) -> bool {
        self.index.read().is_some()
    }

    /// Answers from the index, which is loaded or rebuilt if need be.
    pub(crate) fn with_index<R>(
        &self,
        answer: impl FnOnce(&SegmentIndex) -> R,
    ) -> Result<R, ReadError> {
        if let Some(index) = &*self.index.read() {
            return Ok(answer(index));
        }
        let mut index = self.index.write();
        if index.is_none() {
            *index = Some(self.judge(self.load_index()?));
        }
        Ok(answer(index.get_or_insert_default()))
    }

    /// The stored index, completed from the batches; made of them when it is not there. If it
    /// contradicts them, either may be damaged.
    fn load_index(&self) -> io::Result<SegmentScan> {
        let stored = SegmentIndex::read(&self.home, self, i64::MAX);
        let was_there = stored.is_some();
        let scan = self.scan(stored.unwrap_or_default(), &Check::HEADERS)?;
        if was_there && !(scan.consistent && scan.invalid.is_none()) {
            return self.scan(SegmentIndex::default(), &Check::ALL);
        }
        Ok(scan)
    }

    /// Goes through the batches from the last ones that `index` knows to the end.
    pub(crate) fn scan(&self, index: SegmentIndex, check: &Check) -> io::Result<SegmentScan> {
        let file = self.file()?;
        index.complete(
            &file,
            self.base_offset,
            self.size(),
            self.home.index_interval_bytes,
            check,
        )
    }

    /// The stored index, to be completed by [`Segment::scan`]; an empty one when it is not there
    /// or cannot be right.
    pub(crate) fn stored_index(&self, trusted_below: i64) -> SegmentIndex {
        let trusted = trusted_below.saturating_sub(self.base_offset);
        SegmentIndex::read(&self.home, self, trusted).unwrap_or_default()
    }

    /// Replaces what is known of the segment by what a scan found.
    pub(crate) fn adopt(&self, scan: SegmentScan) {
        let mut index = self.index.write();
        self.next_offset.store(scan.next_offset, Ordering::Release);
        self.size.store(scan.end, Ordering::Release);
        *index = Some(scan.index);
    }

    /// The first batch below position `limit` that ends at offset `from` or after.
    pub(crate) fn locate(&self, from: i64, limit: u64) -> Result<Option<Batch>, ReadError> {
        if let Some(found) = self.try_locate(from, limit)? {
            return Ok(found);
        }
        self.rebuild_index()?;
        self.try_locate(from, limit)?.ok_or_else(|| {
            self.corrupt(ScanError::invalid(
                0,
                "the index does not match the batches",
            ))
        })
    }

    /// Makes the index anew from the batches, which may be what is damaged.
    fn rebuild_index(&self) -> io::Result<()> {
        tracing::warn!(
            dir = %self.home.dir.display(),
            base_offset = self.base_offset,
            "index is wrong and is rebuilt"
        );
        let mut index = self.index.write();
        let scan = self.scan(SegmentIndex::default(), &Check::ALL)?;
        *index = Some(self.judge(scan));
        Ok(())
    }

    /// The index of a scan, which tells whether the segment is whole.
    fn judge(&self, scan: SegmentScan) -> SegmentIndex {
        let is_damaged = scan.invalid.is_some() || scan.next_offset < self.next_offset();
        self.is_damaged.store(is_damaged, Ordering::Release);
        scan.index
    }

    /// Refuses an answer that depends on all batches when some of them are missing.
    pub(crate) fn check_whole(&self) -> Result<(), ReadError> {
        if self.is_damaged.load(Ordering::Acquire) {
            return Err(self.corrupt(ScanError::invalid(self.size(), "records are missing")));
        }
        Ok(())
    }

    /// The offset of the batch of the time entry that `choose` takes, which is checked; the base
    /// offset when it takes none.
    pub(crate) fn offset_of_time_entry(
        &self,
        choose: impl Fn(&SegmentIndex) -> Option<TimeEntry>,
    ) -> Result<i64, ReadError> {
        for _ in 0..2 {
            let Some(entry) = self.with_index(&choose)? else {
                break;
            };
            let offset = self.base_offset + i64::from(entry.relative_offset);
            if let Some(batch) = self.locate(offset, self.size())?
                && batch.header.last_offset() == offset
                && batch.header.max_timestamp == entry.timestamp
            {
                return Ok(offset);
            }
            self.rebuild_index()?;
        }
        Ok(self.base_offset)
    }

    /// `None` when the index is wrong.
    fn try_locate(&self, from: i64, limit: u64) -> Result<Option<Option<Batch>>, ReadError> {
        let start = self.with_index(|index| index.floor(self.base_offset, from))?;
        let file = self.file()?;
        let first_offset = (start.position == 0).then_some(self.base_offset);
        let positions = start.position..limit;
        let mut scanner = Scanner::new(file, positions, first_offset, LOOKUP_WINDOW);
        let mut first = true;
        loop {
            match scanner.next_batch() {
                Ok(Some(batch)) => {
                    if std::mem::take(&mut first) && !start.matches(&batch.header) {
                        return Ok(None);
                    }
                    if batch.header.last_offset() >= from {
                        return Ok(Some(Some(batch)));
                    }
                }
                Ok(None) if first && start.position > limit => return Ok(None),
                Ok(None) => return Ok(Some(None)),
                Err(ScanError::Invalid { .. }) if first && start.position > 0 => return Ok(None),
                Err(error) => return Err(self.corrupt(error)),
            }
        }
    }

    /// A scanner of headers over the batches at these positions.
    pub(crate) fn scanner(&self, positions: std::ops::Range<u64>) -> io::Result<Scanner> {
        let first_offset = (positions.start == 0).then_some(self.base_offset);
        Ok(Scanner::new(
            self.file()?,
            positions,
            first_offset,
            LOOKUP_WINDOW,
        ))
    }

    /// A scanner over all of a sealed segment.
    pub(crate) fn whole_scanner(&self) -> io::Result<Scanner> {
        let positions = 0..self.size();
        let first_offset = Some(self.base_offset);
        Ok(Scanner::new(
            self.file()?,
            positions,
            first_offset,
            SCAN_WINDOW,
        ))
    }

    /// The newest timestamp, and the last offset of the first batch that has it.
    pub(crate) fn largest_timestamp(&self) -> Result<Option<TimeEntry>, ReadError> {
        if !self.has_index()
            && let Some(known) = *self.known_largest.lock()
        {
            return Ok(known);
        }
        self.with_index(SegmentIndex::largest)
    }

    /// Writes the index entries that are not on the disk yet. With `seal`, also the newest
    /// timestamp, so that the time index covers the whole segment.
    pub(crate) fn write_index(&self, seal: bool) -> io::Result<()> {
        if self.home.disk.is_volatile() {
            return Ok(());
        }
        match &mut *self.index.write() {
            Some(index) => index.write(&self.home, self.base_offset, seal),
            None => Ok(()),
        }
    }

    /// Removes the files of this segment; the batches last, so that a crash leaves no index alone.
    pub(crate) fn remove_files(&self) -> io::Result<()> {
        let dir = &self.home.dir;
        self.remove_indexes()?;
        self.remove_all(&[
            transaction_index_file(dir, self.base_offset),
            log_file(dir, self.base_offset),
        ])
    }

    /// Removes the files that can be made anew at any time.
    pub(crate) fn remove_indexes(&self) -> io::Result<()> {
        let dir = &self.home.dir;
        self.remove_all(&[
            offset_index_file(dir, self.base_offset),
            time_index_file(dir, self.base_offset),
        ])
    }

    fn remove_all(&self, paths: &[PathBuf]) -> io::Result<()> {
        for path in paths {
            match self.home.disk.remove(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// The error of a reader who could not make sense of the records of a batch.
    pub(crate) fn damaged(&self, header: &BatchHeader, error: &RecordError) -> ReadError {
        ReadError::Corrupt {
            segment_base_offset: self.base_offset,
            position: 0,
            reason: format!("the batch at offset {}: {error}", header.base_offset),
        }
    }

    /// The error of a reader who met `error` in this segment.
    pub(crate) fn corrupt(&self, error: ScanError) -> ReadError {
        match error {
            ScanError::Disk(error) => ReadError::Disk(error),
            ScanError::Invalid { position, reason } => ReadError::Corrupt {
                segment_base_offset: self.base_offset,
                position,
                reason,
            },
        }
    }
}

/// A length as a position in a file.
pub(crate) fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
