//! Producer state on disk, so that recovery reads the headers of the tail only.
//!
//! Shell. A snapshot is a cache: one that is not intact is passed over for an older one.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use bincode::{Decode, Encode};

use crate::disk::{Disk, OpenMode};
use crate::layout::{LogFile, snapshot_file, temporary_file};
use crate::producer_state::{ProducerEntry, ProducerState};
use crate::segment::{AbortedSummary, Segment};
use crate::state_codec::{Kind, StateError, decode, encode};
use crate::text_checkpoint::{read_file_up_to, replace_file};

const VERSION: u16 = 2;
/// A snapshot of as many producers as are remembered is smaller.
const LARGEST_SNAPSHOT: usize = 256 << 20;
/// The same with some room for the head.
const LARGEST_FILE: u64 = (256 << 20) + 4096;
/// Snapshots kept: the newest, and one in case that is damaged or past the recovered end.
const SNAPSHOTS_KEPT: usize = 2;

/// What a snapshot holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Snapshot {
    producers: BTreeMap<i64, ProducerEntry>,
    /// By base offset of the segment: how many aborted transactions its index has.
    aborted: BTreeMap<i64, AbortedSummary>,
}

impl Snapshot {
    /// The state of `producers` and of the indexes of aborted transactions of `segments`, whose
    /// files must be written before the snapshot is.
    pub(crate) fn new(producers: &ProducerState, segments: &[Arc<Segment>]) -> Self {
        let summary =
            |segment: &Arc<Segment>| Some((segment.base_offset(), segment.aborted_summary()?));
        Self {
            producers: producers.entries().clone(),
            aborted: segments.iter().filter_map(summary).collect(),
        }
    }

    /// The producers, and what is known of the aborted transactions of each segment.
    pub(crate) fn into_parts(self) -> (ProducerState, BTreeMap<i64, AbortedSummary>) {
        (ProducerState::from_entries(self.producers), self.aborted)
    }
}

/// The bytes of a snapshot.
pub(crate) fn to_bytes(snapshot: &Snapshot) -> io::Result<Vec<u8>> {
    encode(Kind::PRODUCER_SNAPSHOT, VERSION, snapshot)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes a snapshot of the state of all records below `offset` durably and removes old ones.
pub(crate) fn store(disk: &dyn Disk, dir: &Path, offset: i64, bytes: &[u8]) -> io::Result<()> {
    replace_file(disk, &snapshot_file(dir, offset), bytes)?;
    // It stays although there are newer ones: a crash may take those.
    let others = snapshots(disk, dir)?.into_iter().rev();
    let others = others.filter(|found| *found != offset);
    for old in others.skip(SNAPSHOTS_KEPT - 1) {
        remove(disk, dir, old)?;
    }
    Ok(())
}

/// Writes a snapshot that a crash may lose or tear; its checksum tells. One of that offset stays:
/// it may be durable.
pub(crate) fn store_unsynced(
    disk: &dyn Disk,
    dir: &Path,
    offset: i64,
    bytes: &[u8],
) -> io::Result<()> {
    let path = snapshot_file(dir, offset);
    match disk.open(&path, OpenMode::Existing) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found.map(drop),
    }
    let temporary = temporary_file(&path);
    let file = disk.open(&temporary, OpenMode::Any)?;
    file.truncate(0)?;
    file.write_at(0, &[IoSlice::new(bytes)])?;
    disk.rename(&temporary, &path)
}

/// Makes sure that an intact snapshot between these offsets is durable. Answers whether there is
/// one.
pub(crate) fn sync_between(
    disk: &dyn Disk,
    dir: &Path,
    offsets: RangeInclusive<i64>,
) -> io::Result<bool> {
    for offset in snapshots(disk, dir)?.into_iter().rev() {
        if !offsets.contains(&offset) || !matches!(read(disk, dir, offset)?, Some(Ok(_))) {
            continue;
        }
        disk.open(&snapshot_file(dir, offset), OpenMode::Existing)?
            .sync()?;
        disk.sync_dir(dir)?;
        return Ok(true);
    }
    Ok(false)
}

/// Removes the snapshots of less than what is below `offset`.
pub(crate) fn remove_below(disk: &dyn Disk, dir: &Path, offset: i64) -> io::Result<()> {
    let all = snapshots(disk, dir)?;
    for old in all.into_iter().filter(|found| *found < offset) {
        remove(disk, dir, old)?;
    }
    Ok(())
}

/// The newest intact snapshot that covers no record from `end_offset` on, with its offset.
/// Snapshots past it are removed, because their records are not in the log, and damaged ones,
/// because no one may count on them. Durably: others will get their offsets, and then a crash must
/// not bring them back.
pub(crate) fn load(
    disk: &dyn Disk,
    dir: &Path,
    end_offset: i64,
) -> io::Result<Option<(i64, Snapshot)>> {
    let mut found = None;
    let mut removed = false;
    for offset in snapshots(disk, dir)?.into_iter().rev() {
        if offset > end_offset {
            remove(disk, dir, offset)?;
            removed = true;
            continue;
        }
        let Some(snapshot) = read(disk, dir, offset)? else {
            continue;
        };
        match snapshot {
            Ok(state) => {
                found = Some((offset, state));
                break;
            }
            Err(error) => {
                tracing::warn!(dir = %dir.display(), offset, %error, "producer snapshot is damaged");
                remove(disk, dir, offset)?;
                removed = true;
            }
        }
    }
    if removed {
        disk.sync_dir(dir)?;
    }
    Ok(found)
}

/// The snapshot of this offset, if it is there. The inner error says what is wrong with it.
fn read(
    disk: &dyn Disk,
    dir: &Path,
    offset: i64,
) -> io::Result<Option<Result<Snapshot, StateError>>> {
    let bytes = read_file_up_to(LARGEST_FILE, disk, &snapshot_file(dir, offset))?;
    let decoded =
        |bytes: Vec<u8>| decode(Kind::PRODUCER_SNAPSHOT, VERSION, &bytes, LARGEST_SNAPSHOT);
    Ok(bytes.map(decoded))
}

/// Offsets of the snapshots in `dir`, ascending.
fn snapshots(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<i64>> {
    let mut offsets: Vec<i64> = disk
        .list(dir)?
        .iter()
        .filter_map(|entry| match LogFile::parse(&entry.name) {
            LogFile::Snapshot(offset) => Some(offset),
            _ => None,
        })
        .collect();
    offsets.sort_unstable();
    Ok(offsets)
}

fn remove(disk: &dyn Disk, dir: &Path, offset: i64) -> io::Result<()> {
    match disk.remove(&snapshot_file(dir, offset)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::record::{
        Attributes, BatchHeader, EndTransactionMarker, TransactionResult,
    };

    use super::*;
    use crate::disk::MemoryDisk;
    use crate::disk::simulated::{Loss, SimulatedDisk};
    use crate::producer_state::{BATCHES_REMEMBERED, MOST_PRODUCERS};

    fn state(producer_id: i64) -> Snapshot {
        let mut state = ProducerState::default();
        state.replay(&BatchHeader {
            base_offset: 0,
            batch_length: 49,
            partition_leader_epoch: 0,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: 0,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id,
            producer_epoch: 0,
            base_sequence: 0,
            record_count: 1,
        });
        Snapshot::new(&state, &[])
    }

    fn disk_with(offsets: &[i64]) -> MemoryDisk {
        let disk = MemoryDisk::durable();
        disk.create_dir(Path::new("d")).unwrap();
        for offset in offsets {
            let bytes = to_bytes(&state(*offset)).unwrap();
            store(&disk, Path::new("d"), *offset, &bytes).unwrap();
        }
        disk
    }

    #[test]
    fn the_newest_snapshot_below_the_end_is_loaded() {
        let disk = disk_with(&[5, 10, 15]);
        let dir = Path::new("d");
        assert_eq!(load(&disk, dir, 20).unwrap(), Some((15, state(15))));
        assert_eq!(load(&disk, dir, 14).unwrap(), Some((10, state(10))));
        assert_eq!(load(&disk, dir, 20).unwrap(), Some((10, state(10))));
        assert_eq!(load(&disk, dir, 9).unwrap(), None);
    }

    #[test]
    fn a_damaged_snapshot_is_passed_over() {
        let disk = disk_with(&[10, 15]);
        let dir = Path::new("d");
        let newest = disk
            .open(&snapshot_file(dir, 15), OpenMode::Existing)
            .unwrap();
        newest.write_at(20, &[IoSlice::new(&[0xff])]).unwrap();
        assert_eq!(load(&disk, dir, 20).unwrap(), Some((10, state(10))));
    }

    /// Once, the power took the removal, and the state of records that were lost came back for
    /// others that had got their offsets.
    #[test]
    fn a_snapshot_of_lost_records_never_comes_back() {
        let disk = SimulatedDisk::new();
        let dir = Path::new("d");
        disk.create_dir(dir).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        for offset in [10, 15] {
            store(&disk, dir, offset, &to_bytes(&state(offset)).unwrap()).unwrap();
        }
        assert_eq!(load(&disk, dir, 12).unwrap(), Some((10, state(10))));
        disk.lose_power(Loss::Everything);
        assert_eq!(load(&disk, dir, 20).unwrap(), Some((10, state(10))));
    }

    #[test]
    fn a_snapshot_may_be_larger_than_other_small_files() {
        let disk = disk_with(&[1, 2]);
        let file = disk
            .open(&snapshot_file(Path::new("d"), 2), OpenMode::Existing)
            .unwrap();
        file.truncate((64 << 20) + 1).unwrap();
        let (offset, found) = load(&disk, Path::new("d"), 9).unwrap().unwrap();
        assert_eq!((offset, found), (2, state(2)));
    }

    /// Once, the power took half of a durable snapshot, because a roll at its offset wrote it again.
    #[test]
    fn a_snapshot_that_is_durable_stays_so_when_a_segment_is_sealed_there() {
        let disk = SimulatedDisk::new();
        let dir = Path::new("d");
        disk.create_dir(dir).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        let bytes = to_bytes(&state(10)).unwrap();
        store(&disk, dir, 10, &bytes).unwrap();
        store_unsynced(&disk, dir, 10, &bytes).unwrap();
        for loss in disk.snapshot().losses(20, 1) {
            let crashed = disk.snapshot().crash(loss);
            assert_eq!(load(&crashed, dir, 10).unwrap(), Some((10, state(10))));
        }
    }

    /// Once, one that was newer and unsynced took the place of the one that was just stored.
    #[test]
    fn what_was_just_stored_is_kept() {
        let disk = disk_with(&[]);
        let dir = Path::new("d");
        for offset in [12, 15] {
            let bytes = to_bytes(&state(offset)).unwrap();
            store_unsynced(&disk, dir, offset, &bytes).unwrap();
        }
        store(&disk, dir, 10, &to_bytes(&state(10)).unwrap()).unwrap();
        assert_eq!(load(&disk, dir, 11).unwrap(), Some((10, state(10))));
    }

    /// Once, batches were deleted whose producers were in no snapshot that could be read.
    #[test]
    fn no_one_counts_on_a_torn_snapshot() {
        let disk = disk_with(&[5, 10]);
        let dir = Path::new("d");
        let newest = disk.open(&snapshot_file(dir, 10), OpenMode::Existing);
        newest.unwrap().truncate(20).unwrap();
        assert!(!sync_between(&disk, dir, 6..=10).unwrap());
        assert!(sync_between(&disk, dir, 5..=10).unwrap());
    }

    #[test]
    fn as_many_producers_as_are_remembered_fit_a_snapshot() {
        let mut producers = ProducerState::default();
        let mut header = BatchHeader {
            base_offset: i64::MAX - 1,
            batch_length: 49,
            partition_leader_epoch: 0,
            crc: 0,
            attributes: Attributes::default().with_transactional(true),
            last_offset_delta: 0,
            base_timestamp: i64::MIN,
            max_timestamp: i64::MIN,
            producer_id: i64::MAX,
            producer_epoch: i16::MAX,
            base_sequence: i32::MAX,
            record_count: 1,
        };
        let marker = EndTransactionMarker {
            result: TransactionResult::Commit,
            coordinator_epoch: i32::MAX,
        };
        producers.replay_marker(&header, marker);
        for _ in 0..BATCHES_REMEMBERED {
            producers.replay(&header);
        }
        header.max_timestamp = i64::MAX;
        producers.replay(&header);
        let largest = to_bytes(&Snapshot::new(&producers, &[])).unwrap().len();
        assert!(largest > 200, "{largest}");
        assert!(largest * MOST_PRODUCERS < LARGEST_SNAPSHOT, "{largest}");
    }
}
