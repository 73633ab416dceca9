//! An index of some batches of a segment: what both kinds share.

/// An entry of an index: what is known of a batch.
pub(crate) trait Entry: Copy {
    /// Bytes of an entry in the file.
    const LEN: usize;

    /// Last offset of the batch, relative to the segment's base offset.
    fn relative_offset(&self) -> u32;

    /// Whether it ascends from `last` in every field.
    fn ascends_from(&self, last: &Self) -> bool;

    /// Appends the bytes in the file, big-endian.
    fn write(&self, bytes: &mut Vec<u8>);

    /// The entry that `bytes` begin with, or `None` when they are too few.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// The entries of one segment; they strictly ascend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SparseIndex<E> {
    pub(super) entries: Vec<E>,
}

impl<E> Default for SparseIndex<E> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<E: Entry> SparseIndex<E> {
    /// Adds an entry; one that does not ascend is left out.
    pub(crate) fn push(&mut self, entry: E) {
        if self.last().is_none_or(|last| entry.ascends_from(&last)) {
            self.entries.push(entry);
        }
    }

    /// The last of the entries that `precedes` is true for: those in front.
    pub(super) fn last_where(&self, precedes: impl Fn(&E) -> bool) -> Option<E> {
        let count = self.entries.partition_point(precedes);
        count
            .checked_sub(1)
            .and_then(|at| self.entries.get(at))
            .copied()
    }

    /// The newest entry.
    pub(crate) fn last(&self) -> Option<E> {
        self.entries.last().copied()
    }

    /// Entries in it.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets entries with this offset and after.
    pub(crate) fn truncate(&mut self, relative_offset: i64) {
        let kept = self
            .entries
            .partition_point(|entry| i64::from(entry.relative_offset()) < relative_offset);
        self.entries.truncate(kept);
    }

    /// The bytes of the entries from number `first` on.
    pub(crate) fn to_bytes(&self, first: usize) -> Vec<u8> {
        let entries = self.entries.get(first..).unwrap_or_default();
        let mut bytes = Vec::with_capacity(entries.len() * E::LEN);
        for entry in entries {
            entry.write(&mut bytes);
        }
        bytes
    }

    /// Bytes before entry number `entry`.
    pub(crate) fn file_position(entry: usize) -> u64 {
        u64::try_from(entry * E::LEN).unwrap_or(u64::MAX)
    }

    /// The index in `bytes`, or `None` when it is not ascending or past `offsets` offsets.
    pub(crate) fn parse(bytes: &[u8], offsets: i64) -> Option<Self> {
        let mut index = Self::default();
        for entry in bytes.chunks(E::LEN) {
            index.push(E::read(entry)?);
        }
        let complete = index.len() * E::LEN == bytes.len();
        let in_range = index
            .last()
            .is_none_or(|last| i64::from(last.relative_offset()) < offsets);
        (complete && in_range).then_some(index)
    }
}
