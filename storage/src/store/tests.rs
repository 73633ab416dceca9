mod closing;
mod compaction;
mod crash;
mod faults;
mod together;

use bytes::Bytes;
use ottla_protocol::record::{Attributes, BatchHeader};
use parking_lot::Condvar;

use super::*;
use crate::disk::simulated::{Loss, SimulatedDisk};
use crate::error::Failed;
use crate::log::{Append, Bound, LogListener};

const DIR: &str = "data";

const PAGE_CACHE: Durability = Durability::PageCache {
    messages: u64::MAX,
    interval: None,
};

fn journal_options() -> JournalOptions {
    JournalOptions {
        first_file_bytes: 32 << 10,
        file_bytes: 64 << 10,
        max_files: 3,
        group_bytes: 16 << 10,
        queue_bytes: 64 << 10,
    }
}

/// Topics whose name starts with `cached` bypass the journal.
fn config(topic: &str) -> LogConfig {
    LogConfig {
        segment_bytes: 4096,
        durability: if topic.starts_with("cached") {
            PAGE_CACHE
        } else {
            Durability::Journal
        },
        ..LogConfig::default()
    }
}

fn options(threads: bool) -> StoreOptions {
    StoreOptions {
        config: Arc::new(|identity: &LogIdentity| config(&identity.topic)),
        cluster_id: Uuid::from_u128(1),
        directory_id: Uuid::from_u128(2),
        journal: journal_options(),
        threads,
        repair: false,
    }
}

/// Each page by itself, as the seed says.
fn torn(seed: u64) -> Loss {
    Loss::Random { seed, sector: 4096 }
}

fn try_open(disk: &SimulatedDisk, options: StoreOptions) -> Result<Store, OpenError> {
    Store::open(Arc::new(disk.clone()), Path::new(DIR), options)
}

fn open(disk: &SimulatedDisk) -> Store {
    try_open(disk, options(false)).unwrap()
}

fn create(store: &Store, topic: &str, topic_id: u128) -> Arc<Log> {
    let identity = LogIdentity {
        topic: topic.to_owned(),
        topic_id: Uuid::from_u128(topic_id),
        partition: 0,
    };
    store.create_log(identity, config(topic)).unwrap()
}

/// A batch of one record-shaped body; the log looks at its head only.
fn batch(body: Bytes) -> Append {
    let mut header = BatchHeader {
        base_offset: 0,
        batch_length: i32::try_from(body.len() + 49).unwrap(),
        partition_leader_epoch: -1,
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: 0,
        base_timestamp: 1,
        max_timestamp: 1,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: 1,
    };
    header.crc = header.compute_crc(&body);
    Append { header, body }
}

fn append(log: &Arc<Log>, text: &str) -> i64 {
    let body = Bytes::from(text.to_owned());
    log.append(batch(body), 0).unwrap().base_offset
}

/// The bodies of all batches, whose offsets must be dense.
fn bodies(log: &Log) -> Vec<Bytes> {
    let mut bodies = Vec::new();
    let mut at = 0;
    while at < log.offsets().log_end_offset {
        let read = log.read(at, 1, true, Bound::LogEnd).unwrap();
        let header = BatchHeader::decode(&read.records).unwrap();
        assert_eq!(header.base_offset, at);
        assert_eq!(header.verify_crc(&read.records), Ok(()));
        bodies.push(read.records.slice(61..));
        at = header.next_offset();
    }
    bodies
}

/// Lets a test wait for commits.
#[derive(Default)]
struct Commits {
    state: Mutex<(i64, bool)>,
    moved: Condvar,
}

impl Commits {
    fn of(log: &Log) -> Arc<Self> {
        let commits = Arc::new(Self::default());
        log.set_listener(Arc::clone(&commits) as _);
        commits
    }

    /// Waits until the high watermark is at `offset`; `false` when the log fails instead.
    fn reach(&self, offset: i64) -> bool {
        let mut state = self.state.lock();
        while state.0 < offset && !state.1 {
            self.moved.wait(&mut state);
        }
        !state.1
    }
}

impl LogListener for Commits {
    fn high_watermark_moved(&self, offset: i64) {
        self.state.lock().0 = offset;
        self.moved.notify_all();
    }

    fn failed(&self, _failed: &Failed) {
        self.state.lock().1 = true;
        self.moved.notify_all();
    }
}

#[test]
fn a_closed_store_opens_without_recovery() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "a", 1);
    let cached = create(&store, "cached", 2);
    for text in ["one", "two"] {
        append(&log, text);
        append(&cached, text);
    }
    store.close().unwrap();
    assert!(log.append(batch(Bytes::from("late")), 0).is_err());
    drop(store);
    disk.lose_power(Loss::Everything);
    let before = disk.syncs();
    let store = open(&disk);
    assert!(store.recovery_report().clean);
    assert_eq!(store.recovery_report().logs, 2);
    assert_eq!(store.leader_epoch(), 0);
    assert!(disk.syncs() - before <= 3, "{}", disk.syncs() - before);
    for topic in ["a", "cached"] {
        let log = store.log(topic, 0).unwrap();
        assert_eq!(bodies(&log), ["one", "two"]);
        assert_eq!(append(&log, "three"), 2);
    }
}

#[test]
fn a_killed_store_keeps_what_it_acknowledged() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "a", 1);
    let cached = create(&store, "cached", 2);
    for text in ["one", "two"] {
        append(&log, text);
        append(&cached, text);
    }
    drop(store);
    disk.kill();
    let store = open(&disk);
    assert!(!store.recovery_report().clean);
    assert_eq!(store.leader_epoch(), 1);
    for topic in ["a", "cached"] {
        let log = store.log(topic, 0).unwrap();
        assert_eq!(bodies(&log), ["one", "two"]);
        assert_eq!(log.offsets().high_watermark, 2);
    }
}

/// What a log has after a power loss that was told to be durable and appended `after`.
fn after_a_power_loss(joins: bool) -> Vec<Bytes> {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "cached", 1);
    append(&log, "before");
    log.set_config(LogConfig {
        durability: Durability::Journal,
        ..config("cached")
    });
    assert!(log.needs_flush(0));
    if joins {
        store.tick(0);
    }
    assert_eq!(log.is_journaled(), joins);
    append(&log, "after");
    append(&log, "at last");
    assert!(!log.needs_flush(0));
    drop(store);
    disk.lose_power(Loss::Everything);
    let store = open(&disk);
    bodies(&store.log("cached", 0).unwrap())
}

#[test]
fn a_log_that_is_to_be_durable_from_now_on_is_at_once() {
    assert_eq!(after_a_power_loss(false), ["before", "after", "at last"]);
}

#[test]
fn a_log_that_is_to_be_durable_from_now_on_joins_the_journal() {
    assert_eq!(after_a_power_loss(true), ["before", "after", "at last"]);
}

#[test]
fn a_log_that_has_just_joined_the_journal_ends_where_it_did() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "cached", 1);
    // A start knows from here on where it ended.
    store.checkpoint().unwrap();
    append(&log, "before");
    log.set_config(LogConfig {
        durability: Durability::Journal,
        ..config("cached")
    });
    store.tick(0);
    drop(store);
    disk.lose_power(Loss::Everything);
    assert_eq!(bodies(&open(&disk).log("cached", 0).unwrap()), ["before"]);
}

#[test]
fn a_log_joins_the_journal_only_when_that_is_noted() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "cached", 1);
    let durable = LogConfig {
        durability: Durability::Journal,
        ..config("cached")
    };
    log.set_config(durable);
    disk.fill("checkpoint");
    store.tick(0);
    assert!(!log.is_journaled());
    append(&log, "one");
    disk.heal();
    store.tick(0);
    assert!(log.is_journaled());
    append(&log, "two");
    drop(store);
    disk.lose_power(Loss::Everything);
    assert_eq!(
        bodies(&open(&disk).log("cached", 0).unwrap()),
        ["one", "two"]
    );
}

#[test]
fn a_log_of_which_it_is_not_known_whether_it_joined_takes_no_appends() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "cached", 1);
    append(&log, "one");
    log.set_config(LogConfig {
        durability: Durability::Journal,
        ..config("cached")
    });
    disk.fill("partition.metadata");
    store.tick(0);
    disk.heal();
    assert!(log.failure().is_some());
    drop(store);
    disk.lose_power(Loss::Everything);
    assert_eq!(bodies(&open(&disk).log("cached", 0).unwrap()), ["one"]);
}

#[test]
fn a_power_loss_takes_only_what_bypassed_the_journal() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "a", 1);
    let cached = create(&store, "cached", 2);
    append(&cached, "flushed");
    store.checkpoint().unwrap();
    cached.flush().unwrap();
    for at in 0..200 {
        append(&log, &format!("{at:0>100}"));
        append(&cached, "lost");
    }
    disk.lose_power(Loss::Everything);
    drop(store);
    let store = open(&disk);
    assert!(store.recovery_report().bytes_written > 0);
    assert_eq!(bodies(&store.log("a", 0).unwrap()).len(), 200);
    let cached = bodies(&store.log("cached", 0).unwrap());
    assert!(!cached.is_empty() && cached.len() < 200);
}

#[test]
fn threads_commit_what_many_append() {
    let disk = SimulatedDisk::new();
    let store = try_open(&disk, options(true)).unwrap();
    let logs: Vec<_> = (1..=4)
        .map(|id| create(&store, &format!("t{id}"), id))
        .collect();
    let count = 300;
    thread::scope(|scope| {
        for log in &logs {
            scope.spawn(|| {
                let commits = Commits::of(log);
                for at in 0..count {
                    append(log, &format!("{at:0>700}"));
                }
                assert!(commits.reach(count));
            });
        }
    });
    disk.lose_power(Loss::Everything);
    drop(store);
    let store = open(&disk);
    for id in 1..=4 {
        let log = store.log(&format!("t{id}"), 0).unwrap();
        let bodies = bodies(&log);
        let expected = (0..count).map(|at| format!("{at:0>700}"));
        assert!(
            bodies
                .iter()
                .eq(expected.collect::<Vec<_>>().iter().map(String::as_bytes))
        );
    }
}

#[test]
fn closing_waits_for_what_is_queued() {
    let disk = SimulatedDisk::new();
    let store = try_open(&disk, options(true)).unwrap();
    let log = create(&store, "a", 1);
    for _ in 0..50 {
        append(&log, "text");
    }
    store.close().unwrap();
    assert_eq!(log.offsets().high_watermark, 50);
    assert_eq!(disk.list(Path::new(DIR)).unwrap().len(), 6);
    drop(store);
    assert!(open(&disk).recovery_report().clean);
}

#[test]
fn the_journal_is_recycled_many_times() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "a", 1);
    for at in 0..600 {
        append(&log, &format!("{at:0>1000}"));
    }
    let files = disk
        .list(&Path::new(DIR).join(layout::JOURNAL_DIR))
        .unwrap();
    assert_eq!(files.len(), 3);
    disk.lose_power(Loss::Everything);
    drop(store);
    let store = open(&disk);
    assert!(
        store.recovery_report().groups < 60,
        "{:?}",
        store.recovery_report()
    );
    assert_eq!(bodies(&store.log("a", 0).unwrap()).len(), 600);
}

#[test]
fn a_checkpoint_bounds_recovery() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "a", 1);
    append(&log, "one");
    store.checkpoint().unwrap();
    append(&log, "two");
    disk.lose_power(Loss::Everything);
    drop(store);
    let store = open(&disk);
    assert_eq!(store.recovery_report().entries, 1);
    assert_eq!(bodies(&store.log("a", 0).unwrap()), ["one", "two"]);
}

#[test]
fn a_topic_created_anew_has_nothing_of_the_old_one() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    append(&create(&store, "a", 1), "old");
    store.delete_log("a", 0).unwrap();
    assert!(store.log("a", 0).is_none());
    assert!(matches!(
        store.delete_log("a", 0),
        Err(LogError::Unknown { .. })
    ));
    append(&create(&store, "a", 2), "new");
    disk.lose_power(Loss::Everything);
    drop(store);
    let store = open(&disk);
    assert_eq!(bodies(&store.log("a", 0).unwrap()), ["new"]);
    store.delete_log("a", 0).unwrap();
    disk.lose_power(Loss::Everything);
    drop(store);
    assert!(open(&disk).logs().is_empty());
}

/// Once, the end of its name was taken for the checksum of its checkpoints.
#[test]
fn a_topic_whose_name_ends_like_a_checksum_keeps_its_start() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "my-crc32", 1);
    append(&log, "one");
    append(&log, "two");
    log.advance_log_start(1).unwrap();
    log.cleaned_to(1).unwrap();
    store.close().unwrap();
    drop(store);
    let store = open(&disk);
    let log = store.log("my-crc32", 0).unwrap();
    assert_eq!(log.offsets().log_start_offset, 1);
}

#[test]
fn a_log_is_not_created_twice() {
    let store = open(&SimulatedDisk::new());
    let log = create(&store, "a", 1);
    let again = store.create_log(log.identity().clone(), config("a"));
    assert!(matches!(again, Err(LogError::Exists { .. })));
}

#[test]
fn a_directory_keeps_its_identity() {
    let disk = SimulatedDisk::new();
    drop(open(&disk));
    let other = StoreOptions {
        cluster_id: Uuid::from_u128(7),
        directory_id: Uuid::from_u128(8),
        ..options(false)
    };
    let store = try_open(&disk, other).unwrap();
    assert_eq!(store.cluster_id(), "AAAAAAAAAAAAAAAAAAAAAQ");
    assert_eq!(store.directory_id(), Uuid::from_u128(2));
}

#[test]
fn a_directory_is_held_until_its_store_ends() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    assert!(matches!(
        try_open(&disk, options(false)),
        Err(OpenError::Locked { .. })
    ));
    drop(store);
    let store = open(&disk);
    store.close().unwrap();
    let second = open(&disk);
    assert!(second.recovery_report().clean);
}

#[test]
fn a_volatile_disk_needs_no_journal() {
    let disk = crate::disk::MemoryDisk::new();
    let open = || {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        Store::open(disk, Path::new(DIR), options(true)).unwrap()
    };
    let store = open();
    let log = create(&store, "a", 1);
    append(&log, "one");
    assert_eq!(log.offsets().high_watermark, 1);
    assert!(
        disk.list(&Path::new(DIR).join(layout::JOURNAL_DIR))
            .is_err()
    );
    drop(store);
    let store = open();
    assert_eq!(bodies(&store.log("a", 0).unwrap()), ["one"]);
    store.close().unwrap();
    drop(store);
    assert!(open().recovery_report().clean);
}
