//! Bytes written by hand from Kafka's schema, for what the oracle does not know yet and for what
//! is easy to get wrong on both sides.

use uuid::Uuid;

use super::*;
use crate::error_code::ErrorCode;
use crate::message::*;

const ID: Uuid = Uuid::from_bytes([9; 16]);

/// Joins the parts of an expected message.
fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn check_request(request: impl Into<Request>, version: i16, expected: &[u8]) {
    let request = request.into();
    assert_eq!(joined(request.encode(version)), expected);
    let decoded = Request::decode(request.api_key(), version, Bytes::copy_from_slice(expected));
    assert_eq!(decoded, Ok(request));
}

fn check_response(response: impl Into<Response>, version: i16, expected: &[u8]) {
    let response = response.into();
    assert_eq!(joined(response.encode(version)), expected);
    let decoded = Response::decode(
        response.api_key(),
        version,
        Bytes::copy_from_slice(expected),
    );
    assert_eq!(decoded, Ok(response));
}

#[test]
fn offset_commit_10_names_topics_by_id() {
    let partition = OffsetCommitRequestPartition {
        partition_index: 1,
        committed_offset: 2,
        committed_leader_epoch: 3,
        committed_metadata: None,
    };
    let topic = OffsetCommitRequestTopic {
        topic_id: ID,
        partitions: vec![partition],
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: 5,
        member_id: "m".into(),
        topics: vec![topic],
        ..Default::default()
    };
    let expected = bytes(&[
        &[2, b'g'],
        &[0, 0, 0, 5],
        &[2, b'm'],
        &[0],
        &[2],
        &[9; 16],
        &[2],
        &[0, 0, 0, 1],
        &[0, 0, 0, 0, 0, 0, 0, 2],
        &[0, 0, 0, 3],
        &[0],
        &[0, 0, 0],
    ]);
    check_request(request, 10, &expected);
}

#[test]
fn offset_fetch_10_names_topics_by_id() {
    let topic = OffsetFetchRequestTopics {
        topic_id: ID,
        partition_indexes: vec![1],
        ..Default::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: "g".into(),
        topics: Some(vec![topic]),
        ..Default::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![group],
        require_stable: true,
        ..Default::default()
    };
    let expected = bytes(&[
        &[2],
        &[2, b'g'],
        &[0],
        &[0xff; 4],
        &[2],
        &[9; 16],
        &[2, 0, 0, 0, 1],
        &[0, 0],
        &[1, 0],
    ]);
    check_request(request, 10, &expected);
}

#[test]
fn list_offsets_11_has_the_form_of_10() {
    let entropy = [77; 300];
    let request = Request::arbitrary(ApiKey::ListOffsets, 11, &entropy);
    assert_eq!(joined(request.encode(11)), joined(request.encode(10)));
    let response = Response::arbitrary(ApiKey::ListOffsets, 11, &entropy);
    assert_eq!(joined(response.encode(11)), joined(response.encode(10)));
}

#[test]
fn write_txn_markers_2_adds_the_transaction_version() {
    let marker = WritableTxnMarker {
        producer_id: 1,
        producer_epoch: 2,
        transaction_result: true,
        topics: vec![WritableTxnMarkerTopic {
            name: "t".into(),
            partition_indexes: vec![3],
        }],
        coordinator_epoch: 4,
        transaction_version: 2,
    };
    let expected = bytes(&[
        &[2],
        &[0, 0, 0, 0, 0, 0, 0, 1],
        &[0, 2],
        &[1],
        &[2, 2, b't', 2, 0, 0, 0, 3, 0],
        &[0, 0, 0, 4],
        &[2],
        &[0, 0],
    ]);
    check_request(
        WriteTxnMarkersRequest {
            markers: vec![marker],
        },
        2,
        &expected,
    );

    let response = Response::arbitrary(ApiKey::WriteTxnMarkers, 2, &[77; 300]);
    assert_eq!(joined(response.encode(2)), joined(response.encode(1)));
}

#[test]
fn describe_log_dirs_5_adds_whether_the_directory_is_cordoned() {
    let result = DescribeLogDirsResult {
        log_dir: "/d".into(),
        total_bytes: 1,
        usable_bytes: 2,
        is_cordoned: true,
        ..Default::default()
    };
    let response = DescribeLogDirsResponse {
        results: vec![result],
        ..Default::default()
    };
    let expected = bytes(&[
        &[0, 0, 0, 0],
        &[0, 0],
        &[2],
        &[0, 0],
        &[3, b'/', b'd'],
        &[1],
        &[0, 0, 0, 0, 0, 0, 0, 1],
        &[0, 0, 0, 0, 0, 0, 0, 2],
        &[1],
        &[0, 0],
    ]);
    check_response(response, 5, &expected);

    let request = Request::arbitrary(ApiKey::DescribeLogDirs, 5, &[77; 300]);
    assert_eq!(joined(request.encode(5)), joined(request.encode(4)));
}

#[test]
fn a_null_cursor_and_a_cursor_have_a_marker() {
    let request = DescribeTopicPartitionsRequest::default();
    check_request(request, 0, &[1, 0, 0, 0x07, 0xd0, 0xff, 0]);
    let cursor = Cursor {
        topic_name: "t".into(),
        partition_index: 1,
    };
    let request = DescribeTopicPartitionsRequest {
        cursor: Some(cursor),
        ..Default::default()
    };
    check_request(
        request,
        0,
        &[1, 0, 0, 0x07, 0xd0, 1, 2, b't', 0, 0, 0, 1, 0, 0],
    );
}

#[test]
fn tagged_fields_are_written_only_when_they_say_something() {
    let partition = PartitionData {
        error_code: ErrorCode::NotLeaderOrFollower,
        high_watermark: -1,
        current_leader: LeaderIdAndEpoch {
            leader_id: 1,
            leader_epoch: 2,
        },
        ..Default::default()
    };
    let topic = FetchableTopicResponse {
        partitions: vec![partition],
        ..Default::default()
    };
    let expected = bytes(&[
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[2],
        &[0; 16],
        &[2],
        &[0, 0, 0, 0, 0, 6],
        &[0xff; 24],
        &[0],
        &[0xff; 4],
        &[0],
        &[1, 1, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0],
        &[0, 0],
    ]);
    check_response(
        FetchResponse {
            responses: vec![topic],
            ..Default::default()
        },
        16,
        &expected,
    );
}

#[test]
fn a_field_that_the_version_lacks_is_dropped() {
    let request = MetadataRequest {
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    let bytes = joined(Request::from(request).encode(3));
    assert_eq!(bytes[..], [0xff; 4]);
    let decoded = Request::decode(ApiKey::Metadata, 3, bytes);
    assert_eq!(decoded, Ok(MetadataRequest::default().into()));
}

#[test]
fn all_topics_is_null_except_in_the_oldest_metadata() {
    let request = Request::from(MetadataRequest::default());
    assert_eq!(joined(request.encode(0))[..], [0; 4]);
    assert_eq!(joined(request.encode(1))[..], [0xff; 4]);
}
