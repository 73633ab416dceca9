//! The coordinator from outside: events go in, effects are looked at.

mod admin;
mod consumer;
mod expiry;
mod join;
mod leave;
mod limits;
mod offsets;
mod property;
mod rebalance;
mod replay;
mod static_member;
mod sync;
mod transaction;
mod transition;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::*;

const GROUP: &str = "inventory-service";
const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(60);

/// A coordinator with its clock and everything it ever said.
struct Bench {
    coordinator: GroupCoordinator,
    now: Now,
    next_token: Token,
    replies: HashMap<Token, Reply>,
    records: Vec<GroupRecord>,
    commands: Vec<Command>,
}

fn ids() -> impl FnMut() -> Uuid + Send {
    let mut next = 0;
    move || {
        next += 1;
        Uuid::from_u128(next)
    }
}

/// The id of a topic of the tests.
fn topic_id(number: u8) -> [u8; 16] {
    [number; 16]
}

/// Topics that are there from the start: `orders` with four partitions, `payments` with two.
fn topics() -> TopicImage {
    let mut topics = TopicImage::default();
    for (name, number, partitions) in [("orders", 1, 4), ("payments", 2, 2)] {
        let topic = TopicInfo {
            id: topic_id(number),
            partitions,
        };
        topics.set(&name.into(), Some(topic));
    }
    topics
}

impl Bench {
    fn new() -> Self {
        Self::with(GroupConfig::default())
    }

    fn with(config: GroupConfig) -> Self {
        let mut bench = Self {
            coordinator: GroupCoordinator::new(config, topics(), HashMap::new(), ids()),
            now: Now {
                monotonic: Duration::ZERO,
                wall_ms: 1_700_000_000_000,
            },
            next_token: 0,
            replies: HashMap::new(),
            records: Vec::new(),
            commands: Vec::new(),
        };
        let effects = bench.coordinator.loaded(bench.now);
        bench.take(effects);
        bench
    }

    fn take(&mut self, effects: Effects) {
        self.records.extend(effects.records);
        self.commands.extend(effects.commands);
        for (token, reply) in effects.replies {
            assert!(
                self.replies.insert(token, reply).is_none(),
                "token {token} answered twice"
            );
        }
    }

    fn event(&mut self, event: Event) {
        let effects = self.coordinator.handle(event, self.now);
        self.take(effects);
    }

    fn send(&mut self, event: impl FnOnce(Token) -> Event) -> Token {
        self.next_token += 1;
        let token = self.next_token;
        self.event(event(token));
        token
    }

    /// Lets time pass, with a tick at every deadline on the way.
    fn advance(&mut self, by: Duration) {
        let start = self.now;
        let end = start.monotonic + by;
        while let Some(at) = self.coordinator.deadline().filter(|&at| at <= end) {
            self.set_clock(start, at.max(self.now.monotonic));
            self.event(Event::Tick);
        }
        self.set_clock(start, end);
    }

    fn set_clock(&mut self, start: Now, monotonic: Duration) {
        let passed = i64::try_from((monotonic - start.monotonic).as_millis()).unwrap();
        self.now = Now {
            monotonic,
            wall_ms: start.wall_ms + passed,
        };
    }

    fn join(&mut self, request: JoinRequest) -> Token {
        self.send(|token| Event::Join(token, request))
    }

    fn sync(&mut self, request: SyncRequest) -> Token {
        self.send(|token| Event::Sync(token, request))
    }

    fn heartbeat(&mut self, member_id: &str, generation_id: i32) -> GroupError {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: member_id.into(),
            group_instance_id: None,
        };
        let token = self.send(|token| Event::Heartbeat(token, request));
        match self.replies.remove(&token) {
            Some(Reply::Heartbeat(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, members: &[(&str, Option<&str>)]) -> LeaveReply {
        let to_leaving = |&(member_id, instance): &(&str, Option<&str>)| LeavingMember {
            member_id: member_id.into(),
            group_instance_id: instance.map(Arc::from),
        };
        let members = members.iter().map(to_leaving).collect();
        let request = LeaveRequest {
            api_version: 5,
            group_id: GROUP.into(),
            members,
        };
        let token = self.send(|token| Event::Leave(token, request));
        match self.replies.remove(&token) {
            Some(Reply::Leave(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn commit(&mut self, request: CommitOffsetsRequest) -> GroupError {
        let token = self.send(|token| Event::CommitOffsets(token, request));
        match self.replies.remove(&token) {
            Some(Reply::CommitOffsets(topics)) => topics[0].partitions[0].1,
            other => panic!("{other:?}"),
        }
    }

    fn set_topic(&mut self, name: &str, topic: Option<TopicInfo>) {
        self.event(Event::TopicChanged {
            name: name.into(),
            topic,
        });
    }

    fn committed(&mut self, topic: &str) -> i64 {
        let topics = vec![TopicPartitions {
            name: topic.into(),
            topic_id: None,
            partitions: vec![0],
        }];
        let group = FetchOffsetsGroup {
            group_id: GROUP.into(),
            member_id: None,
            member_epoch: -1,
            topics: Some(topics),
        };
        let request = FetchOffsetsRequest {
            groups: vec![group],
            require_stable: true,
        };
        let token = self.send(|token| Event::FetchOffsets(token, request));
        match self.replies.remove(&token) {
            Some(Reply::FetchOffsets(groups)) => {
                assert_eq!(groups[0].topics[0].partitions[0].error, GroupError::None);
                groups[0].topics[0].partitions[0].committed_offset
            }
            other => panic!("{other:?}"),
        }
    }

    fn joined(&self, token: Token) -> &JoinReply {
        match self.replies.get(&token) {
            Some(Reply::Join(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn synced(&self, token: Token) -> &SyncReply {
        match self.replies.get(&token) {
            Some(Reply::Sync(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn is_waiting(&self, token: Token) -> bool {
        !self.replies.contains_key(&token)
    }

    fn group(&self) -> &classic::Group {
        self.coordinator
            .groups
            .get(GROUP)
            .expect("the group exists")
    }

    fn state(&self) -> State {
        self.coordinator
            .groups
            .get(GROUP)
            .map_or(State::Dead, |group| group.state)
    }

    /// Gets a member id and joins with it.
    fn new_member(&mut self) -> (Arc<str>, Token) {
        let token = self.join(joining(""));
        let reply = self.joined(token);
        assert_eq!(reply.error, GroupError::MemberIdRequired);
        let member_id = reply.member_id.clone();
        let token = self.join(joining(&member_id));
        (member_id, token)
    }

    /// A group of `count` members in CompletingRebalance; the first one leads.
    fn completing(&mut self, count: usize) -> (Vec<Arc<str>>, i32) {
        let mut members: Vec<Arc<str>> = Vec::new();
        for _ in 0..count {
            let (new, _) = self.new_member();
            for member in &members {
                self.join(joining(member));
            }
            members.push(new);
        }
        assert_eq!(self.state(), State::CompletingRebalance);
        let leader = self.group().leader.clone().unwrap();
        members.sort_by_key(|member| *member != leader);
        (members, self.group().generation_id)
    }

    /// A group of `count` members in Stable; the first one leads.
    fn stable(&mut self, count: usize) -> (Vec<Arc<str>>, i32) {
        let (members, generation) = self.completing(count);
        self.assign_all(&members, generation);
        (members, generation)
    }

    /// Every member syncs; the first one, the leader, assigns each its own id.
    fn assign_all(&mut self, members: &[Arc<str>], generation: i32) {
        for member in members.iter().skip(1) {
            self.sync(syncing(member, generation, &[]));
        }
        let assignments: Vec<_> = members
            .iter()
            .map(|member| (&**member, &**member))
            .collect();
        let token = self.sync(syncing(&members[0], generation, &assignments));
        assert_eq!(self.synced(token).error, GroupError::None);
        assert_eq!(self.state(), State::Stable);
    }

    /// What a restart finds: a coordinator that has read the whole log.
    fn restarted(&self) -> Self {
        let mut bench = Self::replaying(&self.records);
        bench.now.wall_ms = self.now.wall_ms;
        let effects = bench.coordinator.loaded(bench.now);
        bench.take(effects);
        bench
    }

    fn replaying(records: &[GroupRecord]) -> Self {
        let mut bench = Self::new();
        bench.coordinator =
            GroupCoordinator::new(GroupConfig::default(), topics(), HashMap::new(), ids());
        for record in records {
            let stored = record.encode().unwrap();
            let read = GroupRecord::decode(&stored.key, stored.value.as_deref()).unwrap();
            assert_eq!(&read, record);
            bench.coordinator.replay(read);
        }
        bench.records = records.to_vec();
        bench
    }
}

/// A consumer's subscription to one topic.
fn subscription(topic: &str) -> Bytes {
    let mut blob = vec![0, 1, 0, 0, 0, 1, 0, u8::try_from(topic.len()).unwrap()];
    blob.extend_from_slice(topic.as_bytes());
    blob.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0]);
    Bytes::from(blob)
}

fn protocol(name: &str) -> Protocol {
    Protocol {
        name: name.into(),
        metadata: subscription("orders"),
    }
}

fn joining(member_id: &str) -> JoinRequest {
    JoinRequest {
        api_version: 9,
        client_id: "client".into(),
        client_host: "127.0.0.1".into(),
        group_id: GROUP.into(),
        member_id: member_id.into(),
        group_instance_id: None,
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range")],
    }
}

fn joining_as(instance: &str, member_id: &str) -> JoinRequest {
    JoinRequest {
        group_instance_id: Some(instance.into()),
        ..joining(member_id)
    }
}

fn offering(member_id: &str, protocols: &[&str]) -> JoinRequest {
    let protocols = protocols.iter().map(|name| protocol(name)).collect();
    JoinRequest {
        protocols,
        ..joining(member_id)
    }
}

fn syncing(member_id: &str, generation_id: i32, assignments: &[(&str, &str)]) -> SyncRequest {
    let to_assignment = |(member_id, assignment): &(&str, &str)| {
        (
            Arc::from(*member_id),
            Bytes::copy_from_slice(assignment.as_bytes()),
        )
    };
    SyncRequest {
        group_id: GROUP.into(),
        generation_id,
        member_id: member_id.into(),
        group_instance_id: None,
        protocol_type: Some("consumer".into()),
        protocol_name: None,
        assignments: assignments.iter().map(to_assignment).collect(),
    }
}

fn committing(member_id: &str, generation_id: i32, offset: i64) -> CommitOffsetsRequest {
    let partitions = vec![CommitPartition {
        partition_index: 0,
        committed_offset: offset,
        committed_leader_epoch: 3,
        committed_metadata: Some("note".into()),
    }];
    CommitOffsetsRequest {
        api_version: 9,
        group_id: GROUP.into(),
        generation_id,
        member_id: member_id.into(),
        group_instance_id: None,
        retention_time_ms: -1,
        topics: vec![CommitTopic {
            name: "orders".into(),
            topic_id: None,
            partitions,
        }],
    }
}
