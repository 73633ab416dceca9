//! Writes past the page cache (`O_DIRECT`): they cost no copy, and no pages that nobody reads.

use std::fs::File;
use std::io;
use std::sync::OnceLock;

use super::super::BLOCK;

/// A file opened once more for such writes, when the first one comes. `None` inside where the file
/// system has none.
#[derive(Default)]
pub(super) struct DirectFile(OnceLock<Option<File>>);

impl DirectFile {
    /// Writes all of `block`, or answers `false` when it cannot be written so.
    pub(super) fn write_at(&self, file: &File, offset: u64, block: &[u8]) -> io::Result<bool> {
        let is_aligned = block.as_ptr().addr().is_multiple_of(BLOCK)
            && block.len().is_multiple_of(BLOCK)
            && offset.is_multiple_of(BLOCK as u64);
        if !is_aligned || block.is_empty() {
            return Ok(false);
        }
        match self.0.get_or_init(|| open(file).ok()) {
            Some(direct) => write_all(direct, offset, block),
            None => Ok(false),
        }
    }
}

/// Whether all of it was written; not where the device wants larger blocks.
fn write_all(file: &File, offset: u64, block: &[u8]) -> io::Result<bool> {
    use std::os::unix::fs::FileExt as _;

    match file.write_all_at(block, offset) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(target_os = "linux")]
fn open(file: &File) -> io::Result<File> {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    // The name may be another one's by now; the descriptor is this file's.
    File::options()
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(not(target_os = "linux"))]
fn open(_file: &File) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}
