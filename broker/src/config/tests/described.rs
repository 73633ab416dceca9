use super::*;

#[test]
fn a_topic_shows_every_value_in_the_order_of_weight() {
    let broker = broker(&[("log.retention.minutes", "2")]);
    let described = describe_topic(&topic(&[("retention.ms", "5")]), &broker);
    assert_eq!(described.len(), topic_settings().len());
    let retention = entry(&described, "retention.ms");
    assert_eq!(retention.value.as_deref(), Some("5"));
    assert_eq!(retention.source, ConfigSource::DynamicTopic);
    assert!(!retention.read_only && !retention.is_sensitive);
    let synonyms: Vec<_> = retention
        .synonyms
        .iter()
        .map(|synonym| {
            (
                synonym.name,
                synonym.value.as_deref().unwrap(),
                synonym.source.code(),
            )
        })
        .collect();
    assert_eq!(
        synonyms,
        [
            ("retention.ms", "5", 1),
            ("log.retention.minutes", "2", 4),
            ("log.retention.hours", "168", 5),
        ]
    );
}

#[test]
fn an_inherited_value_is_in_the_topics_unit() {
    let broker = broker(&[("log.retention.minutes", "2")]);
    let retention = entry(
        &describe_topic(&TopicConfig::default(), &broker),
        "retention.ms",
    );
    assert_eq!(retention.value.as_deref(), Some("120000"));
    assert_eq!(retention.source, ConfigSource::StaticBroker);
    assert_eq!(retention.config_type.code(), 5);
}

#[test]
fn every_topic_setting_has_a_value() {
    for entry in describe_topic(&TopicConfig::default(), &BrokerConfig::default()) {
        assert!(entry.value.is_some(), "{}", entry.name);
        assert_eq!(entry.source, ConfigSource::Default);
    }
}

#[test]
fn the_broker_shows_what_holds_under_a_newer_name_too() {
    let node_id = entry(&describe_broker(&broker(&[("broker.id", "4")])), "node.id");
    assert_eq!(node_id.value.as_deref(), Some("4"));
    assert_eq!(node_id.source, ConfigSource::StaticBroker);
    assert!(node_id.read_only);
    let log_dirs = entry(&describe_broker(&BrokerConfig::default()), "log.dirs");
    assert_eq!(log_dirs.value.as_deref(), Some("./ottla-data"));
    assert_eq!(log_dirs.source, ConfigSource::Default);
}
