//! No message costs more memory than its frame allows, whatever its bytes say.

use bytes::Bytes;
use ottla_protocol::{ApiKey, Request, Response};
use proptest::prelude::*;

/// What the decoder promises to stay within, for a frame of `len` bytes.
fn bound(len: usize) -> u64 {
    8 * len as u64 + 64 * 1024
}

/// Decodes `frame` as everything there is and checks the peak of each.
fn check(frame: &Bytes) -> Result<(), TestCaseError> {
    for &key in ApiKey::ALL {
        for version in key.api().versions() {
            let body = frame.clone();
            let spent = allocation_counter::measure(|| drop(Request::decode(key, version, body)));
            prop_assert!(
                spent.bytes_max <= bound(frame.len()),
                "{:?} {} {:?}",
                key,
                version,
                spent
            );
            let body = frame.clone();
            let spent = allocation_counter::measure(|| drop(Response::decode(key, version, body)));
            prop_assert!(
                spent.bytes_max <= bound(frame.len()),
                "{:?} {} {:?}",
                key,
                version,
                spent
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    })]

    #[test]
    fn random_frames_stay_within_the_bound(frame in proptest::collection::vec(any::<u8>(), 0..2000)) {
        check(&frame.into())?;
    }

    #[test]
    fn frames_of_many_small_elements_stay_within_the_bound(
        head in proptest::collection::vec(0_u8..3, 0..24),
        count in 0..40_000_u32,
        compact: bool,
        element in proptest::collection::vec(0_u8..3, 1..6),
        elements in 0..12_000_usize,
    ) {
        let mut frame = head;
        if compact {
            // Three bytes are a canonical varint for all but the smallest counts.
            let [low, middle, high, _] = (count << 2).to_le_bytes();
            frame.extend_from_slice(&[low | 0x80, middle | 0x80, (high & 0x7f) | 1]);
        } else {
            frame.extend_from_slice(&count.to_be_bytes());
        }
        frame.extend(element.repeat(elements));
        check(&frame.into())?;
    }
}

#[test]
fn the_bound_is_approached_and_not_only_avoided() {
    let mut frame = 20_000_u32.to_be_bytes().to_vec();
    frame.resize(4 + 20_000 * 4, 0);
    let frame = Bytes::from(frame);
    let spent = allocation_counter::measure(|| {
        drop(Request::decode(ApiKey::DescribeGroups, 0, frame.clone()));
    });
    assert!(spent.bytes_max > 500_000, "{spent:?}");
    assert!(spent.bytes_max <= bound(frame.len()));
}
