//! Which calls fail, and how. Pure.

use std::io;
use std::path::{Path, PathBuf};

/// What is done to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Opening a file that is there.
    Open,
    /// Opening a file that is not there.
    Create,
    /// Listing a directory.
    List,
    /// Creating directories.
    CreateDir,
    /// Renaming.
    Rename,
    /// Removing.
    Remove,
    /// Syncing a directory.
    SyncDir,
    /// Asking for the size of a file.
    Size,
    /// Writing.
    Write,
    /// Reading.
    Read,
    /// Reserving blocks.
    Reserve,
    /// Setting the length.
    Truncate,
    /// Syncing a file.
    Sync,
}

impl Operation {
    /// Whether it changes what a crash leaves behind.
    #[must_use]
    pub fn is_change(self) -> bool {
        !matches!(self, Self::Open | Self::List | Self::Size | Self::Read)
    }
}

/// One call to a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Calls before it.
    pub number: u64,
    /// What was done.
    pub operation: Operation,
    /// To which file or directory.
    pub path: PathBuf,
    /// It answered an error.
    pub failed: bool,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// `EIO`.
    Io,
    /// `ENOSPC`.
    Full,
    /// `EINTR`.
    Interrupted,
    /// `EROFS`.
    ReadOnly,
    /// `EMFILE`.
    TooManyFiles,
    /// A write of half the bytes, then `ENOSPC`. Another operation fails with `EIO`.
    ShortWrite,
    /// `EIO` from the sync of a file, and what it should have made durable never will be, although it can be read
    /// and later syncs succeed. Another operation fails with `EIO`. Not so directories: names go through the file
    /// system's journal, and one that cannot write that stops.
    LostSync,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Io,
        Self::Full,
        Self::Interrupted,
        Self::ReadOnly,
        Self::TooManyFiles,
        Self::ShortWrite,
        Self::LostSync,
    ];

    /// Whether the operation can fail like this on a real disk, in its own way.
    #[must_use]
    pub fn suits(self, operation: Operation) -> bool {
        use Operation::{Create, List, Open, Sync, SyncDir, Write};
        match self {
            Self::Io | Self::Interrupted => true,
            Self::Full => operation.is_change(),
            Self::ReadOnly => operation.is_change() && !matches!(operation, Sync | SyncDir),
            Self::TooManyFiles => matches!(operation, Open | Create | List | SyncDir),
            Self::ShortWrite => operation == Write,
            Self::LostSync => operation == Sync,
        }
    }

    pub(super) fn error(self) -> io::Error {
        let code = match self {
            Self::Io | Self::LostSync => libc::EIO,
            Self::Full | Self::ShortWrite => libc::ENOSPC,
            Self::Interrupted => libc::EINTR,
            Self::ReadOnly => libc::EROFS,
            Self::TooManyFiles => libc::EMFILE,
        };
        io::Error::from_raw_os_error(code)
    }
}

/// Calls that fail.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Only this operation; any if `None`.
    pub operation: Option<Operation>,
    /// Only paths that contain this.
    pub path: String,
    /// So many such calls go well before.
    pub after: u64,
    /// How they fail.
    pub kind: FaultKind,
    /// Whether all later ones fail as well, until [`SimulatedDisk::heal`](super::SimulatedDisk::heal).
    pub lasting: bool,
}

/// A fault with the number of calls that it has looked at.
#[derive(Debug)]
pub(super) struct Armed {
    fault: Fault,
    seen: u64,
}

impl Armed {
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault, seen: 0 }
    }

    /// How this call fails, if it does.
    pub(super) fn strike(&mut self, operation: Operation, path: &Path) -> Option<FaultKind> {
        let Fault {
            operation: only,
            path: pattern,
            after,
            kind,
            lasting,
        } = &self.fault;
        if only.is_some_and(|only| only != operation)
            || !path.to_string_lossy().contains(pattern.as_str())
        {
            return None;
        }
        self.seen += 1;
        let at = after + 1;
        (self.seen == at || (*lasting && self.seen > at)).then_some(*kind)
    }
}
