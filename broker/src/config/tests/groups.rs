use std::collections::BTreeMap;

use super::super::group::{GroupOverrides, describe_group};
use super::*;

fn entries(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    entries.iter().map(owned).collect()
}

#[test]
fn a_group_may_have_its_own_session_and_heartbeat_within_the_brokers_limits() {
    let config = BrokerConfig::default();
    let set = entries(&[
        ("consumer.session.timeout.ms", "50000"),
        ("consumer.heartbeat.interval.ms", "6000"),
    ]);
    let overrides = GroupOverrides::from_entries(&set, &config).unwrap();
    assert_eq!(overrides.session_timeout, Some(Duration::from_secs(50)));
    assert_eq!(overrides.heartbeat_interval, Some(Duration::from_secs(6)));
    for (key, value) in [
        ("consumer.session.timeout.ms", "44999"),
        ("consumer.session.timeout.ms", "60001"),
        ("consumer.heartbeat.interval.ms", "4999"),
        ("consumer.heartbeat.interval.ms", "soon"),
        ("consumer.no.such", "1"),
    ] {
        let refused = GroupOverrides::from_entries(&entries(&[(key, value)]), &config);
        assert_eq!(refused.unwrap_err().key(), key, "{value}");
    }
}

#[test]
fn a_groups_heartbeat_is_more_often_than_its_session() {
    let config = broker(&[
        ("group.consumer.min.session.timeout.ms", "1000"),
        ("group.consumer.min.heartbeat.interval.ms", "100"),
    ]);
    let set = entries(&[("consumer.session.timeout.ms", "5000")]);
    assert!(GroupOverrides::from_entries(&set, &config).is_err());
}

#[test]
fn a_groups_settings_are_described_with_where_they_come_from() {
    let config = broker(&[("group.consumer.session.timeout.ms", "46000")]);
    let set = entries(&[("consumer.heartbeat.interval.ms", "6000")]);
    let described = describe_group(&set, &config);
    let told: Vec<_> = described
        .iter()
        .map(|entry| (entry.name, entry.value.as_deref(), entry.source))
        .collect();
    assert_eq!(
        told,
        [
            (
                "consumer.heartbeat.interval.ms",
                Some("6000"),
                ConfigSource::DynamicGroup
            ),
            (
                "consumer.session.timeout.ms",
                Some("46000"),
                ConfigSource::StaticBroker
            ),
        ]
    );
}

#[test]
fn the_brokers_own_values_are_within_its_limits() {
    for (key, value) in [
        ("group.consumer.session.timeout.ms", "44999"),
        ("group.consumer.session.timeout.ms", "60001"),
        ("group.consumer.heartbeat.interval.ms", "15001"),
        ("group.consumer.migration.policy", "sideways"),
        ("group.consumer.assignors", "sticky"),
        ("group.consumer.assignors", ""),
    ] {
        assert!(
            BrokerConfig::from_entries([(key, value)]).is_err(),
            "{key}={value}"
        );
    }
}
