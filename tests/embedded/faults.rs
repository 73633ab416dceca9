//! Connections that fail when they are told to: what arrives, and what the client learns.

use std::io::ErrorKind;
use std::time::Duration;

use ottla_broker::Broker;
use ottla_broker::testing::{Action, Faults, Requests, Trigger};
use ottla_protocol::ApiKey;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::raw::{Raw, batch, produce};

/// A broker, a topic in it, a good connection and one that meets with `action` at its next Produce.
async fn with(action: Action) -> (Broker, Uuid, Raw, Raw, Faults) {
    let broker = Broker::builder().ephemeral().seed(1);
    let broker = broker.start().await.unwrap();
    let good = Raw::to(&broker);
    let topic = good.create_topic("orders").await;
    let faults = Faults::new(1);
    faults.on(Requests::of(ApiKey::Produce), Trigger::Once, action);
    let bad = Raw::connect(&faults.before(broker.in_process()));
    (broker, topic, good, bad, faults)
}

async fn written(raw: &Raw, topic: Uuid) -> i64 {
    raw.fetch(topic, 0).await.high_watermark
}

#[tokio::test(start_paused = true)]
async fn a_late_request_holds_those_behind_it_and_arrives_although_nobody_waits() {
    let (second, none) = (Duration::from_secs(1), Duration::ZERO);
    let (_broker, topic, good, bad, _) = with(Action::Delay(second, none)).await;
    drop(bad.send(produce(topic, batch(b"first"))));
    let behind = bad.send(produce(topic, batch(b"second")));
    assert_eq!(written(&good, topic).await, 0);
    let start = Instant::now();
    behind.await.unwrap();
    assert_eq!(start.elapsed(), second);
    assert_eq!(written(&good, topic).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_that_of_a_request_that_arrived_in_time() {
    let (second, none) = (Duration::from_secs(1), Duration::ZERO);
    let (_broker, topic, good, bad, _) = with(Action::Delay(none, second)).await;
    let late = bad.send(produce(topic, batch(b"value")));
    assert_eq!(written(&good, topic).await, 1);
    let start = Instant::now();
    late.await.unwrap();
    assert_eq!(start.elapsed(), second);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_tells_the_same_whether_the_request_was_applied_or_not() {
    for (action, expected) in [(Action::DisconnectBefore, 0), (Action::DisconnectAfter, 1)] {
        let (_broker, topic, good, bad, _) = with(action).await;
        let error = bad.send(produce(topic, batch(b"value"))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(written(&good, topic).await, expected);
        // It is the connection that has ended, not the request.
        let error = bad.send(produce(topic, batch(b"more"))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test(start_paused = true)]
async fn silence_lasts_until_the_connection_is_cut() {
    for (action, expected) in [(Action::SilenceBefore, 0), (Action::SilenceAfter, 1)] {
        let (_broker, topic, good, bad, faults) = with(action).await;
        let mut silent = bad.send(produce(topic, batch(b"value")));
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, &mut silent).await.is_err());
        assert_eq!(written(&good, topic).await, expected);
        faults.cut();
        let error = silent.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test(start_paused = true)]
async fn rules_that_are_cleared_strike_no_more() {
    let (_broker, topic, good, bad, faults) = with(Action::SilenceBefore).await;
    faults.clear();
    bad.call(produce(topic, batch(b"value"))).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(written(&good, topic).await, 1);
}
