use std::collections::BTreeMap;
use std::time::Duration;

use ottla_protocol::ErrorCode;
use tokio::time::Instant;

use super::machine::{Answer, GroupOffsets, Machine, Next, Protocol, Refusal, Step, classify};
use crate::consumer::ConsumerGroupMetadata;
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::producer::sequence::Identity;
use crate::retry::Backoff;

const FIRST: Identity = identity(0);

const fn identity(epoch: i16) -> Identity {
    Identity {
        producer_id: 7,
        epoch,
    }
}

/// A machine and the time that it is told.
struct Bench {
    machine: Machine,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let ms = Duration::from_millis;
        Self {
            machine: Machine::new(Backoff::new(ms(100), ms(1000))),
            now: Instant::now(),
        }
    }

    fn ready(protocol: Protocol) -> Self {
        let mut bench = Self::new();
        let asked = bench.answer(Ok(Answer::Is(FIRST, protocol)));
        assert_eq!(asked, Step::Init(None));
        bench
    }

    /// With a transaction open, of which the coordinator knows.
    fn open(protocol: Protocol) -> Self {
        let mut bench = Self::ready(protocol);
        bench.begin();
        bench.machine.admit(1, partition()).unwrap();
        if protocol == Protocol::V1 {
            bench.answer(Ok(Answer::Done));
        }
        bench.machine.sent();
        bench
    }

    fn begin(&mut self) -> u64 {
        self.machine.begin().unwrap().unwrap()
    }

    /// What is asked now, and answered.
    fn answer(&mut self, answer: Result<Answer, Refusal>) -> Step {
        let Next::Ask(step) = self.machine.next(self.now, true) else {
            panic!("nothing is asked");
        };
        self.machine.answered(&step, answer, self.now, 0.5);
        step
    }

    fn asks_nothing(&mut self) -> bool {
        self.machine.next(self.now, true) == Next::Nothing
    }
}

fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn offsets() -> GroupOffsets {
    GroupOffsets {
        group: ConsumerGroupMetadata::new("g"),
        offsets: BTreeMap::new(),
    }
}

fn abortable() -> Error {
    Error::Abortable("why".to_owned())
}

fn end(protocol: Protocol, committed: bool) -> Step {
    Step::End {
        identity: FIRST,
        protocol,
        committed,
    }
}

#[test]
fn in_the_first_protocol_partitions_and_groups_are_added_before_they_are_written_to() {
    let mut bench = Bench::ready(Protocol::V1);
    bench.begin();
    bench.machine.admit(1, partition()).unwrap();
    assert!(!bench.machine.may_send(&partition()));
    let step = bench.answer(Ok(Answer::Done));
    assert_eq!(step, Step::AddPartitions(FIRST, [partition()].into()));
    assert!(bench.machine.may_send(&partition()));
    let count = bench.machine.add_offsets(1, offsets()).unwrap();
    let step = bench.answer(Ok(Answer::Done));
    assert_eq!(step, Step::AddOffsets(FIRST, "g".to_owned()));
    assert_eq!(bench.machine.are_sent(1, count), None);
    let step = bench.answer(Ok(Answer::Done));
    assert_eq!(step, Step::CommitOffsets(FIRST, Protocol::V1, offsets()));
    assert_eq!(bench.machine.are_sent(1, count), Some(Ok(())));
    bench.machine.commit(1).unwrap();
    assert_eq!(bench.answer(Ok(Answer::Done)), end(Protocol::V1, true));
    assert_eq!(bench.machine.has_ended(1), Some(Ok(())));
    // The next transaction adds them again, under the same epoch.
    bench.begin();
    bench.machine.admit(2, partition()).unwrap();
    let step = bench.answer(Ok(Answer::Done));
    assert_eq!(step, Step::AddPartitions(FIRST, [partition()].into()));
}

#[test]
fn in_the_second_protocol_only_the_end_is_asked_for_and_brings_the_next_epoch() {
    let mut bench = Bench::ready(Protocol::V2);
    bench.begin();
    bench.machine.admit(1, partition()).unwrap();
    assert!(bench.machine.may_send(&partition()) && bench.asks_nothing());
    bench.machine.sent();
    bench.machine.add_offsets(1, offsets()).unwrap();
    let step = bench.answer(Ok(Answer::Done));
    assert_eq!(step, Step::CommitOffsets(FIRST, Protocol::V2, offsets()));
    bench.machine.commit(1).unwrap();
    let Next::Ask(step) = bench.machine.next(bench.now, true) else {
        panic!("the end is not asked for");
    };
    assert_eq!(step, end(Protocol::V2, true));
    let answer = Ok(Answer::Next(identity(1)));
    let next = bench.machine.answered(&step, answer, bench.now, 0.5);
    assert_eq!(next, Some(identity(1)));
}

#[test]
fn an_end_waits_until_every_record_has_its_outcome() {
    let mut bench = Bench::open(Protocol::V2);
    bench.machine.commit(1).unwrap();
    assert_eq!(bench.machine.next(bench.now, false), Next::Nothing);
    assert!(bench.machine.may_send(&partition()));
    assert_eq!(bench.answer(Ok(Answer::Done)), end(Protocol::V2, true));
}

#[test]
fn a_transaction_without_anything_in_it_ends_without_a_request() {
    for protocol in [Protocol::V1, Protocol::V2] {
        for committed in [true, false] {
            let mut bench = Bench::ready(protocol);
            bench.begin();
            if committed {
                bench.machine.commit(1).unwrap();
            } else {
                bench.machine.abort(1).unwrap();
            }
            assert!(bench.asks_nothing());
            assert_eq!(bench.machine.has_ended(1), Some(Ok(())));
        }
    }
}

/// An open transaction to which `then` has happened.
fn after(then: impl FnOnce(&mut Machine)) -> Bench {
    let mut bench = Bench::open(Protocol::V2);
    then(&mut bench.machine);
    bench
}

/// What each call answers in each state: `begin`, `admit`, `commit`, `abort`, and whether batches
/// may be sent. `None` waits.
#[test]
fn every_call_in_every_state() {
    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);
    type Prepare = fn() -> Bench;
    let table: [(&str, u64, Prepare, [Option<bool>; 5]); 7] = [
        ("initializing", 0, Bench::new, [None, NO, YES, YES, NO]),
        (
            "ready",
            0,
            || Bench::ready(Protocol::V2),
            [YES, NO, YES, YES, NO],
        ),
        ("open", 1, || after(|_| ()), [NO, YES, YES, YES, YES]),
        (
            "committing",
            1,
            || after(|machine| machine.commit(1).unwrap()),
            [None, NO, YES, NO, YES],
        ),
        (
            "aborting",
            1,
            || after(|machine| machine.abort(1).unwrap()),
            [None, NO, NO, YES, NO],
        ),
        (
            "broken",
            1,
            || after(|machine| machine.fail(abortable())),
            [NO, NO, NO, YES, NO],
        ),
        (
            "dead",
            1,
            || after(|machine| machine.kill(Error::Closed)),
            [NO, NO, NO, NO, NO],
        ),
    ];
    for (state, number, prepare, expected) in table {
        let found = [
            prepare().machine.begin().map(|begun| begun.is_ok()),
            Some(prepare().machine.admit(number, partition()).is_ok()),
            Some(prepare().machine.commit(number).is_ok()),
            Some(prepare().machine.abort(number).is_ok()),
            Some(prepare().machine.may_send(&partition())),
        ];
        assert_eq!(found, expected, "{state}");
    }
}

#[test]
fn a_failure_breaks_the_transaction_until_it_is_aborted() {
    let mut bench = Bench::open(Protocol::V2);
    bench.machine.commit(1).unwrap();
    bench.machine.fail(abortable());
    assert_eq!(bench.machine.has_ended(1), Some(Err(abortable())));
    assert_eq!(bench.machine.admit(1, partition()), Err(abortable()));
    assert_eq!(bench.machine.commit(1), Err(abortable()));
    assert!(bench.asks_nothing());
    bench.machine.abort(1).unwrap();
    let answer = Ok(Answer::Next(identity(1)));
    assert_eq!(bench.answer(answer), end(Protocol::V2, false));
    assert_eq!(bench.begin(), 2);
}

#[test]
fn a_commit_that_a_closing_producer_turned_into_an_abort_does_not_succeed() {
    let mut bench = Bench::open(Protocol::V2);
    bench.machine.commit(1).unwrap();
    bench.machine.fail(abortable());
    bench.machine.abandon();
    assert_eq!(bench.answer(Ok(Answer::Done)), end(Protocol::V2, false));
    assert!(matches!(bench.machine.is_committed(1), Some(Err(_))));
}

#[test]
fn a_transaction_to_which_nothing_could_be_added_ends_without_a_request() {
    for code in [
        ErrorCode::TopicAuthorizationFailed,
        ErrorCode::ConcurrentTransactions,
        ErrorCode::UnknownTopicOrPartition,
    ] {
        let mut bench = Bench::ready(Protocol::V1);
        bench.begin();
        bench.machine.admit(1, partition()).unwrap();
        bench.answer(Err(classify("AddPartitionsToTxn", code, None)));
        bench.machine.abort(1).unwrap();
        bench.now += Duration::from_secs(1);
        assert!(bench.asks_nothing(), "{code:?}");
        assert_eq!(bench.machine.has_ended(1), Some(Ok(())));
        assert_eq!(bench.begin(), 2);
    }
}

#[test]
fn a_transaction_to_which_something_may_have_been_added_is_ended() {
    let lost = Refusal::Again(Error::Unavailable("reset".to_owned()));
    for refusal in [
        lost,
        classify("AddPartitionsToTxn", ErrorCode::NotCoordinator, None),
    ] {
        let mut bench = Bench::ready(Protocol::V1);
        bench.begin();
        bench.machine.admit(1, partition()).unwrap();
        bench.answer(Err(refusal));
        bench.machine.abort(1).unwrap();
        bench.now += Duration::from_secs(1);
        assert_eq!(bench.answer(Ok(Answer::Done)), end(Protocol::V1, false));
    }
}

#[test]
fn in_the_first_protocol_a_gap_in_the_numbers_needs_another_epoch() {
    let mut bench = Bench::open(Protocol::V1);
    bench.machine.leaves_gap();
    bench.machine.fail(abortable());
    bench.machine.abort(1).unwrap();
    assert_eq!(bench.answer(Ok(Answer::Done)), end(Protocol::V1, false));
    assert_eq!(bench.machine.has_ended(1), Some(Ok(())));
    assert_eq!(bench.machine.begin(), None);
    let answer = Ok(Answer::Is(identity(1), Protocol::V1));
    assert_eq!(bench.answer(answer), Step::Init(Some(FIRST)));
    assert_eq!(bench.begin(), 2);
}

#[test]
fn in_the_second_protocol_the_end_closes_the_gap() {
    let mut bench = Bench::open(Protocol::V2);
    bench.machine.leaves_gap();
    bench.machine.fail(abortable());
    bench.machine.abort(1).unwrap();
    bench.answer(Ok(Answer::Next(identity(1))));
    assert_eq!(bench.begin(), 2);
}

#[test]
fn a_step_that_is_refused_for_now_is_asked_again_after_a_pause() {
    let mut bench = Bench::open(Protocol::V2);
    bench.machine.commit(1).unwrap();
    bench.answer(Err(Refusal::Again(Error::Closed)));
    let Next::At(at) = bench.machine.next(bench.now, true) else {
        panic!("no pause");
    };
    assert_eq!(at - bench.now, Duration::from_millis(100));
    bench.now = at;
    bench.answer(Err(Refusal::Unfinished(Error::Closed)));
    bench.now += Duration::from_millis(20);
    assert_eq!(bench.answer(Ok(Answer::Done)), end(Protocol::V2, true));
}

#[test]
fn one_step_is_under_way_at_a_time() {
    let mut bench = Bench::open(Protocol::V1);
    bench.machine.add_offsets(1, offsets()).unwrap();
    assert!(matches!(bench.machine.next(bench.now, true), Next::Ask(_)));
    assert!(bench.asks_nothing());
}

#[test]
fn offsets_of_an_aborted_transaction_are_not_sent() {
    let mut bench = Bench::open(Protocol::V2);
    let count = bench.machine.add_offsets(1, offsets()).unwrap();
    let Next::Ask(step) = bench.machine.next(bench.now, true) else {
        panic!("nothing is asked");
    };
    bench.machine.abort(1).unwrap();
    assert!(matches!(bench.machine.are_sent(1, count), Some(Err(_))));
    let answered = bench
        .machine
        .answered(&step, Ok(Answer::Done), bench.now, 0.5);
    assert_eq!(answered, None);
    assert!(matches!(bench.machine.are_sent(1, count), Some(Err(_))));
    assert_eq!(bench.answer(Ok(Answer::Done)), end(Protocol::V2, false));
}

#[test]
fn a_refused_abort_ends_the_producer_rather_than_going_round_for_ever() {
    let mut bench = Bench::open(Protocol::V2);
    bench.machine.abort(1).unwrap();
    bench.answer(Err(Refusal::Abortable(abortable())));
    assert!(bench.machine.is_over());
}

#[test]
fn a_producer_that_nobody_holds_aborts_what_is_open_and_finishes_what_is_committed() {
    let mut bench = Bench::open(Protocol::V2);
    bench.machine.abandon();
    assert_eq!(bench.answer(Ok(Answer::Done)), end(Protocol::V2, false));
    bench.machine.abandon();
    assert!(bench.machine.is_over());

    let mut bench = Bench::open(Protocol::V2);
    bench.machine.commit(1).unwrap();
    bench.machine.abandon();
    assert_eq!(bench.answer(Ok(Answer::Done)), end(Protocol::V2, true));
    assert!(!bench.machine.is_over());
}

#[test]
fn codes_say_whether_to_wait_to_abort_or_to_stop() {
    let classify = |code| classify("EndTxn", code, None);
    for code in [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::NotCoordinator,
        ErrorCode::UnknownTopicOrPartition,
    ] {
        assert!(matches!(classify(code), Refusal::Again(_)), "{code:?}");
    }
    assert!(matches!(
        classify(ErrorCode::ConcurrentTransactions),
        Refusal::Unfinished(_)
    ));
    for code in [
        ErrorCode::TransactionAbortable,
        ErrorCode::IllegalGeneration,
        ErrorCode::UnknownMemberId,
        ErrorCode::FencedInstanceId,
    ] {
        let Refusal::Abortable(error) = classify(code) else {
            panic!("{code:?} is not abortable");
        };
        assert!(error.is_abortable());
    }
    for code in [ErrorCode::ProducerFenced, ErrorCode::InvalidProducerEpoch] {
        let Refusal::Fatal(error) = classify(code) else {
            panic!("{code:?} is not fatal");
        };
        assert!(error.is_fenced());
    }
    for code in [
        ErrorCode::InvalidTxnState,
        ErrorCode::TransactionalIdAuthorizationFailed,
        ErrorCode::InvalidTransactionTimeout,
    ] {
        assert!(matches!(classify(code), Refusal::Fatal(_)), "{code:?}");
    }
}
