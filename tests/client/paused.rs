//! Consumers in the time of the test: hours pass in milliseconds. Only where there is no socket.

mod brokers;
mod cancel;
mod faults;
mod faulty;
mod members;
mod poll_interval;
mod producing;
mod rebalance;

use std::time::Duration;

use ottla_broker::Broker;
use ottla_client::admin::NewTopic;
use ottla_client::config::{AutoOffsetReset, ConsumerConfig, GroupProtocol};
use ottla_client::consumer::{Consumer, ConsumerBuilder, Event, Records};
use ottla_client::{Client, ProducerRecord, TopicPartition};
use ottla_protocol::message::Request;

use crate::stage::with_protocol;
use faulty::{Fate, Faulty};

/// A broker and a client of it, with a seed.
pub struct World {
    broker: Broker,
    client: Client,
    protocol: GroupProtocol,
}

const TOPIC: &str = "t";

impl World {
    async fn new(partitions: i32) -> Self {
        Self::of(GroupProtocol::Classic, partitions).await
    }

    /// A world whose client makes members of this protocol.
    async fn of(protocol: GroupProtocol, partitions: i32) -> Self {
        let broker = Broker::builder().ephemeral().seed(1).start().await.unwrap();
        let client = Client::builder().in_process(broker.in_process()).seed(1);
        let client = with_protocol(client, protocol).connect().await.unwrap();
        let topic = NewTopic::new(TOPIC).partitions(partitions);
        client.admin().create_topics([topic]).await.unwrap();
        Self {
            broker,
            client,
            protocol,
        }
    }

    /// A member of a client whose requests meet `rule`.
    async fn member_through(
        &self,
        rule: impl FnMut(&Request) -> Fate + Send + 'static,
    ) -> ConsumerBuilder {
        let client = Client::builder().in_process(Faulty::new(self.broker.in_process(), rule));
        let client = with_protocol(client.seed(2), self.protocol);
        let client = client.connect().await.unwrap();
        client.consumer("g").with(earliest).subscribe([TOPIC])
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

/// Gives back what it is asked for until it has `count` partitions.
async fn holds(consumer: &mut Consumer, count: usize) -> Vec<TopicPartition> {
    for _ in 0..1000 {
        let assignment = consumer.assignment();
        if assignment.len() == count {
            return assignment;
        }
        // No event tells that what was given back is gone.
        let next = tokio::time::timeout(seconds(1), consumer.next_event());
        if let Ok(event) = next.await
            && let Event::Revoking(revoking) = event.unwrap()
        {
            revoking.done();
        }
    }
    panic!("it has {:?}", consumer.assignment());
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
