use super::*;

#[test]
fn the_defaults_are_those_of_the_table() {
    let config = BrokerConfig::default();
    assert_eq!(config.listener, "127.0.0.1:9092".parse().unwrap());
    assert_eq!(config.advertised_listener, None);
    assert_eq!(config.log_dir, PathBuf::from("./ottla-data"));
    assert_eq!(config.node_id, 1);
    assert_eq!(config.offsets_retention, Duration::from_secs(7 * 24 * 3600));
    assert_eq!(config.topic_defaults.max_message_bytes, 1_048_588);
    assert_eq!(
        config.topic_defaults.retention,
        Some(Duration::from_secs(7 * 24 * 3600))
    );
    assert_eq!(config.topic_defaults.retention_bytes, None);
    assert_eq!(config.topic_defaults.max_compaction_lag, None);
    assert_eq!(config.topic_defaults.to_log_config(), LogConfig::default());
    assert!(config.warnings().is_empty());
}

#[test]
fn an_empty_configuration_is_the_default_one() {
    let described = describe_broker(&BrokerConfig::from_entries(NONE).unwrap());
    assert_eq!(described, describe_broker(&BrokerConfig::default()));
}

#[test]
fn a_value_is_read_as_kafka_reads_it() {
    let config = broker(&[
        ("num.partitions", " 12 "),
        ("auto.create.topics.enable", "FALSE"),
    ]);
    assert_eq!(config.num_partitions, 12);
    assert!(!config.auto_create_topics_enable);
    let described = entry(&describe_broker(&config), "auto.create.topics.enable");
    assert_eq!(described.value.as_deref(), Some("false"));
}

#[test]
fn a_bad_value_is_refused_with_what_is_allowed() {
    assert_eq!(
        refusal("num.partitions", "many"),
        "the setting `num.partitions` is `many`, but must be an integer, at least 1"
    );
    let integer = "the setting `num.partitions` is `0`, but must be an integer, \
                   at least 1";
    assert_eq!(refusal("num.partitions", "0"), integer);
    assert!(refusal("num.partitions", "2147483648").contains("must be an integer"));
    assert!(refusal("num.partitions", "").contains("is ``"));
    assert!(refusal("delete.topic.enable", "1").contains("must be `true` or `false`"));
    assert!(refusal("log.cleanup.policy", "compacted").contains("a list of compact, delete"));
    assert!(refusal("log.cleaner.io.max.bytes.per.second", "0").contains("a number above 0"));
    assert!(refusal("log.cleaner.min.cleanable.ratio", "1.5").contains("from 0 to 1"));
    assert!(refusal("log.cleaner.min.cleanable.ratio", "NaN").contains("from 0 to 1"));
    assert!(
        refusal("log.message.timestamp.type", "createtime")
            .contains("one of CreateTime, LogAppendTime")
    );
}

#[test]
fn a_hostile_value_is_quoted_on_one_line_and_cut() {
    let error = validate_topic_override("retention.ms", &"\u{1b}\n9".repeat(1000)).unwrap_err();
    let message = error.to_string();
    assert!(
        message.len() < 700 && !message.contains(char::is_control),
        "{message}"
    );
}

#[test]
fn a_promise_that_is_not_kept_is_refused() {
    assert!(refusal("default.replication.factor", "3").contains("there is one node"));
    assert!(refusal("min.insync.replicas", "2").contains("must be `1`"));
    assert_eq!(
        refusal("ssl.keystore.location", "x"),
        "the setting `ssl.keystore.location` is not supported: there is no TLS and \
         no authentication yet"
    );
    assert!(refusal("security.inter.broker.protocol", "SSL").contains("must be `PLAINTEXT`"));
    assert!(refusal("log.dirs", "a,b").contains("one directory"));
}

#[test]
fn an_unknown_setting_is_refused_with_the_nearest_one() {
    let near = |key: &str| match BrokerConfig::from_entries([(key, "1")])
        .unwrap_err()
        .problem()
    {
        Problem::Unknown { nearest } => *nearest,
        other => panic!("{other:?}"),
    };
    assert_eq!(near("num.partition"), Some("num.partitions"));
    assert_eq!(near("num_partitions"), Some("num.partitions"));
    assert_eq!(near("log.retetnion.hours"), Some("log.retention.hours"));
    assert_eq!(near("retention.ms"), Some("log.retention.ms"));
    assert_eq!(near("max.message.bytes"), Some("message.max.bytes"));
    assert_eq!(near("colour"), None);
    assert_eq!(near(&"x".repeat(100_000)), None);
    assert_eq!(
        validate_topic_override("log.retention.hours", "1")
            .unwrap_err()
            .to_string(),
        "there is no setting `log.retention.hours`; did you mean `retention.ms`?"
    );
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    assert_eq!(
        refusal("group.min.session.timeout.ms", "1800001"),
        "the setting `group.min.session.timeout.ms` is `1800001`, but \
         `group.max.session.timeout.ms` is `1800000` and must not be less"
    );
    assert!(refusal("queued.max.request.bytes", "1000").contains("must not be less"));
    let two = [("node.id", "1"), ("broker.id", "2")];
    assert!(BrokerConfig::from_entries(two).is_err());
    let lags = [
        ("min.compaction.lag.ms", "10"),
        ("max.compaction.lag.ms", "9"),
    ];
    assert!(TopicConfig::from_entries(lags).is_err());
}

#[test]
fn the_server_properties_of_kafka_are_accepted_with_warnings() {
    let config = broker(&[
        ("process.roles", "broker,controller"),
        ("node.id", "7"),
        ("controller.quorum.bootstrap.servers", "localhost:9093"),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        (
            "advertised.listeners",
            "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
        ),
        ("controller.listener.names", "CONTROLLER"),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL",
        ),
        ("num.network.threads", "3"),
        ("socket.request.max.bytes", "104857600"),
        ("log.dirs", "/tmp/kraft-combined-logs"),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("log.retention.hours", "168"),
    ]);
    assert_eq!(
        config.listener,
        Endpoint {
            host: String::new(),
            port: 9092
        }
    );
    assert_eq!(
        config.advertised_listener.as_ref().unwrap().to_string(),
        "localhost:9092"
    );
    assert_eq!(config.node_id, 7);
    let warned: Vec<_> = config
        .warnings()
        .iter()
        .map(|warning| &*warning.key)
        .collect();
    assert_eq!(
        warned,
        [
            "controller.quorum.bootstrap.servers",
            "inter.broker.listener.name",
            "num.network.threads",
            "offsets.topic.replication.factor",
            "process.roles",
            "transaction.state.log.min.isr",
        ]
    );
}

#[test]
fn an_older_name_counts_when_the_newer_one_is_absent() {
    let old = broker(&[("broker.id", "3"), ("log.dir", "/old")]);
    assert_eq!((old.node_id, old.log_dir), (3, PathBuf::from("/old")));
    let both = broker(&[("log.dir", "/old"), ("log.dirs", "/new")]);
    assert_eq!(both.log_dir, PathBuf::from("/new"));
}

proptest::proptest! {
    /// What is stored of a value is the value, whatever a client writes.
    #[test]
    fn a_value_that_is_taken_is_stored_as_itself(
        text in "[ ]?([-+]?[0-9]{1,20}|[0-9.eE+-]{1,9}|[a-zA-Z, ]{0,20}|\\PC{0,40})",
    ) {
        for setting in topic_settings().iter().chain(broker_settings()) {
            if let Ok(value) = setting.parse(&text) {
                proptest::prop_assert_eq!(setting.parse(&value.to_string()).unwrap(), value);
            }
        }
    }

    #[test]
    fn an_endpoint_that_is_read_is_written_as_itself(text in "\\PC{0,10}:[0-9]{0,6}|[:\\[\\]0-9a-f]{0,12}") {
        if let Ok(endpoint) = text.parse::<Endpoint>() {
            proptest::prop_assert_eq!(endpoint.to_string().parse::<Endpoint>().unwrap(), endpoint);
        }
    }
}
