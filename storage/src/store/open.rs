//! Shell. The start of a data directory, in the one order in which a crash at any point is safe.
//!
//! Lock, identity, removal of the clean-shutdown marker, checkpoint, partitions, redo of the
//! journal, leader epoch, logs, checkpoint: only then is the old journal given up and served.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;

use parking_lot::Mutex;

use super::parallel::for_all;
use super::partitions::Partitions;
use super::sink::JournalSink;
use super::{OpenError, Quarantined, RecoveryReport, Store, StoreOptions};
use crate::checkpoint::{Checkpoint, Checkpointer};
use crate::disk::{Disk, DiskLock};
use crate::error::{self, Failed, Shortage};
use crate::journal::{Cursor, Found, Journal, JournalFiles, LogKey, Reader};
use crate::layout;
use crate::log::{CommitSink, Log, LogIdentity, Tail, load_log_start};
use crate::meta::{self, Meta};
use crate::partition_metadata::{PartitionMetadata, StoredDurability};
use crate::recovery::redo::{Redo, Redone};
use crate::recovery::{Facts, LastStop, Point, plan};

/// What is known while the directory is being opened.
struct Opening {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: StoreOptions,
    meta: Meta,
    last_stop: LastStop,
    checkpoint: Option<Checkpoint>,
    found: Vec<FoundPartition>,
    opened: Vec<FoundPartition>,
    quarantined: Vec<Quarantined>,
    report: RecoveryReport,
}

/// A partition's directory.
struct FoundPartition {
    identity: LogIdentity,
    dir: PathBuf,
    name: String,
    durability: StoredDurability,
}

impl FoundPartition {
    fn key(&self) -> LogKey {
        LogKey {
            topic_id: self.identity.topic_id,
            partition: self.identity.partition,
        }
    }
}

/// The journal as found, and where it goes on.
struct OldJournal {
    files: JournalFiles,
    found: Vec<Found>,
    redone: HashMap<LogKey, Redone>,
    next: Cursor,
}

pub(super) fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    options: StoreOptions,
) -> Result<Store, OpenError> {
    let lock = meta::take(&*disk, dir)?;
    let mut opening = Opening::identify(disk, dir, options)?;
    opening.find_partitions()?;
    let journal = if opening.disk.is_volatile() {
        None
    } else {
        Some(opening.read_journal()?)
    };
    if opening.last_stop != LastStop::Clean {
        opening.meta.leader_epoch = opening.meta.leader_epoch.saturating_add(1);
        let stored = opening.meta.store(&*opening.disk, &opening.dir);
        stored.map_err(|error| opening.failed(layout::META, error))?;
    }
    opening.serve(lock, journal)
}

impl Opening {
    /// Who the directory is and how it was left.
    fn identify(disk: Arc<dyn Disk>, dir: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        let loaded = Meta::load(&*disk, dir)?;
        let meta = match loaded {
            Some(meta) => meta,
            None => create(&*disk, dir, &options).map_err(|error| writing(dir, error))?,
        };
        let marker = dir.join(layout::CLEAN_SHUTDOWN);
        let marked = match disk.remove(&marker) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(writing(dir, error)),
        };
        disk.sync_dir(dir).map_err(|error| writing(dir, error))?;
        if !marked && !disk.is_volatile() {
            sync_ancestors(&*disk, dir).map_err(|error| writing(dir, error))?;
        }
        let mut last_stop = if marked || loaded.is_none() {
            LastStop::Clean
        } else {
            LastStop::Unclean
        };
        let path = dir.join(layout::CHECKPOINT);
        let checkpoint = Checkpoint::load(&*disk, dir);
        let checkpoint = match checkpoint.map_err(|error| OpenError::io(&path, error))? {
            Ok(checkpoint) => Some(checkpoint),
            Err(_) if last_stop == LastStop::Clean => None,
            Err(reason) if options.repair => {
                tracing::warn!(reason, "the checkpoint is damaged; all logs are scanned");
                last_stop = LastStop::Damaged;
                None
            }
            Err(reason) => return Err(OpenError::Damaged { path, reason }),
        };
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            options,
            meta,
            last_stop,
            checkpoint,
            found: Vec::new(),
            opened: Vec::new(),
            quarantined: Vec::new(),
            report: RecoveryReport::default(),
        })
    }

    fn failed(&self, name: &str, error: io::Error) -> OpenError {
        OpenError::io(&self.dir.join(name), error)
    }

    /// Lists the partitions and removes what is left of deleted ones.
    fn find_partitions(&mut self) -> Result<(), OpenError> {
        let entries = self.disk.list(&self.dir);
        let entries = entries.map_err(|error| OpenError::io(&self.dir, error))?;
        for entry in entries.into_iter().filter(|entry| entry.is_dir) {
            let name = entry.name;
            if layout::is_deleted_partition_dir(&name) {
                let removed = self.disk.remove(&self.dir.join(&name));
                removed.map_err(|error| self.failed(&name, error))?;
                continue;
            }
            let Some((topic, partition)) = layout::parse_partition_dir(&name) else {
                continue;
            };
            let (topic, dir) = (topic.to_owned(), self.dir.join(&name));
            match PartitionMetadata::load(&*self.disk, &dir) {
                Ok(Some(metadata)) => self.found.push(FoundPartition {
                    identity: LogIdentity {
                        topic,
                        topic_id: metadata.topic_id,
                        partition,
                    },
                    dir,
                    name,
                    durability: metadata.durability,
                }),
                // Written before the first append: the creation was interrupted.
                Ok(None) if self.is_unused(&dir)? => {
                    let removed = self.disk.remove(&dir);
                    removed.map_err(|error| self.failed(&name, error))?;
                }
                Ok(None) => self.quarantine(name, "partition.metadata is missing".to_owned()),
                Err(error) if Shortage::of(&error).is_some() => {
                    return Err(self.failed(&name, error));
                }
                Err(error) => self.quarantine(name, error.to_string()),
            }
        }
        Ok(())
    }

    /// Whether no file in a partition's directory has contents.
    fn is_unused(&self, dir: &Path) -> Result<bool, OpenError> {
        let failed = |error| OpenError::io(dir, error);
        for entry in self.disk.list(dir).map_err(failed)? {
            if entry.name.ends_with(".tmp") {
                continue;
            }
            let path = dir.join(&entry.name);
            let file = self
                .disk
                .open(&path, crate::disk::OpenMode::Existing)
                .map_err(failed)?;
            if file.size().map_err(failed)? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn quarantine(&mut self, directory: String, reason: String) {
        tracing::error!(directory, reason, "a partition is quarantined");
        self.quarantined.push(Quarantined { directory, reason });
    }

    fn point(&self, key: LogKey) -> Option<Point> {
        self.checkpoint.as_ref()?.points.get(&key).copied()
    }

    /// Applies the journal to the segments, unless everything is on disk or it is not known
    /// where it starts.
    fn read_journal(&mut self) -> Result<OldJournal, OpenError> {
        let dir = self.dir.join(layout::JOURNAL_DIR);
        let failed = |error| OpenError::io(&dir, error);
        let opened = JournalFiles::open(&self.disk, &dir, self.meta.directory_id);
        let (files, found) = opened.map_err(failed)?;
        self.disk.sync_dir(&self.dir).map_err(failed)?;
        let mut end = self
            .checkpoint
            .as_ref()
            .map_or(Cursor::START, |found| found.low);
        let mut redone = HashMap::new();
        if self.last_stop == LastStop::Unclean {
            let mut reader = Reader::new(self.meta.directory_id, &found, end);
            redone = self.redo(&mut reader).map_err(failed)?;
            let low = end.file_sequence;
            end = reader.position();
            let is_cut = |found: &Found| {
                found.is_cut && found.sequence.is_none_or(|sequence| sequence >= low)
            };
            let damage = if found.iter().any(is_cut) {
                Some("a file of it has been cut".to_owned())
            } else if reader.is_damaged().map_err(failed)? {
                let group = end.group_sequence;
                Some(format!("group {group} is not intact and others follow it"))
            } else {
                None
            };
            if let Some(reason) = damage {
                if !self.options.repair {
                    return Err(OpenError::Damaged { path: dir, reason });
                }
                self.report.journal_damaged = true;
                self.last_stop = LastStop::Damaged;
            }
        }
        let used = found.iter().filter_map(|found| found.sequence).max();
        Ok(OldJournal {
            next: Cursor {
                file_sequence: used.unwrap_or(0).max(end.file_sequence).saturating_add(1),
                ..Cursor::START.with_group(end.group_sequence)
            },
            files,
            found,
            redone,
        })
    }

    fn redo(&mut self, reader: &mut Reader) -> io::Result<HashMap<LogKey, Redone>> {
        let mut redo = Redo::new(&*self.disk);
        for found in &self.found {
            // What is wrong with a damaged start, opening the log will say.
            let start = load_log_start(&*self.disk, &found.dir).unwrap_or(0);
            let point = self.point(found.key()).unwrap_or_default();
            redo.target(found.key(), &found.dir, point.recovery_point(), start);
        }
        while let Some(entries) = reader.next()? {
            self.report.groups += 1;
            for entry in &entries {
                self.report.entries += 1;
                redo.apply(entry)?;
            }
        }
        let (redone, written) = redo.finish()?;
        self.report.bytes_written = written;
        Ok(redone)
    }

    /// Opens the logs, gives up the old journal and starts the threads.
    fn serve(
        mut self,
        lock: Box<dyn DiskLock>,
        old: Option<OldJournal>,
    ) -> Result<Store, OpenError> {
        let partitions = Arc::new(Partitions::default());
        let (journal, redone, found, next) = match old {
            Some(old) => {
                let journal = self.new_journal(&partitions, old.next, old.files);
                (Some(Arc::new(journal)), old.redone, old.found, old.next)
            }
            None => (None, HashMap::new(), Vec::new(), Cursor::START),
        };
        let sink = journal.as_ref().map(|journal| {
            let sink = JournalSink::new(Arc::clone(journal), self.options.threads);
            Arc::new(sink)
        });
        let points = self.open_logs(&partitions, sink.as_ref(), &redone)?;
        let checkpoint = Checkpoint { low: next, points };
        if journal.is_some() && self.needs_checkpoint(&checkpoint) {
            let stored = checkpoint.store(&*self.disk, &self.dir);
            stored.map_err(|error| self.failed(layout::CHECKPOINT, error))?;
        }
        self.store_durability(&partitions)?;
        if let Some(journal) = &journal {
            let supplied = journal.supply(found);
            supplied.map_err(|error| self.failed(layout::JOURNAL_DIR, error))?;
        }
        let checkpointer = Arc::new(Checkpointer::new(
            Arc::clone(&self.disk),
            self.dir.clone(),
            journal.clone(),
            Arc::clone(&partitions),
            checkpoint,
            self.options.threads,
        ));
        if let Some(sink) = &sink {
            sink.attach(&checkpointer);
            checkpointer.attach(Arc::downgrade(&(Arc::clone(sink) as Arc<dyn CommitSink>)));
        }
        self.report.logs = self.opened.len();
        self.report.clean = self.last_stop == LastStop::Clean;
        let store = Store {
            disk: self.disk,
            dir: self.dir,
            meta: self.meta,
            partitions,
            quarantined: Mutex::new(self.quarantined),
            journal,
            sink,
            checkpointer,
            report: self.report,
            changes: Mutex::new(()),
            threads: Mutex::default(),
            parallel: self.options.threads,
            lock: Mutex::new(Some(lock)),
        };
        if self.options.threads {
            start_threads(&store).map_err(|error| OpenError::io(&store.dir, error))?;
        }
        Ok(store)
    }

    /// Notes in their directories which logs are journaled from now on. Only behind a checkpoint
    /// with their ends: recovery must not look for those in a journal that does not have them.
    fn store_durability(&self, partitions: &Partitions) -> Result<(), OpenError> {
        for (found, log) in self.opened.iter().filter_map(|found| {
            let identity = &found.identity;
            Some((found, partitions.get(&identity.topic, identity.partition)?))
        }) {
            let durability = if log.is_journaled() {
                StoredDurability::Journal
            } else {
                StoredDurability::PageCache
            };
            if durability != found.durability && !self.disk.is_volatile() {
                let metadata = PartitionMetadata {
                    topic_id: found.identity.topic_id,
                    durability,
                };
                let stored = metadata.store(&*self.disk, &found.dir);
                stored.map_err(|error| self.failed(&found.name, error))?;
            }
        }
        Ok(())
    }

    fn new_journal(
        &self,
        partitions: &Arc<Partitions>,
        cursor: Cursor,
        files: JournalFiles,
    ) -> Journal<Log> {
        let logs: Weak<Partitions> = Arc::downgrade(partitions);
        let on_failure = move |reason: &Arc<str>| {
            for log in logs.upgrade().map(|logs| logs.all()).unwrap_or_default() {
                if log.is_journaled() {
                    log.fail(Failed {
                        reason: Arc::clone(reason),
                    });
                }
            }
        };
        let directory = self.meta.directory_id;
        Journal::new(
            self.options.journal,
            directory,
            cursor,
            files,
            Box::new(on_failure),
        )
    }

    /// Opens every log as its verdict says. Returns their recovery points.
    fn open_logs(
        &mut self,
        partitions: &Partitions,
        sink: Option<&Arc<JournalSink>>,
        redone: &HashMap<LogKey, Redone>,
    ) -> Result<HashMap<LogKey, Point>, OpenError> {
        let mut points = self.points_of_unnamed();
        let found = std::mem::take(&mut self.found);
        let open = |found: &FoundPartition| {
            let facts = self.facts(found, sink.is_some(), redone.get(&found.key()));
            (facts, self.open_log(found, sink, plan(facts)))
        };
        let opened = for_all(self.options.threads, &found, open);
        for (found, (facts, opened)) in found.into_iter().zip(opened) {
            match opened? {
                Ok(log) => {
                    let end = log.offsets().log_end_offset;
                    points.insert(found.key(), Point::at(end));
                    partitions.insert(log);
                    self.opened.push(found);
                }
                Err(reason) => {
                    // Kept, so that the next start does not take what is there for the whole.
                    let point = facts.point.unwrap_or_default();
                    let quarantined = Point {
                        end: facts.journaled_end.unwrap_or(0).max(point.end),
                        quarantined: true,
                    };
                    points.insert(found.key(), quarantined);
                    self.quarantine(found.name, reason);
                }
            }
        }
        Ok(points)
    }

    /// What the verdict on a log goes by.
    fn facts(&self, found: &FoundPartition, journal: bool, redone: Option<&Redone>) -> Facts {
        Facts {
            last_stop: self.last_stop,
            journaled: journal && found.durability == StoredDurability::Journal,
            point: self.point(found.key()),
            journaled_end: redone.map(|redone| redone.end),
            hole: redone.is_some_and(|redone| redone.hole),
        }
    }

    /// The points of logs that were not found. They are kept while there are directories of
    /// which it is not known to which log they belong.
    fn points_of_unnamed(&self) -> HashMap<LogKey, Point> {
        let known = self
            .checkpoint
            .as_ref()
            .map(|checkpoint| &checkpoint.points);
        let mut points = known
            .filter(|_| !self.quarantined.is_empty())
            .cloned()
            .unwrap_or_default();
        for point in points.values_mut() {
            point.quarantined = true;
        }
        points
    }

    /// Opens a log. The inner error says why it is quarantined. A shortage is no reason for that: it
    /// passes, and says nothing about the log.
    fn open_log(
        &self,
        found: &FoundPartition,
        sink: Option<&Arc<JournalSink>>,
        tail: Option<Tail>,
    ) -> Result<Result<Arc<Log>, String>, OpenError> {
        let Some(tail) = tail else {
            return Ok(Err("bytes are missing before journaled ones".to_owned()));
        };
        let config = (self.options.config)(&found.identity);
        let sink = super::sink_for(sink, &config);
        let identity = found.identity.clone();
        let epoch = self.meta.leader_epoch;
        let disk = Arc::clone(&self.disk);
        match Log::open(disk, &found.dir, identity, config, epoch, sink, tail) {
            Err(error::OpenError::Disk(error)) if Shortage::of(&error).is_some() => {
                Err(OpenError::io(&found.dir, error))
            }
            opened => Ok(opened.map_err(|error| error.to_string())),
        }
    }

    /// Whether the stored checkpoint does not say what holds now. After a clean stop it mostly
    /// does, because reading bridges from one file to the next.
    fn needs_checkpoint(&self, now: &Checkpoint) -> bool {
        let Some(stored) = &self.checkpoint else {
            return true;
        };
        self.last_stop != LastStop::Clean
            || stored.points != now.points
            || stored.low.file_sequence.saturating_add(1) != now.low.file_sequence
    }
}

/// Makes an empty directory ours. `meta` comes last: before it, the directory is still new.
fn create(disk: &dyn Disk, dir: &Path, options: &StoreOptions) -> io::Result<Meta> {
    let checkpoint = Checkpoint {
        low: Cursor::START,
        points: HashMap::new(),
    };
    checkpoint.store(disk, dir)?;
    let meta = Meta {
        cluster_id: options.cluster_id,
        directory_id: options.directory_id,
        leader_epoch: 0,
    };
    meta.store(disk, dir)?;
    Ok(meta)
}

/// Makes the names durable that lead to `dir`: it and some above it may have been created just
/// now, or by a start that was killed.
fn sync_ancestors(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    for above in dir.ancestors().skip(1) {
        let above = if above.as_os_str().is_empty() {
            Path::new(".")
        } else {
            above
        };
        // Someone who may not read a directory has not created anything in it.
        match disk.sync_dir(above) {
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn writing(dir: &Path, source: io::Error) -> OpenError {
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::NotWritable {
                dir: dir.to_owned(),
                source,
            }
        }
        _ => OpenError::io(dir, source),
    }
}

fn start_threads(store: &Store) -> io::Result<()> {
    let Some(journal) = &store.journal else {
        return Ok(());
    };
    let mut threads = store.threads.lock();
    let writer = Arc::clone(journal);
    let named = |name: &str| thread::Builder::new().name(name.to_owned());
    threads.push(named("ottla-journal").spawn(move || writer.run())?);
    let (journal, checkpointer) = (Arc::clone(journal), Arc::clone(&store.checkpointer));
    threads.push(named("ottla-checkpoint").spawn(move || {
        while let Some(chores) = journal.await_chores() {
            checkpointer.attend(chores);
        }
    })?);
    Ok(())
}
