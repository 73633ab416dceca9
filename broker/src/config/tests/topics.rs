use super::*;

#[test]
fn a_topics_own_setting_outweighs_the_brokers() {
    let broker = broker(&[
        ("log.segment.bytes", "1000000"),
        ("log.retention.minutes", "1"),
    ]);
    let topic = topic(&[("retention.ms", "-1"), ("cleanup.policy", "delete")]);
    let effective = topic.effective(&broker);
    assert_eq!(effective.segment_bytes, 1_000_000);
    assert_eq!(effective.retention, None);
    assert_eq!(
        effective.cleanup_policy,
        CleanupPolicy {
            delete: true,
            compact: false
        }
    );
    assert_eq!(
        broker.topic_defaults.retention,
        Some(Duration::from_secs(60))
    );
    assert_eq!(
        TopicConfig::default().effective(&broker),
        broker.topic_defaults
    );
}

#[test]
fn the_first_synonym_with_a_value_counts() {
    let config = broker(&[("log.retention.hours", "1"), ("log.retention.ms", "5")]);
    assert_eq!(
        config.topic_defaults.retention,
        Some(Duration::from_millis(5))
    );
    let unlimited = broker(&[("log.retention.hours", "-1")]);
    assert_eq!(unlimited.topic_defaults.retention, None);
}

#[test]
fn durability_follows_the_flush_settings() {
    let of = |entries: &[(&str, &str)]| {
        topic(entries)
            .effective(&BrokerConfig::default())
            .to_log_config()
            .durability
    };
    let forever = "9223372036854775807";
    assert_eq!(
        of(&[("flush.messages", "1"), ("flush.ms", "5")]),
        Durability::Journal
    );
    assert_eq!(
        of(&[("flush.messages", "9"), ("flush.ms", "0")]),
        Durability::Journal
    );
    assert_eq!(
        of(&[("flush.messages", forever)]),
        Durability::PageCache {
            messages: u64::MAX,
            interval: None
        }
    );
    assert_eq!(
        of(&[("flush.messages", "100"), ("flush.ms", "5")]),
        Durability::PageCache {
            messages: 100,
            interval: Some(Duration::from_millis(5))
        }
    );
}

#[test]
fn the_timestamp_type_is_typed() {
    let topic = topic(&[("message.timestamp.type", "LogAppendTime")]);
    let effective = topic.effective(&BrokerConfig::default());
    assert_eq!(
        effective.to_log_config().timestamp_type,
        TimestampType::LogAppendTime
    );
}

#[test]
fn a_configuration_survives_being_stored() {
    let config = topic(&[("retention.ms", "007"), ("min.cleanable.dirty.ratio", "1")]);
    let stored: Vec<_> = config.iter().collect();
    assert_eq!(
        stored,
        [("min.cleanable.dirty.ratio", "1.0"), ("retention.ms", "7")]
    );
    assert_eq!(topic(&stored), config);
}

#[test]
fn a_setting_can_be_added_and_taken_back() {
    let config = topic(&[("retention.ms", "5")]);
    let more = config.with("segment.ms", "9").unwrap();
    assert_eq!(more.get("segment.ms"), Some("9"));
    assert_eq!(more.without("segment.ms").unwrap(), config);
    assert!(config.with("segment.ms", "0").is_err());
    assert!(config.without("segment.mss").is_err());
}
