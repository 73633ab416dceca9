//! From a timestamp to an offset before which all records are older.

use bytes::{Buf, BufMut};

use super::sparse::{Entry, SparseIndex};

/// Up to the batch that ends with this offset, no record is newer than `timestamp`, and one of
/// that batch is as new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    /// In milliseconds.
    pub(crate) timestamp: i64,
    /// Last offset of the batch, relative to the segment's base offset.
    pub(crate) relative_offset: u32,
}

impl Entry for TimeEntry {
    const LEN: usize = 12;

    fn relative_offset(&self) -> u32 {
        self.relative_offset
    }

    fn ascends_from(&self, last: &Self) -> bool {
        self.timestamp > last.timestamp && self.relative_offset > last.relative_offset
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.put_i64(self.timestamp);
        bytes.put_u32(self.relative_offset);
    }

    fn read(mut bytes: &[u8]) -> Option<Self> {
        Some(Self {
            timestamp: bytes.try_get_i64().ok()?,
            relative_offset: bytes.try_get_u32().ok()?,
        })
    }
}

pub(crate) type TimeIndex = SparseIndex<TimeEntry>;

impl TimeIndex {
    /// The last entry older than `timestamp`.
    pub(crate) fn lookup_before(&self, timestamp: i64) -> Option<TimeEntry> {
        self.last_where(|entry| entry.timestamp < timestamp)
    }

    /// The last entry with an offset below `relative_offset`.
    pub(crate) fn lookup_below(&self, relative_offset: i64) -> Option<TimeEntry> {
        self.last_where(|entry| i64::from(entry.relative_offset) < relative_offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(entries: &[(i64, u32)]) -> TimeIndex {
        let mut index = TimeIndex::default();
        for (timestamp, relative_offset) in entries.iter().copied() {
            index.push(TimeEntry {
                timestamp,
                relative_offset,
            });
        }
        index
    }

    #[test]
    fn lookup_finds_the_last_older_entry() {
        let index = index(&[(1_000, 10), (2_000, 20)]);
        assert_eq!(index.lookup_before(1_000), None);
        assert_eq!(index.lookup_before(1_001).unwrap().relative_offset, 10);
        assert_eq!(index.lookup_before(i64::MAX).unwrap().relative_offset, 20);
    }

    #[test]
    fn lookup_finds_the_last_entry_below_an_offset() {
        let index = index(&[(1_000, 10), (2_000, 20)]);
        assert_eq!(index.lookup_below(10), None);
        assert_eq!(index.lookup_below(20).unwrap().timestamp, 1_000);
        assert_eq!(index.lookup_below(i64::MAX).unwrap().timestamp, 2_000);
    }

    #[test]
    fn entries_survive_the_round_trip_in_kafkas_format() {
        let index = index(&[(1, 10), (2, 20)]);
        let bytes = index.to_bytes(0);
        assert_eq!(bytes[..12], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 10]);
        assert_eq!(bytes[12..], index.to_bytes(1));
        assert_eq!(TimeIndex::parse(&bytes, 21), Some(index));
    }

    #[test]
    fn an_index_that_cannot_be_right_is_refused() {
        let bytes = index(&[(1, 10), (2, 20)]).to_bytes(0);
        assert_eq!(TimeIndex::parse(&bytes[..23], 1_000), None);
        assert_eq!(TimeIndex::parse(&bytes, 20), None);
        let twice = [bytes.clone(), bytes].concat();
        assert_eq!(TimeIndex::parse(&twice, 1_000), None);
    }

    #[test]
    fn a_time_that_is_not_newer_is_left_out() {
        assert_eq!(index(&[(2, 10), (2, 20), (1, 30)]).len(), 1);
    }
}
