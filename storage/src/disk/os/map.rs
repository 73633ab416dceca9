//! The one room with `unsafe`: read-only maps of files and what the kernel knows about their pages.
//!
//! A map may be longer than its file, so that it need not be made anew at each append. No slice is
//! ever made of what lies past the end of the file: callers check the range against the length
//! first, and [`Disk`](crate::disk::Disk) forbids cutting what a reader may have.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use memmap2::{MmapOptions, MmapRaw};

use super::file_range;

/// Pages asked about in one system call.
const PAGES_PER_CALL: usize = 1024;

/// A read-only, shared map of the first `len` bytes of a file.
pub(super) struct FileMap {
    file: Arc<File>,
    raw: MmapRaw,
    len: usize,
}

/// A part of a map that keeps the map alive.
struct Part {
    map: Arc<FileMap>,
    at: usize,
    len: usize,
}

impl FileMap {
    /// Maps `len` bytes, which may be more than the file has.
    pub(super) fn new(file: &Arc<File>, len: usize) -> io::Result<Arc<Self>> {
        let raw = MmapOptions::new().len(len).map_raw_read_only(file)?;
        let map = Arc::new(Self {
            file: Arc::clone(file),
            raw,
            len,
        });
        file_range::mapped(&map);
        Ok(map)
    }

    /// The file.
    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Where the map begins in memory.
    pub(super) fn address(&self) -> usize {
        self.raw.as_ptr().addr()
    }

    /// Bytes that the map covers.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The `len` bytes from `at`, or `None` outside the map. The caller has checked that the file
    /// is at least that long. Pages are brought in first, so that a disk that cannot read them
    /// shows as an error here and not as a signal later.
    pub(super) fn bytes(self: &Arc<Self>, at: usize, len: usize) -> Option<io::Result<Bytes>> {
        if at.checked_add(len)? > self.len {
            return None;
        }
        if let Err(error) = self.populate(at, len) {
            return Some(Err(error));
        }
        Some(Ok(Bytes::from_owner(Part {
            map: Arc::clone(self),
            at,
            len,
        })))
    }

    #[cfg(target_os = "linux")]
    fn populate(&self, at: usize, len: usize) -> io::Result<()> {
        use rustix::io::Errno;
        use rustix::mm::{Advice, madvise};

        if len == 0 {
            return Ok(());
        }
        let start = at - at % page_size();
        let pointer = self.raw.as_mut_ptr().wrapping_add(start);
        loop {
            // SAFETY: the range lies in the map, which `self` keeps; populating for reading
            // changes no byte.
            let done =
                unsafe { madvise(pointer.cast(), at + len - start, Advice::LinuxPopulateRead) };
            match done {
                Err(Errno::INTR | Errno::AGAIN) => {}
                // Before Linux 5.14 the advice is unknown.
                Ok(()) | Err(Errno::INVAL) => return Ok(()),
                // What would have been a signal: the kernel could not read the page.
                Err(Errno::FAULT) => return Err(Errno::IO.into()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn populate(&self, _at: usize, _len: usize) -> io::Result<()> {
        Ok(())
    }

    /// Whether all pages of the range are in memory; `true` where that cannot be known.
    #[cfg(target_os = "linux")]
    pub(super) fn is_resident(&self, at: usize, len: usize) -> bool {
        let Some(end) = at.checked_add(len).filter(|end| *end <= self.len) else {
            return true;
        };
        let page = page_size();
        let mut start = at - at % page;
        let mut pages = [0_u8; PAGES_PER_CALL];
        while start < end {
            let bytes = (end - start).min(PAGES_PER_CALL * page);
            let pointer = self.raw.as_mut_ptr().wrapping_add(start);
            // SAFETY: the range lies in the map and starts at a page; `pages` has one byte for
            // each page of at most `PAGES_PER_CALL`.
            let result = unsafe { libc::mincore(pointer.cast(), bytes, pages.as_mut_ptr()) };
            if result != 0 {
                return true;
            }
            if pages
                .iter()
                .take(bytes.div_ceil(page))
                .any(|state| state & 1 == 0)
            {
                return false;
            }
            start += bytes;
        }
        true
    }

    /// Whether all pages of the range are in memory; `true` where that cannot be known.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn is_resident(&self, _at: usize, _len: usize) -> bool {
        true
    }
}

impl Drop for FileMap {
    fn drop(&mut self) {
        file_range::unmapped(self);
    }
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `FileMap::bytes` checked that the range lies in the map, which `self.map` keeps
        // mapped, and its caller that the file is that long. Published bytes are never rewritten
        // or cut: that is what the callers of `DiskFile::read_at` promise.
        unsafe { std::slice::from_raw_parts(self.map.raw.as_ptr().add(self.at), self.len) }
    }
}

fn page_size() -> usize {
    static PAGE_SIZE: OnceLock<usize> = OnceLock::new();
    *PAGE_SIZE.get_or_init(|| {
        // SAFETY: asks for a number; no memory is passed.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size)
            .ok()
            .filter(|size| *size > 0)
            .unwrap_or(4096)
    })
}
