//! From an offset to the position of a batch at or before it.

/// Bytes of an entry: relative offset and position, each `u32`, big-endian.
const ENTRY_LEN: usize = 8;

/// The batch at `position` ends with this offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// Last offset of the batch, relative to the segment's base offset.
    pub(crate) relative_offset: u32,
    /// Where the batch starts, in bytes.
    pub(crate) position: u32,
}

/// The entries of one segment; offsets and positions strictly ascend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OffsetIndex {
    entries: Vec<OffsetEntry>,
}

impl OffsetIndex {
    /// Adds an entry; one that does not ascend is left out.
    pub(crate) fn push(&mut self, entry: OffsetEntry) {
        let ascends = self.entries.last().is_none_or(|last| {
            entry.relative_offset > last.relative_offset && entry.position > last.position
        });
        if ascends {
            self.entries.push(entry);
        }
    }

    /// The last entry whose batch ends at or before `relative_offset`.
    pub(crate) fn lookup(&self, relative_offset: u32) -> Option<OffsetEntry> {
        let above = self
            .entries
            .partition_point(|entry| entry.relative_offset <= relative_offset);
        above
            .checked_sub(1)
            .and_then(|at| self.entries.get(at))
            .copied()
    }

    /// The newest entry.
    pub(crate) fn last(&self) -> Option<OffsetEntry> {
        self.entries.last().copied()
    }

    /// Entries in it.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets entries with this offset and after.
    pub(crate) fn truncate(&mut self, relative_offset: i64) {
        self.entries
            .retain(|entry| i64::from(entry.relative_offset) < relative_offset);
    }

    /// The bytes of the entries from number `first` on.
    pub(crate) fn to_bytes(&self, first: usize) -> Vec<u8> {
        let entries = self.entries.get(first..).unwrap_or_default();
        let mut bytes = Vec::with_capacity(entries.len() * ENTRY_LEN);
        for entry in entries {
            bytes.extend_from_slice(&entry.relative_offset.to_be_bytes());
            bytes.extend_from_slice(&entry.position.to_be_bytes());
        }
        bytes
    }

    /// Bytes before entry number `entry`.
    pub(crate) fn file_position(entry: usize) -> u64 {
        u64::try_from(entry * ENTRY_LEN).unwrap_or(u64::MAX)
    }

    /// The index in `bytes`, or `None` when it is not ascending, or past a segment of
    /// `segment_len` bytes and `offsets` offsets.
    pub(crate) fn parse(bytes: &[u8], segment_len: u64, offsets: i64) -> Option<Self> {
        let (chunks, []) = bytes.as_chunks::<ENTRY_LEN>() else {
            return None;
        };
        let mut index = Self::default();
        for [a, b, c, d, e, f, g, h] in chunks.iter().copied() {
            index.push(OffsetEntry {
                relative_offset: u32::from_be_bytes([a, b, c, d]),
                position: u32::from_be_bytes([e, f, g, h]),
            });
        }
        let in_range = index.last().is_none_or(|last| {
            u64::from(last.position) < segment_len && i64::from(last.relative_offset) < offsets
        });
        (index.len() == chunks.len() && in_range).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(entries: &[(u32, u32)]) -> OffsetIndex {
        let mut index = OffsetIndex::default();
        for (relative_offset, position) in entries.iter().copied() {
            index.push(OffsetEntry {
                relative_offset,
                position,
            });
        }
        index
    }

    #[test]
    fn lookup_finds_the_last_entry_at_or_before() {
        let index = index(&[(10, 100), (20, 200)]);
        assert_eq!(index.lookup(9), None);
        assert_eq!(index.lookup(10).unwrap().position, 100);
        assert_eq!(index.lookup(19).unwrap().position, 100);
        assert_eq!(index.lookup(u32::MAX).unwrap().position, 200);
    }

    #[test]
    fn entries_survive_the_round_trip_in_kafkas_format() {
        let index = index(&[(10, 100), (20, 200)]);
        let bytes = index.to_bytes(0);
        assert_eq!(
            bytes,
            [0, 0, 0, 10, 0, 0, 0, 100, 0, 0, 0, 20, 0, 0, 0, 200]
        );
        assert_eq!(bytes[8..], index.to_bytes(1));
        assert_eq!(OffsetIndex::parse(&bytes, 201, 21), Some(index));
    }

    #[test]
    fn an_index_that_cannot_be_right_is_refused() {
        let bytes = index(&[(10, 100), (20, 200)]).to_bytes(0);
        assert_eq!(OffsetIndex::parse(&bytes[..15], 1_000, 1_000), None);
        assert_eq!(OffsetIndex::parse(&bytes, 200, 1_000), None);
        assert_eq!(OffsetIndex::parse(&bytes, 1_000, 20), None);
        let twice = [bytes.clone(), bytes].concat();
        assert_eq!(OffsetIndex::parse(&twice, 1_000, 1_000), None);
    }

    #[test]
    fn truncation_forgets_batches_behind_the_cut() {
        let mut index = index(&[(10, 100), (20, 200)]);
        index.truncate(20);
        assert_eq!(index.len(), 1);
    }
}
