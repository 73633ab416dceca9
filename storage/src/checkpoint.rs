//! Shell. Recovery points: from where the journal is needed, and how far each log is on disk.
//!
//! A checkpoint flushes the logs that the journal covers and stores their ends; then the journal
//! below is not needed any more. Also flushes, when they are due, logs that bypass the journal.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use bincode::{Decode, Encode};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::disk::Disk;
use crate::error::{ChangeError, Shortage};
use crate::journal::{Chores, Cursor, Journal, Journaled, LogKey};
use crate::layout;
use crate::log::{CommitSink, Log};
use crate::recovery::Point;
use crate::state_codec::{self, Kind, StateError};
use crate::store::parallel::for_all;
use crate::store::partitions::Partitions;
use crate::text_checkpoint::{read_file, replace_file};

const VERSION: u16 = 1;

/// No checkpoint is larger: a million partitions fit.
const LIMIT: usize = 64 << 20;

/// The contents of the checkpoint file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Where reading the journal starts.
    pub(crate) low: Cursor,
    /// How far each log is on disk.
    pub(crate) points: HashMap<LogKey, Point>,
}

#[derive(Encode, Decode)]
struct Stored {
    file_sequence: u64,
    position: u64,
    group_sequence: u64,
    points: Vec<StoredPoint>,
}

#[derive(Encode, Decode)]
struct StoredPoint {
    topic_id: [u8; 16],
    partition: i32,
    end: i64,
    quarantined: bool,
}

impl Checkpoint {
    /// The checkpoint in `dir`. The inner error says what is wrong with it.
    pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> io::Result<Result<Self, String>> {
        let Some(bytes) = read_file(disk, &dir.join(layout::CHECKPOINT))? else {
            return Ok(Err("it is missing".to_owned()));
        };
        Ok(Self::decode(&bytes).map_err(|error| error.to_string()))
    }

    fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let stored: Stored = state_codec::decode(Kind::CHECKPOINT, VERSION, bytes, LIMIT)?;
        let points = stored.points.into_iter().map(|point| {
            let key = LogKey {
                topic_id: Uuid::from_bytes(point.topic_id),
                partition: point.partition,
            };
            let value = Point {
                end: point.end,
                quarantined: point.quarantined,
            };
            (key, value)
        });
        Ok(Self {
            low: Cursor {
                file_sequence: stored.file_sequence,
                position: stored.position,
                group_sequence: stored.group_sequence,
            },
            points: points.collect(),
        })
    }

    /// Writes the checkpoint durably.
    pub(crate) fn store(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let mut points: Vec<_> = self.points.iter().collect();
        points.sort_unstable_by_key(|(key, _)| **key);
        let points = points.into_iter().map(|(key, point)| StoredPoint {
            topic_id: key.topic_id.into_bytes(),
            partition: key.partition,
            end: point.end,
            quarantined: point.quarantined,
        });
        let stored = Stored {
            file_sequence: self.low.file_sequence,
            position: self.low.position,
            group_sequence: self.low.group_sequence,
            points: points.collect(),
        };
        let bytes =
            state_codec::encode(Kind::CHECKPOINT, VERSION, &stored).map_err(io::Error::other)?;
        replace_file(disk, &dir.join(layout::CHECKPOINT), &bytes)
    }
}

/// See the module.
pub(crate) struct Checkpointer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    journal: Option<Arc<Journal<Log>>>,
    partitions: Arc<Partitions>,
    points: Mutex<HashMap<LogKey, Point>>,
    /// Whether many logs may be flushed by many threads.
    parallel: bool,
    /// What is in the file, or as good: what a start would go by.
    stored: Mutex<Checkpoint>,
    /// One checkpoint at a time.
    running: Mutex<()>,
    /// What logs join.
    sink: OnceLock<Weak<dyn CommitSink>>,
}

impl Checkpointer {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        journal: Option<Arc<Journal<Log>>>,
        partitions: Arc<Partitions>,
        checkpoint: Checkpoint,
        parallel: bool,
    ) -> Self {
        Self {
            parallel,
            disk,
            dir,
            journal,
            partitions,
            points: Mutex::new(checkpoint.points.clone()),
            stored: Mutex::new(checkpoint),
            running: Mutex::new(()),
            sink: OnceLock::new(),
        }
    }

    /// The journal as logs see it.
    pub(crate) fn attach(&self, sink: Weak<dyn CommitSink>) {
        // Called once, by the store that made both.
        let _ = self.sink.set(sink);
    }

    /// Does what the journal asked for.
    pub(crate) fn attend(&self, chores: Chores) {
        if chores.checkpoint
            && let Err(error) = self.run()
        {
            tracing::warn!(%error, "no checkpoint could be stored");
        }
        if let (true, Some(journal)) = (chores.prepare, &self.journal) {
            journal.prepare_file();
        }
        if let Some(now_ms) = chores.tick {
            self.flush_due(now_ms);
        }
    }

    /// Flushes all that the journal covers and stores a checkpoint.
    ///
    /// Without room on the disk, or without file descriptors, nothing is lost: appends are refused
    /// until a later call succeeds.
    /// Any other error ends the journal, because it must keep what a failed flush left behind.
    pub(crate) fn run(&self) -> io::Result<()> {
        let _one = self.running.lock();
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        let dirty = journal.begin_checkpoint().ok_or_else(ended)?;
        let logs: Vec<_> = dirty.logs.values().collect();
        let flushed = for_all(self.parallel, &logs, |log| self.flush(log));
        let stored = flushed
            .into_iter()
            .collect::<io::Result<()>>()
            .and_then(|()| {
                // Logs that the end of the store has closed were not flushed.
                if journal.has_ended() {
                    return Err(ended());
                }
                self.store(dirty.low)
            });
        match &stored {
            Ok(()) => journal.finish_checkpoint(&dirty),
            Err(error) => match Shortage::of(error) {
                Some(shortage) => journal.abort_checkpoint(dirty, shortage),
                None => journal.fail(&format!("a checkpoint failed: {error}")),
            },
        }
        stored
    }

    /// Stores the recovery points known now.
    fn store(&self, low: Cursor) -> io::Result<()> {
        let points = self.points.lock().clone();
        let checkpoint = Checkpoint { low, points };
        checkpoint.store(&*self.disk, &self.dir)?;
        *self.stored.lock() = checkpoint;
        Ok(())
    }

    /// Brings what a log has below `end` to disk for good, so that a start will not ask the journal
    /// for it. Answers whether that is so: not yet, while a commit is under way.
    pub(crate) fn settle(&self, log: &Log, end: i64) -> io::Result<bool> {
        if !log.is_journaled() {
            return self.flush(log).map(|()| true);
        }
        if !self.is_settled(log, end) {
            self.run()?;
        }
        // A commit moves the high watermark before the journal has a checkpoint care for the log.
        Ok(self.is_settled(log, end))
    }

    fn is_settled(&self, log: &Log, end: i64) -> bool {
        let stored = self.stored.lock();
        let point = stored.points.get(&log.key());
        point.is_some_and(|point| end <= point.end)
    }

    /// Brings a log to disk and remembers how far.
    ///
    /// The recovery point is the high watermark from before: what was not yet committed then may
    /// be half of a group, and must not survive without its other half.
    fn flush(&self, log: &Log) -> io::Result<()> {
        let end = log.offsets().high_watermark;
        match log.flush() {
            Ok(_) => {
                self.reached(log.key(), end);
                Ok(())
            }
            // Deleted, or flushed when it was closed.
            Err(ChangeError::Closed) => Ok(()),
            Err(ChangeError::Disk(error)) => Err(error),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn reached(&self, key: LogKey, end: i64) {
        let mut points = self.points.lock();
        // A log that was deleted meanwhile has no point any more.
        if let Some(point) = points.get_mut(&key) {
            // Two may flush it at a time, and the first to look may be the last to tell.
            *point = Point::at(end.max(point.end));
        }
    }

    /// A log that begins.
    pub(crate) fn add(&self, key: LogKey) {
        self.points.lock().insert(key, Point::default());
    }

    /// A log that was deleted.
    pub(crate) fn forget(&self, key: LogKey) {
        self.points.lock().remove(&key);
        if let Some(journal) = &self.journal {
            journal.forget(key);
        }
    }

    /// Flushes the logs that bypass the journal whose `flush.ms` or `flush.messages` is reached.
    /// Those that are to bypass it no longer join it.
    fn flush_due(&self, now_ms: i64) {
        for log in self.partitions.all() {
            let done = if log.failure().is_some() {
                continue;
            } else if log.is_to_join() {
                self.join(&log)
            } else if log.needs_flush(now_ms) {
                self.flush(&log)
            } else {
                continue;
            };
            if let Err(error) = done {
                tracing::warn!(%error, ?log, "a log could not be flushed");
            }
        }
    }

    /// Has a log go through the journal from now on.
    fn join(&self, log: &Log) -> io::Result<()> {
        // A checkpoint takes the locks of logs as well.
        let _one = self.running.lock();
        let Some(sink) = self.sink.get().and_then(Weak::upgrade) else {
            return Ok(());
        };
        let joined = log.join(sink, |end| {
            self.reached(log.key(), end);
            let low = self.stored.lock().low;
            self.store(low)
        });
        match joined {
            Err(ChangeError::Closed) => Ok(()),
            Err(ChangeError::Disk(error)) => Err(error),
            joined => joined.map_err(io::Error::other),
        }
    }

    /// A log was closed: all of it is on disk.
    pub(crate) fn closed(&self, log: &Log) {
        self.reached(log.key(), log.offsets().log_end_offset);
    }

    /// The checkpoint of a clean stop. All logs are closed, so there is nothing to flush.
    pub(crate) fn run_last(&self) -> io::Result<()> {
        let _one = self.running.lock();
        let low = match &self.journal {
            Some(journal) => journal.begin_checkpoint().ok_or_else(ended)?.low,
            None => Cursor::START,
        };
        self.store(low)
    }
}

fn ended() -> io::Error {
    io::Error::other("the journal has ended")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::simulated::SimulatedDisk;

    #[test]
    fn a_checkpoint_survives_the_round_trip() {
        let disk = SimulatedDisk::new();
        let dir = Path::new("");
        let key = |partition| LogKey {
            topic_id: Uuid::from_u128(9),
            partition,
        };
        let quarantined = Point {
            end: 9,
            quarantined: true,
        };
        let checkpoint = Checkpoint {
            low: Cursor {
                file_sequence: 1,
                position: 2,
                group_sequence: 3,
            },
            points: HashMap::from([(key(0), Point::at(7)), (key(1), quarantined)]),
        };
        assert!(Checkpoint::load(&disk, dir).unwrap().is_err());
        checkpoint.store(&disk, dir).unwrap();
        assert_eq!(Checkpoint::load(&disk, dir).unwrap(), Ok(checkpoint));
        disk.damage(Path::new(layout::CHECKPOINT), |bytes| bytes[30] ^= 1);
        assert!(Checkpoint::load(&disk, dir).unwrap().is_err());
    }

    /// Once, one that was looked up before a log joined the journal came behind that of the joining.
    #[test]
    fn a_recovery_point_never_goes_back() {
        let key = LogKey {
            topic_id: Uuid::from_u128(9),
            partition: 0,
        };
        let checkpoint = Checkpoint {
            low: Cursor::START,
            points: HashMap::from([(key, Point::at(7))]),
        };
        let disk = Arc::new(SimulatedDisk::new());
        let partitions = Arc::default();
        let checkpointer =
            Checkpointer::new(disk, PathBuf::new(), None, partitions, checkpoint, false);
        checkpointer.reached(key, 5);
        assert_eq!(checkpointer.points.lock().get(&key), Some(&Point::at(7)));
    }
}
