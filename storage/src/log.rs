//! The log of one partition: segments that readers see, offsets that say how far, producers.
//!
//! Shell. Appends take the writer's mutex; reads take no lock while they touch data. What is
//! visible follows durability: the journal, or the append itself, moves the high watermark.

mod append;
mod change;
mod compact;
mod flush;
mod join;
mod open;
mod read;
mod replay;
#[cfg(test)]
mod tests;
mod timestamp;
mod transaction;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use ottla_protocol::record::{BatchHeader, HEADER_LEN};
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use self::compact::CleanerState;
pub(crate) use self::open::{load_log_start, store_log_start};
pub(crate) use self::replay::find_intact_batch;
pub use self::transaction::{Part, append_together};
use crate::config::LogConfig;
use crate::disk::{Disk, DiskFile};
use crate::error::{AppendError, ChangeError, Failed};
pub use crate::index::AbortedTransaction;
use crate::leader_epochs::LeaderEpochs;
use crate::offsets::{OffsetState, Offsets};
use crate::producer_state::ProducerState;
pub use crate::producer_state::{Marker, ProducerInfo, TransactionGuard};
pub use crate::recovery::Tail;
use crate::segment::{Segment, SegmentHome, WarmSegments};

/// Whose log it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIdentity {
    /// Name of the topic.
    pub topic: String,
    /// Id of the topic, which a topic created later under the same name does not share.
    pub topic_id: Uuid,
    /// Number of the partition.
    pub partition: i32,
}

/// A batch to append, validated by the caller. Base offset and leader epoch are set by the log,
/// timestamp type, newest timestamp and CRC under `LogAppendTime` as well.
#[derive(Debug, Clone)]
pub struct Append {
    /// The head of the batch.
    pub header: BatchHeader,
    /// The records as the producer sent them: what follows the 61 bytes of the head.
    pub body: Bytes,
}

/// What is appended.
#[derive(Debug, Clone)]
pub enum Change {
    /// A batch of a client. The guard is there when its transaction was looked at.
    Batch(Append, Option<TransactionGuard>),
    /// The end of a transaction.
    Marker(Marker),
}

/// Where a batch is in the log. It may be acknowledged when the high watermark is past
/// `last_offset`, also when it is a duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// When it was appended, in milliseconds; -1 unless the topic uses `LogAppendTime`.
    pub log_append_time: i64,
    /// Where the log starts.
    pub log_start_offset: i64,
    /// The batch was in the log already; these are the offsets it got then.
    pub duplicate: bool,
}

/// How far a read goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Up to what is durable: for consumers.
    HighWatermark,
    /// Up to the oldest open transaction: for consumers of committed records.
    LastStable,
    /// Up to the last append: for loaders of internal topics, before the log is served. What is
    /// read past the high watermark may be lost in a crash.
    LogEnd,
}

/// Whole batches, as produced, and the offsets at the time of the read.
#[derive(Debug, Clone)]
pub struct LogRead {
    /// The batches; the first may start below the offset asked for. Empty at the end.
    pub records: Bytes,
    /// The offsets that bounded this read.
    pub offsets: Offsets,
    /// Where the next read continues.
    pub next_offset: i64,
}

/// A record found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Timestamp of the record, in milliseconds.
    pub timestamp: i64,
    /// Offset of the record.
    pub offset: i64,
    /// Leader epoch of its batch.
    pub leader_epoch: i32,
}

/// Everything below is on the disk: a recovery point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushPoint {
    /// The offset after the last record on the disk.
    pub offset: i64,
    /// Base offset of the segment that holds it.
    pub segment_base: i64,
    /// Position in that segment's file, in bytes.
    pub position: u64,
}

/// One segment, for retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Bytes of its batches.
    pub size: u64,
    /// Newest timestamp, in milliseconds.
    pub largest_timestamp: Option<i64>,
    /// Appends go to this one.
    pub is_active: bool,
}

/// Who wants to know that a log moved. Called without a lock of the log held, from the thread
/// that appended or committed; must be quick. Calls may overtake each other: keep the largest.
pub trait LogListener: Send + Sync {
    /// All below `high_watermark` can be read now.
    fn high_watermark_moved(&self, high_watermark: i64);

    /// The log takes no appends any more.
    fn failed(&self, failed: &Failed);
}

/// What makes appends durable: the journal.
pub(crate) trait CommitSink: Send + Sync {
    /// Waits for room for a batch of `bytes`, or refuses it. Called without a lock held.
    fn admit(&self, bytes: u64) -> Result<(), AppendError>;

    /// Queues entries that share one fate, in the order of the calls. When they are durable, the
    /// sink calls [`Log::commit`]; if they never will be, [`Log::fail`]. Called with the log's
    /// append mutex held: it must not call back into `append`, `flush` or the like.
    fn submit(&self, entries: Vec<JournalEntry>) -> Result<(), Failed>;

    /// Entries were queued. Called after them without a lock held.
    fn submitted(&self);
}

/// A batch as it was written to its segment.
pub(crate) struct JournalEntry {
    pub(crate) log: Arc<Log>,
    /// Base offset of the segment it was written to.
    pub(crate) segment_base: i64,
    /// Position in that segment's file, in bytes.
    pub(crate) position: u64,
    pub(crate) head: [u8; HEADER_LEN],
    pub(crate) body: Bytes,
    /// Offset after its last record.
    pub(crate) end_offset: i64,
}

/// The log of one partition.
///
/// Locks are taken in this order: `maintenance`, `state_files`, `writer`, `segments`, `offsets`.
pub struct Log {
    me: Weak<Log>,
    home: SegmentHome,
    identity: LogIdentity,
    leader_epoch: i32,
    /// Empty where an append is visible at once. Filled with `writer` held.
    sink: OnceLock<Arc<dyn CommitSink>>,
    config: RwLock<Arc<LogConfig>>,
    listener: RwLock<Option<Arc<dyn LogListener>>>,
    status: RwLock<Status>,
    failure_told: AtomicBool,
    /// Held by what changes files other than by appending; guards the last flush point.
    maintenance: Mutex<FlushPoint>,
    /// Held by who writes the files of producers and epochs. Not waited for with `writer` held.
    state_files: Mutex<()>,
    writer: Mutex<Writer>,
    /// Never empty, ascending; the last one is active.
    segments: RwLock<Arc<Vec<Arc<Segment>>>>,
    offsets: Mutex<OffsetState>,
    leader_epochs: RwLock<Arc<LeaderEpochs>>,
    /// Who decides which sealed segments are held open.
    warm: RwLock<Arc<WarmSegments>>,
    cleaner: CleanerState,
}

#[derive(Debug, Clone)]
enum Status {
    Open,
    Failed(Failed),
    Closed,
}

/// What only the one appending thread touches.
struct Writer {
    active: Arc<Segment>,
    file: Arc<dyn DiskFile>,
    /// Bytes of the active file that the disk has promised.
    reserved: u64,
    /// Timestamp of the first batch of the active segment, in milliseconds.
    first_timestamp: Option<i64>,
    /// When the first batch since it was opened came to the active segment, in milliseconds.
    first_append_ms: Option<i64>,
    producers: ProducerState,
    /// Since the last snapshot.
    producers_changed: bool,
    /// Since the epochs were stored.
    epochs_changed: bool,
    /// Files were created since the directory was synced.
    directory_changed: bool,
    /// Log bytes since the last snapshot.
    bytes_since_snapshot: u64,
    /// Records since the last flush, and when the first of them came, in milliseconds.
    unflushed_records: u64,
    unflushed_since_ms: Option<i64>,
}

impl Log {
    /// Whose log it is.
    #[must_use]
    pub fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    /// The directory of this log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.home.dir
    }

    /// What readers may ask for.
    #[must_use]
    pub fn offsets(&self) -> Offsets {
        self.offsets.lock().offsets()
    }

    /// The leader epoch of appends.
    #[must_use]
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// Bytes of all batches.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.segments().iter().map(|segment| segment.size()).sum()
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> Arc<LogConfig> {
        Arc::clone(&self.config.read())
    }

    /// Replaces the settings, from the next append on; `index.interval.bytes` from the next segment
    /// on. A log that is to have the journal now syncs each append by itself until the next
    /// [`Store::tick`](crate::store::Store::tick); one that is to have it no longer keeps it until
    /// it is opened again.
    pub fn set_config(&self, config: LogConfig) {
        *self.config.write() = Arc::new(config);
    }

    /// Who is told that the log moved; replaces the former listener. One that comes after the log
    /// failed is told at once.
    pub fn set_listener(&self, listener: Arc<dyn LogListener>) {
        *self.listener.write() = Some(listener);
        self.failure_told.store(false, Ordering::Release);
        self.tell_failure();
    }

    /// Whether appends become durable, and visible, through the journal. Once they do, they do
    /// until the log is opened again.
    #[must_use]
    pub fn is_journaled(&self) -> bool {
        self.sink.get().is_some()
    }

    /// The failure that ended appends, if there was one.
    #[must_use]
    pub fn failure(&self) -> Option<Failed> {
        match &*self.status.read() {
            Status::Failed(failed) => Some(failed.clone()),
            Status::Open | Status::Closed => None,
        }
    }

    /// The largest leader epoch up to `epoch` and the offset where it ends; (-1, -1) when unknown.
    #[must_use]
    pub fn end_offset_for_epoch(&self, epoch: i32) -> (i32, i64) {
        let log_end_offset = self.offsets().log_end_offset;
        self.leader_epochs
            .read()
            .end_offset_for(epoch, log_end_offset)
    }

    /// All below `end_offset` is durable. Called by the journal, in any order.
    pub(crate) fn commit(&self, end_offset: i64) {
        let moved = self.offsets.lock().committed(end_offset);
        self.notify(moved);
    }

    /// The log takes no appends any more. The first reason stays.
    pub(crate) fn fail(&self, failed: Failed) {
        self.mark_failed(failed);
        self.tell_failure();
    }

    /// Ends appends. Whoever holds a lock while it does this calls `tell_failure` without it.
    fn mark_failed(&self, failed: Failed) {
        let mut status = self.status.write();
        if !matches!(*status, Status::Failed(_)) {
            tracing::error!(
                topic = self.identity.topic,
                partition = self.identity.partition,
                %failed,
                "log failed"
            );
            *status = Status::Failed(failed);
        }
    }

    /// Tells the listener, once, that the log has failed.
    fn tell_failure(&self) {
        if let (Some(failed), Some(listener)) = (self.failure(), self.listener())
            && !self.failure_told.swap(true, Ordering::AcqRel)
        {
            listener.failed(&failed);
        }
    }

    /// Ends appends for good if `remove` takes the directory away. No flush is under way then and
    /// none begins: it would miss the files and fail the log, and the journal with it.
    pub(crate) fn delete(&self, remove: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let _maintenance = self.maintenance.lock();
        let _writer = self.writer.lock();
        remove()?;
        *self.status.write() = Status::Closed;
        Ok(())
    }

    /// The log takes no appends any more and is left as it is: its process is gone, as it were.
    /// Waits for a flush or a cut that is under way.
    pub(crate) fn abandon(&self) {
        let _maintenance = self.maintenance.lock();
        let _writer = self.writer.lock();
        let mut status = self.status.write();
        if matches!(*status, Status::Open) {
            *status = Status::Closed;
        }
    }

    fn notify(&self, high_watermark: Option<i64>) {
        if let (Some(high_watermark), Some(listener)) = (high_watermark, self.listener()) {
            listener.high_watermark_moved(high_watermark);
        }
    }

    fn listener(&self) -> Option<Arc<dyn LogListener>> {
        self.listener.read().clone()
    }

    fn segments(&self) -> Arc<Vec<Arc<Segment>>> {
        Arc::clone(&self.segments.read())
    }

    /// From now on the log holds segments open as one of those that share `warm`.
    pub(crate) fn share_warm(&self, warm: &Arc<WarmSegments>) {
        *self.warm.write() = Arc::clone(warm);
    }

    /// Where a new segment lives, and how densely it is indexed from now on.
    fn new_home(&self) -> SegmentHome {
        SegmentHome {
            index_interval_bytes: self.config().index_interval_bytes,
            ..self.home.clone()
        }
    }

    fn disk(&self) -> &dyn Disk {
        &*self.home.disk
    }

    fn check_appendable(&self) -> Result<(), AppendError> {
        match &*self.status.read() {
            Status::Open => Ok(()),
            Status::Failed(failed) => Err(AppendError::Failed(failed.clone())),
            Status::Closed => Err(AppendError::Closed),
        }
    }

    fn check_changeable(&self) -> Result<(), ChangeError> {
        match &*self.status.read() {
            Status::Open => Ok(()),
            Status::Failed(failed) => Err(ChangeError::Failed(failed.clone())),
            Status::Closed => Err(ChangeError::Closed),
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("topic", &self.identity.topic)
            .field("partition", &self.identity.partition)
            .field("offsets", &self.offsets())
            .finish_non_exhaustive()
    }
}
