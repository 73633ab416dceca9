//! A producer whose broker answers with errors, late, or not at all.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use ottla_client::config::ProducerConfig;
use ottla_client::{Client, ErrorCode, ProducerRecord};
use ottla_protocol::message::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, Request, Response,
    TopicProduceResponse,
};
use ottla_protocol::record::BatchHeader;
use tokio::time::{Instant, advance};

use super::faulty::{Fate, Faulty};
use super::{TOPIC, World, seconds};

/// A client whose requests go through `rule`.
async fn client(world: &World, rule: impl FnMut(&Request) -> Fate + Send + 'static) -> Client {
    let faulty = Faulty::new(world.broker.in_process(), rule);
    let client = Client::builder().in_process(faulty).seed(2);
    client.connect().await.unwrap()
}

fn record(value: &str) -> ProducerRecord {
    ProducerRecord::new(TOPIC).value(value.to_owned())
}

/// The same outcome for every batch of a request.
fn outcome(request: &ProduceRequest, code: ErrorCode, throttle_time_ms: i32) -> Fate {
    let responses = request.topic_data.iter().map(|topic| TopicProduceResponse {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partition_responses: topic
            .partition_data
            .iter()
            .map(|partition| PartitionProduceResponse {
                index: partition.index,
                error_code: code,
                ..PartitionProduceResponse::default()
            })
            .collect(),
    });
    Fate::Answer(Response::Produce(ProduceResponse {
        responses: responses.collect(),
        throttle_time_ms,
        ..ProduceResponse::default()
    }))
}

#[tokio::test(start_paused = true)]
async fn after_a_leadership_change_a_producer_asks_for_the_new_leader() {
    for code in [
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::LeaderNotAvailable,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::KafkaStorageError,
    ] {
        let world = World::new(1).await;
        let asked = Arc::new(AtomicU32::new(0));
        let (asked_here, mut produced) = (Arc::clone(&asked), 0);
        let client = client(&world, move |request| match request {
            Request::Produce(request) => {
                produced += 1;
                if produced <= 2 {
                    return outcome(request, code, 0);
                }
                Fate::Pass
            }
            Request::Metadata(_) => {
                asked_here.fetch_add(1, Ordering::Relaxed);
                Fate::Pass
            }
            _ => Fate::Pass,
        })
        .await;
        let producer = client.producer().build().await.unwrap();
        let delivery = producer.enqueue(record("1")).await.unwrap();
        let before = asked.load(Ordering::Relaxed);
        assert_eq!(delivery.await.unwrap().offset, Some(0), "{code}");
        assert!(asked.load(Ordering::Relaxed) > before, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_producer_asks_again_when_what_it_knows_of_a_topic_is_old() {
    let world = World::new(1).await;
    let client = client(&world, |_| Fate::Pass).await;
    let producer = client.producer().build().await.unwrap();
    producer.send(record("1")).await.unwrap();
    let admin = world.client.admin();
    admin.create_partitions(TOPIC, 2).await.unwrap();
    let second = || record("2").partition(1);
    // It does not look before `metadata.max.age.ms`, and then without holding a record up.
    producer.send(second()).await.unwrap_err();
    advance(seconds(301)).await;
    producer.send(record("3")).await.unwrap();
    advance(seconds(1)).await;
    producer.send(record("4")).await.unwrap();
    assert_eq!(producer.send(second()).await.unwrap().partition, 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_refused_number_records_are_written_once_and_with_numbers() {
    let world = World::new(1).await;
    let headers = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&headers);
    let client = client(&world, move |request| {
        let Request::Produce(request) = request else {
            return Fate::Pass;
        };
        let bytes = request.topic_data[0].partition_data[0].records.as_ref();
        let mut seen = seen.lock().unwrap();
        seen.push(BatchHeader::decode(bytes.unwrap()).unwrap());
        match seen.len() {
            2 => outcome(request, ErrorCode::OutOfOrderSequenceNumber, 0),
            4 => outcome(request, ErrorCode::UnknownProducerId, 0),
            _ => Fate::Pass,
        }
    })
    .await;
    let producer = client.producer().build().await.unwrap();
    for offset in 0..4 {
        let written = producer.send(record("x")).await.unwrap();
        assert_eq!(written.offset, Some(offset));
    }
    let headers = headers.lock().unwrap();
    let numbers: Vec<_> = headers
        .iter()
        .map(|header| (header.producer_epoch, header.base_sequence))
        .collect();
    assert_eq!(numbers, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
    assert!(headers.iter().all(|header| header.producer_id >= 0));
}

#[tokio::test(start_paused = true)]
async fn a_failed_delivery_tells_whether_its_record_may_have_been_written() {
    let world = World::new(1).await;
    for (silent, may) in [(true, true), (false, false)] {
        let client = client(&world, move |request| match request {
            Request::Produce(_) if silent => Fate::Silence,
            Request::Produce(request) => outcome(request, ErrorCode::NotLeaderOrFollower, 0),
            _ => Fate::Pass,
        })
        .await;
        let producer = client.producer().build().await.unwrap();
        let delivery = producer.enqueue(record("1")).await.unwrap();
        let error = delivery.await.unwrap_err();
        assert!(error.error.is_retriable(), "{error}");
        assert_eq!(error.may_have_been_written, may, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_for_as_long_as_the_broker_asks_for_a_pause() {
    let world = World::new(1).await;
    let at = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&at);
    let client = client(&world, move |request| {
        let Request::Produce(request) = request else {
            return Fate::Pass;
        };
        let mut seen = seen.lock().unwrap();
        seen.push(Instant::now());
        match seen.len() {
            1 => outcome(request, ErrorCode::None, 7000),
            _ => Fate::Pass,
        }
    })
    .await;
    let config = ProducerConfig::default().enable_idempotence(false);
    let producer = client.producer().config(config).build().await.unwrap();
    producer.send(record("1")).await.unwrap();
    producer.send(record("2")).await.unwrap();
    let at = at.lock().unwrap();
    assert!(at[1] - at[0] >= seconds(7), "{:?}", at[1] - at[0]);
}

/// The first partition is refused until little time is left, and the answer to the last attempt is late.
#[tokio::test(start_paused = true)]
async fn a_batch_that_runs_out_of_time_does_not_take_down_those_in_the_same_request() {
    let world = World::new(2).await;
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (seen, start) = (Arc::clone(&requests), Instant::now());
    let client = client(&world, move |request| {
        let Request::Produce(request) = request else {
            return Fate::Pass;
        };
        let partitions = &request.topic_data[0].partition_data;
        let partitions: Vec<i32> = partitions.iter().map(|data| data.index).collect();
        if start.elapsed() < seconds(8) {
            return outcome(request, ErrorCode::NotLeaderOrFollower, 0);
        }
        seen.lock().unwrap().push(partitions);
        Fate::Late(seconds(4))
    })
    .await;
    let config = ProducerConfig::default().request_timeout(seconds(9));
    let config = config
        .delivery_timeout(seconds(10))
        .enable_idempotence(false);
    let producer = client.producer().config(config).build().await.unwrap();
    let old = producer.enqueue(record("1").partition(0)).await.unwrap();
    tokio::time::sleep(seconds(7)).await;
    let new = producer.enqueue(record("2").partition(1)).await.unwrap();
    let error = old.await.unwrap_err();
    assert!(error.may_have_been_written, "{error}");
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(new.await.unwrap().offset, Some(0));
    assert_eq!(
        requests
            .lock()
            .unwrap()
            .iter()
            .flatten()
            .filter(|partition| **partition == 1)
            .count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_not_there_is_asked_for_only_while_somebody_wants_it() {
    let world = World::new(1).await;
    let asked = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&asked);
    let client = client(&world, move |request| {
        if matches!(request, Request::Metadata(_)) {
            seen.fetch_add(1, Ordering::Relaxed);
        }
        Fate::Pass
    })
    .await;
    let producer = client.producer().build().await.unwrap();
    let before = asked.load(Ordering::Relaxed);
    let missing = ProducerRecord::new("missing").value("1");
    producer.try_enqueue(missing).unwrap_err();
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(asked.load(Ordering::Relaxed), before + 1);
}
