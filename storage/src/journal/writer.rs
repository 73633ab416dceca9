//! Shell. Turns queued units into groups: one write, one sync, then the commits.

use std::io;
use std::sync::Arc;

use super::file::JournalFile;
use super::format::{FIRST_GROUP, FileHeader, GROUP_HEADER_LEN, GroupBuilder, padded};
use super::{Cursor, Journal, Journaled, Life, State, Unit};

/// Memory that the write buffer keeps between groups.
const KEPT_BUFFER: usize = 8 << 20;

/// The end of the journal, where groups are added.
pub(super) struct Writer {
    active: Option<JournalFile>,
    cursor: Cursor,
    builder: GroupBuilder,
}

impl Writer {
    /// Starts at `cursor`, the first position of a file that is still to be taken.
    pub(super) fn new(cursor: Cursor) -> Self {
        Self {
            active: None,
            cursor,
            builder: GroupBuilder::default(),
        }
    }

    fn room(&self) -> u64 {
        let capacity = self.active.as_ref().map_or(0, |file| file.capacity);
        capacity.saturating_sub(self.cursor.position)
    }

    /// Moves to a free file that can hold `len` bytes, if there is one.
    fn rotate<L: ?Sized>(&mut self, state: &mut State<L>, len: u64) -> bool {
        let Some(at) = state.fitting(len) else {
            return false;
        };
        let file = state.free.swap_remove(at);
        if let Some(full) = self.active.replace(file) {
            state.full.push(full);
            self.cursor.file_sequence += 1;
        }
        self.cursor.position = FIRST_GROUP;
        state.cursor = self.cursor;
        true
    }

    /// Writes and syncs `units` as one group. They fit: `Journal::next_group` has seen to that.
    fn write<L: Journaled + ?Sized>(
        &mut self,
        journal: &Journal<L>,
        units: &[Unit<L>],
    ) -> io::Result<()> {
        let Some(active) = &self.active else {
            return Err(io::Error::other("no journal file is in use"));
        };
        let len: u64 = units.iter().map(|unit| unit.journal_len).sum();
        let len = usize::try_from(FIRST_GROUP + group_len(len)).unwrap_or(0);
        self.builder.clear(KEPT_BUFFER, len);
        let mut at = self.cursor.position;
        if at == FIRST_GROUP {
            at = 0;
            let header = FileHeader {
                sequence: self.cursor.file_sequence,
                capacity: active.capacity,
            };
            self.builder.file_header(journal.directory, header);
        }
        self.builder.begin();
        for entry in units.iter().flat_map(|unit| &unit.entries) {
            self.builder
                .entry(&entry.header(), [&entry.head, &entry.body]);
        }
        let block = self.builder.finish(
            journal.directory,
            self.cursor.file_sequence,
            self.cursor.group_sequence,
        );
        active.file.write_block_at(at, block)?;
        active.file.sync()?;
        self.cursor.position = at + block.len() as u64;
        self.cursor.group_sequence += 1;
        Ok(())
    }
}

/// How far writing in the caller's thread has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driven {
    /// Nothing is queued any more, or the journal has ended.
    Done,
    /// The next unit waits for a file.
    Starved,
    /// A call further up the stack, or in another thread, is at it.
    Nested,
}

/// Bytes that units with this many bytes of entries take in the file.
fn group_len(journal_len: u64) -> u64 {
    padded(GROUP_HEADER_LEN as u64 + journal_len)
}

impl<L: Journaled + ?Sized> Journal<L> {
    /// Writes groups until the journal stops. The body of the journal thread.
    pub(crate) fn run(&self) {
        let mut writer = self.writer.lock();
        while let Some(units) = self.next_group(&mut writer, true) {
            self.commit(&mut writer, units);
        }
    }

    /// Writes all that is queued, in the caller's thread.
    pub(crate) fn drive(&self) -> Driven {
        {
            let mut state = self.state.lock();
            if state.driving {
                return Driven::Nested;
            }
            state.driving = true;
        }
        let mut writer = self.writer.lock();
        while let Some(units) = self.next_group(&mut writer, false) {
            self.commit(&mut writer, units);
        }
        if self.state.lock().starved.is_some() {
            Driven::Starved
        } else {
            Driven::Done
        }
    }

    /// The units of the next group, for which the active file has room. `None` at the end, and
    /// without `wait` when there is nothing that can be written now.
    fn next_group(&self, writer: &mut Writer, wait: bool) -> Option<Vec<Unit<L>>> {
        let mut state = self.state.lock();
        loop {
            state.starved = None;
            if matches!(state.life, Life::Stopped | Life::Failed(_)) {
                state.driving = false;
                return None;
            }
            if let Some(first) = state.queue.front() {
                let needed = group_len(first.journal_len);
                if needed <= writer.room() {
                    return Some(self.take_units(&mut state, writer.room()));
                }
                if writer.rotate(&mut state, needed) {
                    state.chores.checkpoint |= !state.full.is_empty();
                    state.chores.prepare = true;
                    self.attention.notify_one();
                    continue;
                }
                self.starve(&mut state, writer, needed);
            }
            if !wait {
                state.driving = false;
                return None;
            }
            self.work.wait(&mut state);
        }
    }

    /// No file is free: asks for one, and for a checkpoint that frees one.
    fn starve(&self, state: &mut State<L>, writer: &mut Writer, needed: u64) {
        state.starved = Some(needed);
        // The active file has to be given up: only then can a checkpoint free it.
        if let Some(full) = writer.active.take() {
            state.full.push(full);
            writer.cursor.file_sequence += 1;
            writer.cursor.position = FIRST_GROUP;
            state.cursor = writer.cursor;
        }
        state.chores.checkpoint = true;
        state.chores.prepare = true;
        self.attention.notify_one();
        self.room.notify_all();
    }

    fn take_units(&self, state: &mut State<L>, room: u64) -> Vec<Unit<L>> {
        let mut units = Vec::new();
        let mut len = 0;
        while let Some(unit) = state.queue.front() {
            let with = len + unit.journal_len;
            let fits = with <= self.options.group_bytes && group_len(with) <= room;
            if !units.is_empty() && !fits {
                break;
            }
            len = with;
            units.extend(state.queue.pop_front());
        }
        units
    }

    fn commit(&self, writer: &mut Writer, units: Vec<Unit<L>>) {
        if let Err(error) = writer.write(self, &units) {
            self.fail(&format!("writing to the journal failed: {error}"));
            return;
        }
        let mut entries = units.iter().flat_map(|unit| &unit.entries).peekable();
        while let Some(entry) = entries.next() {
            // One report for a run of entries of one log.
            let next = entries.peek();
            if next.is_none_or(|next| !Arc::ptr_eq(&entry.log, &next.log)) {
                entry.log.commit(entry.end_offset);
            }
        }
        let mut state = self.state.lock();
        if state.life == Life::Stopped {
            return;
        }
        state.cursor = writer.cursor;
        for unit in units {
            state.queued_bytes = state.queued_bytes.saturating_sub(unit.data_len);
            for entry in unit.entries {
                state.dirty.insert(entry.log.key(), entry.log);
            }
        }
        drop(state);
        self.room.notify_all();
    }
}
