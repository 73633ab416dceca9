//! Real files. Shell.

mod direct;
mod file_range;
mod map;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use self::direct::DirectFile;
pub use self::file_range::FileRange;
use self::map::FileMap;
use super::{DirEntry, Disk, DiskFile, DiskLock, OpenMode, Space};

/// Parts written by one system call; the kernel takes no more (`IOV_MAX`).
const PARTS_PER_CALL: usize = 1024;
/// The smallest map, so that a growing file is not mapped anew at each step.
const SMALLEST_MAP: u64 = 1 << 20;
/// Bytes between two probes for residency without a map.
const PROBE_STRIDE: usize = 64 << 10;

/// How [`OsDisk`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reads {
    /// Through read-only maps: what is read is shared with the page cache and not copied.
    #[default]
    Map,
    /// By `pread` into memory of our own: for network file systems and tight memory limits.
    Pread,
}

/// The operating system's files.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsDisk {
    reads: Reads,
}

impl OsDisk {
    /// A disk that reads through maps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that reads as told.
    #[must_use]
    pub fn with_reads(reads: Reads) -> Self {
        Self { reads }
    }
}

impl Disk for OsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let file = open_file(path, mode)?;
        let size = file.metadata()?.len();
        Ok(Arc::new(OsFile {
            file: Arc::new(file),
            reads: self.reads,
            known_size: AtomicU64::new(size),
            direct: DirectFile::default(),
            map: Mutex::new(None),
        }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            entries.push(DirEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_dir: entry.file_type()?.is_dir(),
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if fs::symlink_metadata(path)?.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn space(&self, dir: &Path) -> io::Result<Option<Space>> {
        let volume = rustix::fs::statvfs(dir)?;
        Ok(Some(Space {
            total: volume.f_frsize.saturating_mul(volume.f_blocks),
            usable: volume.f_frsize.saturating_mul(volume.f_bavail),
        }))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let file = open_file(path, OpenMode::Any)?;
        let metadata = file.metadata()?;
        let key = (metadata.dev(), metadata.ino());
        if !LOCKED.lock().insert(key) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let lock = OsLock { file, key };
        rustix::fs::flock(&lock.file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(lock))
    }
}

/// Lock files that this process holds, by device and inode: where `flock` is emulated (NFS), it
/// does not exclude openers of the same process.
static LOCKED: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());

struct OsLock {
    file: File,
    key: (u64, u64),
}

impl DiskLock for OsLock {}

impl Drop for OsLock {
    fn drop(&mut self) {
        // Closing the file gives the lock back as well.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
        LOCKED.lock().remove(&self.key);
    }
}

fn open_file(path: &Path, mode: OpenMode) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o644);
    // The standard library sets `O_CLOEXEC`.
    options.custom_flags(libc::O_NOFOLLOW);
    match mode {
        OpenMode::Existing => {}
        OpenMode::New => {
            options.create_new(true);
        }
        OpenMode::Any => {
            options.create(true);
        }
    }
    options.open(path)
}

struct OsFile {
    file: Arc<File>,
    reads: Reads,
    /// The file is at least this long; it may be longer when written through another handle.
    known_size: AtomicU64,
    direct: DirectFile,
    map: Mutex<Option<Arc<FileMap>>>,
}

impl OsFile {
    /// Fails unless the file has `end` bytes.
    fn require(&self, end: u64) -> io::Result<()> {
        if end <= self.known_size.load(Ordering::Acquire) {
            return Ok(());
        }
        let size = self.file.metadata()?.len();
        self.known_size.fetch_max(size, Ordering::AcqRel);
        if end <= size {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// A map of at least the first `end` bytes, which the file has.
    fn map(&self, end: u64) -> io::Result<Arc<FileMap>> {
        let wanted = usize::try_from(end).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut map = self.map.lock();
        if let Some(map) = map.as_ref().filter(|map| map.len() >= wanted) {
            return Ok(Arc::clone(map));
        }
        let size = end.max(self.known_size.load(Ordering::Acquire));
        let size = size.max(SMALLEST_MAP).next_power_of_two();
        let size = usize::try_from(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let new = FileMap::new(&self.file, size)?;
        *map = Some(Arc::clone(&new));
        Ok(new)
    }
}

impl DiskFile for OsFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let mut at = offset;
        for parts in parts.chunks(PARTS_PER_CALL) {
            at = write_all(&self.file, at, parts)?;
        }
        self.known_size.fetch_max(at, Ordering::AcqRel);
        Ok(())
    }

    fn write_block_at(&self, offset: u64, block: &[u8]) -> io::Result<()> {
        if self.direct.write_at(&self.file, offset, block)? {
            self.known_size
                .fetch_max(range_end(offset, block.len())?, Ordering::AcqRel);
            return Ok(());
        }
        self.write_at(offset, &[IoSlice::new(block)])
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let end = range_end(offset, len)?;
        self.require(end)?;
        if len == 0 {
            return Ok(Bytes::new());
        }
        match self.reads {
            Reads::Map => {
                let at = usize::try_from(offset).map_err(|_| io::ErrorKind::OutOfMemory)?;
                self.map(end)?
                    .bytes(at, len)
                    .unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
            }
            Reads::Pread => {
                let mut buffer = BytesMut::zeroed(len);
                self.file.read_exact_at(&mut buffer, offset)?;
                Ok(buffer.freeze())
            }
        }
    }

    fn is_resident(&self, offset: u64, len: usize) -> bool {
        let Ok(end) = range_end(offset, len) else {
            return true;
        };
        if self.require(end).is_err() {
            return true;
        }
        match (self.reads, usize::try_from(offset)) {
            (Reads::Map, Ok(at)) => self.map(end).map_or(true, |map| map.is_resident(at, len)),
            _ => probe(&self.file, offset, len),
        }
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        reserve(&self.file, len)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.known_size.store(len, Ordering::Release);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn range_end(offset: u64, len: usize) -> io::Result<u64> {
    u64::try_from(len)
        .ok()
        .and_then(|len| offset.checked_add(len))
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Writes all of `parts` and answers the offset behind them.
fn write_all(file: &File, mut at: u64, parts: &[IoSlice<'_>]) -> io::Result<u64> {
    let mut rest = parts.to_vec();
    let mut rest = rest.as_mut_slice();
    // Empty parts would look like a write of nothing.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match rustix::io::pwritev(file, rest, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                at = range_end(at, written)?;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(at)
}

#[cfg(target_os = "linux")]
fn reserve(file: &File, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    loop {
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, len) {
            Err(Errno::INTR) => {}
            // A file system without reservations: a full disk shows at the write.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(_file: &File, _len: u64) -> io::Result<()> {
    Ok(())
}

/// Asks for a byte of each stride without waiting for the disk.
#[cfg(target_os = "linux")]
fn probe(file: &File, offset: u64, len: usize) -> bool {
    use rustix::io::{ReadWriteFlags, preadv2};

    let last = len.saturating_sub(1);
    (0..len)
        .step_by(PROBE_STRIDE)
        .chain(std::iter::once(last))
        .filter_map(|step| range_end(offset, step).ok())
        .all(|at| {
            let mut byte = [0];
            let mut parts = [io::IoSliceMut::new(&mut byte)];
            !matches!(
                preadv2(file, &mut parts, at, ReadWriteFlags::NOWAIT),
                Err(Errno::AGAIN)
            )
        })
}

#[cfg(not(target_os = "linux"))]
fn probe(_file: &File, _offset: u64, _len: usize) -> bool {
    true
}
