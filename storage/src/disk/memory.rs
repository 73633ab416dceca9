//! Files in memory: for ephemeral brokers, and for tests that must not wait for a disk.

mod file;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use self::file::{MemoryFile, Space};
use super::{DirEntry, Disk, DiskFile, DiskLock, OpenMode};

/// A file system in memory. Clones share it.
#[derive(Clone)]
pub struct MemoryDisk {
    tree: Arc<Mutex<Tree>>,
    space: Arc<Space>,
    volatile: bool,
}

/// Files and directories by their full path. Directories are kept without contents.
#[derive(Default)]
struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
    locks: Vec<PathBuf>,
}

#[derive(Clone)]
enum Node {
    File(Arc<MemoryFile>),
    Dir,
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryDisk {
    /// An empty disk whose contents end with the process; logs on it need no journal.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tree: Arc::default(),
            space: Arc::new(Space::new(u64::MAX)),
            volatile: true,
        }
    }

    /// An empty disk that claims to be durable, so that a test runs what a real disk runs.
    #[must_use]
    pub fn durable() -> Self {
        Self {
            volatile: false,
            ..Self::new()
        }
    }

    /// This disk with room for `bytes`, counted over files and their reservations.
    #[must_use]
    pub fn with_capacity(self, bytes: u64) -> Self {
        self.space.set_capacity(bytes);
        self
    }

    /// Bytes in use, reservations included.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.space.used()
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut tree = self.tree.lock();
        match (tree.nodes.get(path), mode) {
            (Some(Node::Dir), _) => Err(io::ErrorKind::IsADirectory.into()),
            (Some(Node::File(_)), OpenMode::New) => Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Node::File(file)), _) => Ok(Arc::clone(file) as Arc<dyn DiskFile>),
            (None, OpenMode::Existing) => Err(io::ErrorKind::NotFound.into()),
            (None, _) => {
                tree.require_parent(path)?;
                let file = Arc::new(MemoryFile::new(Arc::clone(&self.space)));
                tree.nodes
                    .insert(path.to_path_buf(), Node::File(Arc::clone(&file)));
                Ok(file)
            }
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let tree = self.tree.lock();
        if !tree.is_dir(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let below = tree
            .nodes
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir));
        let mut entries: Vec<DirEntry> = below
            .filter_map(|(path, node)| {
                Some(DirEntry {
                    name: path.file_name()?.to_string_lossy().into_owned(),
                    is_dir: matches!(node, Node::Dir),
                })
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut tree = self.tree.lock();
        for ancestor in dir.ancestors() {
            match tree.nodes.get(ancestor) {
                Some(Node::Dir) => break,
                Some(Node::File(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
                None => {
                    tree.nodes.insert(ancestor.to_path_buf(), Node::Dir);
                }
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = self.tree.lock();
        let node = tree
            .nodes
            .get(from)
            .cloned()
            .ok_or(io::ErrorKind::NotFound)?;
        tree.require_parent(to)?;
        match (&node, tree.nodes.get(to)) {
            (Node::File(_), Some(Node::Dir)) => return Err(io::ErrorKind::IsADirectory.into()),
            (Node::Dir, Some(Node::File(_))) => return Err(io::ErrorKind::NotADirectory.into()),
            (Node::Dir, Some(Node::Dir)) if tree.below(to).len() > 1 => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        for path in tree.below(from) {
            let Some(node) = tree.nodes.remove(&path) else {
                continue;
            };
            let target = match path.strip_prefix(from) {
                Ok(rest) if !rest.as_os_str().is_empty() => to.join(rest),
                _ => to.to_path_buf(),
            };
            tree.nodes.insert(target, node);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut tree = self.tree.lock();
        let doomed = tree.below(path);
        if doomed.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        for path in doomed {
            tree.nodes.remove(&path);
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.tree.lock().is_dir(dir) {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.open(path, OpenMode::Any)?;
        let mut tree = self.tree.lock();
        if tree.locks.iter().any(|locked| locked == path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        tree.locks.push(path.to_path_buf());
        Ok(Box::new(MemoryLock {
            tree: Arc::clone(&self.tree),
            path: path.to_path_buf(),
        }))
    }

    fn is_volatile(&self) -> bool {
        self.volatile
    }
}

impl Tree {
    fn is_dir(&self, path: &Path) -> bool {
        path.parent().is_none() || matches!(self.nodes.get(path), Some(Node::Dir))
    }

    fn require_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if !self.is_dir(parent) => Err(io::ErrorKind::NotFound.into()),
            _ => Ok(()),
        }
    }

    /// `path` and all that lies below it, if it is there.
    fn below(&self, path: &Path) -> Vec<PathBuf> {
        self.nodes
            .range(path.to_path_buf()..)
            .map(|(at, _)| at)
            .take_while(|at| at.starts_with(path))
            .cloned()
            .collect()
    }
}

struct MemoryLock {
    tree: Arc<Mutex<Tree>>,
    path: PathBuf,
}

impl DiskLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.tree.lock().locks.retain(|path| *path != self.path);
    }
}
