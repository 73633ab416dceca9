use super::*;

#[test]
fn a_misspelt_setting_is_refused_with_the_nearest_known_name() {
    let error = ProducerConfig::from_properties([("linger.m", "5")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown setting `linger.m`; did you mean `linger.ms`?"
    );
}

#[test]
fn a_setting_unlike_any_other_gets_no_suggestion() {
    let error = ConsumerConfig::from_properties([("zzzzzzzzzzzzzzzzzzz", "5")]).unwrap_err();
    assert_eq!(error.to_string(), "unknown setting `zzzzzzzzzzzzzzzzzzz`");
}

#[test]
fn a_setting_of_java_that_has_no_meaning_here_says_what_to_do_instead() {
    let mut settings = Settings::default();
    let error = settings.set("key.serializer", "x").unwrap_err();
    assert!(error.to_string().contains("keys are bytes"), "{error}");
}

#[test]
fn values_out_of_range_are_refused_with_what_is_expected() {
    let error = ProducerConfig::from_properties([("linger.ms", "-1")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "setting `linger.ms` cannot be `-1`: expected milliseconds from 0 to 2147483647"
    );
    assert!(ProducerConfig::from_properties([("acks", "2")]).is_err());
    assert!(ProducerConfig::from_properties([("compression.type", "brotli")]).is_err());
}

#[test]
fn idempotence_with_weak_acks_is_a_conflict() {
    let error = ProducerConfig::from_properties([("acks", "1")]).unwrap_err();
    assert_eq!(error.to_string(), "enable.idempotence needs acks=all");
    let weak = [("acks", "1"), ("enable.idempotence", "false")];
    assert!(ProducerConfig::from_properties(weak).is_ok());
}

#[test]
fn explain_shows_effective_values_and_the_defaults_they_replace() {
    let config = ProducerConfig::default().linger(ms(20));
    let text = config.explain();
    assert!(text.contains("linger.ms = 20 (default 5)\n"), "{text}");
    assert!(text.contains("batch.size = 16384\n"), "{text}");
}

#[test]
fn every_setting_reads_back_what_it_shows() {
    let mut settings = Settings::default();
    let texts = [
        settings.client.explain(),
        settings.producer.explain(),
        settings.consumer.explain(),
    ];
    for line in texts.iter().flat_map(|text| text.lines()) {
        let (name, value) = line.split_once(" = ").unwrap();
        settings.set(name, value).unwrap();
    }
    assert_eq!(settings, Settings::default());
}

#[test]
fn offset_reset_by_duration_takes_iso_durations() {
    let parse = |text| <AutoOffsetReset as Value>::parse(text);
    let day_and_half = ms(36 * 3_600_000);
    assert_eq!(
        parse("by_duration:P1DT12H"),
        Ok(AutoOffsetReset::ByDuration(day_and_half))
    );
    assert_eq!(
        parse("by_duration:PT90S"),
        Ok(AutoOffsetReset::ByDuration(ms(90_000)))
    );
    for wrong in [
        "by_duration:",
        "by_duration:P",
        "by_duration:PT5",
        "by_duration:1h",
        "oldest",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_defaults_are_those_of_the_java_client() {
    let producer = ProducerConfig::default();
    assert_eq!(producer.linger, ms(5));
    assert_eq!(producer.delivery_timeout, ms(120_000));
    assert_eq!(producer.max_in_flight, 5);
    assert!(producer.enable_idempotence);
    let consumer = ConsumerConfig::default();
    assert_eq!(consumer.session_timeout, ms(45_000));
    assert_eq!(consumer.max_poll_records, 500);
    assert_eq!(consumer.auto_offset_reset, AutoOffsetReset::Latest);
}

#[test]
fn settings_of_one_group_protocol_are_refused_beside_the_other() {
    for (name, value) in [
        ("session.timeout.ms", "10000"),
        ("heartbeat.interval.ms", "1000"),
        ("partition.assignment.strategy", "sticky"),
    ] {
        let with = |protocol| [("group.protocol", protocol), (name, value)];
        let error = ConsumerConfig::from_properties(with("consumer")).unwrap_err();
        let text = format!("{name} cannot be set with group.protocol=consumer");
        assert_eq!(error.to_string(), text);
        assert!(ConsumerConfig::from_properties(with("classic")).is_ok());
    }
    let assignor = |protocol| {
        let properties = [
            ("group.protocol", protocol),
            ("group.remote.assignor", "range"),
        ];
        ConsumerConfig::from_properties(properties)
    };
    let error = assignor("classic").unwrap_err().to_string();
    assert_eq!(
        error,
        "group.remote.assignor cannot be set with group.protocol=classic"
    );
    assert!(assignor("CONSUMER").is_ok());
}
