//! Histories that are right, and wrong in one way each.

use proptest::prelude::*;

use super::*;
use crate::history::Event::*;

const A: Place = Place {
    topic: "a",
    partition: 0,
};
const B: Place = Place {
    topic: "b",
    partition: 0,
};
const PUMP: Pump = Pump {
    group: "pump",
    from: "a",
    to: "b",
};

fn stored(offset: i64, id: u64) -> Stored {
    Stored {
        offset,
        id,
        transaction: 0,
        committed: true,
    }
}

fn sent(place: Place, id: u64) -> Event {
    Sent {
        producer: 1,
        once: true,
        place,
        id,
    }
}

fn acknowledged(offset: i64, id: u64) -> Event {
    Acknowledged {
        place: A,
        offset,
        id,
    }
}

fn read_from(committed: bool, offset: i64) -> Event {
    ReadFrom {
        reader: 1,
        committed,
        place: A,
        offset,
    }
}

fn read(offset: i64, id: u64) -> Event {
    Read {
        reader: 1,
        offset,
        id,
    }
}

fn fetched(offset: i64, asked: Moment) -> Event {
    Fetched {
        group: "g",
        place: A,
        offset,
        asked,
    }
}

fn committed(generation: i32, offset: i64, asked: Moment) -> Event {
    Committed {
        group: "g",
        generation,
        place: A,
        offset,
        asked,
    }
}

/// What is left: the logs of `A` and `B`.
fn left(a: &[Stored], b: &[Stored]) -> Remains {
    let logs = [(A, a.to_vec()), (B, b.to_vec())];
    Remains {
        logs: logs.into(),
        ..Remains::default()
    }
}

fn found(events: &[Event], remains: &Remains) -> Vec<Violation> {
    let found = Checker::new(events, remains).check();
    found.into_iter().map(|(violation, _)| violation).collect()
}

#[test]
fn an_acknowledged_record_that_is_gone_or_elsewhere_is_lost() {
    let events = [sent(A, 7), acknowledged(0, 7)];
    assert_eq!(found(&events, &left(&[stored(0, 7)], &[])), []);
    assert_eq!(found(&events, &left(&[], &[])), [Violation::Lost]);
    let moved = left(&[stored(1, 7)], &[]);
    assert_eq!(found(&events, &moved), [Violation::Lost]);
}

#[test]
fn only_a_loss_of_power_after_the_acknowledgement_excuses_a_weak_topic() {
    let weak = |events: &[Event]| {
        let remains = left(&[], &[]);
        let mut checker = Checker::new(events, &remains);
        checker.weak = &["a"];
        checker.check().len()
    };
    assert_eq!(weak(&[sent(A, 7), acknowledged(0, 7), PowerLost]), 0);
    assert_eq!(weak(&[sent(A, 7), PowerLost, acknowledged(0, 7)]), 1);
}

#[test]
fn a_log_starts_where_records_were_deleted_and_nowhere_else() {
    let place = A;
    let mut events = vec![read_from(false, 0)];
    for offset in 0..4_i64 {
        let id = offset.unsigned_abs() + 7;
        events.extend([sent(A, id), acknowledged(offset, id), read(offset, id)]);
    }
    let starting = |events: &[Event], start: i64| {
        let log: Vec<_> = (start..4)
            .map(|offset| stored(offset, offset.unsigned_abs() + 7))
            .collect();
        let mut remains = left(&log, &[]);
        remains.starts.insert(A, start);
        found(events, &remains)
    };
    assert_eq!(starting(&events, 0), []);
    assert_eq!(starting(&events, 2), [Violation::Lost]);
    events.push(TrimAsked { place, offset: 2 });
    for start in 0..=2 {
        assert_eq!(starting(&events, start), []);
    }
    assert_eq!(starting(&events, 3), [Violation::Lost]);
    events.push(Trimmed { place, offset: 2 });
    assert_eq!(starting(&events, 1), [Violation::BroughtBack]);
    assert_eq!(starting(&events, 2), []);
}

#[test]
fn a_record_that_nobody_sent_there_is_invented() {
    let remains = left(&[stored(0, 7)], &[]);
    assert_eq!(found(&[], &remains), [Violation::Invented]);
    assert_eq!(found(&[sent(B, 7)], &remains), [Violation::Invented]);
}

#[test]
fn a_repeated_record_is_a_duplicate_unless_its_producer_repeats() {
    let remains = left(&[stored(0, 7), stored(1, 7)], &[]);
    assert_eq!(found(&[sent(A, 7)], &remains), [Violation::Duplicated]);
    let repeating = Sent {
        producer: 1,
        once: false,
        place: A,
        id: 7,
    };
    assert_eq!(found(&[repeating], &remains), []);
}

#[test]
fn records_in_another_order_than_they_were_sent_in_are_reordered() {
    let events = [sent(A, 7), sent(A, 8)];
    let remains = left(&[stored(0, 8), stored(1, 7)], &[]);
    assert_eq!(found(&events, &remains), [Violation::Reordered]);
}

#[test]
fn what_was_read_and_is_gone_or_another_was_taken_back() {
    let events = [sent(A, 7), sent(A, 8), read_from(false, 0), read(0, 7)];
    assert_eq!(found(&events, &left(&[stored(0, 7)], &[])), []);
    assert_eq!(found(&events, &left(&[], &[])), [Violation::TakenBack]);
    let other = left(&[stored(0, 8)], &[]);
    assert_eq!(found(&events, &other), [Violation::TakenBack]);
    let out = OutOfRange {
        reader: 1,
        offset: 0,
    };
    let events = [sent(A, 7), read_from(false, 0), out];
    let remains = left(&[stored(0, 7)], &[]);
    assert_eq!(found(&events, &remains), [Violation::TakenBack]);
}

#[test]
fn a_reader_that_skips_repeats_or_goes_back_is_out_of_sequence() {
    let log = [stored(0, 7), stored(1, 8), stored(3, 9)];
    let read_all = |offsets: &[i64]| {
        let mut events = vec![sent(A, 7), sent(A, 8), sent(A, 9), read_from(false, 0)];
        events.extend(offsets.iter().map(|offset| {
            let id = log.iter().find(|stored| stored.offset == *offset);
            read(*offset, id.unwrap().id)
        }));
        found(&events, &left(&log, &[]))
    };
    assert_eq!(read_all(&[0, 1, 3]), []);
    assert_eq!(read_all(&[0, 3]), [Violation::NotInSequence]);
    assert_eq!(read_all(&[0, 0]), [Violation::NotInSequence]);
    assert_eq!(read_all(&[0, 1, 0]), [Violation::NotInSequence]);
    assert_eq!(read_all(&[1]), [Violation::NotInSequence]);
}

#[test]
fn a_reader_of_committed_records_passes_over_aborted_ones() {
    let aborted = Stored {
        transaction: 5,
        committed: false,
        ..stored(0, 7)
    };
    let remains = left(&[aborted, stored(1, 8)], &[]);
    let both = [sent(A, 7), sent(A, 8)];
    let with = |read: Event| [both.as_slice(), &[read_from(true, 0), read]].concat();
    assert_eq!(found(&with(read(1, 8)), &remains), []);
    assert_eq!(found(&with(read(0, 7)), &remains), [Violation::AbortedRead]);
}

#[test]
fn a_transaction_that_is_half_there_is_split() {
    let of = |offset, id, committed| Stored {
        transaction: 5,
        committed,
        ..stored(offset, id)
    };
    let events = [sent(A, 7), sent(B, 8)];
    let remains = left(&[of(0, 7, true)], &[of(0, 8, false)]);
    assert_eq!(found(&events, &remains), [Violation::Split]);
    let remains = left(&[of(0, 7, true)], &[of(0, 8, true)]);
    assert_eq!(found(&events, &remains), []);
}

#[test]
fn a_transaction_that_ended_otherwise_than_was_said_is_told() {
    let ended = |committed| Ended {
        transaction: 5,
        committed,
    };
    let record = Stored {
        transaction: 5,
        ..stored(0, 7)
    };
    let remains = left(&[record], &[]);
    assert_eq!(found(&[sent(A, 7), ended(true)], &remains), []);
    assert_eq!(
        found(&[sent(A, 7), ended(false)], &remains),
        [Violation::WrongEnd]
    );
}

#[test]
fn a_committed_offset_that_is_asked_for_later_is_no_smaller() {
    let remains = left(&[], &[]);
    assert_eq!(found(&[committed(1, 5, 0), fetched(5, 1)], &remains), []);
    assert_eq!(
        found(&[committed(1, 5, 0), fetched(4, 1)], &remains),
        [Violation::OffsetWentBack]
    );
    // Asked for before the commit was answered: both are right.
    assert_eq!(found(&[committed(1, 5, 0), fetched(4, 0)], &remains), []);
    let mut remains = left(&[], &[]);
    remains.offsets.insert(("g", A), 4);
    assert_eq!(
        found(&[committed(1, 5, 0)], &remains),
        [Violation::OffsetWentBack]
    );
}

#[test]
fn a_commit_of_an_old_generation_is_fenced() {
    let joined = |generation| Joined {
        group: "g",
        generation,
    };
    let remains = left(&[], &[]);
    let events = |asked| [joined(1), joined(2), committed(1, 5, asked)];
    assert_eq!(found(&events(2), &remains), [Violation::FencedCommit]);
    // It was on its way when the new generation began.
    assert_eq!(found(&events(1), &remains), []);
}

#[test]
fn a_producer_that_goes_on_after_another_took_over_is_fenced() {
    let remains = left(&[], &[]);
    let events = |asked| {
        [
            Initialised { producer: (7, 0) },
            Initialised { producer: (7, 1) },
            Accepted {
                producer: (7, 0),
                asked,
            },
        ]
    };
    assert_eq!(found(&events(2), &remains), [Violation::FencedProducer]);
    assert_eq!(found(&events(1), &remains), []);
}

#[test]
fn a_pump_copies_what_it_has_read_once_and_nothing_else() {
    let events = [sent(A, 7), sent(A, 8), sent(B, 7), sent(B, 8), sent(B, 9)];
    let pumped = |copies: &[Stored], read: i64| {
        let mut remains = left(&[stored(0, 7), stored(1, 8)], copies);
        remains.offsets.insert((PUMP.group, A), read);
        let mut checker = Checker::new(&events, &remains);
        checker.pumps = &[PUMP];
        let found = checker.check().into_iter();
        found.map(|(violation, _)| violation).collect::<Vec<_>>()
    };
    assert_eq!(pumped(&[stored(0, 7)], 1), []);
    for (copies, read) in [
        (vec![], 1),
        (vec![stored(0, 7)], 0),
        (vec![stored(0, 9)], 0),
    ] {
        assert_eq!(pumped(&copies, read), [Violation::NotExactlyOnce]);
    }
    let twice = [stored(0, 7), stored(1, 7)];
    assert!(pumped(&twice, 1).contains(&Violation::NotExactlyOnce));
}

/// A right history: some records, acknowledged and read.
fn right(count: i64) -> (Vec<Event>, Vec<Stored>) {
    let (mut events, mut log) = (vec![read_from(false, 0)], Vec::new());
    for offset in 0..count {
        let id = offset.unsigned_abs() + 100;
        events.extend([sent(A, id), acknowledged(offset, id), read(offset, id)]);
        log.push(stored(offset, id));
    }
    (events, log)
}

proptest! {
    #[test]
    fn a_right_history_is_accepted_and_any_change_of_its_log_is_not(
        count in 1_i64..20,
        at in any::<prop::sample::Index>(),
        change in 0..3,
    ) {
        let (events, mut log) = right(count);
        prop_assert_eq!(found(&events, &left(&log, &[])), []);
        let at = at.index(log.len());
        match change {
            0 => drop(log.remove(at)),
            1 => log[at].id = 1,
            _ => log.truncate(at),
        }
        prop_assert!(!found(&events, &left(&log, &[])).is_empty());
    }

    #[test]
    fn leaving_out_or_repeating_a_read_is_found(count in 2_i64..20, at in any::<prop::sample::Index>(), repeat: bool) {
        let (mut events, log) = right(count);
        let reads: Vec<usize> = (0..events.len()).filter(|at| matches!(events[*at], Read { .. })).collect();
        // The last one may be missing: the reader has not come that far.
        let at = reads[at.index(reads.len() - 1)];
        if repeat {
            events.insert(at, events[at]);
        } else {
            events.remove(at);
        }
        prop_assert_eq!(found(&events, &left(&log, &[])), [Violation::NotInSequence]);
    }
}
