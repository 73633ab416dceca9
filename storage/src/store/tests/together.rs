//! Appends with one fate, cut short by a crash at each of their operations.

use super::*;
use crate::error::AppendError;
use crate::log::{Change, Part, append_together};

const LOGS: [(&str, u128); 3] = [("a", 11), ("b", 12), ("c", 13)];

fn part(log: &Arc<Log>) -> Part {
    Part {
        log: Arc::clone(log),
        change: Change::Batch(batch(Bytes::from_static(b"together")), None),
    }
}

/// Where each log ends after a disk that dies at operation `at`, and whether the append said that
/// it is done.
fn ends_after_a_crash(at: u64, unsynced: Loss) -> ([i64; 3], bool) {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let logs = LOGS.map(|(topic, id)| create(&store, topic, id));
    for log in &logs {
        append(log, "alone");
    }
    disk.die_after(at);
    let done = append_together(logs.iter().map(part).collect(), 0).is_ok()
        && logs.iter().all(|log| log.offsets().high_watermark == 2);
    disk.lose_power(unsynced);
    drop(store);
    (ends(&open(&disk)), done)
}

fn ends(store: &Store) -> [i64; 3] {
    LOGS.map(|(topic, _)| store.log(topic, 0).unwrap().offsets().log_end_offset)
}

#[test]
fn a_crash_leaves_all_of_them_or_none() {
    let mut outcomes = [false; 2];
    for at in 0..40 {
        for seed in 0..8 {
            let (ends, done) = ends_after_a_crash(at, torn(seed * 7919));
            assert!(ends == [1; 3] || ends == [2; 3], "{ends:?} at {at}");
            assert!(!done || ends == [2; 3], "what was durable is gone at {at}");
            outcomes[usize::from(done)] = true;
        }
    }
    assert_eq!(outcomes, [true; 2], "crashes before and after the commit");
}

#[test]
fn a_checkpoint_keeps_nothing_of_what_is_not_committed() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    store.defer(|| {});
    let logs = LOGS.map(|(topic, id)| create(&store, topic, id));
    append(&logs[0], "alone");
    store.drive();
    append_together(logs.iter().map(part).collect(), 0).unwrap();
    store.checkpoint().unwrap();
    disk.lose_power(Loss::Everything);
    drop(store);
    assert_eq!(ends(&open(&disk)), [1, 0, 0]);
}

/// Once, the headers of entries were not counted, and the journal waited for a file that never came.
#[test]
fn appends_with_one_fate_that_fit_no_journal_file_are_refused() {
    let disk = SimulatedDisk::new();
    let store = open(&disk);
    let logs: Vec<_> = (1..=90)
        .map(|id| create(&store, &format!("t{id}"), id))
        .collect();
    let part = |log: &Arc<Log>| Part {
        log: Arc::clone(log),
        change: Change::Batch(batch(Bytes::from(vec![b'x'; 575])), None),
    };
    let refused = append_together(logs.iter().map(part).collect(), 0);
    assert!(
        matches!(refused, Err(AppendError::TooLarge { .. })),
        "{refused:?}"
    );
    append(&logs[0], "others go on");
    assert_eq!(logs[0].offsets().high_watermark, 1);
}
