//! Where each leader epoch starts in a log (KIP-101, KIP-320).
//!
//! Pure, but for `load` and `store` in Kafka's text format.

use std::io;
use std::path::Path;

use crate::disk::Disk;
use crate::layout::LEADER_EPOCH_CHECKPOINT;
use crate::text_checkpoint::{format, parse, read_file, replace_file};

/// Epochs with the offset of their first record; both strictly ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LeaderEpochs {
    entries: Vec<(i32, i64)>,
}

impl LeaderEpochs {
    /// The epoch of records appended at `start_offset` and after. Answers whether that is news.
    ///
    /// An epoch without records gives way: it never was the epoch of any.
    pub(crate) fn assign(&mut self, epoch: i32, start_offset: i64) -> bool {
        if epoch < 0
            || self
                .entries
                .last()
                .is_some_and(|(latest, _)| *latest >= epoch)
        {
            return false;
        }
        while self
            .entries
            .pop_if(|(_, start)| *start >= start_offset)
            .is_some()
        {}
        self.entries.push((epoch, start_offset));
        true
    }

    /// Epochs with the offset of their first record, ascending.
    pub(crate) fn entries(&self) -> &[(i32, i64)] {
        &self.entries
    }

    /// The newest epoch.
    pub(crate) fn latest(&self) -> Option<i32> {
        self.entries.last().map(|(epoch, _)| *epoch)
    }

    /// The epoch of the record at `offset`, and the offset where that epoch ends.
    pub(crate) fn span(&self, offset: i64) -> Option<(i32, i64)> {
        let above = self.entries.partition_point(|(_, start)| *start <= offset);
        let (epoch, _) = above.checked_sub(1).and_then(|at| self.entries.get(at))?;
        let end = self
            .entries
            .get(above)
            .map_or(i64::MAX, |(_, start)| *start);
        Some((*epoch, end))
    }

    /// The largest epoch up to `epoch` and the offset where it ends, as OffsetForLeaderEpoch
    /// answers; (-1, -1) for an epoch that is not known.
    pub(crate) fn end_offset_for(&self, epoch: i32, log_end_offset: i64) -> (i32, i64) {
        const UNKNOWN: (i32, i64) = (-1, -1);
        if epoch < 0 {
            return UNKNOWN;
        }
        let above = self.entries.partition_point(|(known, _)| *known <= epoch);
        let floor = above.checked_sub(1).and_then(|at| self.entries.get(at));
        match (floor, self.entries.get(above)) {
            (Some((floor, _)), Some((_, end))) => (*floor, *end),
            (Some((floor, _)), None) if *floor == epoch => (epoch, log_end_offset),
            // Older than the log: nothing of it is here.
            (None, Some((_, start))) => (epoch, *start),
            _ => UNKNOWN,
        }
    }

    /// Forgets epochs that start after `end_offset`. One that starts there has no records yet, but
    /// no earlier one may follow it.
    pub(crate) fn truncate_from_end(&mut self, end_offset: i64) -> bool {
        let known = self.entries.len();
        self.entries.retain(|(_, start)| *start <= end_offset);
        self.entries.len() != known
    }

    /// Forgets epochs that end at or before `start_offset`; the one that spans it starts there.
    pub(crate) fn truncate_from_start(&mut self, start_offset: i64) -> bool {
        let spanning = self
            .entries
            .partition_point(|(_, start)| *start <= start_offset)
            .saturating_sub(1);
        let forgotten = self.entries.drain(..spanning).count();
        match self.entries.first_mut() {
            Some((_, start)) if *start < start_offset => {
                *start = start_offset;
                true
            }
            _ => forgotten > 0,
        }
    }

    /// The epochs in `dir`; none when the file is missing or not intact: they are in the batches.
    pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> io::Result<Option<Self>> {
        let bytes = read_file(disk, &dir.join(LEADER_EPOCH_CHECKPOINT))?;
        Ok(bytes
            .as_deref()
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .and_then(Self::parse))
    }

    /// Replaces the file in `dir` durably.
    pub(crate) fn store(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let lines = self
            .entries
            .iter()
            .map(|(epoch, start)| format!("{epoch} {start}"));
        let path = dir.join(LEADER_EPOCH_CHECKPOINT);
        replace_file(disk, &path, format(lines).as_bytes())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut epochs = Self::default();
        for line in parse(text)? {
            let (epoch, start) = line.split_once(' ')?;
            let (epoch, start): (i32, i64) = (epoch.parse().ok()?, start.parse().ok()?);
            let ascends = epochs
                .entries
                .last()
                .is_none_or(|(last_epoch, last_start)| epoch > *last_epoch && start > *last_start);
            if !ascends || epoch < 0 || start < 0 {
                return None;
            }
            epochs.entries.push((epoch, start));
        }
        Some(epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for (epoch, start) in entries {
            epochs.assign(*epoch, *start);
        }
        epochs
    }

    #[test]
    fn an_epoch_ends_where_the_next_starts() {
        let epochs = epochs(&[(1, 0), (3, 10), (4, 20)]);
        assert_eq!(epochs.end_offset_for(1, 30), (1, 10));
        assert_eq!(epochs.end_offset_for(2, 30), (1, 10));
        assert_eq!(epochs.end_offset_for(3, 30), (3, 20));
        assert_eq!(epochs.end_offset_for(4, 30), (4, 30));
        assert_eq!(epochs.end_offset_for(5, 30), (-1, -1));
        assert_eq!(epochs.end_offset_for(0, 30), (0, 0));
        assert_eq!(epochs.end_offset_for(-1, 30), (-1, -1));
        assert_eq!(LeaderEpochs::default().end_offset_for(0, 0), (-1, -1));
    }

    #[test]
    fn each_offset_has_one_epoch() {
        let epochs = epochs(&[(1, 5), (3, 10)]);
        assert_eq!(epochs.span(4), None);
        assert_eq!(epochs.span(9), Some((1, 10)));
        assert_eq!(epochs.span(10), Some((3, i64::MAX)));
    }

    #[test]
    fn an_epoch_without_records_gives_way() {
        let epochs = epochs(&[(1, 0), (2, 10), (3, 10), (2, 50)]);
        assert_eq!(epochs.entries, [(1, 0), (3, 10)]);
        assert_eq!(epochs.latest(), Some(3));
    }

    #[test]
    fn truncation_forgets_at_both_ends() {
        let mut both = epochs(&[(1, 0), (2, 10), (3, 20)]);
        assert!(!both.truncate_from_end(20));
        assert!(both.truncate_from_end(19));
        assert!(both.truncate_from_start(15));
        assert_eq!(both.entries, [(2, 15)]);
        assert!(!both.truncate_from_start(15));
    }

    #[test]
    fn epochs_survive_the_round_trip() {
        let disk = MemoryDisk::new();
        let dir = Path::new("d");
        disk.create_dir(dir).unwrap();
        assert_eq!(LeaderEpochs::load(&disk, dir).unwrap(), None);
        let epochs = epochs(&[(1, 0), (3, 10)]);
        epochs.store(&disk, dir).unwrap();
        assert_eq!(LeaderEpochs::load(&disk, dir).unwrap(), Some(epochs));
    }

    #[test]
    fn epochs_out_of_order_are_not_taken() {
        for text in [
            "0\n2\n1 0\n1 5\n",
            "0\n2\n1 5\n2 5\n",
            "0\n1\n1 x\n",
            "0\n1\n-1 0\n",
        ] {
            assert_eq!(LeaderEpochs::parse(text), None, "{text}");
        }
    }
}
