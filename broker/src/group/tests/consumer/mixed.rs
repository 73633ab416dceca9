//! Members of both protocols come, go and crash in one group, which changes its protocol as they do: no
//! partition is two members', and once they behave everything is assigned.

use std::collections::BTreeMap;

use ottla_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartitions as Partitions,
};
use proptest::prelude::*;

use super::*;

/// Something that happens to one of a few clients; even ones speak the classic protocol.
#[derive(Debug, Clone)]
enum Act {
    /// It does the next thing that a client does.
    Turn(usize),
    Leave(usize),
    Crash(usize),
    Pass(u64),
    Restart,
}

const CLIENTS: usize = 5;

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        30 => (0..CLIENTS).prop_map(Act::Turn),
        3 => (0..CLIENTS).prop_map(Act::Leave),
        2 => (0..CLIENTS).prop_map(Act::Crash),
        4 => (0..8_u64).prop_map(Act::Pass),
        1 => Just(Act::Restart),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Out,
    Joining(Token),
    Syncing(Token),
    In,
}

/// An eager consumer of the classic protocol: it has nothing while it joins.
#[derive(Debug)]
struct Eager {
    member_id: Arc<str>,
    generation: i32,
    phase: Phase,
    has: Vec<i32>,
    heard: Duration,
}

impl Eager {
    fn new() -> Self {
        Self {
            member_id: "".into(),
            generation: -1,
            phase: Phase::Out,
            has: Vec::new(),
            heard: Duration::ZERO,
        }
    }

    fn turn(&mut self, bench: &mut Bench) {
        let error = match self.phase {
            Phase::Out => {
                self.has.clear();
                self.phase = Phase::Joining(bench.join(self.joining()));
                return;
            }
            Phase::Joining(token) => match bench.replies.remove(&token) {
                Some(Reply::Join(reply)) => self.joined(bench, reply),
                _ => return,
            },
            Phase::Syncing(token) => match bench.replies.remove(&token) {
                Some(Reply::Sync(reply)) => self.synced(reply),
                _ => return,
            },
            Phase::In => bench.heartbeat(&self.member_id, self.generation),
        };
        self.heard = bench.now.monotonic;
        match error {
            GroupError::None => {}
            GroupError::UnknownMemberId => self.start_over("".into()),
            _ => self.start_over(self.member_id.clone()),
        }
    }

    fn start_over(&mut self, member_id: Arc<str>) {
        self.member_id = member_id;
        self.has.clear();
        self.phase = Phase::Out;
    }

    fn joining(&self) -> JoinRequest {
        let subscription = ConsumerProtocolSubscription {
            topics: vec!["orders".into()],
            ..ConsumerProtocolSubscription::default()
        };
        JoinRequest {
            protocols: vec![Protocol {
                name: "range".into(),
                metadata: subscription.to_bytes(1).unwrap(),
            }],
            ..joining(&self.member_id)
        }
    }

    fn joined(&mut self, bench: &mut Bench, reply: JoinReply) -> GroupError {
        if reply.error != GroupError::None {
            self.member_id = reply.member_id;
            return reply.error;
        }
        self.member_id = reply.member_id;
        self.generation = reply.generation_id;
        // The leader deals the partitions out.
        let count = reply.members.len().max(1);
        let dealt = |place: usize| {
            let partitions = (0..4).filter(|partition| partition % count == place);
            let blob = ConsumerProtocolAssignment {
                assigned_partitions: vec![Partitions {
                    topic: "orders".into(),
                    partitions: partitions
                        .map(|partition| i32::try_from(partition).unwrap())
                        .collect(),
                }],
                user_data: None,
            };
            blob.to_bytes(1).unwrap()
        };
        let members = reply.members.iter().enumerate();
        let assignments = members
            .map(|(place, member)| (member.member_id.clone(), dealt(place)))
            .collect();
        let request = SyncRequest {
            assignments,
            ..syncing(&self.member_id, self.generation, &[])
        };
        self.phase = Phase::Syncing(bench.sync(request));
        GroupError::None
    }

    fn synced(&mut self, reply: SyncReply) -> GroupError {
        if reply.error == GroupError::None {
            let (_, assignment) = ConsumerProtocolAssignment::from_bytes(reply.assignment).unwrap();
            let topics = assignment.assigned_partitions.into_iter();
            self.has = topics.flat_map(|topic| topic.partitions).collect();
            self.phase = Phase::In;
        }
        reply.error
    }

    /// Its connection is gone.
    fn crash(self, bench: &mut Bench) {
        if let Phase::Joining(token) | Phase::Syncing(token) = self.phase {
            bench.replies.remove(&token);
            bench.event(Event::Abandoned(token));
        }
    }
}

#[derive(Default)]
struct World {
    eager: BTreeMap<usize, Eager>,
    readers: BTreeMap<usize, (Reader, Duration)>,
    started: usize,
}

impl World {
    fn act(&mut self, bench: &mut Bench, act: &Act) {
        match *act {
            Act::Turn(client) => self.turn(bench, client),
            Act::Leave(client) => {
                if let Some(eager) = self.eager.remove(&client) {
                    bench.leave(&[(&eager.member_id, None)]);
                    eager.crash(bench);
                }
                if let Some((reader, _)) = self.readers.remove(&client) {
                    let _ = bench.beat(reader.leaving(-1));
                }
            }
            Act::Crash(client) => {
                if let Some(eager) = self.eager.remove(&client) {
                    eager.crash(bench);
                }
                self.readers.remove(&client);
            }
            Act::Pass(seconds) => self.pass(bench, Duration::from_secs(seconds)),
            Act::Restart => self.restart(bench),
        }
        self.check(bench);
    }

    fn turn(&mut self, bench: &mut Bench, client: usize) {
        if client.is_multiple_of(2) {
            let eager = self.eager.entry(client).or_insert_with(Eager::new);
            eager.turn(bench);
            return;
        }
        let started = &mut self.started;
        let (reader, heard) = self.readers.entry(client).or_insert_with(|| {
            *started += 1;
            (Reader::new(&format!("reader-{started}")), Duration::ZERO)
        });
        *heard = bench.now.monotonic;
        if reader.epoch == 0 {
            reader.join(bench);
        } else if reader.beat(bench).is_some() {
            reader.epoch = 0;
            reader.owned = Assignment::default();
        }
    }

    /// Who has not been heard from for its session knows that it is taken for gone.
    fn pass(&mut self, bench: &mut Bench, by: Duration) {
        bench.advance(by);
        let now = bench.now.monotonic;
        for eager in self.eager.values_mut() {
            if eager.phase == Phase::In && now >= eager.heard + SESSION {
                eager.start_over(eager.member_id.clone());
            }
        }
        for (reader, heard) in self.readers.values_mut() {
            if now >= *heard + Duration::from_secs(45) {
                reader.epoch = 0;
                reader.owned = Assignment::default();
            }
        }
    }

    fn restart(&mut self, bench: &mut Bench) {
        let before = bench.coordinator.snapshot();
        let mut restarted = Bench::replaying(&bench.records);
        assert_eq!(
            restarted.coordinator.snapshot(),
            before,
            "the log tells the hard state"
        );
        let from_snapshot = Bench::replaying(&before);
        assert_eq!(from_snapshot.coordinator.snapshot(), before);
        restarted.now = bench.now;
        restarted.next_token = bench.next_token;
        let mut next = u128::from(bench.next_token) << 64;
        restarted.coordinator.ids = Box::new(move || {
            next += 1;
            Uuid::from_u128(next)
        });
        let effects = restarted.coordinator.loaded(restarted.now);
        restarted.take(effects);
        *bench = restarted;
        for eager in self.eager.values_mut() {
            if !matches!(eager.phase, Phase::In) {
                eager.start_over(eager.member_id.clone());
            }
        }
    }

    fn check(&self, bench: &Bench) {
        let Some(group) = bench.coordinator.groups.get(GROUP) else {
            return;
        };
        let consumer = group.consumer.as_deref();
        let is_member = |member_id: &str| {
            let mut of_consumer = consumer.iter().flat_map(|consumer| consumer.members());
            group.members.contains_key(member_id)
                || of_consumer.any(|member| *member.value.member_id == *member_id)
        };
        assert!(
            consumer.is_none() || group.members.is_empty(),
            "one protocol at a time"
        );
        let eager = self.eager.values();
        let eager = eager
            .filter(|eager| is_member(&eager.member_id))
            .flat_map(|eager| eager.has.clone());
        let readers = self.readers.values().map(|(reader, _)| reader);
        let readers = readers
            .filter(|reader| is_member(&reader.member_id))
            .flat_map(|reader| {
                reader
                    .partitions()
                    .into_iter()
                    .map(|(_, partition)| partition)
            });
        let mut worked_on: Vec<i32> = eager.chain(readers).collect();
        worked_on.sort_unstable();
        let all = worked_on.len();
        worked_on.dedup();
        assert_eq!(worked_on.len(), all, "a partition is worked on twice");
    }

    fn settle(&mut self, bench: &mut Bench) {
        for _ in 0..80 {
            for client in 0..CLIENTS {
                self.turn(bench, client);
                self.check(bench);
            }
            self.pass(bench, Duration::from_secs(1));
        }
        let eager = self.eager.values().flat_map(|eager| eager.has.clone());
        let readers = self.readers.values();
        let readers = readers.flat_map(|(reader, _)| reader.partitions());
        let mut all: Vec<i32> = eager
            .chain(readers.map(|(_, partition)| partition))
            .collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3], "everything is assigned");
        assert_eq!(bench.consumer_state(), ConsumerState::Stable);
    }
}

/// Runs the acts, and then everybody behaves.
fn play(acts: &[Act]) -> (World, Bench) {
    let mut world = World::default();
    let mut bench = Bench::new();
    for act in acts {
        world.act(&mut bench, act);
    }
    world.settle(&mut bench);
    (world, bench)
}

#[test]
fn a_member_keeps_what_it_works_on_when_the_protocol_changes_to_and_fro() {
    use Act::{Leave, Turn};
    let has_all = [Turn(4), Turn(4), Turn(4), Turn(4)];
    // A reader that comes and goes unnoticed by the member, and another that comes.
    let acts = [&has_all[..], &[Turn(1), Leave(1), Turn(0), Turn(0)]];
    play(&acts.concat());
    let acts = [
        &has_all[..],
        &[Turn(1), Leave(1), Turn(3), Turn(3), Turn(3)],
    ];
    play(&acts.concat());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn members_of_both_protocols_never_share_a_partition(
        acts in prop::collection::vec(act(), 1..150),
    ) {
        let (mut world, mut bench) = play(&acts);
        // Those of the consumer protocol go, and the others go on.
        for client in [1, 3] {
            world.act(&mut bench, &Act::Leave(client));
        }
        for _ in 0..30 {
            for client in [0, 2, 4] {
                world.turn(&mut bench, client);
                world.check(&bench);
            }
            world.pass(&mut bench, Duration::from_secs(1));
        }
        prop_assert_eq!(bench.state(), State::Stable);
        prop_assert!(bench.group().consumer.is_none());
        world.restart(&mut bench);
    }
}
