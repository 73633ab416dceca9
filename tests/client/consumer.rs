//! Consumers over every transport.

mod exactly_once;
mod group;
mod reading;

use std::time::Duration;

use ottla_client::config::{AutoOffsetReset, ConsumerConfig, GroupProtocol};
use ottla_client::consumer::{Consumer, ConsumerBuilder, Event, Records};
use ottla_client::{ProducerRecord, TopicPartition};

use crate::stage::Stage;

/// Longer than anything takes; only a failure waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// From the oldest record on, with short pauses.
fn earliest(config: ConsumerConfig) -> ConsumerConfig {
    let config = config
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .fetch_max_wait(Duration::from_millis(100));
    match config.group_protocol {
        GroupProtocol::Classic => config.heartbeat_interval(Duration::from_millis(100)),
        // The broker says when.
        GroupProtocol::Consumer => config,
    }
}

async fn event(consumer: &mut Consumer) -> Event {
    let next = tokio::time::timeout(PATIENCE, consumer.next_event());
    next.await.expect("an event in time").unwrap()
}

/// The next records; other events are passed over, and partitions given back at once.
async fn records(consumer: &mut Consumer) -> Records {
    loop {
        if let Event::Records(records) = event(consumer).await {
            return records;
        }
    }
}

/// The values of the next `count` records, acknowledged.
async fn values(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let mut values = Vec::new();
    while values.len() < count {
        let records = records(consumer).await;
        values.extend(records.iter().map(|record| {
            let value = record.value.as_deref().unwrap_or_default();
            String::from_utf8(value.to_vec()).unwrap()
        }));
        consumer.ack(&records);
    }
    values
}

/// Gives back what it is asked for until it has `count` partitions.
pub async fn holds(consumer: &mut Consumer, count: usize) {
    let settled = async {
        while consumer.assignment().len() != count {
            // No event tells that what was given back is gone.
            let next = tokio::time::timeout(Duration::from_millis(50), consumer.next_event());
            if let Ok(event) = next.await
                && let Event::Revoking(revoking) = event.unwrap()
            {
                revoking.done();
            }
        }
    };
    let settled = tokio::time::timeout(PATIENCE, settled).await;
    assert!(settled.is_ok(), "it has {:?}", consumer.assignment());
}

async fn assigned(consumer: &mut Consumer) -> Vec<TopicPartition> {
    loop {
        if let Event::Assigned(partitions) = event(consumer).await {
            return partitions;
        }
    }
}

/// Writes numbered values to one partition.
async fn produce(stage: &Stage, topic: &str, partition: i32, values: std::ops::Range<usize>) {
    let producer = stage.producer().await;
    let mut deliveries = Vec::new();
    for value in values {
        let record = ProducerRecord::new(topic).partition(partition);
        deliveries.push(
            producer
                .enqueue(record.value(value.to_string()))
                .await
                .unwrap(),
        );
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn group(stage: &Stage) -> ConsumerBuilder {
    stage.client.consumer(stage.name("group")).with(earliest)
}
