//! Groups whose members come from the classic protocol, and go back to it.

use ottla_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartitions as Partitions,
};

use super::*;

/// A consumer of the classic protocol: eager, or cooperative if it keeps what it has when it joins.
#[derive(Debug, Clone)]
struct Classic {
    member_id: Arc<str>,
    instance: Option<Arc<str>>,
    generation: i32,
    owned: Vec<i32>,
    is_cooperative: bool,
}

impl Classic {
    fn new() -> Self {
        Self {
            member_id: "".into(),
            instance: None,
            generation: -1,
            owned: Vec::new(),
            is_cooperative: false,
        }
    }

    fn fixed(instance: &str) -> Self {
        Self {
            instance: Some(instance.into()),
            ..Self::new()
        }
    }

    fn cooperative() -> Self {
        Self {
            is_cooperative: true,
            ..Self::new()
        }
    }

    fn joining(&self) -> JoinRequest {
        let partitions = |partitions: &[i32]| {
            vec![Partitions {
                topic: "orders".into(),
                partitions: partitions.to_vec(),
            }]
        };
        let subscription = ConsumerProtocolSubscription {
            topics: vec!["orders".into()],
            owned_partitions: partitions(&self.owned),
            ..ConsumerProtocolSubscription::default()
        };
        JoinRequest {
            group_instance_id: self.instance.clone(),
            protocols: vec![Protocol {
                name: "range".into(),
                metadata: subscription.to_bytes(1).unwrap(),
            }],
            ..joining(&self.member_id)
        }
    }

    /// JoinGroup; none while it waits.
    fn join(&mut self, bench: &mut Bench) -> Option<GroupError> {
        if !self.is_cooperative {
            self.owned.clear();
        }
        let token = bench.join(self.joining());
        let Some(Reply::Join(reply)) = bench.replies.remove(&token) else {
            return None;
        };
        self.take_join(bench, reply)
    }

    fn take_join(&mut self, bench: &mut Bench, reply: JoinReply) -> Option<GroupError> {
        match reply.error {
            GroupError::MemberIdRequired => {
                self.member_id = reply.member_id;
                self.join(bench)
            }
            GroupError::None => {
                self.member_id = reply.member_id;
                self.generation = reply.generation_id;
                Some(GroupError::None)
            }
            error => Some(error),
        }
    }

    fn syncing(&self, assignment: &[(&Self, &[i32])]) -> SyncRequest {
        let blob = |partitions: &[i32]| {
            let assignment = ConsumerProtocolAssignment {
                assigned_partitions: vec![Partitions {
                    topic: "orders".into(),
                    partitions: partitions.to_vec(),
                }],
                user_data: None,
            };
            assignment.to_bytes(1).unwrap()
        };
        SyncRequest {
            group_instance_id: self.instance.clone(),
            assignments: assignment
                .iter()
                .map(|(member, partitions)| (member.member_id.clone(), blob(partitions)))
                .collect(),
            ..syncing(&self.member_id, self.generation, &[])
        }
    }

    /// SyncGroup as a follower: takes what it is told.
    fn sync(&mut self, bench: &mut Bench) -> GroupError {
        let token = bench.sync(self.syncing(&[]));
        let Some(Reply::Sync(reply)) = bench.replies.remove(&token) else {
            panic!("it waits");
        };
        if reply.error == GroupError::None {
            let (_, assignment) = ConsumerProtocolAssignment::from_bytes(reply.assignment).unwrap();
            let of_topic = assignment.assigned_partitions.into_iter();
            self.owned = of_topic.flat_map(|topic| topic.partitions).collect();
        }
        reply.error
    }

    fn heartbeat(&self, bench: &mut Bench) -> GroupError {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            group_instance_id: self.instance.clone(),
        };
        let token = bench.send(|token| Event::Heartbeat(token, request));
        match bench.replies.remove(&token) {
            Some(Reply::Heartbeat(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    /// What a client does when it is its turn: a heartbeat, and what that asks for.
    fn turn(&mut self, bench: &mut Bench) {
        match self.heartbeat(bench) {
            GroupError::None => {}
            GroupError::RebalanceInProgress => {
                assert_eq!(self.join(bench), Some(GroupError::None));
                assert_eq!(self.sync(bench), GroupError::None);
            }
            other => panic!("{other:?}"),
        }
    }

    fn leave(&self, bench: &mut Bench) -> GroupError {
        let instance = self.instance.as_deref();
        bench.leave(&[(&self.member_id, instance)]).members[0].error
    }
}

/// A classic group of one with all four partitions.
fn classic(bench: &mut Bench, mut member: Classic) -> Classic {
    assert_eq!(member.join(bench), Some(GroupError::None));
    let all: &[i32] = &[0, 1, 2, 3];
    let token = bench.sync(member.syncing(&[(&member, all)]));
    assert_eq!(bench.synced(token).error, GroupError::None);
    bench.replies.remove(&token);
    member.owned = all.to_vec();
    member
}

fn settle(bench: &mut Bench, classic: &mut [&mut Classic], readers: &mut [&mut Reader]) {
    for _ in 0..10 {
        for member in &mut *classic {
            member.turn(bench);
        }
        for reader in &mut *readers {
            assert_eq!(reader.beat(bench), None);
        }
    }
    assert_eq!(bench.consumer_state(), ConsumerState::Stable);
    let mut all: Vec<i32> = classic
        .iter()
        .flat_map(|member| member.owned.clone())
        .collect();
    let of_readers = readers.iter().flat_map(|reader| reader.partitions());
    all.extend(of_readers.map(|(_, partition)| partition));
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3], "every partition has one owner");
}

#[test]
fn a_classic_group_in_use_becomes_a_consumer_group() {
    for member in [Classic::new(), Classic::cooperative()] {
        let mut bench = Bench::new();
        let mut old = classic(&mut bench, member);
        bench.commit(committing(&old.member_id, old.generation, 42));
        let mut new = Reader::new("new");
        new.join(&mut bench);
        assert_eq!(new.partitions(), [], "the old member has them");
        settle(&mut bench, &mut [&mut old], &mut [&mut new]);
        assert_eq!((old.owned.len(), new.partitions().len()), (2, 2));
        assert_eq!(bench.committed("orders"), 42);
        let mut bench = bench.restarted();
        settle(&mut bench, &mut [&mut old], &mut [&mut new]);
    }
}

#[test]
fn classic_members_join_and_leave_a_consumer_group() {
    let mut bench = Bench::new();
    let mut new = Reader::new("new");
    new.join(&mut bench);
    let (mut one, mut two) = (Classic::cooperative(), Classic::new());
    for member in [&mut one, &mut two] {
        assert_eq!(member.join(&mut bench), Some(GroupError::None));
        assert_eq!(member.sync(&mut bench), GroupError::None);
    }
    settle(&mut bench, &mut [&mut one, &mut two], &mut [&mut new]);
    let committed = bench.commit(committing(&one.member_id, one.generation, 1));
    assert_eq!(committed, GroupError::None);
    let stale = bench.commit(committing(&one.member_id, one.generation - 1, 2));
    assert_eq!(stale, GroupError::IllegalGeneration);
    assert_eq!(one.leave(&mut bench), GroupError::None);
    assert_eq!(one.leave(&mut bench), GroupError::UnknownMemberId);
    settle(&mut bench, &mut [&mut two], &mut [&mut new]);
}

#[test]
fn a_consumer_group_becomes_classic_when_its_last_member_of_that_protocol_goes() {
    let mut bench = Bench::new();
    let mut old = classic(&mut bench, Classic::cooperative());
    let mut new = Reader::new("new");
    new.join(&mut bench);
    settle(&mut bench, &mut [&mut old], &mut [&mut new]);
    let epoch = bench.consumer().group_epoch();
    bench.beat(new.leaving(-1)).unwrap();
    assert!(bench.group().consumer.is_none());
    assert_eq!(bench.state(), State::PreparingRebalance);
    // The member is asked to join again, and keeps what it has until it does.
    assert_eq!(bench.group().generation_id, epoch);
    assert_eq!(old.heartbeat(&mut bench), GroupError::RebalanceInProgress);
    assert_eq!(old.join(&mut bench), Some(GroupError::None));
    assert!(
        bench.group().generation_id > epoch,
        "generations go on from epochs"
    );
    let token = bench.sync(old.syncing(&[(&old, &[0, 1, 2, 3])]));
    assert_eq!(bench.synced(token).error, GroupError::None);
    let bench = bench.restarted();
    assert_eq!(bench.state(), State::Stable);
}

#[test]
fn a_member_that_expires_leaves_a_classic_group_too() {
    let mut bench = Bench::new();
    let mut old = classic(&mut bench, Classic::new());
    let mut new = Reader::new("new");
    new.join(&mut bench);
    settle(&mut bench, &mut [&mut old], &mut [&mut new]);
    for _ in 0..6 {
        bench.advance(Duration::from_secs(8));
        old.heartbeat(&mut bench);
    }
    assert!(bench.group().consumer.is_none());
    assert_eq!(bench.state(), State::PreparingRebalance);
}

#[test]
fn policy_decides_in_which_directions_groups_in_use_may_go() {
    let bench_with = |upgrade, downgrade| {
        Bench::with(GroupConfig {
            migration_policy: MigrationPolicy { upgrade, downgrade },
            ..GroupConfig::default()
        })
    };
    let mut bench = bench_with(false, true);
    classic(&mut bench, Classic::new());
    let new = Reader::new("new");
    assert_eq!(
        bench.consumer_error(new.joining()),
        Some(GroupError::GroupIdNotFound)
    );
    assert_eq!(bench.state(), State::Stable);

    let mut bench = bench_with(true, false);
    let mut old = classic(&mut bench, Classic::new());
    let mut new = Reader::new("new");
    new.join(&mut bench);
    settle(&mut bench, &mut [&mut old], &mut [&mut new]);
    bench.beat(new.leaving(-1)).unwrap();
    settle(&mut bench, &mut [&mut old], &mut []);
    assert_eq!(old.owned.len(), 4);
}

#[test]
fn a_group_that_is_not_of_consumers_cannot_become_a_consumer_group() {
    let mut bench = Bench::new();
    let connect = JoinRequest {
        protocol_type: "connect".into(),
        api_version: 3,
        ..joining("")
    };
    bench.join(connect);
    let refused = bench.consumer_error(Reader::new("new").joining());
    assert_eq!(refused, Some(GroupError::GroupIdNotFound));
}

#[test]
fn a_group_whose_members_cannot_be_understood_stays_classic() {
    let mut bench = Bench::new();
    let mut request = joining("");
    request.api_version = 3;
    request.protocols[0].metadata = Bytes::from_static(b"\0\x01");
    bench.join(request);
    let before = bench.state();
    let refused = bench.consumer_error(Reader::new("new").joining());
    assert_eq!(refused, Some(GroupError::GroupIdNotFound));
    assert_eq!(bench.state(), before);
}

#[test]
fn members_that_wait_in_a_classic_group_are_told_to_join_again() {
    let mut bench = Bench::new();
    let old = classic(&mut bench, Classic::new());
    let mut second = Classic::new();
    assert_eq!(second.join(&mut bench), None, "it waits for the first");
    let waiting = *bench.coordinator.parked.keys().next().unwrap();
    Reader::new("new").join(&mut bench);
    assert_eq!(bench.joined(waiting).error, GroupError::RebalanceInProgress);
    assert_eq!(bench.coordinator.parked.len(), 0);
    assert_eq!(old.heartbeat(&mut bench), GroupError::RebalanceInProgress);
}

#[test]
fn a_partition_that_a_leader_assigned_twice_has_one_owner() {
    let mut bench = Bench::new();
    let mut old = classic(&mut bench, Classic::cooperative());
    let mut second = Classic::cooperative();
    second.join(&mut bench);
    old.join(&mut bench);
    let waiting: Vec<_> = bench.replies.drain().collect();
    for (_, reply) in waiting {
        if let Reply::Join(reply) = reply {
            let of_old = reply.member_id == old.member_id;
            let member = if of_old { &mut old } else { &mut second };
            member.generation = reply.generation_id;
            member.member_id = reply.member_id;
        }
    }
    let generation = bench.group().generation_id;
    (old.generation, second.generation) = (generation, generation);
    let twice: &[i32] = &[0, 1, 2, 3];
    bench.sync(old.syncing(&[(&old, twice), (&second, twice)]));
    bench.sync(second.syncing(&[]));
    bench.replies.clear();
    Reader::new("new").join(&mut bench);
    let members = bench.consumer().members();
    let assigned: usize = members.map(|member| member.value.assigned.len()).sum();
    assert_eq!(assigned, 4);
}

#[test]
fn an_empty_group_is_of_the_protocol_of_its_next_member() {
    let mut bench = Bench::new();
    let mut new = Reader::new("new");
    new.join(&mut bench);
    let epoch = bench.consumer().group_epoch();
    bench.beat(new.leaving(-1)).unwrap();
    let old = classic(&mut bench, Classic::new());
    assert!(old.generation > epoch, "generations go on from epochs");
    old.leave(&mut bench);
    new.join(&mut bench);
    assert!(new.epoch > old.generation, "and epochs from generations");
    assert_eq!(new.partitions().len(), 4);
    assert_eq!(
        bench.restarted().coordinator.snapshot(),
        bench.coordinator.snapshot()
    );
}

#[test]
fn a_static_member_changes_its_protocol_and_back() {
    let mut bench = Bench::new();
    let mut old = classic(&mut bench, Classic::fixed("one"));
    let mut new = Reader::fixed("new", "one");
    new.join(&mut bench);
    assert_eq!(new.partitions().len(), 4, "it has what it had");
    assert_eq!(old.heartbeat(&mut bench), GroupError::FencedInstanceId);
    old.member_id = "".into();
    assert_eq!(old.join(&mut bench), Some(GroupError::None));
    assert!(
        bench.group().consumer.is_none(),
        "its only member is classic"
    );
    assert_eq!(
        bench.consumer_error(new.beating()),
        Some(GroupError::GroupIdNotFound)
    );
    assert_eq!(bench.restarted().state(), State::Stable);
}

#[test]
fn a_classic_member_that_does_not_join_or_sync_in_time_is_fenced() {
    let mut bench = Bench::new();
    let mut old = classic(&mut bench, Classic::new());
    let mut new = Reader::new("new");
    new.join(&mut bench);
    for _ in 0..9 {
        bench.advance(Duration::from_secs(8));
        new.beat(&mut bench);
        old.heartbeat(&mut bench);
    }
    assert_eq!(
        old.heartbeat(&mut bench),
        GroupError::UnknownMemberId,
        "it did not join"
    );
    old.member_id = "".into();
    assert_eq!(old.join(&mut bench), Some(GroupError::None));
    for _ in 0..9 {
        bench.advance(Duration::from_secs(8));
        new.beat(&mut bench);
        old.heartbeat(&mut bench);
    }
    assert_eq!(
        old.heartbeat(&mut bench),
        GroupError::UnknownMemberId,
        "it did not sync"
    );
}

#[test]
fn classic_members_of_a_consumer_group_must_have_a_protocol_in_common() {
    let mut bench = Bench::new();
    Reader::new("new").join(&mut bench);
    let mut old = Classic::new();
    assert_eq!(old.join(&mut bench), Some(GroupError::None));
    let mut join = |change: fn(&mut JoinRequest)| {
        let mut request = Classic::new().joining();
        change(&mut request);
        let token = bench.join(request);
        bench.joined(token).error
    };
    let inconsistent = GroupError::InconsistentGroupProtocol;
    assert_eq!(
        join(|request| request.protocols[0].name = "other".into()),
        inconsistent
    );
    assert_eq!(
        join(|request| request.protocol_type = "connect".into()),
        inconsistent
    );
    assert_eq!(join(|request| request.protocols.clear()), inconsistent);
    assert_eq!(
        join(|request| {
            request.api_version = 3;
            request.protocols[0].metadata = Bytes::from_static(b"\0");
        }),
        inconsistent
    );
}

#[test]
fn a_static_member_of_the_consumer_protocol_is_removed_by_its_name() {
    let mut bench = Bench::new();
    let mut new = Reader::new("new");
    new.instance = Some("one".into());
    new.join(&mut bench);
    let left = bench.leave(&[("", Some("two"))]);
    assert_eq!(left.members[0].error, GroupError::UnknownMemberId);
    let left = bench.leave(&[("", Some("one"))]);
    assert_eq!(left.members[0].error, GroupError::None);
    assert!(bench.consumer().is_empty());
}

#[test]
fn a_consumer_member_is_none_of_the_classic_protocols_business() {
    let mut bench = Bench::new();
    let mut new = Reader::new("new");
    new.join(&mut bench);
    assert_eq!(
        bench.heartbeat("new", new.epoch),
        GroupError::UnknownMemberId
    );
    let token = bench.sync(syncing("new", new.epoch, &[]));
    assert_eq!(bench.synced(token).error, GroupError::UnknownMemberId);
    let left = bench.leave(&[("new", None)]);
    assert_eq!(left.members[0].error, GroupError::UnknownMemberId);
    let request = DescribeRequest {
        api_version: 6,
        groups: vec![GROUP.into()],
    };
    let token = bench.send(|token| Event::Describe(token, request));
    let Some(Reply::Describe(groups)) = bench.replies.get(&token) else {
        panic!()
    };
    assert_eq!(groups[0].error, GroupError::GroupIdNotFound);
}
