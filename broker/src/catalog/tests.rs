use super::*;

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
    let mut catalog = Catalog::new(CatalogLimits { max_partitions: 3 });
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

proptest::proptest! {
    #[test]
    fn replaying_the_records_gives_the_same_catalog(
        steps in proptest::collection::vec((0_u8..4, 0_u8..6), 0..60)
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
