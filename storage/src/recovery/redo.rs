//! Shell. Puts the bytes of the journal back into the segments, where they differ.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, OpenMode};
use crate::journal::{EntryHeader, LogKey, RedoEntry};
use crate::layout::{self, LogFile};

/// Segment files kept open while the journal is applied.
const OPEN_FILES: usize = 256;

/// What the journal says about one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Redone {
    /// Log end offset after the last entry.
    pub(crate) end: i64,
    /// An entry's place is not there: bytes before it are missing.
    pub(crate) hole: bool,
}

/// A log that entries may belong to.
struct Target {
    dir: PathBuf,
    /// Everything below is on disk.
    durable_end: i64,
    /// Segments that end here or before were deleted.
    log_start_offset: i64,
    segments: Option<BTreeSet<i64>>,
    redone: Option<Redone>,
    created: bool,
}

/// Applies the journal's entries in their order.
pub(crate) struct Redo<'a> {
    disk: &'a dyn Disk,
    targets: BTreeMap<LogKey, Target>,
    open: HashMap<(LogKey, i64), Arc<dyn DiskFile>>,
    touched: BTreeSet<(LogKey, i64)>,
    written: u64,
}

impl<'a> Redo<'a> {
    pub(crate) fn new(disk: &'a dyn Disk) -> Self {
        Self {
            disk,
            targets: BTreeMap::new(),
            open: HashMap::new(),
            touched: BTreeSet::new(),
            written: 0,
        }
    }

    /// Names a log that is still there. Entries of others are skipped.
    pub(crate) fn target(
        &mut self,
        key: LogKey,
        dir: &Path,
        durable_end: i64,
        log_start_offset: i64,
    ) {
        let target = Target {
            dir: dir.to_owned(),
            durable_end,
            log_start_offset,
            segments: None,
            redone: None,
            created: false,
        };
        self.targets.insert(key, target);
    }

    /// Applies one entry.
    pub(crate) fn apply(&mut self, entry: &RedoEntry) -> io::Result<()> {
        let header = &entry.header;
        let key = LogKey {
            topic_id: header.topic_id,
            partition: header.partition,
        };
        let Some(target) = self.targets.get_mut(&key) else {
            return Ok(());
        };
        if header.end_offset <= target.durable_end {
            return Ok(());
        }
        target.redone.get_or_insert_default().end = header.end_offset;
        let Some(file) = self.segment(key, header)? else {
            return Ok(());
        };
        let size = file.size()?;
        if size < header.position {
            self.hole(key);
        }
        self.touched.insert((key, header.segment_base));
        // Behind a hole as well: the journal is about to be given up, and a repair needs them.
        let known = usize::try_from(size.saturating_sub(header.position)).unwrap_or(usize::MAX);
        let known = known.min(entry.bytes.len());
        // Compared before it is written: what was read may be a view of the file.
        let is_there = file.read_at(header.position.min(size), known)? == entry.bytes;
        // Even where it is there: a sync that failed may have left pages that look clean and are
        // on no disk, and only what is written again is synced again.
        file.write_at(header.position, &[IoSlice::new(&entry.bytes)])?;
        if !is_there {
            self.written += entry.bytes.len() as u64;
        }
        Ok(())
    }

    /// The segment's file, created when it is missing; `None` when it was deleted.
    fn segment(
        &mut self,
        key: LogKey,
        header: &EntryHeader,
    ) -> io::Result<Option<Arc<dyn DiskFile>>> {
        let base = header.segment_base;
        if let Some(file) = self.open.get(&(key, base)) {
            return Ok(Some(Arc::clone(file)));
        }
        let Some(target) = self.targets.get_mut(&key) else {
            return Ok(None);
        };
        let segments = match &mut target.segments {
            Some(segments) => segments,
            none => none.insert(list_segments(self.disk, &target.dir)?),
        };
        if !segments.contains(&base) {
            // One that was deleted and is created again here goes when the log is opened.
            if header.position > 0 && header.end_offset <= target.log_start_offset {
                return Ok(None);
            }
            segments.insert(base);
            target.created = true;
            if header.position > 0 {
                target.redone.get_or_insert_default().hole = true;
            }
        }
        let path = layout::log_file(&target.dir, base);
        let file = self.disk.open(&path, OpenMode::Any)?;
        if self.open.len() >= OPEN_FILES {
            self.open.clear();
        }
        self.open.insert((key, base), Arc::clone(&file));
        Ok(Some(file))
    }

    fn hole(&mut self, key: LogKey) {
        if let Some(target) = self.targets.get_mut(&key) {
            target.redone.get_or_insert_default().hole = true;
        }
    }

    /// Syncs every segment that the journal speaks of, written or not: until now its bytes may
    /// have been in the page cache only, and the journal is about to be given up (D4).
    ///
    /// Returns what was found for each log, and the bytes of the entries that were not in their
    /// places.
    pub(crate) fn finish(self) -> io::Result<(HashMap<LogKey, Redone>, u64)> {
        for (key, base) in &self.touched {
            let Some(target) = self.targets.get(key) else {
                continue;
            };
            let file = match self.open.get(&(*key, *base)) {
                Some(file) => Arc::clone(file),
                None => {
                    let path = layout::log_file(&target.dir, *base);
                    self.disk.open(&path, OpenMode::Existing)?
                }
            };
            file.sync()?;
        }
        let mut redone = HashMap::new();
        for (key, target) in self.targets {
            if target.created {
                self.disk.sync_dir(&target.dir)?;
            }
            if let Some(found) = target.redone {
                redone.insert(key, found);
            }
        }
        Ok((redone, self.written))
    }
}

fn list_segments(disk: &dyn Disk, dir: &Path) -> io::Result<BTreeSet<i64>> {
    let entries = disk.list(dir)?;
    let bases = entries
        .iter()
        .filter_map(|entry| match LogFile::parse(&entry.name) {
            LogFile::Log(base) => Some(base),
            _ => None,
        });
    Ok(bases.collect())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;
    use crate::disk::simulated::{Loss, SimulatedDisk};
    use crate::disk::{OsDisk, Reads};

    const KEY: LogKey = LogKey {
        topic_id: Uuid::from_u128(1),
        partition: 0,
    };

    fn entry(segment_base: i64, position: u64, end_offset: i64, bytes: &'static [u8]) -> RedoEntry {
        RedoEntry {
            header: EntryHeader {
                topic_id: KEY.topic_id,
                partition: KEY.partition,
                segment_base,
                position,
                end_offset,
                len: u32::try_from(bytes.len()).unwrap(),
            },
            bytes: Bytes::from_static(bytes),
        }
    }

    /// A log with these segments, all on disk.
    fn disk(segments: &[(i64, &[u8])]) -> SimulatedDisk {
        let disk = SimulatedDisk::new();
        let dir = Path::new("t-0");
        disk.create_dir(dir).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        for (base, bytes) in segments {
            let file = disk
                .open(&layout::log_file(dir, *base), OpenMode::New)
                .unwrap();
            file.write_at(0, &[IoSlice::new(bytes)]).unwrap();
            file.sync().unwrap();
        }
        disk.sync_dir(dir).unwrap();
        disk
    }

    fn redo(disk: &SimulatedDisk, durable_end: i64, entries: &[RedoEntry]) -> Option<Redone> {
        redo_from(disk, 0, durable_end, entries)
    }

    fn redo_from(
        disk: &SimulatedDisk,
        log_start_offset: i64,
        durable_end: i64,
        entries: &[RedoEntry],
    ) -> Option<Redone> {
        let mut redo = Redo::new(disk);
        redo.target(KEY, Path::new("t-0"), durable_end, log_start_offset);
        for entry in entries {
            redo.apply(entry).unwrap();
        }
        let (redone, _) = redo.finish().unwrap();
        disk.lose_power(Loss::Everything);
        redone.get(&KEY).copied()
    }

    fn contents(disk: &SimulatedDisk, base: i64) -> Option<Bytes> {
        let path = layout::log_file(Path::new("t-0"), base);
        let file = disk.open(&path, OpenMode::Existing).ok()?;
        let len = usize::try_from(file.size().unwrap()).unwrap();
        Some(file.read_at(0, len).unwrap())
    }

    fn whole(end: i64) -> Option<Redone> {
        Some(Redone { end, hole: false })
    }

    fn hole(end: i64) -> Option<Redone> {
        Some(Redone { end, hole: true })
    }

    #[test]
    fn bytes_that_differ_are_written_again_and_synced() {
        let disk = disk(&[(0, b"aabx")]);
        let entries = [entry(0, 2, 2, b"bb"), entry(0, 4, 3, b"cc")];
        assert_eq!(redo(&disk, 0, &entries), whole(3));
        assert_eq!(contents(&disk, 0).unwrap(), "aabbcc");
    }

    /// Once, what was read to compare it changed with the file that it was a view of.
    #[test]
    fn bytes_that_differ_are_counted_where_files_are_mapped() {
        let root = tempfile::tempdir().unwrap();
        let disk = OsDisk::with_reads(Reads::Map);
        let path = layout::log_file(root.path(), 0);
        let file = disk.open(&path, OpenMode::New).unwrap();
        file.write_at(0, &[IoSlice::new(b"aaxx")]).unwrap();
        let mut redo = Redo::new(&disk);
        redo.target(KEY, root.path(), 0, 0);
        redo.apply(&entry(0, 0, 1, b"aa")).unwrap();
        redo.apply(&entry(0, 2, 2, b"bb")).unwrap();
        assert_eq!(
            redo.finish().unwrap(),
            (HashMap::from([(KEY, whole(2).unwrap())]), 2)
        );
    }

    #[test]
    fn what_a_failed_sync_left_in_memory_only_is_written_again() {
        let disk = SimulatedDisk::new();
        let dir = Path::new("t-0");
        disk.create_dir(dir).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        let path = layout::log_file(dir, 0);
        let file = disk.open(&path, OpenMode::New).unwrap();
        file.write_at(0, &[IoSlice::new(b"aa")]).unwrap();
        disk.sync_dir(dir).unwrap();
        disk.fail_syncs(".log");
        assert!(file.sync().is_err());
        // The process ends and the machine goes on: what it reads looks whole.
        disk.kill();
        let mut redo = Redo::new(&disk);
        redo.target(KEY, dir, 0, 0);
        redo.apply(&entry(0, 0, 2, b"aa")).unwrap();
        redo.finish().unwrap();
        disk.lose_power(Loss::Everything);
        let file = disk.open(&path, OpenMode::Existing).unwrap();
        assert_eq!(file.size().unwrap(), 2);
    }

    #[test]
    fn a_missing_segment_is_created() {
        let disk = disk(&[(0, b"aa")]);
        assert_eq!(redo(&disk, 0, &[entry(1, 0, 2, b"bb")]), whole(2));
        assert_eq!(contents(&disk, 1).unwrap(), "bb");
    }

    #[test]
    fn entries_below_the_recovery_point_are_skipped() {
        let disk = disk(&[(0, b"aa")]);
        assert_eq!(redo(&disk, 5, &[entry(0, 0, 5, b"xx")]), None);
        assert_eq!(contents(&disk, 0).unwrap(), "aa");
    }

    #[test]
    fn a_deleted_segment_is_not_created_again() {
        let disk = disk(&[(7, b"aa")]);
        let entries = [
            entry(0, 4, 5, b"xx"),
            entry(0, 6, 7, b"xx"),
            entry(7, 2, 9, b"bb"),
        ];
        assert_eq!(redo_from(&disk, 7, 0, &entries), whole(9));
        assert_eq!(contents(&disk, 0), None);
        assert_eq!(contents(&disk, 7).unwrap(), "aabb");
    }

    #[test]
    fn a_segment_that_holds_the_log_start_is_created_again() {
        let disk = disk(&[]);
        let entries = [entry(0, 0, 5, b"xx"), entry(0, 2, 7, b"yy")];
        assert_eq!(redo_from(&disk, 5, 0, &entries), whole(7));
        assert_eq!(contents(&disk, 0).unwrap(), "xxyy");
    }

    #[test]
    fn what_lies_behind_a_hole_is_kept_in_its_place() {
        let disk = disk(&[(0, b"aa")]);
        assert_eq!(redo(&disk, 0, &[entry(0, 3, 2, b"bb")]), hole(2));
        assert_eq!(contents(&disk, 0).unwrap(), "aa\0bb");
        assert_eq!(redo(&disk, 0, &[entry(7, 3, 9, b"bb")]), hole(9));
        assert_eq!(contents(&disk, 7).unwrap(), "\0\0\0bb");
    }

    #[test]
    fn entries_of_a_deleted_topic_are_skipped() {
        let disk = disk(&[(0, b"aa")]);
        let mut entry = entry(0, 2, 2, b"bb");
        entry.header.topic_id = Uuid::from_u128(2);
        assert_eq!(redo(&disk, 0, &[entry]), None);
        assert_eq!(contents(&disk, 0).unwrap(), "aa");
    }
}
