//! What happens when records come faster than they are dealt with.
//!
//!   cargo run -p ottla-client --example back_pressure -- 127.0.0.1:9092
//!
//! The producer's buffer is bounded: it refuses at once, or has its caller wait. The consumer's is
//! bounded too: when it is full, fetching stops; the member stays in its group as long as it makes
//! progress within `max.poll.interval.ms`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use ottla_client::config::{AutoOffsetReset, ProducerConfig};
use ottla_client::{Client, Error, Event, ProducerRecord};

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Records that found the buffer full at first.
    pub refused: usize,
    /// Records that were read, in the end all of them.
    pub read: usize,
    /// The most records that were handed out at once.
    pub largest: usize,
    /// Whether the member was ever thrown out.
    pub lost: bool,
}

/// Writes `count` records of 1 KiB into `topic` through a buffer of 64 KiB, and reads them with a
/// handler that takes its time.
///
/// # Errors
/// As [`ottla_client::Producer::send`] and [`ottla_client::Consumer::next_event`].
pub async fn run(client: &Client, topic: &str, count: usize) -> Result<Seen, Error> {
    let mut seen = Seen::default();
    let config = ProducerConfig::default().buffer_memory(64_usize << 10);
    let producer = client.producer().config(config).build().await?;
    for _ in 0..count {
        let record = ProducerRecord::new(topic).value(vec![b'x'; 1024]);
        match producer.try_enqueue(record.clone()) {
            // Whether it was written is told by the delivery, or by `flush` for all.
            Ok(delivery) => drop(delivery),
            // Shed the load, or wait for room, as here.
            Err(error) if error.is_retriable() => {
                seen.refused += 1;
                drop(producer.enqueue(record).await?);
            }
            Err(error) => return Err(error),
        }
    }
    producer.flush().await?;

    let mut consumer = client
        .consumer(format!("{topic}-slow"))
        .with(|config| {
            config
                .auto_offset_reset(AutoOffsetReset::Earliest)
                .max_poll_records(50_usize)
                .max_partition_fetch_bytes(64_usize << 10)
                .buffer_memory(128_usize << 10)
                .max_poll_interval(Duration::from_secs(60))
        })
        .subscribe([topic])
        .build()
        .await?;
    while seen.read < count {
        match consumer.next_event().await? {
            Event::Records(records) => {
                seen.largest = seen.largest.max(records.len());
                seen.read += records.len();
                // One batch in ten takes longer than the interval allows, and says so before.
                let long = (seen.read / records.len()).is_multiple_of(10);
                let _extension =
                    long.then(|| consumer.extend_poll_interval(Duration::from_secs(600)));
                tokio::time::sleep(Duration::from_millis(if long { 20 } else { 2 })).await;
                consumer.ack(&records);
            }
            Event::Lost(_) | Event::PollIntervalExceeded => seen.lost = true,
            Event::Assigned(_) | Event::Revoking(_) => {}
        }
    }
    consumer.close(Duration::from_secs(10)).await?;
    Ok(seen)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bootstrap = std::env::args()
        .nth(1)
        .ok_or("usage: back_pressure HOST:PORT")?;
    let client = Client::builder()
        .bootstrap_servers(bootstrap)
        .connect()
        .await?;
    println!("{:?}", run(&client, "back-pressure", 2000).await?);
    Ok(())
}
