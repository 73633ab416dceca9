//! Produce that succeeds.

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_protocol::record::{BatchOptions, Batches, Compression, ProducerIdentity, TimestampType};
use uuid::Uuid;

use crate::support::{
    NOW_MS, Server, Topic, batch, batch_with, produce_request, text, values, versions,
};

#[tokio::test]
async fn every_version_appends_and_numbers_records_without_a_gap() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let mut expected = 0;
    for version in versions::<ProduceRequest>() {
        let answer = client
            .produce(version, &topic, batch(&["a", "b", "c"]))
            .await;
        assert_eq!(answer.error_code, ErrorCode::None, "version {version}");
        assert_eq!(answer.base_offset, expected, "version {version}");
        assert_eq!(answer.log_append_time_ms, -1);
        assert_eq!(answer.log_start_offset, if version >= 5 { 0 } else { -1 });
        expected += 3;
    }
    let read = values(client.fetch(4, &topic, 0).await.records);
    let offsets: Vec<i64> = read.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, (0..expected).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_fetched_is_what_was_produced_but_for_offset_and_leader_epoch() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    client.produce(9, &topic, batch(&["first"])).await;
    let sent = batch(&["second", "third"]);
    client.produce(9, &topic, sent.clone()).await;
    let read = client.fetch(12, &topic, 1).await.records.unwrap();
    assert_eq!(read[..8], 1_i64.to_be_bytes());
    assert_eq!(read[8..12], sent[8..12]);
    assert_eq!(read[16..], sent[16..]);
}

#[tokio::test]
async fn every_codec_is_stored_as_it_came() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let codecs = [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    for compression in codecs {
        let sent = batch_with(
            BatchOptions {
                compression,
                ..Default::default()
            },
            &["a", "b"],
        );
        let answer = client.produce(7, &topic, sent.clone()).await;
        assert_eq!(answer.error_code, ErrorCode::None, "{compression}");
        let read = client
            .fetch(11, &topic, answer.base_offset)
            .await
            .records
            .unwrap();
        assert_eq!(read[16..], sent[16..], "{compression}");
    }
}

#[tokio::test]
async fn an_answer_lists_every_partition_in_the_order_of_the_request() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let (one, two) = (
        client.create_topic("one", 3).await,
        client.create_topic("two", 1).await,
    );
    let data = |topic: &Topic, indexes: &[i32]| TopicProduceData {
        name: topic.name.clone(),
        topic_id: topic.id,
        partition_data: indexes
            .iter()
            .map(|index| PartitionProduceData {
                index: *index,
                records: Some(batch(&["x"])),
            })
            .collect(),
    };
    let request = ProduceRequest {
        acks: 1,
        timeout_ms: 30_000,
        topic_data: vec![data(&two, &[0]), data(&one, &[2, 7, 0])],
        ..Default::default()
    };
    let response = client.call(9, request).await;
    let listed: Vec<_> = response
        .responses
        .iter()
        .flat_map(|topic| {
            topic
                .partition_responses
                .iter()
                .map(|p| (&*topic.name, p.index, p.error_code))
        })
        .collect();
    let unknown = ErrorCode::UnknownTopicOrPartition;
    let ok = ErrorCode::None;
    assert_eq!(
        listed,
        [
            ("two", 0, ok),
            ("one", 2, ok),
            ("one", 7, unknown),
            ("one", 0, ok)
        ]
    );
}

#[tokio::test]
async fn version_13_names_topics_by_id_only() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let response = client
        .call(13, produce_request(&topic, Some(batch(&["a"]))))
        .await;
    assert_eq!(response.responses[0].topic_id, topic.id);
    assert_eq!(
        response.responses[0].partition_responses[0].error_code,
        ErrorCode::None
    );
    for id in [Uuid::from_u128(77), Uuid::nil()] {
        let unknown = Topic {
            name: text("t"),
            id,
        };
        let answer = client.produce(13, &unknown, batch(&["a"])).await;
        assert_eq!(answer.error_code, ErrorCode::UnknownTopicId);
    }
}

#[tokio::test]
async fn a_topic_with_log_append_time_answers_the_time_and_serves_it() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let configs = [("message.timestamp.type", "LogAppendTime")];
    let topic = client.create_topic_with("t", 1, &configs).await;
    let answer = client.produce(9, &topic, batch(&["a", "b"])).await;
    assert_eq!(answer.error_code, ErrorCode::None);
    assert!(answer.log_append_time_ms >= NOW_MS);
    let records = client.fetch(12, &topic, 0).await.records.unwrap();
    let read = Batches::new(records).next().unwrap().unwrap();
    read.verify_crc().unwrap();
    assert_eq!(
        read.header().attributes.timestamp_type(),
        TimestampType::LogAppendTime
    );
    assert_eq!(read.header().max_timestamp, answer.log_append_time_ms);
}

#[tokio::test]
async fn a_batch_sent_again_by_an_idempotent_producer_is_answered_with_its_first_offset() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let producer = ProducerIdentity {
        producer_id: 5,
        producer_epoch: 0,
        base_sequence: 0,
    };
    let sent = batch_with(
        BatchOptions {
            producer,
            ..Default::default()
        },
        &["a", "b"],
    );
    for _ in 0..2 {
        let answer = client.produce(9, &topic, sent.clone()).await;
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (ErrorCode::None, 0)
        );
    }
    assert_eq!(values(client.fetch(12, &topic, 0).await.records).len(), 2);
}

#[tokio::test]
async fn a_gap_in_the_sequence_of_a_producer_is_out_of_order() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    for (base_sequence, code) in [
        (0, ErrorCode::None),
        (5, ErrorCode::OutOfOrderSequenceNumber),
    ] {
        let producer = ProducerIdentity {
            producer_id: 5,
            producer_epoch: 0,
            base_sequence,
        };
        let sent = batch_with(
            BatchOptions {
                producer,
                ..Default::default()
            },
            &["a"],
        );
        assert_eq!(client.produce(9, &topic, sent).await.error_code, code);
    }
}

#[tokio::test]
async fn an_older_epoch_of_a_producer_is_refused() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    for (producer_epoch, code) in [(1, ErrorCode::None), (0, ErrorCode::InvalidProducerEpoch)] {
        let producer = ProducerIdentity {
            producer_id: 5,
            producer_epoch,
            base_sequence: 0,
        };
        let sent = batch_with(
            BatchOptions {
                producer,
                ..Default::default()
            },
            &["a"],
        );
        assert_eq!(client.produce(9, &topic, sent).await.error_code, code);
    }
}

#[tokio::test]
async fn a_batch_without_producer_id_may_carry_an_epoch_and_a_sequence_of_zero_as_kafkajs_sends() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let producer = ProducerIdentity {
        producer_id: -1,
        producer_epoch: 0,
        base_sequence: 0,
    };
    let sent = batch_with(
        BatchOptions {
            producer,
            ..Default::default()
        },
        &["a"],
    );
    for _ in 0..2 {
        let answer = client.produce(7, &topic, sent.clone()).await;
        assert_eq!(answer.error_code, ErrorCode::None);
    }
}
