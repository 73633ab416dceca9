//! Random work on a compacted log: the same map, whatever else happened.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::record::{
    Compression, EndTransactionMarker, ProducerIdentity, TransactionResult,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const PRODUCERS: i64 = 3;
const KEYS: u8 = 8;

#[derive(Debug, Clone)]
pub(super) enum Step {
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

pub(super) struct Run {
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
impl Run {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Self {
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

    pub(super) fn open(&mut self, tail: Tail) {
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

    pub(super) fn log(&self) -> &Arc<Log> {
        self.log.as_ref().unwrap()
    }

    pub(super) fn end(&self) -> i64 {
        self.log().offsets().log_end_offset
    }

    pub(super) fn write(
        &mut self,
        producer: Option<i64>,
        transactional: bool,
        records: &[Pair],
        codec: u8,
    ) {
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

    pub(super) fn end_transaction(&mut self, producer_id: i64, commit: bool) {
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

    pub(super) fn step(&mut self, step: &Step) {
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
