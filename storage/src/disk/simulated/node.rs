//! What the simulated disk holds: files and directories, as they are, as a sync left them, and every
//! change in between.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use bytes::Bytes;

/// Number of the root directory.
pub(super) const ROOT: usize = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Node {
    File(usize),
    Dir(usize),
}

/// A change of a file's bytes.
#[derive(Debug, Clone)]
pub(super) enum FileChange {
    Write { at: usize, bytes: Bytes },
    SetLen(usize),
}

/// A change of a directory's entries.
#[derive(Debug, Clone)]
pub(super) enum DirChange {
    Link(String, Node),
    Unlink(String),
}

/// A file. Changes are numbered; those of one call share a number.
#[derive(Debug, Clone, Default)]
pub(super) struct FileNode {
    /// What readers see: the page cache.
    pub(super) current: Arc<Vec<u8>>,
    /// What the last sync made durable.
    pub(super) durable: Arc<Vec<u8>>,
    /// What no sync has covered, in order.
    pub(super) unsynced: Vec<(u64, FileChange)>,
    /// Bytes that the disk has promised.
    pub(super) reserved: u64,
}

/// A directory; see [`FileNode`].
#[derive(Debug, Clone, Default)]
pub(super) struct DirNode {
    pub(super) current: Arc<BTreeMap<String, Node>>,
    pub(super) durable: Arc<BTreeMap<String, Node>>,
    pub(super) unsynced: Vec<(u64, DirChange)>,
}

/// All of a disk. What has no name any more stays: someone may have it open.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) files: Vec<FileNode>,
    pub(super) dirs: Vec<DirNode>,
    /// Number of the next change.
    pub(super) next_change: u64,
}

impl FileChange {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes: written } => {
                let end = at + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(written);
            }
            Self::SetLen(len) => bytes.resize(*len, 0),
        }
    }

    /// The length of a file of `len` bytes after this change.
    pub(super) fn len_after(&self, len: usize) -> usize {
        match self {
            Self::Write { at, bytes } => len.max(at + bytes.len()),
            Self::SetLen(len) => *len,
        }
    }
}

impl DirChange {
    pub(super) fn apply(&self, entries: &mut BTreeMap<String, Node>) {
        match self {
            Self::Link(name, node) => {
                entries.insert(name.clone(), *node);
            }
            Self::Unlink(name) => {
                entries.remove(name);
            }
        }
    }
}

impl FileNode {
    pub(super) fn change(&mut self, number: u64, change: FileChange) {
        change.apply(Arc::make_mut(&mut self.current));
        self.unsynced.push((number, change));
    }

    pub(super) fn sync(&mut self) {
        if self.unsynced.is_empty() {
            return;
        }
        let durable = Arc::make_mut(&mut self.durable);
        for (_, change) in self.unsynced.drain(..) {
            change.apply(durable);
        }
    }
}

impl DirNode {
    fn change(&mut self, number: u64, change: DirChange) {
        change.apply(Arc::make_mut(&mut self.current));
        self.unsynced.push((number, change));
    }

    pub(super) fn sync(&mut self) {
        let durable = Arc::make_mut(&mut self.durable);
        for (_, change) in self.unsynced.drain(..) {
            change.apply(durable);
        }
    }
}

impl Image {
    pub(super) fn new() -> Self {
        Self {
            files: Vec::new(),
            dirs: vec![DirNode::default()],
            next_change: 0,
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next_change += 1;
        self.next_change
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Node> {
        let mut node = Node::Dir(ROOT);
        for name in names(path) {
            let Node::Dir(dir) = node else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            node = *self.dirs[dir].current.get(name).ok_or_else(not_found)?;
        }
        Ok(node)
    }

    pub(super) fn dir(&self, path: &Path) -> io::Result<usize> {
        match self.find(path)? {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// The directory that `path` lies in, and its name there.
    pub(super) fn parent(&self, path: &Path) -> io::Result<(usize, String)> {
        let name = names(path).last().ok_or_else(not_found)?;
        let dir = path.parent().unwrap_or(Path::new(""));
        Ok((self.dir(dir)?, name.to_owned()))
    }

    /// Makes an empty file.
    pub(super) fn create_file(&mut self, dir: usize, name: String) -> usize {
        self.files.push(FileNode::default());
        let id = self.files.len() - 1;
        let number = self.number();
        self.dirs[dir].change(number, DirChange::Link(name, Node::File(id)));
        id
    }

    /// Makes a directory and its missing parents.
    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let mut at = ROOT;
        for name in names(path) {
            at = match self.dirs[at].current.get(name) {
                Some(Node::Dir(found)) => *found,
                Some(Node::File(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
                None => {
                    self.dirs.push(DirNode::default());
                    let id = self.dirs.len() - 1;
                    let number = self.number();
                    self.dirs[at].change(number, DirChange::Link(name.to_owned(), Node::Dir(id)));
                    id
                }
            };
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        let (from_dir, from_name) = self.parent(from)?;
        let (to_dir, to_name) = self.parent(to)?;
        match (node, self.dirs[to_dir].current.get(&to_name)) {
            (Node::File(_), Some(Node::Dir(_))) => return Err(io::ErrorKind::IsADirectory.into()),
            (Node::Dir(_), Some(Node::File(_))) => {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            (Node::Dir(_), Some(Node::Dir(there))) if !self.dirs[*there].current.is_empty() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        // One number: it happens as a whole or not at all.
        let number = self.number();
        self.dirs[from_dir].change(number, DirChange::Unlink(from_name));
        self.dirs[to_dir].change(number, DirChange::Link(to_name, node));
        Ok(())
    }

    /// Removes a file, or what is in a directory one by one and then the directory.
    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let node = self.find(path)?;
        let (dir, name) = self.parent(path)?;
        if let Node::Dir(below) = node {
            let names: Vec<String> = self.dirs[below].current.keys().cloned().collect();
            for name in names {
                self.remove(&path.join(name))?;
            }
        }
        let number = self.number();
        self.dirs[dir].change(number, DirChange::Unlink(name));
        Ok(())
    }

    /// The numbers of all changes that no sync has covered, ascending.
    pub(super) fn unsynced(&self) -> Vec<u64> {
        let files = self.files.iter().flat_map(|file| &file.unsynced);
        let dirs = self.dirs.iter().flat_map(|dir| &dir.unsynced);
        let mut numbers: Vec<u64> = files
            .map(|(number, _)| *number)
            .chain(dirs.map(|(number, _)| *number))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

pub(super) fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

/// The names that lead to `path`; those that are no text are none of ours.
fn names(path: &Path) -> impl Iterator<Item = &str> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_str().unwrap_or_default()),
        _ => None,
    })
}
