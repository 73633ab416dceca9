//! Later starts, earlier ends, epochs, flushes.

use std::time::Duration;

use super::*;
use crate::config::Durability;
use crate::disk::simulated::{Call, Operation, SimulatedDisk};
use crate::error::{ChangeError, ReadError};

/// A log with twelve batches of three records in segments of five batches.
fn twelve(disk: &MemoryDisk) -> Arc<Log> {
    let log = open(disk, small_segments(), Tail::Clean);
    for _ in 0..12 {
        log.append(Spec::plain(3, 139).batch(), 0).unwrap();
    }
    log
}

fn bases(log: &Log) -> Vec<i64> {
    let segments = log.segments_info().unwrap();
    segments.iter().map(|segment| segment.base_offset).collect()
}

#[test]
fn a_later_start_deletes_whole_segments_and_survives() {
    let disk = MemoryDisk::durable();
    let log = twelve(&disk);
    assert_eq!(bases(&log), [0, 15, 30]);
    let held = log.read(0, 1_000, true, Bound::HighWatermark).unwrap();
    assert_eq!(log.advance_log_start(17).unwrap(), 17);
    assert_eq!(log.advance_log_start(4).unwrap(), 17);
    assert_eq!(bases(&log), [15, 30]);
    assert_eq!(held.records.len(), 1_000);
    let below = log.read(16, 1, true, Bound::HighWatermark);
    assert!(matches!(below, Err(ReadError::OffsetOutOfRange { .. })));
    assert_eq!(
        log.read(17, 1, true, Bound::HighWatermark)
            .unwrap()
            .next_offset,
        18
    );
    let past = log.advance_log_start(37);
    assert!(matches!(
        past,
        Err(ChangeError::OffsetOutOfRange { limit: 36, .. })
    ));
    drop(log);
    let tail = Tail::Scan {
        from: 0,
        at_least: 0,
    };
    let log = open(&disk, small_segments(), tail);
    assert_eq!(log.offsets().log_start_offset, 17);
    assert_eq!(log.offsets().log_end_offset, 36);
    log.advance_log_start(36).unwrap();
    assert_eq!(bases(&log), [30]);
    assert!(read_all(&log, 1).is_empty());
}

#[test]
fn a_removal_that_was_interrupted_is_completed() {
    let disk = MemoryDisk::durable();
    let log = twelve(&disk);
    let before = files(&disk);
    log.advance_log_start(17).unwrap();
    let mut after = files(&disk);
    for (name, bytes) in before {
        after.entry(name).or_insert(bytes);
    }
    let disk = disk_of(&after);
    let log = open(&disk, small_segments(), Tail::Clean);
    assert_eq!(bases(&log), [15, 30]);
    assert!(!files(&disk).contains_key("00000000000000000000.log"));
}

#[test]
fn a_scanned_log_that_lost_what_its_start_says_begins_anew_there() {
    let disk = MemoryDisk::durable();
    let log = twelve(&disk);
    log.advance_log_start(36).unwrap();
    let mut left = files(&disk);
    left.get_mut("00000000000000000030.log").unwrap().clear();
    let tail = Tail::Scan {
        from: 0,
        at_least: 0,
    };
    let log = open(&disk_of(&left), small_segments(), tail);
    assert_eq!(
        log.append(Spec::plain(1, 1).batch(), 0)
            .unwrap()
            .base_offset,
        36
    );
    let opened = try_open(&disk_of(&left), small_segments(), Tail::Clean);
    assert!(matches!(opened, Err(OpenError::Quarantined { .. })));
}

#[test]
fn an_idle_producer_is_forgotten() {
    let log = open(&MemoryDisk::durable(), small_segments(), Tail::Clean);
    let spec = |sequence| Spec {
        producer: Some((5, 0, sequence)),
        ..Spec::plain(1, 10)
    };
    log.append(spec(0).batch(), 0).unwrap();
    log.expire_producers(1_100, Duration::from_millis(100));
    assert!(log.append(spec(0).batch(), 0).unwrap().duplicate);
    log.expire_producers(1_101, Duration::from_millis(100));
    assert!(!log.append(spec(77).batch(), 0).unwrap().duplicate);
}

#[test]
fn epochs_know_where_they_end() {
    let disk = MemoryDisk::durable();
    let reopen = |epoch, tail| {
        let disk = Arc::new(disk.clone());
        Log::open(
            disk,
            &dir(),
            identity(),
            small_segments(),
            epoch,
            None,
            tail,
        )
        .unwrap()
    };
    let tail = Tail::Scan {
        from: 0,
        at_least: 0,
    };
    for epoch in [1, 2, 4] {
        let log = reopen(epoch, tail);
        log.append(Spec::plain(3, 10).batch(), 0).unwrap();
        log.append(Spec::plain(3, 10).batch(), 0).unwrap();
    }
    let log = reopen(5, tail);
    for (epoch, end) in [
        (1, (1, 6)),
        (2, (2, 12)),
        (3, (2, 12)),
        (4, (4, 18)),
        (5, (5, 18)),
    ] {
        assert_eq!(log.end_offset_for_epoch(epoch), end);
    }
    assert_eq!(log.end_offset_for_epoch(6), (-1, -1));
    log.close().unwrap();
    // The epoch never goes back, whatever the opener says.
    assert_eq!(reopen(3, Tail::Clean).leader_epoch(), 5);
}

#[test]
fn a_flush_is_due_by_records_or_by_time() {
    let config = |messages, interval| LogConfig {
        durability: Durability::PageCache { messages, interval },
        ..LogConfig::default()
    };
    let log = open(&MemoryDisk::durable(), config(4, None), Tail::Clean);
    assert!(!log.needs_flush(0));
    log.append(Spec::plain(3, 10).batch(), 1_000).unwrap();
    assert!(!log.needs_flush(9_999));
    log.set_config(config(u64::MAX, Some(Duration::from_millis(50))));
    assert!(!log.needs_flush(1_049));
    assert!(log.needs_flush(1_050));
    log.set_config(config(3, None));
    assert!(log.needs_flush(1_000));
    let point = log.flush().unwrap();
    assert_eq!(
        (point.offset, point.segment_base, point.position),
        (3, 0, 71)
    );
    assert!(!log.needs_flush(9_999));
}

#[test]
fn cold_segments_are_read_again_from_their_files() {
    let disk = MemoryDisk::durable();
    let log = open(&disk, small_segments(), Tail::Clean);
    for _ in 0..60 {
        log.append(Spec::plain(1, 439).batch(), 0).unwrap();
    }
    assert_eq!(bases(&log).len(), 30);
    for _ in 0..3 {
        assert_eq!(read_all(&log, 500).len(), 60);
    }
}

#[test]
fn on_a_full_disk_old_segments_can_go() {
    // With the reserve of the active segment to give back, and without.
    for roll in [false, true] {
        let disk = MemoryDisk::durable();
        let log = twelve(&disk);
        if roll {
            log.roll().unwrap();
        }
        let full = disk.clone().with_capacity(disk.used());
        assert_eq!(log.advance_log_start(32).unwrap(), 32);
        assert_eq!(bases(&log).first(), Some(&30));
        log.append(Spec::plain(3, 139).batch(), 0).unwrap();
        drop(log);
        let log = open(&full, small_segments(), Tail::Clean);
        assert_eq!(log.offsets().log_start_offset, 32);
        assert_eq!(log.offsets().log_end_offset, 39);
    }
}

/// Once, batches below such a snapshot were taken for damaged after a kill.
#[test]
fn a_roll_during_a_flush_stores_no_snapshot_ahead_of_the_epochs() {
    let disk = SimulatedDisk::new();
    let config = LogConfig {
        durability: Durability::PageCache {
            messages: u64::MAX,
            interval: None,
        },
        ..small_segments()
    };
    let reopen = |epoch| {
        let tail = Tail::Scan {
            from: 0,
            at_least: 0,
        };
        Log::open(
            Arc::new(disk.clone()),
            &dir(),
            identity(),
            config.clone(),
            epoch,
            None,
            tail,
        )
        .unwrap()
    };
    let log = reopen(1);
    log.append(Spec::plain(3, 10).batch(), 0).unwrap();
    log.close().unwrap();
    let log = reopen(2);
    log.append(Spec::plain(3, 10).batch(), 0).unwrap();
    let (rolling, dying) = (Arc::downgrade(&log), disk.clone());
    disk.observe(Arc::new(move |call: &Call| {
        if call.operation == Operation::Sync
            && call.path.to_string_lossy().ends_with(".log")
            && let Some(log) = rolling.upgrade()
        {
            log.roll().unwrap();
            dying.die_after(0);
        }
    }));
    assert!(log.flush().is_err());
    drop(log);
    disk.kill();
    assert_eq!(read_all(&reopen(3), 1_000), [(0, 2), (3, 5)]);
}
