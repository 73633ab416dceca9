//! `cleanup.policy=compact`: what is left of a topic, and when.

use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::message::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla_protocol::record::{BatchBuilder, BatchOptions, Batches, Compression, Limits};

use crate::alter_configs::TOPIC;
use crate::support::{Client, NOW_MS, Server, Topic};

/// Compacts as soon as a segment is full, which a few records are enough for.
const EAGER: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "400"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("delete.retention.ms", "60000"),
];

/// Longer than compaction rests.
const REST: Duration = Duration::from_secs(16);

/// How often something is looked at that must come soon.
const PATIENCE: usize = 500;

type Pair<'a> = (&'a str, Option<&'a str>);

fn keyed(records: &[Pair<'_>], compression: Compression) -> Bytes {
    let options = BatchOptions {
        compression,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options).unwrap();
    for (key, value) in records {
        let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
        builder.append(NOW_MS, key, value, &[]).unwrap();
    }
    builder.build().unwrap()
}

/// Moves the broker's clock.
pub(crate) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

impl Client {
    async fn write(&mut self, topic: &Topic, records: &[Pair<'_>]) -> i64 {
        let batch = keyed(records, Compression::None);
        let produced = self.produce(9, topic, batch).await;
        assert_eq!(produced.error_code, ErrorCode::None);
        produced.base_offset
    }

    /// Fills segments, so that what was written before is in a sealed one.
    async fn seal(&mut self, topic: &Topic) {
        for _ in 0..3 {
            self.write(topic, &[("seal", Some(&"x".repeat(200)))]).await;
        }
    }

    /// Where the log starts.
    pub(crate) async fn log_start(&mut self, topic: &Topic) -> i64 {
        let partition = ListOffsetsPartition {
            timestamp: -2,
            ..Default::default()
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: topic.name.clone(),
                partitions: vec![partition],
            }],
            ..Default::default()
        };
        self.call(7, request).await.topics[0].partitions[0].offset
    }

    /// Offset, key and value of all records but those that sealed a segment.
    async fn read_pairs(&mut self, topic: &Topic) -> Vec<(i64, String, Option<String>)> {
        let string = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let mut found = Vec::new();
        let mut from = self.log_start(topic).await;
        loop {
            let fetched = self.fetch(12, topic, from).await;
            assert_eq!(fetched.error_code, ErrorCode::None);
            for batch in Batches::new(fetched.records.unwrap_or_default()) {
                let batch = batch.unwrap();
                batch.verify_crc().unwrap();
                from = batch.header().next_offset();
                for record in batch.records(&Limits::default()).unwrap() {
                    let record = record.unwrap();
                    let key = string(record.key.unwrap());
                    if key != "seal" {
                        found.push((record.offset, key, record.value.map(string)));
                    }
                }
            }
            if from == fetched.high_watermark {
                return found;
            }
        }
    }

    /// The offsets of the records in each answer, from the start of the log to its end.
    async fn offsets_of_each_fetch(&mut self, topic: &Topic) -> Vec<Vec<i64>> {
        let mut answers = Vec::new();
        let mut from = 0;
        loop {
            let fetched = self.fetch(12, topic, from).await;
            let mut offsets = Vec::new();
            for batch in Batches::new(fetched.records.unwrap_or_default()) {
                let batch = batch.unwrap();
                from = batch.header().next_offset();
                let records = batch.records(&Limits::default()).unwrap();
                offsets.extend(records.map(|record| record.unwrap().offset));
            }
            answers.push(offsets);
            if from == fetched.high_watermark {
                return answers;
            }
        }
    }

    /// What is left once it is `expected`.
    async fn expect_left(&mut self, topic: &Topic, expected: &[(i64, &str, Option<&str>)]) {
        let mut found = Vec::new();
        for _ in 0..PATIENCE {
            found = self.read_pairs(topic).await;
            let borrowed = found
                .iter()
                .map(|(offset, key, value)| (*offset, key.as_str(), value.as_deref()));
            if borrowed.eq(expected.iter().copied()) {
                return;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    }
}

#[tokio::test]
async fn the_newest_value_of_each_key_is_left_at_its_offset() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic_with("t", 1, &EAGER).await;
    client
        .write(
            &topic,
            &[("a", Some("1")), ("b", Some("1")), ("a", Some("2"))],
        )
        .await;
    client
        .write(&topic, &[("c", Some("1")), ("b", Some("2"))])
        .await;
    client.seal(&topic).await;
    pass(REST).await;
    let left = [
        (2, "a", Some("2")),
        (3, "c", Some("1")),
        (4, "b", Some("2")),
    ];
    client.expect_left(&topic, &left).await;
}

#[tokio::test]
async fn a_record_without_a_key_is_refused_where_the_topic_is_compacted() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic_with("t", 1, &EAGER).await;
    let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
    builder.append(NOW_MS, Some(b"k"), Some(b"v"), &[]).unwrap();
    builder.append(NOW_MS, None, Some(b"v"), &[]).unwrap();
    let answer = client.produce(9, &topic, builder.build().unwrap()).await;
    assert_eq!(answer.error_code, ErrorCode::InvalidRecord);
    assert_eq!(answer.record_errors.len(), 1);
    assert_eq!(answer.record_errors[0].batch_index, 1);
    let message = answer.record_errors[0].batch_index_error_message.clone();
    assert!(message.unwrap_or_default().contains("key"));
}

#[tokio::test]
async fn a_tombstone_outlives_its_key_by_delete_retention_ms() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic_with("t", 1, &EAGER).await;
    client.write(&topic, &[("a", Some("1"))]).await;
    client.write(&topic, &[("a", None)]).await;
    client.seal(&topic).await;
    pass(REST).await;
    client.expect_left(&topic, &[(1, "a", None)]).await;
    // It stays for a minute from the first compaction that found it alone.
    client.seal(&topic).await;
    pass(Duration::from_secs(61)).await;
    client.expect_left(&topic, &[]).await;
}

#[tokio::test]
async fn a_fetch_reads_on_past_segments_of_which_nothing_is_left() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic_with("t", 1, &EAGER).await;
    client.write(&topic, &[("a", Some("1"))]).await;
    client.write(&topic, &[("b", Some("1"))]).await;
    for _ in 0..6 {
        client.seal(&topic).await;
    }
    pass(REST).await;
    let left = [(0, "a", Some("1")), (1, "b", Some("1"))];
    let mut offsets = Vec::new();
    for _ in 0..PATIENCE {
        client.expect_left(&topic, &left).await;
        offsets = client.offsets_of_each_fetch(&topic).await;
        // The two records and what is in the segment that is in use, and the one before it.
        if offsets.iter().flatten().count() < 7 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(offsets.len() > 1, "{offsets:?}");
    assert!(offsets.iter().all(|fetch| !fetch.is_empty()), "{offsets:?}");
}

#[tokio::test]
async fn compressed_batches_keep_their_codec() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic_with("t", 1, &EAGER).await;
    for codec in [Compression::Gzip, Compression::Zstd, Compression::Lz4] {
        let batch = keyed(&[("a", Some("1")), (codec.name(), Some("2"))], codec);
        client.produce(9, &topic, batch).await;
    }
    client.seal(&topic).await;
    pass(REST).await;
    let left = [
        (1, "gzip", Some("2")),
        (3, "zstd", Some("2")),
        (4, "a", Some("1")),
        (5, "lz4", Some("2")),
    ];
    client.expect_left(&topic, &left).await;
    let records = client.fetch(12, &topic, 0).await.records.unwrap();
    let codecs: Vec<_> = Batches::new(records)
        .map(|batch| batch.unwrap().header().attributes.compression().unwrap())
        .collect();
    assert_eq!(
        codecs[..3],
        [Compression::Gzip, Compression::Zstd, Compression::Lz4]
    );
}

#[tokio::test]
async fn a_topic_is_compacted_from_when_it_is_told_to_and_no_longer_than_that() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut settings = EAGER;
    settings[0].1 = "delete";
    let topic = client.create_topic_with("t", 1, &settings).await;
    client.write(&topic, &[("a", Some("1"))]).await;
    client.write(&topic, &[("a", Some("2"))]).await;
    client.seal(&topic).await;
    pass(REST).await;
    let both = [(0, "a", Some("1")), (1, "a", Some("2"))];
    client.expect_left(&topic, &both).await;
    client.set(TOPIC, "t", "cleanup.policy", "compact").await;
    pass(REST).await;
    client.expect_left(&topic, &both[1..]).await;
    client.set(TOPIC, "t", "cleanup.policy", "delete").await;
    let third = client.write(&topic, &[("a", Some("3"))]).await;
    client.seal(&topic).await;
    pass(REST).await;
    let left = [(1, "a", Some("2")), (third, "a", Some("3"))];
    client.expect_left(&topic, &left).await;
}

#[tokio::test]
async fn lags_hold_compaction_up_and_force_it() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut settings = EAGER.to_vec();
    settings[1].1 = "100000";
    settings[2].1 = "1.0";
    settings.push(("min.compaction.lag.ms", "30000"));
    settings.push(("max.compaction.lag.ms", "100000"));
    let topic = client.create_topic_with("t", 1, &settings).await;
    client.write(&topic, &[("a", Some("1"))]).await;
    client.write(&topic, &[("a", Some("2"))]).await;
    pass(REST).await;
    let both = [(0, "a", Some("1")), (1, "a", Some("2"))];
    client.expect_left(&topic, &both).await;
    // The next record finds the segment too old to be left out for any longer.
    pass(Duration::from_secs(200)).await;
    let mut late = BatchBuilder::new(BatchOptions::default()).unwrap();
    late.append(NOW_MS + 200_000, Some(b"b"), Some(b"1"), &[])
        .unwrap();
    client.produce(9, &topic, late.build().unwrap()).await;
    pass(REST).await;
    client
        .expect_left(&topic, &[(1, "a", Some("2")), (2, "b", Some("1"))])
        .await;
}

#[tokio::test]
async fn a_topic_is_compacted_and_old_segments_go_as_well() {
    let server = Server::with(&[("log.retention.check.interval.ms", "1000")]).await;
    let mut client = server.connect().await;
    let mut settings = EAGER.to_vec();
    settings[0].1 = "compact,delete";
    settings.push(("retention.ms", "100000"));
    let topic = client.create_topic_with("t", 1, &settings).await;
    client
        .write(&topic, &[("a", Some("1")), ("b", Some("1"))])
        .await;
    client.write(&topic, &[("a", Some("2"))]).await;
    client.seal(&topic).await;
    pass(REST).await;
    let left = [(1, "b", Some("1")), (2, "a", Some("2"))];
    client.expect_left(&topic, &left).await;
    pass(Duration::from_secs(101)).await;
    client.expect_left(&topic, &[]).await;
    assert!(client.log_start(&topic).await > 2);
}

#[tokio::test]
async fn compaction_reads_and_writes_no_faster_than_it_may() {
    let rate = [("log.cleaner.io.max.bytes.per.second", "5000")];
    let server = Server::with(&rate).await;
    let mut client = server.connect().await;
    let mut settings = EAGER;
    settings[1].1 = "30000";
    let topic = client.create_topic_with("t", 1, &settings).await;
    let large = "x".repeat(1_000);
    for _ in 0..30 {
        client.write(&topic, &[("seal", Some(&large))]).await;
    }
    client.write(&topic, &[("a", Some("1"))]).await;
    client.write(&topic, &[("a", Some("2"))]).await;
    for _ in 0..30 {
        client.write(&topic, &[("seal", Some(&large))]).await;
    }
    // To read two sealed segments once takes some 12 seconds at this rate.
    pass(REST).await;
    for _ in 0..4 {
        pass(Duration::from_secs(1)).await;
        client.read_pairs(&topic).await;
    }
    let both = [(30, "a", Some("1")), (31, "a", Some("2"))];
    client.expect_left(&topic, &both).await;
    for _ in 0..60 {
        pass(Duration::from_secs(1)).await;
        client.read_pairs(&topic).await;
    }
    client.expect_left(&topic, &both[1..]).await;
}
