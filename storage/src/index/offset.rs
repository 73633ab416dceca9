//! From an offset to the position of a batch at or before it.

use bytes::{Buf, BufMut};

use super::sparse::{Entry, SparseIndex};

/// The batch at `position` ends with this offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// Last offset of the batch, relative to the segment's base offset.
    pub(crate) relative_offset: u32,
    /// Where the batch starts, in bytes.
    pub(crate) position: u32,
}

impl Entry for OffsetEntry {
    const LEN: usize = 8;

    fn relative_offset(&self) -> u32 {
        self.relative_offset
    }

    fn ascends_from(&self, last: &Self) -> bool {
        self.relative_offset > last.relative_offset && self.position > last.position
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.put_u32(self.relative_offset);
        bytes.put_u32(self.position);
    }

    fn read(mut bytes: &[u8]) -> Option<Self> {
        Some(Self {
            relative_offset: bytes.try_get_u32().ok()?,
            position: bytes.try_get_u32().ok()?,
        })
    }
}

pub(crate) type OffsetIndex = SparseIndex<OffsetEntry>;

impl OffsetIndex {
    /// The last entry whose batch ends at or before `relative_offset`.
    pub(crate) fn lookup(&self, relative_offset: u32) -> Option<OffsetEntry> {
        self.last_where(|entry| entry.relative_offset <= relative_offset)
    }

    /// As [`parse`](Self::parse), and `None` when it is past a segment of `segment_len` bytes.
    pub(crate) fn parse_within(bytes: &[u8], segment_len: u64, offsets: i64) -> Option<Self> {
        Self::parse(bytes, offsets).filter(|index| {
            index
                .last()
                .is_none_or(|last| u64::from(last.position) < segment_len)
        })
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
        assert_eq!(OffsetIndex::parse_within(&bytes, 201, 21), Some(index));
    }

    #[test]
    fn an_index_that_cannot_be_right_is_refused() {
        let bytes = index(&[(10, 100), (20, 200)]).to_bytes(0);
        assert_eq!(OffsetIndex::parse_within(&bytes[..15], 1_000, 1_000), None);
        assert_eq!(OffsetIndex::parse_within(&bytes, 200, 1_000), None);
        assert_eq!(OffsetIndex::parse_within(&bytes, 1_000, 20), None);
        let twice = [bytes.clone(), bytes].concat();
        assert_eq!(OffsetIndex::parse_within(&twice, 1_000, 1_000), None);
    }

    #[test]
    fn truncation_forgets_batches_behind_the_cut() {
        let mut index = index(&[(10, 100), (20, 200)]);
        index.truncate(20);
        assert_eq!(index.len(), 1);
    }
}
