//! Claims about the plan.

use std::time::Duration;

use super::*;

/// Segments of ten records and 100 bytes each with these first and newest timestamps.
fn sealed(timestamps: &[(i64, i64)]) -> Vec<SealedSegment> {
    let segment = |(at, (first, largest)): (i64, &(i64, i64))| SealedSegment {
        base_offset: at * 10,
        next_offset: at * 10 + 10,
        size: 100,
        first_timestamp: Some(*first),
        largest_timestamp: Some(*largest),
    };
    (0..).zip(timestamps).map(segment).collect()
}

fn ratio(min_cleanable_dirty_ratio: f64) -> Compaction {
    Compaction {
        min_cleanable_dirty_ratio,
        ..Compaction::default()
    }
}

#[test]
fn the_dirty_share_decides() {
    let segments = sealed(&[(1, 2); 4]);
    let found = cleanable(&segments, 20, 40, &ratio(0.5), 100).unwrap();
    assert_eq!((found.first_dirty, found.end), (20, 40));
    assert_eq!((found.total_bytes, found.dirty_bytes), (400, 200));
    assert!(!found.is_due(&ratio(0.5)));
    assert!(found.is_due(&ratio(0.49)));
    let found = cleanable(&segments, 0, 40, &ratio(1.0), 100).unwrap();
    assert!(!found.is_due(&ratio(1.0)));
}

#[test]
fn what_is_not_decided_is_left_alone() {
    let segments = sealed(&[(1, 2); 3]);
    let end = |limit| cleanable(&segments, 0, limit, &ratio(0.5), 100).map(|found| found.end);
    assert_eq!(end(30), Some(30));
    assert_eq!(end(29), Some(20));
    assert_eq!(end(9), None);
    assert_eq!(cleanable(&segments, 30, 30, &ratio(0.5), 100), None);
    assert_eq!(cleanable(&[], 0, 30, &ratio(0.5), 100), None);
}

#[test]
fn young_records_are_left_alone() {
    let segments = sealed(&[(1, 10), (11, 20), (21, 30)]);
    let lag = |min_lag| Compaction {
        min_lag: Duration::from_millis(min_lag),
        ..Compaction::default()
    };
    let end = |first_dirty, min_lag| {
        cleanable(&segments, first_dirty, 30, &lag(min_lag), 40).map(|found| found.end)
    };
    assert_eq!(end(0, 20), Some(20));
    assert_eq!(end(0, 10), Some(30));
    assert_eq!(end(0, 31), None);
    // What is compacted already does not hold up what follows.
    assert_eq!(end(20, 10), Some(30));
    assert_eq!(end(20, 11), None);
}

#[test]
fn an_old_record_makes_it_due_whatever_the_ratio() {
    let segments = sealed(&[(50, 60), (70, 80)]);
    let overdue = |first_dirty, max_lag: u64, min_lag: u64| {
        let compaction = Compaction {
            min_cleanable_dirty_ratio: 1.0,
            max_lag: Some(Duration::from_millis(max_lag)),
            min_lag: Duration::from_millis(min_lag),
            ..Compaction::default()
        };
        cleanable(&segments, first_dirty, 20, &compaction, 100)
            .is_some_and(|found| found.is_due(&compaction))
    };
    assert!(overdue(0, 49, 0));
    assert!(!overdue(0, 50, 0));
    assert!(!overdue(10, 49, 0));
    assert!(overdue(10, 29, 0));
    assert!(!overdue(0, 10, 60));
}

#[test]
fn a_start_within_the_log_moves_the_dirty_part() {
    let segments = sealed(&[(1, 2); 3]);
    let found = cleanable(segments.get(1..).unwrap(), 5, 30, &ratio(0.5), 100).unwrap();
    assert_eq!((found.first_dirty, found.dirty_bytes), (10, 200));
}

#[test]
fn segments_become_one_up_to_their_size_and_offsets() {
    let wide = i64::from(i32::MAX);
    let segments = [
        (0, 10, 40),
        (10, 20, 40),
        (20, 30, 40),
        (30, wide + 30, 10),
        (wide + 30, wide + 31, 10),
        (wide + 31, wide + 32, 500),
        (wide + 32, wide + 33, 1),
    ];
    assert_eq!(group(&segments, 100), [0..2, 2..3, 3..4, 4..5, 5..6, 6..7]);
    assert_eq!(group(&segments, 90), group(&segments, 100));
    assert_eq!(group(&[], 100), []);
}
