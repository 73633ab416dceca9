//! Crashes at every change that a compaction makes: what is found is the same map.

use std::collections::BTreeMap;

use ottla_protocol::record::{
    BatchBuilder, BatchOptions, EndTransactionMarker, Limits, ProducerIdentity, RecordBatch,
    TransactionResult,
};

use super::*;
use crate::cleaner::Next;
use crate::config::Compaction;
use crate::disk::simulated::{
    Call, Fault, FaultKind, Loss, Operation, SECTORS, SimulatedDisk, Snapshot,
};
use crate::inspect::{PartitionContents, SegmentContents, inspect};
use crate::log::Marker;
use crate::repair::repair;

const TOPICS: [&str; 2] = ["a", "cached"];
/// Losses made of each moment, and of one at which segments give way to another.
const LOSSES: usize = 1;
const LOSSES_OF_A_SWAP: usize = 8;
/// Changes of the longest recovery, about.
const RECOVERY_CHANGES: u64 = 60;

fn compacted(topic: &str) -> LogConfig {
    LogConfig {
        segment_bytes: 1_000,
        index_interval_bytes: 200,
        compaction: Some(Compaction {
            min_cleanable_dirty_ratio: 0.0,
            delete_retention: std::time::Duration::from_millis(5),
            ..Compaction::default()
        }),
        ..config(topic)
    }
}

fn open_store(disk: &SimulatedDisk) -> Result<Store, OpenError> {
    let options = StoreOptions {
        config: Arc::new(|identity: &LogIdentity| compacted(&identity.topic)),
        ..options(false)
    };
    Store::open(Arc::new(disk.clone()), Path::new(DIR), options)
}

/// What was appended at one offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Record {
        key: u8,
        value: Option<u8>,
        producer: Option<i64>,
    },
    Marker {
        producer: i64,
        commit: bool,
    },
}

/// What was sent to a log, and how much of it no crash can take.
#[derive(Debug, Clone, Default)]
struct Ledger {
    sent: Vec<Entry>,
    durable: usize,
    acknowledged: usize,
}

/// The map that is left, and the first offset that is not decided, of the first `end` entries.
fn fold(entries: &[Entry]) -> (BTreeMap<u8, u8>, usize) {
    let mut open: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    let mut visible: BTreeMap<usize, (u8, Option<u8>)> = BTreeMap::new();
    for (offset, entry) in entries.iter().enumerate() {
        match *entry {
            Entry::Record {
                key,
                value,
                producer,
            } => {
                visible.insert(offset, (key, value));
                if let Some(producer) = producer {
                    open.entry(producer).or_default().push(offset);
                }
            }
            Entry::Marker { producer, commit } => {
                for offset in open.remove(&producer).unwrap_or_default() {
                    if !commit {
                        visible.remove(&offset);
                    }
                }
            }
        }
    }
    let firsts = open.values().filter_map(|offsets| offsets.first());
    let stable = firsts.min().copied().unwrap_or(entries.len());
    let mut map = BTreeMap::new();
    for (key, value) in visible.range(..stable).map(|(_, pair)| pair) {
        match value {
            Some(value) => map.insert(*key, *value),
            None => map.remove(key),
        };
    }
    (map, stable)
}

/// The map that a reader of committed records finds.
fn read_map(log: &Log) -> BTreeMap<u8, u8> {
    let offsets = log.offsets();
    let aborted = log
        .aborted_transactions(0, offsets.last_stable_offset)
        .unwrap();
    let mut map = BTreeMap::new();
    let mut from = offsets.log_start_offset;
    loop {
        let read = log.read(from, 4_000, true, Bound::LastStable).unwrap();
        if read.records.is_empty() {
            return map;
        }
        from = read.next_offset;
        let mut rest = read.records;
        while !rest.is_empty() {
            let (batch, behind) = RecordBatch::parse(rest).unwrap();
            rest = behind;
            batch.verify_crc().unwrap();
            let header = batch.header();
            let is_aborted = header.attributes.is_transactional()
                && aborted.iter().any(|entry| {
                    entry.producer_id == header.producer_id
                        && (entry.first_offset..entry.last_offset).contains(&header.base_offset)
                });
            if header.attributes.is_control() || is_aborted {
                continue;
            }
            for record in batch.records(&Limits::default()).unwrap() {
                let record = record.unwrap();
                let key = record.key.unwrap()[0];
                match record.value {
                    Some(value) => map.insert(key, value[0]),
                    None => map.remove(&key),
                };
            }
        }
    }
}

type Ledgers = Arc<Mutex<BTreeMap<&'static str, Ledger>>>;

struct World {
    disk: SimulatedDisk,
    store: Store,
    ledgers: Ledgers,
    sequences: BTreeMap<(&'static str, i64), i32>,
    now_ms: i64,
    value: u8,
}

impl World {
    fn new(disk: SimulatedDisk, ledgers: Ledgers) -> Self {
        let store = open_store(&disk).unwrap();
        for (topic, topic_id) in TOPICS.into_iter().zip(1..) {
            let identity = LogIdentity {
                topic: topic.to_owned(),
                topic_id: Uuid::from_u128(topic_id),
                partition: 0,
            };
            store.create_log(identity, compacted(topic)).unwrap();
            ledgers.lock().insert(topic, Ledger::default());
        }
        Self {
            disk,
            store,
            ledgers,
            sequences: BTreeMap::new(),
            now_ms: 1,
            value: 0,
        }
    }

    fn log(&self, topic: &str) -> Arc<Log> {
        self.store.log(topic, 0).unwrap()
    }

    fn sent(&self, topic: &'static str, entries: impl IntoIterator<Item = Entry>) {
        let mut ledgers = self.ledgers.lock();
        ledgers.entry(topic).or_default().sent.extend(entries);
    }

    fn acknowledged(&self, topic: &'static str) {
        let log = self.log(topic);
        let mut ledgers = self.ledgers.lock();
        let ledger = ledgers.entry(topic).or_default();
        ledger.acknowledged = usize::try_from(log.offsets().high_watermark).unwrap();
        if log.is_journaled() {
            ledger.durable = ledger.acknowledged;
        }
    }

    fn write(&mut self, topic: &'static str, producer: Option<i64>, keys: &[u8]) {
        let identity = producer.map_or(ProducerIdentity::NONE, |producer_id| {
            let sequence = self.sequences.entry((topic, producer_id)).or_default();
            let base_sequence = *sequence;
            *sequence += i32::try_from(keys.len()).unwrap();
            ProducerIdentity {
                producer_id,
                producer_epoch: 0,
                base_sequence,
            }
        });
        let mut builder = BatchBuilder::new(BatchOptions {
            producer: identity,
            transactional: producer.is_some(),
            ..BatchOptions::default()
        })
        .unwrap();
        for key in keys {
            self.value = self.value.wrapping_add(1);
            let value = (!self.value.is_multiple_of(5)).then_some(self.value);
            self.sent(
                topic,
                [Entry::Record {
                    key: *key,
                    value,
                    producer,
                }],
            );
            let value = value.map(|value| [value; 60]);
            let value = value.as_ref().map(|value| &value[..]);
            builder.append(1, Some(&[*key]), value, &[]).unwrap();
        }
        let (batch, _) = RecordBatch::parse(builder.build().unwrap()).unwrap();
        let append = Append {
            header: *batch.header(),
            body: batch.body(),
        };
        self.log(topic).append(append, self.now_ms).unwrap();
        self.acknowledged(topic);
    }

    fn end_transaction(&self, topic: &'static str, producer: i64, commit: bool) {
        self.sent(topic, [Entry::Marker { producer, commit }]);
        let result = if commit {
            TransactionResult::Commit
        } else {
            TransactionResult::Abort
        };
        let marker = Marker {
            producer_id: producer,
            producer_epoch: 0,
            end: EndTransactionMarker {
                result,
                coordinator_epoch: 0,
            },
            bumps_epoch: false,
        };
        self.log(topic).append_marker(marker, self.now_ms).unwrap();
        self.acknowledged(topic);
    }

    /// Compacts what is due, with appends in between.
    fn clean(&mut self) {
        self.now_ms += 10;
        while let Some(mut cleaning) = self.store.next_cleaning(1 << 20, self.now_ms).unwrap() {
            let mut steps = 0;
            while cleaning.step(1).unwrap().next != Next::Finished {
                steps += 1;
                if steps % 9 == 0 {
                    self.write(TOPICS[steps / 9 % 2], None, &[9]);
                }
            }
        }
    }

    fn work(&mut self) {
        for round in 0..4_u8 {
            for topic in TOPICS {
                for key in 0..4 {
                    self.write(topic, None, &[key, key, round]);
                    self.write(topic, Some(i64::from(key % 2)), &[key, 7]);
                }
                self.end_transaction(topic, 0, round % 2 == 0);
                self.end_transaction(topic, 1, round % 2 == 1);
            }
            if round == 1 {
                self.store.checkpoint().unwrap();
            }
            if round > 0 {
                self.clean();
            }
        }
    }
}

struct Moment {
    snapshot: Snapshot,
    ledgers: BTreeMap<&'static str, Ledger>,
    call: Call,
}

/// Every moment of the work at which something changed on the disk.
fn record() -> Vec<Moment> {
    let disk = SimulatedDisk::new();
    let ledgers = Ledgers::default();
    let mut world = World::new(disk.clone(), Arc::clone(&ledgers));
    let moments = Arc::new(Mutex::new(Vec::new()));
    let observer = {
        let (disk, moments) = (disk.clone(), Arc::clone(&moments));
        move |call: &Call| {
            // What the journal promises is claimed elsewhere.
            let is_journal = call.path.to_string_lossy().contains("journal");
            if call.operation.is_change() && !is_journal {
                moments.lock().push(Moment {
                    snapshot: disk.snapshot(),
                    ledgers: ledgers.lock().clone(),
                    call: call.clone(),
                });
            }
        }
    };
    disk.observe(Arc::new(observer));
    world.work();
    world.disk.observe(Arc::new(|_| {}));
    std::mem::take(&mut *moments.lock())
}

fn verify(disk: &SimulatedDisk, moment: &Moment, power_lost: bool) -> Result<(), String> {
    let store = open_store(disk).map_err(|error| error.to_string())?;
    for (topic, ledger) in &moment.ledgers {
        let Some(log) = store.log(topic, 0) else {
            let quarantined = store.quarantined();
            // Without a journal, a power loss may leave holes in what was not synced (L4).
            if power_lost && *topic != "a" {
                continue;
            }
            return Err(format!("{topic}: {quarantined:?}"));
        };
        let offsets = log.offsets();
        let end = usize::try_from(offsets.log_end_offset).unwrap();
        let promised = if power_lost {
            ledger.durable
        } else {
            ledger.acknowledged
        };
        if end < promised || end > ledger.sent.len() {
            return Err(format!("{topic} ends at {end}, not {promised}"));
        }
        let (map, stable) = fold(&ledger.sent[..end]);
        let found = read_map(&log);
        if found != map {
            return Err(format!("{topic} to {end} is {found:?}, not {map:?}"));
        }
        if offsets.last_stable_offset != i64::try_from(stable).unwrap() {
            return Err(format!("{topic} is stable to {offsets:?}, not {stable}"));
        }
    }
    while let Some(mut cleaning) = store.next_cleaning(1 << 20, 10_000).unwrap() {
        while cleaning.step(1 << 20).unwrap().next != Next::Finished {}
    }
    Ok(())
}

#[test]
fn after_every_crash_of_a_compaction_the_log_is_the_same_map() {
    let moments = record();
    let swaps = moments.iter().filter(|moment| {
        let name = moment.call.path.to_string_lossy();
        name.ends_with(".swap")
    });
    assert!(swaps.count() > 3, "the work compacts");
    for (number, moment) in (0_u64..).zip(&moments) {
        let losses = match moment.call.operation {
            Operation::Rename | Operation::Remove | Operation::SyncDir => LOSSES_OF_A_SWAP,
            _ => LOSSES,
        };
        for loss in moment.snapshot.losses(losses, number) {
            let power_lost = loss != Loss::Nothing;
            let disk = moment.snapshot.crash(loss);
            disk.die_after(number % RECOVERY_CHANGES);
            drop(open_store(&disk));
            disk.lose_power(Loss::Random {
                seed: number,
                sector: SECTORS[0],
            });
            for (disk, power_lost) in [(moment.snapshot.crash(loss), power_lost), (disk, true)] {
                if let Err(error) = verify(&disk, moment, power_lost) {
                    panic!("after {loss:?} at {:?}: {error}", moment.call);
                }
            }
        }
    }
}

#[test]
fn a_full_disk_ends_a_compaction_and_nothing_else() {
    let disk = SimulatedDisk::new();
    let mut world = World::new(disk.clone(), Ledgers::default());
    for round in 0..6 {
        world.write("a", None, &[1, 2, round]);
    }
    let log = world.log("a");
    let before = read_map(&log);
    log.roll().unwrap();
    disk.fill(".swap");
    let mut cleaning = world.store.next_cleaning(1 << 20, 1).unwrap().unwrap();
    while cleaning.step(1 << 20).is_ok() {}
    drop(cleaning);
    disk.heal();
    world.write("a", None, &[3]);
    assert_eq!(
        read_map(&log).len(),
        before.len() + usize::from(!before.contains_key(&3))
    );
    let mut cleaning = world.store.next_cleaning(1 << 20, 1).unwrap().unwrap();
    while cleaning.step(1 << 20).unwrap().next != Next::Finished {}
}

/// A closed directory of which a compaction was about to replace some segments, and its map.
fn interrupted_swap() -> (SimulatedDisk, BTreeMap<u8, u8>) {
    let disk = SimulatedDisk::new();
    let mut world = World::new(disk.clone(), Ledgers::default());
    // The second compaction makes one of those that the first one left small.
    for round in 0..40 {
        world.write("a", None, &[1, 2, round % 9]);
        if round == 20 {
            world.clean();
        }
    }
    let map = read_map(&world.log("a"));
    let mut cleaning = world.store.next_cleaning(1 << 20, 20).unwrap().unwrap();
    disk.inject(Fault {
        operation: Some(Operation::Remove),
        path: ".log".to_owned(),
        after: 1,
        kind: FaultKind::Io,
        lasting: false,
    });
    while matches!(cleaning.step(1 << 20), Ok(step) if step.next != Next::Finished) {}
    drop(cleaning);
    disk.heal();
    world.store.close().unwrap();
    let shown = inspect_a(&disk);
    assert!(shown.segments.iter().any(|segment| segment.is_swap));
    (disk, map)
}

fn inspect_a(disk: &SimulatedDisk) -> PartitionContents {
    let contents = inspect(disk, Path::new(DIR)).unwrap();
    let named = |partition: &PartitionContents| partition.identity.topic == "a";
    contents.partitions.into_iter().find(named).unwrap()
}

#[test]
fn an_interrupted_swap_is_shown_as_the_next_start_finishes_it() {
    let (disk, map) = interrupted_swap();
    let shown = inspect_a(&disk);
    assert_eq!(shown.damage, []);
    drop(open_store(&disk).unwrap());
    let finished = inspect_a(&disk);
    let plain = |segment: &SegmentContents| SegmentContents {
        is_swap: false,
        ..segment.clone()
    };
    assert_eq!(
        shown.segments.iter().map(plain).collect::<Vec<_>>(),
        finished.segments
    );
    assert_eq!(
        read_map(&open_store(&disk).unwrap().log("a", 0).unwrap()),
        map
    );
}

#[test]
fn a_repair_finishes_an_interrupted_swap_and_loses_nothing() {
    let (disk, map) = interrupted_swap();
    let repaired = repair(&disk, Path::new(DIR), "a-0").unwrap();
    assert_eq!((repaired.lost, repaired.kept_in), (Vec::new(), None));
    let shown = inspect_a(&disk);
    assert_eq!(shown.damage, []);
    assert!(!shown.segments.iter().any(|segment| segment.is_swap));
    assert_eq!(
        read_map(&open_store(&disk).unwrap().log("a", 0).unwrap()),
        map
    );
}

/// Begins a compaction when its log's high watermark moves.
struct AtOnce {
    store: std::sync::Weak<Store>,
    begun: Mutex<Vec<bool>>,
}

impl LogListener for AtOnce {
    fn high_watermark_moved(&self, _offset: i64) {
        let store = self.store.upgrade().unwrap();
        let cleaning = store.next_cleaning(1 << 20, 10_000).unwrap();
        self.begun.lock().push(cleaning.is_some());
    }

    fn failed(&self, _failed: &Failed) {}
}

/// Once, a checkpoint that ran between a commit and its note settled nothing and said that it had.
#[test]
fn what_the_journal_still_covers_is_not_compacted() {
    let disk = SimulatedDisk::new();
    let store = Arc::new(open_store(&disk).unwrap());
    store.defer(|| {});
    let identity = LogIdentity {
        topic: "a".to_owned(),
        topic_id: Uuid::from_u128(1),
        partition: 0,
    };
    let log = store.create_log(identity, compacted("a")).unwrap();
    let at_once = Arc::new(AtOnce {
        store: Arc::downgrade(&store),
        begun: Mutex::default(),
    });
    log.set_listener(Arc::clone(&at_once) as _);
    for _ in 0..3 {
        append(&log, &"x".repeat(600));
    }
    store.drive();
    assert_eq!(*at_once.begun.lock(), [false]);
    assert!(store.next_cleaning(1 << 20, 10_000).unwrap().is_some());
}
