//! Leaving.

use super::*;

fn errors(reply: &LeaveReply) -> Vec<GroupError> {
    reply.members.iter().map(|member| member.error).collect()
}

#[test]
fn a_batch_has_an_error_for_each_member() {
    let mut bench = Bench::new();
    let (members, _) = bench.stable(2);
    let reply = bench.leave(&[(&members[0], None), ("stranger", None), (&members[1], None)]);
    assert_eq!(reply.error, GroupError::None);
    assert_eq!(
        errors(&reply),
        [
            GroupError::None,
            GroupError::UnknownMemberId,
            GroupError::None
        ]
    );
    assert_eq!(reply.members[1].member_id, "stranger".into());
    assert_eq!(bench.state(), State::Empty);
}

#[test]
fn before_version_3_the_only_members_error_is_the_replys() {
    let mut bench = Bench::new();
    let (members, _) = bench.stable(1);
    for expected in [GroupError::None, GroupError::UnknownMemberId] {
        let member = LeavingMember {
            member_id: members[0].clone(),
            group_instance_id: None,
        };
        let request = LeaveRequest {
            api_version: 2,
            group_id: GROUP.into(),
            members: vec![member],
        };
        let token = bench.send(|token| Event::Leave(token, request));
        let Some(Reply::Leave(reply)) = bench.replies.get(&token) else {
            panic!()
        };
        assert_eq!(reply.error, expected);
    }
}

#[test]
fn a_group_that_does_not_exist_has_no_members() {
    let mut bench = Bench::new();
    let reply = bench.leave(&[("a", None)]);
    assert_eq!(
        (reply.error, errors(&reply)),
        (GroupError::None, vec![GroupError::UnknownMemberId])
    );
}

#[test]
fn the_leader_leaving_makes_another_lead() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(3);
    bench.leave(&[(&members[0], None)]);
    let tokens = [&members[1], &members[2]].map(|member| bench.join(joining(member)));
    let replies = tokens.map(|token| bench.joined(token).clone());
    assert_eq!(replies[0].generation_id, generation + 1);
    assert_eq!(replies[0].leader, replies[1].leader);
    assert!(members[1..].contains(&replies[0].leader));
    let told: Vec<_> = replies
        .iter()
        .filter(|reply| !reply.members.is_empty())
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].member_id, told[0].leader);
}

#[test]
fn the_last_one_not_to_rejoin_leaving_ends_the_rebalance() {
    let mut bench = Bench::new();
    let (members, _) = bench.stable(2);
    let token = bench.join(joining(&members[0]));
    assert!(bench.is_waiting(token));
    bench.leave(&[(&members[1], None)]);
    assert_eq!(bench.joined(token).members.len(), 1);
}

#[test]
fn an_id_handed_out_can_be_given_back() {
    let mut bench = Bench::new();
    let (members, _) = bench.stable(1);
    let token = bench.join(joining(""));
    let pending = bench.joined(token).member_id.clone();
    let waiting = bench.join(joining(&members[0]));
    assert!(bench.is_waiting(waiting));
    assert_eq!(
        errors(&bench.leave(&[(&pending, None)])),
        [GroupError::None]
    );
    assert_eq!(bench.joined(waiting).members.len(), 1);
}

#[test]
fn giving_an_id_back_does_not_disturb_a_stable_group() {
    let mut bench = Bench::new();
    bench.stable(1);
    let token = bench.join(joining(""));
    let pending = bench.joined(token).member_id.clone();
    bench.leave(&[(&pending, None)]);
    assert_eq!(bench.state(), State::Stable);
}

#[test]
fn a_member_that_leaves_while_it_waits_to_join_is_answered() {
    let mut bench = Bench::new();
    let (members, _) = bench.stable(2);
    let waiting = bench.join(joining(&members[0]));
    bench.leave(&[(&members[0], None)]);
    assert_eq!(bench.joined(waiting).error, GroupError::UnknownMemberId);
}

#[test]
fn an_empty_group_id_is_refused() {
    let mut bench = Bench::new();
    let request = LeaveRequest {
        api_version: 5,
        group_id: "".into(),
        members: Vec::new(),
    };
    let token = bench.send(|token| Event::Leave(token, request));
    let Some(Reply::Leave(reply)) = bench.replies.get(&token) else {
        panic!()
    };
    assert_eq!(reply.error, GroupError::InvalidGroupId);
}
