use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ottla_protocol::ErrorCode;
use ottla_protocol::record::{BatchHeader, RecordBatch};
use proptest::prelude::*;

use super::*;
use crate::error::CallError;
use crate::producer::transaction::machine::Protocol;

const LEADERS: [Leader; 1] = [Leader {
    node_id: 1,
    epoch: 0,
}];

/// An accumulator with one partition, and a broker in memory that numbers as Kafka does.
struct Bench {
    accumulator: Accumulator,
    now: Instant,
    flying: Vec<Batch>,
    /// Values in the order in which they were appended.
    log: Vec<u32>,
    epoch: i16,
    next_sequence: i32,
}

impl Bench {
    fn new(config: ProducerConfig) -> Self {
        let ms = Duration::from_millis;
        let mut accumulator = Accumulator::new(config, Backoff::new(ms(100), ms(1000)), false);
        accumulator.set_identity(Identity {
            producer_id: 7,
            epoch: 0,
        });
        let now = Instant::now();
        let known = Known {
            version: 0,
            stale_at: now + ms(300_000),
            leaders: LEADERS.to_vec(),
        };
        accumulator.learn(&"t".into(), known);
        Self {
            accumulator,
            now,
            flying: Vec::new(),
            log: Vec::new(),
            epoch: 0,
            next_sequence: 0,
        }
    }

    fn append(&mut self, value: u32) -> Delivery {
        self.append_in(None, value)
    }

    fn append_in(&mut self, transaction: Option<u64>, value: u32) -> Delivery {
        let record = ProducerRecord::new("t").value(value.to_be_bytes().to_vec());
        let incoming = Incoming {
            transaction,
            record: &record,
            sending: &Sending::default(),
        };
        self.accumulator
            .append(&incoming, (40, 0), || self.now, || 0)
            .unwrap()
            .delivery
    }

    fn drain(&mut self) -> Drained {
        let busy = [(1, self.flying.len())].into();
        let mut drained = self
            .accumulator
            .drain(self.now, |_, _| Some(1), &busy, true);
        for (_, batches) in std::mem::take(&mut drained.requests) {
            self.flying.extend(batches);
        }
        drained
    }

    fn complete(&mut self, batch: Batch, verdict: Verdict) {
        self.accumulator.complete(batch, verdict, self.now, 0.5);
    }

    /// What a broker does with a batch.
    fn serve(&mut self, batch: &mut Batch) -> Verdict {
        let (bytes, _) = batch.bytes().unwrap();
        let (parsed, _) = RecordBatch::parse(bytes).unwrap();
        parsed.verify_crc().unwrap();
        let header: BatchHeader = *parsed.header();
        assert!(
            header.producer_id == 7 && header.base_sequence >= 0,
            "idempotence is on"
        );
        let refuse = |code| Verdict::Refused {
            code,
            message: None,
        };
        if header.producer_epoch > self.epoch {
            if header.base_sequence != 0 {
                return refuse(ErrorCode::OutOfOrderSequenceNumber);
            }
            (self.epoch, self.next_sequence) = (header.producer_epoch, 0);
        } else if header.producer_epoch < self.epoch {
            return refuse(ErrorCode::InvalidProducerEpoch);
        } else if header.base_sequence < self.next_sequence {
            return refuse(ErrorCode::DuplicateSequenceNumber);
        } else if header.base_sequence > self.next_sequence {
            return refuse(ErrorCode::OutOfOrderSequenceNumber);
        }
        self.next_sequence += header.record_count;
        let base_offset = i64::try_from(self.log.len()).unwrap();
        for record in parsed.records(&Default::default()).unwrap() {
            let value = record.unwrap().value.unwrap();
            self.log
                .push(u32::from_be_bytes(value[..].try_into().unwrap()));
        }
        Verdict::Written {
            base_offset,
            log_append_time: None,
        }
    }
}

fn poll(delivery: Delivery) -> Poll<Result<super::super::RecordMetadata, crate::DeliveryError>> {
    pin!(delivery).poll(&mut Context::from_waker(Waker::noop()))
}

/// Batches of one record each.
fn tiny() -> ProducerConfig {
    ProducerConfig::default().batch_size(1_usize)
}

fn lost() -> Verdict {
    Verdict::Unanswered(CallError::lost(Error::Unavailable("reset".to_owned())))
}

#[test]
fn a_batch_lingers_until_it_is_full_flushed_or_its_time_has_come() {
    let mut bench = Bench::new(ProducerConfig::default().enable_idempotence(false));
    let _delivery = bench.append(1);
    let look = |bench: &mut Bench| {
        let drained = bench
            .accumulator
            .drain(bench.now, |_, _| Some(1), &BTreeMap::new(), false);
        (drained.requests.len(), drained.wake_at)
    };
    let lingered = bench.now + Duration::from_millis(5);
    assert_eq!(look(&mut bench), (0, Some(lingered)));
    bench.now = lingered;
    assert_eq!(look(&mut bench).0, 1);
    let _delivery = bench.append(2);
    assert_eq!(look(&mut bench).0, 0);
    bench.accumulator.flush();
    assert_eq!(look(&mut bench).0, 1);
}

#[test]
fn no_more_than_five_batches_of_a_partition_are_in_flight() {
    let mut bench = Bench::new(tiny());
    let _all: Vec<_> = (0..9).map(|value| bench.append(value)).collect();
    bench.drain();
    let mut first = bench.flying.pop().unwrap();
    let written = bench.serve(&mut first);
    bench.complete(first, written);
    for _ in 0..9 {
        bench.drain();
    }
    assert_eq!(bench.flying.len(), 5);
}

/// Found by kills: a batch waited for a connection, more than five others were written meanwhile over another one, and
/// the broker, which had it but had forgotten it, took it again.
#[test]
fn no_more_batches_are_written_behind_one_that_is_not_settled_than_a_broker_remembers() {
    let mut bench = Bench::new(tiny());
    let _all: Vec<_> = (0..12).map(|value| bench.append(value)).collect();
    bench.drain();
    let mut first = bench.flying.pop().unwrap();
    let written = bench.serve(&mut first);
    bench.complete(first, written);
    for _ in 0..9 {
        bench.drain();
    }
    let mut late = bench.flying.remove(0);
    bench.serve(&mut late);
    for mut batch in std::mem::take(&mut bench.flying) {
        let written = bench.serve(&mut batch);
        bench.complete(batch, written);
    }
    for _ in 0..9 {
        bench.drain();
    }
    assert_eq!(bench.flying.len(), 0);
    bench.complete(late, lost());
    bench.now += Duration::from_secs(1);
    for _ in 0..9 {
        bench.drain();
    }
    assert_eq!(bench.flying.len(), 1);
    let mut again = bench.flying.pop().unwrap();
    let known = bench.serve(&mut again);
    assert!(matches!(
        known,
        Verdict::Refused {
            code: ErrorCode::DuplicateSequenceNumber,
            ..
        }
    ));
    bench.complete(again, known);
    for _ in 0..9 {
        bench.drain();
    }
    assert_eq!(bench.flying.len(), 5);
}

/// A broker takes any number first from a producer that it does not know. Found by the simulation:
/// the second batch came through on a new connection, and the first one behind it.
#[test]
fn until_the_broker_knows_the_producer_one_batch_of_a_partition_is_in_flight() {
    let mut bench = Bench::new(tiny());
    let _all: Vec<_> = (0..3).map(|value| bench.append(value)).collect();
    bench.drain();
    bench.drain();
    assert_eq!(bench.flying.len(), 1);
    let first = bench.flying.pop().unwrap();
    bench.complete(first, lost());
    bench.now += Duration::from_secs(1);
    bench.drain();
    bench.drain();
    assert_eq!(bench.flying.len(), 1);
    let mut first = bench.flying.pop().unwrap();
    let written = bench.serve(&mut first);
    bench.complete(first, written);
    bench.drain();
    bench.drain();
    assert_eq!(bench.flying.len(), 2);
    assert_eq!(bench.log, [0]);
}

#[test]
fn a_batch_that_is_too_large_is_split_and_every_record_finds_its_offset() {
    let mut bench = Bench::new(ProducerConfig::default());
    let deliveries: Vec<_> = (0..5).map(|value| bench.append(value)).collect();
    bench.drain();
    let mut batch = bench.flying.pop().unwrap();
    batch.bytes().unwrap();
    let refusal = Verdict::Refused {
        code: ErrorCode::MessageTooLarge,
        message: None,
    };
    bench.complete(batch, refusal);
    while bench.accumulator.settled_below() == 0 {
        bench.now += Duration::from_secs(1);
        bench.drain();
        for mut batch in std::mem::take(&mut bench.flying) {
            let verdict = bench.serve(&mut batch);
            bench.complete(batch, verdict);
        }
    }
    assert_eq!(bench.log, [0, 1, 2, 3, 4]);
    for (offset, delivery) in deliveries.into_iter().enumerate() {
        let Poll::Ready(Ok(metadata)) = poll(delivery) else {
            panic!("not delivered")
        };
        assert_eq!(metadata.offset, i64::try_from(offset).ok());
    }
}

#[test]
fn a_record_that_is_too_large_alone_fails_and_was_not_written() {
    let mut bench = Bench::new(tiny());
    let delivery = bench.append(1);
    bench.drain();
    let batch = bench.flying.pop().unwrap();
    let refusal = Verdict::Refused {
        code: ErrorCode::MessageTooLarge,
        message: None,
    };
    bench.complete(batch, refusal);
    let Poll::Ready(Err(error)) = poll(delivery) else {
        panic!("not failed")
    };
    assert!(!error.may_have_been_written);
    assert_eq!(error.error.code(), Some(ErrorCode::MessageTooLarge));
}

#[test]
fn a_record_whose_request_was_lost_may_have_been_written() {
    let mut bench = Bench::new(tiny());
    let (sent, unsent) = (bench.append(1), bench.append(2));
    bench.drain();
    let batch = bench.flying.pop().unwrap();
    bench.complete(batch, lost());
    bench.now += Duration::from_secs(121);
    bench.drain();
    let Poll::Ready(Err(error)) = poll(sent) else {
        panic!("not failed")
    };
    assert!(error.may_have_been_written, "{error}");
    let Poll::Ready(Err(error)) = poll(unsent) else {
        panic!("not failed")
    };
    assert!(!error.may_have_been_written, "{error}");
}

#[test]
fn a_batch_that_was_written_too_late_has_failed_and_the_numbers_go_on() {
    let mut bench = Bench::new(tiny());
    let deliveries = [bench.append(1), bench.append(2)];
    bench.drain();
    let mut late = bench.flying.pop().unwrap();
    let written = bench.serve(&mut late);
    late.expire(true);
    bench.complete(late, written);
    bench.drain();
    let mut next = bench.flying.pop().unwrap();
    let written = bench.serve(&mut next);
    bench.complete(next, written);
    let [late, next] = deliveries.map(poll);
    assert!(matches!(late, Poll::Ready(Err(error)) if error.may_have_been_written));
    assert!(matches!(next, Poll::Ready(Ok(_))));
    assert_eq!((bench.epoch, bench.next_sequence), (0, 2));
    assert_eq!(bench.accumulator.settled_below(), 2);
}

/// The producer closes and does not wait any longer.
#[test]
fn a_transaction_that_lost_a_queued_record_is_not_committed() {
    let mut bench = Bench::new(tiny().transactional_id(Some("x".to_owned())));
    let identity = Identity {
        producer_id: 7,
        epoch: 0,
    };
    let answer = Ok(Answer::Is(identity, Protocol::V2));
    let (now, step) = (bench.now, Step::Init(None));
    bench.accumulator.step_answered(&step, answer, now, 0.5);
    let machine = bench.accumulator.transactions.as_mut().unwrap();
    let number = machine.begin().unwrap().unwrap();
    let [sent, queued] = [1, 2].map(|value| bench.append_in(Some(number), value));
    bench.drain();
    let machine = bench.accumulator.transactions.as_mut().unwrap();
    machine.commit(number).unwrap();
    bench.accumulator.abort(&Error::Closed);
    assert!(matches!(poll(queued), Poll::Ready(Err(_))));
    let mut batch = bench.flying.pop().unwrap();
    let written = bench.serve(&mut batch);
    bench.complete(batch, written);
    assert!(matches!(poll(sent), Poll::Ready(Ok(_))));
    assert_eq!(bench.accumulator.next_step(bench.now), Next::Nothing);
    let machine = bench.accumulator.transactions.as_mut().unwrap();
    assert!(machine.commit(number).unwrap_err().is_abortable());
}

proptest! {
    /// Whatever is lost, refused, doubled or late: what is acknowledged is in the log once and in
    /// order, and numbering never goes off.
    #[test]
    fn order_and_uniqueness_survive_any_failures(
        fates in proptest::collection::vec((0_usize..5, 0_u8..6), 1..200),
    ) {
        let mut bench = Bench::new(tiny());
        let mut deliveries = Vec::new();
        let mut value = 0;
        for (pick, fate) in fates {
            if value < 60 {
                deliveries.push((value, bench.append(value)));
                value += 1;
            }
            bench.now += Duration::from_millis(700);
            bench.drain();
            if bench.flying.is_empty() {
                continue;
            }
            // A connection answers in order; a broken one fails all that is in flight.
            if fate == 0 {
                for (at, mut batch) in std::mem::take(&mut bench.flying).into_iter().enumerate() {
                    if at < pick {
                        bench.serve(&mut batch);
                    }
                    bench.complete(batch, lost());
                }
                continue;
            }
            let mut batch = bench.flying.remove(0);
            let verdict = match fate {
                1 => Verdict::Refused { code: ErrorCode::NotLeaderOrFollower, message: None },
                2 => Verdict::Refused { code: ErrorCode::InvalidRecord, message: None },
                _ => bench.serve(&mut batch),
            };
            bench.complete(batch, verdict);
        }
        let mut rounds = 0;
        while bench.accumulator.flush() != bench.accumulator.settled_below() {
            rounds += 1;
            prop_assert!(rounds < 500, "hung");
            bench.now += Duration::from_millis(200);
            bench.drain();
            for mut batch in std::mem::take(&mut bench.flying) {
                let verdict = bench.serve(&mut batch);
                bench.complete(batch, verdict);
            }
        }
        prop_assert!(bench.log.is_sorted_by(|a, b| a < b), "{:?}", bench.log);
        for (value, delivery) in deliveries {
            match poll(delivery) {
                Poll::Ready(Ok(_)) => prop_assert!(bench.log.contains(&value)),
                Poll::Ready(Err(error)) => prop_assert!(
                    error.may_have_been_written || !bench.log.contains(&value)
                ),
                Poll::Pending => prop_assert!(false, "forgotten"),
            }
        }
    }
}
