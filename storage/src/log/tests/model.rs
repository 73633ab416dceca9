//! A log against a list of batches, on every disk: whatever is done, the answers are the list's.

use std::path::Path;

use ottla_protocol::record::{BatchOptions, ProducerIdentity};
use proptest::collection::vec;
use proptest::prelude::*;

use super::timestamp::batch_at;
use super::*;
use crate::disk::{OsDisk, Reads};
use crate::producer_state::ProducerState;

/// Time in the tests.
const LATEST: i64 = 60;

#[derive(Debug, Clone)]
enum Step {
    Append {
        producer: Option<u8>,
        timestamps: Vec<i64>,
        value: usize,
    },
    /// A producer sends its newest batch again.
    Repeat(u8),
    Roll,
    Flush,
    /// Close and open; the set bits say which of the files that are caches get lost in between.
    Restart(u64),
    /// Open without a close.
    Crash(u64),
    /// Per mille of the way from start to end.
    AdvanceLogStart(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let append = (
        proptest::option::of(0..2_u8),
        vec(-1..LATEST, 1..5),
        0..150_usize,
    );
    let lost = prop_oneof![Just(0), Just(u64::MAX), any::<u64>()];
    prop_oneof![
        12 => append.prop_map(|(producer, timestamps, value)| Step::Append {
            producer,
            timestamps,
            value,
        }),
        2 => (0..2_u8).prop_map(Step::Repeat),
        1 => Just(Step::Roll),
        1 => Just(Step::Flush),
        1 => lost.clone().prop_map(Step::Restart),
        1 => lost.prop_map(Step::Crash),
        1 => (0..=1_000_i64).prop_map(Step::AdvanceLogStart),
    ]
}

/// A batch as the log must answer it.
struct Stored {
    base_offset: i64,
    append: Append,
    timestamps: Vec<i64>,
    epoch: i32,
}

impl Stored {
    fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.append.header.last_offset_delta)
    }

    fn max_timestamp(&self) -> i64 {
        self.append.header.max_timestamp
    }
}

struct Run {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    log: Option<Arc<Log>>,
    batches: Vec<Stored>,
    log_start_offset: i64,
    flushed: i64,
    epoch: i32,
}

impl Run {
    fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        let mut run = Self {
            disk,
            dir: root.join("topic-0"),
            log: None,
            batches: Vec::new(),
            log_start_offset: 0,
            flushed: 0,
            epoch: 0,
        };
        run.open(Tail::Clean);
        run
    }

    fn open(&mut self, tail: Tail) {
        self.epoch += 1;
        let disk = Arc::clone(&self.disk);
        let config = small_segments();
        let log = Log::open(disk, &self.dir, identity(), config, self.epoch, None, tail);
        self.log = Some(log.unwrap());
    }

    fn log(&self) -> &Log {
        self.log.as_ref().unwrap()
    }

    fn end(&self) -> i64 {
        self.batches
            .last()
            .map_or(0, |batch| batch.last_offset() + 1)
    }

    fn newest_of(&self, producer_id: i64) -> Option<&Stored> {
        let of_producer = |batch: &&Stored| batch.append.header.producer_id == producer_id;
        self.batches.iter().rev().find(of_producer)
    }

    fn append(&mut self, producer: Option<u8>, timestamps: &[i64], value: usize) {
        let identity = producer.map_or(ProducerIdentity::NONE, |producer| ProducerIdentity {
            producer_id: i64::from(producer),
            producer_epoch: 0,
            base_sequence: self
                .newest_of(i64::from(producer))
                .map_or(0, |batch| batch.append.header.last_sequence() + 1),
        });
        let options = BatchOptions {
            producer: identity,
            ..BatchOptions::default()
        };
        let append = batch_at(timestamps, value, options);
        let appended = self.log().append(append.clone(), 0).unwrap();
        assert!(!appended.duplicate);
        assert_eq!(appended.base_offset, self.end());
        self.batches.push(Stored {
            base_offset: appended.base_offset,
            append,
            timestamps: timestamps.to_vec(),
            epoch: self.epoch,
        });
        assert_eq!(appended.last_offset + 1, self.end());
    }

    fn repeat(&self, producer: u8) {
        let newest = self.newest_of(i64::from(producer));
        // Of a batch that was deleted, nothing need be remembered.
        let Some(newest) = newest.filter(|batch| batch.base_offset >= self.log_start_offset) else {
            return;
        };
        let again = self.log().append(newest.append.clone(), 0).unwrap();
        assert!(again.duplicate);
        assert_eq!(again.base_offset, newest.base_offset);
        assert_eq!(again.last_offset, newest.last_offset());
    }

    /// Removes files that can be made anew from the batches.
    fn lose_caches(&self, lost: u64) {
        let entries = self.disk.list(&self.dir).unwrap();
        let caches = entries.iter().filter(|entry| {
            let name = &entry.name;
            name.ends_with("index") || name.ends_with("snapshot") || name.starts_with("leader")
        });
        for (bit, entry) in caches.enumerate() {
            if lost >> (bit % 64) & 1 == 1 {
                self.disk.remove(&self.dir.join(&entry.name)).unwrap();
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Append {
                producer,
                timestamps,
                value,
            } => self.append(*producer, timestamps, *value),
            Step::Repeat(producer) => self.repeat(*producer),
            Step::Roll => self.log().roll().unwrap(),
            Step::Flush => {
                self.flushed = self.log().flush().unwrap().offset;
                assert_eq!(self.flushed, self.end());
            }
            Step::Restart(lost) => {
                self.log().close().unwrap();
                self.log = None;
                self.lose_caches(*lost);
                self.flushed = self.end();
                self.open(Tail::Clean);
            }
            Step::Crash(lost) => {
                self.log = None;
                self.lose_caches(*lost);
                self.open(Tail::Scan {
                    from: self.flushed,
                    at_least: self.end(),
                });
                self.flushed = self.end();
            }
            Step::AdvanceLogStart(share) => {
                let to = self.share(*share);
                assert_eq!(self.log().advance_log_start(to).unwrap(), to);
                self.log_start_offset = to;
            }
        }
    }

    fn share(&self, share: i64) -> i64 {
        self.log_start_offset + (self.end() - self.log_start_offset) * share / 1_000
    }

    fn check(&self) {
        let offsets = self.log().offsets();
        assert_eq!(offsets.log_start_offset, self.log_start_offset);
        assert_eq!(offsets.log_end_offset, self.end());
        assert_eq!(offsets.high_watermark, self.end());
        for (from, max_bytes) in [(0, 1), (1, 300), (2, 2_000)] {
            for offset in (self.log_start_offset + from..=self.end()).step_by(3) {
                self.check_read(offset, max_bytes);
            }
        }
        for timestamp in (0..=LATEST).step_by(7) {
            self.check_timestamp(timestamp);
        }
        self.check_newest();
        self.check_epochs();
        self.check_producers();
    }

    fn check_read(&self, from: i64, max_bytes: usize) {
        let read = self
            .log()
            .read(from, max_bytes, true, Bound::HighWatermark)
            .unwrap();
        let expected = self
            .batches
            .iter()
            .filter(|batch| batch.last_offset() >= from);
        let mut rest = &read.records[..];
        let mut next_offset = from;
        for (number, batch) in expected.enumerate() {
            if rest.is_empty() {
                assert!(number > 0, "nothing was read at {from}");
                break;
            }
            let header = BatchHeader::decode(rest).unwrap();
            header.verify_crc(rest).unwrap();
            assert_eq!(header.base_offset, batch.base_offset);
            assert_eq!(header.partition_leader_epoch, batch.epoch);
            let (whole, behind) = rest.split_at(header.size());
            assert_eq!(&whole[61..], &batch.append.body[..]);
            assert!(number == 0 || read.records.len() <= max_bytes);
            rest = behind;
            next_offset = batch.last_offset() + 1;
        }
        assert!(rest.is_empty());
        assert_eq!(read.next_offset, next_offset);
        let available = self
            .log()
            .available(from, usize::MAX, Bound::HighWatermark)
            .unwrap();
        assert!(available >= read.records.len());
        assert_eq!(available == 0, from == self.end());
    }

    /// Timestamps and offsets of the records that are not deleted.
    fn records(&self) -> impl Iterator<Item = (i64, i64)> {
        self.batches
            .iter()
            .flat_map(|batch| batch.timestamps.iter().copied().zip(batch.base_offset..))
            .filter(|(_, offset)| *offset >= self.log_start_offset)
    }

    fn check_timestamp(&self, timestamp: i64) {
        let expected = self.records().find(|(found, _)| *found >= timestamp);
        let found = self.log().offset_for_timestamp(timestamp).unwrap();
        assert_eq!(found.map(|found| (found.timestamp, found.offset)), expected);
    }

    fn check_newest(&self) {
        let batches = || {
            self.batches
                .iter()
                .filter(|batch| batch.last_offset() >= self.log_start_offset)
        };
        let newest = batches()
            .map(Stored::max_timestamp)
            .max()
            .filter(|newest| *newest >= 0);
        let expected = newest.map(|newest| {
            let batch = batches()
                .find(|batch| batch.max_timestamp() == newest)
                .unwrap();
            let mut records = batch.timestamps.iter().zip(batch.base_offset..);
            let (_, offset) = records
                .find(|(timestamp, _)| **timestamp == newest)
                .unwrap();
            (newest, offset.max(self.log_start_offset))
        });
        let found = self.log().max_timestamp().unwrap();
        assert_eq!(found.map(|found| (found.timestamp, found.offset)), expected);
    }

    fn check_epochs(&self) {
        let log = self.log();
        let kept = self
            .batches
            .iter()
            .filter(|batch| batch.last_offset() >= self.log_start_offset);
        let mut epochs: Vec<(i32, i64)> = Vec::new();
        for batch in kept {
            if epochs.last().is_none_or(|(epoch, _)| *epoch < batch.epoch) {
                epochs.push((batch.epoch, batch.base_offset.max(self.log_start_offset)));
            }
        }
        if epochs.last().is_none_or(|(epoch, _)| *epoch < self.epoch) {
            epochs.push((self.epoch, self.end()));
        }
        for (at, (epoch, _)) in epochs.iter().enumerate() {
            let end = epochs.get(at + 1).map_or(self.end(), |(_, start)| *start);
            assert_eq!(log.end_offset_for_epoch(*epoch), (*epoch, end));
        }
        assert_eq!(log.end_offset_for_epoch(self.epoch + 1), (-1, -1));
    }

    /// What is remembered live is what the batches say.
    fn check_producers(&self) {
        if self.log_start_offset > 0 {
            return;
        }
        let mut replayed = ProducerState::default();
        for batch in &self.batches {
            replayed.replay(&BatchHeader {
                base_offset: batch.base_offset,
                ..batch.append.header
            });
        }
        assert_eq!(self.log().writer.lock().producers, replayed);
    }
}

fn run(disk: Arc<dyn Disk>, root: &Path, steps: &[Step]) {
    let mut run = Run::new(disk, root);
    for (number, step) in steps.iter().enumerate() {
        run.step(step);
        let is_append = matches!(step, Step::Append { .. } | Step::Repeat(_));
        if !is_append || number % 16 == 0 {
            run.check();
        }
    }
    run.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_log_in_memory_answers_like_a_list(steps in vec(step(), 1..100)) {
        run(Arc::new(MemoryDisk::durable()), Path::new("/data"), &steps);
        run(Arc::new(MemoryDisk::new()), Path::new("/data"), &steps);
    }
}

proptest! {
    // Every sync waits for the disk.
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn a_log_in_files_answers_like_a_list(steps in vec(step(), 1..60)) {
        for reads in [Reads::Map, Reads::Pread] {
            let root = tempfile::tempdir().unwrap();
            run(Arc::new(OsDisk::with_reads(reads)), root.path(), &steps);
        }
    }
}
