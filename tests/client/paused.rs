//! Consumers in the time of the test: hours pass in milliseconds. Only where there is no socket.

mod cancel;
mod faults;
mod faulty;
mod poll_interval;
mod producing;
mod rebalance;

use std::time::Duration;

use ottla_broker::Broker;
use ottla_client::admin::NewTopic;
use ottla_client::config::{AutoOffsetReset, ConsumerConfig};
use ottla_client::consumer::{Consumer, ConsumerBuilder, Event, Records};
use ottla_client::{Client, ProducerRecord, TopicPartition};

/// A broker and a client of it, with a seed.
pub struct World {
    broker: Broker,
    client: Client,
}

const TOPIC: &str = "t";

impl World {
    async fn new(partitions: i32) -> Self {
        let broker = Broker::builder().ephemeral().seed(1).start().await.unwrap();
        let client = Client::builder().in_process(broker.in_process()).seed(1);
        let client = client.connect().await.unwrap();
        let topic = NewTopic::new(TOPIC).partitions(partitions);
        client.admin().create_topics([topic]).await.unwrap();
        Self { broker, client }
    }

    fn member(&self) -> ConsumerBuilder {
        self.client.consumer("g").with(earliest).subscribe([TOPIC])
    }

    async fn start(&self) -> Consumer {
        self.member().build().await.unwrap()
    }

    /// Writes numbered values to one partition, each as a batch of its own.
    async fn produce(&self, partition: i32, values: std::ops::Range<usize>) {
        let producer = self.client.producer().build().await.unwrap();
        for value in values {
            let record = ProducerRecord::new(TOPIC).partition(partition);
            producer
                .send(record.value(value.to_string()))
                .await
                .unwrap();
        }
    }
}

fn earliest(config: ConsumerConfig) -> ConsumerConfig {
    config.auto_offset_reset(AutoOffsetReset::Earliest)
}

fn manual(config: ConsumerConfig) -> ConsumerConfig {
    earliest(config).enable_auto_commit(false)
}

fn partitions(numbers: impl IntoIterator<Item = i32>) -> Vec<TopicPartition> {
    let numbers = numbers.into_iter();
    numbers
        .map(|number| TopicPartition::new(TOPIC, number))
        .collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn event(consumer: &mut Consumer) -> Event {
    // In the time of the test: nothing here waits for days.
    let next = tokio::time::timeout(seconds(86_400), consumer.next_event());
    next.await.expect("an event").unwrap()
}

async fn records(consumer: &mut Consumer) -> Records {
    loop {
        if let Event::Records(records) = event(consumer).await {
            return records;
        }
    }
}

async fn assigned(consumer: &mut Consumer) -> Vec<TopicPartition> {
    loop {
        if let Event::Assigned(partitions) = event(consumer).await {
            return partitions;
        }
    }
}

fn value(record: &ottla_client::consumer::Record) -> usize {
    let text = record.value.as_deref().unwrap_or_default();
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

/// Takes every event of a consumer, acknowledges all records and sends their values on.
fn drain(mut consumer: Consumer) -> tokio::sync::mpsc::UnboundedReceiver<usize> {
    let (sender, values) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(event) = consumer.next_event().await {
            if let Event::Records(records) = event {
                for record in &records {
                    if sender.send(value(record)).is_err() {
                        return;
                    }
                }
                consumer.ack(&records);
            }
        }
    });
    values
}
