//! What compaction leaves of a log, and what else may happen meanwhile.

mod map;

use std::time::Duration;

use ottla_protocol::record::{
    BatchBuilder, BatchOptions, Compression, EndTransactionMarker, Limits, ProducerIdentity,
    RecordBatch, TransactionResult,
};

use self::map::{Run, Step};
use super::*;
use crate::cleaner::{Cleaning, Next};
use crate::compaction::offset_map::SLOT_BYTES;
use crate::config::Compaction;

/// `delete.retention.ms` in these tests.
const RETENTION: Duration = Duration::from_millis(1_000);

type Pair = (u8, Option<u8>);

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
fn write(log: &Log, records: &[Pair]) {
    let batch = keyed_batch(records, 1_000, BatchOptions::default());
    log.append(batch, 1_000).unwrap();
}

#[test]
fn records_that_compress_a_thousandfold_are_compacted() {
    let log = open(&MemoryDisk::durable(), compacted(), Tail::Clean);
    let options = BatchOptions {
        compression: Compression::Zstd,
        max_size: 32 << 20,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options).unwrap();
    for key in [1, 2, 1_u8] {
        let value = vec![key; 8 << 20];
        builder
            .append(1_000, Some(&[key]), Some(&value), &[])
            .unwrap();
    }
    let (batch, _) = RecordBatch::parse(builder.build().unwrap()).unwrap();
    assert!(batch.bytes().len() < 16_000);
    let (header, body) = (*batch.header(), batch.body());
    log.append(Append { header, body }, 1_000).unwrap();
    log.roll().unwrap();
    clean(&log, 1 << 20, 5_000);
    let [compacted] = &stable_batches(&log)[..] else {
        panic!("one batch");
    };
    let records = compacted.records(&Limits::stored()).unwrap();
    let offsets: Vec<_> = records.map(|record| record.unwrap().offset).collect();
    assert_eq!(offsets, [1, 2]);
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
fn no_snapshot_is_left_from_within_what_was_compacted() {
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
        let compacted_end = log.offsets().log_end_offset;
        let snapshots = files(&disk)
            .into_keys()
            .filter_map(|name| name.strip_suffix(".snapshot")?.parse::<i64>().ok());
        let within: Vec<i64> = snapshots.filter(|offset| *offset < compacted_end).collect();
        assert_eq!(within, []);
    }
    let batches = stable_batches(&log);
    let mut headers = batches.iter().map(|batch| batch.header());
    assert!(headers.all(|header| !header.attributes.is_control() || header.record_count == 0));
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
