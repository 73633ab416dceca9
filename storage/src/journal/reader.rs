//! Shell. Reads the journal back, group by group, in the order in which it was written.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::Cursor;
use super::file::Found;
use super::format::{
    self, BLOCK, BLOCK_BYTES, FIRST_GROUP, GROUP_HEADER_LEN, GroupHeader, RedoEntry,
};
use crate::disk::DiskFile;

/// Bytes read at once when looking for groups behind the end.
const SCAN_BYTES: u64 = 1 << 20;

/// See the module.
pub(crate) struct Reader {
    directory: Uuid,
    files: BTreeMap<u64, (Arc<dyn DiskFile>, u64)>,
    at: Cursor,
    /// The group that reading began with.
    first_group: u64,
}

impl Reader {
    /// Reads from `low` on. Files with an older sequence hold nothing that is still needed.
    pub(crate) fn new(directory: Uuid, found: &[Found], low: Cursor) -> Self {
        let files = found.iter().filter_map(|found| {
            let file = (Arc::clone(&found.file), found.capacity);
            Some((found.sequence?, file))
        });
        Self {
            directory,
            files: files.collect(),
            at: low,
            first_group: low.group_sequence,
        }
    }

    /// The entries of the next group. `None` at the end: where sequence, magic or checksum stop
    /// to match, in this file and at the start of the next one.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<RedoEntry>>> {
        let next_file = Cursor {
            file_sequence: self.at.file_sequence.saturating_add(1),
            position: FIRST_GROUP,
            ..self.at
        };
        for at in [self.at, next_file] {
            let Some((header, bytes)) = self.group(at)? else {
                continue;
            };
            if header.group_sequence != at.group_sequence {
                continue;
            }
            let Some(entries) = format::decode_entries(&header, &bytes) else {
                continue;
            };
            self.at = Cursor {
                file_sequence: at.file_sequence,
                position: at.position.saturating_add(header.padded_len()),
                group_sequence: at.group_sequence.saturating_add(1),
            };
            return Ok(Some(entries));
        }
        Ok(None)
    }

    /// Where the group after the last one read would be.
    pub(crate) fn position(&self) -> Cursor {
        self.at
    }

    /// Whether intact groups follow the end that was found. A torn last group has none behind
    /// it, because the next group is written only when the one before is on disk: then something
    /// that was acknowledged has been damaged. A later file with a group that was read already
    /// goes on from an end that was not the end.
    pub(crate) fn is_damaged(&self) -> io::Result<bool> {
        if self.has_later_group(self.at)? {
            return Ok(true);
        }
        let later = self.at.file_sequence.saturating_add(1)..;
        for sequence in self.files.range(later).map(|(sequence, _)| *sequence) {
            let start = Cursor {
                file_sequence: sequence,
                position: FIRST_GROUP,
                group_sequence: self.first_group,
            };
            if self.has_later_group(start)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether one of a file's groups from `start` on is intact, and of that sequence or later.
    fn has_later_group(&self, start: Cursor) -> io::Result<bool> {
        let Some((file, capacity)) = self.files.get(&start.file_sequence) else {
            return Ok(false);
        };
        let mut position = start.position;
        while position < *capacity {
            let len = SCAN_BYTES.min(capacity - position);
            let bytes = file.read_at(position, usize::try_from(len).unwrap_or(BLOCK))?;
            for (block, number) in bytes.chunks(BLOCK).zip(0..) {
                let at = Cursor {
                    position: position + number * BLOCK_BYTES,
                    ..start
                };
                if GroupHeader::decode(block).is_some() && self.is_later_group(at)? {
                    return Ok(true);
                }
            }
            position += len;
        }
        Ok(false)
    }

    /// Whether there is an intact group at a place, the one that it names or a later one.
    fn is_later_group(&self, at: Cursor) -> io::Result<bool> {
        let group = self.group(at)?;
        Ok(group.is_some_and(|(header, _)| header.group_sequence >= at.group_sequence))
    }

    /// The intact group at a place, whatever its sequence.
    fn group(&self, at: Cursor) -> io::Result<Option<(GroupHeader, Bytes)>> {
        let Some((file, capacity)) = self.files.get(&at.file_sequence) else {
            return Ok(None);
        };
        let room = capacity.saturating_sub(at.position);
        if room < BLOCK_BYTES {
            return Ok(None);
        }
        let block = file.read_at(at.position, GROUP_HEADER_LEN)?;
        let Some(header) = GroupHeader::decode(&block) else {
            return Ok(None);
        };
        if header.file_sequence != at.file_sequence || header.len() as u64 > room {
            return Ok(None);
        }
        let group = file.read_at(at.position, header.len())?;
        let intact = header.verify(self.directory, &group);
        Ok(intact.then_some((header, group)))
    }
}
