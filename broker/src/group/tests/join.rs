//! Becoming a member.

use super::*;

#[test]
fn a_new_dynamic_member_is_told_its_id_first_from_version_4() {
    let mut bench = Bench::new();
    let token = bench.join(JoinRequest {
        api_version: 4,
        ..joining("")
    });
    let reply = bench.joined(token);
    assert_eq!(reply.error, GroupError::MemberIdRequired);
    assert!(
        reply.member_id.starts_with("client-"),
        "{}",
        reply.member_id
    );
    assert!(bench.group().members.is_empty());
}

#[test]
fn a_new_dynamic_member_joins_at_once_before_version_4() {
    let mut bench = Bench::new();
    let token = bench.join(JoinRequest {
        api_version: 3,
        ..joining("")
    });
    let reply = bench.joined(token);
    assert_eq!((reply.error, reply.generation_id), (GroupError::None, 1));
    assert_eq!(reply.leader, reply.member_id);
}

#[test]
fn an_id_handed_out_is_good_for_a_session_timeout() {
    let mut bench = Bench::new();
    let token = bench.join(joining(""));
    let member_id = bench.joined(token).member_id.clone();
    bench.advance(SESSION);
    let token = bench.join(joining(&member_id));
    assert_eq!(bench.joined(token).error, GroupError::UnknownMemberId);
    assert_eq!(
        bench.state(),
        State::Dead,
        "nothing remains of a group nobody joined"
    );
    assert!(bench.records.is_empty(), "and nothing was written");
}

#[test]
fn an_id_never_handed_out_is_unknown() {
    let mut bench = Bench::new();
    let token = bench.join(joining("made-up"));
    assert_eq!(bench.joined(token).error, GroupError::UnknownMemberId);
    bench.stable(1);
    let token = bench.join(joining("made-up"));
    assert_eq!(bench.joined(token).error, GroupError::UnknownMemberId);
}

#[test]
fn a_session_timeout_outside_the_limits_is_refused() {
    let mut bench = Bench::new();
    for session_timeout_ms in [-1, 0, 5_999, 1_800_001] {
        let token = bench.join(JoinRequest {
            session_timeout_ms,
            ..joining("")
        });
        assert_eq!(bench.joined(token).error, GroupError::InvalidSessionTimeout);
    }
    for session_timeout_ms in [6_000, 1_800_000] {
        let token = bench.join(JoinRequest {
            session_timeout_ms,
            ..joining("")
        });
        assert_eq!(bench.joined(token).error, GroupError::MemberIdRequired);
    }
}

#[test]
fn an_empty_group_id_is_refused() {
    let mut bench = Bench::new();
    let token = bench.join(JoinRequest {
        group_id: "".into(),
        ..joining("")
    });
    assert_eq!(bench.joined(token).error, GroupError::InvalidGroupId);
}

#[test]
fn another_protocol_type_is_inconsistent() {
    let mut bench = Bench::new();
    bench.stable(1);
    let token = bench.join(JoinRequest {
        protocol_type: "connect".into(),
        ..joining("")
    });
    assert_eq!(
        bench.joined(token).error,
        GroupError::InconsistentGroupProtocol
    );
}

#[test]
fn no_protocol_in_common_is_inconsistent() {
    let mut bench = Bench::new();
    bench.stable(1);
    let token = bench.join(offering("", &["sticky"]));
    assert_eq!(
        bench.joined(token).error,
        GroupError::InconsistentGroupProtocol
    );
}

#[test]
fn no_protocol_at_all_is_inconsistent() {
    let mut bench = Bench::new();
    let token = bench.join(offering("", &[]));
    assert_eq!(
        bench.joined(token).error,
        GroupError::InconsistentGroupProtocol
    );
    let token = bench.join(JoinRequest {
        protocol_type: "".into(),
        ..joining("")
    });
    assert_eq!(
        bench.joined(token).error,
        GroupError::InconsistentGroupProtocol
    );
    assert_eq!(bench.state(), State::Dead);
}

#[test]
fn an_empty_group_may_change_its_protocol_type() {
    let mut bench = Bench::new();
    let (members, _) = bench.stable(1);
    bench.leave(&[(&members[0], None)]);
    let request = JoinRequest {
        api_version: 3,
        protocol_type: "connect".into(),
        ..joining("")
    };
    let token = bench.join(request);
    assert_eq!(
        bench.joined(token).protocol_type.as_deref(),
        Some("connect")
    );
}

#[test]
fn only_the_leader_gets_the_members_and_their_metadata() {
    let mut bench = Bench::new();
    let (a, _) = bench.new_member();
    let (b, follower) = bench.new_member();
    let leader = bench.join(joining(&a));
    let (leader, follower) = (bench.joined(leader), bench.joined(follower));
    assert_eq!((&leader.leader, &follower.leader), (&a, &a));
    assert!(follower.members.is_empty());
    let listed: Vec<_> = leader
        .members
        .iter()
        .map(|member| &member.member_id)
        .collect();
    assert_eq!(listed, [&a, &b]);
    assert_eq!(leader.members[1].metadata, subscription("orders"));
    assert_eq!(leader.protocol_name.as_deref(), Some("range"));
}

#[test]
fn the_protocol_is_the_most_preferred_one_that_all_offer() {
    let mut bench = Bench::new();
    let token = bench.join(JoinRequest {
        api_version: 3,
        ..offering("", &["range", "sticky"])
    });
    let first = bench.joined(token).member_id.clone();
    for offer in [["sticky", "range"], ["sticky", "range"]] {
        bench.join(JoinRequest {
            api_version: 3,
            ..offering("", &offer)
        });
    }
    bench.join(JoinRequest {
        api_version: 3,
        ..offering("", &["roundrobin", "sticky", "range"])
    });
    let token = bench.join(offering(&first, &["range", "sticky"]));
    assert_eq!(bench.joined(token).protocol_name.as_deref(), Some("sticky"));
}

#[test]
fn a_second_join_of_a_waiting_member_supersedes_the_first() {
    let mut bench = Bench::new();
    let (members, _) = bench.stable(2);
    let first = bench.join(joining(&members[0]));
    let second = bench.join(joining(&members[0]));
    assert_eq!(bench.joined(first).error, GroupError::RebalanceInProgress);
    assert!(bench.is_waiting(second));
}

#[test]
fn the_leader_may_ask_again_for_the_members_it_was_told() {
    let mut bench = Bench::new();
    let (members, generation) = bench.completing(2);
    let token = bench.join(joining(&members[0]));
    let reply = bench.joined(token);
    assert_eq!((reply.generation_id, reply.members.len()), (generation, 2));
}

#[test]
fn a_version_0_member_is_waited_for_as_long_as_its_session() {
    let mut bench = Bench::new();
    bench.join(JoinRequest {
        api_version: 0,
        rebalance_timeout_ms: -1,
        ..joining("")
    });
    let member = bench.group().members.values().next().unwrap();
    assert_eq!(member.rebalance_timeout, SESSION);
}

#[test]
fn what_a_member_keeps_does_not_hold_on_to_the_request() {
    let mut bench = Bench::new();
    let frame = Bytes::from(vec![7; 1_000]);
    let slice = Protocol {
        name: "range".into(),
        metadata: frame.slice(10..20),
    };
    bench.join(JoinRequest {
        api_version: 3,
        protocols: vec![slice],
        ..joining("")
    });
    assert!(frame.is_unique(), "the frame is free");
}

#[test]
fn a_rejoin_brings_the_leader_the_members_new_metadata_and_timeouts() {
    let mut bench = Bench::new();
    let (members, _) = bench.stable(2);
    let metadata = subscription("payments");
    let protocols = vec![Protocol {
        name: "range".into(),
        metadata: metadata.clone(),
    }];
    bench.join(JoinRequest {
        protocols,
        session_timeout_ms: 20_000,
        rebalance_timeout_ms: 70_000,
        ..joining(&members[1])
    });
    let token = bench.join(joining(&members[0]));
    let told = &bench.joined(token).members;
    let member = told
        .iter()
        .find(|member| member.member_id == members[1])
        .unwrap();
    assert_eq!(member.metadata, metadata);
    let member = &bench.group().members[&members[1]];
    assert_eq!(member.session_timeout, Duration::from_secs(20));
    assert_eq!(bench.group().rebalance_timeout(), Duration::from_secs(70));
}
