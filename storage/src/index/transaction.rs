//! Aborted transactions of a segment: what readers of committed records must skip.

/// Bytes of an entry: version `i16`, producer id, first offset, last offset and last stable
/// offset `i64`, big-endian.
pub(crate) const ABORTED_LEN: usize = 34;
/// The version that is written.
const VERSION: i16 = 0;

/// A transaction that was aborted, by its records in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AbortedTransaction {
    /// Offset of its first record.
    pub first_offset: i64,
    /// Who produced.
    pub producer_id: i64,
    /// Offset of its marker.
    pub last_offset: i64,
    /// The last stable offset behind the marker: transactions that end later begin there or after.
    pub last_stable_offset: i64,
}

impl AbortedTransaction {
    /// The entry as the file has it.
    pub(crate) fn to_bytes(self) -> [u8; ABORTED_LEN] {
        let mut bytes = [0; ABORTED_LEN];
        let fields = [
            &VERSION.to_be_bytes()[..],
            &self.producer_id.to_be_bytes(),
            &self.first_offset.to_be_bytes(),
            &self.last_offset.to_be_bytes(),
            &self.last_stable_offset.to_be_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    /// The entries in `bytes`, or `None` when they are cut off or of another version.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Vec<Self>> {
        let (entries, []) = bytes.as_chunks::<ABORTED_LEN>() else {
            return None;
        };
        entries.iter().map(Self::parse_one).collect()
    }

    fn parse_one(entry: &[u8; ABORTED_LEN]) -> Option<Self> {
        let (version, rest) = entry.split_first_chunk::<2>()?;
        let ([producer_id, first_offset, last_offset, last_stable_offset], []) =
            rest.as_chunks::<8>()
        else {
            return None;
        };
        (i16::from_be_bytes(*version) == VERSION).then(|| Self {
            first_offset: i64::from_be_bytes(*first_offset),
            producer_id: i64::from_be_bytes(*producer_id),
            last_offset: i64::from_be_bytes(*last_offset),
            last_stable_offset: i64::from_be_bytes(*last_stable_offset),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_the_round_trip_in_kafkas_format() {
        let entry = AbortedTransaction {
            first_offset: 2,
            producer_id: 1,
            last_offset: 3,
            last_stable_offset: 4,
        };
        let bytes = entry.to_bytes();
        assert_eq!(bytes[..10], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(bytes[33], 4);
        let twice = [bytes, bytes].concat();
        assert_eq!(AbortedTransaction::parse(&twice), Some(vec![entry, entry]));
    }

    #[test]
    fn what_is_cut_off_or_of_another_version_is_refused() {
        let mut bytes = AbortedTransaction {
            first_offset: 2,
            producer_id: 1,
            last_offset: 3,
            last_stable_offset: 4,
        }
        .to_bytes();
        assert_eq!(AbortedTransaction::parse(&bytes[..33]), None);
        bytes[1] = 1;
        assert_eq!(AbortedTransaction::parse(&bytes), None);
    }
}
