//! Fetch: what is read, how much, and how long it waits.

use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::message::{FetchRequest, FetchTopic};
use ottla_protocol::record::{BatchOptions, Compression};
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::{
    Client, Server, Topic, base_offsets, batch, batch_with, fetch_partition, fetch_request,
    only_partition, text, values, versions,
};

/// A broker whose topic `t` holds three batches of two records.
async fn filled() -> (Server, Client, Topic) {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 3).await;
    for _ in 0..3 {
        client.produce(9, &topic, batch(&["x", "y"])).await;
    }
    (server, client, topic)
}

fn batch_len() -> i32 {
    i32::try_from(batch(&["x", "y"]).len()).unwrap()
}

#[tokio::test]
async fn every_version_reads_all_records() {
    let (_server, mut client, topic) = filled().await;
    for version in versions::<FetchRequest>() {
        let request = fetch_request(&topic, 0);
        let response = client.call(version, request).await;
        assert_eq!(response.session_id, 0);
        let answered = &response.responses[0];
        let (name, id) = if version < 13 {
            (&*topic.name, Uuid::nil())
        } else {
            ("", topic.id)
        };
        assert_eq!(
            (&*answered.topic, answered.topic_id),
            (name, id),
            "version {version}"
        );
        let read = only_partition(response);
        assert_eq!(read.error_code, ErrorCode::None);
        assert_eq!((read.high_watermark, read.last_stable_offset), (6, 6));
        assert_eq!(read.log_start_offset, if version >= 5 { 0 } else { -1 });
        assert_eq!(read.aborted_transactions, None);
        assert_eq!(base_offsets(read.records), [0, 2, 4], "version {version}");
    }
}

#[tokio::test]
async fn a_read_in_the_middle_of_a_batch_gives_the_whole_batch() {
    let (_server, mut client, topic) = filled().await;
    assert_eq!(
        base_offsets(client.fetch(12, &topic, 3).await.records),
        [2, 4]
    );
}

#[tokio::test]
async fn the_end_of_the_log_is_no_error_and_gives_no_records() {
    let (_server, mut client, topic) = filled().await;
    let read = client.fetch(12, &topic, 6).await;
    assert_eq!(read.error_code, ErrorCode::None);
    assert_eq!(read.records, Some(Bytes::new()));
}

#[tokio::test]
async fn an_offset_outside_the_log_is_out_of_range_at_once() {
    let (_server, mut client, topic) = filled().await;
    for offset in [7, -1, i64::MAX, i64::MIN] {
        let request = FetchRequest {
            max_wait_ms: i32::MAX,
            min_bytes: 1,
            ..fetch_request(&topic, offset)
        };
        let read = only_partition(client.call(12, request).await);
        assert_eq!(read.error_code, ErrorCode::OffsetOutOfRange, "{offset}");
    }
}

#[tokio::test]
async fn the_first_batch_is_whole_whatever_the_limits_say() {
    let (_server, mut client, topic) = filled().await;
    for limit in [1, 0, batch_len() - 1] {
        let mut request = fetch_request(&topic, 0);
        request.max_bytes = limit;
        request.topics[0].partitions[0].partition_max_bytes = limit;
        let read = only_partition(client.call(12, request).await);
        assert_eq!(base_offsets(read.records), [0], "limit {limit}");
    }
}

#[tokio::test]
async fn a_partition_gives_as_many_whole_batches_as_fit() {
    let (_server, mut client, topic) = filled().await;
    for (limit, expected) in [
        (2 * batch_len(), 2),
        (3 * batch_len() - 1, 2),
        (i32::MAX, 3),
    ] {
        let mut request = fetch_request(&topic, 0);
        request.topics[0].partitions[0].partition_max_bytes = limit;
        let read = only_partition(client.call(12, request).await);
        assert_eq!(base_offsets(read.records).len(), expected, "limit {limit}");
    }
}

#[tokio::test]
async fn max_bytes_is_shared_by_the_partitions_in_the_order_of_the_request() {
    let (_server, mut client, one) = filled().await;
    let two = client.create_topic("two", 1).await;
    client.produce(9, &two, batch(&["x", "y"])).await;
    let mut request = fetch_request(&one, 0);
    request.topics.push(fetch_request(&two, 0).topics.remove(0));
    for (max_bytes, first, second) in [
        (1, 1, 0),
        (3 * batch_len(), 3, 0),
        (4 * batch_len(), 3, 1),
        (4 * batch_len() - 1, 3, 0),
    ] {
        let response = client
            .call(
                12,
                FetchRequest {
                    max_bytes,
                    ..request.clone()
                },
            )
            .await;
        let counts: Vec<usize> = response
            .responses
            .iter()
            .map(|topic| base_offsets(topic.partitions[0].records.clone()).len())
            .collect();
        assert_eq!(counts, [first, second], "max_bytes {max_bytes}");
    }
}

#[tokio::test]
async fn an_empty_partition_does_not_use_up_the_right_to_a_whole_batch() {
    let (_server, mut client, topic) = filled().await;
    let mut request = FetchRequest {
        max_bytes: 1,
        ..fetch_request(&topic, 0)
    };
    request.topics[0].partitions = vec![fetch_partition(1, 0), fetch_partition(0, 0)];
    let response = client.call(12, request).await;
    let partitions = &response.responses[0].partitions;
    assert_eq!(base_offsets(partitions[0].records.clone()), []);
    assert_eq!(base_offsets(partitions[1].records.clone()), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_waits_no_longer_than_max_wait() {
    let (_server, mut client, topic) = filled().await;
    let started = Instant::now();
    let request = FetchRequest {
        max_wait_ms: 700,
        min_bytes: 1,
        ..fetch_request(&topic, 6)
    };
    let read = only_partition(client.call(12, request).await);
    assert_eq!(read.error_code, ErrorCode::None);
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(700) && waited < Duration::from_millis(800));
}

#[tokio::test(start_paused = true)]
async fn too_little_for_min_bytes_is_given_when_the_wait_is_over() {
    let (_server, mut client, topic) = filled().await;
    let started = Instant::now();
    let min_bytes = 3 * batch_len() + 1;
    let request = FetchRequest {
        max_wait_ms: 700,
        min_bytes,
        ..fetch_request(&topic, 0)
    };
    let read = only_partition(client.call(12, request).await);
    assert_eq!(base_offsets(read.records), [0, 2, 4]);
    assert!(started.elapsed() >= Duration::from_millis(700));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_fetch_is_released_by_the_append_that_gives_it_enough_and_not_by_a_timer() {
    let (server, mut client, topic) = filled().await;
    let min_bytes = 2 * batch_len();
    let request = FetchRequest {
        max_wait_ms: 60_000,
        min_bytes,
        ..fetch_request(&topic, 6)
    };
    let id = client.send(12, request).await;
    let mut producer = server.connect().await;
    let started = Instant::now();
    producer.produce(9, &topic, batch(&["x", "y"])).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    producer.produce(9, &topic, batch(&["x", "y"])).await;
    let read = only_partition(client.receive::<FetchRequest>(12, id).await);
    assert_eq!(base_offsets(read.records), [6, 8]);
    let waited = started.elapsed();
    assert!(waited < Duration::from_millis(1_010), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_have_to_wait_is_answered_at_once() {
    let (_server, mut client, topic) = filled().await;
    let started = Instant::now();
    let waiting = |request| FetchRequest {
        max_wait_ms: 60_000,
        ..request
    };
    let nothing_wanted = fetch_request(&topic, 6);
    client
        .call(
            12,
            waiting(FetchRequest {
                min_bytes: 0,
                ..nothing_wanted.clone()
            }),
        )
        .await;
    client
        .call(
            12,
            FetchRequest {
                max_wait_ms: -1,
                min_bytes: 1,
                ..nothing_wanted.clone()
            },
        )
        .await;
    let no_partitions = FetchRequest {
        topics: Vec::new(),
        ..nothing_wanted.clone()
    };
    client
        .call(
            12,
            waiting(FetchRequest {
                min_bytes: 1,
                ..no_partitions
            }),
        )
        .await;
    let mut one_unknown = FetchRequest {
        min_bytes: 1,
        ..nothing_wanted
    };
    one_unknown.topics[0].partitions.push(fetch_partition(9, 0));
    let response = client.call(12, waiting(one_unknown)).await;
    let codes: Vec<_> = response.responses[0]
        .partitions
        .iter()
        .map(|p| p.error_code)
        .collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    assert!(started.elapsed() < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn partition_max_bytes_caps_what_counts_towards_min_bytes() {
    let (_server, mut client, topic) = filled().await;
    let started = Instant::now();
    let mut request = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 100,
        ..fetch_request(&topic, 0)
    };
    request.topics[0].partitions[0].partition_max_bytes = 99;
    client.call(12, request).await;
    assert!(started.elapsed() >= Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn deleting_the_topic_does_not_leave_a_fetch_waiting_past_its_time() {
    let (server, mut client, topic) = filled().await;
    let request = FetchRequest {
        max_wait_ms: 900,
        min_bytes: 1,
        ..fetch_request(&topic, 6)
    };
    let id = client.send(12, request).await;
    server.connect().await.delete_topic("t").await;
    client.receive::<FetchRequest>(12, id).await;
}

#[tokio::test]
async fn unknown_names_and_ids_have_errors_of_their_own() {
    let (_server, mut client, _topic) = filled().await;
    let unknown = Topic {
        name: text("nope"),
        id: Uuid::from_u128(9),
    };
    for version in versions::<FetchRequest>() {
        let read = client.fetch(version, &unknown, 0).await;
        let code = if version < 13 {
            ErrorCode::UnknownTopicOrPartition
        } else {
            ErrorCode::UnknownTopicId
        };
        assert_eq!(read.error_code, code, "version {version}");
        assert_eq!(read.high_watermark, -1);
    }
}

#[tokio::test]
async fn a_leader_epoch_that_is_not_ours_is_fenced_or_unknown() {
    let (_server, mut client, topic) = filled().await;
    let mut request = fetch_request(&topic, 0);
    for (epoch, code) in [
        (-1, ErrorCode::None),
        (i32::MAX, ErrorCode::UnknownLeaderEpoch),
        (-2, ErrorCode::FencedLeaderEpoch),
    ] {
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        let read = only_partition(client.call(12, request.clone()).await);
        assert_eq!(read.error_code, code, "epoch {epoch}");
    }
}

#[tokio::test]
async fn a_reader_from_an_epoch_that_never_was_is_out_of_range() {
    let (_server, mut client, topic) = filled().await;
    let mut request = fetch_request(&topic, 0);
    request.topics[0].partitions[0].last_fetched_epoch = 1_000;
    let read = only_partition(client.call(12, request).await);
    assert_eq!(read.error_code, ErrorCode::OffsetOutOfRange);
    assert_eq!(read.records, Some(Bytes::new()));
}

#[tokio::test]
async fn zstd_is_not_given_to_a_client_before_version_10() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let compression = Compression::Zstd;
    let options = BatchOptions {
        compression,
        ..Default::default()
    };
    client.produce(9, &topic, batch_with(options, &["x"])).await;
    for version in versions::<FetchRequest>() {
        let read = client.fetch(version, &topic, 0).await;
        if version < 10 {
            assert_eq!(read.error_code, ErrorCode::UnsupportedCompressionType);
        } else {
            assert_eq!(values(read.records), [(0, "x".to_owned())]);
        }
    }
}

#[tokio::test]
async fn read_committed_lists_aborted_transactions_even_if_there_are_none() {
    let (_server, mut client, topic) = filled().await;
    let request = FetchRequest {
        isolation_level: 1,
        ..fetch_request(&topic, 0)
    };
    let read = only_partition(client.call(12, request).await);
    assert_eq!(read.aborted_transactions, Some(Vec::new()));
    assert_eq!(base_offsets(read.records), [0, 2, 4]);
}

#[tokio::test]
async fn a_topic_that_is_named_twice_is_answered_for_each_partition() {
    let (_server, mut client, topic) = filled().await;
    let entry = |partition| FetchTopic {
        topic: topic.name.clone(),
        topic_id: topic.id,
        partitions: vec![fetch_partition(partition, 0)],
    };
    let topics = vec![entry(0), entry(1)];
    let response = client
        .call(
            12,
            FetchRequest {
                topics,
                ..fetch_request(&topic, 0)
            },
        )
        .await;
    let partitions = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions);
    let indexes: Vec<i32> = partitions
        .map(|partition| partition.partition_index)
        .collect();
    assert_eq!(indexes, [0, 1]);
}
