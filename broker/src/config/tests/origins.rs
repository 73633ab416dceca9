use super::*;

fn file() -> Origin {
    Origin::File(PathBuf::from("server.properties"))
}

#[test]
fn the_weightier_origin_counts_in_whatever_order_it_comes() {
    let flag = Origin::Flag("--set".to_owned());
    let environment = Origin::Environment("KAFKA_NODE_ID".to_owned());
    let mut map = ConfigMap::new();
    map.set("node.id", "2", environment);
    map.set("node.id", "3", flag.clone());
    map.set("node.id", "1", file());
    let config = BrokerConfig::from_map(&map).unwrap();
    assert_eq!(config.node_id, 3);
    assert_eq!(config.origin("node.id"), Some(&flag));
}

#[test]
fn a_weightier_origin_counts_under_another_name_too() {
    let mut map = ConfigMap::new();
    map.set("log.retention.ms", "5", file());
    map.set("log.retention.hours", "1", Origin::Flag("--set".to_owned()));
    map.set("log.dirs", "/file", file());
    map.set("log.dir", "/flag", Origin::Flag("--set".to_owned()));
    map.set("log.retention.minutes", "1", file());
    let config = BrokerConfig::from_map(&map).unwrap();
    assert_eq!(
        config.topic_defaults.retention,
        Some(Duration::from_secs(3600))
    );
    assert_eq!(config.log_dir, PathBuf::from("/flag"));
}

#[test]
fn an_error_says_where_the_setting_was_given() {
    let mut map = ConfigMap::new();
    map.set("num.partitons", "5", file());
    let error = BrokerConfig::from_map(&map).unwrap_err();
    assert_eq!(error.origin(), Some(&file()));
    assert_eq!(
        error.to_string(),
        "server.properties: there is no setting `num.partitons`; did you mean \
         `num.partitions`?"
    );
}
