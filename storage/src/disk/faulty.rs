//! A disk in memory that forgets what was not synced, and fails when it is told to. For tests.
//!
//! Files keep what a sync made durable beside what was written; directories likewise. A power
//! loss takes every file back to its durable bytes, or page by page to either, as a seed says.

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that panics has failed, which is what it is for"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{DirEntry, Disk, DiskFile, DiskLock, OpenMode};

const PAGE: usize = 4096;
const ROOT: usize = 0;

/// What survives of the writes that no sync covered.
#[derive(Debug, Clone, Copy)]
pub enum Unsynced {
    /// Nothing.
    Lost,
    /// Each page by itself, as the seed says.
    Torn(u64),
}

#[derive(Default)]
struct FileNode {
    current: Vec<u8>,
    durable: Vec<u8>,
    reserved: u64,
}

#[derive(Default, Clone)]
struct Entries(BTreeMap<String, Node>);

#[derive(Default)]
struct DirNode {
    current: Entries,
    durable: Entries,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(usize),
    Dir(usize),
}

/// What goes wrong with files whose path contains the text.
#[derive(Default)]
struct Faults {
    full: Option<String>,
    failing_sync: Option<String>,
    held_sync: Option<String>,
    failing_read: Option<String>,
}

fn hits(fault: Option<&String>, path: &Path) -> bool {
    fault.is_some_and(|pattern| path.to_string_lossy().contains(pattern.as_str()))
}

struct State {
    files: Vec<FileNode>,
    dirs: Vec<DirNode>,
    locks: BTreeSet<PathBuf>,
    generation: u64,
    faults: Faults,
    operations: u64,
    dies_at: Option<u64>,
    syncs: u64,
}

/// See the module. Clones share the state.
#[derive(Clone)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
    /// Syncs are no longer held.
    let_go: Arc<Condvar>,
}

impl Default for FaultyDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyDisk").finish_non_exhaustive()
    }
}

impl FaultyDisk {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        let state = State {
            files: Vec::new(),
            dirs: vec![DirNode::default()],
            locks: BTreeSet::new(),
            generation: 0,
            faults: Faults::default(),
            operations: 0,
            dies_at: None,
            syncs: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            let_go: Arc::default(),
        }
    }

    /// Takes the power away and gives it back: open files and locks are dead, faults are gone.
    pub fn lose_power(&self, unsynced: Unsynced) {
        let mut state = self.state.lock();
        let mut random = match unsynced {
            Unsynced::Lost => None,
            Unsynced::Torn(seed) => Some(seed | 1),
        };
        for dir in &mut state.dirs {
            dir.current = dir.durable.clone();
        }
        for file in &mut state.files {
            file.lose_power(random.as_mut());
        }
        state.revive();
        self.let_go.notify_all();
    }

    /// Ends the process: what was written stays, open files and locks are dead.
    pub fn kill(&self) {
        self.state.lock().revive();
        self.let_go.notify_all();
    }

    /// All operations from the `n`th modifying one on fail, until the power is lost or the
    /// process killed.
    pub fn die_after(&self, n: u64) {
        let mut state = self.state.lock();
        let at = state.operations + n;
        state.dies_at = Some(state.dies_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Files whose path contains `pattern` cannot grow or be created.
    pub fn fill(&self, pattern: &str) {
        self.state.lock().faults.full = Some(pattern.to_owned());
    }

    /// Undoes [`FaultyDisk::fill`].
    pub fn make_room(&self) {
        self.state.lock().faults.full = None;
    }

    /// Syncs of files whose path contains `pattern` fail.
    pub fn fail_syncs(&self, pattern: &str) {
        self.state.lock().faults.failing_sync = Some(pattern.to_owned());
    }

    /// Syncs of files whose path contains `pattern` wait until [`FaultyDisk::let_syncs_go`].
    pub fn hold_syncs(&self, pattern: &str) {
        self.state.lock().faults.held_sync = Some(pattern.to_owned());
    }

    /// Undoes [`FaultyDisk::hold_syncs`].
    pub fn let_syncs_go(&self) {
        self.state.lock().faults.held_sync = None;
        self.let_go.notify_all();
    }

    /// Reads of files whose path contains `pattern` fail.
    pub fn fail_reads(&self, pattern: &str) {
        self.state.lock().faults.failing_read = Some(pattern.to_owned());
    }

    /// Undoes [`FaultyDisk::fail_reads`].
    pub fn mend_reads(&self) {
        self.state.lock().faults.failing_read = None;
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
        let Ok(Node::File(id)) = state.find(path) else {
            panic!("no file {}", path.display());
        };
        let file = &mut state.files[id];
        change(&mut file.current);
        file.durable = file.current.clone();
    }
}

impl FileNode {
    fn lose_power(&mut self, random: Option<&mut u64>) {
        self.reserved = 0;
        let Some(random) = random else {
            self.current = self.durable.clone();
            return;
        };
        let len = if next(random) & 1 == 0 {
            self.durable.len()
        } else {
            self.current.len()
        };
        let mut kept = self.durable.clone();
        kept.resize(len, 0);
        for (at, page) in kept.chunks_mut(PAGE).enumerate() {
            let written = self.current.get(at * PAGE..).unwrap_or_default();
            if next(random) & 1 == 0 {
                let len = page.len().min(written.len());
                page[..len].copy_from_slice(&written[..len]);
            }
        }
        self.current = kept.clone();
        self.durable = kept;
    }
}

fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random >> 20
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn dead() -> io::Error {
    io::Error::other("the disk is gone")
}

impl State {
    fn revive(&mut self) {
        self.generation += 1;
        self.locks.clear();
        self.faults = Faults::default();
        self.dies_at = None;
    }

    fn is_dead(&self) -> bool {
        self.dies_at.is_some_and(|at| self.operations >= at)
    }

    fn read(&self) -> io::Result<()> {
        if self.is_dead() { Err(dead()) } else { Ok(()) }
    }

    fn modify(&mut self) -> io::Result<()> {
        self.read()?;
        self.operations += 1;
        Ok(())
    }

    fn room(&self, path: &Path) -> io::Result<()> {
        if hits(self.faults.full.as_ref(), path) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync(&mut self, path: &Path) -> io::Result<()> {
        self.modify()?;
        self.syncs += 1;
        if hits(self.faults.failing_sync.as_ref(), path) {
            return Err(io::Error::other("sync failed"));
        }
        Ok(())
    }

    fn find(&self, path: &Path) -> io::Result<Node> {
        let mut node = Node::Dir(ROOT);
        for name in names(path) {
            let Node::Dir(dir) = node else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            node = *self.dirs[dir].current.0.get(&name).ok_or_else(not_found)?;
        }
        Ok(node)
    }

    fn dir(&self, path: &Path) -> io::Result<usize> {
        match self.find(path)? {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn parent(&self, path: &Path) -> io::Result<(usize, String)> {
        let mut names = names(path);
        let name = names.pop().ok_or_else(not_found)?;
        Ok((self.dir(&names.iter().collect::<PathBuf>())?, name))
    }
}

fn names(path: &Path) -> Vec<String> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect()
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.read()?;
        let (dir, name) = state.parent(path)?;
        let found = state.dirs[dir].current.0.get(&name).copied();
        let id = match (found, mode) {
            (Some(Node::Dir(_)), _) => return Err(io::ErrorKind::IsADirectory.into()),
            (Some(Node::File(_)), OpenMode::New) => {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            (Some(Node::File(id)), _) => id,
            (None, OpenMode::Existing) => return Err(not_found()),
            (None, _) => {
                state.modify()?;
                state.room(path)?;
                state.files.push(FileNode::default());
                let id = state.files.len() - 1;
                state.dirs[dir].current.0.insert(name, Node::File(id));
                id
            }
        };
        Ok(Arc::new(FaultyFile {
            disk: self.clone(),
            path: path.to_owned(),
            generation: state.generation,
            id,
        }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.state.lock();
        state.read()?;
        let dir = state.dir(dir)?;
        let entries = state.dirs[dir]
            .current
            .0
            .iter()
            .map(|(name, node)| DirEntry {
                name: name.clone(),
                is_dir: matches!(node, Node::Dir(_)),
            });
        Ok(entries.collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.modify()?;
        let mut at = ROOT;
        for name in names(dir) {
            at = match state.dirs[at].current.0.get(&name) {
                Some(Node::Dir(found)) => *found,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    state.dirs.push(DirNode::default());
                    let id = state.dirs.len() - 1;
                    state.dirs[at].current.0.insert(name, Node::Dir(id));
                    id
                }
            };
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.modify()?;
        let (from_dir, from_name) = state.parent(from)?;
        let (to_dir, to_name) = state.parent(to)?;
        let entries = &mut state.dirs[from_dir].current.0;
        let node = entries.remove(&from_name).ok_or_else(not_found)?;
        state.dirs[to_dir].current.0.insert(to_name, node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.modify()?;
        let (dir, name) = state.parent(path)?;
        let entries = &mut state.dirs[dir].current.0;
        entries.remove(&name).map(drop).ok_or_else(not_found)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.sync(dir)?;
        let dir = state.dir(dir)?;
        let node = &mut state.dirs[dir];
        node.durable = node.current.clone();
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        drop(self.open(path, OpenMode::Any)?);
        let mut state = self.state.lock();
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(FaultyLock {
            disk: self.clone(),
            path: path.to_owned(),
            generation: state.generation,
        }))
    }
}

struct FaultyLock {
    disk: FaultyDisk,
    path: PathBuf,
    generation: u64,
}

impl DiskLock for FaultyLock {}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if state.generation == self.generation {
            state.locks.remove(&self.path);
        }
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    generation: u64,
    id: usize,
}

impl FaultyFile {
    fn with<T>(&self, act: impl FnOnce(&mut State, usize) -> io::Result<T>) -> io::Result<T> {
        self.with_locked(self.disk.state.lock(), act)
    }

    fn with_locked<T>(
        &self,
        mut state: MutexGuard<'_, State>,
        act: impl FnOnce(&mut State, usize) -> io::Result<T>,
    ) -> io::Result<T> {
        if state.generation != self.generation {
            return Err(dead());
        }
        act(&mut state, self.id)
    }
}

impl DiskFile for FaultyFile {
    fn size(&self) -> io::Result<u64> {
        self.with(|state, id| {
            state.read()?;
            Ok(state.files[id].current.len() as u64)
        })
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.with(|state, id| {
            state.modify()?;
            let len: usize = parts.iter().map(|part| part.len()).sum();
            let start = usize::try_from(offset).map_err(io::Error::other)?;
            let file = &state.files[id];
            let covered = file.reserved.max(file.current.len() as u64);
            if (start + len) as u64 > covered {
                state.room(&self.path)?;
            }
            let current = &mut state.files[id].current;
            if current.len() < start + len {
                current.resize(start + len, 0);
            }
            let mut at = start;
            for part in parts {
                current[at..at + part.len()].copy_from_slice(part);
                at += part.len();
            }
            Ok(())
        })
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.with(|state, id| {
            state.read()?;
            if hits(state.faults.failing_read.as_ref(), &self.path) {
                return Err(io::Error::other("read failed"));
            }
            let start = usize::try_from(offset).map_err(io::Error::other)?;
            let range = start..start.saturating_add(len);
            let bytes = state.files[id].current.get(range);
            let eof = || io::Error::from(io::ErrorKind::UnexpectedEof);
            Ok(Bytes::copy_from_slice(bytes.ok_or_else(eof)?))
        })
    }

    fn is_resident(&self, _offset: u64, _len: usize) -> bool {
        true
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        self.with(|state, id| {
            state.modify()?;
            let file = &state.files[id];
            if len > file.reserved.max(file.current.len() as u64) {
                state.room(&self.path)?;
                state.files[id].reserved = len;
            }
            Ok(())
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(|state, id| {
            state.modify()?;
            let len = usize::try_from(len).map_err(io::Error::other)?;
            let file = &mut state.files[id];
            file.current.resize(len, 0);
            file.reserved = file.reserved.min(len as u64);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        while hits(state.faults.held_sync.as_ref(), &self.path) {
            self.disk.let_go.wait(&mut state);
        }
        self.with_locked(state, |state, id| {
            state.sync(&self.path)?;
            let file = &mut state.files[id];
            file.durable = file.current.clone();
            Ok(())
        })
    }
}
