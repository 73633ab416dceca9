//! Where bytes that were read through a map lie in their file, so that a socket can take them from
//! the page cache without a copy.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::RwLock;

use super::map::FileMap;

/// All maps of this process by their first address. While bytes of a map are held it stays mapped,
/// and nothing else has their addresses.
static MAPS: RwLock<BTreeMap<usize, Weak<FileMap>>> = RwLock::new(BTreeMap::new());

/// Bytes of a file.
#[derive(Debug, Clone)]
pub struct FileRange {
    file: Arc<File>,
    offset: u64,
    len: usize,
}

impl FileRange {
    /// Where `bytes` lie in a file; `None` when they were not read through a map, or where nothing
    /// can be done with the answer.
    #[must_use]
    pub fn of(bytes: &Bytes) -> Option<Self> {
        if !cfg!(target_os = "linux") || bytes.is_empty() {
            return None;
        }
        let at = bytes.as_ptr().addr();
        let (start, map) = {
            let maps = MAPS.read();
            let (start, map) = maps.range(..=at).next_back()?;
            (*start, map.upgrade()?)
        };
        let begin = at - start;
        (begin.checked_add(bytes.len())? <= map.len()).then(|| Self {
            file: Arc::clone(map.file()),
            offset: begin as u64,
            len: bytes.len(),
        })
    }

    /// Bytes in the range.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Hands a socket as many bytes from the start as it takes, and takes them off the range
    /// (`sendfile`). Answers how many.
    ///
    /// # Errors
    /// As the operating system: `WouldBlock` when the socket takes none now. `UnexpectedEof` when
    /// the file has become shorter.
    pub fn send(&mut self, socket: impl AsFd) -> io::Result<usize> {
        let sent = send(socket, &self.file, self.offset, self.len)?;
        if sent == 0 && self.len > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += sent as u64;
        self.len -= sent;
        Ok(sent)
    }
}

#[cfg(target_os = "linux")]
fn send(socket: impl AsFd, file: &File, mut offset: u64, len: usize) -> io::Result<usize> {
    Ok(rustix::fs::sendfile(socket, file, Some(&mut offset), len)?)
}

#[cfg(not(target_os = "linux"))]
fn send(_socket: impl AsFd, _file: &File, _offset: u64, _len: usize) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Notes a new map.
pub(super) fn mapped(map: &Arc<FileMap>) {
    MAPS.write().insert(map.address(), Arc::downgrade(map));
}

/// Notes that a map is about to go.
pub(super) fn unmapped(map: &FileMap) {
    MAPS.write().remove(&map.address());
}
