//! Every event in every state of a consumer group: what it answers and where it leads.

use super::*;

use ConsumerState::{Assigning, Empty, Reconciling, Stable};
use GroupError as E;

const STATES: [Option<ConsumerState>; 5] = [
    None,
    Some(Empty),
    Some(Assigning),
    Some(Reconciling),
    Some(Stable),
];

/// A group in a state, `a` that is a member of it where there are any, and `b`, another one.
fn group_in(state: Option<ConsumerState>) -> (Bench, Reader, Reader) {
    let mut bench = Bench::new();
    let (mut a, mut b) = (Reader::new("a"), Reader::new("b"));
    match state {
        None => (a.epoch, b.epoch) = (1, 1),
        Some(Empty) => {
            a.join(&mut bench);
            bench.beat(a.leaving(-1)).unwrap();
        }
        Some(Assigning) => {
            (a, b) = pair(&mut bench);
            let mut c = Reader::new("c");
            c.join(&mut bench);
            bench.beat(c.leaving(-1)).unwrap();
        }
        Some(Reconciling) => {
            a.join(&mut bench);
            b.join(&mut bench);
        }
        Some(Stable) => (a, b) = pair(&mut bench),
    }
    assert_eq!(state_of(&bench), state);
    (bench, a, b)
}

fn state_of(bench: &Bench) -> Option<ConsumerState> {
    let group = bench.coordinator.groups.get(GROUP)?;
    group.consumer.as_deref().map(|consumer| consumer.state())
}

type Expected = (Option<GroupError>, Option<ConsumerState>);

fn check(
    table: [Expected; 5],
    mut act: impl FnMut(&mut Bench, &Reader, &Reader) -> Option<GroupError>,
) {
    for (state, expected) in STATES.into_iter().zip(table) {
        let (mut bench, a, b) = group_in(state);
        let records = bench.records.len();
        let snapshot = bench.coordinator.snapshot();
        let answer = act(&mut bench, &a, &b);
        assert_eq!((answer, state_of(&bench)), expected, "from {state:?}");
        if answer.is_some() {
            assert_eq!(
                bench.records.len(),
                records,
                "a refusal from {state:?} was logged"
            );
            assert_eq!(bench.coordinator.snapshot(), snapshot);
        }
        let replayed = Bench::replaying(&bench.records);
        assert_eq!(
            replayed.coordinator.snapshot(),
            bench.coordinator.snapshot()
        );
    }
}

#[test]
fn a_new_member() {
    let table = [
        (None, Some(Stable)),
        (None, Some(Stable)),
        (None, Some(Reconciling)),
        (None, Some(Reconciling)),
        (None, Some(Reconciling)),
    ];
    check(table, |bench, _, _| {
        bench.consumer_error(Reader::new("new").joining())
    });
}

#[test]
fn a_heartbeat() {
    let table = [
        (Some(E::GroupIdNotFound), None),
        (Some(E::UnknownMemberId), Some(Empty)),
        (None, Some(Reconciling)),
        (None, Some(Reconciling)),
        (None, Some(Stable)),
    ];
    check(table, |bench, a, _| bench.consumer_error(a.beating()));
}

#[test]
fn a_heartbeat_of_an_epoch_to_come() {
    let fenced = |state| (Some(E::FencedMemberEpoch), Some(state));
    let table = [
        (Some(E::GroupIdNotFound), None),
        (Some(E::UnknownMemberId), Some(Empty)),
        fenced(Assigning),
        fenced(Reconciling),
        fenced(Stable),
    ];
    check(table, |bench, a, _| {
        let request = ConsumerHeartbeatRequest {
            member_epoch: a.epoch + 7,
            ..a.beating()
        };
        bench.consumer_error(request)
    });
}

#[test]
fn a_stranger_of_no_epoch_of_the_group() {
    let table = STATES.map(|state| match state {
        None => (Some(E::GroupIdNotFound), None),
        state => (Some(E::UnknownMemberId), state),
    });
    check(table, |bench, _, _| {
        let stranger = Reader {
            epoch: 1,
            ..Reader::new("stranger")
        };
        bench.consumer_error(stranger.beating())
    });
}

#[test]
fn a_member_leaves() {
    let table = [
        (Some(E::GroupIdNotFound), None),
        (Some(E::UnknownMemberId), Some(Empty)),
        (None, Some(Assigning)),
        (None, Some(Assigning)),
        (None, Some(Assigning)),
    ];
    check(table, |bench, _, b| bench.consumer_error(b.leaving(-1)));
}

#[test]
fn a_dynamic_member_cannot_leave_for_a_while() {
    let table = STATES.map(|state| (Some(E::InvalidRequest), state));
    check(table, |bench, a, _| bench.consumer_error(a.leaving(-2)));
}

#[test]
fn a_subscription_changes() {
    let table = [
        (Some(E::GroupIdNotFound), None),
        (Some(E::UnknownMemberId), Some(Empty)),
        (None, Some(Reconciling)),
        (None, Some(Reconciling)),
        (None, Some(Reconciling)),
    ];
    check(table, |bench, a, _| {
        let request = ConsumerHeartbeatRequest {
            subscribed_topic_names: Some(vec!["orders".into(), "payments".into()]),
            ..a.beating()
        };
        bench.consumer_error(request)
    });
}

#[test]
fn a_subscription_changes_to_what_is_no_pattern() {
    let invalid = |state| (Some(E::InvalidRegularExpression), Some(state));
    let table = [
        (Some(E::GroupIdNotFound), None),
        (Some(E::UnknownMemberId), Some(Empty)),
        invalid(Assigning),
        invalid(Reconciling),
        invalid(Stable),
    ];
    check(table, |bench, a, _| {
        let request = ConsumerHeartbeatRequest {
            subscribed_topic_regex: Some("[".into()),
            ..a.beating()
        };
        bench.consumer_error(request)
    });
}

#[test]
fn a_session_passes() {
    let table = [
        (None, None),
        (None, Some(Empty)),
        (None, Some(Empty)),
        (None, Some(Empty)),
        (None, Some(Empty)),
    ];
    check(table, |bench, _, _| {
        bench.advance(Duration::from_secs(45));
        None
    });
}

#[test]
fn a_commit_of_a_member() {
    let table = [
        (Some(E::GroupIdNotFound), None),
        (Some(E::UnknownMemberId), Some(Empty)),
        (None, Some(Assigning)),
        (None, Some(Reconciling)),
        (None, Some(Stable)),
    ];
    check(table, |bench, a, _| {
        let error = bench.commit(committing("a", a.epoch.max(1), 1));
        Some(error).filter(|error| *error != E::None)
    });
}

#[test]
fn a_classic_member_joins() {
    let table = [
        (None, None),
        (None, None),
        (None, Some(Reconciling)),
        (None, Some(Reconciling)),
        (None, Some(Reconciling)),
    ];
    check(table, |bench, _, _| {
        let request = JoinRequest {
            api_version: 3,
            ..joining("")
        };
        let token = bench.join(request);
        Some(bench.joined(token).error).filter(|error| *error != E::None)
    });
}
