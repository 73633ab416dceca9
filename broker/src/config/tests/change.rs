use super::*;
use std::collections::BTreeMap;

fn entries(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn each(operations: &[(&str, ConfigOperation)]) -> ConfigChange {
    let owned = |(key, operation): &(&str, ConfigOperation)| ((*key).to_owned(), operation.clone());
    ConfigChange::Each(operations.iter().map(owned).collect())
}

fn applied(current: &[(&str, &str)], change: &ConfigChange) -> BTreeMap<String, String> {
    change.apply(&entries(current), topic_setting).unwrap()
}

#[test]
fn setting_and_deleting_leave_the_other_entries() {
    let change = each(&[
        ("retention.ms", ConfigOperation::Set("7".to_owned())),
        ("segment.ms", ConfigOperation::Delete),
        ("never.was", ConfigOperation::Delete),
    ]);
    let current = [("segment.ms", "1"), ("flush.ms", "2")];
    let expected = entries(&[("flush.ms", "2"), ("retention.ms", "7")]);
    assert_eq!(applied(&current, &change), expected);
}

#[test]
fn replacing_leaves_nothing_of_before() {
    let change = ConfigChange::Replace(entries(&[("flush.ms", "3")]));
    let current = [("segment.ms", "1"), ("flush.ms", "2")];
    assert_eq!(applied(&current, &change), entries(&[("flush.ms", "3")]));
}

#[test]
fn a_list_begins_with_its_default_and_has_each_word_once() {
    let append =
        |words: &str| each(&[("cleanup.policy", ConfigOperation::Append(words.to_owned()))]);
    let policy = |policy| entries(&[("cleanup.policy", policy)]);
    assert_eq!(applied(&[], &append("delete")), policy("delete"));
    assert_eq!(
        applied(&[], &append("compact, delete")),
        policy("delete,compact")
    );
    let own = [("cleanup.policy", "compact")];
    assert_eq!(applied(&own, &append("delete")), policy("compact,delete"));
}

#[test]
fn subtracting_the_last_word_leaves_an_empty_list() {
    let words = "compact,delete".to_owned();
    let change = each(&[("cleanup.policy", ConfigOperation::Subtract(words))]);
    assert_eq!(applied(&[], &change), entries(&[("cleanup.policy", "")]));
}

#[test]
fn only_lists_can_be_appended_to_and_subtracted_from() {
    for operation in [
        ConfigOperation::Append("1".to_owned()),
        ConfigOperation::Subtract("1".to_owned()),
    ] {
        let change = each(&[("retention.ms", operation)]);
        let error = change.apply(&entries(&[]), topic_setting).unwrap_err();
        assert_eq!(*error.problem(), Problem::NotAList);
    }
}

#[test]
fn what_clients_set_for_one_broker_outweighs_what_they_set_for_all_and_both_the_start() {
    let started = broker(&[("log.retention.ms", "1"), ("max.connections", "5")]);
    let all = entries(&[("log.retention.ms", "2"), ("message.max.bytes", "3")]);
    let own = entries(&[("log.retention.ms", "4")]);
    let now = started.with_dynamic(&all, &own).unwrap();
    assert_eq!(now.topic_defaults.retention, Some(Duration::from_millis(4)));
    assert_eq!(now.topic_defaults.max_message_bytes, 3);
    assert_eq!(now.max_connections, 5);
    let again = now.with_dynamic(&all, &BTreeMap::new()).unwrap();
    assert_eq!(
        again.topic_defaults.retention,
        Some(Duration::from_millis(2))
    );
}

#[test]
fn a_dynamic_entry_shows_every_layer() {
    let started = broker(&[("log.retention.ms", "1")]);
    let all = entries(&[("log.retention.ms", "2")]);
    let own = entries(&[("log.retention.ms", "3")]);
    let now = started.with_dynamic(&all, &own).unwrap();
    let layers = |entry: &ConfigEntry| -> Vec<(&str, String, i8)> {
        let synonyms = entry.synonyms.iter();
        let layer = |synonym: &ConfigSynonym| {
            let value = synonym.value.clone().unwrap();
            (synonym.name, value, synonym.source.code())
        };
        synonyms.map(layer).collect()
    };
    let expected = [
        ("log.retention.ms", "3".to_owned(), 2),
        ("log.retention.ms", "2".to_owned(), 3),
        ("log.retention.ms", "1".to_owned(), 4),
        ("log.retention.hours", "168".to_owned(), 5),
    ];
    let shown = entry(&describe_broker(&now), "log.retention.ms");
    assert_eq!(layers(&shown), expected);
    assert_eq!(shown.source, ConfigSource::DynamicBroker);
    assert!(!shown.read_only);
    let of_topic = entry(
        &describe_topic(&TopicConfig::default(), &now),
        "retention.ms",
    );
    assert_eq!(layers(&of_topic), expected);
    let of_all = describe_cluster_defaults(&now);
    assert_eq!(of_all.len(), 1);
    assert_eq!(layers(&of_all[0]), expected[1..2]);
}

#[test]
fn what_cannot_change_while_the_broker_runs_is_refused() {
    let refused = |key: &str, value: &str| {
        let error = BrokerConfig::default()
            .with_dynamic(&entries(&[(key, value)]), &BTreeMap::new())
            .unwrap_err();
        error.problem().clone()
    };
    assert_eq!(refused("num.partitions", "3"), Problem::NotDynamic);
    assert_eq!(refused("log.retention.hours", "3"), Problem::NotDynamic);
    assert!(matches!(
        refused("num.io.threads", "3"),
        Problem::Unsupported { .. }
    ));
    assert!(matches!(
        refused("no.such.name", "3"),
        Problem::Unknown { .. }
    ));
    assert!(matches!(
        refused("log.retention.ms", "x"),
        Problem::BadValue { .. }
    ));
}
