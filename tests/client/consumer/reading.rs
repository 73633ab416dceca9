use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use ottla_client::admin::CommittedOffset;
use ottla_client::config::{AutoOffsetReset, GroupProtocol, IsolationLevel};
use ottla_client::consumer::{ConsumerInterceptor, Event, Records, SeekTo};
use ottla_client::{Compression, Error, Header, ProducerRecord, TopicPartition};

use super::{PATIENCE, earliest, event, group, numbers, produce, records, values};
use crate::stage::{Stage, eventually, seconds, with_each_protocol};

with_each_protocol! {
    #[tokio::test]
    a_stream_acknowledges_a_record_when_the_next_is_asked_for,
    a_handle_outlives_its_consumer_and_says_so,
}

fn partition(topic: &str) -> TopicPartition {
    TopicPartition::new(topic, 0)
}

/// Longer than a fetch takes; what has not come by then does not come.
async fn nothing_comes(consumer: &mut ottla_client::Consumer) {
    let next = tokio::time::timeout(Duration::from_millis(300), consumer.next_event());
    if let Ok(event) = next.await {
        panic!("{event:?}");
    }
}

#[tokio::test]
async fn an_assigned_partition_is_read_in_order() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..1000).await;
    let reader = stage.client.reader().with(earliest);
    let mut consumer = reader.assign([partition(&topic)]).build().await.unwrap();
    assert_eq!(values(&mut consumer, 1000).await, numbers(0..1000));
}

#[tokio::test]
async fn every_codec_is_read_with_keys_headers_times_and_nulls() {
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
    for compression in codecs {
        let producer = stage.client.producer().compression(compression);
        let producer = producer.build().await.unwrap();
        let record = || ProducerRecord::new(topic.as_str()).timestamp(1_700_000_000_123);
        let full = record().key("k").value(vec![7_u8; 2000]);
        producer
            .send(full.header(Header::new("h", "v")))
            .await
            .unwrap();
        producer.send(record().key("")).await.unwrap();
    }
    let reader = stage.client.reader().with(earliest);
    let mut consumer = reader.assign([partition(&topic)]).build().await.unwrap();
    let mut all = Vec::new();
    while all.len() < 2 * codecs.len() {
        all.extend(records(&mut consumer).await);
    }
    for (index, record) in all.iter().enumerate() {
        assert_eq!(usize::try_from(record.offset), Ok(index));
        assert_eq!(record.timestamp, 1_700_000_000_123);
        if index % 2 == 0 {
            assert_eq!(record.key.as_deref(), Some(&b"k"[..]));
            assert_eq!(record.value.as_deref(), Some(&[7_u8; 2000][..]));
            assert_eq!(record.header("h"), Some(Some("v".into())));
        } else {
            assert_eq!(
                (record.key.as_deref(), &record.value),
                (Some(&b""[..]), &None)
            );
        }
    }
}

#[tokio::test]
async fn an_event_has_no_more_than_the_largest_number_of_records() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..100).await;
    let reader = stage.client.reader().with(earliest);
    let reader = reader.with(|config| config.max_poll_records(7_usize));
    let mut consumer = reader.assign([partition(&topic)]).build().await.unwrap();
    let mut seen = 0;
    while seen < 100 {
        let batch = records(&mut consumer).await;
        assert!((1..=7).contains(&batch.len()));
        seen += batch.len();
    }
}

#[tokio::test]
async fn without_an_offset_reading_starts_where_the_reset_says() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..3).await;
    let start = async |reset| {
        let reader = stage.client.reader().with(earliest);
        let reader = reader.with(|config| config.auto_offset_reset(reset));
        reader.assign([partition(&topic)]).build().await.unwrap()
    };
    let mut latest = start(AutoOffsetReset::Latest).await;
    eventually("the place is found", async || {
        latest.position(&partition(&topic)).is_some()
    })
    .await;
    produce(&stage, &topic, 0, 3..4).await;
    assert_eq!(values(&mut latest, 1).await, numbers(3..4));
    let mut earliest = start(AutoOffsetReset::Earliest).await;
    assert_eq!(values(&mut earliest, 4).await, numbers(0..4));
    let mut none = start(AutoOffsetReset::None).await;
    let error = none.next_event().await.unwrap_err();
    assert!(matches!(error, Error::NoOffset { .. }), "{error}");
    // It goes on when somebody says where.
    none.seek(&partition(&topic), SeekTo::Offset(2)).unwrap();
    assert_eq!(values(&mut none, 2).await, numbers(2..4));
    let mut hour = start(AutoOffsetReset::ByDuration(seconds(3600))).await;
    assert_eq!(values(&mut hour, 4).await, numbers(0..4));
}

#[tokio::test]
async fn an_offset_behind_the_log_is_reset() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..3).await;
    let reader = stage.client.reader().with(earliest);
    let mut consumer = reader.assign([partition(&topic)]).build().await.unwrap();
    consumer
        .seek(&partition(&topic), SeekTo::Offset(1000))
        .unwrap();
    assert_eq!(values(&mut consumer, 3).await, numbers(0..3));
}

#[tokio::test]
async fn a_seek_goes_to_offsets_ends_and_times() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let producer = stage.producer().await;
    for (value, time) in [(0, 1000), (1, 2000), (2, 3000)] {
        let record = ProducerRecord::new(topic.as_str()).value(value.to_string());
        producer.send(record.timestamp(time)).await.unwrap();
    }
    let reader = stage.client.reader().with(earliest);
    let mut consumer = reader.assign([partition(&topic)]).build().await.unwrap();
    let at = &partition(&topic);
    assert_eq!(values(&mut consumer, 3).await, numbers(0..3));
    for (to, first) in [
        (SeekTo::Offset(1), 1),
        (SeekTo::Beginning, 0),
        (SeekTo::Timestamp(2500), 2),
        (SeekTo::Timestamp(1), 0),
    ] {
        consumer.seek(at, to).unwrap();
        assert_eq!(
            values(&mut consumer, 3 - first).await,
            numbers(first..3),
            "{to:?}"
        );
    }
    for to in [SeekTo::End, SeekTo::Timestamp(4000)] {
        consumer.seek(at, to).unwrap();
        eventually("the end is found", async || {
            consumer.position(at) == Some(3)
        })
        .await;
    }
    assert!(consumer.seek(at, SeekTo::Offset(-1)).is_err());
    assert!(
        consumer
            .seek(&TopicPartition::new("other", 0), SeekTo::End)
            .is_err()
    );
}

#[tokio::test]
async fn a_paused_partition_gives_nothing_though_it_was_fetched() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..50).await;
    let reader = stage.client.reader().with(earliest);
    let reader = reader.with(|config| config.max_poll_records(10_usize));
    let mut consumer = reader.assign([partition(&topic)]).build().await.unwrap();
    assert_eq!(values(&mut consumer, 10).await, numbers(0..10));
    consumer.pause(&[partition(&topic)]).unwrap();
    assert_eq!(consumer.paused(), [partition(&topic)]);
    nothing_comes(&mut consumer).await;
    produce(&stage, &topic, 0, 50..60).await;
    nothing_comes(&mut consumer).await;
    consumer.resume(&[partition(&topic)]).unwrap();
    assert_eq!(values(&mut consumer, 50).await, numbers(10..60));
}

#[tokio::test]
async fn position_and_lag_follow_what_was_handed_out() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..10).await;
    let reader = stage.client.reader().with(earliest);
    let reader = reader.with(|config| config.max_poll_records(4_usize));
    let mut consumer = reader.assign([partition(&topic)]).build().await.unwrap();
    let at = &partition(&topic);
    assert_eq!((consumer.position(at), consumer.lag(at)), (None, None));
    let mut seen = 0;
    while seen < 10 {
        seen += records(&mut consumer).await.len();
        let position = consumer.position(at).unwrap();
        assert_eq!(usize::try_from(position), Ok(seen));
        // More may have been fetched than was known at first.
        assert!(consumer.lag(at).unwrap() <= 10 - position);
    }
    assert_eq!(consumer.lag(at), Some(0));
}

#[tokio::test]
async fn ends_and_times_of_logs_are_found() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(2).await;
    let producer = stage.producer().await;
    for time in [1000, 2000] {
        let record = ProducerRecord::new(topic.as_str())
            .partition(1)
            .timestamp(time);
        producer.send(record).await.unwrap();
    }
    let consumer = stage.client.reader().build().await.unwrap();
    let both = || [0, 1].map(|number| TopicPartition::new(topic.as_str(), number));
    let offsets = |found: BTreeMap<_, i64>| found.into_values().collect::<Vec<_>>();
    let found = consumer.beginning_offsets(both()).await.unwrap();
    assert_eq!(offsets(found), [0, 0]);
    let found = consumer.end_offsets(both()).await.unwrap();
    assert_eq!(offsets(found), [0, 2]);
    let spec = ottla_client::admin::OffsetSpec::Timestamp(1500);
    let wanted = both().map(|partition| (partition, spec)).into();
    let found = consumer.list_offsets(&wanted).await.unwrap();
    let found = found
        .into_values()
        .map(|found| found.map(|found| found.offset));
    assert_eq!(found.collect::<Vec<_>>(), [None, Some(1)]);
}

async fn a_stream_acknowledges_a_record_when_the_next_is_asked_for(protocol: GroupProtocol) {
    let Some(stage) = Stage::of(protocol).await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..10).await;
    let consumer = group(&stage).with(|config| config.enable_auto_commit(false));
    let consumer = consumer.subscribe([topic.as_str()]).build().await.unwrap();
    let mut stream = consumer.into_stream();
    for number in 0..5 {
        let record = stream.next().await.unwrap().unwrap();
        assert_eq!((record.offset, record.partition.partition), (number, 0));
    }
    let handle = stream.handle();
    handle.commit().await.unwrap();
    let committed = handle.committed([partition(&topic)]).await.unwrap();
    // The fifth may still be in the works.
    assert_eq!(committed[&partition(&topic)].offset, 4);
    stream.close(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_with_its_consumer() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let reader = stage.client.reader().with(earliest);
    let consumer = reader.assign([partition(&topic)]).build().await.unwrap();
    let handle = consumer.handle();
    drop(consumer);
    eventually("it is closed", async || {
        handle.unsubscribe() == Err(Error::Closed)
    })
    .await;
}

/// Notes what it sees.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl ConsumerInterceptor for Notes {
    fn on_consume(&self, records: &Records) {
        let line = format!("consumed {} to {}", records.len(), records.next().offset);
        self.0.lock().unwrap().push(line);
    }

    fn on_commit(&self, offsets: &BTreeMap<TopicPartition, CommittedOffset>) {
        let offsets = offsets.values().map(|offset| offset.offset);
        let line = format!("committed {:?}", offsets.collect::<Vec<_>>());
        self.0.lock().unwrap().push(line);
    }
}

#[tokio::test]
async fn interceptors_see_what_is_handed_out_and_what_is_committed() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..1).await;
    let notes = Notes::default();
    let consumer = group(&stage).with(|config| config.enable_auto_commit(false));
    let consumer = consumer.interceptor(notes.clone());
    let mut consumer = consumer.subscribe([topic.as_str()]).build().await.unwrap();
    values(&mut consumer, 1).await;
    consumer.commit().await.unwrap();
    assert_eq!(
        *notes.0.lock().unwrap(),
        ["consumed 1 to 1", "committed [1]"]
    );
}

#[tokio::test]
async fn a_partition_of_a_topic_that_comes_later_is_read_when_it_is_there() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.name("later");
    let never = |config: ottla_client::config::ConsumerConfig| {
        earliest(config).allow_auto_create_topics(false)
    };
    let reader = stage.client.reader().with(never);
    let mut consumer = reader.assign([partition(&topic)]).build().await.unwrap();
    nothing_comes(&mut consumer).await;
    stage
        .create(ottla_client::admin::NewTopic::new(&topic).partitions(1))
        .await;
    produce(&stage, &topic, 0, 0..3).await;
    assert_eq!(values(&mut consumer, 3).await, numbers(0..3));
}

#[tokio::test]
async fn partitions_that_stay_assigned_go_on_where_they_are() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(2).await;
    produce(&stage, &topic, 0, 0..5).await;
    let reader = stage.client.reader().with(earliest);
    let mut consumer = reader.assign([partition(&topic)]).build().await.unwrap();
    assert_eq!(values(&mut consumer, 5).await, numbers(0..5));
    let both = [0, 1].map(|number| TopicPartition::new(topic.as_str(), number));
    consumer.assign(both.clone()).unwrap();
    assert_eq!(consumer.assignment(), both);
    produce(&stage, &topic, 1, 5..6).await;
    assert_eq!(values(&mut consumer, 1).await, numbers(5..6));
    consumer.unsubscribe().unwrap();
    eventually("nothing is assigned", async || {
        consumer.assignment().is_empty()
    })
    .await;
}

#[tokio::test]
async fn reading_committed_goes_up_to_the_last_stable_offset() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..5).await;
    let reader = stage.client.reader().with(earliest);
    let committed = |config: ottla_client::config::ConsumerConfig| {
        config.isolation_level(IsolationLevel::ReadCommitted)
    };
    let reader = reader.with(committed).assign([partition(&topic)]);
    let mut consumer = reader.build().await.unwrap();
    assert_eq!(values(&mut consumer, 5).await, numbers(0..5));
    assert_eq!(consumer.lag(&partition(&topic)), Some(0));
}

async fn a_handle_outlives_its_consumer_and_says_so(protocol: GroupProtocol) {
    let Some(stage) = Stage::of(protocol).await else {
        return;
    };
    let topic = stage.topic(1).await;
    let mut consumer = group(&stage)
        .subscribe([topic.as_str()])
        .build()
        .await
        .unwrap();
    while !matches!(event(&mut consumer).await, Event::Assigned(_)) {}
    let handle = consumer.handle();
    consumer.close(PATIENCE).await.unwrap();
    assert_eq!(handle.commit().await, Err(Error::Closed));
    assert_eq!(handle.subscribe(["x"]), Err(Error::Closed));
    assert_eq!(handle.assignment(), []);
}
