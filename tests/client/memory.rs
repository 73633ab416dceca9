//! The byte budget of a consumer, by its own account and by the allocator's.
//!
//! The broker is at the other end of a socket and on another thread, so that what this thread allocates is the
//! client's.

#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]

use ottla_broker::Broker;
use ottla_client::admin::NewTopic;
use ottla_client::config::{AutoOffsetReset, ConsumerConfig};
use ottla_client::consumer::{Consumer, Event, Records};
use ottla_client::{Client, Compression, ProducerRecord, TopicPartition};

const PARTITIONS: i32 = 1000;
const BUDGET: usize = 64 << 20;

/// Bytes of one value, and values of one partition: 125 MiB in all.
const VALUE: usize = 16_000;
const VALUES: usize = 8;

/// What a client allocates beside records: connections, metadata, what it asks for and answers in clear.
const BESIDE: u64 = 24 << 20;

/// A broker on a thread of its own.
fn broker() -> String {
    let (sender, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let broker = Broker::builder().listen("127.0.0.1:0").ephemeral();
            let broker = broker.start().await.unwrap();
            sender
                .send(broker.local_addr().unwrap().to_string())
                .unwrap();
            std::future::pending::<()>().await;
        });
    });
    address.recv().unwrap()
}

async fn fill(client: &Client, compression: Compression) {
    let topic = NewTopic::new("t").partitions(PARTITIONS);
    client.admin().create_topics([topic]).await.unwrap()["t"]
        .as_ref()
        .unwrap();
    let producer = client
        .producer()
        .compression(compression)
        .build()
        .await
        .unwrap();
    let value = vec![7_u8; VALUE];
    for _ in 0..VALUES {
        for partition in 0..PARTITIONS {
            let record = ProducerRecord::new("t")
                .partition(partition)
                .value(value.clone());
            drop(producer.enqueue(record).await.unwrap());
        }
    }
    producer.flush().await.unwrap();
}

async fn consumer(client: &Client) -> Consumer {
    let all = (0..PARTITIONS).map(|partition| TopicPartition::new("t", partition));
    let earliest = |config: ConsumerConfig| config.auto_offset_reset(AutoOffsetReset::Earliest);
    client
        .reader()
        .with(earliest)
        .assign(all)
        .build()
        .await
        .unwrap()
}

/// Reads everything, holding on to the last `held` events, and returns the most that was accounted for.
async fn read_all(consumer: &mut Consumer, held: usize) -> usize {
    let (mut seen, mut most) = (0, 0);
    let mut holding: std::collections::VecDeque<Records> = std::collections::VecDeque::new();
    while seen < VALUES * usize::try_from(PARTITIONS).unwrap() {
        most = most.max(consumer.buffered_bytes());
        if let Event::Records(records) = consumer.next_event().await.unwrap() {
            seen += records.len();
            holding.push_back(records);
            if holding.len() > held {
                holding.pop_front();
            }
        }
        most = most.max(consumer.buffered_bytes());
    }
    most
}

/// Takes nothing until everything has arrived that is let in, and returns what is accounted for then.
async fn settled(consumer: &Consumer) -> usize {
    let (mut last, mut same) = (0, 0);
    while same < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        let now = consumer.buffered_bytes();
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

/// The most that was accounted for, and the most that was allocated.
fn measured(compression: Compression, held: usize) -> (usize, u64) {
    let bootstrap = broker();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    let connect = || {
        Client::builder()
            .bootstrap_servers(bootstrap.as_str())
            .connect()
    };
    runtime.block_on(async { fill(&connect().await.unwrap(), compression).await });
    let mut accounted = 0;
    let allocated = allocation_counter::measure(|| {
        runtime.block_on(async {
            let client = connect().await.unwrap();
            let mut consumer = consumer(&client).await;
            accounted = settled(&consumer).await;
            accounted = accounted.max(read_all(&mut consumer, held).await);
        });
    });
    (accounted, allocated.bytes_max)
}

#[test]
fn of_a_thousand_partitions_no_more_is_held_than_the_budget() {
    let (accounted, allocated) = measured(Compression::None, 100);
    // There was more to read than fits.
    assert!(accounted > BUDGET / 4 && accounted <= BUDGET, "{accounted}");
    assert!(allocated <= BUDGET as u64 + BESIDE, "{allocated}");
}

#[test]
fn what_compressed_batches_grow_to_counts_too() {
    let (accounted, allocated) = measured(Compression::Zstd, 300);
    assert!(
        accounted > BUDGET / 16 && accounted <= BUDGET,
        "{accounted}"
    );
    assert!(allocated <= BUDGET as u64 + BESIDE, "{allocated}");
}
