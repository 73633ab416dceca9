//! Why a data directory was not opened or closed, in sentences that say what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{self, ChangeError};
use crate::log::Log;

/// Why a store was not opened. Nothing was changed, except after [`OpenError::Io`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory has other contents.
    #[error("{} holds `{name}` and no Ottla data: choose an empty directory", dir.display())]
    NotOurs {
        /// The data directory.
        dir: PathBuf,
        /// What was found in it.
        name: String,
    },
    /// A newer release has written the directory.
    #[error(
        "{} was written by a newer release (format {found}, this one knows {known}): use that release",
        dir.display()
    )]
    NewerFormat {
        /// The data directory.
        dir: PathBuf,
        /// Its format version.
        found: u16,
        /// The newest that this release knows.
        known: u16,
    },
    /// Another process, or another store in this one, uses the directory.
    #[error("{} is in use: stop the process that uses it or choose another directory", dir.display())]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },
    /// The directory cannot be written.
    #[error("{} cannot be written ({source}): give this user the right to write there", dir.display())]
    NotWritable {
        /// The data directory.
        dir: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is a file where a directory should be.
    #[error(
        "{} is or lies below something that is not a directory: choose another directory",
        dir.display()
    )]
    NotADirectory {
        /// The data directory.
        dir: PathBuf,
    },
    /// A file on which all logs depend is damaged.
    #[error(
        "{} is damaged ({reason}): restore it from a backup, or go on with what the segments hold after `ottla repair`",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk refused. Opening again may succeed.
    #[error("the disk refused {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// Why a log was not created or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// There is a log of that name already; it may be quarantined.
    #[error("partition {partition} of topic {topic} exists")]
    Exists {
        /// Topic.
        topic: String,
        /// Partition index.
        partition: i32,
    },
    /// There is no such log.
    #[error("partition {partition} of topic {topic} does not exist")]
    Unknown {
        /// Topic.
        topic: String,
        /// Partition index.
        partition: i32,
    },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// Opening the new log failed.
    #[error(transparent)]
    Open(#[from] error::OpenError),
    /// The disk refused.
    #[error("the disk refused: {0}")]
    Disk(#[from] io::Error),
}

/// Why a store was not closed cleanly. It is closed all the same; the next start recovers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// Not all appends could be made durable: the journal has failed or the disk is full.
    #[error("not all appends could be made durable")]
    Pending,
    /// The last flush or checkpoint failed.
    #[error("the store could not be brought to disk: {0}")]
    Disk(#[from] io::Error),
}

/// Why a log was not compacted. It serves what it did.
#[derive(Debug, thiserror::Error)]
#[error("partition {partition} of topic {topic} was not compacted: {source}")]
pub struct CleanError {
    /// Topic.
    pub topic: String,
    /// Partition index.
    pub partition: i32,
    /// What is in the way.
    pub source: ChangeError,
}

impl CleanError {
    pub(crate) fn new(log: &Log, source: ChangeError) -> Self {
        let identity = log.identity();
        Self {
            topic: identity.topic.clone(),
            partition: identity.partition,
            source,
        }
    }
}
