//! From one generation to the next, and the timers on the way.

use super::*;

fn delayed(delay: Duration) -> Bench {
    Bench::with(GroupConfig {
        initial_rebalance_delay: delay,
        ..GroupConfig::default()
    })
}

#[test]
fn without_initial_delay_the_first_member_starts_a_generation_at_once() {
    let mut bench = Bench::new();
    let (_, token) = bench.new_member();
    assert_eq!(bench.joined(token).generation_id, 1);
}

#[test]
fn the_first_rebalance_waits_for_the_initial_delay() {
    let mut bench = delayed(Duration::from_secs(3));
    let (_, token) = bench.new_member();
    bench.advance(Duration::from_millis(2_999));
    assert!(bench.is_waiting(token));
    bench.advance(Duration::from_millis(1));
    assert_eq!(bench.joined(token).generation_id, 1);
}

#[test]
fn the_initial_delay_is_extended_while_members_arrive() {
    let mut bench = delayed(Duration::from_secs(3));
    let (_, first) = bench.new_member();
    bench.advance(Duration::from_secs(2));
    let (_, second) = bench.new_member();
    bench.advance(Duration::from_secs(3));
    assert!(bench.is_waiting(first), "extended by another step");
    bench.advance(Duration::from_secs(1));
    let generations = [first, second].map(|token| bench.joined(token).generation_id);
    assert_eq!(generations, [1, 1], "both are in the first generation");
}

#[test]
fn the_initial_delay_ends_at_the_largest_rebalance_timeout() {
    let mut bench = delayed(Duration::from_secs(25));
    let (_, first) = bench.new_member();
    for _ in 0..5 {
        bench.advance(Duration::from_secs(11));
        bench.new_member();
    }
    bench.advance(Duration::from_secs(5));
    assert_eq!(bench.now.monotonic, REBALANCE);
    assert_eq!(bench.joined(first).generation_id, 1);
}

#[test]
fn a_later_rebalance_ends_when_all_members_have_rejoined() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(2);
    let (_, new) = bench.new_member();
    bench.join(joining(&members[0]));
    assert!(bench.is_waiting(new));
    bench.join(joining(&members[1]));
    assert_eq!(bench.joined(new).generation_id, generation + 1);
}

#[test]
fn an_id_handed_out_is_waited_for_too() {
    let mut bench = Bench::new();
    let (members, _) = bench.stable(1);
    let pending = bench.join(joining(""));
    let pending = bench.joined(pending).member_id.clone();
    let token = bench.join(joining(&members[0]));
    assert!(bench.is_waiting(token), "the new one is about to join");
    bench.join(joining(&pending));
    assert_eq!(bench.joined(token).members.len(), 2);
}

#[test]
fn members_that_do_not_rejoin_in_time_are_dropped() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(2);
    let (_, new) = bench.new_member();
    bench.join(joining(&members[1]));
    for _ in 0..12 {
        assert!(bench.is_waiting(new));
        bench.heartbeat(&members[0], generation);
        bench.advance(REBALANCE / 12);
    }
    let reply = bench.joined(new);
    assert_eq!(reply.generation_id, generation + 1);
    assert_ne!(
        reply.leader, members[0],
        "a leader that did not rejoin leads no more"
    );
    assert_eq!(
        bench.heartbeat(&members[0], generation),
        GroupError::UnknownMemberId
    );
}

#[test]
fn a_heartbeat_during_a_rebalance_keeps_the_session() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(2);
    bench.new_member();
    for _ in 0..5 {
        bench.advance(SESSION / 2);
        let error = bench.heartbeat(&members[0], generation);
        assert_eq!(error, GroupError::RebalanceInProgress);
    }
}

#[test]
fn a_silent_member_is_removed_after_its_session_timeout() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(2);
    bench.advance(SESSION / 2);
    bench.heartbeat(&members[0], generation);
    bench.advance(SESSION / 2);
    assert_eq!(
        bench.heartbeat(&members[1], generation),
        GroupError::UnknownMemberId
    );
    assert_eq!(
        bench.heartbeat(&members[0], generation),
        GroupError::RebalanceInProgress
    );
}

#[test]
fn waiting_for_a_join_is_a_sign_of_life_of_a_member_that_knows_its_id() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(2);
    let token = bench.join(joining(&members[0]));
    for _ in 0..4 {
        bench.advance(SESSION / 2);
        bench.heartbeat(&members[1], generation);
    }
    assert!(bench.is_waiting(token), "two sessions later");
    bench.join(joining(&members[1]));
    assert_eq!(bench.joined(token).error, GroupError::None);
}

#[test]
fn a_new_member_that_waits_is_removed_after_five_minutes() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(1);
    let long = 3_600_000;
    bench.join(JoinRequest {
        rebalance_timeout_ms: long,
        ..joining(&members[0])
    });
    let generation = generation + 1;
    bench.sync(syncing(&members[0], generation, &[]));
    let (_, new) = bench.new_member();
    for _ in 0..60 {
        assert!(bench.is_waiting(new));
        bench.heartbeat(&members[0], generation);
        bench.advance(Duration::from_secs(5));
    }
    assert_eq!(bench.joined(new).error, GroupError::UnknownMemberId);
}

#[test]
fn members_that_do_not_sync_in_time_are_removed() {
    let mut bench = Bench::new();
    let (members, generation) = bench.completing(2);
    bench.sync(syncing(&members[0], generation, &[]));
    for _ in 0..12 {
        bench.heartbeat(&members[0], generation);
        bench.heartbeat(&members[1], generation);
        bench.advance(REBALANCE / 12);
    }
    assert_eq!(
        bench.heartbeat(&members[1], generation),
        GroupError::UnknownMemberId
    );
    assert_eq!(
        bench.heartbeat(&members[0], generation),
        GroupError::RebalanceInProgress
    );
}

#[test]
fn the_leader_not_syncing_in_time_ends_the_generation() {
    let mut bench = Bench::new();
    let (members, generation) = bench.completing(2);
    let waiting = bench.sync(syncing(&members[1], generation, &[]));
    for _ in 0..12 {
        bench.heartbeat(&members[0], generation);
        bench.advance(REBALANCE / 12);
    }
    assert_eq!(bench.synced(waiting).error, GroupError::RebalanceInProgress);
    let token = bench.join(joining(&members[1]));
    assert_eq!(bench.joined(token).leader, members[1]);
}

#[test]
fn a_rebalance_nobody_joins_goes_on_until_the_static_members_sessions_end() {
    let mut bench = Bench::new();
    let request = JoinRequest {
        session_timeout_ms: 100_000,
        ..joining_as("static", "")
    };
    let token = bench.join(request);
    let member_id = bench.joined(token).member_id.clone();
    bench.sync(SyncRequest {
        group_instance_id: Some("static".into()),
        ..syncing(&member_id, 1, &[])
    });
    bench.advance(Duration::from_secs(40));
    let (dynamic, _) = bench.new_member();
    bench.leave(&[(&dynamic, None)]);
    assert_eq!(bench.state(), State::PreparingRebalance);
    bench.advance(Duration::from_secs(59));
    assert_eq!(
        bench.group().members.len(),
        1,
        "static members are not dropped"
    );
    bench.advance(Duration::from_secs(2));
    assert_eq!(bench.state(), State::Empty, "but their sessions end");
}

#[test]
fn an_abandoned_join_is_not_answered_and_its_member_not_joined() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(2);
    let gone = bench.join(joining(&members[0]));
    bench.event(Event::Abandoned(gone));
    let other = bench.join(joining(&members[1]));
    assert!(bench.is_waiting(other), "the first may come back");
    let back = bench.join(joining(&members[0]));
    assert!(bench.is_waiting(gone));
    for token in [other, back] {
        assert_eq!(bench.joined(token).generation_id, generation + 1);
    }
}

#[test]
fn a_member_whose_connection_is_gone_stays_until_its_session_ends() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(2);
    let gone = bench.join(joining(&members[0]));
    bench.event(Event::Abandoned(gone));
    bench.heartbeat(&members[1], generation);
    bench.advance(SESSION - Duration::from_millis(1));
    bench.heartbeat(&members[1], generation);
    assert_eq!(bench.group().members.len(), 2);
    let other = bench.join(joining(&members[1]));
    bench.advance(Duration::from_millis(1));
    assert_eq!(bench.joined(other).members.len(), 1);
}

#[test]
fn an_abandoned_sync_can_be_asked_again() {
    let mut bench = Bench::new();
    let (members, generation) = bench.completing(2);
    let gone = bench.sync(syncing(&members[1], generation, &[]));
    bench.event(Event::Abandoned(gone));
    bench.sync(syncing(&members[0], generation, &[(&members[1], "b")]));
    assert!(bench.is_waiting(gone));
    let again = bench.sync(syncing(&members[1], generation, &[]));
    assert_eq!(bench.synced(again).assignment, "b");
}

#[test]
fn a_cooperative_rebalance_keeps_the_members_and_raises_the_generation() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(2);
    for round in 1..=2 {
        let revoking = vec![Protocol {
            name: "range".into(),
            metadata: subscription(["orders-1", "orders-2"][round - 1]),
        }];
        let request = JoinRequest {
            protocols: revoking,
            ..joining(&members[1])
        };
        let follower = bench.join(request);
        bench.join(joining(&members[0]));
        let reply = bench.joined(follower);
        assert_eq!(
            reply.generation_id,
            generation + i32::try_from(round).unwrap()
        );
        let generation = reply.generation_id;
        bench.assign_all(&members, generation);
    }
}

#[test]
fn a_rebalance_timeout_of_zero_does_not_spin() {
    let mut bench = Bench::new();
    let request = JoinRequest {
        rebalance_timeout_ms: 0,
        session_timeout_ms: 100_000,
        ..joining_as("static", "")
    };
    bench.join(request);
    let (_, token) = bench.new_member();
    bench.event(Event::Abandoned(token));
    bench.advance(Duration::from_secs(200));
    assert_eq!(bench.state(), State::Empty);
}

#[test]
fn rebalances_and_their_reasons_are_reported() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(1);
    bench.commands.clear();
    bench.leave(&[(&members[0], None)]);
    let group_id: Arc<str> = GROUP.into();
    let expected = [
        Command::Rebalancing {
            group_id: group_id.clone(),
            generation_id: generation,
            reason: Reason::MemberLeft,
        },
        Command::GenerationStarted {
            group_id,
            generation_id: generation + 1,
            members: 0,
        },
    ];
    assert_eq!(bench.commands, expected);
}
