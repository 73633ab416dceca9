//! Every event in every state: where the member is afterwards.

use super::*;

/// The states of the table, in its columns.
const STATES: [&str; 6] = ["out", "joining", "stable", "revoking", "expired", "failed"];

fn in_state(state: &str) -> World {
    let world = World::new();
    match state {
        "out" => world,
        "joining" => world.joining(),
        "stable" => {
            let mut world = world.stable([0, 1]);
            world.wait(5 * SECOND);
            world
        }
        "revoking" => {
            let mut world = world.revoking([0, 1], [1]);
            world.wait(5 * SECOND);
            world
        }
        "expired" => {
            let mut world = world.stable([0, 1]);
            world.tell(Input::PollExpired);
            world
        }
        "failed" => {
            let mut world = world.joining();
            world.answer(refusal(ErrorCode::UnsupportedAssignor));
            world
        }
        other => panic!("{other}"),
    }
}

fn name_of(state: State) -> &'static str {
    match state {
        State::Out => "out",
        State::Joining => "joining",
        State::Stable => "stable",
        State::Revoking { .. } => "revoking",
        State::Expired => "expired",
        State::Failed => "failed",
    }
}

fn event(name: &str, world: &World) -> Input {
    let attempt = world.member.attempt;
    let answer = |response| Input::Answered(attempt, Ok(response));
    match name {
        "subscribed" => Input::Subscribed(topics(&["u"])),
        "subscribed to nothing" => Input::Subscribed(BTreeSet::new()),
        "pattern" => Input::SubscribedPattern("t.*".into()),
        "partitions changed" => Input::PartitionsChanged,
        "names" => names([0, 1]),
        "coordinator" => Input::Coordinator(Ok(2)),
        "no coordinator" => Input::Coordinator(Err(gone())),
        "joined" => Input::Joined(
            attempt,
            Err((crate::consumer::membership::Failure::Lost(gone()), None)),
        ),
        "divided" => Input::Divided(attempt),
        "synced" => Input::Synced(attempt, Ok(partitions([7]))),
        "classic heartbeat" => Input::Heartbeat(attempt, Ok(())),
        "answer" => answer(epoch(2)),
        "same assignment" => answer(assignment(2, [0, 1])),
        "smaller assignment" => answer(assignment(2, [1])),
        "fenced" => answer(refusal(ErrorCode::FencedMemberEpoch)),
        "moved" => answer(refusal(ErrorCode::NotCoordinator)),
        "refused" => answer(refusal(ErrorCode::InvalidRegularExpression)),
        "lost" => Input::Answered(attempt, Err(gone())),
        "unsupported" => Input::Answered(attempt, Err(Error::Unsupported("it".to_owned()))),
        "stale commit" => Input::Committed(1, ErrorCode::StaleMemberEpoch),
        "fenced commit" => Input::Committed(1, ErrorCode::FencedMemberEpoch),
        "commit" => Input::Committed(1, ErrorCode::None),
        "released" => Input::Released,
        "poll expired" => Input::PollExpired,
        "returned" => Input::Returned,
        "leave" => Input::Leave,
        "tick" => Input::Tick,
        other => panic!("{other}"),
    }
}

/// An event, and the states it leads to from those of [`STATES`], `-` for the same.
const TABLE: &[(&str, [&str; 6])] = &[
    ("subscribed", ["joining", "-", "-", "-", "-", "-"]),
    (
        "subscribed to nothing",
        ["-", "out", "out", "out", "out", "-"],
    ),
    ("pattern", ["joining", "-", "-", "-", "-", "-"]),
    ("partitions changed", ["-", "-", "-", "-", "-", "-"]),
    ("names", ["-", "-", "-", "-", "-", "-"]),
    ("coordinator", ["-", "-", "-", "-", "-", "-"]),
    ("no coordinator", ["-", "-", "-", "-", "-", "-"]),
    ("joined", ["-", "-", "-", "-", "-", "-"]),
    ("divided", ["-", "-", "-", "-", "-", "-"]),
    ("synced", ["-", "-", "-", "-", "-", "-"]),
    ("classic heartbeat", ["-", "-", "-", "-", "-", "-"]),
    ("answer", ["-", "stable", "-", "-", "-", "-"]),
    ("same assignment", ["-", "stable", "-", "-", "-", "-"]),
    (
        "smaller assignment",
        ["-", "stable", "revoking", "-", "-", "-"],
    ),
    ("fenced", ["-", "-", "joining", "joining", "-", "-"]),
    ("moved", ["-", "-", "-", "-", "-", "-"]),
    ("refused", ["-", "failed", "failed", "failed", "-", "-"]),
    ("lost", ["-", "-", "-", "-", "-", "-"]),
    ("unsupported", ["-", "failed", "failed", "failed", "-", "-"]),
    ("stale commit", ["-", "-", "-", "-", "-", "-"]),
    ("fenced commit", ["-", "-", "joining", "joining", "-", "-"]),
    ("commit", ["-", "-", "-", "-", "-", "-"]),
    ("released", ["-", "-", "-", "stable", "-", "-"]),
    (
        "poll expired",
        ["-", "expired", "expired", "expired", "-", "-"],
    ),
    ("returned", ["-", "-", "-", "-", "joining", "-"]),
    ("leave", ["-", "out", "out", "out", "out", "-"]),
    ("tick", ["-", "-", "-", "-", "-", "-"]),
];

#[test]
fn every_event_in_every_state_leads_where_the_table_says() {
    for (name, outcomes) in TABLE {
        for (from, to) in STATES.iter().zip(outcomes) {
            let mut world = in_state(from);
            assert_eq!(name_of(world.member.state), *from);
            let owned = world.member.owned.len();
            let event = event(name, &world);
            let effects = world.tell(event);
            let to = if *to == "-" { from } else { to };
            assert_eq!(
                name_of(world.member.state),
                *to,
                "{name} in {from}: {effects:?}"
            );
            let keeps = matches!(*to, "stable" | "revoking");
            let lost = effects
                .iter()
                .any(|effect| matches!(effect, Effect::Lose(_)));
            assert_eq!(lost, owned > 0 && !keeps, "{name} in {from}: {effects:?}");
        }
    }
}
