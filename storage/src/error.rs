//! Why a log refused, with variants by what the caller does next.

use std::fmt;
use std::io;
use std::sync::Arc;

/// A log, or the disk below it, has failed for good: it serves reads below the high watermark and
/// takes nothing more until it is opened again, with recovery (D6).
#[derive(Debug, Clone, thiserror::Error)]
#[error("the log has failed: {reason}")]
pub struct Failed {
    /// What went wrong first.
    pub reason: Arc<str>,
}

impl Failed {
    /// A failure for this reason.
    #[must_use]
    pub fn new(reason: impl fmt::Display) -> Self {
        Self {
            reason: reason.to_string().into(),
        }
    }
}

/// What has run out. It passes and damages nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    /// Room on the disk, or the quota of this user.
    #[error("the disk is full")]
    Space,
    /// File descriptors, of this process or of the machine.
    #[error("too many files are open: raise the limit of the process (`ulimit -n`)")]
    Files,
    /// Places for what a partition remembers of producers.
    #[error(
        "the partition remembers too many producers: `producer.id.expiration.ms` says for how long"
    )]
    Producers,
}

impl Shortage {
    /// The shortage behind `error`, if it is one.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Self::Space),
            _ => error
                .raw_os_error()
                .filter(|code| [libc::EMFILE, libc::ENFILE].contains(code))
                .map(|_| Self::Files),
        }
    }
}

/// Why a batch was not appended. Nothing of it is in the log, except after `Failed`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The producer skipped or repeated sequence numbers.
    #[error("sequence {found} of producer {producer_id} does not follow {last}")]
    OutOfOrderSequence {
        /// Who produced.
        producer_id: i64,
        /// `base_sequence` of the batch.
        found: i32,
        /// Last sequence number known; -1 when the epoch is new and the batch must start at 0.
        last: i32,
    },
    /// A newer instance of the producer is at work: this one is fenced.
    #[error("epoch {found} of producer {producer_id} is older than {current}")]
    InvalidProducerEpoch {
        /// Who produced.
        producer_id: i64,
        /// `producer_epoch` of the batch.
        found: i16,
        /// The epoch known.
        current: i16,
    },
    /// The producer has an open transaction here, and the batch is not of it.
    #[error("producer {producer_id} has an open transaction and must write to it")]
    InvalidTransactionState {
        /// Who produced.
        producer_id: i64,
    },
    /// The transaction has ended since its state was looked at: look again.
    #[error("the transaction of producer {producer_id} has just ended")]
    TransactionEnded {
        /// Who produced.
        producer_id: i64,
    },
    /// A newer coordinator has ended a transaction of the producer.
    #[error("coordinator epoch {found} for producer {producer_id} is older than {current}")]
    TransactionCoordinatorFenced {
        /// Whose transaction.
        producer_id: i64,
        /// Epoch of the coordinator that wrote the marker.
        found: i32,
        /// The epoch known.
        current: i32,
    },
    /// The batch is larger than a segment may be.
    #[error("a batch of {size} bytes does not fit a segment of {segment_bytes}")]
    TooLarge {
        /// Bytes of the batch.
        size: u64,
        /// `segment.bytes`.
        segment_bytes: u32,
    },
    /// The head does not describe the body: a bug of the caller, who validates batches.
    #[error("the batch is not valid: {0}")]
    Invalid(&'static str),
    /// Something has run out. Nothing has changed; a later append may succeed.
    #[error("{0}")]
    Short(Shortage),
    /// The disk refused this append. Nothing has changed.
    #[error("the disk refused the append: {0}")]
    Disk(#[source] io::Error),
    /// The log has failed. Whether the batch survives is known after recovery only.
    #[error(transparent)]
    Failed(#[from] Failed),
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
}

impl AppendError {
    /// A newer epoch is known: what was refused is of the past.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        matches!(
            self,
            Self::InvalidProducerEpoch { .. } | Self::TransactionCoordinatorFenced { .. }
        )
    }
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The offset is below the start of the log or past its end.
    #[error("offset {offset} is not in [{log_start_offset}, {log_end_offset}]")]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: i64,
        /// Where the log starts.
        log_start_offset: i64,
        /// Where it ends.
        log_end_offset: i64,
    },
    /// The bytes on the disk are not the batch that must be there (L3).
    #[error("the log is corrupt at position {position} of segment {segment_base_offset}: {reason}")]
    Corrupt {
        /// Base offset of the segment.
        segment_base_offset: i64,
        /// Position in its file, in bytes.
        position: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The disk could not read.
    #[error("the disk could not read: {0}")]
    Disk(#[source] io::Error),
}

/// Why a change other than an append was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The offset is outside what the log holds.
    #[error("offset {offset} is not in [{log_start_offset}, {limit}]")]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: i64,
        /// Where the log starts.
        log_start_offset: i64,
        /// The largest offset allowed.
        limit: i64,
    },
    /// The disk refused; the log is as before, or partly changed in a way that a repeated call
    /// completes.
    #[error("the disk refused the change: {0}")]
    Disk(#[source] io::Error),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was to be changed is not there any more, or is not to be changed any more.
    #[error("the log has changed meanwhile")]
    Superseded,
    /// The log has failed.
    #[error(transparent)]
    Failed(#[from] Failed),
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The log is damaged where it must not be. Nothing was changed; it needs an explicit repair (L4).
    #[error("the log is quarantined at offset {offset}: {reason}")]
    Quarantined {
        /// The first offset that could not be read, or that is missing.
        offset: i64,
        /// What was found there.
        reason: String,
    },
    /// The directory belongs to another topic.
    #[error("the directory belongs to topic {found}, not {expected}")]
    TopicId {
        /// In `partition.metadata`.
        found: uuid::Uuid,
        /// Whose log was to be opened.
        expected: uuid::Uuid,
    },
    /// The disk refused.
    #[error("the disk refused to open the log: {0}")]
    Disk(#[source] io::Error),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<io::Error> for ChangeError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}
