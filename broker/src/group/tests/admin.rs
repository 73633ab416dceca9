//! Describing, listing and deleting groups.

use super::*;

fn describe(bench: &mut Bench, api_version: i16, group_id: &str) -> DescribedGroup {
    let request = DescribeRequest {
        api_version,
        groups: vec![group_id.into()],
    };
    let token = bench.send(|token| Event::Describe(token, request));
    match bench.replies.remove(&token) {
        Some(Reply::Describe(mut groups)) => groups.remove(0),
        other => panic!("{other:?}"),
    }
}

fn list(bench: &mut Bench, states: &[&str], types: &[&str]) -> Vec<String> {
    let own = |filter: &[&str]| filter.iter().map(|&value| Arc::from(value)).collect();
    let request = ListRequest {
        states_filter: own(states),
        types_filter: own(types),
    };
    let token = bench.send(|token| Event::List(token, request));
    match bench.replies.remove(&token) {
        Some(Reply::List(groups)) => groups
            .iter()
            .map(|group| group.group_id.to_string())
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stable_group_shows_its_members_protocol_and_assignments() {
    let mut bench = Bench::new();
    let (members, _) = bench.stable(2);
    let group = describe(&mut bench, 5, GROUP);
    assert_eq!(
        (group.error, group.group_state),
        (GroupError::None, State::Stable)
    );
    assert_eq!(
        (&*group.protocol_type, &*group.protocol_data),
        ("consumer", "range")
    );
    let member = group
        .members
        .iter()
        .find(|member| member.member_id == members[0])
        .unwrap();
    assert_eq!(
        (&*member.client_id, &*member.client_host),
        ("client", "127.0.0.1")
    );
    assert_eq!(member.member_metadata, subscription("orders"));
    assert_eq!(member.member_assignment, members[0].as_bytes());
}

#[test]
fn a_group_in_a_rebalance_shows_no_protocol_and_no_metadata() {
    let mut bench = Bench::new();
    bench.stable(1);
    bench.new_member();
    let group = describe(&mut bench, 5, GROUP);
    assert_eq!(group.group_state.as_str(), "PreparingRebalance");
    assert_eq!(&*group.protocol_data, "");
    assert!(
        group
            .members
            .iter()
            .all(|member| member.member_metadata.is_empty())
    );
}

#[test]
fn a_missing_group_is_dead_and_from_version_6_an_error() {
    let mut bench = Bench::new();
    let group = describe(&mut bench, 5, "nobody");
    assert_eq!(
        (group.error, group.group_state.as_str()),
        (GroupError::None, "Dead")
    );
    assert_eq!(
        describe(&mut bench, 6, "nobody").error,
        GroupError::GroupIdNotFound
    );
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut bench = Bench::new();
    bench.stable(1);
    bench.commit(CommitOffsetsRequest {
        group_id: "simple".into(),
        ..committing("", -1, 1)
    });
    assert_eq!(list(&mut bench, &[], &[]), [GROUP, "simple"]);
    assert_eq!(list(&mut bench, &["stable"], &[]), [GROUP]);
    assert_eq!(
        list(&mut bench, &["Empty", "Dead"], &["Classic"]),
        ["simple"]
    );
    assert_eq!(list(&mut bench, &["nonsense"], &[]), [""; 0]);
    assert_eq!(list(&mut bench, &[], &["consumer"]), [""; 0]);
}

#[test]
fn deleting_a_group_deletes_its_offsets() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(1);
    bench.commit(committing(&members[0], generation, 42));
    bench.leave(&[(&members[0], None)]);
    let token = bench.send(|token| Event::DeleteGroups(token, vec![GROUP.into(), GROUP.into()]));
    let expected = vec![
        (Arc::from(GROUP), GroupError::None),
        (Arc::from(GROUP), GroupError::GroupIdNotFound),
    ];
    assert_eq!(bench.replies[&token], Reply::DeleteGroups(expected));
    assert_eq!(bench.coordinator.snapshot(), []);
    assert_eq!(bench.restarted().coordinator.snapshot(), []);
    assert_eq!(bench.committed("orders"), -1);
}

#[test]
fn deleting_a_group_takes_back_the_ids_it_handed_out() {
    let mut bench = Bench::new();
    bench.commit(committing("", -1, 42));
    let token = bench.join(joining(""));
    let member_id = bench.joined(token).member_id.clone();
    bench.send(|token| Event::DeleteGroups(token, vec![GROUP.into()]));
    let token = bench.join(joining(&member_id));
    assert_eq!(bench.joined(token).error, GroupError::UnknownMemberId);
    assert_eq!(
        bench.coordinator.timers.len(),
        1,
        "only the expiry of offsets"
    );
}
