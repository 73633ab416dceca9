//! The same seed, the same run: every request and every answer at the same moment.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ottla_broker::Broker;
use ottla_client::admin::NewTopic;
use ottla_client::config::{AutoOffsetReset, ConsumerConfig, GroupProtocol};
use ottla_client::{Client, Event, ProducerRecord};
use ottla_protocol::StrBytes;
use ottla_protocol::message::Request;
use ottla_protocol::service::{Answer, Connection, Service};
use tokio::time::Instant;

use crate::raw::Raw;

/// What went to and fro, one line each.
#[derive(Clone)]
struct Trace {
    start: Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Trace {
    fn add(&self, line: &str) {
        let at = self.start.elapsed().as_micros();
        self.lines.lock().unwrap().push(format!("{at} µs {line}"));
    }
}

/// A service with a trace of all its connections.
struct Traced<S> {
    service: S,
    trace: Trace,
    connections: AtomicU32,
}

impl<S: Service> Service for Traced<S> {
    fn connect(&self) -> std::io::Result<Box<dyn Connection>> {
        Ok(Box::new(TracedConnection {
            connection: self.service.connect()?,
            trace: self.trace.clone(),
            number: self.connections.fetch_add(1, Ordering::Relaxed),
        }))
    }
}

struct TracedConnection {
    connection: Box<dyn Connection>,
    trace: Trace,
    number: u32,
}

impl Connection for TracedConnection {
    fn call(&self, request: Request, api_version: i16, client_id: &StrBytes) -> Answer {
        let (number, trace) = (self.number, self.trace.clone());
        trace.add(&format!("{number} {client_id} {api_version} > {request:?}"));
        let answer = self.connection.call(request, api_version, client_id);
        Box::pin(async move {
            let answer = answer.await;
            trace.add(&format!("{number} < {answer:?}"));
            answer
        })
    }
}

/// Producers that compete, members of groups of both protocols that come and fall silent, and an hour that passes.
fn run(seed: u64) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let trace = Trace {
            start: Instant::now(),
            lines: Arc::default(),
        };
        let broker = Broker::builder().ephemeral().seed(seed);
        let broker = broker.start().await.unwrap();
        let traced = || Traced {
            service: broker.in_process(),
            trace: trace.clone(),
            connections: AtomicU32::default(),
        };
        let client = Client::builder().in_process(traced()).seed(seed);
        let client = client.connect().await.unwrap();
        let topic = NewTopic::new("orders").partitions(5);
        client.admin().create_topics([topic]).await.unwrap();
        let members: Vec<_> = (0..3)
            .map(|_| {
                let raw = Raw::connect(&traced());
                tokio::spawn(async move { raw.become_member().await })
            })
            .collect();
        let readers: Vec<_> = (0..2)
            .map(|_| tokio::spawn(consume(client.clone())))
            .collect();
        let producers: Vec<_> = (0..4).map(|name| produce(client.clone(), name)).collect();
        for task in producers.into_iter().map(tokio::spawn) {
            task.await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        for reader in readers {
            reader.abort();
        }
        tokio::time::sleep(Duration::from_secs(3600)).await;
        for member in members {
            member.abort();
        }
        client.admin().describe_cluster().await.unwrap();
        broker.shutdown().await.unwrap();
        std::mem::take(&mut *trace.lines.lock().unwrap())
    })
}

async fn produce(client: Client, name: u32) {
    let producer = client.producer().build().await.unwrap();
    for value in 0..50 {
        let record = ProducerRecord::new("orders").value(format!("{name}-{value}"));
        drop(producer.enqueue(record).await.unwrap());
        if value % 10 == 0 {
            tokio::task::yield_now().await;
        }
    }
    producer.flush().await.unwrap();
}

async fn consume(client: Client) {
    let settings = |config: ConsumerConfig| {
        let config = config.auto_offset_reset(AutoOffsetReset::Earliest);
        config.group_protocol(GroupProtocol::Consumer)
    };
    let consumer = client.consumer("readers").with(settings);
    let mut consumer = consumer.subscribe(["orders"]).build().await.unwrap();
    while let Ok(event) = consumer.next_event().await {
        if let Event::Records(records) = event {
            consumer.ack(&records);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let (first, second) = (run(42), run(42));
    assert!(first.len() > 40, "{first:#?}");
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(first, second);
    }
    assert_eq!(first.len(), second.len());
}

#[test]
fn another_seed_gives_another_trace() {
    assert_ne!(run(1), run(2));
}
