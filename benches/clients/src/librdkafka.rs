//! librdkafka, through rdkafka.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use crate::{LINGER, Load, PARTITIONS, Result};

/// Records between two looks at what was delivered: a look at each one would cost more than the record.
const POLL_EVERY: usize = 1000;

/// Counts what was delivered.
#[derive(Default)]
struct Delivered(AtomicUsize);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

pub fn produce(load: &Load) -> Result<()> {
    let producer: BaseProducer<Delivered> = ClientConfig::new()
        .set("bootstrap.servers", &load.bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", LINGER.as_millis().to_string())
        .set("batch.size", load.batch_size.to_string())
        .set("compression.type", &load.codec)
        .create_with_context(Delivered::default())?;
    for (number, value) in load.values.iter().cycle().take(load.count).enumerate() {
        let mut record = BaseRecord::<(), [u8]>::to(&load.topic).payload(value);
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    producer.poll(Duration::from_millis(10));
                    record = refused;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
        if number % POLL_EVERY == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_secs(60))?;
    let delivered = producer.context().0.load(Ordering::Relaxed);
    if delivered != load.count {
        return Err(format!("{delivered} of {} records were delivered", load.count).into());
    }
    Ok(())
}

pub fn consume(bootstrap: &str, topic: &str, count: usize) -> Result<usize> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .create()?;
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&partitions)?;
    let (mut seen, mut bytes) = (0, 0);
    while seen < count {
        if let Some(message) = consumer.poll(Duration::from_millis(500)) {
            bytes += message?.payload_len();
            seen += 1;
        }
    }
    Ok(bytes)
}
