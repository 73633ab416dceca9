//! Time is tokio's: a test moves it, and nothing waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ottla_broker::config::BrokerConfig;
use ottla_broker::{Broker, InProcess};
use ottla_client::{Client, Consumer, Event};
use ottla_protocol::message::Request;
use ottla_protocol::service::{Answer, Connection, Service};
use ottla_protocol::{ErrorCode, StrBytes};
use tokio::time::Instant;

use crate::raw::{Raw, batch, batch_at, fetch, produce};

async fn ephemeral() -> Broker {
    Broker::builder().ephemeral().seed(1).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_member_that_went_silent_is_replaced_when_its_session_of_45_s_is_over() {
    let broker = ephemeral().await;
    let silent = Raw::to(&broker).become_member().await;
    let start = Instant::now();
    // The rebalance waits for the silent member as long as it may still be alive.
    let next = Raw::to(&broker).become_member().await;
    assert_eq!(start.elapsed(), Duration::from_secs(45));
    assert_eq!(next.leader, next.member_id);
    let raw = Raw::to(&broker);
    assert_eq!(raw.heartbeat(&silent).await, ErrorCode::UnknownMemberId);
    assert_eq!(raw.heartbeat(&next).await, ErrorCode::None);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_waits_in_the_time_of_the_test() {
    let broker = ephemeral().await;
    let raw = Raw::to(&broker);
    let topic = raw.create_topic("orders").await;
    let start = Instant::now();
    raw.call(fetch(topic, 0, 3_600_000)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(3600));
}

#[tokio::test(start_paused = true)]
async fn retention_follows_the_time_of_the_test() {
    let settings = [("log.retention.ms", "3600000"), ("log.roll.ms", "1800000")];
    let config = BrokerConfig::from_entries(settings).unwrap();
    let broker = Broker::builder().config(config).seed(1);
    let broker = broker.start().await.unwrap();
    let raw = Raw::to(&broker);
    let topic = raw.create_topic("orders").await;
    raw.call(produce(topic, batch(b"old"))).await;
    tokio::time::sleep(Duration::from_secs(4000)).await;
    // The segment that is written to stays, so another has to begin.
    raw.call(produce(topic, batch_at(4_000_000, b"new"))).await;
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert_eq!(raw.fetch(topic, 1).await.log_start_offset, 1);
}

/// A way to the broker that can be cut: then nothing is answered any more.
struct Cable {
    service: InProcess,
    cut: Arc<AtomicBool>,
}

struct CableConnection {
    connection: Box<dyn Connection>,
    cut: Arc<AtomicBool>,
}

impl Service for Cable {
    fn connect(&self) -> std::io::Result<Box<dyn Connection>> {
        Ok(Box::new(CableConnection {
            connection: self.service.connect()?,
            cut: Arc::clone(&self.cut),
        }))
    }
}

impl Connection for CableConnection {
    fn call(&self, request: Request, api_version: i16, client_id: &StrBytes) -> Answer {
        if self.cut.load(Ordering::Relaxed) {
            return Box::pin(std::future::pending());
        }
        self.connection.call(request, api_version, client_id)
    }
}

async fn member(service: impl Service + 'static) -> Consumer {
    let client = Client::builder().in_process(service).seed(1);
    let client = client.connect().await.unwrap();
    let consumer = client.consumer("group").subscribe(["orders"]);
    consumer.build().await.unwrap()
}

async fn assigned(consumer: &mut Consumer) -> usize {
    loop {
        if let Event::Assigned(partitions) = consumer.next_event().await.unwrap() {
            return partitions.len();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_takes_over_when_the_session_of_one_that_was_cut_off_is_over() {
    let broker = ephemeral().await;
    Raw::to(&broker).create_topic("orders").await;
    let cut = Arc::new(AtomicBool::new(false));
    let cable = Cable {
        service: broker.in_process(),
        cut: Arc::clone(&cut),
    };
    let mut silent = member(cable).await;
    assert_eq!(assigned(&mut silent).await, 1);
    cut.store(true, Ordering::Relaxed);
    let start = Instant::now();
    let mut next = member(broker.in_process()).await;
    assert_eq!(assigned(&mut next).await, 1);
    // From the last heartbeat on, of which there is one every 3 s.
    let seconds = start.elapsed().as_secs();
    assert!((42..50).contains(&seconds), "{seconds} s");
}
