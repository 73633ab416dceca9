//! The seam to the file system: everything that storage does to a disk goes through here.
//!
//! Small on purpose, so that a test can stand in for a disk that loses, tears and refuses writes.
//! Implementations: [`OsDisk`] for real files, [`MemoryDisk`] for ephemeral brokers and tests, and
//! with the feature `testing` a simulated one that fails when it is told to.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

mod memory;
mod os;
#[cfg(any(test, feature = "testing"))]
pub mod simulated;
#[cfg(test)]
mod tests;

pub use memory::MemoryDisk;
pub use os::{FileRange, OsDisk, Reads};

/// What [`Disk::open`] does when the file is, or is not, there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// Open what is there for reading and writing; `NotFound` otherwise.
    Existing,
    /// Create an empty file; `AlreadyExists` if there is one.
    New,
    /// Open what is there, or create an empty file.
    Any,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// File name without its directory.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Room on the volume that holds a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes of the volume.
    pub total: u64,
    /// Bytes that we may still use.
    pub usable: u64,
}

/// Exclusive ownership of a lock file until dropped.
pub trait DiskLock: Send + Sync {}

/// A file system. Directory changes are durable only after [`Disk::sync_dir`].
pub trait Disk: Send + Sync {
    /// Opens a file. Symbolic links are not followed.
    ///
    /// # Errors
    /// As the operating system; `NotFound` and `AlreadyExists` as [`OpenMode`] says.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// The entries of a directory, sorted by name.
    ///
    /// # Errors
    /// `NotFound` when there is no such directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Creates a directory and its missing parents; succeeds when it is there already.
    ///
    /// # Errors
    /// As the operating system.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Renames a file or directory, replacing a file of that name. Atomic.
    ///
    /// # Errors
    /// As the operating system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file, or a directory with all in it; open files stay readable.
    ///
    /// # Errors
    /// `NotFound` when there is nothing of that name.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in `dir` durable.
    ///
    /// # Errors
    /// As the operating system. A failure is final: see D6 in docs/durability.md.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the lock file at `path`, creating it if needed.
    ///
    /// # Errors
    /// `WouldBlock` when another process, or another opener in this one, has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;

    /// Room on the volume of `dir`; `None` where there is no volume.
    ///
    /// # Errors
    /// As the operating system.
    fn space(&self, dir: &Path) -> io::Result<Option<Space>> {
        let _ = dir;
        Ok(None)
    }

    /// Whether what is written is lost when the process ends. Such a disk needs no journal.
    fn is_volatile(&self) -> bool {
        false
    }
}

/// What disks read and write at once, in bytes: aligned to it, writes go past the page cache.
pub const BLOCK: usize = 4096;

/// An open file. All methods take `&self`: one writer is the caller's promise, readers are many.
pub trait DiskFile: Send + Sync {
    /// Size in bytes.
    ///
    /// # Errors
    /// As the operating system.
    fn size(&self) -> io::Result<u64>;

    /// Writes all of `parts`, one after the other, from byte `offset` on.
    ///
    /// # Errors
    /// As the operating system; how much was written is then unknown.
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()>;

    /// As [`DiskFile::write_at`] with one part, past the page cache where that is possible: when `offset`, and length
    /// and address of `block` are multiples of [`BLOCK`]. What is read before and after is the same.
    ///
    /// # Errors
    /// As [`DiskFile::write_at`].
    fn write_block_at(&self, offset: u64, block: &[u8]) -> io::Result<()> {
        self.write_at(offset, &[IoSlice::new(block)])
    }

    /// Exactly `len` bytes from `offset`, shared with the page cache where that is possible.
    ///
    /// The caller promises not to read what may still be rewritten or cut.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file is shorter.
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes>;

    /// Whether [`DiskFile::read_at`] of this range would be answered from memory.
    fn is_resident(&self, offset: u64, len: usize) -> bool;

    /// Reserves blocks up to `len` bytes without changing the length, so that a full disk shows
    /// here and not in the middle of a write.
    ///
    /// # Errors
    /// `StorageFull` when there is no room.
    fn reserve(&self, len: u64) -> io::Result<()>;

    /// Sets the length; a shorter one cuts, and gives back blocks reserved past it.
    ///
    /// # Errors
    /// As the operating system.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Makes data and length durable (`fdatasync`).
    ///
    /// # Errors
    /// As the operating system. Never retry: a later success proves nothing (D6).
    fn sync(&self) -> io::Result<()>;
}
