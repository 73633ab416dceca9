use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_client::config::{Acks, ProducerConfig};
use ottla_client::producer::{BatchOutcome, ProducerInterceptor};
use ottla_client::{Compression, DeliveryError, Error, Header, ProducerRecord};
use ottla_protocol::ApiKey;

use crate::rewire::{Fault, transport};
use crate::stage::{Stage, seconds};

#[tokio::test]
async fn records_of_a_partition_get_rising_offsets() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let producer = stage.producer().await;
    let mut deliveries = Vec::new();
    for value in 0..1000 {
        let record = ProducerRecord::new(topic.as_str()).value(value.to_string());
        deliveries.push(producer.enqueue(record).await.unwrap());
    }
    for (offset, delivery) in deliveries.into_iter().enumerate() {
        let metadata = delivery.await.unwrap();
        assert_eq!(metadata.offset, i64::try_from(offset).ok());
    }
}

#[tokio::test]
async fn all_codecs_are_accepted() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let codecs = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    for (index, compression) in codecs.into_iter().enumerate() {
        let producer = stage
            .client
            .producer()
            .compression(compression)
            .build()
            .await
            .unwrap();
        let record = ProducerRecord::new(topic.as_str())
            .key("k")
            .value(vec![7_u8; 500])
            .header(Header::new("h", "v"))
            .timestamp(1_700_000_000_000);
        let metadata = producer.send(record).await.unwrap();
        assert_eq!(metadata.offset, i64::try_from(index).ok(), "{compression}");
        assert_eq!(metadata.timestamp, 1_700_000_000_000);
        producer.close(seconds(10)).await.unwrap();
    }
}

#[tokio::test]
async fn concurrent_senders_share_one_sequence() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(3).await;
    let producer = stage.producer().await;
    let tasks: Vec<_> = (0..20)
        .map(|task| {
            let (producer, topic) = (producer.clone(), topic.clone());
            tokio::spawn(async move {
                for value in 0..50 {
                    let record =
                        ProducerRecord::new(topic.as_str()).value(format!("{task}-{value}"));
                    producer.send(record).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn without_acks_offsets_are_unknown() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let config = ProducerConfig::default()
        .acks(Acks::None)
        .enable_idempotence(false);
    let producer = stage
        .client
        .producer()
        .config(config)
        .build()
        .await
        .unwrap();
    let metadata = producer
        .send(ProducerRecord::new(topic.as_str()).value("x"))
        .await
        .unwrap();
    assert_eq!(metadata.offset, None);
}

#[tokio::test]
async fn a_full_buffer_refuses_at_once_or_waits_in_time() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let config = ProducerConfig::default()
        .buffer_memory(10_000_usize)
        .linger(seconds(5))
        .max_block(std::time::Duration::from_millis(300));
    let producer = stage
        .client
        .producer()
        .config(config)
        .build()
        .await
        .unwrap();
    let record = || ProducerRecord::new(topic.as_str()).value(vec![0_u8; 4000]);
    let first = producer.enqueue(record()).await.unwrap();
    let second = producer.try_enqueue(record()).unwrap();
    assert_eq!(
        producer.try_enqueue(record()).unwrap_err(),
        Error::QueueFull
    );
    // Whoever waits for room hurries what lingers.
    let third = producer.enqueue(record()).await.unwrap();
    producer.flush().await.unwrap();
    for delivery in [first, second, third] {
        delivery.await.unwrap();
    }
    assert_eq!(producer.buffer_available(), 10_000);
}

#[tokio::test]
async fn a_dropped_delivery_does_not_take_its_record_along() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let producer = stage.producer().await;
    for _ in 0..10 {
        drop(
            producer
                .enqueue(ProducerRecord::new(topic.as_str()).value("x"))
                .await
                .unwrap(),
        );
    }
    let last = producer
        .send(ProducerRecord::new(topic.as_str()).value("y"))
        .await
        .unwrap();
    assert_eq!(last.offset, Some(10));
}

#[tokio::test]
async fn dropping_the_producer_still_sends_what_is_queued() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let producer = stage.producer().await;
    let delivery = producer
        .enqueue(ProducerRecord::new(topic.as_str()))
        .await
        .unwrap();
    drop(producer);
    assert_eq!(delivery.await.unwrap().offset, Some(0));
}

#[tokio::test]
async fn a_closed_producer_takes_nothing() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let producer = stage.producer().await;
    producer.clone().close(seconds(5)).await.unwrap();
    let refused = producer.enqueue(ProducerRecord::new(topic.as_str())).await;
    assert_eq!(refused.unwrap_err(), Error::Closed);
}

#[tokio::test]
async fn a_partition_that_does_not_exist_is_refused_before_anything_is_queued() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(2).await;
    let producer = stage.producer().await;
    let record = ProducerRecord::new(topic.as_str()).partition(2);
    assert!(matches!(
        producer.enqueue(record).await,
        Err(Error::Invalid(_))
    ));
    assert_eq!(producer.buffer_available(), 32 << 20);
}

#[tokio::test]
async fn a_batch_over_the_limit_of_the_topic_is_split_until_it_fits() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic_up_to(3000).await;
    let producer = stage
        .client
        .producer()
        .linger(seconds(1))
        .build()
        .await
        .unwrap();
    let mut deliveries = Vec::new();
    for _ in 0..12 {
        let record = ProducerRecord::new(topic.as_str()).value(vec![1_u8; 1000]);
        deliveries.push(producer.enqueue(record).await.unwrap());
    }
    let large = ProducerRecord::new(topic.as_str()).value(vec![1_u8; 5000]);
    let large = producer.enqueue(large).await.unwrap();
    for (offset, delivery) in deliveries.into_iter().enumerate() {
        assert_eq!(delivery.await.unwrap().offset, i64::try_from(offset).ok());
    }
    let DeliveryError {
        error,
        may_have_been_written,
    } = large.await.unwrap_err();
    assert_eq!(error.code(), Some(ottla_client::ErrorCode::MessageTooLarge));
    assert!(!may_have_been_written);
    // The failed record leaves a gap in the numbers; what follows must not stumble over it.
    let next = producer
        .send(ProducerRecord::new(topic.as_str()).value("x"))
        .await
        .unwrap();
    assert_eq!(next.offset, Some(12));
}

/// Everything in partition 0, from the start.
async fn read(stage: &Stage, topic: &str, count: usize) -> Vec<ottla_client::consumer::Record> {
    let mut reader = stage
        .client
        .reader()
        .with(|config| config.auto_offset_reset(ottla_client::config::AutoOffsetReset::Earliest))
        .assign([ottla_client::TopicPartition::new(topic, 0)])
        .build()
        .await
        .unwrap();
    let mut all = Vec::new();
    while all.len() < count {
        if let ottla_client::Event::Records(records) = reader.next_event().await.unwrap() {
            all.extend(records);
        }
    }
    all
}

/// Each broken connection takes up to five requests along, some of which were applied.
#[tokio::test]
async fn order_is_kept_and_nothing_is_doubled_when_connections_break() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let fault = Fault::break_at(ApiKey::Produce, [0, 1, 4, 5, 9, 14, 20]);
    let transport = transport(&stage.place, fault);
    let client = stage.client().transport(transport).connect().await.unwrap();
    let config = ProducerConfig::default()
        .batch_size(300_usize)
        .linger(std::time::Duration::ZERO);
    let producer = client.producer().config(config).build().await.unwrap();
    let mut deliveries = Vec::new();
    for number in 0..400 {
        let record = ProducerRecord::new(topic.as_str()).value(number.to_string());
        deliveries.push(producer.enqueue(record).await.unwrap());
        if number % 10 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    // A record behind them, so that one that was doubled would be seen.
    let last = ProducerRecord::new(topic.as_str()).value("400");
    assert_eq!(producer.send(last).await.unwrap().offset, Some(400));
    let read = read(&stage, &topic, 401).await;
    let values: Vec<_> = read
        .iter()
        .map(|record| record.value.clone().unwrap())
        .collect();
    let expected: Vec<_> = (0..=400).map(|number| number.to_string()).collect();
    assert_eq!(values, expected);
}

#[tokio::test]
async fn every_byte_comes_back_whatever_the_codec_and_its_level() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let settings: [&[(&str, &str)]; 8] = [
        &[("compression.type", "none")],
        &[
            ("compression.type", "gzip"),
            ("compression.gzip.level", "1"),
        ],
        &[
            ("compression.type", "gzip"),
            ("compression.gzip.level", "9"),
        ],
        &[("compression.type", "snappy")],
        &[("compression.type", "lz4")],
        &[
            ("compression.type", "zstd"),
            ("compression.zstd.level", "-7"),
        ],
        &[
            ("compression.type", "zstd"),
            ("compression.zstd.level", "3"),
        ],
        &[
            ("compression.type", "zstd"),
            ("compression.zstd.level", "19"),
        ],
    ];
    let record = |index: usize| {
        ProducerRecord::new(topic.as_str())
            .key(format!("key-{index}"))
            .value(format!("{index}-").repeat(300))
            .timestamp(1_700_000_000_000 + i64::try_from(index).unwrap())
            .header(Header::new("a", "1"))
            .header(Header::new("a", "2"))
    };
    for (index, settings) in settings.iter().enumerate() {
        let config = ProducerConfig::from_properties(settings.iter().copied()).unwrap();
        let producer = stage
            .client
            .producer()
            .config(config)
            .build()
            .await
            .unwrap();
        producer.send(record(index)).await.unwrap();
    }
    let tombstone = ProducerRecord::new(topic.as_str()).key("gone");
    stage.producer().await.send(tombstone).await.unwrap();
    let read = read(&stage, &topic, 9).await;
    for (index, read) in read.iter().take(8).enumerate() {
        let record = record(index);
        assert_eq!((&read.key, &read.value), (&record.key, &record.value));
        assert_eq!(Some(read.timestamp), record.timestamp);
        assert_eq!(read.headers().collect::<Vec<_>>(), record.headers);
    }
    assert_eq!(
        (read[8].key.as_deref(), &read[8].value),
        (Some(&b"gone"[..]), &None)
    );
}

/// Adds a header, and counts.
#[derive(Default)]
struct Counting {
    acknowledged: AtomicUsize,
    failed: AtomicUsize,
}

/// The test keeps the one, the producer the other.
struct Counts(Arc<Counting>);

impl ProducerInterceptor for Counts {
    fn on_send(&self, record: &mut ProducerRecord) {
        record.headers.push(Header::new("seen", "yes"));
    }

    fn on_outcome(&self, outcome: &BatchOutcome) {
        let counter = match outcome.outcome {
            Ok(_) => &self.0.acknowledged,
            Err(_) => &self.0.failed,
        };
        counter.fetch_add(outcome.record_count, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn an_interceptor_sees_every_record_and_every_outcome() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic_up_to(3000).await;
    let counting = Arc::new(Counting::default());
    let producer = stage
        .client
        .producer()
        .interceptor(Counts(Arc::clone(&counting)));
    let producer = producer.build().await.unwrap();
    // Split on the way: the parts count as what they are.
    for size in [1000, 1000, 1000, 1000, 5000] {
        let record = ProducerRecord::new(topic.as_str()).value(vec![1_u8; size]);
        drop(producer.enqueue(record).await.unwrap());
    }
    producer.flush().await.unwrap();
    assert_eq!(counting.acknowledged.load(Ordering::Relaxed), 4);
    assert_eq!(counting.failed.load(Ordering::Relaxed), 1);
    for record in read(&stage, &topic, 4).await {
        let headers: Vec<_> = record.headers().collect();
        assert_eq!(headers, [Header::new("seen", "yes")]);
    }
}
