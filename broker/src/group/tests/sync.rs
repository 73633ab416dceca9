//! Getting an assignment.

use super::*;

#[test]
fn followers_wait_for_the_leaders_assignment() {
    let mut bench = Bench::new();
    let (members, generation) = bench.completing(2);
    let follower = bench.sync(syncing(&members[1], generation, &[]));
    assert!(bench.is_waiting(follower));
    let assignments = [(&*members[0], "one"), (&*members[1], "two")];
    let leader = bench.sync(syncing(&members[0], generation, &assignments));
    assert_eq!(bench.synced(leader).assignment, "one");
    let reply = bench.synced(follower);
    assert_eq!(
        (reply.error, &reply.assignment[..]),
        (GroupError::None, &b"two"[..])
    );
    assert_eq!(reply.protocol_type.as_deref(), Some("consumer"));
    assert_eq!(reply.protocol_name.as_deref(), Some("range"));
}

#[test]
fn the_assignment_is_written_before_anybody_is_told() {
    let mut bench = Bench::new();
    let (members, generation) = bench.completing(2);
    bench.sync(syncing(&members[1], generation, &[]));
    let request = syncing(&members[0], generation, &[(&members[0], "one")]);
    let effects = bench
        .coordinator
        .handle(Event::Sync(100, request), bench.now);
    assert_eq!(effects.replies.len(), 2);
    let [GroupRecord::GroupMetadata(metadata)] = &effects.records[..] else {
        panic!("{:?}", effects.records)
    };
    assert_eq!(metadata.value.generation_id, generation);
    assert_eq!(metadata.value.leader.as_ref(), Some(&members[0]));
    let assigned: Vec<_> = metadata
        .value
        .members
        .iter()
        .map(|m| &m.assignment.0[..])
        .collect();
    assert!(assigned.contains(&&b"one"[..]));
}

#[test]
fn a_member_the_leader_forgot_gets_an_empty_assignment() {
    let mut bench = Bench::new();
    let (members, generation) = bench.completing(2);
    bench.sync(syncing(
        &members[0],
        generation,
        &[(&members[0], "all"), ("stranger", "none")],
    ));
    let token = bench.sync(syncing(&members[1], generation, &[]));
    let reply = bench.synced(token);
    assert_eq!((reply.error, reply.assignment.len()), (GroupError::None, 0));
}

#[test]
fn only_the_leaders_assignment_counts() {
    let mut bench = Bench::new();
    let (members, generation) = bench.completing(2);
    let follower = bench.sync(syncing(&members[1], generation, &[(&members[1], "mine")]));
    assert!(bench.is_waiting(follower));
    bench.sync(syncing(&members[0], generation, &[(&members[1], "yours")]));
    assert_eq!(bench.synced(follower).assignment, "yours");
    let again = bench.sync(syncing(
        &members[0],
        generation,
        &[(&members[1], "changed")],
    ));
    assert_eq!(bench.synced(again).error, GroupError::None);
    let again = bench.sync(syncing(&members[1], generation, &[]));
    assert_eq!(bench.synced(again).assignment, "yours");
}

#[test]
fn a_sync_that_claims_another_protocol_is_inconsistent() {
    let mut bench = Bench::new();
    let (members, generation) = bench.completing(1);
    for (protocol_type, protocol_name) in [("connect", "range"), ("consumer", "sticky")] {
        let token = bench.sync(SyncRequest {
            protocol_type: Some(protocol_type.into()),
            protocol_name: Some(protocol_name.into()),
            ..syncing(&members[0], generation, &[])
        });
        assert_eq!(
            bench.synced(token).error,
            GroupError::InconsistentGroupProtocol
        );
    }
    let request = SyncRequest {
        protocol_type: None,
        ..syncing(&members[0], generation, &[])
    };
    let token = bench.sync(request);
    assert_eq!(
        bench.synced(token).error,
        GroupError::None,
        "before version 5 it claims none"
    );
}

#[test]
fn a_rebalance_sends_those_who_wait_for_an_assignment_back_to_join() {
    let mut bench = Bench::new();
    let (members, generation) = bench.completing(2);
    let waiting = bench.sync(syncing(&members[1], generation, &[]));
    bench.new_member();
    assert_eq!(bench.synced(waiting).error, GroupError::RebalanceInProgress);
}

#[test]
fn a_member_that_leaves_while_it_waits_is_answered() {
    let mut bench = Bench::new();
    let (members, generation) = bench.completing(2);
    let waiting = bench.sync(syncing(&members[1], generation, &[]));
    bench.leave(&[(&members[1], None)]);
    assert_eq!(bench.synced(waiting).error, GroupError::UnknownMemberId);
}

#[test]
fn a_second_sync_of_a_waiting_member_supersedes_the_first() {
    let mut bench = Bench::new();
    let (members, generation) = bench.completing(2);
    let first = bench.sync(syncing(&members[1], generation, &[]));
    let second = bench.sync(syncing(&members[1], generation, &[]));
    assert_eq!(bench.synced(first).error, GroupError::RebalanceInProgress);
    bench.sync(syncing(&members[0], generation, &[(&members[1], "two")]));
    assert_eq!(bench.synced(second).assignment, "two");
}

#[test]
fn an_empty_group_id_is_refused() {
    let mut bench = Bench::new();
    let token = bench.sync(SyncRequest {
        group_id: "".into(),
        ..syncing("a", 1, &[])
    });
    assert_eq!(bench.synced(token).error, GroupError::InvalidGroupId);
}
