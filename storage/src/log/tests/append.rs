//! Appending and reading.

use std::time::Duration;

use ottla_protocol::record::TimestampType;

use super::*;
use crate::error::{AppendError, ReadError, Shortage};

#[test]
fn offsets_are_dense_and_batches_come_back_as_they_went_in() {
    for disk in [MemoryDisk::new(), MemoryDisk::durable()] {
        let log = open(&disk, LogConfig::default(), Tail::Clean);
        let first = log.append(Spec::plain(3, 100).batch(), 0).unwrap();
        let second = log.append(Spec::plain(2, 50).batch(), 0).unwrap();
        assert_eq!((first.base_offset, first.last_offset), (0, 2));
        assert_eq!((second.base_offset, second.last_offset), (3, 4));
        assert_eq!(read_all(&log, 1), [(0, 2), (3, 4)]);
        let read = log.read(1, 1_000, true, Bound::HighWatermark).unwrap();
        assert_eq!(read.next_offset, 5);
        assert_eq!(
            &read.records[61..161],
            &Spec::plain(3, 100).batch().body[..]
        );
        let header = BatchHeader::decode(&read.records).unwrap();
        assert_eq!(header.partition_leader_epoch, 1);
        assert_eq!(header.crc, Spec::plain(3, 100).batch().header.crc);
    }
}

#[test]
fn a_read_ends_before_the_batch_that_does_not_fit() {
    let log = open(&MemoryDisk::durable(), LogConfig::default(), Tail::Clean);
    for _ in 0..10 {
        log.append(Spec::plain(1, 39).batch(), 0).unwrap();
    }
    let read = |from, max, at_least_one| {
        let read = log
            .read(from, max, at_least_one, Bound::HighWatermark)
            .unwrap();
        (read.records.len(), read.next_offset)
    };
    assert_eq!(read(0, 250, true), (200, 2));
    assert_eq!(read(8, 250, true), (200, 10));
    assert_eq!(read(3, 99, false), (0, 3));
    assert_eq!(read(3, 99, true), (100, 4));
    assert_eq!(read(3, 0, true), (100, 4));
    assert_eq!(read(10, 250, true), (0, 10));
}

#[test]
fn offsets_outside_the_log_are_out_of_range() {
    let log = open(&MemoryDisk::durable(), LogConfig::default(), Tail::Clean);
    log.append(Spec::plain(3, 10).batch(), 0).unwrap();
    for from in [-1, 4, i64::MAX] {
        let refused = log.read(from, 100, true, Bound::HighWatermark);
        assert!(matches!(refused, Err(ReadError::OffsetOutOfRange { .. })));
        assert!(log.available(from, 100, Bound::HighWatermark).is_err());
    }
}

#[test]
fn a_segment_is_rolled_by_size() {
    let disk = MemoryDisk::durable();
    let log = open(&disk, small_segments(), Tail::Clean);
    for _ in 0..20 {
        log.append(Spec::plain(2, 239).batch(), 0).unwrap();
    }
    let bases: Vec<_> = log
        .segments_info()
        .unwrap()
        .iter()
        .map(|s| s.base_offset)
        .collect();
    assert_eq!(bases, [0, 6, 12, 18, 24, 30, 36]);
    assert_eq!(log.size(), 6_000);
    assert_eq!(read_all(&log, 700).len(), 20);
    let too_large = log.append(Spec::plain(1, 940).batch(), 0);
    assert!(matches!(
        too_large,
        Err(AppendError::TooLarge { size: 1_001, .. })
    ));
    log.append(Spec::plain(1, 939).batch(), 0).unwrap();
}

#[test]
fn a_segment_is_rolled_by_the_age_of_its_first_batch() {
    let config = LogConfig {
        segment_age: Duration::from_millis(100),
        ..LogConfig::default()
    };
    let log = open(&MemoryDisk::durable(), config, Tail::Clean);
    let at = |timestamp| Spec {
        timestamp,
        ..Spec::plain(1, 10)
    };
    for timestamp in [1_000, 1_100, 1_101, 1_200] {
        log.append(at(timestamp).batch(), 0).unwrap();
    }
    // Without timestamps the time of the append counts.
    log.append(at(-1).batch(), 5_000).unwrap();
    log.roll().unwrap();
    log.append(at(-1).batch(), 5_000).unwrap();
    log.append(at(-1).batch(), 5_100).unwrap();
    log.append(at(-1).batch(), 5_101).unwrap();
    let bases: Vec<_> = log
        .segments_info()
        .unwrap()
        .iter()
        .map(|s| s.base_offset)
        .collect();
    assert_eq!(bases, [0, 2, 4, 5, 7]);
}

#[test]
fn a_segment_is_rolled_before_a_relative_offset_overflows() {
    let log = open(&MemoryDisk::durable(), LogConfig::default(), Tail::Clean);
    for records in [i32::MAX, 1, 1] {
        log.append(Spec::plain(records, 10).batch(), 0).unwrap();
    }
    let bases: Vec<_> = log
        .segments_info()
        .unwrap()
        .iter()
        .map(|s| s.base_offset)
        .collect();
    assert_eq!(bases, [0, i64::from(i32::MAX) + 1]);
    assert_eq!(read_all(&log, 1).len(), 3);
}

#[test]
fn log_append_time_is_set_and_summed() {
    let config = LogConfig {
        timestamp_type: TimestampType::LogAppendTime,
        ..LogConfig::default()
    };
    let log = open(&MemoryDisk::durable(), config, Tail::Clean);
    let spec = Spec {
        producer: Some((5, 0, 0)),
        ..Spec::plain(2, 10)
    };
    assert_eq!(log.append(spec.batch(), 77).unwrap().log_append_time, 77);
    let again = log.append(spec.batch(), 99).unwrap();
    assert!(again.duplicate);
    assert_eq!(again.log_append_time, 77);
    let read = log.read(0, 1_000, true, Bound::HighWatermark).unwrap();
    let header = BatchHeader::decode(&read.records).unwrap();
    assert_eq!(header.max_timestamp, 77);
    assert_eq!(
        header.attributes.timestamp_type(),
        TimestampType::LogAppendTime
    );
    header.verify_crc(&read.records).unwrap();
}

#[test]
fn a_duplicate_gets_the_original_offsets_and_is_not_stored() {
    let log = open(&MemoryDisk::durable(), LogConfig::default(), Tail::Clean);
    let spec = |sequence| Spec {
        producer: Some((5, 0, sequence)),
        ..Spec::plain(2, 10)
    };
    log.append(Spec::plain(1, 1).batch(), 0).unwrap();
    let original = log.append(spec(0).batch(), 0).unwrap();
    log.append(spec(2).batch(), 0).unwrap();
    let again = log.append(spec(0).batch(), 0).unwrap();
    assert_eq!(again.base_offset, original.base_offset);
    assert_eq!(again.last_offset, original.last_offset);
    assert!(again.duplicate && !original.duplicate);
    assert_eq!(again.log_append_time, -1);
    assert_eq!(log.offsets().log_end_offset, 5);
    let gap = log.append(spec(6).batch(), 0);
    assert!(matches!(
        gap,
        Err(AppendError::OutOfOrderSequence { last: 3, .. })
    ));
}

#[test]
fn a_head_that_does_not_describe_its_body_is_refused() {
    let log = open(&MemoryDisk::durable(), LogConfig::default(), Tail::Clean);
    let mut batch = Spec::plain(1, 10).batch();
    batch.body = batch.body.slice(1..);
    assert!(matches!(log.append(batch, 0), Err(AppendError::Invalid(_))));
}

#[test]
fn a_full_disk_fails_that_append_only() {
    let disk = MemoryDisk::durable().with_capacity(150_000);
    let log = open(&disk, LogConfig::default(), Tail::Clean);
    log.append(Spec::plain(1, 100_000).batch(), 0).unwrap();
    let full = log.append(Spec::plain(1, 60_000).batch(), 0);
    assert!(matches!(full, Err(AppendError::Short(Shortage::Space))));
    // The reserve may be refused where the batch itself fits.
    log.append(Spec::plain(1, 40_000).batch(), 0).unwrap();
    assert_eq!(read_all(&log, 1), [(0, 0), (1, 1)]);
}
