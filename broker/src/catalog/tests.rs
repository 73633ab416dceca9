use super::*;
use crate::config::ConfigOperation;

const NOW: Now = Now {
    monotonic: std::time::Duration::ZERO,
    wall_ms: 0,
};

fn topic(name: &str, id: u128) -> TopicEntry {
    TopicEntry {
        name: name.to_owned(),
        id: Uuid::from_u128(id),
        partitions: 2,
        overrides: BTreeMap::from([("retention.ms".to_owned(), "1".to_owned())]),
    }
}

fn reply(effects: &CatalogEffects) -> &CatalogReply {
    &effects.replies[0].1
}

fn code(effects: &CatalogEffects) -> Option<ErrorCode> {
    match reply(effects) {
        CatalogReply::Refused(code, _) => Some(*code),
        _ => None,
    }
}

#[test]
fn a_topic_is_created_once() {
    let mut catalog = Catalog::default();
    let first = catalog.handle(CatalogEvent::Create(1, topic("a", 1)), NOW);
    assert_eq!(*reply(&first), CatalogReply::Done);
    assert_eq!(first.commands, [CatalogCommand::Ensure(topic("a", 1))]);
    let second = catalog.handle(CatalogEvent::Create(2, topic("a", 2)), NOW);
    assert_eq!(code(&second), Some(ErrorCode::TopicAlreadyExists));
    assert!(second.records.is_empty());
}

#[test]
fn names_that_differ_in_dot_and_underscore_collide() {
    let mut catalog = Catalog::default();
    catalog.handle(CatalogEvent::Create(1, topic("a.b", 1)), NOW);
    let second = catalog.handle(CatalogEvent::Create(2, topic("a_b", 2)), NOW);
    assert_eq!(code(&second), Some(ErrorCode::InvalidTopicException));
}

#[test]
fn a_deleted_topic_frees_its_name() {
    let mut catalog = Catalog::default();
    catalog.handle(CatalogEvent::Create(1, topic("a.b", 1)), NOW);
    let deleted = catalog.handle(CatalogEvent::Delete(2, Uuid::from_u128(1)), NOW);
    assert_eq!(deleted.commands, [CatalogCommand::Remove(topic("a.b", 1))]);
    let again = catalog.handle(CatalogEvent::Create(3, topic("a_b", 2)), NOW);
    assert_eq!(*reply(&again), CatalogReply::Done);
}

#[test]
fn partitions_only_grow() {
    let mut catalog = Catalog::default();
    catalog.handle(CatalogEvent::Create(1, topic("a", 1)), NOW);
    let grow = |catalog: &mut Catalog, count| {
        let event = CatalogEvent::AddPartitions {
            token: 1,
            topic: "a".to_owned(),
            count,
        };
        code(&catalog.handle(event, NOW))
    };
    assert_eq!(grow(&mut catalog, 1), Some(ErrorCode::InvalidPartitions));
    assert_eq!(grow(&mut catalog, 2), Some(ErrorCode::InvalidPartitions));
    assert_eq!(grow(&mut catalog, 3), None);
    assert_eq!(
        catalog.topics().next().map(|topic| topic.partitions),
        Some(3)
    );
}

#[test]
fn the_limit_on_partitions_holds() {
    let mut catalog = Catalog::new(CatalogLimits {
        max_partitions: 3,
        ..CatalogLimits::default()
    });
    catalog.handle(CatalogEvent::Create(1, topic("a", 1)), NOW);
    let second = catalog.handle(CatalogEvent::Create(2, topic("b", 2)), NOW);
    assert_eq!(code(&second), Some(ErrorCode::InvalidPartitions));
}

#[test]
fn producer_ids_are_never_reserved_twice_across_a_reload() {
    let mut catalog = Catalog::default();
    let first = catalog.handle(CatalogEvent::ReserveProducerIds(1), NOW);
    let mut reloaded = Catalog::default();
    for record in first.records.clone() {
        reloaded.replay(record);
    }
    let second = reloaded.handle(CatalogEvent::ReserveProducerIds(1), NOW);
    assert_eq!(*reply(&first), CatalogReply::ProducerIds(0));
    assert_eq!(
        *reply(&second),
        CatalogReply::ProducerIds(PRODUCER_ID_BLOCK)
    );
}

fn set(target: ConfigTarget, key: &str, value: &str) -> CatalogEvent {
    let operation = ConfigOperation::Set(value.to_owned());
    CatalogEvent::AlterConfigs {
        token: 1,
        target,
        change: ConfigChange::Each(vec![(key.to_owned(), operation)]),
        validate_only: false,
        started: Arc::default(),
    }
}

#[test]
fn changed_settings_of_a_topic_keep_its_other_ones() {
    let mut catalog = Catalog::default();
    catalog.handle(CatalogEvent::Create(1, topic("a", 1)), NOW);
    let target = ConfigTarget::Topic("a".to_owned());
    let effects = catalog.handle(set(target, "segment.ms", "60000"), NOW);
    let mut expected = topic("a", 1);
    let added = ("segment.ms".to_owned(), "60000".to_owned());
    expected.overrides.extend([added]);
    assert_eq!(*reply(&effects), CatalogReply::Done);
    assert_eq!(effects.commands, [CatalogCommand::Ensure(expected)]);
}

#[test]
fn invalid_settings_change_nothing_and_have_the_code_of_their_resource() {
    let mut catalog = Catalog::default();
    catalog.handle(CatalogEvent::Create(1, topic("a", 1)), NOW);
    let before = catalog.clone();
    let of_topic = |name: &str| ConfigTarget::Topic(name.to_owned());
    let of_all = ConfigTarget::Broker(ConfigScope::Cluster);
    let refused = [
        (
            set(of_topic("a"), "retention.ms", "x"),
            ErrorCode::InvalidConfig,
        ),
        (set(of_topic("a"), "no.such", "1"), ErrorCode::InvalidConfig),
        (
            set(of_topic("b"), "retention.ms", "1"),
            ErrorCode::UnknownTopicOrPartition,
        ),
        (
            set(of_all.clone(), "log.retention.ms", "x"),
            ErrorCode::InvalidRequest,
        ),
        (
            set(of_all, "num.partitions", "2"),
            ErrorCode::InvalidRequest,
        ),
    ];
    for (event, expected) in refused {
        let effects = catalog.handle(event.clone(), NOW);
        assert_eq!(code(&effects), Some(expected), "{event:?}");
        assert!(effects.records.is_empty() && effects.commands.is_empty());
    }
    assert_eq!(catalog, before);
}

#[test]
fn a_change_that_is_only_checked_is_not_made() {
    let mut catalog = Catalog::default();
    let mut event = set(
        ConfigTarget::Broker(ConfigScope::Cluster),
        "log.retention.ms",
        "1",
    );
    if let CatalogEvent::AlterConfigs { validate_only, .. } = &mut event {
        *validate_only = true;
    }
    let effects = catalog.handle(event, NOW);
    assert_eq!(*reply(&effects), CatalogReply::Done);
    assert!(effects.records.is_empty() && effects.commands.is_empty());
    assert_eq!(catalog, Catalog::default());
}

#[test]
fn settings_of_brokers_are_kept_apart_by_scope() {
    let mut catalog = Catalog::default();
    for (scope, value) in [
        (ConfigScope::Cluster, "1"),
        (ConfigScope::Broker(1), "2"),
        (ConfigScope::Broker(7), "3"),
    ] {
        let event = set(ConfigTarget::Broker(scope), "log.retention.ms", value);
        let effects = catalog.handle(event, NOW);
        let entries = BTreeMap::from([("log.retention.ms".to_owned(), value.to_owned())]);
        assert_eq!(
            effects.commands,
            [CatalogCommand::Configure(scope, entries.clone())]
        );
        assert_eq!(catalog.configs(scope), entries);
    }
}

proptest::proptest! {
    #[test]
    fn replaying_the_records_gives_the_same_catalog(
        steps in proptest::collection::vec((0_u8..7, 0_u8..6), 0..60)
    ) {
        let mut live = Catalog::default();
        let mut replayed = Catalog::default();
        for (at, (kind, which)) in steps.into_iter().enumerate() {
            let name = format!("t{which}");
            let existing = live.topics.get(&name).map(|topic| topic.id);
            let event = match kind {
                0 => CatalogEvent::Create(1, topic(&name, at as u128 + 1)),
                1 => CatalogEvent::Delete(1, existing.unwrap_or_default()),
                2 => CatalogEvent::AddPartitions { token: 1, topic: name, count: i32::from(which) },
                3 => set(ConfigTarget::Topic(name), "segment.ms", &which.to_string()),
                4 => {
                    let scope = [ConfigScope::Cluster, ConfigScope::Broker(1)][at % 2];
                    let change = ConfigChange::Replace(match which {
                        0 => BTreeMap::new(),
                        _ => BTreeMap::from([("log.roll.ms".to_owned(), which.to_string())]),
                    });
                    CatalogEvent::AlterConfigs {
                        token: 1,
                        target: ConfigTarget::Broker(scope),
                        change,
                        validate_only: false,
                        started: Arc::default(),
                    }
                }
                5 => {
                    let key = "consumer.session.timeout.ms";
                    set(ConfigTarget::Group(name), key, &format!("4500{which}"))
                }
                _ => CatalogEvent::ReserveProducerIds(1),
            };
            for record in live.handle(event, NOW).records {
                let stored = Catalog::encode(&record).unwrap();
                replayed.replay(Catalog::decode(&stored.key, stored.value.as_deref()).unwrap());
            }
        }
        let mut restored = Catalog::default();
        for record in live.snapshot() {
            restored.replay(record);
        }
        proptest::prop_assert_eq!(&live, &restored);
        replayed.deleted.clear();
        proptest::prop_assert_eq!(live, replayed);
    }
}
