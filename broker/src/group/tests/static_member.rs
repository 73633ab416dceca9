//! Static members (KIP-345, KIP-814).

use super::*;

/// Static members "a" and "b" in a stable group; "a" leads.
fn stable() -> (Bench, Arc<str>, Arc<str>, i32) {
    let mut bench = Bench::new();
    let token = bench.join(joining_as("a", ""));
    let a = bench.joined(token).member_id.clone();
    let token = bench.join(joining_as("b", ""));
    bench.join(joining_as("a", &a));
    let reply = bench.joined(token);
    let (b, generation) = (reply.member_id.clone(), reply.generation_id);
    bench.assign_all(&[a.clone(), b.clone()], generation);
    (bench, a, b, generation)
}

#[test]
fn a_static_member_joins_at_once_with_an_id_made_of_its_instance_id() {
    let mut bench = Bench::new();
    let token = bench.join(joining_as("a", ""));
    let reply = bench.joined(token);
    assert_eq!(reply.error, GroupError::None);
    assert!(reply.member_id.starts_with("a-"), "{}", reply.member_id);
}

#[test]
fn a_static_member_that_restarts_keeps_the_generation_and_its_assignment() {
    let (mut bench, _, b, generation) = stable();
    let token = bench.join(joining_as("b", ""));
    let reply = bench.joined(token).clone();
    assert_eq!(
        (reply.error, reply.generation_id),
        (GroupError::None, generation)
    );
    assert_ne!(reply.member_id, b);
    assert!(!reply.skip_assignment);
    assert_eq!(bench.state(), State::Stable);
    let token = bench.sync(syncing(&reply.member_id, generation, &[]));
    assert_eq!(bench.synced(token).assignment, b.as_bytes());
}

#[test]
fn a_leader_that_restarts_skips_the_assignment_from_version_9() {
    let (mut bench, a, _, _) = stable();
    let token = bench.join(joining_as("a", ""));
    let reply = bench.joined(token);
    assert!(reply.skip_assignment);
    assert_eq!(reply.members.len(), 2);
    assert_eq!(reply.leader, reply.member_id);
    assert_ne!(reply.leader, a);
}

#[test]
fn a_leader_that_restarts_is_told_that_another_leads_before_version_9() {
    let (mut bench, a, _, _) = stable();
    let token = bench.join(JoinRequest {
        api_version: 8,
        ..joining_as("a", "")
    });
    let reply = bench.joined(token);
    assert!(!reply.skip_assignment);
    assert_eq!(reply.leader, a);
    assert!(reply.members.is_empty());
}

#[test]
fn the_member_replaced_is_fenced_everywhere() {
    let (mut bench, a, b, generation) = stable();
    bench.join(joining_as("b", ""));
    let instance: Option<Arc<str>> = Some("b".into());
    let token = bench.join(joining_as("b", &b));
    assert_eq!(bench.joined(token).error, GroupError::FencedInstanceId);
    let request = SyncRequest {
        group_instance_id: instance.clone(),
        ..syncing(&b, generation, &[])
    };
    let token = bench.sync(request);
    assert_eq!(bench.synced(token).error, GroupError::FencedInstanceId);
    let request = CommitOffsetsRequest {
        group_instance_id: instance,
        ..committing(&b, generation, 1)
    };
    assert_eq!(bench.commit(request), GroupError::FencedInstanceId);
    let reply = bench.leave(&[(&b, Some("b"))]);
    assert_eq!(reply.members[0].error, GroupError::FencedInstanceId);
    assert_eq!(bench.heartbeat(&b, generation), GroupError::UnknownMemberId);
    assert_eq!(bench.heartbeat(&a, generation), GroupError::None);
}

#[test]
fn a_waiting_request_of_the_member_replaced_is_fenced() {
    let (mut bench, a, _, _) = stable();
    let waiting = bench.join(joining_as("a", &a));
    assert!(bench.is_waiting(waiting));
    bench.join(joining_as("a", ""));
    assert_eq!(bench.joined(waiting).error, GroupError::FencedInstanceId);
}

#[test]
fn a_replacement_before_the_assignment_rebalances() {
    let mut bench = Bench::new();
    let token = bench.join(joining_as("a", ""));
    let a = bench.joined(token).member_id.clone();
    let token = bench.join(joining_as("a", ""));
    let reply = bench.joined(token);
    assert_eq!(
        reply.generation_id, 2,
        "the leader was about to assign to {a}"
    );
    assert_eq!(reply.members.len(), 1);
}

#[test]
fn a_replacement_that_changes_the_chosen_protocol_rebalances() {
    let mut bench = Bench::new();
    let both = |names: &[&str]| JoinRequest {
        group_instance_id: Some("a".into()),
        ..offering("", names)
    };
    let token = bench.join(both(&["range", "sticky"]));
    let member_id = bench.joined(token).member_id.clone();
    bench.assign_all(&[member_id], 1);
    let token = bench.join(both(&["sticky", "range"]));
    let reply = bench.joined(token);
    assert_eq!(
        (reply.generation_id, reply.protocol_name.as_deref()),
        (2, Some("sticky"))
    );
}

#[test]
fn a_static_member_stays_through_a_rebalance_it_does_not_join() {
    let (mut bench, a, b, generation) = stable();
    let token = bench.join(joining_as("a", &a));
    let beat = |bench: &mut Bench| {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id: generation,
            member_id: b.clone(),
            group_instance_id: Some("b".into()),
        };
        bench.send(|token| Event::Heartbeat(token, request));
    };
    for _ in 0..12 {
        assert!(bench.is_waiting(token));
        beat(&mut bench);
        bench.advance(REBALANCE / 12);
    }
    let reply = bench.joined(token);
    assert_eq!(
        (reply.generation_id, reply.members.len()),
        (generation + 1, 2)
    );
}

#[test]
fn a_static_member_leaves_only_when_asked_by_name() {
    let (mut bench, _, _, _) = stable();
    let reply = bench.leave(&[("", Some("b"))]);
    assert_eq!(reply.members[0].error, GroupError::None);
    assert_eq!(bench.group().members.len(), 1);
    let reply = bench.leave(&[("", Some("b")), ("", None)]);
    let errors: Vec<_> = reply.members.iter().map(|member| member.error).collect();
    assert_eq!(errors, [GroupError::UnknownMemberId; 2]);
}

#[test]
fn an_instance_id_nobody_joined_with_is_unknown() {
    let (mut bench, a, _, generation) = stable();
    let request = SyncRequest {
        group_instance_id: Some("c".into()),
        ..syncing(&a, generation, &[])
    };
    let token = bench.sync(request);
    assert_eq!(bench.synced(token).error, GroupError::UnknownMemberId);
}

#[test]
fn an_id_handed_out_cannot_become_static() {
    let mut bench = Bench::new();
    let token = bench.join(joining(""));
    let member_id = bench.joined(token).member_id.clone();
    let token = bench.join(joining_as("a", &member_id));
    assert_eq!(bench.joined(token).error, GroupError::UnknownMemberId);
}

#[test]
fn a_replacement_is_written_down() {
    let (mut bench, _, _, _) = stable();
    bench.join(joining_as("b", ""));
    let restarted = bench.restarted();
    let members: Vec<_> = restarted.group().members.keys().cloned().collect();
    let live: Vec<_> = bench.group().members.keys().cloned().collect();
    assert_eq!(members, live);
}

#[test]
fn a_replacement_of_a_member_that_has_not_synced_must_sync_in_its_stead() {
    let mut bench = Bench::new();
    let token = bench.join(joining_as("a", ""));
    let a = bench.joined(token).member_id.clone();
    let token = bench.join(joining_as("b", ""));
    bench.join(joining_as("a", &a));
    let generation = bench.joined(token).generation_id;
    bench.sync(syncing(&a, generation, &[]));
    let patient = JoinRequest {
        session_timeout_ms: 600_000,
        ..joining_as("b", "")
    };
    let token = bench.join(patient);
    let b = bench.joined(token).member_id.clone();
    assert_eq!(bench.state(), State::Stable);
    for _ in 0..12 {
        bench.heartbeat(&a, generation);
        bench.advance(REBALANCE / 12);
    }
    assert_eq!(bench.heartbeat(&b, generation), GroupError::UnknownMemberId);
}
