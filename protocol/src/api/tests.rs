use super::*;

#[test]
fn rows_rise_by_key_and_keys_convert_both_ways() {
    assert!(ApiKey::ALL.is_sorted());
    for &key in ApiKey::ALL {
        assert_eq!(ApiKey::try_from(i16::from(key)), Ok(key));
        assert_eq!(key.api().key, key);
    }
    assert_eq!(ApiKey::try_from(4), Err(UnknownApiKey(4)));
    assert_eq!(ApiKey::try_from(-1), Err(UnknownApiKey(-1)));
}

#[test]
fn ranges_are_not_empty_and_start_at_or_above_zero() {
    for api in ApiKey::ALL.iter().map(|key| key.api()) {
        assert!(0 <= api.min && api.min <= api.max, "{api:?}");
        assert!(api.advertised_min <= api.min, "{api:?}");
        assert!(
            api.flexible_from.is_none_or(|from| from <= api.max),
            "{api:?}"
        );
    }
}

#[test]
fn only_produce_claims_versions_that_it_does_not_have() {
    let claiming: Vec<_> = ApiKey::ALL
        .iter()
        .filter(|key| key.api().advertised_min != key.api().min)
        .collect();
    assert_eq!(claiming, [&ApiKey::Produce]);
    assert_eq!(ApiKey::Produce.api().advertised_min, 0);
}

#[test]
fn advertised_is_served_and_served_is_advertised() {
    let advertised: Vec<_> = advertised().map(|entry| entry.api_key).collect();
    assert!(advertised.is_sorted());
    for &key in ApiKey::ALL {
        assert_eq!(
            advertised.contains(&key.into()),
            key.api().served,
            "{key:?}"
        );
    }
}

/// What librdkafka up to 2.11.0 wants to see in the ranges before it uses a feature.
#[test]
fn old_librdkafka_finds_the_versions_it_looks_for() {
    let wanted = [
        (ApiKey::Produce, 0),
        (ApiKey::Produce, 7),
        (ApiKey::Fetch, 4),
        (ApiKey::Fetch, 10),
        (ApiKey::FindCoordinator, 0),
        (ApiKey::ListOffsets, 1),
        (ApiKey::InitProducerId, 0),
        (ApiKey::JoinGroup, 0),
        (ApiKey::SyncGroup, 0),
        (ApiKey::Heartbeat, 0),
        (ApiKey::LeaveGroup, 0),
        (ApiKey::OffsetCommit, 2),
        (ApiKey::OffsetFetch, 1),
    ];
    for (key, version) in wanted {
        let entry = key.api().advertised().unwrap();
        assert!(
            (entry.min_version..=entry.max_version).contains(&version),
            "{key:?} {version}"
        );
    }
}

#[test]
fn the_response_header_of_api_versions_is_never_flexible() {
    let api = ApiKey::ApiVersions.api();
    for version in api.versions() {
        assert!(!api.has_flexible_response_header(version));
    }
    assert!(api.is_flexible(3));
    assert!(ApiKey::Metadata.api().has_flexible_response_header(9));
    assert!(!ApiKey::Metadata.api().has_flexible_response_header(8));
    assert!(!ApiKey::OffsetDelete.api().is_flexible(0));
}
