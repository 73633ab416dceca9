use std::path::Path;

use parking_lot::Mutex as PlainMutex;

use super::*;
use crate::disk::Disk;
use crate::disk::simulated::{Loss, SimulatedDisk};

const DIRECTORY: Uuid = Uuid::from_u128(42);
const SMALL: JournalOptions = JournalOptions {
    first_file_bytes: 32 << 10,
    file_bytes: 64 << 10,
    max_files: 3,
    group_bytes: 16 << 10,
    queue_bytes: 64 << 10,
};

struct TestLog {
    key: LogKey,
    committed: PlainMutex<Vec<i64>>,
    moved: Condvar,
}

impl TestLog {
    fn new(partition: i32) -> Arc<Self> {
        Arc::new(Self {
            key: LogKey {
                topic_id: Uuid::from_u128(1),
                partition,
            },
            committed: PlainMutex::default(),
            moved: Condvar::new(),
        })
    }

    fn await_commit(&self, end_offset: i64) {
        let mut committed = self.committed.lock();
        while committed.last().is_none_or(|last| *last < end_offset) {
            self.moved.wait(&mut committed);
        }
    }
}

impl Journaled for TestLog {
    fn key(&self) -> LogKey {
        self.key
    }

    fn commit(&self, end_offset: i64) {
        self.committed.lock().push(end_offset);
        self.moved.notify_all();
    }
}

fn entry(log: &Arc<TestLog>, end_offset: i64, len: usize) -> JournalEntry<TestLog> {
    JournalEntry {
        log: Arc::clone(log),
        segment_base: 0,
        position: u64::try_from(end_offset).unwrap(),
        head: [7; HEADER_LEN],
        body: Bytes::from(vec![u8::try_from(end_offset % 251).unwrap(); len]),
        end_offset,
    }
}

struct Opened {
    journal: Arc<Journal<TestLog>>,
    /// End offsets read back.
    redone: Vec<i64>,
    damaged: bool,
}

const START: Cursor = Cursor {
    file_sequence: 1,
    position: 4096,
    group_sequence: 1,
};

fn open(disk: &SimulatedDisk, low: Cursor) -> Opened {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let dir = Path::new("journal");
    let (files, found) = JournalFiles::open(&disk, dir, DIRECTORY).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    let mut reader = Reader::new(DIRECTORY, &found, low);
    let mut redone = Vec::new();
    while let Some(entries) = reader.next().unwrap() {
        redone.extend(entries.iter().map(|entry| entry.header.end_offset));
    }
    let damaged = reader.is_damaged().unwrap();
    let newest = found.iter().filter_map(|found| found.sequence).max();
    let cursor = Cursor {
        file_sequence: newest.unwrap_or(0).max(reader.position().file_sequence - 1) + 1,
        position: format::FIRST_GROUP,
        group_sequence: reader.position().group_sequence,
    };
    let journal = Arc::new(Journal::new(
        SMALL,
        DIRECTORY,
        cursor,
        files,
        Box::new(|_| {}),
    ));
    journal.supply(found).unwrap();
    Opened {
        journal,
        redone,
        damaged,
    }
}

/// Appends one unit after the other, with checkpoints that flush nothing as files fill up.
fn append(journal: &Journal<TestLog>, log: &Arc<TestLog>, ends: std::ops::Range<i64>, len: usize) {
    for end in ends {
        journal.admit(len as u64, true).unwrap();
        journal.submit(vec![entry(log, end, len)]).unwrap();
        while journal.drive() == Driven::Starved {
            journal.prepare_file();
            let dirty = journal.begin_checkpoint().unwrap();
            journal.finish_checkpoint(&dirty);
        }
    }
}

#[test]
fn a_commit_follows_each_append() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    append(&open(&disk, START).journal, &log, 1..4, 100);
    assert_eq!(*log.committed.lock(), [1, 2, 3]);
}

#[test]
fn what_was_committed_is_read_back_after_a_power_loss() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    append(&open(&disk, START).journal, &log, 1..5, 5000);
    disk.lose_power(Loss::Everything);
    let opened = open(&disk, START);
    assert_eq!(opened.redone, [1, 2, 3, 4]);
    assert!(!opened.damaged);
}

#[test]
fn many_queued_appends_share_one_sync() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    let journal = open(&disk, START).journal;
    for end in 1..=20 {
        journal.submit(vec![entry(&log, end, 10)]).unwrap();
    }
    let before = disk.syncs();
    assert_eq!(journal.drive(), Driven::Done);
    assert_eq!(disk.syncs() - before, 1);
    assert_eq!(*log.committed.lock(), [20]);
}

#[test]
fn files_are_recycled_and_reading_starts_at_the_last_checkpoint() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    let journal = open(&disk, START).journal;
    append(&journal, &log, 1..200, 3000);
    let low = journal.begin_checkpoint().unwrap().low;
    assert!(low.file_sequence > 5, "{low:?}");
    append(&journal, &log, 200..203, 3000);
    assert_eq!(
        disk.list(Path::new("journal")).unwrap().len(),
        SMALL.max_files
    );
    disk.lose_power(Loss::Everything);
    let opened = open(&disk, low);
    assert_eq!(opened.redone, [200, 201, 202]);
    assert!(!opened.damaged);
}

#[test]
fn a_restarted_journal_goes_on_behind_the_old_one() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    let journal = open(&disk, START).journal;
    append(&journal, &log, 1..3, 100);
    let low = journal.begin_checkpoint().unwrap().low;
    append(&open(&disk, low).journal, &log, 3..5, 100);
    assert_eq!(open(&disk, low).redone, [3, 4]);
}

#[test]
fn a_torn_last_group_is_not_read() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    append(&open(&disk, START).journal, &log, 1..4, 5000);
    let file = Path::new("journal").join(crate::layout::journal_file(0));
    disk.damage(&file, |bytes| bytes[4096 + 2 * 8192 + 3000] ^= 1);
    let opened = open(&disk, START);
    assert_eq!(opened.redone, [1, 2]);
    assert!(!opened.damaged);
}

#[test]
fn damage_before_an_intact_group_is_told_from_a_torn_end() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    append(&open(&disk, START).journal, &log, 1..4, 5000);
    let file = Path::new("journal").join(crate::layout::journal_file(0));
    disk.damage(&file, |bytes| bytes[4096 + 8192 + 3000] ^= 1);
    let opened = open(&disk, START);
    assert_eq!(opened.redone, [1]);
    assert!(opened.damaged);
}

#[test]
fn a_group_that_a_later_file_begins_with_again_is_damage() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    let opened = open(&disk, START);
    append(&opened.journal, &log, 1..2, 100);
    // The next journal takes the larger file, and the group stays where it is.
    opened.journal.prepare_file();
    let low = opened.journal.begin_checkpoint().unwrap().low;
    append(&opened.journal, &log, 2..3, 100);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let dir = Path::new("journal");
    let (files, found) = JournalFiles::open(&shared, dir, DIRECTORY).unwrap();
    let again = Cursor {
        file_sequence: low.file_sequence + 1,
        position: format::FIRST_GROUP,
        ..low
    };
    let journal = Journal::new(SMALL, DIRECTORY, again, files, Box::new(|_| {}));
    journal.supply(found).unwrap();
    append(&journal, &log, 3..4, 100);
    let opened = open(&disk, low);
    assert_eq!(opened.redone, [2]);
    assert!(opened.damaged);
}

/// Once, only the first groups of later files were looked at, and what followed this one was cut.
#[test]
fn damage_of_the_first_group_of_a_file_is_told_from_a_torn_end() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    let journal = open(&disk, START).journal;
    append(&journal, &log, 1..2, 20_000);
    journal.prepare_file();
    append(&journal, &log, 2..4, 20_000);
    let file = Path::new("journal").join(crate::layout::journal_file(1));
    disk.damage(&file, |bytes| bytes[4096 + 3000] ^= 1);
    let opened = open(&disk, START);
    assert_eq!(opened.redone, [1]);
    assert!(opened.damaged);
}

#[test]
fn a_damaged_file_header_costs_nothing() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    append(&open(&disk, START).journal, &log, 1..4, 5000);
    let file = Path::new("journal").join(crate::layout::journal_file(0));
    disk.damage(&file, |bytes| bytes[20] ^= 1);
    assert_eq!(open(&disk, START).redone, [1, 2, 3]);
}

#[test]
fn a_failed_sync_ends_the_journal_for_good() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    let journal = open(&disk, START).journal;
    append(&journal, &log, 1..3, 100);
    disk.fail_syncs("journal");
    journal.submit(vec![entry(&log, 3, 100)]).unwrap();
    journal.drive();
    assert_eq!(*log.committed.lock(), [1, 2]);
    disk.kill();
    assert!(matches!(journal.admit(1, true), Err(Refused::Failed(_))));
    assert!(matches!(
        journal.submit(Vec::new()),
        Err(Refused::Failed(_))
    ));
    assert!(journal.failure().is_some());
}

#[test]
fn a_full_disk_leaves_the_journal_with_the_files_it_has() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    let journal = open(&disk, START).journal;
    disk.fill("journal");
    append(&journal, &log, 1..100, 3000);
    assert_eq!(log.committed.lock().len(), 99);
    assert_eq!(disk.list(Path::new("journal")).unwrap().len(), 1);
}

#[test]
fn appends_are_refused_while_no_checkpoint_can_be_stored() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    let journal = open(&disk, START).journal;
    append(&journal, &log, 1..2, 3000);
    journal.abort_checkpoint(journal.begin_checkpoint().unwrap(), Shortage::Space);
    assert_eq!(journal.admit(1, true), Err(Refused::Short(Shortage::Space)));
    assert!(journal.take_chores().checkpoint);
    let dirty = journal.begin_checkpoint().unwrap();
    assert!(dirty.logs.contains_key(&log.key));
    journal.finish_checkpoint(&dirty);
    assert_eq!(journal.admit(1, true), Ok(()));
}

#[test]
fn an_append_larger_than_a_file_is_refused_before_it_is_written() {
    let journal = open(&SimulatedDisk::new(), START).journal;
    assert_eq!(
        journal.admit(64 << 10, true),
        Err(Refused::TooLarge { limit: 57_264 })
    );
}

#[test]
fn a_large_append_skips_the_small_first_file() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    let journal = open(&disk, START).journal;
    append(&journal, &log, 1..2, 50_000);
    assert_eq!(*log.committed.lock(), [1]);
    assert_eq!(open(&disk, START).redone, [1]);
}

#[test]
fn a_full_queue_makes_appends_wait_for_the_writer() {
    let disk = SimulatedDisk::new();
    let log = TestLog::new(0);
    let journal = open(&disk, START).journal;
    for end in 1..=22 {
        journal.admit(3000, true).unwrap();
        journal.submit(vec![entry(&log, end, 3000)]).unwrap();
    }
    assert!(journal.queued_bytes() > SMALL.queue_bytes);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| journal.admit(1, true));
        let maintenance = scope.spawn(|| {
            while let Some(chores) = journal.await_chores() {
                if chores.checkpoint {
                    let dirty = journal.begin_checkpoint().unwrap();
                    journal.finish_checkpoint(&dirty);
                }
                if chores.prepare {
                    journal.prepare_file();
                }
            }
        });
        let writer = scope.spawn(|| journal.run());
        log.await_commit(22);
        assert_eq!(waiting.join().unwrap(), Ok(()));
        assert!(journal.drain());
        assert_eq!(journal.admit(1, true), Err(Refused::Closed));
        journal.stop();
        writer.join().unwrap();
        maintenance.join().unwrap();
    });
    assert_eq!(journal.queued_bytes(), 0);
}
