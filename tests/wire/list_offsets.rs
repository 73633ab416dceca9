//! ListOffsets and OffsetForLeaderEpoch.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    EpochEndOffset, ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest,
    ListOffsetsTopic, OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use ottla_protocol::record::{BatchBuilder, BatchOptions};

use crate::support::{Client, NOW_MS, Server, Topic, text, versions};

/// A broker whose topic `t` holds records of these many milliseconds after the start, each in a
/// batch of its own.
async fn filled(times: &[i64]) -> (Server, Client, Topic) {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    for time in times {
        let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
        builder
            .append(NOW_MS + time, None, Some(b"v"), &[])
            .unwrap();
        client.produce(9, &topic, builder.build().unwrap()).await;
    }
    (server, client, topic)
}

async fn ask(
    client: &mut Client,
    version: i16,
    topic: &str,
    wanted: ListOffsetsPartition,
) -> ListOffsetsPartitionResponse {
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: text(topic),
            partitions: vec![wanted],
        }],
        ..Default::default()
    };
    client
        .call(version, request)
        .await
        .topics
        .remove(0)
        .partitions
        .remove(0)
}

fn at(timestamp: i64) -> ListOffsetsPartition {
    ListOffsetsPartition {
        timestamp,
        ..Default::default()
    }
}

#[tokio::test]
async fn latest_and_earliest_are_answered_in_every_version() {
    let (_server, mut client, _) = filled(&[10, 20, 30]).await;
    for version in versions::<ListOffsetsRequest>() {
        for (spec, offset) in [(-1, 3), (-2, 0)] {
            let found = ask(&mut client, version, "t", at(spec)).await;
            assert_eq!((found.error_code, found.offset), (ErrorCode::None, offset));
            assert_eq!(found.timestamp, -1);
            assert_eq!(found.leader_epoch >= 0, version >= 4);
        }
    }
}

#[tokio::test]
async fn a_time_finds_the_first_record_that_is_not_older() {
    let (_server, mut client, _) = filled(&[10, 30, 20, 40]).await;
    for (time, offset, found_at) in [
        (0, 0, 10),
        (10, 0, 10),
        (11, 1, 30),
        (20, 1, 30),
        (31, 3, 40),
    ] {
        let found = ask(&mut client, 7, "t", at(NOW_MS + time)).await;
        assert_eq!(found.error_code, ErrorCode::None);
        assert_eq!(
            (found.offset, found.timestamp),
            (offset, NOW_MS + found_at),
            "{time}"
        );
    }
}

#[tokio::test]
async fn a_time_after_the_last_record_finds_nothing() {
    let (_server, mut client, _) = filled(&[10]).await;
    for time in [NOW_MS + 11, i64::MAX] {
        let found = ask(&mut client, 7, "t", at(time)).await;
        assert_eq!(
            (found.error_code, found.offset, found.timestamp),
            (ErrorCode::None, -1, -1)
        );
    }
}

#[tokio::test]
async fn the_record_with_the_largest_timestamp_is_found() {
    let (_server, mut client, _) = filled(&[10, 30, 20]).await;
    let found = ask(&mut client, 7, "t", at(-3)).await;
    assert_eq!((found.offset, found.timestamp), (1, NOW_MS + 30));
}

#[tokio::test]
async fn an_empty_log_has_no_largest_timestamp() {
    let (_server, mut client, _) = filled(&[]).await;
    let found = ask(&mut client, 7, "t", at(-3)).await;
    assert_eq!(
        (found.error_code, found.offset, found.timestamp),
        (ErrorCode::None, -1, -1)
    );
}

#[tokio::test]
async fn without_tiers_the_local_start_is_the_start_and_nothing_is_tiered() {
    let (_server, mut client, _) = filled(&[10]).await;
    for (version, spec, offset) in [(8, -4, 0), (9, -5, -1), (11, -6, -1)] {
        let found = ask(&mut client, version, "t", at(spec)).await;
        assert_eq!(
            (found.error_code, found.offset),
            (ErrorCode::None, offset),
            "{spec}"
        );
    }
}

#[tokio::test]
async fn unknown_topics_and_partitions_are_told() {
    let (_server, mut client, _) = filled(&[]).await;
    for version in versions::<ListOffsetsRequest>() {
        let found = ask(&mut client, version, "nope", at(-1)).await;
        assert_eq!(found.error_code, ErrorCode::UnknownTopicOrPartition);
        let wanted = ListOffsetsPartition {
            partition_index: 5,
            ..at(-1)
        };
        let found = ask(&mut client, version, "t", wanted).await;
        assert_eq!(found.error_code, ErrorCode::UnknownTopicOrPartition);
        assert_eq!((found.partition_index, found.offset), (5, -1));
    }
}

#[tokio::test]
async fn a_leader_epoch_that_is_not_ours_is_fenced_or_unknown() {
    let (_server, mut client, _) = filled(&[]).await;
    for (epoch, code) in [
        (i32::MAX, ErrorCode::UnknownLeaderEpoch),
        (-2, ErrorCode::FencedLeaderEpoch),
    ] {
        let wanted = ListOffsetsPartition {
            current_leader_epoch: epoch,
            ..at(-1)
        };
        assert_eq!(ask(&mut client, 4, "t", wanted).await.error_code, code);
    }
}

async fn epoch_end(
    client: &mut Client,
    version: i16,
    topic: &str,
    wanted: OffsetForLeaderPartition,
) -> EpochEndOffset {
    let topics = vec![OffsetForLeaderTopic {
        topic: text(topic),
        partitions: vec![wanted],
    }];
    let request = OffsetForLeaderEpochRequest {
        topics,
        ..Default::default()
    };
    client
        .call(version, request)
        .await
        .topics
        .remove(0)
        .partitions
        .remove(0)
}

#[tokio::test]
async fn the_present_leader_epoch_ends_at_the_end_of_the_log() {
    let (_server, mut client, _) = filled(&[1, 2]).await;
    let leader_epoch = ask(&mut client, 7, "t", at(-1)).await.leader_epoch;
    for version in versions::<OffsetForLeaderEpochRequest>() {
        let wanted = OffsetForLeaderPartition {
            leader_epoch,
            ..Default::default()
        };
        let found = epoch_end(&mut client, version, "t", wanted).await;
        assert_eq!(found.error_code, ErrorCode::None);
        assert_eq!((found.leader_epoch, found.end_offset), (leader_epoch, 2));
    }
}

#[tokio::test]
async fn the_end_of_an_epoch_is_not_told_to_those_who_are_fenced_or_ask_for_what_is_not_there() {
    let (_server, mut client, _) = filled(&[]).await;
    let cases = [
        ("t", 0, i32::MAX, ErrorCode::UnknownLeaderEpoch),
        ("t", 0, -2, ErrorCode::FencedLeaderEpoch),
        ("t", 3, -1, ErrorCode::UnknownTopicOrPartition),
        ("nope", 0, -1, ErrorCode::UnknownTopicOrPartition),
    ];
    for (topic, partition, current_leader_epoch, code) in cases {
        let wanted = OffsetForLeaderPartition {
            partition,
            current_leader_epoch,
            leader_epoch: 0,
        };
        let found = epoch_end(&mut client, 4, topic, wanted).await;
        assert_eq!((found.error_code, found.partition), (code, partition));
        assert_eq!((found.leader_epoch, found.end_offset), (-1, -1));
    }
}
