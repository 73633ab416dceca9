//! One commit log behind all segments: what many partitions append is made durable by one sync.
//!
//! Shell. Appends are queued while their log is locked, so the order here is the order of the log.
//! The writer takes all that is queued, writes it as one group, syncs once and then commits: while
//! one group is written the next one collects, so no timer is needed. A file that is full waits
//! for a checkpoint and is used again. The first write or sync that fails is the last.

mod file;
mod format;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::record::HEADER_LEN;
use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use self::file::JournalFile;
pub(crate) use self::file::{Found, JournalFiles};
use self::format::{BLOCK_BYTES, FIRST_GROUP, GROUP_HEADER_LEN};
pub(crate) use self::format::{ENTRY_HEADER_LEN, EntryHeader, RedoEntry};
pub(crate) use self::reader::Reader;
pub(crate) use self::writer::Driven;
use self::writer::Writer;
use crate::error::Shortage;

/// Sizes of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalOptions {
    /// Bytes of the first file. Small, so that a new directory opens in milliseconds.
    pub first_file_bytes: u64,
    /// Bytes of every other file, which are prepared in the background.
    pub file_bytes: u64,
    /// Number of files, at least two. When all are full, appends wait for the checkpoint.
    pub max_files: usize,
    /// Bytes of data written with one sync; a single append may be larger.
    pub group_bytes: u64,
    /// Bytes waiting to be written above which appends wait.
    pub queue_bytes: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            first_file_bytes: 8 << 20,
            file_bytes: 64 << 20,
            max_files: 4,
            group_bytes: 4 << 20,
            queue_bytes: 64 << 20,
        }
    }
}

impl JournalOptions {
    /// The largest number of bytes that may share one fate: all data, and the headers of all entries but
    /// one.
    fn unit_limit(&self) -> u32 {
        let overhead = (GROUP_HEADER_LEN + ENTRY_HEADER_LEN) as u64;
        let file = self.file_bytes.saturating_sub(2 * BLOCK_BYTES + overhead);
        u32::try_from(file).unwrap_or(u32::MAX).min(u32::MAX / 2)
    }
}

/// Names a log for ever: a topic created anew has a new id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LogKey {
    /// Topic.
    pub(crate) topic_id: Uuid,
    /// Partition index.
    pub(crate) partition: i32,
}

/// What the journal asks of a log.
pub(crate) trait Journaled: Send + Sync {
    /// Which log this is.
    fn key(&self) -> LogKey;

    /// Everything below `end_offset` is durable.
    fn commit(&self, end_offset: i64);
}

/// Bytes that a log has written to a segment and that wait to become durable.
pub(crate) struct JournalEntry<L: ?Sized> {
    /// Where to report the commit.
    pub(crate) log: Arc<L>,
    /// Base offset of the segment.
    pub(crate) segment_base: i64,
    /// Position in the segment.
    pub(crate) position: u64,
    /// Head of the batch.
    pub(crate) head: [u8; HEADER_LEN],
    /// Records of the batch.
    pub(crate) body: Bytes,
    /// Log end offset after the batch.
    pub(crate) end_offset: i64,
}

impl<L: Journaled + ?Sized> JournalEntry<L> {
    fn data_len(&self) -> u64 {
        (HEADER_LEN + self.body.len()) as u64
    }

    fn journal_len(&self) -> u64 {
        self.data_len() + ENTRY_HEADER_LEN as u64
    }

    fn header(&self) -> EntryHeader {
        let key = self.log.key();
        EntryHeader {
            topic_id: key.topic_id,
            partition: key.partition,
            segment_base: self.segment_base,
            position: self.position,
            end_offset: self.end_offset,
            len: u32::try_from(self.data_len()).unwrap_or(u32::MAX),
        }
    }
}

/// Why the journal takes nothing in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// More bytes than a journal file holds.
    TooLarge {
        /// What it holds.
        limit: u32,
    },
    /// A checkpoint or a journal file could not be written for want of this. Passes.
    Short(Shortage),
    /// A write or sync failed. Passes with a restart.
    Failed(Arc<str>),
    /// The store is closed.
    Closed,
}

/// A place in the journal: where the next group will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Sequence of the file.
    pub(crate) file_sequence: u64,
    /// Position in the file.
    pub(crate) position: u64,
    /// Sequence of the group.
    pub(crate) group_sequence: u64,
}

impl Cursor {
    /// Of a new directory.
    pub(crate) const START: Self = Self {
        file_sequence: 0,
        position: FIRST_GROUP,
        group_sequence: 1,
    };

    /// This place with another group.
    pub(crate) fn with_group(self, group_sequence: u64) -> Self {
        Self {
            group_sequence,
            ..self
        }
    }
}

/// What the maintenance thread is woken for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chores {
    /// Write a checkpoint.
    pub(crate) checkpoint: bool,
    /// Make another journal file ready.
    pub(crate) prepare: bool,
    /// Look at the logs whose flush may be due at this time in milliseconds.
    pub(crate) tick: Option<i64>,
}

/// What a checkpoint has to bring to disk.
pub(crate) struct Dirty<L: ?Sized> {
    /// Where recovery starts once this checkpoint is stored.
    pub(crate) low: Cursor,
    /// The logs with entries below.
    pub(crate) logs: BTreeMap<LogKey, Arc<L>>,
    full_files: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Life {
    Running,
    Closing,
    Stopped,
    Failed(Arc<str>),
}

struct State<L: ?Sized> {
    life: Life,
    queue: VecDeque<Unit<L>>,
    /// Bytes admitted and not yet durable.
    queued_bytes: u64,
    /// Ready to be taken into use.
    free: Vec<JournalFile>,
    /// In order of use; all groups in them are durable and wait for a checkpoint.
    full: Vec<JournalFile>,
    files: JournalFiles,
    cursor: Cursor,
    dirty: BTreeMap<LogKey, Arc<L>>,
    chores: Chores,
    /// The writer waits for a file with room for so many bytes.
    starved: Option<u64>,
    /// For want of what the last checkpoint or file could not be written.
    short_of: Option<Shortage>,
    /// Someone writes groups at the moment (inline mode).
    driving: bool,
}

impl<L: ?Sized> State<L> {
    /// The free file to use for a group of `len` bytes. The largest, so that the small one that
    /// the directory began with is left for when there is no other.
    fn fitting(&self, len: u64) -> Option<usize> {
        let fits = |file: &JournalFile| file.capacity.saturating_sub(FIRST_GROUP) >= len;
        let files = (0..).zip(&self.free).filter(|(_, file)| fits(file));
        files
            .max_by_key(|(_, file)| file.capacity)
            .map(|(at, _)| at)
    }
}

/// Entries with one fate.
struct Unit<L: ?Sized> {
    entries: Vec<JournalEntry<L>>,
    data_len: u64,
    journal_len: u64,
}

/// Called with the reason when the journal fails.
pub(crate) type OnFailure = Box<dyn Fn(&Arc<str>) + Send + Sync>;

/// See the module.
pub(crate) struct Journal<L: ?Sized> {
    options: JournalOptions,
    directory: Uuid,
    state: Mutex<State<L>>,
    /// The writer waits here for units and for files.
    work: Condvar,
    /// Appends wait here for the queue to shrink, and closing for it to drain.
    room: Condvar,
    /// The maintenance thread waits here for chores.
    attention: Condvar,
    writer: Mutex<Writer>,
    on_failure: OnFailure,
}

impl<L: Journaled + ?Sized> Journal<L> {
    /// A journal that goes on at `cursor`, the start of a file not yet in use, in `files`.
    ///
    /// `on_failure` is called once, without locks held, when the journal fails.
    pub(crate) fn new(
        options: JournalOptions,
        directory: Uuid,
        cursor: Cursor,
        files: JournalFiles,
        on_failure: OnFailure,
    ) -> Self {
        let state = State {
            life: Life::Running,
            queue: VecDeque::new(),
            queued_bytes: 0,
            chores: Chores::default(),
            free: Vec::new(),
            full: Vec::new(),
            files,
            cursor,
            dirty: BTreeMap::new(),
            starved: None,
            short_of: None,
            driving: false,
        };
        Self {
            options,
            directory,
            state: Mutex::new(state),
            work: Condvar::new(),
            room: Condvar::new(),
            attention: Condvar::new(),
            writer: Mutex::new(Writer::new(cursor)),
            on_failure,
        }
    }

    /// Gives the journal the old files, which hold nothing needed any more, and at least one.
    pub(crate) fn supply(&self, old: Vec<Found>) -> io::Result<()> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let options = &self.options;
        state.free = state
            .files
            .recycle(old, options.file_bytes, options.max_files)?;
        if state.free.is_empty() {
            state
                .free
                .push(state.files.create(options.first_file_bytes)?);
        }
        Ok(())
    }

    /// Waits, if asked to, until there is room for an append of `bytes`. To be called before
    /// anything is written, with no log locked.
    pub(crate) fn admit(&self, bytes: u64, wait: bool) -> Result<(), Refused> {
        let limit = self.options.unit_limit();
        if bytes > u64::from(limit) {
            return Err(Refused::TooLarge { limit });
        }
        let mut state = self.state.lock();
        loop {
            match &state.life {
                Life::Running => {}
                Life::Failed(reason) => return Err(Refused::Failed(Arc::clone(reason))),
                Life::Closing | Life::Stopped => return Err(Refused::Closed),
            }
            if let Some(shortage) = state.short_of {
                state.chores.checkpoint = true;
                state.chores.prepare = true;
                self.attention.notify_one();
                return Err(Refused::Short(shortage));
            }
            if state.queued_bytes < self.options.queue_bytes {
                return Ok(());
            }
            if !wait {
                return Err(Refused::Short(Shortage::Space));
            }
            self.room.wait(&mut state);
        }
    }

    /// Queues entries that share one fate. Called with their logs locked; never waits.
    pub(crate) fn submit(&self, entries: Vec<JournalEntry<L>>) -> Result<(), Refused> {
        let unit = Unit {
            data_len: entries.iter().map(JournalEntry::data_len).sum(),
            journal_len: entries.iter().map(JournalEntry::journal_len).sum(),
            entries,
        };
        let mut state = self.state.lock();
        match &state.life {
            Life::Running | Life::Closing => {}
            Life::Failed(reason) => return Err(Refused::Failed(Arc::clone(reason))),
            Life::Stopped => return Err(Refused::Closed),
        }
        state.queued_bytes += unit.data_len;
        state.queue.push_back(unit);
        self.work.notify_one();
        Ok(())
    }

    /// Data bytes that are queued or being written.
    pub(crate) fn queued_bytes(&self) -> u64 {
        self.state.lock().queued_bytes
    }

    /// Whether a write or sync has failed.
    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        match &self.state.lock().life {
            Life::Failed(reason) => Some(Arc::clone(reason)),
            _ => None,
        }
    }

    /// Whether the journal has failed or stopped.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state.lock().life, Life::Failed(_) | Life::Stopped)
    }

    /// Ends the journal for good: nothing queued will be committed.
    pub(crate) fn fail(&self, reason: &str) {
        let mut state = self.state.lock();
        if matches!(state.life, Life::Failed(_) | Life::Stopped) {
            return;
        }
        tracing::error!(
            reason,
            "the journal failed; journaled logs are read-only until restarted"
        );
        let reason: Arc<str> = reason.into();
        state.life = Life::Failed(Arc::clone(&reason));
        let dropped = mem::take(&mut state.queue);
        state.queued_bytes = 0;
        drop(state);
        drop(dropped);
        self.wake_all();
        (self.on_failure)(&reason);
    }

    /// Refuses new appends and waits until all queued ones are durable. `false` when that will
    /// not happen: the journal has failed, or there is no room on the disk.
    pub(crate) fn drain(&self) -> bool {
        let mut state = self.state.lock();
        if state.life == Life::Running {
            state.life = Life::Closing;
        }
        self.room.notify_all();
        loop {
            let stuck = state.starved.is_some() && state.short_of.is_some();
            if state.life != Life::Closing || stuck {
                return false;
            }
            if state.queued_bytes == 0 {
                return true;
            }
            self.room.wait(&mut state);
        }
    }

    /// Ends both threads at their next step. What is queued is forgotten, as in a crash.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        if !matches!(state.life, Life::Failed(_)) {
            state.life = Life::Stopped;
        }
        let dropped = mem::take(&mut state.queue);
        state.dirty.clear();
        drop(state);
        drop(dropped);
        self.wake_all();
    }

    fn wake_all(&self) {
        self.work.notify_all();
        self.room.notify_all();
        self.attention.notify_all();
    }
}

/// What the maintenance thread calls.
impl<L: Journaled + ?Sized> Journal<L> {
    /// Waits for chores; `None` when the journal has stopped or failed.
    pub(crate) fn await_chores(&self) -> Option<Chores> {
        let mut state = self.state.lock();
        loop {
            if matches!(state.life, Life::Stopped | Life::Failed(_)) {
                return None;
            }
            if state.chores != Chores::default() {
                return Some(mem::take(&mut state.chores));
            }
            self.attention.wait(&mut state);
        }
    }

    /// The chores there are, without waiting.
    pub(crate) fn take_chores(&self) -> Chores {
        mem::take(&mut self.state.lock().chores)
    }

    /// Asks for chores to be done.
    pub(crate) fn request(&self, change: impl FnOnce(&mut Chores)) {
        change(&mut self.state.lock().chores);
        self.attention.notify_one();
    }

    /// A log is deleted: no checkpoint has to care for it.
    pub(crate) fn forget(&self, key: LogKey) {
        let forgotten = self.state.lock().dirty.remove(&key);
        drop(forgotten);
    }

    /// What a checkpoint started now covers. Ends with `finish_checkpoint` or `abort_checkpoint`.
    /// `None` when the journal has ended: what it covers must stay covered.
    pub(crate) fn begin_checkpoint(&self) -> Option<Dirty<L>> {
        let mut state = self.state.lock();
        if !matches!(state.life, Life::Running | Life::Closing) {
            return None;
        }
        state.chores.checkpoint = false;
        Some(Dirty {
            low: state.cursor,
            logs: mem::take(&mut state.dirty),
            full_files: state.full.len(),
        })
    }

    /// The checkpoint is stored: the files below it are free again.
    pub(crate) fn finish_checkpoint(&self, dirty: &Dirty<L>) {
        let mut state = self.state.lock();
        let covered = dirty.full_files.min(state.full.len());
        let done: Vec<_> = state.full.drain(..covered).collect();
        state.free.extend(done);
        state.short_of = None;
        drop(state);
        self.work.notify_all();
        self.room.notify_all();
    }

    /// The checkpoint could not be stored for want of something; appends are refused until one
    /// can.
    pub(crate) fn abort_checkpoint(&self, dirty: Dirty<L>, shortage: Shortage) {
        let mut state = self.state.lock();
        for (key, log) in dirty.logs {
            state.dirty.entry(key).or_insert(log);
        }
        state.short_of = Some(shortage);
        drop(state);
        self.room.notify_all();
    }

    /// Makes another file ready unless there are enough. An error costs nothing but the file.
    pub(crate) fn prepare_file(&self) {
        let plan = {
            let mut state = self.state.lock();
            state.chores.prepare = false;
            let spare = |file: &JournalFile| file.capacity >= self.options.file_bytes;
            if state.free.iter().any(spare) || state.files.count() >= self.options.max_files {
                return;
            }
            state.files.plan(self.options.file_bytes)
        };
        let stopped = || self.state.lock().life == Life::Stopped;
        let prepared = plan.prepare(stopped);
        let mut state = self.state.lock();
        match prepared {
            Ok(Some(file)) => {
                state.files.add();
                state.free.push(file);
                drop(state);
                self.work.notify_all();
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "no further journal file could be prepared");
                // No checkpoint will free a file either.
                let helpless = |needed| state.full.is_empty() && state.fitting(needed).is_none();
                if state.starved.is_some_and(helpless) {
                    state.short_of = Some(Shortage::of(&error).unwrap_or(Shortage::Space));
                }
                drop(state);
                self.room.notify_all();
            }
        }
    }
}
