use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable};
use proptest::prelude::*;

use super::*;
use crate::arbitrary::{Arbitrary, Source};

/// What the oracle makes of a blob, whose version it leaves to its caller.
fn echo<T: Encodable + Decodable>(blob: &Bytes, version: i16) -> Vec<u8> {
    let mut rest = blob.slice(2..);
    let message = T::decode(&mut rest, version).unwrap();
    let mut out = version.to_be_bytes().to_vec();
    message.encode(&mut out, version).unwrap();
    out
}

proptest! {
    #[test]
    fn subscriptions_are_those_of_the_oracle(
        entropy in proptest::collection::vec(any::<u8>(), 0..300),
        version in 0..=MAX_VERSION,
    ) {
        let source = &mut Source::new(&entropy);
        let ours = ConsumerProtocolSubscription::arbitrary(source, Version::new(version, false));
        let blob = ours.to_bytes(version).unwrap();
        prop_assert_eq!(&blob, &echo::<theirs::ConsumerProtocolSubscription>(&blob, version));
        prop_assert_eq!(ConsumerProtocolSubscription::from_bytes(blob), Ok((version, ours)));
    }

    #[test]
    fn assignments_are_those_of_the_oracle(
        entropy in proptest::collection::vec(any::<u8>(), 0..300),
        version in 0..=MAX_VERSION,
    ) {
        let source = &mut Source::new(&entropy);
        let ours = ConsumerProtocolAssignment::arbitrary(source, Version::new(version, false));
        let blob = ours.to_bytes(version).unwrap();
        prop_assert_eq!(&blob, &echo::<theirs::ConsumerProtocolAssignment>(&blob, version));
        prop_assert_eq!(ConsumerProtocolAssignment::from_bytes(blob), Ok((version, ours)));
    }

    #[test]
    fn random_blobs_decode_or_fail(blob in proptest::collection::vec(any::<u8>(), 0..100)) {
        let blob = Bytes::from(blob);
        let _ = ConsumerProtocolSubscription::from_bytes(blob.clone());
        let _ = ConsumerProtocolAssignment::from_bytes(blob);
    }
}

#[test]
fn a_newer_version_is_read_as_the_newest_known() {
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["orders".into()],
        rack_id: Some("north".into()),
        ..Default::default()
    };
    let mut blob = subscription.to_bytes(MAX_VERSION).unwrap().to_vec();
    blob[..2].copy_from_slice(&7_i16.to_be_bytes());
    blob.extend_from_slice(b"unheard of");
    assert_eq!(
        ConsumerProtocolSubscription::from_bytes(blob.into()),
        Ok((7, subscription))
    );
}

#[test]
fn a_known_version_has_no_trailing_bytes() {
    let mut blob = ConsumerProtocolAssignment::default()
        .to_bytes(1)
        .unwrap()
        .to_vec();
    blob.push(0);
    let decoded = ConsumerProtocolAssignment::from_bytes(blob.into());
    assert_eq!(decoded, Err(DecodeError::TrailingBytes(1)));
}

#[test]
fn a_negative_version_is_refused() {
    let decoded = ConsumerProtocolAssignment::from_bytes(Bytes::from_static(&[0xff, 0xff, 0, 0]));
    assert_eq!(decoded, Err(DecodeError::Version(-1)));
    let encoded = ConsumerProtocolAssignment::default().to_bytes(MAX_VERSION + 1);
    assert_eq!(encoded, Err(EncodeError::Version(MAX_VERSION + 1)));
}
