//! Ottla's client.

use std::collections::VecDeque;

use ottla_client::admin::NewTopic;
use ottla_client::config::ProducerConfig;
use ottla_client::{Client, Event, ProducerRecord, TopicPartition};

use crate::{LINGER, Load, OUTSTANDING, PARTITIONS, Result};

pub async fn create(bootstrap: &str, topic: &str) -> Result<()> {
    let client = Client::builder()
        .bootstrap_servers(bootstrap)
        .connect()
        .await?;
    let topic = NewTopic::new(topic).partitions(PARTITIONS);
    for outcome in client.admin().create_topics([topic]).await?.into_values() {
        outcome?;
    }
    Ok(())
}

pub async fn produce(load: &Load) -> Result<()> {
    let client = Client::builder().bootstrap_servers(load.bootstrap.as_str());
    let client = client.connect().await?;
    let codec = [("compression.type", load.codec.as_str())];
    let config = ProducerConfig::from_properties(codec)?
        .linger(LINGER)
        .batch_size(load.batch_size);
    let producer = client.producer().config(config).build().await?;
    let topic = std::sync::Arc::from(load.topic.as_str());
    let mut deliveries = VecDeque::with_capacity(OUTSTANDING);
    for value in load.values.iter().cycle().take(load.count) {
        if deliveries.len() == OUTSTANDING
            && let Some(delivery) = deliveries.pop_front()
        {
            let delivery: ottla_client::Delivery = delivery;
            delivery.await?;
        }
        let record = ProducerRecord::new(std::sync::Arc::clone(&topic)).value(value.clone());
        deliveries.push_back(producer.enqueue(record).await?);
    }
    producer.flush().await?;
    for delivery in deliveries {
        delivery.await?;
    }
    Ok(())
}

pub async fn consume(bootstrap: &str, topic: &str, count: usize) -> Result<usize> {
    let client = Client::builder()
        .bootstrap_servers(bootstrap)
        .connect()
        .await?;
    let partitions = (0..PARTITIONS).map(|partition| TopicPartition::new(topic, partition));
    let mut consumer = client
        .reader()
        .with(|config| config.auto_offset_reset(ottla_client::config::AutoOffsetReset::Earliest))
        .assign(partitions)
        .build()
        .await?;
    let (mut seen, mut bytes) = (0, 0);
    while seen < count {
        if let Event::Records(records) = consumer.next_event().await? {
            for record in &records {
                bytes += record.value.as_ref().map_or(0, |value| value.len());
                seen += 1;
            }
            consumer.ack(&records);
        }
    }
    Ok(bytes)
}
