//! Every API in every version, on its own and against the crate `kafka-protocol`.

use bytes::Bytes;
use proptest::prelude::*;

use super::{Request, Response};
use crate::api::ApiKey;
use crate::error::{DecodeError, EncodeError};

mod golden;
mod hostile;
mod oracle;

/// Enough random bytes to fill deep messages, and often fewer.
fn entropy() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..1500)
}

/// All APIs in all versions.
fn versions() -> impl Iterator<Item = (ApiKey, i16)> {
    ApiKey::ALL
        .iter()
        .flat_map(|&key| key.api().versions().map(move |version| (key, version)))
}

fn joined(chunks: Result<Vec<Bytes>, EncodeError>) -> Bytes {
    chunks.unwrap().concat().into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn messages_survive_a_round_trip(entropy in entropy()) {
        for (key, version) in versions() {
            let request = Request::arbitrary(key, version, &entropy);
            let bytes = joined(request.encode(version));
            prop_assert_eq!(Request::decode(key, version, bytes), Ok(request));

            let response = Response::arbitrary(key, version, &entropy);
            let bytes = joined(response.encode(version));
            prop_assert_eq!(Response::decode(key, version, bytes), Ok(response));
        }
    }
}

#[test]
fn defaults_survive_a_round_trip() {
    for (key, version) in versions() {
        let request = Request::arbitrary(key, version, &[]);
        let bytes = joined(request.encode(version));
        assert_eq!(
            Request::decode(key, version, bytes),
            Ok(request),
            "{key:?} {version}"
        );
    }
}

#[test]
fn versions_outside_the_table_are_refused() {
    for &key in ApiKey::ALL {
        let api = key.api();
        for version in [api.min - 1, api.max + 1, i16::MIN, i16::MAX] {
            let request = Request::arbitrary(key, api.max, &[]);
            assert_eq!(request.encode(version), Err(EncodeError::Version(version)));
            let decoded = Response::decode(key, version, Bytes::new());
            assert_eq!(decoded, Err(DecodeError::Version(version)));
        }
    }
}

#[test]
fn long_records_are_not_copied() {
    use super::{PartitionProduceData, ProduceRequest, TopicProduceData};

    let records = Bytes::from(vec![7; 100_000]);
    let partition = PartitionProduceData {
        index: 1,
        records: Some(records.clone()),
    };
    let topic = TopicProduceData {
        partition_data: vec![partition],
        ..Default::default()
    };
    let request = ProduceRequest {
        topic_data: vec![topic],
        ..Default::default()
    };
    let chunks = Request::from(request).encode(9).unwrap();
    assert_eq!(chunks.len(), 3);
    assert_eq!(chunks[1].as_ptr(), records.as_ptr());

    let frame = Bytes::from(chunks.concat());
    let Request::Produce(decoded) = Request::decode(ApiKey::Produce, 9, frame.clone()).unwrap()
    else {
        panic!("another API");
    };
    let decoded = decoded.topic_data[0].partition_data[0]
        .records
        .clone()
        .unwrap();
    assert!(frame.as_ptr_range().contains(&decoded.as_ptr()));
}
