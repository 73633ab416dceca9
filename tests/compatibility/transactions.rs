//! Transactions of real clients: Java in the second protocol, the others in whichever they speak.

use ottla_tests::client::{AIOKAFKA, CONFLUENT, FRANZ_GO, JAVA, KAFKAJS};
use ottla_tests::{Broker, Line};

use crate::scenarios::{kafka_tool, transactions_are_all_or_nothing, unique};

#[test]
fn java_commits_aborts_is_fenced_times_out_and_is_administered() {
    if !JAVA.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(&JAVA, "transactions");
    let lines = JAVA
        .run(&broker, "transactions", &["--topic", &topic])
        .finish();
    let steps = [
        "commitsAndAborts",
        "openTransactionsHoldReaders",
        "offsetsGoWithTheTransaction",
        "aNewInstanceFencesTheOld",
        "transactionsTimeOut",
        "administratorsSeeAndAbort",
    ];
    assert_eq!(lines, steps.map(|step| Line::Checked(step.to_string())));
}

#[test]
fn librdkafka_sees_transactions_all_or_nothing() {
    transactions_are_all_or_nothing(&CONFLUENT, "5");
}

#[test]
fn aiokafka_sees_transactions_all_or_nothing() {
    transactions_are_all_or_nothing(&AIOKAFKA, "5");
}

#[test]
fn kafkajs_sees_transactions_all_or_nothing() {
    transactions_are_all_or_nothing(&KAFKAJS, "5");
}

/// An aborted copy is repeated: of the six transactions, three moved on.
#[test]
fn franz_go_sees_transactions_all_or_nothing() {
    transactions_are_all_or_nothing(&FRANZ_GO, "3");
}

/// What `kafka-transactions` prints.
fn kafka_transactions(broker: &Broker, arguments: &[&str]) -> String {
    kafka_tool(
        broker,
        "org.apache.kafka.tools.TransactionsCommand",
        arguments,
    )
}

#[test]
fn kafka_transactions_shows_and_aborts_an_open_transaction() {
    if !JAVA.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(&JAVA, "held");
    JAVA.create_topic(&broker, &topic, 1);
    let mut holder = JAVA.run(&broker, "hold-transaction", &["--topic", &topic]);
    holder.wait_for("it has a transaction", |line| {
        matches!(line, Line::Checked(_)).then_some(())
    });
    let id = format!("{topic}-held");
    let listed = kafka_transactions(&broker, &["list"]);
    let line = listed.lines().find(|line| line.starts_with(&id));
    assert!(
        line.is_some_and(|line| line.contains("Ongoing")),
        "{listed}"
    );
    let described = kafka_transactions(&broker, &["describe", "--transactional-id", &id]);
    assert!(described.contains(&format!("{topic}-0")), "{described}");
    let partition = ["--topic", topic.as_str(), "--partition", "0"];
    let producers = [&["describe-producers"], &partition[..]].concat();
    let before = kafka_transactions(&broker, &producers);
    assert!(!before.contains("None"), "{before}");
    // It is open, but its coordinator knows of it.
    let hanging = [
        "find-hanging",
        "--broker-id",
        "1",
        "--max-transaction-timeout",
        "0",
    ];
    let hanging = kafka_transactions(&broker, &hanging);
    assert!(
        hanging.contains("ProducerId") && !hanging.contains(&topic),
        "{hanging}"
    );
    let abort = [&["abort"], &partition[..], &["--start-offset", "0"]].concat();
    kafka_transactions(&broker, &abort);
    let after = kafka_transactions(&broker, &producers);
    assert!(after.contains("None"), "{after}");
}
