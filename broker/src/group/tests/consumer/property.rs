//! Whatever members of either protocol do, and whenever they crash: no partition is two members', and once
//! they behave everything is assigned.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::super::consumer::Member;
use super::*;

/// Something that happens. Members are numbered; every third is static.
#[derive(Debug, Clone)]
enum Act {
    /// It joins, or joins again, perhaps as another process of the same instance.
    Join {
        member: usize,
        topics: u8,
    },
    /// Its next heartbeat.
    Beat {
        member: usize,
    },
    /// A heartbeat whose answer is lost.
    Lose {
        member: usize,
    },
    /// It gives back what it has been told to give back, a part of it or all.
    Revoke {
        member: usize,
        all: bool,
    },
    Leave {
        member: usize,
        for_a_while: bool,
    },
    /// It is killed: it says and does nothing more, and has nothing any more.
    Crash {
        member: usize,
    },
    /// It commits at its epoch, or at one that is not its own.
    Commit {
        member: usize,
        behind: i32,
    },
    SetTopic {
        topic: usize,
        partitions: i32,
    },
    Pass {
        seconds: u64,
    },
    Restart,
}

const MEMBERS: usize = 6;
const TOPICS: [&str; 3] = ["orders", "payments", "returns"];

fn act() -> impl Strategy<Value = Act> {
    let member = || 0..MEMBERS;
    prop_oneof![
        8 => (member(), 0..8_u8).prop_map(|(member, topics)| Act::Join { member, topics }),
        24 => member().prop_map(|member| Act::Beat { member }),
        3 => member().prop_map(|member| Act::Lose { member }),
        14 => (member(), any::<bool>()).prop_map(|(member, all)| Act::Revoke { member, all }),
        3 => (member(), any::<bool>())
            .prop_map(|(member, for_a_while)| Act::Leave { member, for_a_while }),
        2 => member().prop_map(|member| Act::Crash { member }),
        4 => (member(), -1..2_i32).prop_map(|(member, behind)| Act::Commit { member, behind }),
        3 => (0..TOPICS.len(), 0..6_i32)
            .prop_map(|(topic, partitions)| Act::SetTopic { topic, partitions }),
        6 => (0..50_u64).prop_map(|seconds| Act::Pass { seconds }),
        1 => Just(Act::Restart),
    ]
}

/// A process that is a member, and what it believes.
#[derive(Debug, Clone)]
struct Process {
    member_id: Arc<str>,
    epoch: i32,
    names: Vec<Arc<str>>,
    /// What it works on.
    has: Assignment,
    /// What it was told to have.
    told: Assignment,
    /// It was not answered: it says all there is to say next.
    says_all: bool,
    /// When the coordinator must have heard from it, or it stops working by itself.
    alive_until: Duration,
}

struct World {
    bench: Bench,
    processes: BTreeMap<usize, Process>,
    /// Processes so far, for their ids.
    started: usize,
    topics: BTreeMap<&'static str, (u8, i32)>,
    /// Topic ids so far.
    created: u8,
    highest_epoch: i32,
}

impl World {
    fn new() -> Self {
        Self {
            bench: Bench::new(),
            processes: BTreeMap::new(),
            started: 0,
            topics: BTreeMap::from([("orders", (1, 4)), ("payments", (2, 2))]),
            created: 10,
            highest_epoch: 0,
        }
    }

    fn instance(member: usize) -> Option<Arc<str>> {
        member
            .is_multiple_of(3)
            .then(|| format!("instance-{member}").into())
    }

    fn request(&self, member: usize) -> Option<ConsumerHeartbeatRequest> {
        let process = self.processes.get(&member)?;
        let reader = Reader {
            member_id: process.member_id.clone(),
            instance: Self::instance(member),
            names: process.names.clone(),
            regex: None,
            epoch: process.epoch,
            owned: process.has.clone(),
        };
        Some(if process.epoch == 0 {
            reader.joining()
        } else if process.says_all {
            ConsumerHeartbeatRequest {
                member_epoch: process.epoch,
                owned: Some(process.has.clone()),
                ..reader.joining()
            }
        } else {
            reader.beating()
        })
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Join { member, topics } => self.join(member, topics),
            Act::Beat { member } => self.beat(member, true),
            Act::Lose { member } => self.beat(member, false),
            Act::Revoke { member, all } => self.revoke(member, all),
            Act::Leave {
                member,
                for_a_while,
            } => self.leave(member, for_a_while),
            Act::Crash { member } => drop(self.processes.remove(&member)),
            Act::Commit { member, behind } => self.commit(member, behind),
            Act::SetTopic { topic, partitions } => self.set_topic(topic, partitions),
            Act::Pass { seconds } => self.pass(Duration::from_secs(seconds)),
            Act::Restart => self.restart(),
        }
        self.check();
    }

    fn join(&mut self, member: usize, topics: u8) {
        let named = TOPICS.iter().enumerate();
        let chosen = named.filter(|(place, _)| topics & (1 << place) != 0);
        let names: Vec<Arc<str>> = chosen.map(|(_, name)| Arc::from(*name)).collect();
        if let Some(process) = self.processes.get_mut(&member) {
            // The same process subscribes anew.
            process.names.clone_from(&names);
            if let Some(mut request) = self.request(member) {
                request.subscribed_topic_names = Some(names);
                self.send(member, request, true);
            }
            return;
        }
        self.started += 1;
        let process = Process {
            member_id: format!("process-{}", self.started).into(),
            epoch: 0,
            names,
            has: Assignment::default(),
            told: Assignment::default(),
            says_all: false,
            alive_until: Duration::MAX,
        };
        self.processes.insert(member, process);
        self.beat(member, true);
    }

    fn beat(&mut self, member: usize, is_answered: bool) {
        if let Some(request) = self.request(member) {
            self.send(member, request, is_answered);
        }
    }

    fn send(&mut self, member: usize, request: ConsumerHeartbeatRequest, is_answered: bool) {
        let answer = self.bench.beat(request);
        let alive_until = self.bench.now.monotonic + Duration::from_secs(45);
        let Some(process) = self.processes.get_mut(&member) else {
            return;
        };
        process.says_all = !is_answered;
        if !is_answered {
            return;
        }
        match answer {
            Ok(reply) => {
                assert!(reply.member_epoch >= process.epoch, "the epoch fell");
                process.epoch = reply.member_epoch;
                process.alive_until = alive_until;
                if let Some(assignment) = reply.assignment {
                    process.told = assignment;
                }
                // It takes at once, and gives back when it likes.
                process.has.extend(process.told.iter());
            }
            Err(refusal) => match refusal.error {
                // It gives up everything and joins again.
                GroupError::FencedMemberEpoch
                | GroupError::UnknownMemberId
                | GroupError::GroupIdNotFound => {
                    process.epoch = 0;
                    process.has = Assignment::default();
                    process.told = Assignment::default();
                }
                GroupError::UnreleasedInstanceId | GroupError::FencedInstanceId => {
                    self.processes.remove(&member);
                }
                other => panic!("{other:?}"),
            },
        }
    }

    fn revoke(&mut self, member: usize, all: bool) {
        let Some(process) = self.processes.get_mut(&member) else {
            return;
        };
        let must_go = process
            .has
            .filtered(|partition| !process.told.contains(partition));
        let first = must_go.iter().next();
        let goes = |partition| all || Some(partition) == first;
        let told = &process.told;
        process.has = process
            .has
            .filtered(|partition| told.contains(partition) || !goes(partition));
    }

    fn leave(&mut self, member: usize, for_a_while: bool) {
        let Some(mut request) = self.request(member) else {
            return;
        };
        let is_static = request.group_instance_id.is_some();
        request.member_epoch = if for_a_while && is_static { -2 } else { -1 };
        // It stops working before it says so.
        self.processes.remove(&member);
        let _ = self.bench.beat(request);
    }

    fn commit(&mut self, member: usize, behind: i32) {
        let Some(process) = self.processes.get(&member) else {
            return;
        };
        let epoch = process.epoch.saturating_sub(behind).max(1);
        let id = self.topics.get("orders").map(|(id, _)| topic_id(*id));
        let may_commit = self
            .bench
            .coordinator
            .groups
            .get(GROUP)
            .is_some_and(|group| {
                let mut members = group
                    .consumer
                    .iter()
                    .flat_map(|consumer| consumer.members());
                let known = members.find(|known| known.value.member_id == process.member_id);
                known.is_some_and(|Member { value, .. }| {
                    let has = |id| {
                        let partition = (id, 0);
                        value.assigned.contains(partition)
                            || value.pending_revocation.contains(partition)
                    };
                    // At an earlier epoch only what it has, and has had since then.
                    let had = id.is_some_and(|id| has(id) && value.since[&id][&0] <= epoch);
                    value.member_epoch == epoch || had && epoch < value.member_epoch
                })
            });
        let request = committing(&process.member_id, epoch, 1);
        let committed = self.bench.commit(request) == GroupError::None;
        assert_eq!(committed, may_commit, "who may commit");
    }

    fn set_topic(&mut self, topic: usize, partitions: i32) {
        let name = TOPICS[topic];
        let known = self.topics.get(name).copied();
        let topic = match (known, partitions) {
            (_, 0) => None,
            (Some((id, count)), partitions) => Some((id, count.max(partitions))),
            (None, partitions) => {
                self.created += 1;
                Some((self.created, partitions))
            }
        };
        match topic {
            Some(topic) => drop(self.topics.insert(name, topic)),
            None => drop(self.topics.remove(name)),
        }
        let info = topic.map(|(id, partitions)| TopicInfo {
            id: topic_id(id),
            partitions,
        });
        self.bench.set_topic(name, info);
    }

    fn pass(&mut self, by: Duration) {
        self.bench.advance(by);
        let now = self.bench.now.monotonic;
        // A process that was not answered for a session knows that it is taken for gone.
        for process in self.processes.values_mut() {
            if process.alive_until <= now {
                process.epoch = 0;
                process.has = Assignment::default();
                process.told = Assignment::default();
                process.alive_until = Duration::MAX;
            }
        }
    }

    fn restart(&mut self) {
        let restarted = Bench::replaying(&self.bench.records);
        let before = self.bench.coordinator.snapshot();
        assert_eq!(
            restarted.coordinator.snapshot(),
            before,
            "the log tells the hard state"
        );
        let from_snapshot = Bench::replaying(&before);
        assert_eq!(from_snapshot.coordinator.snapshot(), before);
        let mut restarted = restarted;
        restarted.coordinator.topics = self.bench.coordinator.topics.clone();
        restarted.now = self.bench.now;
        restarted.next_token = self.bench.next_token;
        let effects = restarted.coordinator.loaded(restarted.now);
        restarted.take(effects);
        self.bench = restarted;
    }

    /// What must hold between any two events.
    fn check(&mut self) {
        let Some(group) = self.bench.coordinator.groups.get(GROUP) else {
            return;
        };
        let Some(consumer) = group.consumer.as_deref() else {
            return;
        };
        // One that was fenced works on until it is told; it can commit nothing.
        let is_member = |process: &Process| {
            let mut members = consumer.members();
            members.any(|member| member.value.member_id == process.member_id)
        };
        let mut working: BTreeMap<([u8; 16], i32), usize> = BTreeMap::new();
        for (member, process) in &self.processes {
            for partition in process.has.iter().filter(|_| is_member(process)) {
                let other = working.insert(partition, *member);
                assert_eq!(other, None, "{partition:?} is worked on twice");
            }
        }
        let mut owners: BTreeMap<([u8; 16], i32), Arc<str>> = BTreeMap::new();
        for member in consumer.members() {
            let value = &member.value;
            assert!(value.member_epoch <= consumer.group_epoch());
            assert!(!member.timers.is_empty(), "an immortal member");
            for partition in value.assigned.iter().chain(value.pending_revocation.iter()) {
                let other = owners.insert(partition, value.member_id.clone());
                assert_eq!(other, None, "{partition:?} is owned twice");
            }
        }
        assert!(
            consumer.group_epoch() >= self.highest_epoch,
            "the group epoch fell"
        );
        self.highest_epoch = consumer.group_epoch();
        let timers: usize = consumer.members().map(|member| member.timers.len()).sum();
        assert_eq!(
            self.bench.coordinator.timers.len(),
            timers + 1,
            "a timer outlives its member"
        );
    }

    /// Everybody behaves: what is subscribed to and exists is worked on by one member.
    fn settle(&mut self) {
        for _ in 0..8 {
            for member in 0..MEMBERS {
                self.revoke(member, true);
                self.beat(member, true);
                self.check();
            }
            self.pass(Duration::from_secs(10));
        }
        let subscribed = |name: &str| {
            let mut processes = self.processes.values();
            processes.any(|process| process.names.iter().any(|topic| **topic == *name))
        };
        let topics = self.topics.iter().filter(|(name, _)| subscribed(name));
        let expected: Assignment = topics
            .flat_map(|(_, &(id, partitions))| (0..partitions).map(move |at| (topic_id(id), at)))
            .collect();
        let worked_on = self
            .processes
            .values()
            .flat_map(|process| process.has.iter());
        assert_eq!(
            worked_on.collect::<Assignment>(),
            expected,
            "everything is assigned"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_partition_is_two_members_and_in_the_end_each_is_somebodys(
        acts in prop::collection::vec(act(), 1..120),
    ) {
        let mut world = World::new();
        for act in &acts {
            world.act(act);
        }
        // Those that crashed or are away are given up.
        for _ in 0..6 {
            world.pass(Duration::from_secs(9));
            for member in 0..MEMBERS {
                world.revoke(member, true);
                world.beat(member, true);
            }
        }
        world.settle();
        world.restart();
        world.settle();
    }
}
