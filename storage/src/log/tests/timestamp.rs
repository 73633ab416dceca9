//! Looking up by time.

use ottla_protocol::record::{BatchBuilder, BatchOptions, Compression, RecordBatch};

use super::*;

/// A batch with one record for each timestamp.
pub(super) fn batch_at(timestamps: &[i64], value: usize, options: BatchOptions) -> Append {
    let mut builder = BatchBuilder::new(options).unwrap();
    for timestamp in timestamps {
        let value = vec![b'v'; value];
        builder.append(*timestamp, None, Some(&value), &[]).unwrap();
    }
    let (batch, _) = RecordBatch::parse(builder.build().unwrap()).unwrap();
    Append {
        header: *batch.header(),
        body: batch.body(),
    }
}

fn append_at(log: &Log, timestamps: &[i64]) {
    let batch = batch_at(timestamps, 90, BatchOptions::default());
    log.append(batch, 0).unwrap();
}

fn offset_at(log: &Log, timestamp: i64) -> Option<(i64, i64)> {
    let found = log.offset_for_timestamp(timestamp).unwrap();
    found.map(|found| (found.timestamp, found.offset))
}

#[test]
fn records_that_compress_a_thousandfold_are_found() {
    let log = open(&MemoryDisk::durable(), LogConfig::default(), Tail::Clean);
    let options = BatchOptions {
        compression: Compression::Zstd,
        max_size: 32 << 20,
        ..BatchOptions::default()
    };
    let batch = batch_at(&[10, 20], 8 << 20, options);
    assert!(batch.body.len() < 16_000);
    log.append(batch, 0).unwrap();
    assert_eq!(offset_at(&log, 15), Some((20, 1)));
}

#[test]
fn the_first_record_that_is_not_older_is_found() {
    let log = open(&MemoryDisk::durable(), small_segments(), Tail::Clean);
    for at in 0..30 {
        append_at(&log, &[at * 10, at * 10 + 5, at * 10 + 3]);
    }
    assert_eq!(offset_at(&log, i64::MIN), Some((0, 0)));
    assert_eq!(offset_at(&log, 4), Some((5, 1)));
    assert_eq!(offset_at(&log, 6), Some((10, 3)));
    assert_eq!(offset_at(&log, 203), Some((205, 61)));
    assert_eq!(offset_at(&log, 295), Some((295, 88)));
    assert_eq!(offset_at(&log, 296), None);
    let newest = log.max_timestamp().unwrap().unwrap();
    assert_eq!(
        (newest.timestamp, newest.offset, newest.leader_epoch),
        (295, 88, 1)
    );
}

#[test]
fn times_out_of_order_and_compressed_records_are_found() {
    let log = open(&MemoryDisk::durable(), small_segments(), Tail::Clean);
    append_at(&log, &[500]);
    append_at(&log, &[100, 900, 200]);
    for _ in 0..20 {
        append_at(&log, &[300]);
    }
    let compressed = BatchOptions {
        compression: Compression::Lz4,
        ..BatchOptions::default()
    };
    log.append(batch_at(&[400, 901], 90, compressed), 0)
        .unwrap();
    assert_eq!(offset_at(&log, 501), Some((900, 2)));
    assert_eq!(offset_at(&log, 901), Some((901, 25)));
    log.advance_log_start(3).unwrap();
    assert_eq!(offset_at(&log, 201), Some((300, 4)));
    assert_eq!(offset_at(&log, 301), Some((400, 24)));
}

#[test]
fn what_is_not_durable_is_not_found() {
    let sink = Arc::new(HeldSink::default());
    let log = Log::open(
        Arc::new(MemoryDisk::durable()),
        &dir(),
        identity(),
        small_segments(),
        1,
        Some(sink),
        Tail::Clean,
    )
    .unwrap();
    for at in 0..30 {
        append_at(&log, &[at * 10, at * 10 + 5]);
    }
    assert_eq!(offset_at(&log, 0), None);
    assert_eq!(log.max_timestamp().unwrap(), None);
    log.commit(20);
    assert_eq!(offset_at(&log, 91), Some((95, 19)));
    assert_eq!(offset_at(&log, 96), None);
    let newest = log.max_timestamp().unwrap().unwrap();
    assert_eq!((newest.timestamp, newest.offset), (95, 19));
}

#[test]
fn a_log_without_times_has_no_newest() {
    let log = open(&MemoryDisk::durable(), small_segments(), Tail::Clean);
    assert_eq!(log.max_timestamp().unwrap(), None);
    append_at(&log, &[-1]);
    assert_eq!(log.max_timestamp().unwrap(), None);
    assert_eq!(offset_at(&log, 0), None);
}

/// Once, the answer was the first record behind the segment that had lost its end.
#[test]
fn what_a_cut_segment_has_lost_is_not_found_in_the_next_one() {
    let disk = MemoryDisk::durable();
    let log = open(&disk, small_segments(), Tail::Clean);
    for at in 0..30 {
        append_at(&log, &[at * 10]);
    }
    let last_of_first = log.segments_info().unwrap()[1].base_offset - 1;
    log.close().unwrap();
    let mut cut = files(&disk);
    let first = cut.get_mut("00000000000000000000.log").unwrap();
    first.truncate(first.len() / 2);
    let log = open(&disk_of(&cut), small_segments(), Tail::Clean);
    assert_eq!(offset_at(&log, 10), Some((10, 1)));
    assert!(log.offset_for_timestamp(last_of_first * 10).is_err());
    assert!(log.max_timestamp().is_err());
    let next = (last_of_first + 1) * 10;
    assert!(log.offset_for_timestamp(next).is_err());
}

/// Once, the answer was the first record of the batch behind the damaged one.
#[test]
fn a_batch_whose_newest_time_is_damaged_is_not_passed_over() {
    let disk = MemoryDisk::durable();
    let log = open(&disk, small_segments(), Tail::Clean);
    for at in 1..4 {
        append_at(&log, &[at * 10]);
    }
    log.close().unwrap();
    let mut damaged = files(&disk);
    let segment = damaged.get_mut("00000000000000000000.log").unwrap();
    let second = segment.len() / 3;
    segment[second + 35..second + 43].fill(0);
    let log = open(&disk_of(&damaged), small_segments(), Tail::Clean);
    assert_eq!(offset_at(&log, 10), Some((10, 0)));
    assert!(log.offset_for_timestamp(20).is_err());
    assert!(log.offset_for_timestamp(30).is_err());
}

/// Once, nothing was as new as the last batch of a segment, or the next segment had the answer.
#[test]
fn a_batch_whose_newest_time_is_damaged_is_missed_by_no_lookup() {
    // The index vouches for the newest batch, or it does not.
    for batches in 25..=30 {
        damage_each_of(batches);
    }
}

fn damage_each_of(count: i64) {
    let config = LogConfig {
        index_interval_bytes: 500,
        ..small_segments()
    };
    let disk = MemoryDisk::durable();
    let log = open(&disk, config.clone(), Tail::Clean);
    let newest = |batch: i64| (batch + 1) * 10;
    for batch in 0..count {
        append_at(&log, &[newest(batch) - 2, newest(batch)]);
    }
    // The last batch is verified at a start.
    append_at(&log, &[1, 3]);
    let segments = log.segments_info().unwrap();
    log.close().unwrap();
    let intact = files(&disk);
    let in_first = u64::try_from(segments[1].base_offset / 2).unwrap();
    let size = usize::try_from(segments[0].size / in_first).unwrap();
    for batch in 0..count {
        let mut segments = segments.iter();
        let segment = segments.rfind(|segment| segment.base_offset <= batch * 2);
        let base_offset = segment.unwrap().base_offset;
        let mut damaged = intact.clone();
        let file = damaged.get_mut(&format!("{base_offset:020}.log")).unwrap();
        let position = usize::try_from(batch - base_offset / 2).unwrap() * size;
        file[position + 35..position + 43].copy_from_slice(&(newest(batch) - 1).to_be_bytes());
        let opened = try_open(&disk_of(&damaged), config.clone(), Tail::Clean);
        if let Ok(log) = opened {
            let found = log.offset_for_timestamp(newest(batch));
            assert!(found.is_err(), "{batch}: {found:?}");
        }
    }
}
