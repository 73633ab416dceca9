use super::*;
use crate::disk::simulated::{Fault, FaultKind, Operation};
use crate::error::{AppendError, Shortage};

fn journal_file(slot: u32) -> PathBuf {
    Path::new(DIR)
        .join(layout::JOURNAL_DIR)
        .join(layout::journal_file(slot))
}

#[test]
fn a_failed_sync_makes_journaled_logs_read_only() {
    let disk = SimulatedDisk::new();
    let store = try_open(&disk, options(true)).unwrap();
    let log = create(&store, "a", 1);
    let cached = create(&store, "cached", 2);
    let commits = Commits::of(&log);
    append(&log, "one");
    assert!(commits.reach(1));
    disk.fail_syncs("journal");
    append(&log, "two");
    assert!(!commits.reach(2));
    assert!(store.failure().is_some());
    let refused = log.append(batch(Bytes::from("three")), 0);
    assert!(
        matches!(refused, Err(AppendError::Failed(_))),
        "{refused:?}"
    );
    assert_eq!(log.offsets().high_watermark, 1);
    let read = log.read(0, 1, true, Bound::HighWatermark).unwrap();
    assert!(!read.records.is_empty());
    append(&cached, "others go on");
    assert!(matches!(store.close(), Err(CloseError::Pending)));
    drop(store);
    disk.kill();
    let store = open(&disk);
    assert!(bodies(&store.log("a", 0).unwrap()).starts_with(&[Bytes::from("one")]));
}

#[test]
fn a_failed_flush_keeps_the_journal_that_covers_it() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "a", 1);
    append(&log, "one");
    disk.fail_syncs(".log");
    assert!(store.checkpoint().is_err());
    assert!(log.append(batch(Bytes::from("two")), 0).is_err());
    disk.lose_power(Loss::Everything);
    drop(store);
    assert_eq!(bodies(&open(&disk).log("a", 0).unwrap()), ["one"]);
}

#[test]
fn a_full_disk_loses_nothing_and_passes() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "a", 1);
    disk.fill("checkpoint");
    let mut accepted = 0;
    let refused = loop {
        match log.append(batch(Bytes::from(vec![b'x'; 1000])), 0) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(refused, AppendError::Short(Shortage::Space)),
        "{refused}"
    );
    assert!(accepted > 5);
    disk.make_room();
    // The refused append has asked for another try.
    while log.append(batch(Bytes::from("room")), 0).is_err() {}
    disk.lose_power(Loss::Everything);
    drop(store);
    let store = open(&disk);
    let log = store.log("a", 0).unwrap();
    assert_eq!(log.offsets().high_watermark, accepted + 1);
    assert_eq!(bodies(&log).last().unwrap(), "room");
}

#[test]
fn a_journal_that_cannot_grow_goes_on_with_what_it_has() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "a", 1);
    disk.fill("journal");
    for _ in 0..100 {
        append(&log, &"x".repeat(2000));
    }
    assert_eq!(log.offsets().high_watermark, 100);
    store.close().unwrap();
}

/// A second attempt would say that all is well, and what the first should have saved is on no disk.
#[test]
fn a_sync_that_failed_is_not_tried_again() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "a", 1);
    append(&log, "one");
    disk.inject(Fault {
        operation: Some(Operation::Sync),
        path: "journal".to_owned(),
        after: 0,
        kind: FaultKind::LostSync,
        lasting: false,
    });
    append(&log, "two");
    assert_eq!(log.offsets().high_watermark, 1);
    assert!(store.failure().is_some());
}

#[test]
fn damage_in_the_middle_of_the_journal_is_refused_until_repair_is_asked_for() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let log = create(&store, "a", 1);
    for text in ["one", "two", "three"] {
        append(&log, text);
    }
    disk.kill();
    drop(store);
    disk.damage(&journal_file(0), |bytes| bytes[2 * 4096 + 100] ^= 1);
    let error = try_open(&disk, options(false)).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    let repair = StoreOptions {
        repair: true,
        ..options(false)
    };
    let store = try_open(&disk, repair).unwrap();
    assert!(store.recovery_report().journal_damaged);
    assert_eq!(bodies(&store.log("a", 0).unwrap()), ["one", "two", "three"]);
    drop(store);
    assert!(!open(&disk).recovery_report().journal_damaged);
}

/// Once, one without its header looked as if it had never been used, and what only it had was cut.
#[test]
fn a_journal_file_that_was_cut_is_refused_until_repair_is_asked_for() {
    for len in [0, 10, 47, 48, 4096, 8191, 8192] {
        let disk = SimulatedDisk::new();
        let store = open(&disk);
        append(&create(&store, "a", 1), "one");
        disk.kill();
        drop(store);
        disk.damage(&journal_file(0), |bytes| bytes.truncate(len));
        let error = try_open(&disk, options(false)).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{len}: {error}");
        let repair = StoreOptions {
            repair: true,
            ..options(false)
        };
        let store = try_open(&disk, repair).unwrap();
        assert_eq!(bodies(&store.log("a", 0).unwrap()), ["one"], "{len}");
        drop(store);
        disk.kill();
        assert!(!open(&disk).recovery_report().journal_damaged);
    }
}

#[test]
fn a_journal_file_that_was_not_finished_does_not_hinder_a_start() {
    let disk = SimulatedDisk::new();
    drop(open(&disk));
    disk.kill();
    let unfinished = layout::temporary_file(&journal_file(7));
    let file = disk.open(&unfinished, OpenMode::New).unwrap();
    file.write_at(0, &[std::io::IoSlice::new(b"0")]).unwrap();
    let store = open(&disk);
    append(&create(&store, "a", 1), "one");
    assert!(disk.open(&unfinished, OpenMode::Existing).is_err());
}

#[test]
fn a_damaged_checkpoint_is_refused_until_repair_is_asked_for() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    append(&create(&store, "a", 1), "one");
    disk.kill();
    drop(store);
    let checkpoint = Path::new(DIR).join(layout::CHECKPOINT);
    disk.damage(&checkpoint, |bytes| bytes[17] ^= 1);
    let error = try_open(&disk, options(false)).unwrap_err();
    assert!(error.to_string().contains("repair"), "{error}");
    let repair = StoreOptions {
        repair: true,
        ..options(false)
    };
    let store = try_open(&disk, repair).unwrap();
    assert_eq!(bodies(&store.log("a", 0).unwrap()), ["one"]);
}

#[test]
fn a_damaged_checkpoint_costs_a_closed_store_nothing() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    append(&create(&store, "a", 1), "one");
    store.close().unwrap();
    drop(store);
    let checkpoint = Path::new(DIR).join(layout::CHECKPOINT);
    disk.damage(&checkpoint, |bytes| bytes[17] ^= 1);
    let store = open(&disk);
    let log = store.log("a", 0).unwrap();
    append(&log, "two");
    disk.lose_power(Loss::Everything);
    drop(store);
    assert_eq!(bodies(&open(&disk).log("a", 0).unwrap()), ["one", "two"]);
}

#[test]
fn a_partition_that_lost_acknowledged_bytes_is_quarantined_and_stays_so() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    append(&create(&store, "a", 1), "one");
    append(&create(&store, "b", 2), "other");
    store.checkpoint().unwrap();
    disk.kill();
    drop(store);
    let segment = layout::log_file(&Path::new(DIR).join("a-0"), 0);
    disk.damage(&segment, |bytes| bytes.truncate(30));
    for _ in 0..2 {
        let store = open(&disk);
        let quarantined = store.quarantined();
        assert_eq!(quarantined.len(), 1);
        assert_eq!(quarantined[0].directory, "a-0");
        assert!(store.log("a", 0).is_none());
        assert_eq!(bodies(&store.log("b", 0).unwrap()), ["other"]);
        let identity = LogIdentity {
            topic: "a".to_owned(),
            topic_id: Uuid::from_u128(3),
            partition: 0,
        };
        let created = store.create_log(identity, config("a"));
        assert!(matches!(created, Err(LogError::Exists { .. })));
        store.close().unwrap();
    }
}

#[test]
fn a_directory_left_by_an_interrupted_creation_is_removed() {
    let disk = SimulatedDisk::new();
    drop(open(&disk));
    let dir = Path::new(DIR).join("a-0");
    disk.create_dir(&dir).unwrap();
    let store = open(&disk);
    assert!(store.quarantined().is_empty());
    append(&create(&store, "a", 1), "one");
}

#[test]
fn weaker_logs_are_flushed_when_their_time_has_come() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let identity = LogIdentity {
        topic: "cached".to_owned(),
        topic_id: Uuid::from_u128(1),
        partition: 0,
    };
    let durability = Durability::PageCache {
        messages: 3,
        interval: Some(std::time::Duration::from_millis(100)),
    };
    let log = store
        .create_log(
            identity,
            LogConfig {
                durability,
                ..config("cached")
            },
        )
        .unwrap();
    let mut flushed = Vec::new();
    let append = |now_ms| log.append(batch(Bytes::from("text")), now_ms).unwrap();
    for now_ms in [0, 99, 100, 150] {
        if now_ms != 99 {
            append(now_ms);
        }
        let before = disk.syncs();
        store.tick(now_ms);
        flushed.push(disk.syncs() > before);
    }
    for _ in 0..3 {
        append(150);
    }
    let before = disk.syncs();
    store.tick(151);
    flushed.push(disk.syncs() > before);
    assert_eq!(flushed, [false, false, true, false, true]);
}

#[test]
fn a_checkpoint_after_a_failed_one_does_not_give_up_the_journal() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    append(&create(&store, "a", 1), "one");
    disk.fail_syncs(".log");
    assert!(store.checkpoint().is_err());
    disk.heal();
    assert!(store.checkpoint().is_err());
    assert!(store.close().is_err());
    disk.lose_power(Loss::Everything);
    drop(store);
    assert_eq!(bodies(&open(&disk).log("a", 0).unwrap()), ["one"]);
}

/// Once, the file of a segment that was not taken into use claimed the offsets of later appends.
#[test]
fn a_failed_roll_leaves_no_segment_behind() {
    let disk = SimulatedDisk::new();
    let reopen = || Store::open(Arc::new(disk.clone()), Path::new(DIR), options(false)).unwrap();
    let store = reopen();
    let log = create(&store, "a", 1);
    append(&log, "one");
    disk.inject(Fault {
        operation: Some(Operation::Size),
        path: "00000000000000000001.log".to_owned(),
        after: 0,
        kind: FaultKind::Io,
        lasting: false,
    });
    let rolled = log.roll().is_ok();
    append(&log, "two");
    // With a checkpoint the next start does not read the journal, which would hide it.
    store.checkpoint().unwrap();
    drop(store);
    disk.kill();
    let store = reopen();
    let log = store.log("a", 0);
    let log = log.unwrap_or_else(|| panic!("quarantined, rolled: {rolled}"));
    assert_eq!(bodies(&log), ["one", "two"]);
}

/// Once, a log that was closed was served without what had gone missing since.
#[test]
fn a_closed_log_that_has_lost_its_end_or_its_beginning_is_quarantined() {
    let segment = |base| layout::log_file(&Path::new(DIR).join("a-0"), base);
    for lost in ["end", "beginning"] {
        let disk = SimulatedDisk::new();
        let store = open(&disk);
        let log = create(&store, "a", 1);
        append(&log, "one");
        log.roll().unwrap();
        append(&log, "two");
        let whole = usize::try_from(log.size()).unwrap() / 2;
        append(&log, "three");
        store.close().unwrap();
        drop(store);
        match lost {
            "end" => disk.damage(&segment(1), |bytes| bytes.truncate(whole)),
            _ => disk.remove(&segment(0)).unwrap(),
        }
        let store = open(&disk);
        assert!(store.log("a", 0).is_none(), "without its {lost}");
        assert_eq!(store.quarantined()[0].directory, "a-0");
    }
}

/// Once, such a topic was quarantined when intact batches were left behind one of which the power had taken a part.
#[test]
fn a_new_topic_whose_first_appends_are_torn_is_served() {
    for seed in 0..64 {
        let disk = SimulatedDisk::new();
        let store = open(&disk);
        store.defer(|| {});
        let log = create(&store, "a", 1);
        for _ in 0..3 {
            append(&log, &"x".repeat(900));
        }
        disk.lose_power(Loss::Random { seed, sector: 512 });
        drop(store);
        let store = open(&disk);
        assert!(store.quarantined().is_empty(), "{:?}", store.quarantined());
        append(&store.log("a", 0).unwrap(), "two");
    }
}

#[test]
fn a_log_start_whose_sync_failed_is_stored_again_before_it_is_told() {
    for operation in [Operation::Sync, Operation::SyncDir] {
        let disk = SimulatedDisk::new();
        let store = open(&disk);
        let log = create(&store, "a", 1);
        for _ in 0..3 {
            append(&log, "x");
        }
        // So that recovery has nothing to write in the log's directory.
        store.checkpoint().unwrap();
        disk.inject(Fault {
            operation: Some(operation),
            path: "a-0".to_owned(),
            after: 0,
            kind: FaultKind::LostSync,
            lasting: false,
        });
        assert!(log.advance_log_start(2).is_err());
        drop(store);
        disk.kill();
        let start = || {
            let store = open(&disk);
            store.log("a", 0).unwrap().offsets().log_start_offset
        };
        let told = start();
        disk.lose_power(Loss::Everything);
        assert_eq!(start(), told, "{operation:?}");
    }
}

/// Once, such a start quarantined partitions of which nothing was missing.
#[test]
fn a_shortage_refuses_the_start_and_no_partition() {
    for file in ["partition.metadata", "00000000000000000000.log"] {
        let disk = SimulatedDisk::new();
        let store = open(&disk);
        append(&create(&store, "a", 1), "one");
        store.close().unwrap();
        drop(store);
        disk.inject(Fault {
            operation: Some(Operation::Open),
            path: format!("a-0/{file}"),
            after: 0,
            kind: FaultKind::TooManyFiles,
            lasting: true,
        });
        let error = try_open(&disk, options(false)).unwrap_err();
        assert!(matches!(error, OpenError::Io { .. }), "{file}: {error}");
        disk.heal();
        assert_eq!(bodies(&open(&disk).log("a", 0).unwrap()), ["one"]);
    }
}
