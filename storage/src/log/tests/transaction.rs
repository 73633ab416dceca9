//! Transactions in a log against the set of committed ones, and appends with one fate.

use std::collections::{BTreeMap, BTreeSet};

use ottla_protocol::record::{
    BatchOptions, EndTransactionMarker, ProducerIdentity, TransactionResult,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::timestamp::batch_at;
use super::*;

const PRODUCERS: i64 = 3;

#[derive(Debug, Clone)]
enum Step {
    /// Records of a producer's transaction, which begins if none is open.
    Write {
        producer: i64,
        records: usize,
    },
    /// Records without a transaction.
    Plain {
        records: usize,
    },
    End {
        producer: i64,
        commit: bool,
    },
    Roll,
    Flush,
    /// Close and open without the caches whose bits are set.
    Restart(u64),
    /// Open without a close.
    Crash(u64),
    AdvanceLogStart(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let lost = prop_oneof![Just(0), Just(u64::MAX), any::<u64>()];
    prop_oneof![
        8 => (0..PRODUCERS, 1..4_usize).prop_map(|(producer, records)| Step::Write { producer, records }),
        2 => (1..4_usize).prop_map(|records| Step::Plain { records }),
        4 => (0..PRODUCERS, any::<bool>()).prop_map(|(producer, commit)| Step::End { producer, commit }),
        2 => Just(Step::Roll),
        1 => Just(Step::Flush),
        1 => lost.clone().prop_map(Step::Restart),
        1 => lost.prop_map(Step::Crash),
        1 => (0..=1_000_i64).prop_map(Step::AdvanceLogStart),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Data { producer: i64 },
    Marker { producer: i64, commit: bool },
}

/// A batch as the model knows it.
#[derive(Debug, Clone, Copy)]
struct Stored {
    base_offset: i64,
    end: i64,
    kind: Kind,
}

fn marker(producer: i64, commit: bool) -> Marker {
    Marker {
        producer_id: producer,
        producer_epoch: 0,
        end: EndTransactionMarker {
            result: if commit {
                TransactionResult::Commit
            } else {
                TransactionResult::Abort
            },
            coordinator_epoch: 0,
        },
        bumps_epoch: false,
    }
}

struct Run {
    disk: MemoryDisk,
    log: Option<Arc<Log>>,
    batches: Vec<Stored>,
    log_start_offset: i64,
    flushed: i64,
    sequences: BTreeMap<i64, i32>,
}

impl Run {
    fn new(disk: MemoryDisk) -> Self {
        let log = open(&disk, small_segments(), Tail::Clean);
        Self {
            disk,
            log: Some(log),
            batches: Vec::new(),
            log_start_offset: 0,
            flushed: 0,
            sequences: BTreeMap::new(),
        }
    }

    fn log(&self) -> &Log {
        self.log.as_ref().unwrap()
    }

    fn end(&self) -> i64 {
        self.batches.last().map_or(0, |batch| batch.end)
    }

    fn push(&mut self, appended: Appended, kind: Kind) {
        assert_eq!(appended.base_offset, self.end());
        self.batches.push(Stored {
            base_offset: appended.base_offset,
            end: appended.last_offset + 1,
            kind,
        });
    }

    fn write(&mut self, producer: i64, records: usize) {
        let sequence = self.sequences.entry(producer).or_default();
        let options = BatchOptions {
            producer: ProducerIdentity {
                producer_id: producer,
                producer_epoch: 0,
                base_sequence: *sequence,
            },
            transactional: true,
            ..BatchOptions::default()
        };
        let batch = batch_at(&vec![1; records], 40, options);
        *sequence += i32::try_from(records).unwrap();
        let guard = self.log().transaction_guard(producer, false);
        let appended = self.log().append_guarded(batch, guard, 0).unwrap();
        self.push(appended, Kind::Data { producer });
    }

    fn restart(&mut self, lost: u64, tail: Tail) {
        self.log = None;
        let entries = self.disk.list(&dir()).unwrap();
        let caches = entries
            .iter()
            .filter(|entry| entry.name.ends_with("index") || entry.name.ends_with("snapshot"));
        for (bit, entry) in caches.enumerate() {
            if lost >> (bit % 64) & 1 == 1 {
                self.disk.remove(&dir().join(&entry.name)).unwrap();
            }
        }
        self.log = Some(open(&self.disk, small_segments(), tail));
        self.flushed = self.end();
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write { producer, records } => self.write(producer, records),
            Step::Plain { records } => {
                let batch = batch_at(&vec![1; records], 40, BatchOptions::default());
                let appended = self.log().append(batch, 0).unwrap();
                self.push(appended, Kind::Plain);
            }
            Step::End { producer, commit } => {
                let appended = self.log().append_marker(marker(producer, commit), 0);
                self.push(appended.unwrap(), Kind::Marker { producer, commit });
            }
            Step::Roll => self.log().roll().unwrap(),
            Step::Flush => self.flushed = self.log().flush().unwrap().offset,
            Step::Restart(lost) => {
                self.log().close().unwrap();
                self.restart(lost, Tail::Clean);
            }
            Step::Crash(lost) => {
                let tail = Tail::Scan {
                    from: self.flushed,
                    at_least: self.end(),
                };
                self.restart(lost, tail);
            }
            Step::AdvanceLogStart(share) => {
                let to = self.share(share);
                self.log_start_offset = self.log().advance_log_start(to).unwrap();
            }
        }
    }

    fn share(&self, share: i64) -> i64 {
        self.log_start_offset + (self.end() - self.log_start_offset) * share / 1_000
    }

    /// Base offsets of the data whose transaction has committed, and of data without one, and the
    /// first offsets of the open transactions.
    fn outcome(&self) -> (BTreeSet<i64>, Vec<i64>) {
        let mut committed = BTreeSet::new();
        let mut open: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for batch in &self.batches {
            match batch.kind {
                Kind::Plain => {
                    committed.insert(batch.base_offset);
                }
                Kind::Data { producer } => {
                    open.entry(producer).or_default().push(batch.base_offset)
                }
                Kind::Marker { producer, commit } => {
                    let data = open.remove(&producer).unwrap_or_default();
                    committed.extend(data.into_iter().filter(|_| commit));
                }
            }
        }
        (committed, open.into_values().map(|data| data[0]).collect())
    }

    fn check(&self) {
        let (committed, open) = self.outcome();
        let offsets = self.log().offsets();
        let first_open = open.iter().min().copied();
        let stable = first_open.map_or(self.end(), |first| first.max(self.log_start_offset));
        // What is no longer in the log may be forgotten.
        assert!(offsets.last_stable_offset >= stable);
        let kept = |first: &&i64| **first >= self.log_start_offset;
        if let Some(first) = open.iter().filter(kept).min() {
            assert!(offsets.last_stable_offset <= *first);
        }
        for from in (self.log_start_offset..=self.end()).step_by(5) {
            for max_bytes in [1, 500, 100_000] {
                self.check_read(from, max_bytes, &committed);
            }
        }
    }

    /// Reads as a consumer of committed records does.
    fn check_read(&self, from: i64, max_bytes: usize, committed: &BTreeSet<i64>) {
        let log = self.log();
        let stable = log.offsets().last_stable_offset;
        let read = log.read(from, max_bytes, true, Bound::LastStable).unwrap();
        assert_eq!(read.records.is_empty(), from >= stable);
        let available = log.available(from, usize::MAX, Bound::LastStable).unwrap();
        assert_eq!(available == 0, from >= stable);
        let aborted = log.aborted_transactions(from, read.next_offset).unwrap();
        let mut aborted = aborted.into_iter().peekable();
        let mut skipping = BTreeSet::new();
        let mut rest = &read.records[..];
        while !rest.is_empty() {
            let header = BatchHeader::decode(rest).unwrap();
            rest = &rest[header.size()..];
            assert!(header.base_offset < stable);
            while let Some(next) = aborted.next_if(|next| next.first_offset <= header.last_offset())
            {
                skipping.insert(next.producer_id);
            }
            let attributes = header.attributes;
            if attributes.is_control() {
                skipping.remove(&header.producer_id);
            } else {
                let skipped =
                    attributes.is_transactional() && skipping.contains(&header.producer_id);
                assert_eq!(
                    !skipped,
                    committed.contains(&header.base_offset),
                    "{}",
                    header.base_offset
                );
            }
        }
        assert_eq!(
            aborted.next(),
            None,
            "an aborted transaction behind what was read"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn readers_of_committed_records_see_the_committed_ones(steps in vec(step(), 1..80)) {
        for disk in [MemoryDisk::durable(), MemoryDisk::new()] {
            let mut run = Run::new(disk.clone());
            for step in &steps {
                let restarts = matches!(step, Step::Restart(_) | Step::Crash(_));
                if restarts && disk.is_volatile() {
                    continue;
                }
                run.step(step);
                if !matches!(step, Step::Write { .. } | Step::Plain { .. }) {
                    run.check();
                }
            }
            run.check();
        }
    }
}

/// A log of this topic id behind `sink`.
fn log_behind(disk: &MemoryDisk, id: u128, sink: Option<&Arc<HeldSink>>) -> Arc<Log> {
    let identity = LogIdentity {
        topic: format!("t{id}"),
        topic_id: Uuid::from_u128(id),
        partition: 0,
    };
    let dir = PathBuf::from(format!("/data/t{id}-0"));
    let sink = sink.map(|sink| Arc::clone(sink) as Arc<dyn CommitSink>);
    let disk = Arc::new(disk.clone());
    Log::open(disk, &dir, identity, small_segments(), 1, sink, Tail::Clean).unwrap()
}

fn begun(disk: &MemoryDisk, id: u128, sink: Option<&Arc<HeldSink>>, epoch: i16) -> Arc<Log> {
    let log = log_behind(disk, id, sink);
    let options = BatchOptions {
        producer: ProducerIdentity {
            producer_id: 7,
            producer_epoch: epoch,
            base_sequence: 0,
        },
        transactional: true,
        ..BatchOptions::default()
    };
    log.append(batch_at(&[1], 10, options), 0).unwrap();
    log
}

fn end_of(log: &Arc<Log>) -> Part {
    Part {
        log: Arc::clone(log),
        change: Change::Marker(marker(7, true)),
    }
}

#[test]
fn appends_with_one_fate_reach_the_journal_as_one_unit() {
    let disk = MemoryDisk::durable();
    let sink = Arc::new(HeldSink::default());
    let logs = [9, 3, 5].map(|id| begun(&disk, id, Some(&sink), 0));
    sink.entries.lock().clear();
    let answers = append_together(logs.iter().map(end_of).collect(), 0).unwrap();
    assert_eq!(sink.entries.lock().len(), 3);
    for (log, answer) in logs.iter().zip(answers) {
        assert_eq!(answer.unwrap().base_offset, 1);
        assert_eq!(log.offsets().last_stable_offset, 0);
        log.commit(2);
        assert_eq!(log.offsets().last_stable_offset, 2);
    }
}

#[test]
fn a_stale_marker_is_left_out_and_the_others_are_appended() {
    let disk = MemoryDisk::durable();
    let (current, newer) = (begun(&disk, 1, None, 0), begun(&disk, 2, None, 4));
    let answers = append_together(vec![end_of(&newer), end_of(&current)], 0).unwrap();
    assert!(matches!(
        answers[0],
        Err(AppendError::InvalidProducerEpoch { current: 4, .. })
    ));
    assert!(answers[1].is_ok());
    assert_eq!(newer.offsets().log_end_offset, 1);
    assert_eq!(current.offsets().log_end_offset, 2);
}

#[test]
fn nothing_is_appended_when_one_log_refuses() {
    let disk = MemoryDisk::durable();
    let (good, closed) = (begun(&disk, 1, None, 0), begun(&disk, 2, None, 0));
    closed.close().unwrap();
    let refused = append_together(vec![end_of(&good), end_of(&closed)], 0);
    assert!(matches!(refused, Err(AppendError::Closed)));
    assert_eq!(good.offsets().log_end_offset, 1);
    assert!(good.append_marker(marker(7, true), 0).is_ok());
}

#[test]
fn logs_of_different_fates_are_refused() {
    let disk = MemoryDisk::durable();
    let sink = Arc::new(HeldSink::default());
    let (journaled, other) = (begun(&disk, 1, Some(&sink), 0), begun(&disk, 2, None, 0));
    let mixed = append_together(vec![end_of(&journaled), end_of(&other)], 0);
    assert!(matches!(mixed, Err(AppendError::Invalid(_))));
    let twice = append_together(vec![end_of(&other), end_of(&other)], 0);
    assert!(matches!(twice, Err(AppendError::Invalid(_))));
}

#[test]
fn the_index_of_aborted_transactions_is_a_file_in_kafkas_format() {
    let disk = MemoryDisk::durable();
    let log = open(&disk, small_segments(), Tail::Clean);
    let options = BatchOptions {
        producer: ProducerIdentity {
            producer_id: 7,
            producer_epoch: 0,
            base_sequence: 0,
        },
        transactional: true,
        ..BatchOptions::default()
    };
    log.append(batch_at(&[1, 1], 10, options), 0).unwrap();
    log.append_marker(marker(7, false), 0).unwrap();
    log.close().unwrap();
    let bytes = files(&disk)["00000000000000000000.txnindex"].clone();
    let numbers: Vec<i64> = bytes[2..]
        .chunks(8)
        .map(|chunk| i64::from_be_bytes(chunk.try_into().unwrap()))
        .collect();
    assert_eq!(numbers, [7, 0, 2, 3]);
}
