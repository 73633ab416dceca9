use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::*;

const ALL: [AssignmentStrategy; 4] = [
    AssignmentStrategy::Range,
    AssignmentStrategy::RoundRobin,
    AssignmentStrategy::Sticky,
    AssignmentStrategy::CooperativeSticky,
];

fn topic(name: &str) -> Arc<str> {
    Arc::from(name)
}

fn member(id: &str, topics: &[&str]) -> Member {
    Member {
        member_id: id.to_owned(),
        topics: topics.iter().map(|name| topic(name)).collect(),
        generation_id: -1,
        ..Member::default()
    }
}

fn counts(counts: &[(&str, i32)]) -> PartitionCounts {
    let entry = |(name, count): &(&str, i32)| (topic(name), *count);
    counts.iter().map(entry).collect()
}

/// A division as text: `a: t-0 t-1`.
fn shown(division: &Division) -> Vec<String> {
    let line = |(member, partitions): (&String, &Vec<TopicPartition>)| {
        let partitions: Vec<_> = partitions.iter().map(ToString::to_string).collect();
        format!("{member}: {}", partitions.join(" "))
    };
    division.iter().map(line).collect()
}

#[test]
fn range_gives_the_first_members_one_more_of_each_topic() {
    let members = [member("a", &["t", "u"]), member("b", &["t", "u"])];
    let division = divide(
        AssignmentStrategy::Range,
        &members,
        &counts(&[("t", 3), ("u", 3)]),
    );
    assert_eq!(shown(&division), ["a: t-0 t-1 u-0 u-1", "b: t-2 u-2"]);
}

#[test]
fn range_leaves_members_without_the_topic_out() {
    let members = [
        member("a", &["t"]),
        member("b", &["t", "u"]),
        member("c", &["u"]),
    ];
    let division = divide(
        AssignmentStrategy::Range,
        &members,
        &counts(&[("t", 3), ("u", 1)]),
    );
    assert_eq!(shown(&division), ["a: t-0 t-1", "b: t-2 u-0", "c: "]);
}

#[test]
fn round_robin_deals_partitions_of_all_topics_in_turn() {
    let members = [member("a", &["t", "u"]), member("b", &["t", "u"])];
    let division = divide(
        AssignmentStrategy::RoundRobin,
        &members,
        &counts(&[("t", 3), ("u", 3)]),
    );
    assert_eq!(shown(&division), ["a: t-0 t-2 u-1", "b: t-1 u-0 u-2"]);
}

#[test]
fn round_robin_skips_members_that_do_not_want_the_topic() {
    // The example of Java's RoundRobinAssignor.
    let members = [
        member("C0", &["t0"]),
        member("C1", &["t0", "t1"]),
        member("C2", &["t0", "t1", "t2"]),
    ];
    let counts = counts(&[("t0", 1), ("t1", 2), ("t2", 3)]);
    let division = divide(AssignmentStrategy::RoundRobin, &members, &counts);
    assert_eq!(
        shown(&division),
        ["C0: t0-0", "C1: t1-0", "C2: t1-1 t2-0 t2-1 t2-2"]
    );
}

#[test]
fn static_members_come_first_by_their_instance_ids() {
    let mut members = [
        member("a", &["t"]),
        member("b", &["t"]),
        member("c", &["t"]),
    ];
    members[2].group_instance_id = Some("1".to_owned());
    members[1].group_instance_id = Some("2".to_owned());
    for strategy in [AssignmentStrategy::Range, AssignmentStrategy::RoundRobin] {
        let division = divide(strategy, &members, &counts(&[("t", 1)]));
        assert_eq!(shown(&division), ["a: ", "b: ", "c: t-0"]);
    }
}

#[test]
fn sticky_balances_what_range_and_round_robin_do_not() {
    // The example of Java's StickyAssignor.
    let members = [
        member("C0", &["t0"]),
        member("C1", &["t0", "t1"]),
        member("C2", &["t0", "t1", "t2"]),
    ];
    let counts = counts(&[("t0", 1), ("t1", 2), ("t2", 3)]);
    let division = divide(AssignmentStrategy::Sticky, &members, &counts);
    assert_eq!(
        shown(&division),
        ["C0: t0-0", "C1: t1-0 t1-1", "C2: t2-0 t2-1 t2-2"]
    );
}

fn owning(mut member: Member, owned: &[(&str, i32)], generation_id: i32) -> Member {
    let partition = |(name, partition): &(&str, i32)| TopicPartition::new(*name, *partition);
    member.owned = owned.iter().map(partition).collect();
    member.generation_id = generation_id;
    member
}

#[test]
fn sticky_moves_one_partition_when_one_is_too_many() {
    let members = [
        owning(member("a", &["t"]), &[("t", 0), ("t", 1), ("t", 2)], 4),
        owning(member("b", &["t"]), &[("t", 3)], 4),
    ];
    let division = divide(AssignmentStrategy::Sticky, &members, &counts(&[("t", 4)]));
    assert_eq!(shown(&division), ["a: t-0 t-1", "b: t-2 t-3"]);
}

#[test]
fn of_two_claims_that_of_the_newer_generation_counts() {
    let members = [
        owning(member("a", &["t"]), &[("t", 0)], 3),
        owning(member("b", &["t"]), &[("t", 0), ("t", 1)], 4),
    ];
    let division = divide(AssignmentStrategy::Sticky, &members, &counts(&[("t", 2)]));
    assert_eq!(shown(&division), ["a: t-1", "b: t-0"]);
}

#[test]
fn two_claims_of_one_generation_are_both_void() {
    let members = [
        owning(member("a", &["t"]), &[("t", 0)], 4),
        owning(member("b", &["t"]), &[("t", 0)], 4),
    ];
    // Nobody has to let go of it first.
    let division = divide(
        AssignmentStrategy::CooperativeSticky,
        &members,
        &counts(&[("t", 1)]),
    );
    assert_eq!(shown(&division), ["a: t-0", "b: "]);
}

#[test]
fn cooperatively_nothing_is_given_before_its_owner_has_let_go() {
    let four = [("t", 0), ("t", 1), ("t", 2), ("t", 3)];
    let first = [owning(member("a", &["t"]), &four, 4), member("b", &["t"])];
    let counts = counts(&[("t", 4)]);
    let division = divide(AssignmentStrategy::CooperativeSticky, &first, &counts);
    assert_eq!(shown(&division), ["a: t-0 t-1", "b: "]);
    let second = [
        owning(member("a", &["t"]), &four[..2], 5),
        member("b", &["t"]),
    ];
    let division = divide(AssignmentStrategy::CooperativeSticky, &second, &counts);
    assert_eq!(shown(&division), ["a: t-0 t-1", "b: t-2 t-3"]);
}

/// Members with any subscriptions and any claims, true or not.
fn groups() -> impl Strategy<Value = (Vec<Member>, PartitionCounts)> {
    let topics = btree_set(0..5_u8, 0..5);
    let claims = vec((0..6_u8, 0..8_i32), 0..8);
    let member = (topics, claims, -1..3_i32, any::<bool>()).prop_map(
        |(topics, claims, generation_id, is_static)| Member {
            member_id: String::new(),
            group_instance_id: is_static.then(String::new),
            topics: topics.iter().map(|t| topic(&format!("t{t}"))).collect(),
            owned: claims
                .iter()
                .map(|(t, p)| TopicPartition::new(format!("t{t}"), *p))
                .collect(),
            generation_id,
        },
    );
    let members = vec(member, 1..7).prop_map(|mut members| {
        for (number, member) in members.iter_mut().enumerate() {
            member.member_id = format!("m{number}");
            if let Some(instance) = &mut member.group_instance_id {
                *instance = format!("i{}", 9 - number);
            }
        }
        members
    });
    let counts = btree_map(0..5_u8, 0..7_i32, 0..5).prop_map(|counts| {
        let entry = |(t, count)| (topic(&format!("t{t}")), count);
        counts.into_iter().map(entry).collect()
    });
    (members, counts)
}

/// All partitions that somebody wants.
fn all_wanted(members: &[Member], counts: &PartitionCounts) -> Vec<TopicPartition> {
    let mut all = Vec::new();
    for (topic, count) in wanted(members, counts) {
        all.extend((0..count).map(|partition| TopicPartition::new(Arc::clone(topic), partition)));
    }
    all
}

fn given(division: &Division) -> Vec<TopicPartition> {
    let mut given: Vec<_> = division.values().flatten().cloned().collect();
    given.sort();
    given
}

proptest! {
    #[test]
    fn every_wanted_partition_goes_to_one_member_that_wants_it((members, counts) in groups()) {
        for strategy in ALL {
            let division = divide(strategy, &members, &counts);
            prop_assert_eq!(division.len(), members.len());
            for member in &members {
                let share = &division[&member.member_id];
                prop_assert!(share.iter().all(|p| member.topics.contains(&p.topic)));
            }
            let (given, all) = (given(&division), all_wanted(&members, &counts));
            if strategy == AssignmentStrategy::CooperativeSticky {
                prop_assert!(given.windows(2).all(|pair| pair[0] != pair[1]));
                prop_assert!(given.iter().all(|partition| all.contains(partition)));
            } else {
                prop_assert_eq!(given, all);
            }
        }
    }

    #[test]
    fn no_move_makes_a_sticky_division_more_even((members, counts) in groups()) {
        let division = divide(AssignmentStrategy::Sticky, &members, &counts);
        for taker in &members {
            for donor in &members {
                let (few, many) = (&division[&taker.member_id], &division[&donor.member_id]);
                if many.len() >= few.len() + 2 {
                    prop_assert!(!many.iter().any(|p| taker.topics.contains(&p.topic)));
                }
            }
        }
    }

    #[test]
    fn a_sticky_division_that_nothing_changed_stays((members, counts) in groups()) {
        for strategy in [AssignmentStrategy::Sticky, AssignmentStrategy::CooperativeSticky] {
            let settled = divide(AssignmentStrategy::Sticky, &members, &counts);
            let mut members = members.clone();
            for member in &mut members {
                member.owned.clone_from(&settled[&member.member_id]);
                member.generation_id = 5;
            }
            prop_assert_eq!(divide(strategy, &members, &counts), settled);
        }
    }

    #[test]
    fn one_more_member_takes_only_its_share(members in 1..8_usize, partitions in 0..60_i32) {
        let counts = counts(&[("t", partitions)]);
        let mut group: Vec<_> = (0..members).map(|n| member(&format!("m{n}"), &["t"])).collect();
        let before = divide(AssignmentStrategy::Sticky, &group, &counts);
        for member in &mut group {
            member.owned.clone_from(&before[&member.member_id]);
            member.generation_id = 1;
        }
        group.push(member("new", &["t"]));
        let after = divide(AssignmentStrategy::Sticky, &group, &counts);
        let moved = before.iter().map(|(id, had)| {
            had.iter().filter(|partition| !after[id].contains(partition)).count()
        });
        prop_assert_eq!(moved.sum::<usize>(), after["new"].len());
        prop_assert!(after["new"].len() <= usize::try_from(partitions).unwrap().div_ceil(members + 1));
    }

    #[test]
    fn cooperative_rounds_end_where_a_sticky_one_would((members, counts) in groups()) {
        let mut members = members;
        for member in &mut members {
            let topics = member.topics.clone();
            member.owned.retain(|partition| topics.contains(&partition.topic));
        }
        let mut rounds = 0;
        loop {
            let division = divide(AssignmentStrategy::CooperativeSticky, &members, &counts);
            let mut changed = false;
            for member in &mut members {
                let share = &division[&member.member_id];
                let had: BTreeSet<_> = member.owned.iter().cloned().collect();
                changed |= had != share.iter().cloned().collect();
                member.owned.clone_from(share);
                member.generation_id = 10 + rounds;
            }
            rounds += 1;
            if !changed {
                break;
            }
            prop_assert!(rounds <= 4, "the rebalances do not end");
        }
        let division: Division = members
            .iter()
            .map(|member| (member.member_id.clone(), member.owned.clone()))
            .collect();
        prop_assert_eq!(given(&division), all_wanted(&members, &counts));
    }
}
