//! A disk in memory that lies as real ones do: it forgets what was not synced, tears and reorders
//! writes, fails when it is told to, and turns bits over. For tests, of this crate and of others.
//!
//! Every change since the last sync is kept, so that a crash can be made of any moment: see
//! [`Snapshot`]. Faults hit the calls that they name; see [`Fault`].
//!
//! ```
//! use std::io::IoSlice;
//! use std::path::Path;
//! use ottla_storage::disk::simulated::{Loss, SimulatedDisk};
//! use ottla_storage::disk::{Disk, OpenMode};
//!
//! let disk = SimulatedDisk::new();
//! let file = disk.open(Path::new("file"), OpenMode::New)?;
//! disk.sync_dir(Path::new(""))?;
//! file.write_at(0, &[IoSlice::new(b"kept")])?;
//! file.sync()?;
//! file.write_at(4, &[IoSlice::new(b" or not")])?;
//! for loss in disk.snapshot().losses(10, 1) {
//!     let crashed = disk.snapshot().crash(loss);
//!     let file = crashed.open(Path::new("file"), OpenMode::Existing)?;
//!     assert_eq!(file.read_at(0, 4)?, "kept", "{loss:?}");
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
#![allow(
    clippy::indexing_slicing,
    reason = "a fault of the simulation ends the test, as it should"
)]

mod crash;
mod fault;
mod node;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::{Condvar, Mutex};

pub use self::crash::{Loss, SECTORS, Snapshot};
use self::fault::Armed;
pub use self::fault::{Call, Fault, FaultKind, Operation};
use self::node::{FileChange, Image, Node, not_found};
use super::{DirEntry, Disk, DiskFile, DiskLock, OpenMode};

/// Called after each call, in the thread that made it, without a lock held.
pub type Observer = Arc<dyn Fn(&Call) + Send + Sync>;

struct State {
    image: Image,
    locks: BTreeSet<PathBuf>,
    /// Rises when the process or the machine ends: what was open before is dead.
    generation: u64,
    faults: Vec<Armed>,
    /// Files whose path contains this cannot grow or be created.
    full: Option<String>,
    /// Syncs of files whose path contains this wait.
    held: Option<String>,
    dies_at: Option<u64>,
    /// Calls so far: all, changes, syncs.
    calls: u64,
    changes: u64,
    syncs: u64,
    /// How long calls take, and have taken, in a time that does not pass.
    delays: BTreeMap<Operation, Duration>,
    elapsed: Duration,
    observer: Option<Observer>,
}

/// See the module. Clones share the state.
#[derive(Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
    /// Syncs are no longer held.
    let_go: Arc<Condvar>,
}

impl Default for SimulatedDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedDisk").finish_non_exhaustive()
    }
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::with_image(Image::new())
    }

    fn with_image(image: Image) -> Self {
        let state = State {
            image,
            locks: BTreeSet::new(),
            generation: 0,
            faults: Vec::new(),
            full: None,
            held: None,
            dies_at: None,
            calls: 0,
            changes: 0,
            syncs: 0,
            delays: BTreeMap::new(),
            elapsed: Duration::ZERO,
            observer: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            let_go: Arc::default(),
        }
    }

    /// The disk as it is now, to make crashes of.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            image: self.state.lock().image.clone(),
        }
    }

    /// Has `observer` called after each call.
    pub fn observe(&self, observer: Observer) {
        self.state.lock().observer = Some(observer);
    }

    /// Takes the power away and gives it back: open files and locks are dead, faults are gone.
    pub fn lose_power(&self, loss: Loss) {
        let mut state = self.state.lock();
        state.image = state.image.crash(loss);
        state.revive();
        self.let_go.notify_all();
    }

    /// Ends the process: what was written stays, open files and locks are dead, faults are gone.
    pub fn kill(&self) {
        self.state.lock().revive();
        self.let_go.notify_all();
    }

    /// All operations from the `n`th change on fail, until the power is lost or the process killed.
    pub fn die_after(&self, n: u64) {
        let mut state = self.state.lock();
        let at = state.changes + n;
        state.dies_at = Some(state.dies_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Adds a fault.
    pub fn inject(&self, fault: Fault) {
        self.state.lock().faults.push(Armed::new(fault));
    }

    /// Ends all faults, and lets held syncs go.
    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.faults.clear();
        state.full = None;
        state.held = None;
        self.let_go.notify_all();
    }

    /// Reads of files whose path contains `pattern` fail.
    pub fn fail_reads(&self, pattern: &str) {
        self.inject(Fault {
            operation: Some(Operation::Read),
            path: pattern.to_owned(),
            after: 0,
            kind: FaultKind::Io,
            lasting: true,
        });
    }

    /// Syncs of files whose path contains `pattern` wait until [`SimulatedDisk::let_syncs_go`].
    pub fn hold_syncs(&self, pattern: &str) {
        self.state.lock().held = Some(pattern.to_owned());
    }

    /// Undoes [`SimulatedDisk::hold_syncs`].
    pub fn let_syncs_go(&self) {
        self.state.lock().held = None;
        self.let_go.notify_all();
    }

    /// From now on, each such call takes so long. Nobody waits: the time adds up in
    /// [`SimulatedDisk::elapsed`], for who has a clock to move.
    pub fn slow_down(&self, operation: Operation, by: Duration) {
        self.state.lock().delays.insert(operation, by);
    }

    /// How long all calls took together.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.state.lock().elapsed
    }

    /// Files whose path contains `pattern` cannot grow or be created.
    pub fn fill(&self, pattern: &str) {
        self.state.lock().full = Some(pattern.to_owned());
    }

    /// Undoes [`SimulatedDisk::fill`].
    pub fn make_room(&self) {
        self.state.lock().full = None;
    }

    /// Syncs of files and directories whose path contains `pattern` fail; those of files lose what they
    /// should have made durable.
    pub fn fail_syncs(&self, pattern: &str) {
        for operation in [Operation::Sync, Operation::SyncDir] {
            self.inject(Fault {
                operation: Some(operation),
                path: pattern.to_owned(),
                after: 0,
                kind: FaultKind::LostSync,
                lasting: true,
            });
        }
    }

    /// All calls so far, those that failed included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// File and directory syncs so far.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// Changes the bytes of a file, durably and behind the back of all who have it open.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock();
        let Ok(Node::File(id)) = state.image.find(path) else {
            panic!("no file {}", path.display());
        };
        let file = &mut state.image.files[id];
        change(Arc::make_mut(&mut file.current));
        file.durable = Arc::clone(&file.current);
        file.unsynced.clear();
    }

    /// Turns one bit of a file over; see [`SimulatedDisk::damage`].
    ///
    /// # Panics
    /// When the file has no such bit.
    pub fn flip(&self, path: &Path, bit: usize) {
        self.damage(path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
    }

    /// Does one call: counts it, fails it if it must, and tells the observer.
    fn perform<T>(
        &self,
        operation: Operation,
        path: &Path,
        act: impl FnOnce(&mut State, Option<FaultKind>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state.lock();
        let number = state.calls;
        let begun = state.begin(operation, path);
        let done = begun.and_then(|fault| act(&mut state, fault));
        let observer = state.observer.clone();
        drop(state);
        if let Some(observer) = observer {
            observer(&Call {
                number,
                operation,
                path: path.to_owned(),
                failed: done.is_err(),
            });
        }
        done
    }
}

impl State {
    fn revive(&mut self) {
        self.generation += 1;
        self.locks.clear();
        self.full = None;
        self.held = None;
        self.faults.clear();
        self.dies_at = None;
    }

    /// Counts a call. Answers how it half fails; one that fails as a whole is an error.
    fn begin(&mut self, operation: Operation, path: &Path) -> io::Result<Option<FaultKind>> {
        self.calls += 1;
        self.elapsed += self.delays.get(&operation).copied().unwrap_or_default();
        if self.dies_at.is_some_and(|at| self.changes >= at) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.changes += u64::from(operation.is_change());
        self.syncs += u64::from(matches!(operation, Operation::Sync | Operation::SyncDir));
        let strikes = self.faults.iter_mut();
        let kind = strikes.fold(None, |kind, fault| fault.strike(operation, path).or(kind));
        match (kind, operation) {
            (None, _) => Ok(None),
            (Some(FaultKind::ShortWrite), Operation::Write)
            | (Some(FaultKind::LostSync), Operation::Sync) => Ok(kind),
            (Some(kind), _) => Err(kind.error()),
        }
    }

    fn room(&self, path: &Path) -> io::Result<()> {
        if names(self.full.as_ref(), path) {
            return Err(FaultKind::Full.error());
        }
        Ok(())
    }

    fn holds(&self, path: &Path) -> bool {
        names(self.held.as_ref(), path)
    }

    fn open(&mut self, path: &Path, mode: OpenMode) -> io::Result<usize> {
        let (dir, name) = self.image.parent(path)?;
        let found = self.image.dirs[dir].current.get(&name).copied();
        match (found, mode) {
            (Some(Node::Dir(_)), _) => Err(io::ErrorKind::IsADirectory.into()),
            (Some(Node::File(_)), OpenMode::New) => Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Node::File(id)), _) => Ok(id),
            (None, OpenMode::Existing) => Err(not_found()),
            (None, _) => {
                self.room(path)?;
                Ok(self.image.create_file(dir, name))
            }
        }
    }
}

fn names(pattern: Option<&String>, path: &Path) -> bool {
    pattern.is_some_and(|pattern| path.to_string_lossy().contains(pattern.as_str()))
}

impl Disk for SimulatedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let is_there = self.state.lock().image.find(path).is_ok();
        let operation = if is_there || mode == OpenMode::Existing {
            Operation::Open
        } else {
            Operation::Create
        };
        let (id, generation) = self.perform(operation, path, |state, _| {
            Ok((state.open(path, mode)?, state.generation))
        })?;
        Ok(Arc::new(SimulatedFile {
            disk: self.clone(),
            path: path.to_owned(),
            generation,
            id,
        }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.perform(Operation::List, dir, |state, _| {
            let dir = state.image.dir(dir)?;
            let entries = state.image.dirs[dir].current.iter();
            let entries = entries.map(|(name, node)| DirEntry {
                name: name.clone(),
                is_dir: matches!(node, Node::Dir(_)),
            });
            Ok(entries.collect())
        })
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.perform(Operation::CreateDir, dir, |state, _| {
            state.image.create_dir(dir)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.perform(Operation::Rename, to, |state, _| {
            state.image.rename(from, to)
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.perform(Operation::Remove, path, |state, _| state.image.remove(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.perform(Operation::SyncDir, dir, |state, _| {
            let id = state.image.dir(dir)?;
            state.image.dirs[id].sync();
            Ok(())
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        drop(self.open(path, OpenMode::Any)?);
        let mut state = self.state.lock();
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimulatedLock {
            disk: self.clone(),
            path: path.to_owned(),
            generation: state.generation,
        }))
    }
}

struct SimulatedLock {
    disk: SimulatedDisk,
    path: PathBuf,
    generation: u64,
}

impl DiskLock for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if state.generation == self.generation {
            state.locks.remove(&self.path);
        }
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    path: PathBuf,
    generation: u64,
    id: usize,
}

impl SimulatedFile {
    fn perform<T>(
        &self,
        operation: Operation,
        act: impl FnOnce(&mut State, Option<FaultKind>) -> io::Result<T>,
    ) -> io::Result<T> {
        {
            let mut state = self.disk.state.lock();
            while operation == Operation::Sync && state.holds(&self.path) {
                self.disk.let_go.wait(&mut state);
            }
            if state.generation != self.generation {
                return Err(io::Error::other("the file was opened before the crash"));
            }
        }
        self.disk.perform(operation, &self.path, act)
    }
}

impl DiskFile for SimulatedFile {
    fn size(&self) -> io::Result<u64> {
        self.perform(Operation::Size, |state, _| {
            Ok(state.image.files[self.id].current.len() as u64)
        })
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        self.perform(Operation::Write, |state, fault| {
            let mut bytes = BytesMut::new();
            for part in parts {
                bytes.extend_from_slice(part);
            }
            let file = &state.image.files[self.id];
            let covered = file.reserved.max(file.current.len() as u64);
            if (at + bytes.len()) as u64 > covered {
                state.room(&self.path)?;
            }
            if fault.is_some() {
                bytes.truncate(bytes.len() / 2);
            }
            let number = state.image.number();
            let bytes = bytes.freeze();
            state.image.files[self.id].change(number, FileChange::Write { at, bytes });
            fault.map_or(Ok(()), |kind| Err(kind.error()))
        })
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        self.perform(Operation::Read, |state, _| {
            let range = start..start.saturating_add(len);
            let bytes = state.image.files[self.id].current.get(range);
            let eof = || io::Error::from(io::ErrorKind::UnexpectedEof);
            Ok(Bytes::copy_from_slice(bytes.ok_or_else(eof)?))
        })
    }

    fn is_resident(&self, _offset: u64, _len: usize) -> bool {
        true
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.perform(Operation::Reserve, |state, _| {
            let file = &state.image.files[self.id];
            if len > file.reserved.max(file.current.len() as u64) {
                state.room(&self.path)?;
                state.image.files[self.id].reserved = len;
            }
            Ok(())
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let new_len = usize::try_from(len).map_err(io::Error::other)?;
        self.perform(Operation::Truncate, |state, _| {
            let number = state.image.number();
            let file = &mut state.image.files[self.id];
            if file.current.len() != new_len {
                file.change(number, FileChange::SetLen(new_len));
            }
            file.reserved = file.reserved.min(len);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.perform(Operation::Sync, |state, fault| {
            let file = &mut state.image.files[self.id];
            if let Some(kind) = fault {
                file.unsynced.clear();
                return Err(kind.error());
            }
            file.sync();
            Ok(())
        })
    }
}
