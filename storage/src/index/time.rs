//! From a timestamp to an offset before which all records are older.

/// Bytes of an entry: timestamp `i64` and relative offset `u32`, big-endian.
const ENTRY_LEN: usize = 12;

/// Up to the batch that ends with this offset, no record is newer than `timestamp`, and one of
/// that batch is as new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    /// In milliseconds.
    pub(crate) timestamp: i64,
    /// Last offset of the batch, relative to the segment's base offset.
    pub(crate) relative_offset: u32,
}

/// The entries of one segment; timestamps and offsets strictly ascend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TimeIndex {
    entries: Vec<TimeEntry>,
}

impl TimeIndex {
    /// Adds an entry; one that is not newer is left out.
    pub(crate) fn push(&mut self, entry: TimeEntry) {
        let ascends = self.entries.last().is_none_or(|last| {
            entry.timestamp > last.timestamp && entry.relative_offset > last.relative_offset
        });
        if ascends {
            self.entries.push(entry);
        }
    }

    /// The last entry older than `timestamp`.
    pub(crate) fn lookup_before(&self, timestamp: i64) -> Option<TimeEntry> {
        let above = self
            .entries
            .partition_point(|entry| entry.timestamp < timestamp);
        above
            .checked_sub(1)
            .and_then(|at| self.entries.get(at))
            .copied()
    }

    /// The last entry with an offset below `relative_offset`.
    pub(crate) fn lookup_below(&self, relative_offset: i64) -> Option<TimeEntry> {
        let above = self
            .entries
            .partition_point(|entry| i64::from(entry.relative_offset) < relative_offset);
        above
            .checked_sub(1)
            .and_then(|at| self.entries.get(at))
            .copied()
    }

    /// The newest entry.
    pub(crate) fn last(&self) -> Option<TimeEntry> {
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
            bytes.extend_from_slice(&entry.timestamp.to_be_bytes());
            bytes.extend_from_slice(&entry.relative_offset.to_be_bytes());
        }
        bytes
    }

    /// Bytes before entry number `entry`.
    pub(crate) fn file_position(entry: usize) -> u64 {
        u64::try_from(entry * ENTRY_LEN).unwrap_or(u64::MAX)
    }

    /// The index in `bytes`, or `None` when it is not ascending or past `offsets` offsets.
    pub(crate) fn parse(bytes: &[u8], offsets: i64) -> Option<Self> {
        let (chunks, []) = bytes.as_chunks::<ENTRY_LEN>() else {
            return None;
        };
        let mut index = Self::default();
        for [a, b, c, d, e, f, g, h, i, j, k, l] in chunks.iter().copied() {
            index.push(TimeEntry {
                timestamp: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
                relative_offset: u32::from_be_bytes([i, j, k, l]),
            });
        }
        let in_range = index
            .last()
            .is_none_or(|last| i64::from(last.relative_offset) < offsets);
        (index.len() == chunks.len() && in_range).then_some(index)
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
