//! Appends with one fate, cut short by a crash at each of their operations.

use super::*;
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
    let store = open(&disk);
    let end = |(topic, _)| store.log(topic, 0).unwrap().offsets().log_end_offset;
    (LOGS.map(end), done)
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
