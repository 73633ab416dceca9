//! DeleteRecords and DescribeLogDirs.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic, DescribableLogDirTopic,
    DescribeLogDirsRequest, DescribeLogDirsResult, ListOffsetsPartition, ListOffsetsRequest,
    ListOffsetsTopic,
};

use crate::support::{Client, Server, batch, text, values, versions};

/// The new log start, or why there is none.
async fn delete_before(
    client: &mut Client,
    version: i16,
    (topic, partition_index): (&str, i32),
    offset: i64,
) -> Result<i64, ErrorCode> {
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: text(topic),
            partitions: vec![DeleteRecordsPartition {
                partition_index,
                offset,
            }],
        }],
        timeout_ms: 1_000,
    };
    let mut response = client.call(version, request).await;
    let answer = response.topics.remove(0).partitions.remove(0);
    assert_eq!(answer.partition_index, partition_index);
    if answer.error_code == ErrorCode::None {
        Ok(answer.low_watermark)
    } else {
        assert_eq!(answer.low_watermark, -1);
        Err(answer.error_code)
    }
}

/// A broker whose topic `t` has six records in two batches.
async fn filled() -> (Server, Client, crate::support::Topic) {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 2).await;
    client.produce(9, &topic, batch(&["a", "b", "c"])).await;
    client.produce(9, &topic, batch(&["d", "e", "f"])).await;
    (server, client, topic)
}

#[tokio::test]
async fn deleted_records_are_gone_in_every_version() {
    for version in versions::<DeleteRecordsRequest>() {
        let (_server, mut client, topic) = filled().await;
        let start = delete_before(&mut client, version, ("t", 0), 3).await;
        assert_eq!(start, Ok(3));
        let gone = client.fetch(12, &topic, 2).await;
        assert_eq!(gone.error_code, ErrorCode::OffsetOutOfRange);
        let left = client.fetch(12, &topic, 3).await;
        assert_eq!(left.log_start_offset, 3);
        assert_eq!(values(left.records)[0], (3, "d".to_owned()));
    }
}

#[tokio::test]
async fn every_answer_tells_the_new_log_start() {
    let (_server, mut client, topic) = filled().await;
    delete_before(&mut client, 2, ("t", 0), 4).await.unwrap();
    let produced = client.produce(9, &topic, batch(&["g"])).await;
    assert_eq!(produced.log_start_offset, 4);
    assert_eq!(client.fetch(12, &topic, 4).await.log_start_offset, 4);
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: text("t"),
            partitions: vec![ListOffsetsPartition {
                timestamp: -2,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    let listed = client.call(7, request).await;
    assert_eq!(listed.topics[0].partitions[0].offset, 4);
}

#[tokio::test]
async fn the_high_watermark_deletes_everything_and_offsets_go_on() {
    let (_server, mut client, topic) = filled().await;
    assert_eq!(delete_before(&mut client, 2, ("t", 0), -1).await, Ok(6));
    assert_eq!(values(client.fetch(12, &topic, 6).await.records), []);
    let produced = client.produce(9, &topic, batch(&["g"])).await;
    assert_eq!(produced.base_offset, 6);
}

#[tokio::test]
async fn a_log_start_does_not_go_back() {
    let (_server, mut client, _) = filled().await;
    assert_eq!(delete_before(&mut client, 2, ("t", 0), 5).await, Ok(5));
    assert_eq!(delete_before(&mut client, 2, ("t", 0), 1).await, Ok(5));
}

#[tokio::test]
async fn offsets_and_partitions_that_are_not_there_are_refused() {
    let (_server, mut client, _) = filled().await;
    for offset in [7, -2, i64::MIN, i64::MAX] {
        let outcome = delete_before(&mut client, 2, ("t", 0), offset).await;
        assert_eq!(outcome, Err(ErrorCode::OffsetOutOfRange), "{offset}");
    }
    for partition in [("t", 2), ("t", -1), ("u", 0)] {
        let outcome = delete_before(&mut client, 2, partition, 0).await;
        assert_eq!(outcome, Err(ErrorCode::UnknownTopicOrPartition));
    }
}

async fn describe(
    client: &mut Client,
    version: i16,
    topics: Option<Vec<DescribableLogDirTopic>>,
) -> DescribeLogDirsResult {
    let request = DescribeLogDirsRequest { topics };
    let mut response = client.call(version, request).await;
    assert_eq!(response.error_code, ErrorCode::None);
    assert_eq!(response.results.len(), 1);
    response.results.remove(0)
}

#[tokio::test]
async fn the_one_log_directory_lists_every_partition_in_every_version() {
    let (_server, mut client, _) = filled().await;
    for version in versions::<DescribeLogDirsRequest>() {
        let described = describe(&mut client, version, None).await;
        assert_eq!(described.error_code, ErrorCode::None);
        assert!(described.log_dir.starts_with('/'));
        assert!(!described.is_cordoned);
        assert_eq!(described.topics.len(), 1);
        assert_eq!(&*described.topics[0].name, "t");
        let partitions = &described.topics[0].partitions;
        assert_eq!(partitions.len(), 2);
        assert!(partitions[0].partition_size > 0);
        assert_eq!(partitions[1].partition_size, 0);
        assert_eq!(partitions[0].offset_lag, 0);
        assert!(!partitions[0].is_future_key);
    }
}

#[tokio::test]
async fn only_what_is_asked_for_and_there_is_described() {
    let (_server, mut client, _) = filled().await;
    let wanted = |topic: &str, partitions: &[i32]| DescribableLogDirTopic {
        topic: text(topic),
        partitions: partitions.to_vec(),
    };
    let asked = Some(vec![wanted("t", &[1, 7, -1]), wanted("u", &[0])]);
    let described = describe(&mut client, 4, asked).await;
    assert_eq!(described.topics.len(), 1);
    assert_eq!(described.topics[0].partitions.len(), 1);
    assert_eq!(described.topics[0].partitions[0].partition_index, 1);
    assert!(
        describe(&mut client, 4, Some(Vec::new()))
            .await
            .topics
            .is_empty()
    );
}
