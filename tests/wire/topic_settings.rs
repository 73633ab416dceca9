//! Settings of a topic that change while the broker runs, and after a restart: retention, segments, flushes.

use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::record::{BatchBuilder, BatchOptions};

use crate::alter_configs::TOPIC;
use crate::compaction::pass;
use crate::support::{Client, NOW_MS, Server, Topic, batch, values};

/// How often something is looked at that must come soon.
const PATIENCE: usize = 500;

/// A broker that looks for what may go every second, and a topic with five batches in it.
async fn filled(settings: &[(&str, &str)]) -> (Server, Client, Topic) {
    let server = Server::with(&[("log.retention.check.interval.ms", "1000")]).await;
    let mut client = server.connect().await;
    let topic = client.create_topic_with("t", 1, settings).await;
    for _ in 0..5 {
        client.produce(9, &topic, batch(&[&"x".repeat(150)])).await;
    }
    (server, client, topic)
}

impl Client {
    /// Waits until the log starts at `offset`.
    async fn expect_start(&mut self, topic: &Topic, offset: i64) {
        let mut start = -1;
        for _ in 0..PATIENCE {
            start = self.log_start(topic).await;
            if start == offset {
                return;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(start, offset);
    }

    /// That the log still starts at 0 after some time.
    async fn expect_all(&mut self, topic: &Topic) {
        pass(Duration::from_secs(3)).await;
        for _ in 0..10 {
            assert_eq!(self.log_start(topic).await, 0);
        }
    }
}

#[tokio::test]
async fn records_go_when_retention_ms_becomes_short() {
    let (_server, mut client, topic) = filled(&[("segment.bytes", "300")]).await;
    client.expect_all(&topic).await;
    client.set(TOPIC, "t", "retention.ms", "1000").await;
    pass(Duration::from_secs(2)).await;
    // Those of the active segment too.
    client.expect_start(&topic, 5).await;
    let gone = client.fetch(12, &topic, 4).await;
    assert_eq!(gone.error_code, ErrorCode::OffsetOutOfRange);
    let next = client.produce(9, &topic, batch(&["y"])).await;
    assert_eq!(next.base_offset, 5);
}

#[tokio::test]
async fn records_go_when_retention_bytes_becomes_small() {
    let (_server, mut client, topic) = filled(&[("segment.bytes", "300")]).await;
    client.expect_all(&topic).await;
    client.set(TOPIC, "t", "retention.bytes", "400").await;
    pass(Duration::from_secs(2)).await;
    client.expect_start(&topic, 3).await;
}

#[tokio::test]
async fn the_next_segment_is_as_large_as_segment_bytes_says_now() {
    let (_server, mut client, topic) = filled(&[("retention.bytes", "1")]).await;
    client.expect_all(&topic).await;
    client.set(TOPIC, "t", "segment.bytes", "300").await;
    client.produce(9, &topic, batch(&["y"])).await;
    pass(Duration::from_secs(2)).await;
    client.expect_start(&topic, 5).await;
}

#[tokio::test]
async fn the_next_segment_is_as_old_as_segment_ms_says_now() {
    let (_server, mut client, topic) = filled(&[("retention.bytes", "1")]).await;
    let mut later = BatchBuilder::new(BatchOptions::default()).unwrap();
    later.append(NOW_MS + 2_000, None, Some(b"z"), &[]).unwrap();
    let later = later.build().unwrap();
    client.produce(9, &topic, later.clone()).await;
    client.expect_all(&topic).await;
    client.set(TOPIC, "t", "segment.ms", "1000").await;
    client.produce(9, &topic, later).await;
    pass(Duration::from_secs(2)).await;
    client.expect_start(&topic, 6).await;
}

#[tokio::test]
async fn what_was_set_is_in_force_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("retention.ms", "1000"),
        ("segment.bytes", "300"),
        ("cleanup.policy", "compact,delete"),
        ("max.message.bytes", "400"),
        ("flush.messages", "1000"),
    ];
    {
        let server = Server::on(dir.path()).await;
        let mut client = server.connect().await;
        client.create_topic("t", 1).await;
        for (key, value) in settings {
            client.set(TOPIC, "t", key, value).await;
        }
    }
    let server = Server::on(dir.path()).await;
    let mut client = server.connect().await;
    for (key, value) in settings {
        let shown = client.setting(TOPIC, "t", key).await;
        assert_eq!(shown, Some((value.to_owned(), 1)));
    }
    let topic = client.find_topic("t").await;
    let large = client.produce(9, &topic, batch(&[&"x".repeat(500)])).await;
    assert_eq!(large.error_code, ErrorCode::MessageTooLarge);
    let mut keyless = BatchBuilder::new(BatchOptions::default()).unwrap();
    keyless.append(NOW_MS, None, Some(b"v"), &[]).unwrap();
    let keyless = client.produce(9, &topic, keyless.build().unwrap()).await;
    assert_eq!(keyless.error_code, ErrorCode::InvalidRecord);
}

#[tokio::test]
async fn a_topic_that_becomes_durable_while_the_broker_runs_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::on(dir.path()).await;
    let mut client = server.connect().await;
    let lazy = [("flush.messages", "1000")];
    let topic = client.create_topic_with("t", 1, &lazy).await;
    client.produce(9, &topic, batch(&["a"])).await;
    client.set(TOPIC, "t", "flush.messages", "1").await;
    client.produce(9, &topic, batch(&["b"])).await;
    drop((client, server));
    let server = Server::on(dir.path()).await;
    let mut client = server.connect().await;
    client.produce(9, &topic, batch(&["c"])).await;
    let read = values(client.fetch(12, &topic, 0).await.records);
    let read: Vec<_> = read.into_iter().map(|(_, value)| value).collect();
    assert_eq!(read, ["a", "b", "c"]);
}
