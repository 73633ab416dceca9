//! krafka.

use std::collections::VecDeque;
use std::time::Duration;

use krafka::consumer::AutoOffsetReset;

use krafka::{Compression, Kafka, Record};

use crate::{LINGER, Load, OUTSTANDING, PARTITIONS, Result};

pub async fn produce(load: &Load) -> Result<()> {
    let kafka = Kafka::builder(load.bootstrap.as_str()).connect().await?;
    let codec = match load.codec.as_str() {
        "none" => Compression::None,
        "lz4" => Compression::Lz4,
        other => return Err(format!("no codec {other}").into()),
    };
    let producer = kafka
        .producer()
        .linger(LINGER)
        .batch_size(load.batch_size)
        .compression(codec)
        .build()
        .await?;
    let mut deliveries = VecDeque::with_capacity(OUTSTANDING);
    for value in load.values.iter().cycle().take(load.count) {
        if deliveries.len() == OUTSTANDING
            && let Some(delivery) = deliveries.pop_front()
        {
            let delivery: krafka::producer::DeliveryHandle = delivery;
            let _ = delivery.await?;
        }
        let record = Record::new(load.topic.as_str(), value.clone());
        deliveries.push_back(producer.enqueue(record).await?);
    }
    producer.flush().await?;
    for delivery in deliveries {
        let _ = delivery.await?;
    }
    Ok(())
}

pub async fn consume(bootstrap: &str, topic: &str, count: usize) -> Result<usize> {
    let kafka = Kafka::builder(bootstrap).connect().await?;
    let consumer = kafka
        .consumer_without_group()
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .build()
        .await?;
    consumer.assign(topic, (0..PARTITIONS).collect()).await?;
    let (mut seen, mut bytes) = (0, 0);
    while seen < count {
        for record in consumer.poll(Duration::from_millis(500)).await? {
            bytes += record.value.as_ref().map_or(0, |value| value.len());
            seen += 1;
        }
    }
    Ok(bytes)
}
