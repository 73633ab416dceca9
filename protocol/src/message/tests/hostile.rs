//! Bytes that no honest peer sends.

use super::*;

/// What decoding gave must encode to something that decodes to the same.
fn check_request(key: ApiKey, version: i16, bytes: &Bytes) -> Result<(), TestCaseError> {
    if let Ok(request) = Request::decode(key, version, bytes.clone()) {
        let again = joined(request.encode(version));
        prop_assert_eq!(Request::decode(key, version, again), Ok(request));
    }
    Ok(())
}

/// As [`check_request`], by the bytes: a quota may be a number that does not equal itself.
fn check_response(key: ApiKey, version: i16, bytes: &Bytes) -> Result<(), TestCaseError> {
    if let Ok(response) = Response::decode(key, version, bytes.clone()) {
        let again = joined(response.encode(version));
        let decoded = Response::decode(key, version, again.clone()).map_err(fail)?;
        prop_assert_eq!(joined(decoded.encode(version)), again);
    }
    Ok(())
}

fn fail(error: DecodeError) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        for (key, version) in versions() {
            check_request(key, version, &bytes)?;
            check_response(key, version, &bytes)?;
        }
    }

    #[test]
    fn small_bytes_decode_or_fail(bytes in proptest::collection::vec(0_u8..4, 0..120)) {
        let bytes = Bytes::from(bytes);
        for (key, version) in versions() {
            check_request(key, version, &bytes)?;
            check_response(key, version, &bytes)?;
        }
    }

    #[test]
    fn damaged_messages_decode_or_fail(
        entropy in entropy(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        for (key, version) in versions() {
            let request = Request::arbitrary(key, version, &entropy);
            let mut bytes = joined(request.encode(version)).to_vec();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            check_request(key, version, &bytes.into())?;

            let response = Response::arbitrary(key, version, &entropy);
            let mut bytes = joined(response.encode(version)).to_vec();
            let at = at.index(bytes.len());
            bytes[at] = value;
            check_response(key, version, &bytes.into())?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    #[test]
    fn truncation_anywhere_fails(entropy in proptest::collection::vec(any::<u8>(), 0..250)) {
        for (key, version) in versions() {
            let bytes = joined(Request::arbitrary(key, version, &entropy).encode(version));
            for len in 0..bytes.len() {
                prop_assert!(Request::decode(key, version, bytes.slice(..len)).is_err());
            }
            let bytes = joined(Response::arbitrary(key, version, &entropy).encode(version));
            for len in 0..bytes.len() {
                prop_assert!(Response::decode(key, version, bytes.slice(..len)).is_err());
            }
        }
    }

    #[test]
    fn trailing_bytes_fail(entropy in entropy()) {
        for (key, version) in versions() {
            let request = Request::arbitrary(key, version, &entropy);
            let mut bytes = joined(request.encode(version)).to_vec();
            bytes.push(0);
            let decoded = Request::decode(key, version, bytes.into());
            prop_assert_eq!(decoded, Err(DecodeError::TrailingBytes(1)));
        }
    }
}
