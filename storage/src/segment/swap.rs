//! Putting one file in the place of the segments that were compacted into it.
//!
//! Shell. The file is whole and durable under its own name first; from then on the rest can be done,
//! or done again, at any time: by the compaction, or by the next start.

use std::io;
use std::path::Path;

use crate::disk::Disk;
use crate::layout::{LogFile, log_file, swap_file};

/// Removes the segments from `base_offset` to below `end_offset` and gives their place to the swap
/// file of that name.
pub(crate) fn finish(
    disk: &dyn Disk,
    dir: &Path,
    base_offset: i64,
    end_offset: i64,
) -> io::Result<()> {
    for entry in disk.list(dir)? {
        let goes = match LogFile::parse(&entry.name) {
            // The first one is replaced, so that there is always one.
            LogFile::Log(base) => base_offset < base && base < end_offset,
            LogFile::OffsetIndex(base)
            | LogFile::TimeIndex(base)
            | LogFile::TransactionIndex(base) => base_offset <= base && base < end_offset,
            _ => false,
        };
        if goes {
            disk.remove(&dir.join(&entry.name))?;
        }
    }
    // Before the swap file loses its name, by which a start would know what else is to go.
    disk.sync_dir(dir)?;
    disk.rename(
        &swap_file(dir, base_offset, end_offset),
        &log_file(dir, base_offset),
    )?;
    disk.sync_dir(dir)
}

/// Finishes what compactions left behind in `dir`.
pub(crate) fn finish_all(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    for entry in disk.list(dir)? {
        if let LogFile::Swap(base_offset, end_offset) = LogFile::parse(&entry.name) {
            tracing::info!(dir = %dir.display(), base_offset, end_offset, "compaction finished");
            finish(disk, dir, base_offset, end_offset)?;
        }
    }
    Ok(())
}
