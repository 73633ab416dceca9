//! What is handed over without a socket is what a socket would have brought.

use std::io::ErrorKind;

use ottla_broker::Broker;
use ottla_protocol::message::{FetchRequest, MetadataRequest, ProduceRequest};
use ottla_protocol::service::Service as _;
use ottla_protocol::{ErrorCode, StrBytes};

use crate::raw::{Raw, batch, fetch, newest, produce};

async fn ephemeral() -> Broker {
    Broker::builder().ephemeral().seed(1).start().await.unwrap()
}

#[tokio::test]
async fn fetched_records_are_views_of_the_log() {
    let broker = ephemeral().await;
    let raw = Raw::to(&broker);
    let topic = raw.create_topic("orders").await;
    raw.call(produce(topic, batch(&[7; 10_000]))).await;
    let first = raw.fetch(topic, 0).await.records.unwrap();
    let second = raw.fetch(topic, 0).await.records.unwrap();
    assert_eq!(first.as_ptr(), second.as_ptr());
}

#[tokio::test]
async fn requests_take_effect_in_the_order_of_calls_before_anyone_waits_for_them() {
    let broker = ephemeral().await;
    let raw = Raw::to(&broker);
    let topic = raw.create_topic("orders").await;
    let first = raw.send(produce(topic, batch(b"first")));
    drop(raw.send(produce(topic, batch(b"second"))));
    assert_eq!(raw.fetch(topic, 0).await.high_watermark, 2);
    drop(first);
}

#[tokio::test]
async fn a_produce_without_acks_is_answered_with_nothing() {
    let broker = ephemeral().await;
    let raw = Raw::to(&broker);
    let topic = raw.create_topic("orders").await;
    let request = ProduceRequest {
        acks: 0,
        ..produce(topic, batch(b"value"))
    };
    assert!(raw.send(request).await.unwrap().is_none());
}

#[tokio::test]
async fn what_has_no_answer_is_an_error_and_the_broker_lives_on() {
    let broker = ephemeral().await;
    let raw = Raw::to(&broker);
    let topic = raw.create_topic("orders").await;
    let request = ProduceRequest {
        acks: 0,
        ..produce(topic, batch(b"value").slice(..20))
    };
    let error = raw.send(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert_eq!(raw.fetch(topic, 0).await.error_code, ErrorCode::None);
}

#[tokio::test]
async fn a_version_that_is_not_served_is_refused() {
    let broker = ephemeral().await;
    let connection = broker.in_process().connect().unwrap();
    let id = StrBytes::from_static("raw");
    let version = newest::<FetchRequest>() + 1;
    let refused = connection.call(FetchRequest::default().into(), version, &id);
    assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn metadata_names_the_address_that_is_listened_on() {
    let builder = Broker::builder().ephemeral().listen("127.0.0.1:0");
    let broker = builder.start().await.unwrap();
    let metadata = Raw::to(&broker).call(MetadataRequest::default()).await;
    let address = broker.local_addr().unwrap();
    assert_eq!(&*metadata.brokers[0].host, "127.0.0.1");
    assert_eq!(metadata.brokers[0].port, i32::from(address.port()));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_fetch_is_woken_by_a_produce() {
    let broker = ephemeral().await;
    let raw = Raw::to(&broker);
    let topic = raw.create_topic("orders").await;
    let waiting = tokio::spawn(raw.send(fetch(topic, 0, 600_000)));
    tokio::task::yield_now().await;
    let start = tokio::time::Instant::now();
    raw.call(produce(topic, batch(b"value"))).await;
    waiting.await.unwrap().unwrap();
    assert!(start.elapsed().is_zero());
}
