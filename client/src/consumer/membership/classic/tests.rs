use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::tests::follow;
use super::super::{Failure, Joined};
use super::*;
use ottla_protocol::ErrorCode;

const SECOND: Duration = Duration::from_secs(1);

fn partitions(numbers: impl IntoIterator<Item = i32>) -> BTreeSet<TopicPartition> {
    let numbers = numbers.into_iter();
    numbers
        .map(|number| TopicPartition::new("t", number))
        .collect()
}

fn topics(names: &[&str]) -> BTreeSet<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

fn code<T>(code: ErrorCode) -> Result<T, Failure> {
    Err(Failure::Code(code))
}

fn gone() -> Failure {
    Failure::Lost(Error::Unavailable("gone".to_owned()))
}

/// A member, and the time it is told.
struct World {
    member: ClassicMember,
    now: Instant,
}

impl World {
    fn with(strategy: AssignmentStrategy, instance: Option<&str>) -> Self {
        let now = Instant::now();
        let options = Options {
            group_id: "g".to_owned(),
            group_instance_id: instance.map(str::to_owned),
            rebalance_timeout: 300 * SECOND,
            backoff: Backoff::new(SECOND / 10, SECOND),
        };
        let member = ClassicMember::new(options, 3 * SECOND, vec![strategy], now);
        Self { member, now }
    }

    fn eager() -> Self {
        Self::with(AssignmentStrategy::Range, None)
    }

    fn cooperative() -> Self {
        Self::with(AssignmentStrategy::CooperativeSticky, None)
    }

    fn tell(&mut self, input: Input) -> Vec<Effect> {
        self.member.handle(input, self.now, 0.5)
    }

    fn wait(&mut self, time: Duration) -> Vec<Effect> {
        self.now += time;
        self.tell(Input::Tick)
    }

    fn attempt(&self) -> u64 {
        self.member.attempt
    }

    fn joined(&self, leader: bool) -> Input {
        let joined = Joined {
            generation_id: 1,
            member_id: "m".to_owned(),
            is_leader: leader,
        };
        Input::Joined(self.attempt(), Ok(joined))
    }

    fn join_fails(&mut self, failure: Failure) -> Vec<Effect> {
        let answer = Err((failure, Some("m".to_owned())));
        self.tell(Input::Joined(self.attempt(), answer))
    }

    fn synced(&self, numbers: impl IntoIterator<Item = i32>) -> Input {
        Input::Synced(self.attempt(), Ok(partitions(numbers)))
    }

    fn beat(&mut self, answer: Result<(), Failure>) -> Vec<Effect> {
        self.tell(Input::Heartbeat(self.attempt(), answer))
    }

    /// Up to the first JoinGroup.
    fn joining(mut self) -> Self {
        self.tell(Input::Subscribed(topics(&["t"])));
        self.tell(Input::Coordinator(Ok(1)));
        assert_eq!(self.member.state, State::Joining);
        self
    }

    /// A follower with these partitions.
    fn stable(mut self, numbers: impl IntoIterator<Item = i32>) -> Self {
        self = self.joining();
        self.tell(self.joined(false));
        self.tell(self.synced(numbers));
        assert_eq!(self.member.state, State::Stable);
        self
    }

    fn generation(&self) -> (i32, String) {
        let metadata = self.member.metadata();
        (metadata.generation_id, metadata.member_id)
    }
}

fn join(attempt: u64, owned: impl IntoIterator<Item = i32>) -> Effect {
    Effect::Join {
        attempt,
        owned: partitions(owned),
    }
}

#[test]
fn a_member_finds_its_coordinator_joins_syncs_and_is_assigned() {
    let mut world = World::eager();
    assert_eq!(
        world.tell(Input::Subscribed(topics(&["t"]))),
        [Effect::FindCoordinator]
    );
    assert_eq!(world.tell(Input::Coordinator(Ok(1))), [join(1, [])]);
    assert_eq!(world.tell(world.joined(false)), [Effect::Sync(1)]);
    assert_eq!(
        world.tell(world.synced([0, 1])),
        [Effect::Assign(partitions([0, 1]))]
    );
    assert_eq!(world.generation(), (1, "m".to_owned()));
}

#[test]
fn the_leader_divides_before_it_syncs() {
    let mut world = World::eager().joining();
    assert_eq!(world.tell(world.joined(true)), [Effect::Divide(1)]);
    assert_eq!(world.tell(Input::Divided(1)), [Effect::Sync(1)]);
}

#[test]
fn a_member_without_id_joins_again_at_once_with_the_one_it_gets() {
    let mut world = World::eager().joining();
    let effects = world.join_fails(Failure::Code(ErrorCode::MemberIdRequired));
    assert_eq!(effects, [join(2, [])]);
    assert_eq!(world.generation(), (-1, "m".to_owned()));
}

#[test]
fn heartbeats_go_out_one_at_a_time_in_their_interval() {
    let mut world = World::eager().stable([0]);
    assert_eq!(world.member.deadline(), Some(world.now + 3 * SECOND));
    assert_eq!(world.wait(2 * SECOND), []);
    assert_eq!(world.wait(SECOND), [Effect::Heartbeat(1)]);
    assert_eq!(world.wait(10 * SECOND), []);
    assert_eq!(world.beat(Ok(())), []);
    assert_eq!(world.wait(3 * SECOND), [Effect::Heartbeat(1)]);
}

#[test]
fn in_an_eager_rebalance_everything_is_given_back_before_joining() {
    let mut world = World::eager().stable([0, 1]);
    world.wait(3 * SECOND);
    let effects = world.beat(code(ErrorCode::RebalanceInProgress));
    let deadline = world.now + 295 * SECOND;
    let revoke = Effect::Revoke {
        partitions: partitions([0, 1]),
        deadline,
    };
    assert_eq!(effects, [revoke]);
    // The session is kept alive while the application works on it.
    assert_eq!(world.wait(3 * SECOND), [Effect::Heartbeat(1)]);
    assert_eq!(world.beat(code(ErrorCode::RebalanceInProgress)), []);
    let effects = world.tell(Input::Released);
    assert_eq!(effects, [Effect::Release(partitions([0, 1])), join(2, [])]);
}

#[test]
fn a_revocation_ends_at_its_deadline() {
    let mut world = World::eager().stable([0]);
    world.wait(3 * SECOND);
    world.beat(code(ErrorCode::RebalanceInProgress));
    world.wait(200 * SECOND);
    world.beat(Ok(()));
    let effects = world.wait(95 * SECOND);
    assert_eq!(effects, [Effect::Release(partitions([0])), join(2, [])]);
}

#[test]
fn in_a_cooperative_rebalance_a_member_joins_with_what_it_owns() {
    let mut world = World::cooperative().stable([0, 1]);
    world.wait(3 * SECOND);
    let effects = world.beat(code(ErrorCode::RebalanceInProgress));
    assert_eq!(effects, [join(2, [0, 1])]);
}

#[test]
fn a_cooperative_member_gives_back_what_it_was_not_assigned_and_joins_again() {
    let mut world = World::cooperative().stable([0, 1]);
    world.wait(3 * SECOND);
    world.beat(code(ErrorCode::RebalanceInProgress));
    world.tell(world.joined(false));
    let effects = world.tell(world.synced([1, 2]));
    assert_eq!(effects[0], Effect::Assign(partitions([2])));
    assert!(matches!(&effects[1], Effect::Revoke { partitions: p, .. } if *p == partitions([0])));
    let effects = world.tell(Input::Released);
    assert_eq!(effects, [Effect::Release(partitions([0])), join(3, [1, 2])]);
}

#[test]
fn a_member_that_the_group_does_not_know_starts_over_without_its_id() {
    let mut world = World::eager().stable([0]);
    world.wait(3 * SECOND);
    let effects = world.beat(code(ErrorCode::UnknownMemberId));
    assert_eq!(effects, [Effect::Lose(partitions([0]))]);
    assert_eq!(world.generation(), (-1, String::new()));
    assert_eq!(world.wait(SECOND), [join(2, [])]);
}

#[test]
fn an_id_that_is_refused_while_joining_is_not_used_again() {
    let mut world = World::eager().joining();
    world.join_fails(Failure::Code(ErrorCode::MemberIdRequired));
    world.join_fails(Failure::Code(ErrorCode::UnknownMemberId));
    assert_eq!(world.generation(), (-1, String::new()));
    assert_eq!(world.wait(SECOND), [join(3, [])]);
}

#[test]
fn a_member_of_an_old_generation_loses_everything_and_keeps_its_id() {
    let mut world = World::cooperative().stable([0]);
    world.wait(3 * SECOND);
    let effects = world.beat(code(ErrorCode::IllegalGeneration));
    assert_eq!(effects, [Effect::Lose(partitions([0])), join(2, [])]);
    assert_eq!(world.generation(), (-1, "m".to_owned()));
}

#[test]
fn a_fenced_instance_id_is_the_end() {
    let mut world = World::with(AssignmentStrategy::Range, Some("i")).stable([0]);
    world.wait(3 * SECOND);
    let effects = world.beat(code(ErrorCode::FencedInstanceId));
    assert_eq!(effects[0], Effect::Lose(partitions([0])));
    assert!(matches!(&effects[1], Effect::Fail(Error::Fenced(_))));
    assert_eq!(world.wait(1000 * SECOND), []);
    assert_eq!(world.tell(Input::Subscribed(topics(&["u"]))), []);
}

#[test]
fn what_the_group_refuses_for_good_is_the_end() {
    for refusal in [
        ErrorCode::InconsistentGroupProtocol,
        ErrorCode::InvalidSessionTimeout,
        ErrorCode::GroupMaxSizeReached,
        ErrorCode::GroupAuthorizationFailed,
    ] {
        let mut world = World::eager().joining();
        let effects = world.join_fails(Failure::Code(refusal));
        let [Effect::Fail(error)] = &effects[..] else {
            panic!("{effects:?}");
        };
        assert_eq!(error.code(), Some(refusal));
    }
}

#[test]
fn when_the_coordinator_moves_it_is_looked_for_after_a_pause() {
    for moved in [
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorNotAvailable,
    ] {
        let mut world = World::eager().joining();
        assert_eq!(world.join_fails(Failure::Code(moved)), []);
        assert_eq!(world.wait(SECOND), [Effect::FindCoordinator]);
        assert_eq!(world.tell(Input::Coordinator(Ok(2))), [join(2, [])]);
    }
}

#[test]
fn a_stable_member_whose_coordinator_is_gone_keeps_its_partitions_while_it_looks() {
    let mut world = World::eager().stable([0]);
    world.wait(3 * SECOND);
    assert_eq!(world.beat(Err(gone())), []);
    assert_eq!(world.wait(SECOND), [Effect::FindCoordinator]);
    assert_eq!(world.tell(Input::Coordinator(Ok(2))), []);
    assert_eq!(world.wait(3 * SECOND), [Effect::Heartbeat(1)]);
}

#[test]
fn pauses_between_attempts_grow() {
    let mut world = World::eager().joining();
    world.join_fails(gone());
    let mut pauses = Vec::new();
    for _ in 0..5 {
        let at = world.member.deadline().unwrap();
        pauses.push(at - world.now);
        let wait = at - world.now;
        assert_eq!(world.wait(wait), [Effect::FindCoordinator]);
        world.tell(Input::Coordinator(Err(Error::Unavailable(
            "down".to_owned(),
        ))));
    }
    assert_eq!(
        pauses,
        [100, 200, 400, 800, 1000].map(Duration::from_millis)
    );
}

#[test]
fn answers_of_an_earlier_attempt_are_passed_over() {
    let mut world = World::eager().stable([0]);
    world.wait(3 * SECOND);
    world.beat(code(ErrorCode::RebalanceInProgress));
    world.tell(Input::Released);
    let attempt = world.attempt() - 1;
    for late in [
        Input::Heartbeat(attempt, code(ErrorCode::UnknownMemberId)),
        Input::Synced(attempt, Ok(partitions([7]))),
        Input::Joined(attempt, Err((gone(), None))),
        Input::Divided(attempt),
    ] {
        assert_eq!(world.tell(late), []);
    }
    assert_eq!(world.member.state, State::Joining);
}

#[test]
fn answers_that_fit_no_state_are_passed_over() {
    let mut world = World::eager().joining();
    let attempt = world.attempt();
    for stray in [
        Input::Divided(attempt),
        Input::Synced(attempt, Ok(partitions([0]))),
        Input::Heartbeat(attempt, code(ErrorCode::UnknownMemberId)),
        Input::Committed(1, ErrorCode::UnknownMemberId),
        Input::Released,
        Input::Returned,
        Input::PartitionsChanged,
    ] {
        assert_eq!(world.tell(stray), []);
        assert_eq!(world.member.state, State::Joining);
    }
}

#[test]
fn only_the_leader_rejoins_when_partitions_are_added() {
    let mut follower = World::eager().stable([0]);
    assert_eq!(follower.tell(Input::PartitionsChanged), []);
    let mut leader = World::cooperative().joining();
    leader.tell(leader.joined(true));
    leader.tell(Input::Divided(1));
    leader.tell(leader.synced([0]));
    assert_eq!(leader.tell(Input::PartitionsChanged), [join(2, [0])]);
}

#[test]
fn a_subscription_that_changes_while_joining_makes_the_member_join_once_more() {
    let mut world = World::cooperative().joining();
    assert_eq!(world.tell(Input::Subscribed(topics(&["t", "u"]))), []);
    world.tell(world.joined(false));
    let effects = world.tell(world.synced([0]));
    assert_eq!(effects, [Effect::Assign(partitions([0])), join(2, [0])]);
}

#[test]
fn the_same_subscription_again_changes_nothing() {
    let mut world = World::eager().stable([0]);
    assert_eq!(world.tell(Input::Subscribed(topics(&["t"]))), []);
}

#[test]
fn a_member_that_makes_no_progress_leaves_and_comes_back_with_its_application() {
    let mut world = World::eager().stable([0]);
    let effects = world.tell(Input::PollExpired);
    let left = Effect::LeaveGroup("m".to_owned());
    assert_eq!(effects, [Effect::Lose(partitions([0])), left]);
    assert_eq!(world.generation(), (-1, String::new()));
    assert_eq!(world.wait(1000 * SECOND), []);
    assert_eq!(world.tell(Input::PollExpired), []);
    assert_eq!(world.tell(Input::Returned), [join(3, [])]);
}

#[test]
fn a_static_member_leaves_without_a_word() {
    let mut world = World::with(AssignmentStrategy::Range, Some("i")).stable([0]);
    assert_eq!(world.tell(Input::Leave), [Effect::Lose(partitions([0]))]);
    assert_eq!(world.wait(1000 * SECOND), []);
}

#[test]
fn leaving_ends_heartbeats_until_something_is_subscribed_again() {
    let mut world = World::eager().stable([0]);
    world.tell(Input::Leave);
    assert_eq!(world.wait(1000 * SECOND), []);
    assert_eq!(world.member.deadline(), None);
    let effects = world.tell(Input::Subscribed(topics(&["t"])));
    assert_eq!(effects, [join(world.attempt(), [])]);
}

#[test]
fn a_commit_tells_of_a_rebalance_before_the_next_heartbeat_does() {
    let mut world = World::cooperative().stable([0]);
    let effects = world.tell(Input::Committed(1, ErrorCode::RebalanceInProgress));
    assert_eq!(effects, [join(2, [0])]);
    let mut world = World::eager().stable([0]);
    let effects = world.tell(Input::Committed(1, ErrorCode::IllegalGeneration));
    assert_eq!(effects[0], Effect::Lose(partitions([0])));
}

#[test]
fn a_commit_of_an_earlier_generation_tells_nothing() {
    let mut world = World::eager().stable([0]);
    assert_eq!(
        world.tell(Input::Committed(0, ErrorCode::UnknownMemberId)),
        []
    );
    assert_eq!(
        world.tell(Input::Committed(-1, ErrorCode::UnknownMemberId)),
        []
    );
}

/// Anything that may happen, fitting or not.
fn inputs() -> impl Strategy<Value = Vec<(u8, u8, u16)>> {
    proptest::collection::vec((0..17_u8, 0..12_u8, 0..20_000_u16), 1..80)
}

fn any_code(number: u8) -> ErrorCode {
    let codes = [
        ErrorCode::UnknownMemberId,
        ErrorCode::IllegalGeneration,
        ErrorCode::RebalanceInProgress,
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::MemberIdRequired,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::UnknownServerError,
    ];
    codes[usize::from(number) % codes.len()]
}

proptest! {
    /// The partitions that effects say the application has are those that the member owns; a
    /// member that wants something is never without a request, a timer or a question open.
    #[test]
    fn whatever_happens_the_member_agrees_with_its_application_and_goes_on(
        cooperative in any::<bool>(),
        inputs in inputs(),
    ) {
        let mut world = if cooperative { World::cooperative() } else { World::eager() };
        let mut held = BTreeSet::new();
        for (kind, detail, wait) in inputs {
            world.now += Duration::from_millis(wait.into());
            let attempt = world.attempt() - u64::from(detail == 11 && world.attempt() > 0);
            let number = i32::from(detail);
            let input = match kind {
                0 => Input::Subscribed(topics(&["t", "u"][..1 + usize::from(detail % 2)])),
                1 => Input::Leave,
                2 | 3 => Input::Coordinator(Ok(number)),
                4 => Input::Coordinator(Err(Error::Unavailable("down".to_owned()))),
                5 | 6 => world.joined(detail % 2 == 0),
                7 => Input::Joined(attempt, Err((Failure::Code(any_code(detail)), None))),
                8 => Input::Divided(attempt),
                9 | 10 => Input::Synced(attempt, Ok(partitions(number % 3..number))),
                11 => Input::Synced(attempt, code(any_code(detail))),
                12 => Input::Heartbeat(attempt, if detail > 5 { Ok(()) } else { code(any_code(detail)) }),
                13 => Input::Released,
                14 => Input::PollExpired,
                15 => Input::Returned,
                _ => Input::Tick,
            };
            for effect in world.tell(input) {
                follow(&effect, &mut held, world.now)?;
            }
            prop_assert_eq!(&held, &world.member.owned);
            let member = &world.member;
            let waits = match member.state {
                State::Out | State::Expired | State::Failed => true,
                // A request is under way.
                State::Joining | State::Dividing | State::Syncing => true,
                _ => member.finding || member.heartbeating || member.deadline().is_some(),
            };
            prop_assert!(waits, "{:?} waits for nothing", member.state);
        }
    }
}
