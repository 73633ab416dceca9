//! The aborted transactions that end in a segment, and their file.
//!
//! Shell. The file only grows, and is synced before the producer snapshot that counts its entries
//! is written: so the snapshot tells whether the file is whole, and what came later is replayed.

use std::io::{self, IoSlice};

use bincode::{Decode, Encode};

use super::{Segment, as_u64};
use crate::disk::{Disk, OpenMode};
use crate::index::{ABORTED_LEN, AbortedTransaction};
use crate::layout::transaction_index_file;
use crate::text_checkpoint::read_file;

/// How many entries there are, and their checksum (CRC-32): what a snapshot knows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub(crate) struct AbortedSummary {
    pub(crate) count: u32,
    pub(crate) crc: u32,
}

impl AbortedSummary {
    fn add(&mut self, entry: AbortedTransaction) {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.crc);
        hasher.update(&entry.to_bytes());
        self.crc = hasher.finalize();
        self.count += 1;
    }

    fn of(entries: &[AbortedTransaction]) -> Self {
        let mut summary = Self::default();
        for entry in entries {
            summary.add(*entry);
        }
        summary
    }
}

/// What is known of the aborted transactions of a segment.
#[derive(Debug, Default)]
pub(crate) struct AbortedIndex {
    summary: AbortedSummary,
    /// `None` while nobody needs what the file has.
    entries: Option<Vec<AbortedTransaction>>,
    /// Entries that are in the file, synced.
    written: u32,
}

impl Segment {
    /// Takes in an aborted transaction whose marker was just appended.
    pub(crate) fn add_aborted(&self, entry: AbortedTransaction) {
        let mut index = self.aborted.write();
        index.summary.add(entry);
        index.entries.get_or_insert_default().push(entry);
    }

    /// What a snapshot keeps of the aborted transactions, unless there are none.
    pub(crate) fn aborted_summary(&self) -> Option<AbortedSummary> {
        let summary = self.aborted.read().summary;
        (summary.count > 0).then_some(summary)
    }

    /// Adds to `found` the aborted transactions with records at `from` or after and below `to`.
    /// Answers whether those that end in later segments begin at `to` or after.
    ///
    /// # Errors
    /// As the disk; `InvalidData` when the file is not the one that was written.
    pub(crate) fn find_aborted(
        &self,
        from: i64,
        to: i64,
        found: &mut Vec<AbortedTransaction>,
    ) -> io::Result<bool> {
        let collect = |entries: &[AbortedTransaction], found: &mut Vec<_>| {
            let first = entries.partition_point(|entry| entry.last_offset < from);
            for entry in entries.iter().skip(first) {
                if entry.first_offset < to {
                    found.push(*entry);
                }
                if entry.last_stable_offset >= to {
                    return true;
                }
            }
            false
        };
        {
            let index = self.aborted.read();
            if index.summary.count == 0 {
                return Ok(false);
            }
            if let Some(entries) = &index.entries {
                return Ok(collect(entries, found));
            }
        }
        let mut index = self.aborted.write();
        Ok(collect(self.load(&mut index)?, found))
    }

    /// Has the entries in memory.
    pub(super) fn load_aborted(&self) -> io::Result<()> {
        self.load(&mut self.aborted.write()).map(drop)
    }

    fn load<'a>(&self, index: &'a mut AbortedIndex) -> io::Result<&'a [AbortedTransaction]> {
        let entries = match index.entries.take() {
            Some(entries) => entries,
            None if index.summary.count == 0 => Vec::new(),
            None => self.read_aborted(index.summary)?.ok_or_else(|| {
                let reason = "the index of aborted transactions is damaged";
                io::Error::new(io::ErrorKind::InvalidData, reason)
            })?,
        };
        Ok(index.entries.insert(entries))
    }

    /// Goes back to the entries of a summary; none without one. `false` when they are not there.
    pub(crate) fn reset_aborted(&self, summary: Option<AbortedSummary>) -> io::Result<bool> {
        let summary = summary.unwrap_or_default();
        let found = if summary.count == 0 {
            Some(Vec::new())
        } else {
            self.read_aborted(summary)?
        };
        let is_there = found.is_some();
        *self.aborted.write() = AbortedIndex {
            written: if is_there { summary.count } else { 0 },
            summary: if is_there {
                summary
            } else {
                AbortedSummary::default()
            },
            entries: Some(found.unwrap_or_default()),
        };
        Ok(is_there)
    }

    /// The first entries of the file, if they are those of `summary`.
    fn read_aborted(&self, summary: AbortedSummary) -> io::Result<Option<Vec<AbortedTransaction>>> {
        let path = transaction_index_file(&self.home.dir, self.base_offset);
        let len = usize::try_from(summary.count).map_or(usize::MAX, |n| n * ABORTED_LEN);
        let bytes = read_file(&*self.home.disk, &path)?;
        let entries = bytes
            .as_deref()
            .and_then(|bytes| AbortedTransaction::parse(bytes.get(..len)?));
        Ok(entries.filter(|entries| AbortedSummary::of(entries) == summary))
    }

    /// Forgets the entries that the file has; for sealed segments.
    pub(super) fn release_aborted(&self) {
        let mut index = self.aborted.write();
        if index.written == index.summary.count {
            index.entries = None;
        }
    }

    /// Writes and syncs the entries that are not in the file yet. Answers whether the file is new.
    pub(crate) fn write_aborted(&self) -> io::Result<bool> {
        let mut index = self.aborted.write();
        if index.written == index.summary.count {
            return Ok(false);
        }
        let path = transaction_index_file(&self.home.dir, self.base_offset);
        let file = self.home.disk.open(&path, OpenMode::Any)?;
        let written = usize::try_from(index.written).unwrap_or(usize::MAX);
        let position = as_u64(written.saturating_mul(ABORTED_LEN));
        if file.size()? != position {
            file.truncate(position)?;
        }
        let new = index.entries.as_deref().unwrap_or_default();
        let bytes: Vec<u8> = new
            .iter()
            .skip(written)
            .flat_map(|entry| entry.to_bytes())
            .collect();
        file.write_at(position, &[IoSlice::new(&bytes)])?;
        file.sync()?;
        index.written = index.summary.count;
        Ok(position == 0)
    }
}

/// Writes and syncs what `segments` know of aborted transactions: before a snapshot counts them.
pub(crate) fn write_all<'a>(
    disk: &dyn Disk,
    dir: &std::path::Path,
    segments: impl IntoIterator<Item = &'a std::sync::Arc<Segment>>,
) -> io::Result<()> {
    let mut is_new = false;
    for segment in segments {
        is_new |= segment.write_aborted()?;
    }
    if is_new { disk.sync_dir(dir) } else { Ok(()) }
}
