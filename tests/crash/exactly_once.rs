//! A consume-transform-produce loop under kill -9, of the broker and of the loop itself: each record of the input is
//! in the output exactly once, for readers of committed records.
//!
//! `OTTLA_KILLS` sets how often something is killed; 100 before a release.

use ottla_tests::client::JAVA;
use ottla_tests::deadline::now_ms;
use ottla_tests::record::{Bytes, Numbered, Record};
use ottla_tests::{Broker, Line, Program};

const PARTITIONS: i32 = 3;
/// Records of the input for each kill: the loop needs several transactions for them.
const ROUND: usize = 300;

fn kills() -> usize {
    let given = std::env::var("OTTLA_KILLS").ok();
    given.map_or(5, |kills| kills.parse().expect("OTTLA_KILLS is a number"))
}

fn record(index: usize) -> Record {
    let partition = i32::try_from(index).expect("a small index") % PARTITIONS;
    Record {
        partition,
        key: Bytes(None),
        value: Bytes::from(index.to_string().as_str()),
        headers: Vec::new(),
        timestamp: now_ms(),
    }
}

fn pump(broker: &Broker) -> Program {
    let arguments = ["--topic", "input", "--to", "output", "--group", "pump"];
    JAVA.run(broker, "pump", &arguments)
}

fn feed(producer: &mut Program, from: usize, count: usize) {
    for index in from..from + count {
        let number = u64::try_from(index).expect("a small index");
        producer.send(&Numbered {
            index: number,
            record: &record(index),
        });
    }
    producer.acks(count);
}

/// The first `count` indices of the output, in its order.
fn committed(broker: &Broker, count: usize) -> Vec<usize> {
    let count_text = count.to_string();
    let arguments = [
        "--topic",
        "output",
        "--count",
        &count_text,
        "--set",
        "isolation.level=read_committed",
    ];
    let mut reader = JAVA.run(broker, "consume", &arguments);
    let read = reader.records(count);
    let index = |value: &Bytes| {
        let value = value.0.as_ref().expect("a value");
        let text = std::str::from_utf8(value).expect("a number");
        text.parse().expect("a number")
    };
    read.iter().map(|read| index(&read.record.value)).collect()
}

#[test]
fn kill_9_in_transactions_loses_and_repeats_nothing() {
    if JAVA.is_here() {
        pump_under_kills(&[]);
    }
}

/// Where the markers of the partitions are written after the decision.
#[test]
fn kill_9_in_transactions_besides_the_journal_loses_and_repeats_nothing() {
    if JAVA.is_here() {
        pump_under_kills(&["log.flush.interval.messages=100000"]);
    }
}

fn pump_under_kills(settings: &[&str]) {
    let mut broker = Broker::start_own(settings);
    JAVA.create_topic(&broker, "input", PARTITIONS);
    JAVA.create_topic(&broker, "output", 1);
    let mut producer = JAVA.producer(&broker, "input", "none");
    let mut running = pump(&broker);
    let mut sent = 0;
    for kill in 0..kills() {
        feed(&mut producer, sent, ROUND);
        sent += ROUND;
        // Another number of transactions each time, so that each kill meets the loop elsewhere.
        for _ in 0..=(kill * 7 % 5) {
            running.wait_for("it committed", |line| {
                matches!(line, Line::Checked(_)).then_some(())
            });
        }
        if kill % 3 == 2 {
            running.kill();
            running = pump(&broker);
        } else {
            broker.kill();
            broker.start_again();
        }
    }
    committed(&broker, sent);
    // All are there. One more at the end shows whether any came again.
    feed(&mut producer, sent, 1);
    let mut found = committed(&broker, sent + 1);
    assert_eq!(found.last(), Some(&sent), "records come again at the end");
    found.sort_unstable();
    let expected: Vec<usize> = (0..=sent).collect();
    assert_eq!(found, expected);
}
