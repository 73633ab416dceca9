mod table;

use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatAssignment,
    HeartbeatTopicPartitions,
};
use proptest::prelude::*;

use super::super::tests::follow;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The topics `t0`, `t1` and so on.
fn id(topic: u8) -> Uuid {
    Uuid::from_u128(u128::from(topic) + 1)
}

fn name(topic: u8) -> Arc<str> {
    format!("t{topic}").into()
}

fn names(topics: impl IntoIterator<Item = u8>) -> Input {
    let topics = topics.into_iter();
    Input::TopicNames(topics.map(|topic| (id(topic), name(topic))).collect())
}

fn partitions(numbers: impl IntoIterator<Item = i32>) -> BTreeSet<TopicPartition> {
    let numbers = numbers.into_iter();
    numbers
        .map(|number| TopicPartition::new(name(0), number))
        .collect()
}

fn topics(names: &[&str]) -> BTreeSet<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

fn by_topic(topic: u8, numbers: impl IntoIterator<Item = i32>) -> Vec<HeartbeatTopicPartitions> {
    let partitions: Vec<i32> = numbers.into_iter().collect();
    if partitions.is_empty() {
        return Vec::new();
    }
    vec![HeartbeatTopicPartitions {
        topic_id: id(topic),
        partitions,
    }]
}

/// An answer with an epoch and no assignment.
fn epoch(member_epoch: i32) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        member_epoch,
        heartbeat_interval_ms: 5000,
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

/// An answer that assigns partitions of `t0`.
fn assignment(
    member_epoch: i32,
    numbers: impl IntoIterator<Item = i32>,
) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        assignment: Some(HeartbeatAssignment {
            topic_partitions: by_topic(0, numbers),
        }),
        ..epoch(member_epoch)
    }
}

fn refusal(error_code: ErrorCode) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code,
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

fn gone() -> Error {
    Error::Unavailable("gone".to_owned())
}

/// A member, and the time it is told.
struct World {
    member: ConsumerMember,
    now: Instant,
}

impl World {
    fn with(instance: Option<&str>) -> Self {
        let now = Instant::now();
        let options = Options {
            group_id: "g".to_owned(),
            group_instance_id: instance.map(str::to_owned),
            rebalance_timeout: 300 * SECOND,
            backoff: Backoff::new(SECOND / 10, SECOND),
        };
        let identity = Identity {
            member_id: "m".to_owned(),
            rack_id: Some("r".to_owned()),
            assignor: Some("range".to_owned()),
        };
        let member = ConsumerMember::new(options, identity, now);
        Self { member, now }
    }

    fn new() -> Self {
        Self::with(None)
    }

    fn tell(&mut self, input: Input) -> Vec<Effect> {
        self.member.handle(input, self.now, 0.5)
    }

    fn wait(&mut self, time: Duration) -> Vec<Effect> {
        self.now += time;
        self.tell(Input::Tick)
    }

    fn answer(&mut self, response: ConsumerGroupHeartbeatResponse) -> Vec<Effect> {
        self.tell(Input::Answered(self.member.attempt, Ok(response)))
    }

    fn lose_answer(&mut self) -> Vec<Effect> {
        self.tell(Input::Answered(self.member.attempt, Err(gone())))
    }

    /// Up to the heartbeat that joins.
    fn joining(mut self) -> Self {
        self.tell(Input::Subscribed(topics(&["t0"])));
        self.tell(Input::Coordinator(Ok(1)));
        assert!(self.member.heartbeating && self.member.state == State::Joining);
        self
    }

    /// A member in epoch 1 with these partitions, and no heartbeat under way.
    fn stable(mut self, numbers: impl IntoIterator<Item = i32>) -> Self {
        self = self.joining();
        self.answer(assignment(1, numbers));
        self.tell(names([0]));
        // Until what is assigned has been acknowledged.
        while self.member.heartbeating {
            self.answer(epoch(1));
        }
        assert_eq!(self.member.state, State::Stable);
        self
    }

    /// As `stable`, and asked to give back all but these.
    fn revoking(
        mut self,
        numbers: impl IntoIterator<Item = i32>,
        kept: impl IntoIterator<Item = i32>,
    ) -> Self {
        self = self.stable(numbers);
        self.wait(5 * SECOND);
        self.answer(assignment(1, kept));
        assert!(matches!(self.member.state, State::Revoking { .. }));
        self
    }

    fn epoch(&self) -> (i32, String) {
        let metadata = self.member.metadata();
        (metadata.generation_id, metadata.member_id)
    }
}

/// The heartbeat among effects, and the others.
fn split(effects: Vec<Effect>) -> (Option<ConsumerGroupHeartbeatRequest>, Vec<Effect>) {
    let mut request = None;
    let mut rest = Vec::new();
    for effect in effects {
        match effect {
            Effect::ConsumerHeartbeat(_, sent) => {
                assert!(request.is_none(), "two heartbeats at once");
                request = Some(*sent);
            }
            other => rest.push(other),
        }
    }
    (request, rest)
}

fn heartbeat(effects: Vec<Effect>) -> ConsumerGroupHeartbeatRequest {
    let (request, rest) = split(effects);
    assert_eq!(rest, []);
    request.expect("a heartbeat")
}

/// What a member says when it joins.
fn joins() -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: "m".into(),
        rack_id: Some("r".into()),
        rebalance_timeout_ms: 300_000,
        subscribed_topic_names: Some(vec!["t0".into()]),
        server_assignor: Some("range".into()),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

/// What a member says when nothing is new.
fn lives(member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: "m".into(),
        member_epoch,
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

fn has(member_epoch: i32, numbers: impl IntoIterator<Item = i32>) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(by_topic(0, numbers)),
        ..lives(member_epoch)
    }
}

#[test]
fn a_member_finds_its_coordinator_joins_by_its_own_id_and_acknowledges_what_it_gets() {
    let mut world = World::new();
    let effects = world.tell(Input::Subscribed(topics(&["t0"])));
    assert_eq!(effects, [Effect::FindCoordinator]);
    assert_eq!(world.epoch(), (-1, String::new()));
    assert_eq!(heartbeat(world.tell(Input::Coordinator(Ok(1)))), joins());
    let (acknowledged, rest) = split(world.answer(assignment(1, [0, 1])));
    assert_eq!(acknowledged, Some(has(1, [])));
    assert_eq!(rest, [Effect::NameTopics]);
    assert_eq!(world.member.unnamed(), [id(0)].into());
    assert_eq!(world.tell(names([0])), [Effect::Assign(partitions([0, 1]))]);
    assert_eq!(heartbeat(world.answer(epoch(1))), has(1, [0, 1]));
    assert_eq!(world.epoch(), (1, "m".to_owned()));
}

#[test]
fn heartbeats_go_out_one_at_a_time_in_the_interval_that_the_coordinator_gives() {
    let mut world = World::new().stable([0]);
    assert_eq!(world.member.deadline(), Some(world.now + 5 * SECOND));
    assert_eq!(world.wait(4 * SECOND), []);
    assert_eq!(heartbeat(world.wait(SECOND)), lives(1));
    assert_eq!(world.wait(100 * SECOND), []);
    let mut response = epoch(1);
    response.heartbeat_interval_ms = 700;
    assert_eq!(world.answer(response), []);
    assert_eq!(world.member.deadline(), Some(world.now + 7 * SECOND / 10));
}

#[test]
fn a_coordinator_that_wants_heartbeats_all_the_time_gets_some() {
    for interval in [0, -1, i32::MIN] {
        let mut world = World::new().stable([0]);
        world.wait(5 * SECOND);
        let mut response = epoch(1);
        response.heartbeat_interval_ms = interval;
        assert_eq!(world.answer(response), []);
        assert!(world.member.deadline() > Some(world.now));
    }
}

#[test]
fn what_is_to_go_is_given_back_and_told_before_anything_new_is_taken() {
    let mut world = World::new().stable([0, 1]);
    world.wait(5 * SECOND);
    let deadline = world.now + 295 * SECOND;
    let (request, rest) = split(world.answer(assignment(1, [1, 2])));
    assert_eq!(request, None);
    let revoke = Effect::Revoke {
        partitions: partitions([0]),
        deadline,
    };
    assert_eq!(rest, [revoke]);
    // The session is kept alive while the application works on it.
    assert_eq!(heartbeat(world.wait(5 * SECOND)), has(1, [0, 1]));
    world.answer(epoch(1));
    let (request, rest) = split(world.tell(Input::Released));
    let released = Effect::Release(partitions([0]));
    assert_eq!(rest, [released, Effect::Assign(partitions([2]))]);
    assert_eq!(request, Some(has(1, [1, 2])));
}

#[test]
fn a_revocation_ends_at_its_deadline() {
    let mut world = World::new().revoking([0, 1], [1]);
    assert_eq!(heartbeat(world.wait(200 * SECOND)), has(1, [0, 1]));
    world.answer(epoch(1));
    let (request, rest) = split(world.wait(95 * SECOND));
    assert_eq!(rest, [Effect::Release(partitions([0]))]);
    assert_eq!(request, Some(has(1, [1])));
}

#[test]
fn a_newer_assignment_that_comes_while_giving_back_is_taken_over_after_it() {
    let mut world = World::new().revoking([0, 1], [1]);
    world.wait(5 * SECOND);
    assert_eq!(world.answer(assignment(1, [3])), []);
    let (_, rest) = split(world.tell(Input::Released));
    let released = Effect::Release(partitions([0]));
    assert_eq!(rest.first(), Some(&released));
    assert!(
        matches!(&rest[1..], [Effect::Revoke { partitions: p, .. }] if *p == partitions([1])),
        "{rest:?}"
    );
    let (_, rest) = split(world.tell(Input::Released));
    let released = Effect::Release(partitions([1]));
    assert_eq!(rest, [released, Effect::Assign(partitions([3]))]);
}

#[test]
fn a_topic_that_is_made_again_is_given_back_and_taken_as_another_one() {
    let mut world = World::new().stable([0]);
    world.wait(5 * SECOND);
    let mut response = epoch(2);
    response.assignment = Some(HeartbeatAssignment {
        topic_partitions: by_topic(7, [0]),
    });
    let (_, rest) = split(world.answer(response));
    assert!(matches!(&rest[0], Effect::Revoke { partitions: p, .. } if *p == partitions([0])));
    world.tell(Input::Released);
    let again = Input::TopicNames(BTreeMap::from([(id(7), name(0))]));
    let (_, rest) = split(world.tell(again));
    assert_eq!(rest, [Effect::Assign(partitions([0]))]);
}

#[test]
fn names_that_nobody_asked_for_are_not_kept() {
    let mut world = World::new().stable([0]);
    world.tell(names(1..100));
    assert_eq!(world.member.names.len(), 1);
}

#[test]
fn another_subscription_is_told_at_once() {
    let mut world = World::new().stable([0]);
    assert_eq!(world.tell(Input::Subscribed(topics(&["t0"]))), []);
    let request = heartbeat(world.tell(Input::Subscribed(topics(&["t0", "t1"]))));
    let wanted = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(vec!["t0".into(), "t1".into()]),
        subscribed_topic_regex: Some("".into()),
        ..lives(1)
    };
    assert_eq!(request, wanted);
}

#[test]
fn a_pattern_replaces_names_and_names_replace_a_pattern() {
    let mut world = World::new().stable([0]);
    let request = heartbeat(world.tell(Input::SubscribedPattern("t.*".into())));
    assert_eq!(request.subscribed_topic_names, Some(Vec::new()));
    assert_eq!(request.subscribed_topic_regex.as_deref(), Some("t.*"));
    world.answer(epoch(2));
    let request = heartbeat(world.tell(Input::Subscribed(topics(&["t0"]))));
    assert_eq!(request.subscribed_topic_names, Some(vec!["t0".into()]));
    assert_eq!(request.subscribed_topic_regex.as_deref(), Some(""));
}

#[test]
fn a_member_that_is_fenced_loses_everything_and_joins_again_by_the_same_id() {
    for code in [
        ErrorCode::FencedMemberEpoch,
        ErrorCode::UnknownMemberId,
        ErrorCode::GroupIdNotFound,
    ] {
        let mut world = World::new().stable([0]);
        world.wait(5 * SECOND);
        assert_eq!(world.answer(refusal(code)), [Effect::Lose(partitions([0]))]);
        assert_eq!(world.epoch(), (-1, String::new()));
        assert_eq!(heartbeat(world.wait(SECOND)), joins(), "{code}");
    }
}

#[test]
fn a_commit_that_is_fenced_tells_so_before_the_next_heartbeat_does() {
    for code in [
        ErrorCode::UnknownMemberId,
        ErrorCode::FencedMemberEpoch,
        ErrorCode::IllegalGeneration,
    ] {
        let mut world = World::new().stable([0]);
        let effects = world.tell(Input::Committed(1, code));
        assert_eq!(effects, [Effect::Lose(partitions([0]))], "{code}");
    }
}

#[test]
fn a_commit_of_a_stale_epoch_makes_the_member_ask_for_the_new_one() {
    let mut world = World::new().stable([0]);
    let effects = world.tell(Input::Committed(1, ErrorCode::StaleMemberEpoch));
    assert_eq!(heartbeat(effects), lives(1));
    let mut world = World::new().stable([0]);
    // What an earlier epoch has committed tells nothing.
    for late in [0, -1, 7] {
        for code in [ErrorCode::StaleMemberEpoch, ErrorCode::UnknownMemberId] {
            assert_eq!(world.tell(Input::Committed(late, code)), []);
        }
    }
}

#[test]
fn after_a_lost_answer_everything_is_told_again() {
    let mut world = World::new().stable([0, 1]);
    world.wait(5 * SECOND);
    assert_eq!(world.lose_answer(), []);
    assert_eq!(world.wait(SECOND), [Effect::FindCoordinator]);
    let everything = ConsumerGroupHeartbeatRequest {
        member_epoch: 1,
        subscribed_topic_regex: Some("".into()),
        topic_partitions: Some(by_topic(0, [0, 1])),
        ..joins()
    };
    assert_eq!(heartbeat(world.tell(Input::Coordinator(Ok(2)))), everything);
}

#[test]
fn an_answer_without_an_epoch_is_no_answer() {
    for member_epoch in [0, -1, -2] {
        let mut world = World::new().joining();
        assert_eq!(world.answer(epoch(member_epoch)), []);
        assert_eq!(world.member.state, State::Joining);
        assert_eq!(world.wait(SECOND), [Effect::FindCoordinator]);
    }
}

#[test]
fn pauses_between_attempts_grow() {
    let mut world = World::new().joining();
    world.lose_answer();
    let mut pauses = Vec::new();
    for _ in 0..5 {
        let wait = world.member.deadline().unwrap() - world.now;
        pauses.push(wait);
        assert_eq!(world.wait(wait), [Effect::FindCoordinator]);
        world.tell(Input::Coordinator(Err(gone())));
    }
    assert_eq!(
        pauses,
        [100, 200, 400, 800, 1000].map(Duration::from_millis)
    );
}

#[test]
fn a_member_leaves_by_its_epoch_and_a_static_one_for_a_while() {
    for (instance, member_epoch) in [(None, -1), (Some("i"), -2)] {
        let mut world = World::with(instance).stable([0]);
        let effects = world.tell(Input::Leave);
        let leaves = ConsumerGroupHeartbeatRequest {
            instance_id: instance.map(Into::into),
            ..lives(member_epoch)
        };
        let leaves = Effect::LeaveConsumerGroup(Box::new(leaves));
        assert_eq!(effects, [Effect::Lose(partitions([0])), leaves]);
        assert_eq!(world.wait(1000 * SECOND), []);
        assert_eq!(world.member.deadline(), None);
    }
}

#[test]
fn a_member_that_may_have_joined_leaves_too() {
    let mut world = World::new().joining();
    let effects = world.tell(Input::Leave);
    assert!(matches!(&effects[..], [Effect::LeaveConsumerGroup(_)]));
    let mut world = World::new();
    world.tell(Input::Subscribed(topics(&["t0"])));
    assert_eq!(world.tell(Input::Leave), []);
}

#[test]
fn a_member_that_makes_no_progress_leaves_and_comes_back_with_its_application() {
    let mut world = World::new().stable([0]);
    let effects = world.tell(Input::PollExpired);
    let leaves = Effect::LeaveConsumerGroup(Box::new(lives(-1)));
    assert_eq!(effects, [Effect::Lose(partitions([0])), leaves]);
    assert_eq!(world.epoch(), (-1, String::new()));
    assert_eq!(world.wait(1000 * SECOND), []);
    assert_eq!(heartbeat(world.tell(Input::Returned)), joins());
}

#[test]
fn an_instance_id_that_is_taken_is_the_end() {
    for code in [ErrorCode::FencedInstanceId, ErrorCode::UnreleasedInstanceId] {
        let mut world = World::with(Some("i")).stable([0]);
        world.wait(5 * SECOND);
        let effects = world.answer(refusal(code));
        assert_eq!(effects[0], Effect::Lose(partitions([0])));
        assert!(matches!(&effects[1..], [Effect::Fail(Error::Fenced(_))]));
        assert_eq!(world.wait(1000 * SECOND), []);
        assert_eq!(world.tell(Input::Subscribed(topics(&["u"]))), []);
    }
}

#[test]
fn an_instance_id_that_a_lost_answer_may_have_taken_is_waited_for() {
    let mut world = World::with(Some("i")).joining();
    world.lose_answer();
    world.wait(SECOND);
    world.tell(Input::Coordinator(Ok(1)));
    assert_eq!(world.answer(refusal(ErrorCode::UnreleasedInstanceId)), []);
    let again = heartbeat(world.wait(SECOND));
    assert_eq!(again.member_epoch, 0);
    world.answer(epoch(1));
    assert_eq!(world.epoch().0, 1);
}

#[test]
fn what_the_group_refuses_for_good_is_the_end_and_the_member_leaves() {
    for code in [
        ErrorCode::UnsupportedAssignor,
        ErrorCode::GroupMaxSizeReached,
        ErrorCode::InvalidRegularExpression,
        ErrorCode::GroupAuthorizationFailed,
        ErrorCode::InvalidRequest,
        ErrorCode::UnsupportedVersion,
    ] {
        let mut world = World::new().joining();
        let mut response = refusal(code);
        response.error_message = Some("why".into());
        let effects = world.answer(response.clone());
        let [Effect::Fail(error)] = &effects[..] else {
            panic!("{effects:?}");
        };
        assert_eq!(error.code(), Some(code));
        assert!(error.to_string().ends_with(": why"), "{error}");
        let mut world = World::new().stable([0]);
        world.wait(5 * SECOND);
        let effects = world.answer(response);
        assert!(matches!(&effects[1], Effect::LeaveConsumerGroup(_)));
        assert!(matches!(&effects[2], Effect::Fail(_)));
    }
}

#[test]
fn when_the_coordinator_moves_it_is_looked_for_after_a_pause() {
    for code in [
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorNotAvailable,
    ] {
        let mut world = World::new().stable([0]);
        world.wait(5 * SECOND);
        assert_eq!(world.answer(refusal(code)), []);
        assert_eq!(world.wait(SECOND), [Effect::FindCoordinator]);
        let again = heartbeat(world.tell(Input::Coordinator(Ok(2))));
        assert_eq!(again.topic_partitions, Some(by_topic(0, [0])));
    }
}

#[test]
fn a_coordinator_that_loads_is_asked_again_after_a_pause() {
    let mut world = World::new().joining();
    let loads = refusal(ErrorCode::CoordinatorLoadInProgress);
    assert_eq!(world.answer(loads), []);
    assert_eq!(heartbeat(world.wait(SECOND)), joins());
}

#[test]
fn a_group_without_coordinator_for_good_is_the_end() {
    let mut world = World::new();
    world.tell(Input::Subscribed(topics(&["t0"])));
    let refused = Error::Refused {
        operation: "FindCoordinator",
        code: ErrorCode::GroupAuthorizationFailed,
        message: None,
    };
    let effects = world.tell(Input::Coordinator(Err(refused)));
    assert!(matches!(&effects[..], [Effect::Fail(_)]));
}

#[test]
fn answers_of_an_earlier_heartbeat_are_passed_over() {
    let mut world = World::new().stable([0]);
    world.wait(5 * SECOND);
    let attempt = world.member.attempt;
    let fenced = || Ok(refusal(ErrorCode::FencedMemberEpoch));
    assert_eq!(world.tell(Input::Answered(attempt - 1, fenced())), []);
    world.tell(Input::PollExpired);
    world.tell(Input::Returned);
    assert_eq!(world.tell(Input::Answered(attempt, fenced())), []);
    assert!(world.member.heartbeating);
}

/// Anything that may happen, fitting or not.
fn inputs() -> impl Strategy<Value = Vec<(u8, u8, u16)>> {
    proptest::collection::vec((0..16_u8, 0..12_u8, 0..20_000_u16), 1..80)
}

fn any_code(number: u8) -> ErrorCode {
    let codes = [
        ErrorCode::UnknownMemberId,
        ErrorCode::FencedMemberEpoch,
        ErrorCode::StaleMemberEpoch,
        ErrorCode::UnreleasedInstanceId,
        ErrorCode::GroupIdNotFound,
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::UnknownServerError,
    ];
    codes[usize::from(number) % codes.len()]
}

fn any_input(world: &World, kind: u8, detail: u8) -> Input {
    let number = i32::from(detail);
    let member = &world.member;
    let attempt = member.attempt - u64::from(detail == 11 && member.attempt > 0);
    let answer = |response| Input::Answered(attempt, Ok(response));
    match kind {
        0 => Input::Subscribed(topics(&["t0", "t1"][..1 + usize::from(detail % 2)])),
        1 => Input::SubscribedPattern(format!("t{}", detail % 2).into()),
        2 => Input::Leave,
        3 | 4 => Input::Coordinator(Ok(number)),
        5 => Input::Coordinator(Err(gone())),
        6 | 7 => {
            let mut response = assignment(member.member_epoch + 1, number % 3..number);
            if let Some(assignment) = &mut response.assignment {
                let more = by_topic(1 + detail % 2, 0..number % 2);
                assignment.topic_partitions.extend(more);
            }
            answer(response)
        }
        8 => answer(epoch(number)),
        9 => answer(refusal(any_code(detail))),
        10 => Input::Answered(attempt, Err(gone())),
        11 => names(0..detail % 4),
        12 => Input::Released,
        13 => Input::PollExpired,
        14 => Input::Returned,
        _ => Input::Committed(member.member_epoch, any_code(detail)),
    }
}

proptest! {
    /// The partitions that effects say the application has are those that the member owns; what
    /// the coordinator is told is that too; a member that wants something is never without a
    /// request, a timer or a question open.
    #[test]
    fn whatever_happens_the_member_agrees_with_its_application_and_goes_on(inputs in inputs()) {
        let mut world = World::new();
        let mut held = BTreeSet::new();
        for (kind, detail, wait) in inputs {
            world.now += Duration::from_millis(wait.into());
            let input = any_input(&world, kind, detail);
            for effect in world.tell(input) {
                follow(&effect, &mut held, world.now)?;
                if let Effect::ConsumerHeartbeat(_, request) = &effect {
                    prop_assert_eq!(request.member_epoch, world.member.member_epoch);
                    if let Some(told) = &request.topic_partitions {
                        let count: usize = told.iter().map(|topic| topic.partitions.len()).sum();
                        prop_assert_eq!(count, held.len());
                    }
                    prop_assert!(request.member_epoch > 0 || held.is_empty());
                }
            }
            let member = &world.member;
            prop_assert_eq!(&held, &member.with_names(&member.owned));
            prop_assert_eq!(held.len(), member.owned.len());
            let waits = match member.state {
                State::Out | State::Expired | State::Failed => true,
                _ => member.finding || member.heartbeating || member.deadline().is_some(),
            };
            prop_assert!(waits, "{:?} waits for nothing", member.state);
        }
    }
}
