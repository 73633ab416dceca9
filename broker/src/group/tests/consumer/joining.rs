//! Joining, going on and leaving.

use super::*;

#[test]
fn the_first_member_gets_all_partitions_at_once() {
    let mut bench = Bench::new();
    let mut a = Reader::new("a");
    a.join(&mut bench);
    assert_eq!(a.partitions(), [(1, 0), (1, 1), (1, 2), (1, 3)]);
    assert_eq!(a.epoch, 1);
    assert_eq!(bench.consumer_state(), ConsumerState::Stable);
}

#[test]
fn a_member_of_version_0_is_given_its_id() {
    let mut bench = Bench::new();
    let request = ConsumerHeartbeatRequest {
        api_version: 0,
        ..Reader::new("").joining()
    };
    let reply = bench.beat(request).unwrap();
    assert!(!reply.member_id.is_empty());
    let own = bench.consumer_error(Reader::new("").joining());
    assert_eq!(
        own,
        Some(GroupError::InvalidRequest),
        "version 1 has its own"
    );
}

#[test]
fn a_request_that_contradicts_itself_is_refused() {
    let a = Reader::new("a");
    let bad = |change: fn(&mut ConsumerHeartbeatRequest)| {
        let mut request = a.joining();
        change(&mut request);
        Bench::new().consumer_error(request)
    };
    let invalid = Some(GroupError::InvalidRequest);
    assert_eq!(bad(|request| request.group_id = "".into()), invalid);
    assert_eq!(
        bad(|request| request.group_instance_id = Some(" ".into())),
        invalid
    );
    assert_eq!(bad(|request| request.rack_id = Some("".into())), invalid);
    assert_eq!(bad(|request| request.rebalance_timeout_ms = -1), invalid);
    assert_eq!(bad(|request| request.owned = None), invalid);
    assert_eq!(
        bad(|request| request.subscribed_topic_names = None),
        invalid
    );
    assert_eq!(bad(|request| request.member_epoch = -3), invalid);
    assert_eq!(
        bad(|request| request.member_epoch = -2),
        invalid,
        "no instance id"
    );
    assert_eq!(
        bad(|request| request.server_assignor = Some("sticky".into())),
        Some(GroupError::UnsupportedAssignor)
    );
    assert_eq!(bad(|_| {}), None);
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let invalid = Reader::matching("a", "(").joining();
    assert_eq!(
        bench.consumer_error(invalid),
        Some(GroupError::InvalidRegularExpression)
    );
    assert_eq!(bench.coordinator.groups.len(), 0);
    assert_eq!(bench.records, vec![]);
}

#[test]
fn a_heartbeat_that_says_nothing_new_changes_nothing() {
    let mut bench = Bench::new();
    let (mut a, _) = pair(&mut bench);
    let records = bench.records.len();
    let reply = bench.beat(a.beating()).unwrap();
    assert_eq!((reply.member_epoch, reply.assignment), (a.epoch, None));
    let silent = ConsumerHeartbeatRequest {
        owned: None,
        ..a.beating()
    };
    assert_eq!(bench.beat(silent).unwrap().assignment, None);
    assert_eq!(bench.records.len(), records);
    assert_eq!(a.beat(&mut bench), None);
}

#[test]
fn a_member_that_says_all_is_told_all() {
    let mut bench = Bench::new();
    let (a, _) = pair(&mut bench);
    let full = ConsumerHeartbeatRequest {
        member_epoch: a.epoch,
        owned: Some(a.owned.clone()),
        ..a.joining()
    };
    assert_eq!(bench.beat(full).unwrap().assignment, Some(a.owned));
}

#[test]
fn a_member_that_joins_again_keeps_its_partitions() {
    let mut bench = Bench::new();
    let (mut a, mut b) = pair(&mut bench);
    let before = a.clone();
    a.join(&mut bench);
    assert_eq!((a.epoch, a.owned.clone()), (before.epoch, before.owned));
    bench.settle(&mut [&mut a, &mut b]);
}

#[test]
fn a_member_that_is_silent_for_its_session_is_gone() {
    let mut bench = Bench::new();
    let (mut a, mut b) = pair(&mut bench);
    bench.advance(Duration::from_secs(44));
    assert_eq!(a.beat(&mut bench), None);
    bench.advance(Duration::from_secs(2));
    assert_eq!(b.beat(&mut bench), Some(GroupError::UnknownMemberId));
    bench.settle(&mut [&mut a]);
    assert_eq!(a.partitions().len(), 4);
}

#[test]
fn a_group_may_have_a_session_and_interval_of_its_own() {
    let mut bench = Bench::new();
    bench.event(Event::GroupConfigured {
        group_id: GROUP.into(),
        settings: GroupOverrides {
            session_timeout: Some(Duration::from_secs(10)),
            heartbeat_interval: Some(Duration::from_secs(3)),
        },
    });
    let a = Reader::new("a");
    let reply = bench.beat(a.joining()).unwrap();
    assert_eq!(reply.heartbeat_interval, Duration::from_secs(3));
    bench.advance(Duration::from_secs(10));
    assert_eq!(bench.consumer_state(), ConsumerState::Empty);
}

#[test]
fn a_member_that_leaves_is_succeeded_at_the_next_heartbeat() {
    let mut bench = Bench::new();
    let (mut a, b) = pair(&mut bench);
    let reply = bench.beat(b.leaving(-1)).unwrap();
    assert_eq!(reply.member_epoch, -1);
    assert_eq!(bench.consumer_state(), ConsumerState::Assigning);
    a.beat(&mut bench);
    assert_eq!(a.partitions().len(), 4);
    assert_eq!(
        bench.consumer_error(b.beating()),
        Some(GroupError::UnknownMemberId)
    );
}

#[test]
fn a_full_group_takes_nobody_new() {
    let config = GroupConfig {
        consumer_max_size: 2,
        ..GroupConfig::default()
    };
    let mut bench = Bench::with(config);
    let (mut a, _) = pair(&mut bench);
    let refused = bench.consumer_error(Reader::new("c").joining());
    assert_eq!(refused, Some(GroupError::GroupMaxSizeReached));
    a.join(&mut bench);
}

#[test]
fn a_broker_with_all_the_groups_it_may_have_takes_no_new_one() {
    let config = GroupConfig {
        max_groups: 0,
        ..GroupConfig::default()
    };
    let mut bench = Bench::with(config);
    let refused = bench.consumer_error(Reader::new("a").joining());
    assert_eq!(refused, Some(GroupError::GroupMaxSizeReached));
}

#[test]
fn a_subscription_is_limited_in_size() {
    let config = GroupConfig {
        max_member_metadata: 60,
        max_group_metadata: 100,
        ..GroupConfig::default()
    };
    let mut bench = Bench::with(config);
    let long = Reader::reading("a", &["a topic of more than 28 bytes"]);
    assert_eq!(
        bench.consumer_error(long.joining()),
        Some(GroupError::InvalidRequest)
    );
    Reader::reading("a", &["a topic of 19 bytes"]).join(&mut bench);
    let full = Reader::reading("b", &["a topic of 18 byte"]);
    assert_eq!(
        bench.consumer_error(full.joining()),
        Some(GroupError::GroupMaxSizeReached)
    );
}

#[test]
fn a_group_is_described_with_members_and_targets() {
    let mut bench = Bench::new();
    let missing = bench.describe_consumer().unwrap_err();
    assert_eq!(missing.error, GroupError::GroupIdNotFound);
    let (mut a, mut b) = (Reader::new("a"), Reader::new("b"));
    a.join(&mut bench);
    b.join(&mut bench);
    let group = bench.describe_consumer().unwrap();
    assert_eq!(group.group_state, ConsumerState::Reconciling);
    assert_eq!((group.group_epoch, group.assignment_epoch), (2, 2));
    assert_eq!(group.assignor_name, "uniform");
    let [of_a, of_b] = &group.members[..] else {
        panic!("two members")
    };
    assert_eq!(
        of_a.assignment,
        [("orders".into(), topic_id(1), vec![0, 1, 2, 3])]
    );
    assert_eq!(of_a.target_assignment[0].2.len(), 2);
    assert_eq!(of_b.assignment, []);
    assert_eq!(of_b.target_assignment[0].2.len(), 2);
}

#[test]
fn groups_are_listed_by_type_and_state() {
    let mut bench = Bench::new();
    pair(&mut bench);
    bench.commit(CommitOffsetsRequest {
        group_id: "other".into(),
        ..committing("", -1, 1)
    });
    let mut listed = |states: &[&str], types: &[&str]| {
        let arcs = |texts: &[&str]| texts.iter().map(|text| Arc::from(*text)).collect();
        let request = ListRequest {
            states_filter: arcs(states),
            types_filter: arcs(types),
        };
        let token = bench.send(|token| Event::List(token, request));
        match bench.replies.remove(&token) {
            Some(Reply::List(groups)) => groups
                .into_iter()
                .map(|group| {
                    (
                        group.group_id.to_string(),
                        group.group_type,
                        group.group_state,
                    )
                })
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    let consumer = (GROUP.to_owned(), "consumer", "Stable");
    assert_eq!(listed(&[], &["Consumer"]), std::slice::from_ref(&consumer));
    assert_eq!(listed(&["stable"], &[]), [consumer]);
    assert_eq!(listed(&["assigning"], &[]), []);
    assert_eq!(listed(&[], &[]).len(), 2);
}

#[test]
fn only_a_group_without_members_can_be_deleted() {
    let mut bench = Bench::new();
    let mut a = Reader::new("a");
    a.join(&mut bench);
    let delete = |bench: &mut Bench| {
        let token = bench.send(|token| Event::DeleteGroups(token, vec![GROUP.into()]));
        match bench.replies.remove(&token) {
            Some(Reply::DeleteGroups(groups)) => groups[0].1,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(delete(&mut bench), GroupError::NonEmptyGroup);
    bench.beat(a.leaving(-1)).unwrap();
    assert_eq!(delete(&mut bench), GroupError::None);
    assert_eq!(bench.coordinator.snapshot(), vec![]);
    assert_eq!(bench.restarted().coordinator.snapshot(), vec![]);
}

#[test]
fn a_group_goes_on_after_a_restart_without_a_rebalance() {
    let mut bench = Bench::new();
    let (mut a, mut b) = pair(&mut bench);
    let mut bench = bench.restarted();
    let epoch = a.epoch;
    bench.settle(&mut [&mut a, &mut b]);
    assert_eq!(a.epoch, epoch);
    bench.advance(Duration::from_secs(45));
    assert_eq!(bench.consumer_state(), ConsumerState::Empty);
}
