//! Assignors against what every assignment must be, for groups of any shape.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Topics with their partitions, and by member the topics that it subscribes to and its instance id.
#[derive(Debug, Clone)]
struct Shape {
    topics: Vec<i32>,
    members: Vec<Vec<usize>>,
}

fn topic_id(place: usize) -> TopicId {
    [u8::try_from(place).unwrap() + 1; 16]
}

fn member_id(place: usize) -> Arc<str> {
    Arc::from(format!("member-{place:02}"))
}

impl Shape {
    fn assign(&self, assignor: Assignor, current: &[Assignment]) -> Vec<Assignment> {
        let ids: Vec<_> = (0..self.members.len()).map(member_id).collect();
        let mut subscriptions = self.members.clone();
        subscriptions.sort();
        subscriptions.dedup();
        let place = |topics: &Vec<usize>| subscriptions.iter().position(|each| each == topics);
        let spec = Spec {
            topics: (0..)
                .zip(&self.topics)
                .map(|(place, partitions)| (topic_id(place), *partitions))
                .collect(),
            members: (self.members.iter().zip(&ids).zip(current))
                .map(|((topics, member_id), current)| MemberSpec {
                    member_id,
                    group_instance_id: None,
                    subscription: place(topics).unwrap(),
                    current,
                })
                .collect(),
            subscriptions: subscriptions.clone(),
        };
        assignor.assign(&spec)
    }

    fn fresh(&self, assignor: Assignor) -> Vec<Assignment> {
        self.assign(assignor, &vec![Assignment::default(); self.members.len()])
    }

    /// Every partition of a topic with subscribers is in the target of exactly one of them.
    fn check(&self, targets: &[Assignment]) {
        let mut owners: BTreeMap<(TopicId, i32), usize> = BTreeMap::new();
        for (member, target) in targets.iter().enumerate() {
            for partition in target.iter() {
                assert_eq!(owners.insert(partition, member), None, "two owners");
            }
        }
        for (topic, partitions) in self.topics.iter().enumerate() {
            let has_subscribers = self.members.iter().any(|topics| topics.contains(&topic));
            for partition in 0..*partitions {
                let owner = owners.remove(&(topic_id(topic), partition));
                assert_eq!(owner.is_some(), has_subscribers, "{topic}-{partition}");
                assert!(owner.is_none_or(|owner| self.members[owner].contains(&topic)));
            }
        }
        assert_eq!(owners, BTreeMap::new(), "partitions that do not exist");
    }
}

fn loads(targets: &[Assignment]) -> Vec<usize> {
    targets.iter().map(Assignment::len).collect()
}

/// Partitions of `before` that are another member's in `after`.
fn moved(before: &[Assignment], after: &[Assignment]) -> usize {
    let lost = |(before, after): (&Assignment, &Assignment)| {
        before
            .iter()
            .filter(|partition| !after.contains(*partition))
            .count()
    };
    before.iter().zip(after).map(lost).sum()
}

/// Groups in which each topic has a subscriber; or, with `same`, all members subscribe to all of them.
fn shape(same: bool) -> impl Strategy<Value = Shape> {
    let topics = prop::collection::vec(1..8_i32, 1..5);
    topics.prop_flat_map(move |topics| {
        let all: Vec<usize> = (0..topics.len()).collect();
        let least = if same { all.len() } else { 1 };
        let some = prop::sample::subsequence(all.clone(), least..=all.len());
        prop::collection::vec(some, 1..9).prop_map(move |mut members| {
            let is_read = |topic: &usize| members.iter().any(|topics| topics.contains(topic));
            let unread: Vec<usize> = all
                .iter()
                .copied()
                .filter(|topic| !is_read(topic))
                .collect();
            members[0].extend(unread);
            members[0].sort_unstable();
            Shape {
                topics: topics.clone(),
                members,
            }
        })
    })
}

#[test]
fn range_gives_each_topic_in_stretches_and_equal_topics_alike() {
    let shape = Shape {
        topics: vec![5, 5],
        members: vec![vec![0, 1], vec![0, 1]],
    };
    let stretch = |topic, partitions: std::ops::Range<i32>| {
        partitions.map(move |partition| (topic_id(topic), partition))
    };
    let expected: Vec<Assignment> = [0..3, 3..5]
        .map(|range| stretch(0, range.clone()).chain(stretch(1, range)).collect())
        .into();
    assert_eq!(shape.fresh(Assignor::Range), expected);
}

#[test]
fn range_orders_static_members_by_instance_id_whatever_their_member_ids() {
    let current = Assignment::default();
    let ids = ["z", "y", "a"].map(Arc::<str>::from);
    let instances = [Some(Arc::<str>::from("1")), Some(Arc::from("2")), None];
    let spec = Spec {
        topics: vec![(topic_id(0), 3)],
        subscriptions: vec![vec![0]],
        members: (ids.iter().zip(&instances))
            .map(|(member_id, instance)| MemberSpec {
                member_id,
                group_instance_id: instance.as_ref(),
                subscription: 0,
                current: &current,
            })
            .collect(),
    };
    let targets = Assignor::Range.assign(&spec);
    let first = |target: &Assignment| target.iter().next().map(|(_, partition)| partition);
    assert_eq!(
        targets.iter().map(first).collect::<Vec<_>>(),
        [Some(0), Some(1), Some(2)]
    );
}

#[test]
fn a_group_without_members_or_topics_is_assigned_nothing() {
    for assignor in Assignor::ALL {
        let nobody = Shape {
            topics: vec![3],
            members: vec![],
        };
        assert_eq!(nobody.fresh(assignor), vec![]);
        let nothing = Shape {
            topics: vec![],
            members: vec![vec![], vec![]],
        };
        assert_eq!(nothing.fresh(assignor), vec![Assignment::default(); 2]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_partition_has_one_owner_that_subscribes_to_it(shape in shape(false)) {
        for assignor in Assignor::ALL {
            shape.check(&shape.fresh(assignor));
        }
    }

    #[test]
    fn uniform_shares_of_equal_subscriptions_differ_by_one_at_most(shape in shape(true)) {
        let targets = shape.fresh(Assignor::Uniform);
        shape.check(&targets);
        let loads = loads(&targets);
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1, "{loads:?}");
    }

    #[test]
    fn uniform_shares_cannot_be_evened_out_by_a_move(shape in shape(false)) {
        let targets = shape.fresh(Assignor::Uniform);
        let loads = loads(&targets);
        for (from, target) in targets.iter().enumerate() {
            for (topic, partitions) in shape.topics.iter().enumerate() {
                let has_some = (0..*partitions).any(|at| target.contains((topic_id(topic), at)));
                for (to, topics) in shape.members.iter().enumerate() {
                    let may_move = has_some && topics.contains(&topic);
                    prop_assert!(!may_move || loads[from] <= loads[to] + 1, "{loads:?}");
                }
            }
        }
    }

    #[test]
    fn an_assignment_that_still_fits_is_kept(shape in shape(false)) {
        for assignor in Assignor::ALL {
            let targets = shape.fresh(assignor);
            prop_assert_eq!(&shape.assign(assignor, &targets), &targets);
        }
    }

    #[test]
    fn uniform_moves_no_more_than_a_new_member_must_get(shape in shape(true)) {
        let mut current = shape.fresh(Assignor::Uniform);
        let mut grown = shape.clone();
        grown.members.push(shape.members[0].clone());
        current.push(Assignment::default());
        let targets = grown.assign(Assignor::Uniform, &current);
        grown.check(&targets);
        prop_assert_eq!(moved(&current, &targets), targets.last().unwrap().len());
    }

    #[test]
    fn uniform_leaves_those_that_stay_what_they_have_when_a_member_goes(shape in shape(true)) {
        let mut current = shape.fresh(Assignor::Uniform);
        let mut shrunk = shape.clone();
        current.remove(0);
        shrunk.members.remove(0);
        let targets = shrunk.assign(Assignor::Uniform, &current);
        shrunk.check(&targets);
        prop_assert_eq!(moved(&current, &targets), 0);
    }

    #[test]
    fn uniform_takes_from_any_assignment_what_still_fits(
        shape in shape(false),
        claims in prop::collection::vec((0..9_usize, 0..6_usize, 0..10_i32), 0..40),
    ) {
        let mut current = vec![Assignment::default(); shape.members.len()];
        for (member, topic, partition) in claims {
            let member = member % current.len();
            current[member].insert((topic_id(topic), partition));
        }
        shape.check(&shape.assign(Assignor::Uniform, &current));
    }
}
