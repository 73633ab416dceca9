use super::*;
use crate::error_code::ErrorCode;
use crate::message::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest};

/// The frame without its length, which is checked.
fn unframed(frame: Frame) -> Bytes {
    let bytes = frame.into_bytes();
    let len = i32::from_be_bytes(*bytes.first_chunk().unwrap());
    assert_eq!(usize::try_from(len).unwrap(), bytes.len() - 4);
    bytes.slice(4..)
}

fn metadata(version: i16) -> Bytes {
    let request = MetadataRequest::default().into();
    unframed(encode_request(&request, version, 42, Some(&"me".into())).unwrap())
}

#[test]
fn requests_survive_a_round_trip_under_both_headers() {
    for version in [8, 9] {
        let (header, request) = decode_request(metadata(version)).unwrap();
        assert_eq!(
            header,
            RequestHeader {
                api_key: 3,
                api_version: version,
                correlation_id: 42,
                client_id: Some("me".into()),
            }
        );
        assert_eq!(request, MetadataRequest::default().into());
    }
}

#[test]
fn the_client_id_is_never_compact() {
    let frame = metadata(9);
    assert_eq!(frame[..13], [0, 3, 0, 9, 0, 0, 0, 42, 0, 2, b'm', b'e', 0]);
}

#[test]
fn responses_survive_a_round_trip_under_both_headers() {
    let response = Response::from(crate::message::MetadataResponse::default());
    for (version, header_len) in [(8, 4), (9, 5)] {
        let frame = unframed(encode_response(&response, version, 42).unwrap());
        let body: usize = response
            .encode(version)
            .unwrap()
            .iter()
            .map(Bytes::len)
            .sum();
        assert_eq!(frame.len(), header_len + body);
        let (header, decoded) = decode_response(ApiKey::Metadata, version, frame).unwrap();
        assert_eq!((header.correlation_id, decoded), (42, response.clone()));
    }
}

#[test]
fn the_answer_to_an_unsupported_api_versions_is_readable_in_version_0() {
    let mut frame =
        unframed(encode_request(&ApiVersionsRequest::default().into(), 4, 7, None).unwrap())
            .to_vec();
    frame[3] = 99;
    let Err(RequestError::UnsupportedVersion { header }) = decode_request(frame.into()) else {
        panic!("accepted");
    };
    assert_eq!(
        (header.api_key, header.api_version, header.correlation_id),
        (18, 99, 7)
    );

    let answer = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion,
        api_keys: ApiKey::ApiVersions.api().advertised().into_iter().collect(),
        ..Default::default()
    };
    let frame = unframed(encode_response(&answer.into(), 0, 7).unwrap());
    assert_eq!(
        frame[..],
        [0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4]
    );
}

#[test]
fn the_version_0_of_produce_is_claimed_but_not_served() {
    let frame = Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);
    assert!(matches!(
        decode_request(frame),
        Err(RequestError::UnsupportedVersion { .. })
    ));
}

#[test]
fn apis_that_are_unknown_or_not_served_are_told_from_malformed_ones() {
    let frame = Bytes::from_static(&[0, 4, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);
    assert!(matches!(
        decode_request(frame),
        Err(RequestError::UnknownApiKey { header }) if header.api_key == 4
    ));
    // Whatever has an encoding and is not served yet.
    for key in ApiKey::ALL.iter().filter(|key| !key.api().served) {
        let number = i16::from(*key).to_be_bytes();
        let frame = Bytes::copy_from_slice(&[number[0], number[1], 0, 0, 0, 0, 0, 1, 0xff, 0xff]);
        assert!(matches!(
            decode_request(frame),
            Err(RequestError::UnknownApiKey { .. })
        ));
    }
}

#[test]
fn a_damaged_header_and_a_damaged_body_are_told_apart() {
    let whole = metadata(9);
    for len in 0..13 {
        let decoded = decode_request(whole.slice(..len));
        assert!(
            matches!(decoded, Err(RequestError::MalformedHeader(_))),
            "{len}: {decoded:?}"
        );
    }
    for len in 13..whole.len() {
        let decoded = decode_request(whole.slice(..len));
        assert!(
            matches!(&decoded, Err(RequestError::MalformedBody { header, .. })
                if header.correlation_id == 42),
            "{len}: {decoded:?}"
        );
    }
}

#[test]
fn a_response_of_the_wrong_version_is_refused() {
    let decoded = decode_response(ApiKey::Metadata, 99, Bytes::from_static(&[0; 4]));
    assert_eq!(decoded, Err(DecodeError::Version(99)));
}
