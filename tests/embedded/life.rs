//! Starting, stopping in good order, and dropping.

use std::io::ErrorKind;
use std::time::Duration;

use ottla_broker::Broker;
use ottla_protocol::ErrorCode;
use ottla_protocol::message::{ApiVersionsRequest, FetchResponse};
use ottla_protocol::service::Service as _;
use ottla_protocol::{decode_response, encode_request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::raw::{Raw, batch, fetch, newest, produce};

#[tokio::test]
async fn a_directory_can_be_opened_again_at_once_when_its_broker_is_dropped_and_holds_what_was_acknowledged()
 {
    let dir = tempfile::tempdir().unwrap();
    let mut topic = None;
    for count in 0..5 {
        let broker = Broker::builder().data_dir(dir.path()).start().await;
        let broker = broker.unwrap();
        let raw = Raw::to(&broker);
        if topic.is_none() {
            topic = Some(raw.create_topic("orders").await);
        }
        let topic = topic.unwrap();
        assert_eq!(raw.fetch(topic, count).await.high_watermark, count);
        raw.call(produce(topic, batch(b"value"))).await;
        drop(broker);
    }
}

#[tokio::test]
async fn two_brokers_cannot_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let start = || Broker::builder().data_dir(dir.path()).start();
    let first = start().await.unwrap();
    let refused = start().await.err().unwrap().to_string();
    assert!(refused.contains("is in use"), "{refused}");
    drop(first);
}

#[tokio::test]
async fn an_ephemeral_broker_forgets() {
    for _ in 0..2 {
        let broker = Broker::builder().ephemeral().start().await.unwrap();
        Raw::to(&broker).create_topic("orders").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_orderly_stop_answers_what_waits() {
    let broker = Broker::builder().ephemeral().start().await.unwrap();
    let raw = Raw::to(&broker);
    let topic = raw.create_topic("orders").await;
    let waiting = tokio::spawn(raw.send(fetch(topic, 0, 600_000)));
    tokio::task::yield_now().await;
    let start = Instant::now();
    broker.shutdown().await.unwrap();
    let answer = waiting.await.unwrap().unwrap().unwrap();
    let answer = FetchResponse::try_from(answer).unwrap();
    assert_eq!(answer.error_code, ErrorCode::None);
    assert!(start.elapsed().is_zero());
}

#[tokio::test]
async fn an_orderly_stop_answers_what_waits_over_tcp() {
    let broker = Broker::builder().ephemeral().listen("127.0.0.1:0");
    let broker = broker.start().await.unwrap();
    let topic = Raw::to(&broker).create_topic("orders").await;
    let mut stream = TcpStream::connect(broker.local_addr().unwrap())
        .await
        .unwrap();
    let version = newest::<ottla_protocol::message::FetchRequest>();
    let first = encode_request(&ApiVersionsRequest::default().into(), 0, 1, None).unwrap();
    let waiting = fetch(topic, 0, 600_000).into();
    let waiting = encode_request(&waiting, version, 2, None).unwrap();
    stream.write_all(&first.into_bytes()).await.unwrap();
    stream.write_all(&waiting.into_bytes()).await.unwrap();
    // Both were read together, so that the second is with the broker when the first is answered.
    frame(&mut stream).await;
    broker.shutdown().await.unwrap();
    let answer = frame(&mut stream).await;
    let (header, _) = decode_response(ottla_protocol::ApiKey::Fetch, version, answer).unwrap();
    assert_eq!(header.correlation_id, 2);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

async fn frame(stream: &mut TcpStream) -> bytes::Bytes {
    let len = stream.read_i32().await.unwrap();
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes.into()
}

#[tokio::test(start_paused = true)]
async fn an_orderly_stop_does_not_wait_for_ever_for_an_answer_that_nobody_takes() {
    let broker = Broker::builder().ephemeral().start().await.unwrap();
    let raw = Raw::to(&broker);
    let topic = raw.create_topic("orders").await;
    let not_taken = raw.send(fetch(topic, 0, 600_000));
    let start = Instant::now();
    broker.shutdown().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    drop(not_taken);
}

#[tokio::test]
async fn after_the_drop_waits_end_with_an_error_and_nothing_connects() {
    let broker = Broker::builder().ephemeral().listen("127.0.0.1:0");
    let broker = broker.start().await.unwrap();
    let address = broker.local_addr().unwrap();
    let service = broker.in_process();
    let raw = Raw::to(&broker);
    let topic = raw.create_topic("orders").await;
    let waiting = tokio::spawn(raw.send(fetch(topic, 0, 600_000)));
    let mut stream = TcpStream::connect(address).await.unwrap();
    tokio::task::yield_now().await;
    drop(broker);
    let lost = waiting.await.unwrap().unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::NotConnected);
    let refused = raw.send(fetch(topic, 0, 0)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotConnected);
    let refused = service.connect().err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::NotConnected);
    // A reset, when the connection was not even accepted yet.
    assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
    assert!(TcpStream::connect(address).await.is_err());
}
