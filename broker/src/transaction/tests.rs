//! The table of transitions, legal and illegal, and what survives a restart.

mod property;

use super::*;

const LIMIT: TransactionConfig = TransactionConfig {
    max_timeout_ms: 60_000,
    id_expiration: Duration::from_secs(7 * 24 * 3_600),
};

/// A coordinator whose partition 9 is made durable by itself and whose partition 8 is gone.
fn coordinator() -> TransactionCoordinator {
    TransactionCoordinator::new(LIMIT, |participant| match participant.partition {
        9 => Fate::Apart,
        8 => Fate::Gone,
        _ => Fate::Shared,
    })
}

fn participant(partition: i32) -> Participant {
    Participant {
        topic: Arc::from("orders"),
        topic_id: [7; 16],
        partition,
    }
}

struct Bench {
    coordinator: TransactionCoordinator,
    now: Now,
    log: Vec<TransactionRecord>,
    attachments: Vec<Attachment>,
    commands: Vec<Command>,
    producer: (i64, i16),
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            coordinator: coordinator(),
            now: Now {
                monotonic: Duration::ZERO,
                wall_ms: 1_000_000,
            },
            log: Vec::new(),
            attachments: Vec::new(),
            commands: Vec::new(),
            producer: (-1, -1),
        };
        let effects = bench.coordinator.loaded(bench.now);
        bench.take(effects);
        bench.handle(Event::ProducerIds(1_000..2_000));
        bench
    }

    fn take(&mut self, effects: Effects) -> Option<Reply> {
        self.log.extend(effects.records);
        self.attachments = effects.attachments;
        self.commands.extend(effects.commands);
        effects.replies.first().map(|(_, reply)| *reply)
    }

    fn handle(&mut self, event: Event) -> Option<Reply> {
        let effects = self.coordinator.handle(event, self.now);
        self.take(effects)
    }

    fn pass(&mut self, ms: u64) {
        self.now.monotonic += Duration::from_millis(ms);
        self.now.wall_ms += i64::try_from(ms).unwrap();
        let effects = self.coordinator.tick(self.now);
        self.take(effects);
    }

    fn init_as(&mut self, producer_id: i64, producer_epoch: i16) -> Reply {
        let request = InitRequest {
            transactional_id: Arc::from("t"),
            timeout_ms: 10_000,
            producer_id,
            producer_epoch,
        };
        self.handle(Event::Init(1, request)).unwrap()
    }

    /// A new instance.
    fn init(&mut self) -> Reply {
        let reply = self.init_as(-1, -1);
        self.adopt(reply);
        reply
    }

    fn adopt(&mut self, reply: Reply) {
        if let Reply::Producer {
            producer_id,
            producer_epoch,
        } = reply
        {
            self.producer = (producer_id, producer_epoch);
        }
    }

    fn add_as(&mut self, producer: (i64, i16), partition: i32, verify_only: bool) -> Reply {
        let request = AddRequest {
            transactional_id: Arc::from("t"),
            producer_id: producer.0,
            producer_epoch: producer.1,
            partitions: vec![participant(partition)],
            groups: Vec::new(),
            verify_only,
        };
        self.handle(Event::Add(1, request)).unwrap()
    }

    fn add(&mut self, partition: i32) -> Reply {
        self.add_as(self.producer, partition, false)
    }

    fn add_group(&mut self) -> Reply {
        let request = AddRequest {
            transactional_id: Arc::from("t"),
            producer_id: self.producer.0,
            producer_epoch: self.producer.1,
            partitions: Vec::new(),
            groups: vec![Arc::from("g")],
            verify_only: false,
        };
        self.handle(Event::Add(1, request)).unwrap()
    }

    fn end_as(&mut self, producer: (i64, i16), committed: bool, bumps_epoch: bool) -> Reply {
        let request = EndRequest {
            transactional_id: Arc::from("t"),
            producer_id: producer.0,
            producer_epoch: producer.1,
            committed,
            bumps_epoch,
        };
        self.handle(Event::End(1, request)).unwrap()
    }

    fn end(&mut self, committed: bool, bumps_epoch: bool) -> Reply {
        self.end_as(self.producer, committed, bumps_epoch)
    }

    fn state(&self) -> State {
        self.known().state
    }

    fn known(&self) -> &Transaction {
        self.coordinator.get("t").unwrap()
    }

    /// The markers that go with the last record: partition, epoch, commit.
    fn markers(&self) -> Vec<(i32, i16, bool)> {
        let marker = |attachment: &Attachment| match attachment {
            Attachment::Marker(order) => Some((
                order.participant.partition,
                order.producer_epoch,
                order.commit,
            )),
            Attachment::Offsets { .. } => None,
        };
        self.attachments.iter().filter_map(marker).collect()
    }

    /// Brings a new id into a state.
    fn in_state(state: State) -> Self {
        let mut bench = Self::new();
        bench.init();
        let commit = matches!(state, State::PrepareCommit | State::CompleteCommit);
        match state {
            State::Empty => {}
            State::Ongoing => assert_eq!(bench.add(0), Reply::Added),
            State::PrepareCommit | State::PrepareAbort => {
                bench.add(9);
                bench.end(commit, false);
            }
            State::CompleteCommit | State::CompleteAbort => {
                bench.add(0);
                bench.end(commit, false);
            }
        }
        assert_eq!(bench.state(), state);
        bench
    }
}

fn producer(producer_id: i64, producer_epoch: i16) -> Reply {
    Reply::Producer {
        producer_id,
        producer_epoch,
    }
}

use ErrorCode::{
    ConcurrentTransactions, InvalidProducerIdMapping, InvalidRequest, InvalidTransactionTimeout,
    InvalidTxnState, ProducerFenced, TransactionAbortable,
};
use State::{CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit};

/// Adding, verifying, both ends in the first protocol, and both ends in the second.
type Answers = [Result<(), ErrorCode>; 6];

const OK: Result<(), ErrorCode> = Ok(());
const UNKNOWN: Result<(), ErrorCode> = Err(TransactionAbortable);
const ILLEGAL: Result<(), ErrorCode> = Err(InvalidTxnState);
const BUSY: Result<(), ErrorCode> = Err(ConcurrentTransactions);

const TABLE: [(State, Answers); 6] = [
    // add, verify, commit, abort, commit bumping, abort bumping
    (Empty, [OK, UNKNOWN, ILLEGAL, ILLEGAL, ILLEGAL, OK]),
    (Ongoing, [OK, OK, OK, OK, OK, OK]),
    (PrepareCommit, [BUSY, BUSY, BUSY, ILLEGAL, BUSY, ILLEGAL]),
    (PrepareAbort, [BUSY, BUSY, ILLEGAL, BUSY, ILLEGAL, BUSY]),
    (CompleteCommit, [OK, UNKNOWN, OK, ILLEGAL, ILLEGAL, OK]),
    (CompleteAbort, [OK, UNKNOWN, ILLEGAL, OK, ILLEGAL, OK]),
];

#[test]
fn each_row_of_the_table() {
    for (state, answers) in TABLE {
        for (number, expected) in answers.into_iter().enumerate() {
            let mut bench = Bench::in_state(state);
            let before = bench.log.len();
            let reply = match number {
                0 => bench.add(0),
                1 => bench.add_as(bench.producer, 0, true),
                2 => bench.end(true, false),
                3 => bench.end(false, false),
                4 => bench.end(true, true),
                _ => bench.end(false, true),
            };
            let answer = match reply {
                Reply::Error(code) => Err(code),
                Reply::Producer { .. } | Reply::Added => Ok(()),
            };
            assert_eq!(answer, expected, "column {number} of {state:?}");
            if answer.is_err() {
                assert_eq!(bench.log.len(), before, "a refusal changes nothing");
            }
        }
    }
}

/// Whether a producer may begin anew, as another instance and as the present one, and whether it may
/// add a group; and the state when it says nothing for longer than it may.
const OTHER_EVENTS: [(State, Result<(), ErrorCode>, State); 6] = [
    (Empty, OK, Empty),
    (Ongoing, OK, CompleteAbort),
    (PrepareCommit, BUSY, PrepareCommit),
    (PrepareAbort, BUSY, PrepareAbort),
    (CompleteCommit, OK, CompleteCommit),
    (CompleteAbort, OK, CompleteAbort),
];

#[test]
fn each_row_of_the_table_of_other_events() {
    for (state, expected, after_its_timeout) in OTHER_EVENTS {
        for number in 0..3 {
            let mut bench = Bench::in_state(state);
            let before = bench.log.len();
            let (id, epoch) = bench.producer;
            let (reply, next) = match number {
                0 => (bench.init_as(-1, -1), Empty),
                1 => (bench.init_as(id, epoch), Empty),
                _ => (bench.add_group(), Ongoing),
            };
            match reply {
                Reply::Error(code) => {
                    assert_eq!(Err(code), expected, "column {number} of {state:?}");
                    assert_eq!(bench.log.len(), before, "a refusal changes nothing");
                    assert_eq!(bench.state(), state);
                }
                Reply::Producer { .. } | Reply::Added => {
                    assert_eq!(OK, expected, "column {number} of {state:?}");
                    assert_eq!(bench.state(), next);
                }
            }
        }
        let mut bench = Bench::in_state(state);
        bench.pass(10_001);
        assert_eq!(bench.state(), after_its_timeout);
    }
}

#[test]
fn a_producer_that_is_not_the_present_one_is_refused_in_every_state() {
    for state in State::ALL {
        let mut bench = Bench::in_state(state);
        let (id, epoch) = bench.producer;
        let before = bench.log.len();
        for (other, code) in [
            ((id, epoch - 1), ProducerFenced),
            ((id, epoch + 1), ProducerFenced),
            ((id + 1, epoch), InvalidProducerIdMapping),
        ] {
            assert_eq!(bench.add_as(other, 0, false), Reply::Error(code));
            assert_eq!(bench.add_as(other, 0, true), Reply::Error(code));
            for (commit, bumps) in [(true, false), (false, false), (true, true), (false, true)] {
                assert_eq!(
                    bench.end_as(other, commit, bumps),
                    Reply::Error(code),
                    "{state:?}"
                );
            }
        }
        assert_eq!(bench.init_as(id + 1, epoch), Reply::Error(ProducerFenced));
        assert_eq!(bench.init_as(id, epoch + 1), Reply::Error(ProducerFenced));
        assert_eq!(bench.log.len(), before, "a refusal changes nothing");
    }
}

#[test]
fn requests_that_cannot_be_right_are_refused() {
    let mut bench = Bench::new();
    let request = |id: &str, timeout_ms, producer_id, producer_epoch| InitRequest {
        transactional_id: Arc::from(id),
        timeout_ms,
        producer_id,
        producer_epoch,
    };
    for (request, code) in [
        (request("", 1, -1, -1), InvalidRequest),
        (request(&"x".repeat(2_000), 1, -1, -1), InvalidRequest),
        (request("t", 1, 5, -1), InvalidRequest),
        (request("t", 0, -1, -1), InvalidTransactionTimeout),
        (request("t", -1, -1, -1), InvalidTransactionTimeout),
        (request("t", 60_001, -1, -1), InvalidTransactionTimeout),
    ] {
        assert_eq!(
            bench.handle(Event::Init(1, request)),
            Some(Reply::Error(code))
        );
    }
    assert_eq!(
        bench.add_as((1, 0), 0, false),
        Reply::Error(InvalidProducerIdMapping)
    );
    assert_eq!(
        bench.end_as((1, 0), true, true),
        Reply::Error(InvalidProducerIdMapping)
    );
    assert!(bench.log.is_empty());
}

#[test]
fn the_first_protocol_keeps_the_epoch() {
    let mut bench = Bench::new();
    assert_eq!(bench.init(), producer(1_000, 0));
    bench.add(0);
    bench.add(1);
    assert_eq!(bench.end(true, false), producer(1_000, 0));
    assert_eq!(bench.markers(), [(0, 0, true), (1, 0, true)]);
    assert_eq!(bench.state(), CompleteCommit);
}

#[test]
fn the_second_protocol_raises_the_epoch_at_each_end() {
    let mut bench = Bench::new();
    bench.init();
    bench.add(0);
    assert_eq!(bench.end(true, true), producer(1_000, 1));
    assert_eq!(bench.markers(), [(0, 1, true)]);
    // Sent again, because the answer was lost.
    assert_eq!(bench.end(true, true), producer(1_000, 1));
    assert!(bench.markers().is_empty());
    assert_eq!(bench.end(false, true), Reply::Error(InvalidTxnState));
    bench.producer = (1_000, 1);
    assert_eq!(bench.end(false, true), producer(1_000, 2));
}

#[test]
fn a_late_end_does_not_touch_the_next_transaction() {
    let mut bench = Bench::new();
    bench.init();
    bench.add(0);
    bench.end(true, true);
    bench.producer = (1_000, 1);
    bench.add(0);
    assert_eq!(
        bench.end_as((1_000, 0), true, true),
        Reply::Error(ProducerFenced)
    );
    assert_eq!(bench.state(), Ongoing);
}

#[test]
fn offsets_and_partitions_end_together() {
    let mut bench = Bench::new();
    bench.init();
    bench.add(0);
    bench.add_group();
    bench.end(true, true);
    assert_eq!(bench.attachments.len(), 2);
    assert!(bench.attachments.contains(&Attachment::Offsets {
        producer_id: 1_000,
        commit: true,
        group_ids: vec![Arc::from("g")],
    }));
}

#[test]
fn a_new_instance_aborts_and_fences() {
    let mut bench = Bench::new();
    bench.init();
    let old = bench.producer;
    bench.add(0);
    assert_eq!(bench.init(), producer(1_000, 2));
    assert_eq!(bench.markers(), [(0, 1, false)]);
    assert_eq!(bench.state(), Empty);
    assert_eq!(bench.add_as(old, 0, false), Reply::Error(ProducerFenced));
    assert_eq!(bench.end_as(old, true, true), Reply::Error(ProducerFenced));
}

#[test]
fn a_producer_may_raise_its_own_epoch_and_ask_again() {
    let mut bench = Bench::new();
    bench.init();
    assert_eq!(bench.init_as(1_000, 0), producer(1_000, 1));
    assert_eq!(bench.init_as(1_000, 0), producer(1_000, 1));
    assert_eq!(bench.init_as(1_000, 1), producer(1_000, 2));
    assert_eq!(bench.init_as(1_000, 0), Reply::Error(ProducerFenced));
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    let mut bench = Bench::new();
    bench.init();
    bench.add(0);
    bench.pass(9_999);
    assert_eq!(bench.state(), Ongoing);
    bench.pass(1);
    assert_eq!(bench.state(), CompleteAbort);
    assert_eq!(bench.markers(), [(0, 1, false)]);
    assert_eq!(bench.end(true, false), Reply::Error(ProducerFenced));
    assert_eq!(bench.end(true, true), Reply::Error(ProducerFenced));
}

#[test]
fn an_id_without_epochs_left_is_replaced() {
    let mut bench = Bench::new();
    bench.init();
    let mut value = bench.known().clone();
    value.producer_epoch = LARGEST_USED_EPOCH;
    bench.coordinator.transactions.insert(Arc::from("t"), value);
    bench.producer = (1_000, LARGEST_USED_EPOCH);
    bench.add(0);
    assert_eq!(bench.end(true, true), producer(1_001, 0));
    assert_eq!(bench.markers(), [(0, i16::MAX, true)]);
    assert_eq!(bench.end(true, true), producer(1_001, 0));
    assert_eq!(bench.add(0), Reply::Error(InvalidProducerIdMapping));
    assert_eq!(bench.add_as((1_001, 0), 0, false), Reply::Added);
}

#[test]
fn a_new_instance_of_an_id_without_epochs_left_gets_another_id() {
    let mut bench = Bench::new();
    bench.init();
    let mut value = bench.known().clone();
    value.producer_epoch = LARGEST_USED_EPOCH;
    bench.coordinator.transactions.insert(Arc::from("t"), value);
    assert_eq!(bench.init_as(1_000, LARGEST_USED_EPOCH), producer(1_001, 0));
    assert_eq!(bench.init_as(1_000, LARGEST_USED_EPOCH), producer(1_001, 0));
}

#[test]
fn markers_that_go_apart_complete_the_transaction() {
    let mut bench = Bench::new();
    bench.init();
    bench.add(0);
    bench.add(8);
    bench.add(9);
    bench.commands.clear();
    assert_eq!(bench.end(true, false), producer(1_000, 0));
    assert_eq!(bench.markers(), [(0, 0, true)]);
    assert_eq!(bench.state(), PrepareCommit);
    assert_eq!(bench.init_as(-1, -1), Reply::Error(ConcurrentTransactions));
    bench.pass(1_000);
    assert_eq!(bench.commands.len(), 2, "ordered again");
    let written = |producer| Event::MarkersWritten {
        transactional_id: Arc::from("t"),
        producer,
        done: vec![participant(9)],
    };
    bench.handle(written((1_000, 7)));
    assert_eq!(bench.state(), PrepareCommit, "of another transaction");
    bench.handle(written((1_000, 0)));
    assert_eq!(bench.state(), CompleteCommit);
}

#[test]
fn missing_markers_are_ordered_after_a_restart() {
    let mut bench = Bench::in_state(PrepareAbort);
    let mut coordinator = coordinator();
    for record in bench.log.drain(..) {
        coordinator.replay(record);
    }
    let effects = coordinator.loaded(bench.now);
    assert!(effects.commands.iter().any(|command| matches!(
        command,
        Command::WriteMarkers { orders, .. } if orders.len() == 1 && !orders[0].commit
    )));
}

#[test]
fn a_transaction_times_out_after_a_restart_too() {
    let mut bench = Bench::in_state(Ongoing);
    let mut coordinator = coordinator();
    for record in bench.log.drain(..) {
        coordinator.replay(record);
    }
    bench.coordinator = coordinator;
    bench.now.wall_ms += 4_000;
    let effects = bench.coordinator.loaded(bench.now);
    bench.take(effects);
    bench.pass(6_000);
    assert_eq!(bench.state(), CompleteAbort);
}

#[test]
fn transactions_that_time_out_together_are_decided_one_by_one() {
    let mut bench = Bench::in_state(Ongoing);
    let other: Arc<str> = Arc::from("u");
    let init = InitRequest {
        transactional_id: Arc::clone(&other),
        timeout_ms: 10_000,
        producer_id: -1,
        producer_epoch: -1,
    };
    let Some(Reply::Producer {
        producer_id,
        producer_epoch,
    }) = bench.handle(Event::Init(2, init))
    else {
        panic!("no producer");
    };
    // The same partition and the same group as the other one.
    let add = AddRequest {
        transactional_id: Arc::clone(&other),
        producer_id,
        producer_epoch,
        partitions: vec![participant(1)],
        groups: vec![Arc::from("g")],
        verify_only: false,
    };
    bench.handle(Event::Add(2, add));
    bench.add(1);
    bench.add_group();
    let mut decided = Vec::new();
    bench.now.wall_ms += 10_000;
    bench.now.monotonic += Duration::from_secs(10);
    while bench.coordinator.deadline().unwrap() <= bench.now.monotonic {
        let effects = bench.coordinator.tick(bench.now);
        assert_eq!(effects.records.len(), 1);
        let producers = effects
            .attachments
            .iter()
            .map(|attachment| match attachment {
                Attachment::Marker(order) => order.producer_id,
                Attachment::Offsets { producer_id, .. } => *producer_id,
            });
        let producers: BTreeSet<i64> = producers.collect();
        assert_eq!(producers.len(), 1);
        decided.extend(producers);
        bench.take(effects);
    }
    decided.sort_unstable();
    assert_eq!(decided, [bench.producer.0, producer_id]);
    assert_eq!(bench.state(), CompleteAbort);
    assert_eq!(bench.coordinator.get(&other).unwrap().state, CompleteAbort);
}

#[test]
fn many_ids_expire_in_rounds() {
    const DAY_MS: i64 = 24 * 3_600 * 1_000;
    let mut bench = Bench::in_state(CompleteCommit);
    let value = bench.known().clone();
    for id in 0..MAX_EXPIRED {
        bench.coordinator.replay(TransactionRecord::Set {
            transactional_id: Arc::from(id.to_string()),
            value: value.clone(),
        });
    }
    bench.now.wall_ms += 8 * DAY_MS;
    bench.pass(3_600_000);
    assert_eq!(bench.coordinator.iter().count(), 1);
    assert!(bench.coordinator.deadline().unwrap() <= bench.now.monotonic);
    bench.pass(0);
    assert_eq!(bench.coordinator.iter().count(), 0);
}

#[test]
fn an_id_expires_unless_it_has_a_transaction() {
    const WEEK_MS: u64 = 7 * 24 * 3_600 * 1_000;
    for state in State::ALL {
        let mut bench = Bench::in_state(state);
        bench.now.wall_ms += i64::try_from(WEEK_MS).unwrap();
        // Only the clock on the wall has moved that far.
        bench.pass(3_600_000);
        let is_open = matches!(state, Ongoing | PrepareCommit | PrepareAbort);
        assert_eq!(bench.coordinator.get("t").is_some(), is_open, "{state:?}");
    }
}

#[test]
fn producer_ids_are_asked_for_before_they_run_out() {
    let mut bench = Bench::new();
    bench.coordinator.spare = [0..1, 0..0];
    bench.commands.clear();
    bench.init();
    assert_eq!(bench.commands, [Command::ReserveProducerIds]);
    let other = InitRequest {
        transactional_id: Arc::from("u"),
        timeout_ms: 1_000,
        producer_id: -1,
        producer_epoch: -1,
    };
    let reply = bench.handle(Event::Init(2, other.clone()));
    assert_eq!(
        reply,
        Some(Reply::Error(ErrorCode::CoordinatorLoadInProgress))
    );
    bench.handle(Event::ProducerIds(50..60));
    assert_eq!(bench.handle(Event::Init(2, other)), Some(producer(50, 0)));
}

#[test]
fn producer_ids_that_could_not_be_reserved_are_asked_for_again() {
    let mut bench = Bench::new();
    bench.coordinator.spare = [0..0, 0..0];
    let full = Some(Reply::Error(ErrorCode::CoordinatorLoadInProgress));
    let request = InitRequest {
        transactional_id: Arc::from("u"),
        timeout_ms: 1_000,
        producer_id: -1,
        producer_epoch: -1,
    };
    assert_eq!(bench.handle(Event::Init(1, request.clone())), full);
    bench.handle(Event::NoProducerIds);
    bench.commands.clear();
    assert_eq!(bench.handle(Event::Init(1, request.clone())), full);
    assert_eq!(bench.commands, [Command::ReserveProducerIds]);
    bench.handle(Event::ProducerIds(50..60));
    assert_eq!(bench.handle(Event::Init(1, request)), Some(producer(50, 0)));
}

#[test]
fn a_record_survives_the_round_trip() {
    let mut bench = Bench::in_state(PrepareCommit);
    bench.log.push(TransactionRecord::Removed {
        transactional_id: Arc::from("t"),
    });
    for record in bench.log {
        let encoded = record.encode().unwrap();
        let decoded = TransactionRecord::decode(&encoded.key, encoded.value.as_deref()).unwrap();
        assert_eq!(decoded, record);
    }
}
