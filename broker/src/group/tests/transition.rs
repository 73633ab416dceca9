//! Every event in every state: what it answers and where it leads.

use super::*;

const STATES: [State; 5] = [
    State::Dead,
    State::Empty,
    State::PreparingRebalance,
    State::CompletingRebalance,
    State::Stable,
];

/// A group of two in a state; leader, follower and the current generation.
fn group_in(state: State) -> (Bench, Arc<str>, Arc<str>, i32) {
    let mut bench = Bench::new();
    let (members, generation) = match state {
        State::Dead => return (bench, "gone-1".into(), "gone-2".into(), 1),
        State::CompletingRebalance => bench.completing(2),
        _ => bench.stable(2),
    };
    let (leader, follower) = (members[0].clone(), members[1].clone());
    match state {
        State::Empty => {
            bench.leave(&[(&leader, None), (&follower, None)]);
        }
        State::PreparingRebalance => {
            bench.new_member();
        }
        _ => {}
    }
    assert_eq!(bench.state(), state);
    (bench, leader, follower, generation)
}

fn check<T: PartialEq + std::fmt::Debug>(
    table: [(T, State); 5],
    mut act: impl FnMut(&mut Bench, &Arc<str>, &Arc<str>, i32) -> T,
) {
    for (state, expected) in STATES.into_iter().zip(table) {
        let (mut bench, leader, follower, generation) = group_in(state);
        let answer = act(&mut bench, &leader, &follower, generation);
        assert_eq!((answer, bench.state()), expected, "from {state}");
    }
}

use super::GroupError as E;
use State::{CompletingRebalance, Dead, Empty, PreparingRebalance, Stable};

fn join(bench: &mut Bench, request: JoinRequest) -> Option<GroupError> {
    let token = bench.join(request);
    (!bench.is_waiting(token)).then(|| bench.joined(token).error)
}

fn sync(bench: &mut Bench, request: SyncRequest) -> Option<GroupError> {
    let token = bench.sync(request);
    (!bench.is_waiting(token)).then(|| bench.synced(token).error)
}

#[test]
fn join_without_an_id_asks_for_one_and_changes_nothing() {
    let table = [
        Empty,
        Empty,
        PreparingRebalance,
        CompletingRebalance,
        Stable,
    ]
    .map(|state| (Some(E::MemberIdRequired), state));
    check(table, |bench, _, _, _| join(bench, joining("")));
}

#[test]
fn join_of_a_new_member_rebalances() {
    let table = [
        (Some(E::None), CompletingRebalance),
        (Some(E::None), CompletingRebalance),
        (None, PreparingRebalance),
        (None, PreparingRebalance),
        (None, PreparingRebalance),
    ];
    check(table, |bench, _, _, _| {
        join(
            bench,
            JoinRequest {
                api_version: 3,
                ..joining("")
            },
        )
    });
}

#[test]
fn rejoin_of_an_unchanged_follower_keeps_its_generation() {
    let table = [
        (Some(E::UnknownMemberId), Dead),
        (Some(E::UnknownMemberId), Empty),
        (None, PreparingRebalance),
        (Some(E::None), CompletingRebalance),
        (Some(E::None), Stable),
    ];
    check(table, |bench, _, follower, _| {
        join(bench, joining(follower))
    });
}

#[test]
fn rejoin_of_the_leader_rebalances_a_stable_group() {
    let table = [
        (Some(E::UnknownMemberId), Dead),
        (Some(E::UnknownMemberId), Empty),
        (None, PreparingRebalance),
        (Some(E::None), CompletingRebalance),
        (None, PreparingRebalance),
    ];
    check(table, |bench, leader, _, _| join(bench, joining(leader)));
}

#[test]
fn rejoin_with_other_metadata_rebalances() {
    let table = [
        (Some(E::UnknownMemberId), Dead),
        (Some(E::UnknownMemberId), Empty),
        (None, PreparingRebalance),
        (None, PreparingRebalance),
        (None, PreparingRebalance),
    ];
    check(table, |bench, _, follower, _| {
        join(bench, offering(follower, &["range", "sticky"]))
    });
}

#[test]
fn sync_of_a_follower() {
    let table = [
        (Some(E::UnknownMemberId), Dead),
        (Some(E::UnknownMemberId), Empty),
        (Some(E::RebalanceInProgress), PreparingRebalance),
        (None, CompletingRebalance),
        (Some(E::None), Stable),
    ];
    check(table, |bench, _, follower, generation| {
        sync(bench, syncing(follower, generation, &[]))
    });
}

#[test]
fn sync_of_the_leader() {
    let table = [
        (Some(E::UnknownMemberId), Dead),
        (Some(E::UnknownMemberId), Empty),
        (Some(E::RebalanceInProgress), PreparingRebalance),
        (Some(E::None), Stable),
        (Some(E::None), Stable),
    ];
    check(table, |bench, leader, _, generation| {
        sync(bench, syncing(leader, generation, &[]))
    });
}

#[test]
fn sync_from_another_generation_is_refused() {
    let table = [
        (Some(E::UnknownMemberId), Dead),
        (Some(E::UnknownMemberId), Empty),
        (Some(E::IllegalGeneration), PreparingRebalance),
        (Some(E::IllegalGeneration), CompletingRebalance),
        (Some(E::IllegalGeneration), Stable),
    ];
    check(table, |bench, leader, _, generation| {
        sync(bench, syncing(leader, generation - 1, &[]))
    });
}

#[test]
fn heartbeat() {
    let table = [
        (E::UnknownMemberId, Dead),
        (E::UnknownMemberId, Empty),
        (E::RebalanceInProgress, PreparingRebalance),
        (E::None, CompletingRebalance),
        (E::None, Stable),
    ];
    check(table, |bench, _, follower, generation| {
        bench.heartbeat(follower, generation)
    });
}

#[test]
fn heartbeat_from_another_generation_is_refused() {
    let table = [
        (E::UnknownMemberId, Dead),
        (E::UnknownMemberId, Empty),
        (E::IllegalGeneration, PreparingRebalance),
        (E::IllegalGeneration, CompletingRebalance),
        (E::IllegalGeneration, Stable),
    ];
    check(table, |bench, _, follower, generation| {
        bench.heartbeat(follower, generation + 1)
    });
}

#[test]
fn heartbeat_of_a_stranger_is_refused() {
    let table = STATES.map(|state| (E::UnknownMemberId, state));
    check(table, |bench, _, _, generation| {
        bench.heartbeat("stranger", generation)
    });
}

#[test]
fn leave_rebalances_those_who_stay() {
    let table = [
        (E::UnknownMemberId, Dead),
        (E::UnknownMemberId, Empty),
        (E::None, PreparingRebalance),
        (E::None, PreparingRebalance),
        (E::None, PreparingRebalance),
    ];
    check(table, |bench, _, follower, _| {
        bench.leave(&[(follower, None)]).members[0].error
    });
}

#[test]
fn the_last_to_leave_leaves_an_empty_group() {
    for state in [CompletingRebalance, Stable] {
        let (mut bench, leader, follower, generation) = group_in(state);
        bench.leave(&[(&leader, None), (&follower, None)]);
        assert_eq!(bench.state(), Empty, "from {state}");
        assert_eq!(bench.group().generation_id, generation + 1);
    }
}

#[test]
fn commit_of_a_member() {
    let table = [
        (E::GroupIdNotFound, Dead),
        (E::UnknownMemberId, Empty),
        (E::None, PreparingRebalance),
        (E::RebalanceInProgress, CompletingRebalance),
        (E::None, Stable),
    ];
    check(table, |bench, leader, _, generation| {
        bench.commit(committing(leader, generation, 7))
    });
}

#[test]
fn commit_from_an_old_generation_is_fenced() {
    let table = [
        (E::GroupIdNotFound, Dead),
        (E::UnknownMemberId, Empty),
        (E::IllegalGeneration, PreparingRebalance),
        (E::IllegalGeneration, CompletingRebalance),
        (E::IllegalGeneration, Stable),
    ];
    check(table, |bench, leader, _, generation| {
        bench.commit(committing(leader, generation - 1, 7))
    });
}

#[test]
fn commit_of_a_non_member_needs_a_group_without_members() {
    let table = [
        (E::None, Empty),
        (E::None, Empty),
        (E::UnknownMemberId, PreparingRebalance),
        (E::UnknownMemberId, CompletingRebalance),
        (E::UnknownMemberId, Stable),
    ];
    check(table, |bench, _, _, _| bench.commit(committing("", -1, 7)));
}

#[test]
fn only_a_group_without_members_can_be_deleted() {
    let table = [
        (E::GroupIdNotFound, Dead),
        (E::None, Dead),
        (E::NonEmptyGroup, PreparingRebalance),
        (E::NonEmptyGroup, CompletingRebalance),
        (E::NonEmptyGroup, Stable),
    ];
    check(table, |bench, _, _, _| {
        let token = bench.send(|token| Event::DeleteGroups(token, vec![GROUP.into()]));
        match bench.replies.remove(&token) {
            Some(Reply::DeleteGroups(results)) => results[0].1,
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_session_that_ends_rebalances() {
    let table = [
        ((), Dead),
        ((), Empty),
        ((), Empty),
        ((), Empty),
        ((), Empty),
    ];
    check(table, |bench, _, _, _| {
        bench.advance(2 * REBALANCE + 2 * SESSION + 5 * REBALANCE)
    });
}

#[test]
fn an_early_tick_and_an_unknown_token_change_nothing() {
    for state in STATES {
        let (mut bench, ..) = group_in(state);
        let before = format!("{:?}", bench.coordinator.groups);
        let said = (
            bench.replies.len(),
            bench.records.len(),
            bench.commands.len(),
        );
        bench.event(Event::Tick);
        bench.event(Event::Abandoned(999));
        assert_eq!(format!("{:?}", bench.coordinator.groups), before);
        assert_eq!(
            (
                bench.replies.len(),
                bench.records.len(),
                bench.commands.len()
            ),
            said
        );
    }
}
