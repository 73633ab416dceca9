use ottla_client::config::{Acks, ProducerConfig};
use ottla_client::{Compression, DeliveryError, Error, Header, ProducerRecord};

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
    let topic = stage.name("small");
    let new = ottla_client::admin::NewTopic::new(&topic)
        .partitions(1)
        .config("max.message.bytes", "3000");
    stage.create(new).await;
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
