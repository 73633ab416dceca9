//! Loss of power of real files: what threads do to a real directory is recorded as it is done, and
//! directories are made of what a crash may leave of it, and opened.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;

use bytes::Bytes;
use ottla_storage::disk::simulated::{SimulatedDisk, Snapshot};
use ottla_storage::disk::{DirEntry, Disk, DiskFile, DiskLock, OpenMode, OsDisk};
use ottla_storage::error::Failed;
use ottla_storage::log::{Log, LogIdentity, LogListener};
use ottla_storage::store::{Store, StoreOptions};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::ledger::{Sent, Topic, index};
use crate::transactions::{Producer, next_batch};
use crate::world::{options, settings};

/// Writers, each with a topic of its own.
const WRITERS: [&str; 3] = ["x", "y", "z"];
/// Moments at which the power may go, and losses made of each.
const MOMENTS: usize = 8;
const LOSSES: usize = 8;

/// Real files, of which everything that is done is done to a simulated disk as well.
#[derive(Clone)]
pub(crate) struct RecordingDisk {
    root: PathBuf,
    real: OsDisk,
    model: SimulatedDisk,
    /// Both at once, so that the order is the same.
    one: Arc<Mutex<()>>,
}

struct RecordingFile {
    real: Arc<dyn DiskFile>,
    model: Arc<dyn DiskFile>,
    one: Arc<Mutex<()>>,
}

impl RecordingDisk {
    /// Real files below `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            real: OsDisk::new(),
            model: SimulatedDisk::new(),
            one: Arc::default(),
        }
    }

    /// What is done to the real files is done to this, in the same order.
    pub(crate) fn model(&self) -> SimulatedDisk {
        self.model.clone()
    }

    /// A path of the model; `None` for what lies above the root.
    fn below(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(&self.root).ok().map(Path::to_owned)
    }

    fn both<T>(
        &self,
        path: &Path,
        real: impl FnOnce(&OsDisk) -> io::Result<T>,
        model: impl FnOnce(&SimulatedDisk, &Path) -> io::Result<()>,
    ) -> io::Result<T> {
        let _one = self.one.lock();
        let done = real(&self.real)?;
        if let Some(path) = self.below(path) {
            model(&self.model, &path)?;
        }
        Ok(done)
    }
}

impl Disk for RecordingDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let _one = self.one.lock();
        let real = self.real.open(path, mode)?;
        let path = self.below(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(RecordingFile {
            real,
            model: self.model.open(&path, mode)?,
            one: Arc::clone(&self.one),
        }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.real.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.both(
            dir,
            |real| real.create_dir(dir),
            |model, dir| model.create_dir(dir),
        )
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let below = self.below(to).ok_or(io::ErrorKind::NotFound)?;
        self.both(
            from,
            |real| real.rename(from, to),
            |model, from| model.rename(from, &below),
        )
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.both(
            path,
            |real| real.remove(path),
            |model, path| model.remove(path),
        )
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.both(
            dir,
            |real| real.sync_dir(dir),
            |model, dir| model.sync_dir(dir),
        )
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.both(
            path,
            |real| real.lock(path),
            |model, path| model.open(path, OpenMode::Any).map(drop),
        )
    }
}

impl DiskFile for RecordingFile {
    fn size(&self) -> io::Result<u64> {
        self.real.size()
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let _one = self.one.lock();
        self.real.write_at(offset, parts)?;
        self.model.write_at(offset, parts)
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.real.read_at(offset, len)
    }

    fn is_resident(&self, offset: u64, len: usize) -> bool {
        self.real.is_resident(offset, len)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.real.reserve(len)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let _one = self.one.lock();
        self.real.truncate(len)?;
        self.model.truncate(len)
    }

    fn sync(&self) -> io::Result<()> {
        let _one = self.one.lock();
        self.real.sync()?;
        self.model.sync()
    }
}

fn open(disk: Arc<dyn Disk>, dir: &Path) -> Store {
    let options = StoreOptions {
        threads: true,
        ..options(true)
    };
    Store::open(disk, dir, options).expect("a directory that can be opened")
}

/// A topic with its one writer.
#[derive(Default)]
struct Writer {
    sent: Mutex<Topic>,
    acknowledged: AtomicI64,
}

struct Witness(Arc<Writer>);

impl LogListener for Witness {
    fn high_watermark_moved(&self, high_watermark: i64) {
        self.0
            .acknowledged
            .fetch_max(high_watermark, Ordering::AcqRel);
    }

    fn failed(&self, failed: &Failed) {
        panic!("{failed}");
    }
}

fn write(log: &Log, writer: &Writer, round: usize) {
    let body = Bytes::from(vec![b'.'; 50 + round * 37 % 900]);
    let append = {
        let mut topic = writer.sent.lock();
        let now_ms = i64::try_from(round).expect("a time");
        let sent = next_batch(&topic, Producer::Idempotent, 0, now_ms, &body);
        topic.sent.push(sent.clone());
        sent.append
    };
    log.append(append, 0).expect("an append");
}

/// What the power may leave, and what was acknowledged before.
struct Moment {
    acknowledged: BTreeMap<&'static str, i64>,
    snapshot: Snapshot,
}

/// Writes with threads to real files, and keeps some moments of it.
fn record(root: &Path) -> (Vec<Moment>, BTreeMap<&'static str, Vec<Sent>>) {
    let disk = RecordingDisk::new(root);
    let store = open(Arc::new(disk.clone()), &root.join("data"));
    let mut writers = BTreeMap::new();
    for (name, id) in WRITERS.into_iter().zip(1..) {
        let identity = LogIdentity {
            topic: name.to_owned(),
            topic_id: Uuid::from_u128(id),
            partition: 0,
        };
        let log = store.create_log(identity, settings(name, true));
        let log = log.expect("a new log");
        let writer = Arc::new(Writer::default());
        log.set_listener(Arc::new(Witness(Arc::clone(&writer))));
        writers.insert(name, (log, writer));
    }
    let done = AtomicBool::new(false);
    let mut moments = Vec::new();
    thread::scope(|scope| {
        for (log, writer) in writers.values() {
            let done = &done;
            scope.spawn(move || {
                for round in 0.. {
                    if done.load(Ordering::Acquire) {
                        return;
                    }
                    write(log, writer, round);
                }
            });
        }
        let total = || -> i64 {
            let acknowledged = writers.values();
            acknowledged
                .map(|(_, writer)| writer.acknowledged.load(Ordering::Acquire))
                .sum()
        };
        for number in 0..MOMENTS {
            let wanted = total() + 10;
            while total() < wanted {
                thread::yield_now();
            }
            if number % 4 == 3 {
                store.checkpoint().expect("a checkpoint");
            }
            let acknowledged = writers
                .iter()
                .map(|(name, (_, writer))| (*name, writer.acknowledged.load(Ordering::Acquire)))
                .collect();
            let _one = disk.one.lock();
            moments.push(Moment {
                acknowledged,
                snapshot: disk.model.snapshot(),
            });
        }
        done.store(true, Ordering::Release);
    });
    let sent = writers
        .into_iter()
        .map(|(name, (_, writer))| (name, writer.sent.lock().sent.clone()));
    (moments, sent.collect())
}

/// Makes real files of a simulated disk.
pub(crate) fn restore(disk: &SimulatedDisk, from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in disk.list(from).expect("a directory") {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        if entry.is_dir {
            restore(disk, &from, &to);
            continue;
        }
        let file = disk.open(&from, OpenMode::Existing).expect("a file");
        let len = usize::try_from(file.size().expect("a size")).expect("a length");
        let bytes = file.read_at(0, len).expect("its bytes");
        fs::write(to, bytes).expect("a file");
    }
}

#[test]
fn what_was_acknowledged_of_real_files_survives_the_loss_of_power() {
    let dir = tempfile::tempdir().expect("a directory");
    let (moments, sent) = record(dir.path());
    let mut states = 0;
    for (moment, seed) in moments.iter().zip(1..) {
        for loss in moment.snapshot.losses(LOSSES, seed) {
            let dir = tempfile::tempdir().expect("a directory");
            let data = dir.path().join("data");
            restore(&moment.snapshot.crash(loss), Path::new("data"), &data);
            let store = open(Arc::new(OsDisk::new()), &data);
            assert!(
                store.quarantined().is_empty(),
                "{loss:?}: {:?}",
                store.quarantined()
            );
            for (name, acknowledged) in &moment.acknowledged {
                let Some(log) = store.log(name, 0) else {
                    panic!("{loss:?}: {name} is gone");
                };
                let end = log.offsets().high_watermark;
                assert!(
                    end >= *acknowledged,
                    "{loss:?}: {name} ends at {end} of {acknowledged}"
                );
                let topic = Topic {
                    sent: sent[name][..index(end)].to_vec(),
                    ..Topic::default()
                };
                topic
                    .look(&log)
                    .unwrap_or_else(|error| panic!("{loss:?}: {name}: {error}"));
            }
            states += 1;
        }
    }
    eprintln!("{states} states of {} moments of real files", moments.len());
}
