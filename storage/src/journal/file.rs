//! Shell. The files of the journal: finding, preparing and counting them.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use super::format::{BLOCK, BLOCK_BYTES, FIRST_GROUP, FileHeader, GroupHeader};
use crate::disk::{Disk, DiskFile, OpenMode};
use crate::layout;

/// Bytes written at once when a file is filled with zeros.
const FILL_BYTES: u64 = 1 << 20;

/// A file that can be, or is, in use.
pub(crate) struct JournalFile {
    /// The open file.
    pub(super) file: Arc<dyn DiskFile>,
    /// Usable bytes, a multiple of the block size.
    pub(super) capacity: u64,
}

/// A file found when the directory was opened.
pub(crate) struct Found {
    /// The open file.
    pub(super) file: Arc<dyn DiskFile>,
    path: PathBuf,
    /// Usable bytes.
    pub(super) capacity: u64,
    /// Of its last use; `None` when it was never used.
    pub(crate) sequence: Option<u64>,
    /// It is shorter than it was when it was made.
    pub(crate) is_cut: bool,
}

/// The journal files of a directory, by number.
pub(crate) struct JournalFiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    count: usize,
    next_slot: u32,
}

/// A file to be made, without holding any lock.
pub(super) struct Plan {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    path: PathBuf,
    capacity: u64,
}

impl JournalFiles {
    /// Opens all files of the journal in `dir`, which is created if needed.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        directory: Uuid,
    ) -> io::Result<(Self, Vec<Found>)> {
        disk.create_dir(dir)?;
        let mut files = Self {
            disk: Arc::clone(disk),
            dir: dir.to_owned(),
            count: 0,
            next_slot: 0,
        };
        let mut found = Vec::new();
        for entry in disk.list(dir)? {
            if entry.name.ends_with(layout::TEMPORARY_SUFFIX) {
                // Left behind by a preparation that did not finish.
                disk.remove(&dir.join(&entry.name))?;
                continue;
            }
            let Some(slot) = layout::parse_journal_file(&entry.name) else {
                continue;
            };
            files.next_slot = files.next_slot.max(slot.saturating_add(1));
            let path = dir.join(&entry.name);
            let file = disk.open(&path, OpenMode::Existing)?;
            let size = file.size()?;
            let capacity = size / BLOCK_BYTES * BLOCK_BYTES;
            let header = file_header(&*file, size, directory)?;
            // A file has its name when all of it is on disk, so one without room for a group had more.
            let is_cut =
                capacity <= FIRST_GROUP || header.is_some_and(|header| header.capacity > size);
            let sequence = match header {
                Some(header) => Some(header.sequence),
                None if is_cut => None,
                None => sequence_of_group(&*file, directory)?,
            };
            found.push(Found {
                file,
                path,
                capacity,
                sequence,
                is_cut,
            });
            files.count += 1;
        }
        // One whose preparation was killed may be there and not be durable yet.
        disk.sync_dir(dir)?;
        Ok((files, found))
    }

    /// Gives files that hold nothing needed to the pool: at most `max` of them, and only one
    /// that is smaller than `file_bytes`, for a pool of small ones could not take a large append.
    pub(crate) fn recycle(
        &mut self,
        mut found: Vec<Found>,
        file_bytes: u64,
        max: usize,
    ) -> io::Result<Vec<JournalFile>> {
        found.sort_by_key(|found| std::cmp::Reverse(found.capacity));
        let mut small = 0;
        let mut free = Vec::new();
        for found in found {
            small += usize::from(found.capacity < file_bytes);
            if small > 1 || free.len() >= max || found.capacity <= FIRST_GROUP {
                self.disk.remove(&found.path)?;
                self.count -= 1;
                continue;
            }
            free.push(JournalFile {
                file: found.file,
                capacity: found.capacity,
            });
        }
        Ok(free)
    }

    /// Makes a file that is ready at once. For a small one.
    pub(super) fn create(&mut self, capacity: u64) -> io::Result<JournalFile> {
        let plan = self.plan(capacity);
        let file = plan.disk.open(&plan.unfinished(), OpenMode::New)?;
        file.reserve(plan.capacity)?;
        file.truncate(plan.capacity)?;
        let file = plan.finish(file)?;
        self.count += 1;
        Ok(file)
    }

    /// Number of files.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Counts a file made by a plan.
    pub(super) fn add(&mut self) {
        self.count += 1;
    }

    /// Picks a name for a new file.
    pub(super) fn plan(&mut self, capacity: u64) -> Plan {
        let slot = self.next_slot;
        self.next_slot = slot.saturating_add(1);
        Plan {
            disk: Arc::clone(&self.disk),
            dir: self.dir.clone(),
            path: self.dir.join(layout::journal_file(slot)),
            capacity: (capacity / BLOCK_BYTES).max(2) * BLOCK_BYTES,
        }
    }
}

impl Plan {
    /// Its name until all of it is on disk.
    fn unfinished(&self) -> PathBuf {
        layout::temporary_file(&self.path)
    }

    /// Makes the file and fills it with zeros: a block that has been written before is synced in
    /// half the time. `None` when `stopped` said so; nothing is left behind on errors.
    pub(super) fn prepare(self, stopped: impl Fn() -> bool) -> io::Result<Option<JournalFile>> {
        let filled = self.fill(stopped);
        match filled {
            Ok(Some(file)) => self.finish(file).map(Some),
            Ok(None) => {
                self.disk.remove(&self.unfinished())?;
                Ok(None)
            }
            Err(error) => {
                if let Err(error) = self.disk.remove(&self.unfinished()) {
                    tracing::debug!(%error, "an unfinished journal file stays behind");
                }
                Err(error)
            }
        }
    }

    fn fill(&self, stopped: impl Fn() -> bool) -> io::Result<Option<Arc<dyn DiskFile>>> {
        let file = self.disk.open(&self.unfinished(), OpenMode::New)?;
        file.reserve(self.capacity)?;
        let zeros = vec![0; usize::try_from(self.capacity.min(FILL_BYTES)).unwrap_or(BLOCK)];
        let mut at = 0;
        while at < self.capacity {
            if stopped() {
                return Ok(None);
            }
            let len = usize::try_from(self.capacity - at).unwrap_or(usize::MAX);
            let part = zeros.get(..len.min(zeros.len())).unwrap_or_default();
            file.write_at(at, &[IoSlice::new(part)])?;
            at += part.len() as u64;
        }
        Ok(Some(file))
    }

    fn finish(&self, file: Arc<dyn DiskFile>) -> io::Result<JournalFile> {
        file.sync()?;
        self.disk.rename(&self.unfinished(), &self.path)?;
        self.disk.sync_dir(&self.dir)?;
        Ok(JournalFile {
            file,
            capacity: self.capacity,
        })
    }
}

/// The header of a file of `size` bytes, if it is intact.
fn file_header(file: &dyn DiskFile, size: u64, directory: Uuid) -> io::Result<Option<FileHeader>> {
    let len = usize::try_from(size).unwrap_or(BLOCK).min(BLOCK);
    Ok(FileHeader::decode(directory, &file.read_at(0, len)?))
}

/// The sequence under which a file was last used whose header is damaged. It was written together
/// with the first group, which tells as well; when that was torn, it was never acknowledged.
fn sequence_of_group(file: &dyn DiskFile, directory: Uuid) -> io::Result<Option<u64>> {
    let block = file.read_at(FIRST_GROUP, BLOCK)?;
    let Some(header) = GroupHeader::decode(&block) else {
        return Ok(None);
    };
    let len = header.len();
    if FIRST_GROUP.saturating_add(len as u64) > file.size()? {
        return Ok(None);
    }
    let group = file.read_at(FIRST_GROUP, len)?;
    let intact = header.verify(directory, &group);
    Ok(intact.then_some(header.file_sequence))
}
