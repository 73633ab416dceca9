//! Transactions of real clients: Java in the second protocol, the others in whichever they speak.

use ottla_tests::client::{AIOKAFKA, CONFLUENT, FRANZ_GO, JAVA, KAFKAJS};
use ottla_tests::{Broker, Line};

use crate::scenarios::{transactions_are_all_or_nothing, unique};

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
