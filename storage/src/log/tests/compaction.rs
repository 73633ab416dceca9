//! A compacted log against the records that were appended: the same map, whatever else happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_protocol::record::{
    BatchBuilder, BatchOptions, Compression, EndTransactionMarker, Limits, ProducerIdentity,
    RecordBatch, TransactionResult,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::cleaner::{Cleaning, Next};
use crate::compaction::offset_map::SLOT_BYTES;
use crate::config::Compaction;

const PRODUCERS: i64 = 3;
const KEYS: u8 = 8;
/// `delete.retention.ms` in these tests.
const RETENTION: Duration = Duration::from_millis(1_000);

type Pair = (u8, Option<u8>);

#[derive(Debug, Clone)]
enum Step {
    Write {
        /// A plain batch without one.
        producer: Option<i64>,
        transactional: bool,
        records: Vec<Pair>,
        codec: u8,
    },
    End {
        producer: i64,
        commit: bool,
    },
    /// A producer sends its newest batch again.
    Repeat(i64),
    Roll,
    /// Compacts at a later time with room for so many keys.
    Clean {
        later_ms: i64,
        keys: usize,
    },
    /// Close and open without the caches whose bits are set.
    Restart(u64),
    /// Open without a close.
    Crash(u64),
    AdvanceLogStart(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let write = (
        proptest::option::of(0..PRODUCERS),
        any::<bool>(),
        vec(
            (0..KEYS, proptest::option::weighted(0.8, any::<u8>())),
            1..5,
        ),
        0..5_u8,
    );
    let lost = prop_oneof![Just(0), Just(u64::MAX), any::<u64>()];
    let later = prop_oneof![Just(0), Just(1), Just(2_000)];
    let keys = prop_oneof![Just(1_usize), Just(3), Just(1_000)];
    prop_oneof![
        12 => write.prop_map(|(producer, transactional, records, codec)| Step::Write {
            producer, transactional, records, codec,
        }),
        4 => (0..PRODUCERS, any::<bool>()).prop_map(|(producer, commit)| Step::End { producer, commit }),
        2 => (0..PRODUCERS).prop_map(Step::Repeat),
        4 => Just(Step::Roll),
        4 => (later, keys).prop_map(|(later_ms, keys)| Step::Clean { later_ms, keys }),
        1 => lost.clone().prop_map(Step::Restart),
        1 => lost.prop_map(Step::Crash),
        1 => (0..=1_000_i64).prop_map(Step::AdvanceLogStart),
    ]
}

/// A record as it was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stored {
    offset: i64,
    key: u8,
    value: Option<u8>,
    transaction: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Committed,
    Aborted,
}

#[derive(Debug, Clone, Default)]
struct Producer {
    next_sequence: i32,
    open: Option<usize>,
    newest: Option<(Append, i64)>,
}

struct Run {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    log: Option<Arc<Log>>,
    records: Vec<Stored>,
    transactions: Vec<Fate>,
    producers: BTreeMap<i64, Producer>,
    log_start_offset: i64,
    now_ms: i64,
    flushed: i64,
    epoch: i32,
}

pub(super) fn compacted() -> LogConfig {
    LogConfig {
        segment_bytes: 1_500,
        compaction: Some(Compaction {
            min_cleanable_dirty_ratio: 0.0,
            delete_retention: RETENTION,
            ..Compaction::default()
        }),
        ..small_segments()
    }
}

pub(super) fn keyed_batch(records: &[Pair], timestamp: i64, options: BatchOptions) -> Append {
    let mut builder = BatchBuilder::new(options).unwrap();
    for (key, value) in records {
        let value = value.map(|value| [value; 40]);
        let value = value.as_ref().map(|value| &value[..]);
        builder
            .append(timestamp, Some(&[*key]), value, &[])
            .unwrap();
    }
    let (batch, _) = RecordBatch::parse(builder.build().unwrap()).unwrap();
    Append {
        header: *batch.header(),
        body: batch.body(),
    }
}

/// Compacts a log to the end; answers the passes that it took.
pub(super) fn clean(log: &Arc<Log>, most_bytes: usize, now_ms: i64) -> u32 {
    let Some(found) = log.cleanable(now_ms).unwrap() else {
        return 0;
    };
    let mut cleaning = Cleaning::begin(Arc::clone(log), found, most_bytes, now_ms).unwrap();
    while cleaning.step(1).unwrap().next != Next::Finished {}
    cleaning.report().passes
}

/// The batches of a log that a reader of committed records gets.
pub(super) fn stable_batches(log: &Log) -> Vec<RecordBatch> {
    let mut from = log.offsets().log_start_offset;
    let mut batches = Vec::new();
    loop {
        let read = log.read(from, 700, true, Bound::LastStable).unwrap();
        if read.records.is_empty() {
            return batches;
        }
        let mut rest = read.records;
        while !rest.is_empty() {
            let (batch, behind) = RecordBatch::parse(rest).unwrap();
            batch.verify_crc().unwrap();
            batches.push(batch);
            rest = behind;
        }
        from = read.next_offset;
    }
}

/// Offset, key and value of each record of committed transactions and of none.
fn visible(log: &Log) -> Vec<(i64, u8, Option<u8>)> {
    let offsets = log.offsets();
    let aborted = log
        .aborted_transactions(offsets.log_start_offset, offsets.last_stable_offset)
        .unwrap();
    let mut found = Vec::new();
    for batch in stable_batches(log) {
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
            let value = record.value.map(|value| value[0]);
            if record.offset >= offsets.log_start_offset {
                found.push((record.offset, key, value));
            }
        }
    }
    found
}

impl Run {
    fn new(disk: Arc<dyn Disk>) -> Self {
        let mut run = Self {
            disk,
            dir: dir(),
            log: None,
            records: Vec::new(),
            transactions: Vec::new(),
            producers: BTreeMap::new(),
            log_start_offset: 0,
            now_ms: 10_000,
            flushed: 0,
            epoch: 0,
        };
        run.open(Tail::Clean);
        run
    }

    fn open(&mut self, tail: Tail) {
        self.epoch += 1;
        let disk = Arc::clone(&self.disk);
        let log = Log::open(
            disk,
            &self.dir,
            identity(),
            compacted(),
            self.epoch,
            None,
            tail,
        );
        self.log = Some(log.unwrap());
    }

    fn log(&self) -> &Arc<Log> {
        self.log.as_ref().unwrap()
    }

    fn end(&self) -> i64 {
        self.log().offsets().log_end_offset
    }

    fn write(&mut self, producer: Option<i64>, transactional: bool, records: &[Pair], codec: u8) {
        let state = producer.map(|id| self.producers.entry(id).or_default());
        let identity = match (&state, producer) {
            (Some(state), Some(producer_id)) => ProducerIdentity {
                producer_id,
                producer_epoch: 0,
                base_sequence: state.next_sequence,
            },
            _ => ProducerIdentity::NONE,
        };
        // A producer in a transaction writes to it.
        let open = state.as_ref().and_then(|state| state.open);
        let transactional = producer.is_some() && (transactional || open.is_some());
        let options = BatchOptions {
            compression: Compression::from_bits(codec).unwrap(),
            producer: identity,
            transactional,
            ..BatchOptions::default()
        };
        let append = keyed_batch(records, self.now_ms, options);
        let appended = self
            .log
            .as_ref()
            .unwrap()
            .append(append.clone(), self.now_ms);
        let base_offset = appended.unwrap().base_offset;
        let mut transaction = None;
        if let Some(state) = state {
            state.next_sequence += i32::try_from(records.len()).unwrap();
            state.newest = Some((append, base_offset));
            if transactional {
                let number = *state.open.get_or_insert(self.transactions.len());
                if number == self.transactions.len() {
                    self.transactions.push(Fate::Open);
                }
                transaction = Some(number);
            }
        }
        for ((key, value), offset) in records.iter().zip(base_offset..) {
            self.records.push(Stored {
                offset,
                key: *key,
                value: *value,
                transaction,
            });
        }
    }

    fn end_transaction(&mut self, producer_id: i64, commit: bool) {
        let Some(open) = self.producers.entry(producer_id).or_default().open.take() else {
            return;
        };
        let (result, fate) = if commit {
            (TransactionResult::Commit, Fate::Committed)
        } else {
            (TransactionResult::Abort, Fate::Aborted)
        };
        let marker = Marker {
            producer_id,
            producer_epoch: 0,
            end: EndTransactionMarker {
                result,
                coordinator_epoch: 0,
            },
            bumps_epoch: false,
        };
        self.log().append_marker(marker, self.now_ms).unwrap();
        self.transactions[open] = fate;
    }

    fn repeat(&self, producer: i64) {
        let newest = self.producers.get(&producer);
        let Some((append, base_offset)) = newest.and_then(|found| found.newest.as_ref()) else {
            return;
        };
        if *base_offset < self.log().offsets().log_start_offset {
            return;
        }
        let again = self.log().append(append.clone(), self.now_ms).unwrap();
        assert!(again.duplicate);
        assert_eq!(again.base_offset, *base_offset);
    }

    fn lose_caches(&self, lost: u64) {
        let entries = self.disk.list(&self.dir).unwrap();
        let caches = entries.iter().filter(|entry| {
            let name = &entry.name;
            // Of deleted records, only a snapshot tells that a transaction is open.
            let starts_late = self.log_start_offset > 0;
            name.ends_with("index")
                || (name.ends_with("snapshot") && !starts_late)
                || name.starts_with("cleaner")
        });
        for (bit, entry) in caches.enumerate() {
            if lost >> (bit % 64) & 1 == 1 {
                self.disk.remove(&self.dir.join(&entry.name)).unwrap();
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Write {
                producer,
                transactional,
                records,
                codec,
            } => self.write(*producer, *transactional, records, *codec),
            Step::End { producer, commit } => self.end_transaction(*producer, *commit),
            Step::Repeat(producer) => self.repeat(*producer),
            Step::Roll => self.log().roll().unwrap(),
            Step::Clean { later_ms, keys } => self.clean(*later_ms, *keys),
            Step::Restart(lost) => {
                self.log().close().unwrap();
                self.log = None;
                self.lose_caches(*lost);
                self.open(Tail::Clean);
            }
            Step::Crash(lost) => {
                let at_least = self.end();
                self.log = None;
                self.lose_caches(*lost);
                let from = self.flushed;
                self.open(Tail::Scan { from, at_least });
            }
            Step::AdvanceLogStart(share) => {
                let offsets = self.log().offsets();
                let start = offsets.log_start_offset;
                let to = start + (offsets.high_watermark - start) * share / 1_000;
                assert_eq!(self.log().advance_log_start(to).unwrap(), to);
                self.log_start_offset = to;
            }
        }
    }

    fn clean(&mut self, later_ms: i64, keys: usize) {
        self.now_ms += later_ms;
        let before = visible(self.log());
        let cleanable = self.log().cleanable(self.now_ms).unwrap();
        let passes = clean(self.log(), keys * 2 * SLOT_BYTES, self.now_ms);
        assert_eq!(passes > 0, cleanable.is_some());
        let Some(cleanable) = cleanable else {
            return;
        };
        assert!(self.log().cleanable(self.now_ms).unwrap().is_none());
        self.check_cleaned(&before, cleanable.end);
    }

    /// What compaction may take, and must, of the records that were there `before` below `end`.
    fn check_cleaned(&self, before: &[(i64, u8, Option<u8>)], end: i64) {
        let after = visible(self.log());
        let offsets: BTreeSet<i64> = after.iter().map(|(offset, ..)| *offset).collect();
        let newest: BTreeMap<u8, i64> = before
            .iter()
            .filter(|(offset, ..)| *offset < end)
            .map(|(offset, key, _)| (*key, *offset))
            .collect();
        for (offset, key, value) in before {
            let is_newest = newest.get(key) == Some(offset);
            if *offset >= end || (is_newest && value.is_some()) {
                assert!(offsets.contains(offset), "record {offset} is missing");
            } else if !is_newest {
                assert!(!offsets.contains(offset), "record {offset} is still there");
            }
        }
    }

    fn check(&self) {
        let offsets = self.log().offsets();
        let is_decided = |record: &&Stored| {
            let fate = record.transaction.map(|number| self.transactions[number]);
            record.offset < offsets.last_stable_offset && fate != Some(Fate::Aborted)
        };
        let open = self.producers.values().filter_map(|producer| producer.open);
        let first_open = open
            .filter_map(|number| {
                let of_transaction = |record: &&Stored| record.transaction == Some(number);
                self.records.iter().find(of_transaction)
            })
            .map(|record| record.offset.max(offsets.log_start_offset))
            .min();
        assert_eq!(
            offsets.last_stable_offset,
            first_open.unwrap_or(offsets.high_watermark)
        );
        let found = visible(self.log());
        let mut appended = BTreeMap::new();
        let mut expected = BTreeMap::new();
        let readable = |record: &&Stored| record.offset >= offsets.log_start_offset;
        for record in self.records.iter().filter(is_decided).filter(readable) {
            appended.insert(record.offset, (record.key, record.value));
            expected.insert(record.key, record.value);
        }
        let mut map = BTreeMap::new();
        for (offset, key, value) in &found {
            assert_eq!(appended.get(offset), Some(&(*key, *value)));
            map.insert(*key, *value);
        }
        // A key without a value is like one that was never there.
        expected.retain(|_, value| value.is_some());
        map.retain(|_, value| value.is_some());
        assert_eq!(map, expected);
        self.check_every_offset();
    }

    /// Whatever offset a reader starts at, it is in the first batch that is read.
    fn check_every_offset(&self) {
        let offsets = self.log().offsets();
        for from in offsets.log_start_offset..offsets.log_end_offset {
            let read = self.log().read(from, 1, true, Bound::LogEnd).unwrap();
            let header = BatchHeader::decode(&read.records).unwrap();
            assert!((header.base_offset..header.next_offset()).contains(&from));
        }
    }
}

fn run(disk: Arc<dyn Disk>, steps: &[Step]) {
    let mut run = Run::new(disk);
    for step in steps {
        run.step(step);
        if !matches!(step, Step::Write { .. } | Step::Repeat(_)) {
            run.check();
        }
    }
    run.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_compacted_log_is_the_same_map(steps in vec(step(), 1..80)) {
        run(Arc::new(MemoryDisk::durable()), &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_compacted_log_in_memory_only_is_the_same_map(steps in vec(step(), 1..80)) {
        let stays = |step: &Step| !matches!(step, Step::Restart(_) | Step::Crash(_));
        let steps: Vec<Step> = steps.into_iter().filter(stays).collect();
        run(Arc::new(MemoryDisk::new()), &steps);
    }
}

fn write(log: &Log, records: &[Pair]) {
    let batch = keyed_batch(records, 1_000, BatchOptions::default());
    log.append(batch, 1_000).unwrap();
}

#[test]
fn a_tombstone_goes_when_its_time_has_passed_and_not_before() {
    let log = open(&MemoryDisk::durable(), compacted(), Tail::Clean);
    write(&log, &[(1, Some(1)), (2, Some(2))]);
    write(&log, &[(1, None)]);
    log.roll().unwrap();
    clean(&log, 1 << 20, 5_000);
    assert_eq!(visible(&log), [(1, 2, Some(2)), (2, 1, None)]);
    let horizons = |log: &Log| {
        let batches = stable_batches(log);
        batches
            .iter()
            .filter_map(|batch| batch.header().delete_horizon())
            .collect::<Vec<_>>()
    };
    assert_eq!(horizons(&log), [6_000]);
    // Each compaction needs something dirty.
    for (now_ms, tombstone) in [(5_999, true), (6_000, false)] {
        write(&log, &[(3, Some(3))]);
        log.roll().unwrap();
        clean(&log, 1 << 20, now_ms);
        assert_eq!(visible(&log).contains(&(2, 1, None)), tombstone);
    }
}

#[test]
fn an_aborted_record_does_not_stand_for_its_key() {
    let mut run = Run::new(Arc::new(MemoryDisk::durable()));
    run.write(None, false, &[(1, Some(1))], 0);
    run.write(Some(0), true, &[(1, Some(2))], 0);
    run.end_transaction(0, false);
    run.step(&Step::Roll);
    clean(run.log(), 1 << 20, 0);
    assert_eq!(visible(run.log()), [(0, 1, Some(1))]);
}

#[test]
fn an_open_transaction_holds_compaction_up() {
    let mut run = Run::new(Arc::new(MemoryDisk::durable()));
    run.write(None, false, &[(1, Some(1))], 0);
    run.step(&Step::Roll);
    run.write(Some(0), true, &[(2, Some(2))], 0);
    run.write(None, false, &[(1, Some(3))], 0);
    run.step(&Step::Roll);
    assert_eq!(run.log().cleanable(0).unwrap().unwrap().end, 1);
    run.end_transaction(0, true);
    run.step(&Step::Roll);
    assert_eq!(run.log().cleanable(0).unwrap().unwrap().end, 4);
}

#[test]
fn what_does_not_fit_takes_more_passes() {
    let log = open(&MemoryDisk::durable(), compacted(), Tail::Clean);
    for key in 0..20 {
        write(&log, &[(key, Some(1)), (key, Some(2))]);
    }
    log.roll().unwrap();
    let passes = clean(&log, 10 * SLOT_BYTES, 0);
    assert_eq!(passes, 3);
    let newest: Vec<_> = (0..20)
        .map(|key| (i64::from(key) * 2 + 1, key, Some(2)))
        .collect();
    assert_eq!(visible(&log), newest);
}

#[test]
fn small_segments_become_one() {
    let log = open(&MemoryDisk::durable(), compacted(), Tail::Clean);
    for _ in 0..30 {
        write(&log, &[(1, Some(1)), (2, Some(2))]);
        log.roll().unwrap();
    }
    clean(&log, 1 << 20, 0);
    clean_after_a_write(&log);
    let segments = log.segments_info().unwrap();
    assert!(segments.len() <= 3, "{segments:?}");
    assert_eq!(visible(&log).len(), 2);
}

fn clean_after_a_write(log: &Arc<Log>) {
    write(log, &[(1, Some(9))]);
    log.roll().unwrap();
    clean(log, 1 << 20, 0);
}

#[test]
fn who_reads_old_segments_goes_on_reading_them() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(crate::disk::OsDisk::new());
    let dir = root.path().join("topic-0");
    let log = Log::open(disk, &dir, identity(), compacted(), 1, None, Tail::Clean).unwrap();
    for value in 0..40 {
        write(&log, &[(1, Some(value))]);
    }
    log.roll().unwrap();
    let old = log.segments();
    let held = log.read(0, 1 << 20, true, Bound::HighWatermark).unwrap();
    let copy = held.records.to_vec();
    clean(&log, 1 << 20, 0);
    assert_eq!(held.records, copy);
    let first = old.first().unwrap();
    let batch = first.locate(0, first.size()).unwrap().unwrap();
    let epochs = LeaderEpochs::default();
    let again = first.read(batch, first.size(), 1 << 20, true, &epochs);
    assert_eq!(again.unwrap().unwrap().0, copy);
    assert_eq!(visible(&log), [(39, 1, Some(39))]);
}

#[test]
fn damaged_records_are_not_copied_and_the_log_is_left_alone() {
    let disk = MemoryDisk::durable();
    let log = open(&disk, compacted(), Tail::Clean);
    write(&log, &[(1, Some(1))]);
    write(&log, &[(1, Some(2))]);
    log.roll().unwrap();
    file(&disk, "00000000000000000000.log")
        .write_at(70, &[IoSlice::new(&[0xff])])
        .unwrap();
    let before = files(&disk);
    let found = log.cleanable(0).unwrap().unwrap();
    let mut cleaning = Cleaning::begin(Arc::clone(&log), found, 1 << 20, 0).unwrap();
    assert!(cleaning.step(1 << 20).is_err());
    drop(cleaning);
    assert_eq!(files(&disk), before);
    assert!(log.cleanable(0).unwrap().is_none());
}

#[test]
fn a_log_has_one_compaction_at_a_time() {
    let log = open(&MemoryDisk::durable(), compacted(), Tail::Clean);
    write(&log, &[(1, Some(1))]);
    log.roll().unwrap();
    let found = log.cleanable(0).unwrap().unwrap();
    let first = Cleaning::begin(Arc::clone(&log), found, 1 << 20, 0).unwrap();
    assert!(Cleaning::begin(Arc::clone(&log), found, 1 << 20, 0).is_none());
    drop(first);
    assert!(Cleaning::begin(log, found, 1 << 20, 0).is_some());
}

#[test]
fn records_that_go_while_a_compaction_is_under_way_end_it() {
    let disk = MemoryDisk::durable();
    let log = open(&disk, compacted(), Tail::Clean);
    for value in 0..3 {
        write(&log, &[(1, Some(value))]);
        log.roll().unwrap();
    }
    let found = log.cleanable(0).unwrap().unwrap();
    let mut cleaning = Cleaning::begin(Arc::clone(&log), found, 1 << 20, 0).unwrap();
    let is_writing = || files(&disk).keys().any(|name| name.ends_with(".tmp"));
    while !is_writing() {
        cleaning.step(1).unwrap();
    }
    log.advance_log_start(3).unwrap();
    assert!(cleaning.step(1 << 20).is_err());
    drop(cleaning);
    assert!(!is_writing());
    assert_eq!(visible(&log), []);
    assert!(log.cleanable(0).unwrap().is_none());
}

#[test]
fn the_newest_record_is_found_where_compaction_emptied_the_newest_batch() {
    let log = open(&MemoryDisk::durable(), compacted(), Tail::Clean);
    let at = |timestamp, records: &[Pair]| {
        let batch = keyed_batch(records, timestamp, BatchOptions::default());
        log.append(batch, timestamp).unwrap();
    };
    at(50, &[(2, Some(2))]);
    at(90, &[(1, Some(1))]);
    at(70, &[(1, Some(3))]);
    log.roll().unwrap();
    clean(&log, 1 << 20, 0);
    let newest = log.max_timestamp().unwrap().unwrap();
    assert_eq!((newest.timestamp, newest.offset), (70, 2));
    assert_eq!(log.offset_for_timestamp(80).unwrap(), None);
}

#[test]
fn an_interrupted_swap_is_finished_by_the_next_start() {
    let disk = MemoryDisk::durable();
    let log = open(&disk, compacted(), Tail::Clean);
    for value in 0..3 {
        write(&log, &[(1, Some(value))]);
        log.roll().unwrap();
    }
    log.close().unwrap();
    let before = files(&disk);
    drop(log);
    let log = open(&disk, compacted(), Tail::Clean);
    clean(&log, 1 << 20, 0);
    let after = visible(&log);
    let compact = files(&disk)["00000000000000000000.log"].clone();
    // Each of the old files may be gone already, or not.
    let old = ["00000000000000000001.log", "00000000000000000002.log"];
    for gone in 0..4_u8 {
        let mut found = before.clone();
        for (bit, name) in old.iter().enumerate() {
            if gone >> bit & 1 == 1 {
                found.remove(*name);
            }
        }
        let name = "00000000000000000000.00000000000000000003.swap".to_owned();
        found.insert(name, compact.clone());
        let disk = disk_of(&found);
        let log = open(&disk, compacted(), Tail::Clean);
        assert_eq!(visible(&log), after);
        assert!(files(&disk).keys().all(|name| !name.ends_with("swap")));
    }
}

/// Of a producer that is forgotten, compaction takes everything. A snapshot from within a transaction of it would leave
/// that open for ever.
#[test]
fn no_snapshot_is_left_that_shows_a_transaction_open_whose_marker_is_gone() {
    let disk = MemoryDisk::durable();
    let log = open(&disk, compacted(), Tail::Clean);
    let options = BatchOptions {
        producer: ProducerIdentity {
            producer_id: 0,
            producer_epoch: 0,
            base_sequence: 0,
        },
        transactional: true,
        ..BatchOptions::default()
    };
    let batch = keyed_batch(&[(1, Some(1))], 1_000, options);
    log.append(batch, 1_000).unwrap();
    log.flush().unwrap();
    let marker = Marker {
        producer_id: 0,
        producer_epoch: 0,
        end: EndTransactionMarker {
            result: TransactionResult::Commit,
            coordinator_epoch: 0,
        },
        bumps_epoch: false,
    };
    log.append_marker(marker, 1_000).unwrap();
    log.expire_producers(i64::MAX, Duration::ZERO);
    // The first compaction drops the record, the second sets a time for the marker, the third drops it.
    for now_ms in [1_000, 2_000, 4_000] {
        write(&log, &[(1, Some(2))]);
        log.roll().unwrap();
        clean(&log, 1 << 20, now_ms);
    }
    let batches = stable_batches(&log);
    let mut headers = batches.iter().map(|batch| batch.header());
    assert!(headers.all(|header| !header.attributes.is_control() || header.record_count == 0));
    let end = log.offsets().log_end_offset;
    drop(log);
    let snapshots: Vec<String> = files(&disk)
        .into_keys()
        .filter(|name| name.ends_with("snapshot"))
        .collect();
    // A crash may take the newest ones.
    for newest in snapshots.iter().skip(1) {
        disk.remove(&dir().join(newest)).unwrap();
    }
    let tail = Tail::Scan {
        from: 0,
        at_least: end,
    };
    let log = open(&disk, compacted(), tail);
    assert_eq!(log.offsets().last_stable_offset, end);
}

#[test]
fn the_cleaner_goes_on_where_it_was_after_a_restart() {
    let disk = MemoryDisk::durable();
    let log = open(&disk, compacted(), Tail::Clean);
    write(&log, &[(1, Some(1))]);
    log.roll().unwrap();
    clean(&log, 1 << 20, 0);
    write(&log, &[(2, Some(1))]);
    log.roll().unwrap();
    log.close().unwrap();
    drop(log);
    let checkpoint = &files(&disk)["cleaner-offset-checkpoint"];
    assert!(checkpoint.starts_with(b"0\n1\ntopic 0 1\ncrc32 "));
    let log = open(&disk, compacted(), Tail::Clean);
    let found = log.cleanable(0).unwrap().unwrap();
    assert_eq!((found.first_dirty, found.end), (1, 2));
}
