//! A data directory: its logs, the journal behind them, and the threads that serve both.
//!
//! Shell. Opening recovers; dropping a store without closing it leaves what a killed process
//! leaves, and loses nothing that was acknowledged.

mod error;
mod open;
pub(crate) mod parallel;
pub(crate) mod partitions;
mod sink;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use uuid::Uuid;

pub use self::error::{CleanError, CloseError, LogError, OpenError};
use self::parallel::for_all;
use self::partitions::Partitions;
use self::sink::JournalSink;
use crate::checkpoint::Checkpointer;
use crate::cleaner::Cleaning;
use crate::compaction::Cleanable;
use crate::config::{Durability, LogConfig};
use crate::disk::{Disk, DiskLock, OpenMode, Space};
pub use crate::journal::JournalOptions;
use crate::journal::{Journal, Journaled};
use crate::layout;
use crate::log::{CommitSink, Log, LogIdentity, Tail};
use crate::meta::Meta;

/// Gives each log that is found its settings.
pub type ConfigSource = Arc<dyn Fn(&LogIdentity) -> LogConfig + Send + Sync>;

/// How to open a data directory.
#[derive(Clone)]
pub struct StoreOptions {
    /// Settings of the logs that are found.
    pub config: ConfigSource,
    /// Cluster id of a new directory; one that exists keeps its own.
    pub cluster_id: Uuid,
    /// Id of a new directory; one that exists keeps its own.
    pub directory_id: Uuid,
    /// Sizes of the journal.
    pub journal: JournalOptions,
    /// Whether journal and checkpoints have threads of their own, and work on many logs is divided
    /// among some. Without, an append returns after its commit, and one run is like the other.
    pub threads: bool,
    /// Go on when the journal or the checkpoint is damaged, with what the segments hold. What
    /// was acknowledged and is in the damaged part only is lost then.
    pub repair: bool,
}

/// What opening found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The directory was closed, or is new: there was nothing to recover.
    pub clean: bool,
    /// Groups of the journal that were applied.
    pub groups: u64,
    /// Entries in them.
    pub entries: u64,
    /// Bytes of those that the segments did not have.
    pub bytes_written: u64,
    /// Intact groups follow a damaged one in the journal.
    pub journal_damaged: bool,
    /// Logs that were opened.
    pub logs: usize,
}

/// A partition that is not served, because something acknowledged is missing or damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Name of its directory.
    pub directory: String,
    /// What is wrong.
    pub reason: String,
}

/// See the module.
pub struct Store {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    meta: Meta,
    partitions: Arc<Partitions>,
    quarantined: Mutex<Vec<Quarantined>>,
    journal: Option<Arc<Journal<Log>>>,
    sink: Option<Arc<JournalSink>>,
    checkpointer: Arc<Checkpointer>,
    report: RecoveryReport,
    /// One creation or deletion at a time.
    changes: Mutex<()>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Whether work on many logs may be done by many threads.
    parallel: bool,
    lock: Mutex<Option<Box<dyn DiskLock>>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the data directory `dir`, creating it if needed, and recovers what is in it.
    ///
    /// # Errors
    /// [`OpenError`]; its text says what to do.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        open::open(disk, dir, options)
    }

    /// Creates the log of a new partition.
    ///
    /// # Errors
    /// [`LogError::Exists`] when there is one, quarantined ones included; [`LogError::Closed`]; as
    /// the disk otherwise.
    pub fn create_log(
        &self,
        identity: LogIdentity,
        config: LogConfig,
    ) -> Result<Arc<Log>, LogError> {
        let created = self.create_logs(vec![identity], &config).pop();
        created.unwrap_or(Err(LogError::Closed))
    }

    /// Creates the logs of new partitions with the same settings. The outcomes are in their order;
    /// each is as that of [`Store::create_log`].
    pub fn create_logs(
        &self,
        identities: Vec<LogIdentity>,
        config: &LogConfig,
    ) -> Vec<Result<Arc<Log>, LogError>> {
        let _one = self.changes.lock();
        let sink = sink_for(self.sink.as_ref(), config);
        let open = |identity: &LogIdentity| {
            self.check_open()?;
            self.check_unused(identity)?;
            let name = layout::partition_dir(&identity.topic, identity.partition);
            Ok::<_, LogError>(Log::open(
                Arc::clone(&self.disk),
                &self.dir.join(name),
                identity.clone(),
                config.clone(),
                self.meta.leader_epoch,
                sink.clone(),
                Tail::Clean,
            )?)
        };
        let opened = for_all(self.parallel, &identities, open);
        // One for all: no name is there for sure before it.
        let synced = if opened.iter().any(Result::is_ok) {
            self.disk.sync_dir(&self.dir)
        } else {
            Ok(())
        };
        let finish = |opened: Result<Arc<Log>, LogError>| {
            let log = opened?;
            if let Err(error) = &synced {
                let errno = error.raw_os_error();
                return Err(errno
                    .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
                    .into());
            }
            self.checkpointer.add(log.key());
            self.partitions.insert(Arc::clone(&log));
            Ok(log)
        };
        opened.into_iter().map(finish).collect()
    }

    fn check_unused(&self, identity: &LogIdentity) -> Result<(), LogError> {
        let (topic, partition) = (&identity.topic, identity.partition);
        let name = layout::partition_dir(topic, partition);
        let quarantined = self
            .quarantined
            .lock()
            .iter()
            .any(|found| found.directory == name);
        if quarantined || self.partitions.get(topic, partition).is_some() {
            return Err(LogError::Exists {
                topic: topic.clone(),
                partition,
            });
        }
        Ok(())
    }

    /// The log of a partition.
    #[must_use]
    pub fn log(&self, topic: &str, partition: i32) -> Option<Arc<Log>> {
        self.partitions.get(topic, partition)
    }

    /// All logs, in the order of their names.
    #[must_use]
    pub fn logs(&self) -> Vec<Arc<Log>> {
        self.partitions.all()
    }

    /// Deletes a log. Those who read it at the moment may go on with what they have.
    ///
    /// # Errors
    /// [`LogError::Unknown`] when there is none; [`LogError::Closed`]; as the disk otherwise. When
    /// [`Store::log`] does not find it after that, it is deleted unless the machine fails now, and
    /// what is left of its directory goes at the next start.
    pub fn delete_log(&self, topic: &str, partition: i32) -> Result<(), LogError> {
        let _one = self.changes.lock();
        self.check_open()?;
        let Some(log) = self.partitions.get(topic, partition) else {
            return Err(LogError::Unknown {
                topic: topic.to_owned(),
                partition,
            });
        };
        let unique = log.identity().topic_id;
        let to = layout::deleted_partition_dir(topic, partition, unique);
        let to = self.dir.join(to);
        let from = self.dir.join(layout::partition_dir(topic, partition));
        log.delete(|| self.disk.rename(&from, &to))?;
        self.partitions.remove(topic, partition);
        self.disk.sync_dir(&self.dir)?;
        // Not before: a directory that a crash brings back has its recovery point.
        self.checkpointer.forget(log.key());
        self.disk.remove(&to)?;
        Ok(())
    }

    /// Begins to compact the log that needs it most at time `now_ms`, in at most `most_bytes` for
    /// its keys; `None` when none needs it, or that one is not settled yet.
    ///
    /// # Errors
    /// [`CleanError`] names the log. When it is damaged, it is not looked at again before the next
    /// start.
    pub fn next_cleaning(
        &self,
        most_bytes: usize,
        now_ms: i64,
    ) -> Result<Option<Cleaning>, CleanError> {
        let mut dirtiest: Option<(Arc<Log>, Cleanable)> = None;
        for log in self.partitions.all() {
            let found = log.cleanable(now_ms).map_err(|error| {
                let error = error.into();
                log.cleaning_failed(&error);
                CleanError::new(&log, error)
            })?;
            let config = log.config();
            let Some(found) = found.filter(|found| {
                let compaction = config.compaction.as_ref();
                compaction.is_some_and(|compaction| found.is_due(compaction))
            }) else {
                continue;
            };
            if dirtiest
                .as_ref()
                .is_none_or(|(_, most)| found.dirty_ratio() > most.dirty_ratio())
            {
                dirtiest = Some((log, found));
            }
        }
        let Some((log, found)) = dirtiest else {
            return Ok(None);
        };
        let settled = self.checkpointer.settle(&log, found.end);
        if !settled.map_err(|error| CleanError::new(&log, error.into()))? {
            return Ok(None);
        }
        Ok(Cleaning::begin(log, found, most_bytes, now_ms))
    }

    /// The partitions that are not served.
    #[must_use]
    pub fn quarantined(&self) -> Vec<Quarantined> {
        self.quarantined.lock().clone()
    }

    /// The cluster id, 22 characters of URL-safe base64 as Kafka prints it.
    #[must_use]
    pub fn cluster_id(&self) -> String {
        self.meta.cluster_id_text()
    }

    /// The id of this directory.
    #[must_use]
    pub fn directory_id(&self) -> Uuid {
        self.meta.directory_id
    }

    /// The leader epoch of all logs; raised at each start after a crash.
    #[must_use]
    pub fn leader_epoch(&self) -> i32 {
        self.meta.leader_epoch
    }

    /// What opening found.
    #[must_use]
    pub fn recovery_report(&self) -> &RecoveryReport {
        &self.report
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Room on the volume of the data directory; `None` for one in memory.
    ///
    /// # Errors
    /// As the operating system.
    pub fn space(&self) -> io::Result<Option<Space>> {
        self.disk.space(&self.dir)
    }

    /// Bytes that wait for the journal.
    #[must_use]
    pub fn queued_bytes(&self) -> u64 {
        self.journal
            .as_ref()
            .map_or(0, |journal| journal.queued_bytes())
    }

    /// Why journaled logs take no appends any more, if that is so.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<str>> {
        self.journal.as_ref()?.failure()
    }

    /// Brings all that the journal covers to the segments' disk, which bounds the next recovery.
    ///
    /// # Errors
    /// As the disk. When it is full, appends are refused until a later checkpoint succeeds.
    pub fn checkpoint(&self) -> io::Result<()> {
        self.checkpointer.run()
    }

    /// Tells the time: flushes logs that bypass the journal when `flush.ms` or `flush.messages`
    /// is reached, and has those join it that are to bypass it no longer. The window of what a power
    /// loss may take is as exact as these calls are frequent.
    pub fn tick(&self, now_ms: i64) {
        if let Some(journal) = &self.journal {
            journal.request(|chores| chores.tick = Some(now_ms));
            if self.threads.lock().is_empty() {
                self.checkpointer.attend(journal.take_chores());
            }
        }
    }

    /// Stops cleanly: refuses appends, waits for those that are queued, brings everything to
    /// disk. The next start has nothing to recover.
    ///
    /// # Errors
    /// [`CloseError`]: the store is closed, and the next start recovers as after a crash.
    pub fn close(&self) -> Result<(), CloseError> {
        let _one = self.changes.lock();
        let Some(lock) = self.lock.lock().take() else {
            return Ok(());
        };
        let closed = self.bring_to_disk();
        self.stop();
        if closed.is_ok() {
            let marker = self.dir.join(layout::CLEAN_SHUTDOWN);
            self.disk.open(&marker, OpenMode::Any)?.sync()?;
            self.disk.sync_dir(&self.dir)?;
        }
        drop(lock);
        closed
    }

    /// Stops at once, as a kill would: what is queued is forgotten, nothing acknowledged is lost.
    /// On return the threads have ended, whoever still has a log cannot change it, and the
    /// directory may be opened again. Waits for the write or sync that is under way, and for a
    /// [`Store::close`] in another thread.
    pub fn abandon(&self) {
        // Before the lock below, which a close holds while it waits for the queue.
        self.end_journal();
        let _one = self.changes.lock();
        let lock = self.lock.lock().take();
        self.stop();
        drop(lock);
    }

    /// Leaves the journal's work to [`Store::drive`], and calls `appended` for each append: then
    /// there is time between an append and its commit, and still one run is like the other. For a
    /// store without threads, once, before its first append.
    #[cfg(any(test, feature = "testing"))]
    pub fn defer(&self, appended: impl Fn() + Send + Sync + 'static) {
        if let Some(sink) = &self.sink {
            sink.defer(Box::new(appended));
        }
    }

    /// Commits all that was appended, in the caller's thread. Nothing when threads do it.
    pub fn drive(&self) {
        if let Some(sink) = self.sink.as_ref().filter(|sink| !sink.has_threads()) {
            sink.work();
        }
    }

    fn check_open(&self) -> Result<(), LogError> {
        let open = self.lock.lock().is_some();
        open.then_some(()).ok_or(LogError::Closed)
    }

    fn bring_to_disk(&self) -> Result<(), CloseError> {
        self.drain()?;
        let logs = self.partitions.all();
        let closed = for_all(self.parallel, &logs, |log| log.close());
        for (log, closed) in logs.iter().zip(closed) {
            closed.map_err(io::Error::other)?;
            self.checkpointer.closed(log);
        }
        // An append that was admitted before the first time was let in; none is behind closed logs.
        // The next start must not find a group behind the end that it is told of.
        self.drain()?;
        self.checkpointer.run_last()?;
        Ok(())
    }

    /// Refuses appends that are not admitted yet and waits until all that are queued are durable.
    fn drain(&self) -> Result<(), CloseError> {
        self.drive();
        let drained = self.journal.as_ref().is_none_or(|journal| journal.drain());
        drained.then_some(()).ok_or(CloseError::Pending)
    }

    /// Ends the threads. What is not on disk stays as it is.
    fn stop(&self) {
        self.end_journal();
        for thread in mem::take(&mut *self.threads.lock()) {
            // The last owner may be a listener, called by the journal's own thread.
            if thread.thread().id() != thread::current().id() {
                drop(thread.join());
            }
        }
        for log in self.partitions.clear() {
            log.abandon();
        }
    }

    fn end_journal(&self) {
        if let Some(journal) = &self.journal {
            journal.stop();
        }
    }
}

/// The journal, for a log whose settings ask for it.
fn sink_for(sink: Option<&Arc<JournalSink>>, config: &LogConfig) -> Option<Arc<dyn CommitSink>> {
    let sink = sink.filter(|_| config.durability == Durability::Journal)?;
    Some(Arc::clone(sink) as _)
}

impl Drop for Store {
    fn drop(&mut self) {
        self.abandon();
    }
}
