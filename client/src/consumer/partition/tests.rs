use bytes::Bytes;
use ottla_protocol::record::{BatchBuilder, BatchOptions};

use super::*;

fn reading() -> Reading {
    Reading {
        budget: Budget::new(1 << 20, Default::default()),
        check_crcs: true,
    }
}

fn position(offset: i64) -> Position {
    Position {
        offset,
        leader_epoch: 0,
    }
}

fn chunk(offsets: std::ops::Range<i64>) -> Chunk {
    let mut bytes = Vec::new();
    for offset in offsets {
        let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
        builder.append(0, None, Some(b"v"), &[]).unwrap();
        let mut batch = builder.build().unwrap().to_vec();
        batch[..8].copy_from_slice(&offset.to_be_bytes());
        batch[12..16].copy_from_slice(&0_i32.to_be_bytes());
        bytes.extend(batch);
    }
    Chunk::new(Bytes::from(bytes), Vec::new())
}

/// A partition at offset 0 that has committed it, with these offsets buffered.
fn buffered(offsets: std::ops::Range<i64>) -> Partition {
    let mut partition = Partition::new(1, Find::Committed);
    partition.found(position(0), true);
    partition.fetched(position(0), 0, chunk(offsets));
    partition
}

fn hand_out(partition: &mut Partition, max: usize) -> u64 {
    let piece = partition.read(max, &reading()).unwrap();
    partition.hand_out(&piece, true)
}

fn to_commit(partition: &Partition) -> Option<i64> {
    partition.to_commit().map(|committed| committed.offset)
}

#[test]
fn only_what_is_acknowledged_without_a_gap_is_committed() {
    let mut partition = buffered(0..6);
    let numbers = [(); 3].map(|()| hand_out(&mut partition, 2));
    assert_eq!(to_commit(&partition), None);
    partition.acknowledge(numbers[2], 0).unwrap();
    partition.acknowledge(numbers[1], 0).unwrap();
    assert_eq!(to_commit(&partition), None);
    partition.acknowledge(numbers[0], 0).unwrap();
    assert_eq!(to_commit(&partition), Some(6));
    partition.committed(6);
    assert_eq!(to_commit(&partition), None);
}

#[test]
fn part_of_an_event_may_be_acknowledged() {
    let mut partition = buffered(0..6);
    let first = hand_out(&mut partition, 4);
    let second = hand_out(&mut partition, 2);
    partition.acknowledge_before(3, 0).unwrap();
    assert_eq!(to_commit(&partition), Some(3));
    partition.acknowledge_before(2, 0).unwrap();
    assert_eq!(to_commit(&partition), Some(3));
    partition.acknowledge(second, 0).unwrap();
    assert_eq!(to_commit(&partition), Some(3));
    partition.acknowledge(first, 0).unwrap();
    assert_eq!(to_commit(&partition), Some(6));
    assert!(!partition.is_outstanding());
}

#[test]
fn a_seek_alone_does_not_move_what_is_committed() {
    let mut partition = buffered(0..6);
    let before = hand_out(&mut partition, 6);
    partition.acknowledge(before, 0).unwrap();
    partition.seek(Place::At(position(2)));
    assert_eq!(to_commit(&partition), Some(6));
    partition.committed(6);
    assert_eq!(to_commit(&partition), None);
    // Once something of the new place is processed, that counts.
    partition.fetched(position(2), 1, chunk(2..4));
    let after = hand_out(&mut partition, 1);
    assert_eq!(to_commit(&partition), None);
    partition.acknowledge(after, 1).unwrap();
    assert_eq!(to_commit(&partition), Some(3));
}

#[test]
fn an_acknowledgement_from_before_a_seek_is_void() {
    let mut partition = buffered(0..6);
    let before = hand_out(&mut partition, 6);
    partition.seek(Place::At(position(2)));
    assert_eq!(partition.acknowledge(before, 0), Err(Stale));
    assert_eq!(to_commit(&partition), None);
    assert!(!partition.is_outstanding());
}

#[test]
fn a_fetch_from_before_a_seek_is_not_read() {
    let mut partition = buffered(0..0);
    partition.seek(Place::At(position(40)));
    partition.fetched(position(0), 0, chunk(0..6));
    assert!(!partition.has_buffered());
    // Also when the seek led back to where the fetch began.
    partition.seek(Place::At(position(0)));
    partition.fetched(position(0), 0, chunk(0..6));
    assert!(!partition.has_buffered());
    partition.fetched(position(0), 2, chunk(0..6));
    assert!(partition.has_buffered());
}

#[test]
fn a_second_answer_for_the_same_offsets_is_not_read() {
    let mut partition = buffered(0..3);
    partition.fetched(position(0), 0, chunk(0..3));
    let piece = partition.read(100, &reading()).unwrap();
    partition.hand_out(&piece, true);
    assert_eq!(piece.records.len(), 3);
    assert!(partition.read(100, &reading()).is_none());
}

#[test]
fn a_pause_drops_what_is_buffered_and_nothing_is_lost() {
    let mut partition = buffered(0..6);
    hand_out(&mut partition, 2);
    partition.pause();
    assert!(!partition.has_buffered());
    assert_eq!(partition.wants_fetch(1), None);
    // An answer that was under way is not taken either.
    partition.fetched(position(6), 0, chunk(6..8));
    assert!(!partition.has_buffered());
    partition.paused = false;
    assert_eq!(partition.wants_fetch(1), Some(position(2)));
}

#[test]
fn the_next_fetch_follows_what_is_buffered_unless_that_is_enough() {
    let partition = buffered(0..6);
    assert_eq!(partition.wants_fetch(1 << 20), Some(position(6)));
    assert_eq!(partition.wants_fetch(1), None);
}

#[test]
fn a_start_that_was_not_committed_is_to_be_committed() {
    let mut partition = Partition::new(1, Find::Committed);
    assert_eq!(partition.to_find(), Some(Find::Committed));
    partition.found(position(17), false);
    assert_eq!(
        (partition.position(), to_commit(&partition)),
        (Some(17), Some(17))
    );
}

#[test]
fn damage_behind_records_is_told_after_them() {
    let mut bytes = Vec::new();
    for offset in 0..2_i64 {
        let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
        builder.append(0, None, Some(b"v"), &[]).unwrap();
        let mut batch = builder.build().unwrap().to_vec();
        batch[..8].copy_from_slice(&offset.to_be_bytes());
        bytes.extend(batch);
    }
    *bytes.last_mut().unwrap() ^= 1;
    let mut partition = buffered(0..0);
    partition.fetched(position(0), 0, Chunk::new(Bytes::from(bytes), Vec::new()));
    let piece = partition.read(100, &reading()).unwrap();
    partition.hand_out(&piece, true);
    assert_eq!((piece.records.len(), piece.blocked), (1, None));
    assert!(partition.has_buffered());
    let piece = partition.read(100, &reading()).unwrap();
    assert!(matches!(
        piece.blocked,
        Some(Blocked::Damaged { offset: 1, .. })
    ));
}

#[test]
fn a_truncated_log_is_read_on_where_it_ends_and_nothing_before_is_passed_over() {
    let mut partition = buffered(0..6);
    hand_out(&mut partition, 4);
    partition.truncate(position(5));
    assert_eq!(partition.wants_fetch(1), Some(position(4)));
    partition.truncate(position(2));
    assert_eq!(partition.wants_fetch(1), Some(position(2)));
    assert_eq!(partition.position(), Some(2));
}

#[test]
fn a_partition_with_too_much_unacknowledged_waits() {
    let mut partition = buffered(0..0);
    for offset in 0..i64::try_from(MAX_UNACKNOWLEDGED).unwrap() {
        assert!(partition.has_room());
        let piece = Piece {
            next_offset: offset + 1,
            ..Piece::default()
        };
        partition.hand_out(&piece, true);
    }
    assert!(!partition.has_room());
    partition.acknowledge(0, 0).unwrap();
    assert!(partition.has_room());
}

#[test]
fn the_reset_by_duration_is_a_time() {
    let day = AutoOffsetReset::ByDuration(std::time::Duration::from_secs(86_400));
    assert_eq!(
        Find::reset(day, 86_400_123),
        Some(OffsetSpec::Timestamp(123))
    );
    assert_eq!(Find::reset(AutoOffsetReset::None, 0), None);
}
