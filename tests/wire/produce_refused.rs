//! Produce that is refused, each time with Kafka's error code.

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::message::ProduceRequest;
use ottla_protocol::record::{BatchHeader, BatchOptions, Compression, HEADER_LEN, TimestampType};
use uuid::Uuid;

use crate::support::{Server, Topic, batch, batch_with, produce_request, text, values};

/// Starts a broker with a topic, produces these records and returns the code. Whatever was
/// refused must not be in the log.
async fn produced(version: i16, records: Option<Bytes>) -> ErrorCode {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let mut response = client.call(version, produce_request(&topic, records)).await;
    let answer = response.responses.remove(0).partition_responses.remove(0);
    assert_eq!(answer.base_offset, -1);
    assert_eq!(values(client.fetch(12, &topic, 0).await.records), []);
    let next = client.produce(9, &topic, batch(&["good"])).await;
    assert_eq!((next.error_code, next.base_offset), (ErrorCode::None, 0));
    answer.error_code
}

/// A batch with another head over the same records, and a CRC that is right.
fn forged(change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let honest = batch(&["a", "b"]);
    let mut header = BatchHeader::decode(&honest).unwrap();
    change(&mut header);
    header.crc = header.compute_crc(&honest[HEADER_LEN..]);
    [&header.encode()[..], &honest[HEADER_LEN..]]
        .concat()
        .into()
}

#[tokio::test]
async fn a_wrong_crc_is_a_corrupt_message() {
    let mut bytes = batch(&["a"]).to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(
        produced(9, Some(bytes.into())).await,
        ErrorCode::CorruptMessage
    );
}

#[tokio::test]
async fn magic_0_and_1_are_invalid_records() {
    for magic in [0, 1] {
        let mut bytes = batch(&["a"]).to_vec();
        bytes[16] = magic;
        assert_eq!(
            produced(3, Some(bytes.into())).await,
            ErrorCode::InvalidRecord
        );
    }
}

#[tokio::test]
async fn a_magic_that_never_was_is_a_corrupt_message() {
    for magic in [3, 255] {
        let mut bytes = batch(&["a"]).to_vec();
        bytes[16] = magic;
        assert_eq!(
            produced(9, Some(bytes.into())).await,
            ErrorCode::CorruptMessage
        );
    }
}

#[tokio::test]
async fn two_batches_for_a_partition_are_an_invalid_record() {
    let two = [batch(&["a"]), batch(&["b"])].concat();
    assert_eq!(
        produced(9, Some(two.into())).await,
        ErrorCode::InvalidRecord
    );
}

#[tokio::test]
async fn no_records_are_an_invalid_record() {
    assert_eq!(produced(9, None).await, ErrorCode::InvalidRecord);
    assert_eq!(
        produced(9, Some(Bytes::new())).await,
        ErrorCode::InvalidRecord
    );
}

#[tokio::test]
async fn a_batch_that_ends_early_is_refused() {
    let whole = batch(&["a"]);
    for cut in [1, 12, HEADER_LEN - 1, HEADER_LEN, whole.len() - 1] {
        assert!(produced(9, Some(whole.slice(..cut))).await.is_error());
    }
}

#[tokio::test]
async fn a_record_count_that_lies_is_an_invalid_record() {
    for record_count in [0, -1, 1, 3, i32::MAX] {
        let bytes = forged(|header| header.record_count = record_count);
        assert_eq!(
            produced(9, Some(bytes)).await,
            ErrorCode::InvalidRecord,
            "{record_count}"
        );
        let bytes = forged(|header| {
            header.record_count = record_count;
            header.last_offset_delta = record_count.wrapping_sub(1);
        });
        assert_eq!(
            produced(9, Some(bytes)).await,
            ErrorCode::InvalidRecord,
            "{record_count}"
        );
    }
}

#[tokio::test]
async fn a_base_offset_that_is_not_0_is_an_invalid_record() {
    let bytes = forged(|header| header.base_offset = 7);
    assert_eq!(produced(9, Some(bytes)).await, ErrorCode::InvalidRecord);
}

#[tokio::test]
async fn a_control_batch_from_a_client_is_an_invalid_record() {
    let bytes = batch_with(
        BatchOptions {
            control: true,
            ..Default::default()
        },
        &["a"],
    );
    assert_eq!(produced(9, Some(bytes)).await, ErrorCode::InvalidRecord);
}

#[tokio::test]
async fn a_client_must_not_claim_log_append_time() {
    let timestamp_type = TimestampType::LogAppendTime;
    let bytes = batch_with(
        BatchOptions {
            timestamp_type,
            ..Default::default()
        },
        &["a"],
    );
    assert_eq!(produced(9, Some(bytes)).await, ErrorCode::InvalidTimestamp);
}

#[tokio::test]
async fn a_timestamp_far_ahead_is_refused_with_the_record_at_fault() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let mut builder = ottla_protocol::record::BatchBuilder::new(BatchOptions::default()).unwrap();
    builder
        .append(crate::support::NOW_MS, None, Some(b"a"), &[])
        .unwrap();
    builder
        .append(crate::support::NOW_MS * 2, None, Some(b"b"), &[])
        .unwrap();
    let answer = client.produce(8, &topic, builder.build().unwrap()).await;
    assert_eq!(answer.error_code, ErrorCode::InvalidTimestamp);
    let at_fault: Vec<i32> = answer
        .record_errors
        .iter()
        .map(|error| error.batch_index)
        .collect();
    assert_eq!(at_fault, [1]);
    assert!(answer.error_message.is_some());
}

#[tokio::test]
async fn zstd_before_version_7_is_an_unsupported_compression_type() {
    let compression = Compression::Zstd;
    let bytes = batch_with(
        BatchOptions {
            compression,
            ..Default::default()
        },
        &["a"],
    );
    for version in 3..7 {
        let code = produced(version, Some(bytes.clone())).await;
        assert_eq!(code, ErrorCode::UnsupportedCompressionType);
    }
}

#[tokio::test]
async fn records_that_do_not_decompress_are_refused() {
    for bits in 1..=4 {
        let bytes = forged(|header| header.attributes.0 |= bits);
        assert!(produced(9, Some(bytes)).await.is_error(), "codec {bits}");
    }
    for bits in 5..=7 {
        let bytes = forged(|header| header.attributes.0 |= bits);
        let code = produced(9, Some(bytes)).await;
        assert_eq!(code, ErrorCode::UnsupportedCompressionType, "codec {bits}");
    }
}

#[tokio::test]
async fn a_batch_that_decompresses_without_end_is_refused() {
    let compression = Compression::Gzip;
    let zeros = "\0".repeat(50 << 20);
    let bytes = batch_with(
        BatchOptions {
            compression,
            ..Default::default()
        },
        &[&zeros],
    );
    assert!(bytes.len() < 1 << 20);
    assert_eq!(produced(9, Some(bytes)).await, ErrorCode::MessageTooLarge);
}

#[tokio::test]
async fn a_batch_above_max_message_bytes_is_too_large() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client
        .create_topic_with("t", 1, &[("max.message.bytes", "1000")])
        .await;
    let fits = batch(&[&"x".repeat(1000 - batch(&[""]).len() - 4)]);
    assert!((990..=1000).contains(&fits.len()), "{}", fits.len());
    assert_eq!(
        client.produce(9, &topic, fits).await.error_code,
        ErrorCode::None
    );
    let large = batch(&[&"x".repeat(1000)]);
    assert_eq!(
        client.produce(9, &topic, large).await.error_code,
        ErrorCode::MessageTooLarge
    );
}

#[tokio::test]
async fn an_unknown_topic_or_partition_is_unknown_and_not_created() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let known = client.create_topic("t", 1).await;
    let unknown = Topic {
        name: text("nope"),
        id: Uuid::nil(),
    };
    for version in 3..=12 {
        let answer = client.produce(version, &unknown, batch(&["a"])).await;
        assert_eq!(answer.error_code, ErrorCode::UnknownTopicOrPartition);
    }
    for index in [1, -1, i32::MIN, i32::MAX] {
        let mut request = produce_request(&known, Some(batch(&["a"])));
        request.topic_data[0].partition_data[0].index = index;
        let response = client.call(13, request).await;
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(
            (answer.index, answer.error_code),
            (index, ErrorCode::UnknownTopicOrPartition)
        );
    }
}

#[tokio::test]
async fn acks_other_than_minus_1_0_and_1_are_refused_for_every_partition() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    for acks in [2, -2, i16::MAX, i16::MIN] {
        let request = ProduceRequest {
            acks,
            ..produce_request(&topic, Some(batch(&["a"])))
        };
        let response = client.call(9, request).await;
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, ErrorCode::InvalidRequiredAcks);
    }
    assert_eq!(values(client.fetch(12, &topic, 0).await.records), []);
}
