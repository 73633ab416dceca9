//! The high watermark follows durability; failures are final.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use super::*;
use crate::config::Durability;
use crate::disk::{DirEntry, DiskLock};
use crate::error::{AppendError, ChangeError};

#[derive(Default)]
struct Heard {
    high_watermark: AtomicI64,
    failures: AtomicUsize,
}

impl LogListener for Heard {
    fn high_watermark_moved(&self, high_watermark: i64) {
        self.high_watermark.store(high_watermark, Ordering::SeqCst);
    }

    fn failed(&self, _failed: &Failed) {
        self.failures.fetch_add(1, Ordering::SeqCst);
    }
}

fn open_on(disk: Arc<dyn Disk>, sink: Option<Arc<dyn CommitSink>>) -> (Arc<Log>, Arc<Heard>) {
    let config = LogConfig::default();
    let log = Log::open(disk, &dir(), identity(), config, 1, sink, Tail::Clean).unwrap();
    let heard = Arc::new(Heard::default());
    log.set_listener(Arc::clone(&heard) as _);
    (log, heard)
}

fn journaled() -> (Arc<Log>, Arc<Heard>, Arc<HeldSink>) {
    let sink = Arc::new(HeldSink::default());
    let (log, heard) = open_on(
        Arc::new(MemoryDisk::durable()),
        Some(Arc::clone(&sink) as _),
    );
    (log, heard, sink)
}

#[test]
fn a_journaled_batch_is_visible_after_its_commit() {
    let (log, heard, sink) = journaled();
    assert!(log.is_journaled());
    log.append(Spec::plain(3, 10).batch(), 0).unwrap();
    log.append(Spec::plain(2, 10).batch(), 0).unwrap();
    let read = |bound| log.read(0, 1_000, true, bound).unwrap();
    assert!(read(Bound::HighWatermark).records.is_empty());
    assert_eq!(read(Bound::LogEnd).next_offset, 5);
    assert_eq!(log.available(0, 1_000, Bound::HighWatermark).unwrap(), 0);
    // Past the high watermark, but in the log: nothing yet, and no error.
    assert!(log.read(4, 10, true, Bound::HighWatermark).is_ok());
    log.commit(3);
    assert_eq!(heard.high_watermark.load(Ordering::SeqCst), 3);
    assert_eq!(read(Bound::HighWatermark).next_offset, 3);
    assert_eq!(log.available(0, 1_000, Bound::HighWatermark).unwrap(), 71);
    log.commit(5);
    assert_eq!(log.available(3, 1_000, Bound::HighWatermark).unwrap(), 71);
    assert!(log.is_resident(0, 1_000));
    let entries = sink.entries.lock();
    let places: Vec<_> = entries.iter().map(|e| (e.position, e.end_offset)).collect();
    assert_eq!(places, [(0, 3), (71, 5)]);
}

#[test]
fn the_journal_gets_the_bytes_of_the_segment() {
    let (log, _, sink) = journaled();
    log.append(Spec::plain(3, 10).batch(), 0).unwrap();
    let entries = sink.entries.lock();
    let bytes = [&entries[0].head[..], &entries[0].body[..]].concat();
    let read = log.read(0, 1_000, true, Bound::LogEnd).unwrap();
    assert_eq!(bytes, &read.records[..]);
}

#[test]
fn a_duplicate_is_not_journaled_again() {
    let (log, _, sink) = journaled();
    let spec = Spec {
        producer: Some((5, 0, 0)),
        ..Spec::plain(1, 10)
    };
    log.append(spec.batch(), 0).unwrap();
    assert!(log.append(spec.batch(), 0).unwrap().duplicate);
    assert_eq!(sink.entries.lock().len(), 1);
}

#[test]
fn a_failed_journal_ends_appends_and_not_reads() {
    let (log, heard, sink) = journaled();
    log.append(Spec::plain(3, 10).batch(), 0).unwrap();
    log.commit(3);
    *sink.broken.lock() = true;
    for _ in 0..2 {
        let refused = log.append(Spec::plain(1, 10).batch(), 0);
        assert!(matches!(refused, Err(AppendError::Failed(_))));
    }
    *sink.broken.lock() = false;
    assert!(log.append(Spec::plain(1, 10).batch(), 0).is_err());
    assert!(matches!(log.flush(), Err(ChangeError::Failed(_))));
    assert!(matches!(log.close(), Err(ChangeError::Failed(_))));
    assert_eq!(heard.failures.load(Ordering::SeqCst), 1);
    assert_eq!(
        log.read(0, 1_000, true, Bound::HighWatermark)
            .unwrap()
            .next_offset,
        3
    );
}

#[test]
fn a_listener_that_comes_late_hears_of_the_failure() {
    let (log, _, _) = journaled();
    log.fail(Failed::new("first"));
    log.fail(Failed::new("second"));
    let late = Arc::new(Heard::default());
    log.set_listener(Arc::clone(&late) as _);
    assert_eq!(late.failures.load(Ordering::SeqCst), 1);
    assert_eq!(&*log.failure().unwrap().reason, "first");
}

#[test]
fn a_closed_log_takes_nothing_and_serves_reads() {
    let (log, heard) = open_on(Arc::new(MemoryDisk::durable()), None);
    log.append(Spec::plain(1, 10).batch(), 0).unwrap();
    assert_eq!(heard.high_watermark.load(Ordering::SeqCst), 1);
    log.close().unwrap();
    log.close().unwrap();
    let refused = log.append(Spec::plain(1, 10).batch(), 0);
    assert!(matches!(refused, Err(AppendError::Closed)));
    assert!(matches!(log.flush(), Err(ChangeError::Closed)));
    assert_eq!(read_all(&log, 1), [(0, 0)]);
}

/// A disk in memory whose writes of batches stop in the middle, and whose cuts can fail too.
#[derive(Clone)]
struct TearingDisk {
    disk: MemoryDisk,
    tears: Arc<AtomicBool>,
    refuses_cuts: Arc<AtomicBool>,
    refuses_syncs: Arc<AtomicBool>,
}

struct TearingFile {
    file: Arc<dyn DiskFile>,
    of: TearingDisk,
}

impl TearingDisk {
    fn new() -> Self {
        Self {
            disk: MemoryDisk::durable(),
            tears: Arc::default(),
            refuses_cuts: Arc::default(),
            refuses_syncs: Arc::default(),
        }
    }
}

impl Disk for TearingDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(TearingFile {
            file: self.disk.open(path, mode)?,
            of: self.clone(),
        }))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.disk.lock(path)
    }
}

impl DiskFile for TearingFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        if self.of.tears.swap(false, Ordering::SeqCst) {
            self.file.write_at(offset, &parts[..1])?;
            return Err(io::Error::other("torn"));
        }
        self.file.write_at(offset, parts)
    }
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.file.read_at(offset, len)
    }
    fn is_resident(&self, offset: u64, len: usize) -> bool {
        self.file.is_resident(offset, len)
    }
    fn reserve(&self, len: u64) -> io::Result<()> {
        self.file.reserve(len)
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        if self.of.refuses_cuts.load(Ordering::SeqCst) {
            return Err(io::Error::other("no cut"));
        }
        self.file.truncate(len)
    }
    fn sync(&self) -> io::Result<()> {
        if self.of.refuses_syncs.load(Ordering::SeqCst) {
            return Err(io::Error::other("no sync"));
        }
        self.file.sync()
    }
}

#[test]
fn a_torn_write_is_cut_and_fails_that_append_only() {
    let disk = TearingDisk::new();
    let (log, heard) = open_on(Arc::new(disk.clone()), None);
    let spec = |sequence| Spec {
        producer: Some((5, 0, sequence)),
        ..Spec::plain(1, 10)
    };
    log.append(spec(0).batch(), 0).unwrap();
    disk.tears.store(true, Ordering::SeqCst);
    let torn = log.append(spec(1).batch(), 0);
    assert!(matches!(torn, Err(AppendError::Disk(_))));
    assert_eq!(log.offsets().log_end_offset, 1);
    // The producer tries again and is not told that it skipped a sequence or sent it twice.
    assert!(!log.append(spec(1).batch(), 0).unwrap().duplicate);
    assert_eq!(read_all(&log, 1), [(0, 0), (1, 1)]);
    assert_eq!(heard.failures.load(Ordering::SeqCst), 0);
}

#[test]
fn a_torn_write_that_cannot_be_cut_fails_the_log() {
    let disk = TearingDisk::new();
    let (log, heard) = open_on(Arc::new(disk.clone()), None);
    log.append(Spec::plain(1, 10).batch(), 0).unwrap();
    disk.tears.store(true, Ordering::SeqCst);
    disk.refuses_cuts.store(true, Ordering::SeqCst);
    let torn = log.append(Spec::plain(1, 10).batch(), 0);
    assert!(matches!(torn, Err(AppendError::Failed(_))));
    disk.refuses_cuts.store(false, Ordering::SeqCst);
    assert!(log.append(Spec::plain(1, 10).batch(), 0).is_err());
    assert_eq!(heard.failures.load(Ordering::SeqCst), 1);
    assert_eq!(read_all(&log, 1), [(0, 0)]);
    drop(log);
    let tail = Tail::Scan {
        from: 0,
        at_least: 1,
    };
    assert_eq!(
        read_all(&open(&disk.disk, LogConfig::default(), tail), 1),
        [(0, 0)]
    );
}

#[test]
fn a_failed_sync_is_final() {
    let disk = TearingDisk::new();
    let (log, heard) = open_on(Arc::new(disk.clone()), None);
    log.set_config(LogConfig {
        durability: Durability::PageCache {
            messages: u64::MAX,
            interval: None,
        },
        ..LogConfig::default()
    });
    log.append(Spec::plain(1, 10).batch(), 0).unwrap();
    disk.refuses_syncs.store(true, Ordering::SeqCst);
    assert!(matches!(log.flush(), Err(ChangeError::Failed(_))));
    disk.refuses_syncs.store(false, Ordering::SeqCst);
    assert!(matches!(log.flush(), Err(ChangeError::Failed(_))));
    assert!(log.append(Spec::plain(1, 10).batch(), 0).is_err());
    assert_eq!(heard.failures.load(Ordering::SeqCst), 1);
}
