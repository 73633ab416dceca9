//! Clients that act on a coordinator, and what is known of it from outside.

use std::collections::BTreeMap;

use super::*;

#[derive(Default, Clone)]
struct Client {
    member_id: Arc<str>,
    generation: i32,
}

pub(super) struct World {
    pub(super) bench: Bench,
    config: GroupConfig,
    clients: Vec<Client>,
    /// Requests not answered yet, and whose they are.
    pub(super) outstanding: BTreeMap<Token, usize>,
    /// What the log says is committed.
    pub(super) offsets: BTreeMap<OffsetKey, i64>,
    /// What it says is committed once the transactions of these producers are.
    pending: BTreeMap<i64, BTreeMap<OffsetKey, i64>>,
}

impl World {
    pub(super) fn new(delay_ms: u64) -> Self {
        let config = GroupConfig {
            max_size: MAX_SIZE,
            initial_rebalance_delay: Duration::from_millis(delay_ms),
            offsets_retention_check_interval: Duration::from_secs(6 * 3_600),
            ..GroupConfig::default()
        };
        Self {
            bench: Bench::with(config.clone()),
            config,
            clients: vec![Client::default(); CLIENTS],
            outstanding: BTreeMap::new(),
            offsets: BTreeMap::new(),
            pending: BTreeMap::new(),
        }
    }

    /// Even clients are in the first group, odd ones in the second; every third is static.
    fn group_of(client: usize) -> Arc<str> {
        GROUPS[client % GROUPS.len()].into()
    }

    fn instance_of(client: usize) -> Option<Arc<str>> {
        // Two clients share each instance id, so that they fence each other.
        (client.is_multiple_of(3)).then(|| format!("static-{}", client % 2).into())
    }

    pub(super) fn act(&mut self, act: Act) {
        match act {
            Act::Join {
                client,
                forgets_id,
                offer,
                version,
            } => {
                self.join(client, forgets_id, offer, version);
            }
            Act::Sync { client, behind } => self.sync(client, behind),
            Act::Heartbeat { client, behind } => {
                let request = HeartbeatRequest {
                    group_id: Self::group_of(client),
                    generation_id: self.clients[client].generation - behind,
                    member_id: self.clients[client].member_id.clone(),
                    group_instance_id: Self::instance_of(client),
                };
                self.send(client, |token| Event::Heartbeat(token, request));
            }
            Act::Leave { client } => {
                let member = LeavingMember {
                    member_id: self.clients[client].member_id.clone(),
                    group_instance_id: Self::instance_of(client),
                };
                let group_id = Self::group_of(client);
                let request = LeaveRequest {
                    api_version: 5,
                    group_id,
                    members: vec![member],
                };
                self.send(client, |token| Event::Leave(token, request));
            }
            Act::Commit {
                client,
                behind,
                offset,
            } => self.commit(client, behind, offset),
            Act::CommitAlone { group, offset } => {
                let group_id = GROUPS[group].into();
                let request = CommitOffsetsRequest {
                    group_id,
                    ..committing("", -1, offset)
                };
                self.send(0, |token| Event::CommitOffsets(token, request));
            }
            Act::CommitInTransaction {
                group,
                producer_id,
                offset,
            } => self.commit_in_transaction(group, producer_id, offset),
            Act::EndTransaction {
                producer_id,
                committed,
            } => self.end_transaction(producer_id, committed),
            Act::Abandon { nth } => {
                let Some(&token) = self.outstanding.keys().nth(nth) else {
                    return;
                };
                self.outstanding.remove(&token);
                self.event(Event::Abandoned(token));
            }
            Act::Pass { ms } => self.pass(Duration::from_millis(ms)),
            Act::Restart => self.restart(),
            act => self.administer(&act),
        }
    }

    fn administer(&mut self, act: &Act) {
        match *act {
            Act::DeleteGroup { group } => {
                self.send(0, |token| {
                    Event::DeleteGroups(token, vec![GROUPS[group].into()])
                });
            }
            Act::DeleteOffsets { group, topic } => {
                let name = TOPICS[topic].into();
                let topics = vec![TopicPartitions {
                    name,
                    topic_id: None,
                    partitions: vec![0],
                }];
                let request = DeleteOffsetsRequest {
                    group_id: GROUPS[group].into(),
                    topics,
                };
                self.send(0, |token| Event::DeleteOffsets(token, request));
            }
            Act::DeleteTopic { topic } => {
                self.event(Event::TopicChanged {
                    name: TOPICS[topic].into(),
                    topic: None,
                });
            }
            _ => {
                let before = self.bench.coordinator.snapshot();
                let groups = GROUPS.map(Arc::from).to_vec();
                let request = DescribeRequest {
                    api_version: 6,
                    groups,
                };
                self.send(0, |token| Event::Describe(token, request));
                self.send(0, |token| Event::List(token, ListRequest::default()));
                assert_eq!(
                    self.bench.coordinator.snapshot(),
                    before,
                    "looking changes nothing"
                );
            }
        }
    }

    fn join(&mut self, client: usize, forgets_id: bool, offer: u8, api_version: i16) {
        let offers: [&[&str]; 4] = [
            &["range"],
            &["range", "sticky"],
            &["sticky", "range"],
            &["sticky"],
        ];
        let member_id = if forgets_id {
            Arc::from("")
        } else {
            self.clients[client].member_id.clone()
        };
        let request = JoinRequest {
            api_version,
            group_id: Self::group_of(client),
            group_instance_id: Self::instance_of(client),
            rebalance_timeout_ms: [0, 20_000, 60_000][client % 3],
            session_timeout_ms: [6_000, 10_000, 45_000][client % 3],
            ..offering(&member_id, offers[usize::from(offer)])
        };
        self.send(client, |token| Event::Join(token, request));
    }

    fn sync(&mut self, client: usize, behind: i32) {
        let Client {
            member_id,
            generation,
        } = self.clients[client].clone();
        let assignments = [(&*member_id, "mine"), ("stranger", "nobody's")];
        let request = SyncRequest {
            group_id: Self::group_of(client),
            group_instance_id: Self::instance_of(client),
            ..syncing(&member_id, generation - behind, &assignments)
        };
        self.send(client, |token| Event::Sync(token, request));
    }

    fn commit(&mut self, client: usize, behind: i32, offset: i64) {
        let Client {
            member_id,
            generation,
        } = self.clients[client].clone();
        let generation_id = generation - behind;
        let group_id = Self::group_of(client);
        let group = self.bench.coordinator.groups.get(&group_id);
        let is_current = group.is_some_and(|group| {
            group.generation_id == generation_id && group.members.contains_key(&member_id)
        });
        let is_alone = generation_id < 0 && group.is_none_or(|group| group.members.is_empty());
        let before = self.offsets.clone();
        let mut request = committing(&member_id, generation_id, offset);
        request.group_id = group_id;
        request.group_instance_id = Self::instance_of(client);
        request.topics[0].name = TOPICS[client % TOPICS.len()].into();
        self.send(client, |token| Event::CommitOffsets(token, request));
        if !is_current && !is_alone {
            assert_eq!(self.offsets, before, "a stale generation committed");
        }
    }

    fn send(&mut self, client: usize, event: impl FnOnce(Token) -> Event) {
        self.bench.next_token += 1;
        let token = self.bench.next_token;
        self.outstanding.insert(token, client);
        self.event(event(token));
    }

    pub(super) fn pass(&mut self, by: Duration) {
        let start = self.bench.now;
        let end = start.monotonic + by;
        while let Some(at) = self.bench.coordinator.deadline().filter(|&at| at <= end) {
            self.bench
                .set_clock(start, at.max(self.bench.now.monotonic));
            self.event(Event::Tick);
        }
        self.bench.set_clock(start, end);
    }

    fn commit_in_transaction(&mut self, group: usize, producer_id: i64, offset: i64) {
        let request = CommitOffsetsRequest {
            group_id: GROUPS[group].into(),
            ..committing("", -1, offset)
        };
        self.send(0, |token| {
            Event::CommitInTransaction(token, producer_id, request)
        });
    }

    pub(super) fn end_transaction(&mut self, producer_id: i64, committed: bool) {
        self.event(Event::TransactionEnded {
            producer_id,
            committed,
            group_ids: GROUPS.map(Arc::from).into(),
        });
    }

    /// One event, and everything that must hold across it.
    fn event(&mut self, event: Event) {
        let may_drop = matches!(
            event,
            Event::CommitOffsets(..)
                | Event::DeleteGroups(..)
                | Event::DeleteOffsets(..)
                | Event::TopicChanged { .. }
                | Event::TransactionEnded {
                    committed: true,
                    ..
                }
                | Event::Tick
        );
        let generations: BTreeMap<Arc<str>, i32> = self
            .bench
            .coordinator
            .groups
            .iter()
            .map(|group| (group.group_id.clone(), group.generation_id))
            .collect();
        let before = self.offsets.clone();
        let effects = self.bench.coordinator.handle(event, self.bench.now);
        for record in &effects.records {
            self.apply(record);
        }
        self.bench.records.extend(effects.records);
        for (token, reply) in effects.replies {
            let client = self.outstanding.remove(&token);
            let client = client.expect("only a request that waits is answered, and once");
            self.learn(client, &reply);
        }
        for group in self.bench.coordinator.groups.iter() {
            let earlier = generations
                .get(&group.group_id)
                .copied()
                .unwrap_or_default();
            assert!(group.generation_id >= earlier, "the generation fell");
        }
        assert!(
            may_drop || self.offsets == before,
            "an offset changed by itself"
        );
        self.check();
    }

    fn apply(&mut self, record: &GroupRecord) {
        match record {
            GroupRecord::OffsetCommitted(key, offset) => {
                for pending in self.pending.values_mut() {
                    pending.remove(key);
                }
                self.offsets.insert(key.clone(), offset.committed_offset);
            }
            GroupRecord::OffsetDeleted(key) => {
                let mut had_some = self.offsets.remove(key).is_some();
                for pending in self.pending.values_mut() {
                    had_some |= pending.remove(key).is_some();
                }
                assert!(had_some, "a tombstone for nothing");
            }
            GroupRecord::GroupRemoved { group_id } => {
                self.forget(|key| key.group_id == *group_id);
            }
            GroupRecord::TopicRemoved { topic } => self.forget(|key| key.topic == *topic),
            GroupRecord::OffsetPending(producer_id, key, offset) => {
                let pending = self.pending.entry(*producer_id).or_default();
                pending.insert(key.clone(), offset.committed_offset);
            }
            GroupRecord::TransactionEnded {
                group_id,
                producer_id,
                committed,
            } => {
                let pending = self.pending.entry(*producer_id).or_default();
                let ended = pending.extract_if(.., |key, _| key.group_id == *group_id);
                self.offsets.extend(ended.filter(|_| *committed));
            }
            GroupRecord::GroupMetadata(_) | GroupRecord::GroupDeleted { .. } => {}
            other => panic!("{other:?} in a classic group"),
        }
    }

    fn forget(&mut self, is_gone: impl Fn(&OffsetKey) -> bool) {
        self.offsets.retain(|key, _| !is_gone(key));
        for pending in self.pending.values_mut() {
            pending.retain(|key, _| !is_gone(key));
        }
    }

    fn learn(&mut self, client: usize, reply: &Reply) {
        let Reply::Join(reply) = reply else { return };
        let client = &mut self.clients[client];
        match reply.error {
            GroupError::None => {
                client.member_id = reply.member_id.clone();
                client.generation = reply.generation_id;
                let leads = reply.leader == reply.member_id;
                assert!(
                    leads || reply.members.is_empty(),
                    "a follower was told the members"
                );
            }
            GroupError::MemberIdRequired => client.member_id = reply.member_id.clone(),
            GroupError::UnknownMemberId | GroupError::FencedInstanceId => {
                client.member_id = Arc::from("");
            }
            _ => {}
        }
    }

    /// The whole log gives the same hard state, and so does the hard state itself.
    pub(super) fn check_replay(&self) -> Bench {
        let snapshot = self.bench.coordinator.snapshot();
        let from_snapshot = Bench::replaying(&snapshot);
        assert_eq!(from_snapshot.coordinator.snapshot(), snapshot);
        let from_log = Bench::replaying(&self.bench.records);
        assert_eq!(from_log.coordinator.snapshot(), snapshot);
        from_log
    }

    fn restart(&mut self) {
        let mut restarted = self.check_replay();
        restarted.coordinator.config = self.config.clone();
        restarted.now.wall_ms = self.bench.now.wall_ms;
        restarted.next_token = self.bench.next_token;
        // Member ids stay unique across the restart, as random ones do.
        let mut next = u128::from(self.bench.next_token) << 64;
        restarted.coordinator.ids = Box::new(move || {
            next += 1;
            Uuid::from_u128(next)
        });
        let effects = restarted.coordinator.loaded(restarted.now);
        assert_eq!(effects, Effects::default());
        self.bench = restarted;
        self.outstanding.clear();
        self.check();
    }
}
