//! Committing, fetching and deleting offsets.

use super::*;

fn fetch(bench: &mut Bench, topics: Option<Vec<TopicPartitions>>) -> FetchedGroup {
    let group = FetchOffsetsGroup {
        group_id: GROUP.into(),
        member_id: None,
        member_epoch: -1,
        topics,
    };
    let request = FetchOffsetsRequest {
        groups: vec![group],
        require_stable: false,
    };
    let token = bench.send(|token| Event::FetchOffsets(token, request));
    match bench.replies.remove(&token) {
        Some(Reply::FetchOffsets(mut groups)) => groups.remove(0),
        other => panic!("{other:?}"),
    }
}

fn delete(bench: &mut Bench, topic: &str) -> DeleteOffsetsReply {
    let topics = vec![TopicPartitions {
        name: topic.into(),
        topic_id: None,
        partitions: vec![0, 1],
    }];
    let request = DeleteOffsetsRequest {
        group_id: GROUP.into(),
        topics,
    };
    let token = bench.send(|token| Event::DeleteOffsets(token, request));
    match bench.replies.remove(&token) {
        Some(Reply::DeleteOffsets(reply)) => reply,
        other => panic!("{other:?}"),
    }
}

fn at_topic(topic: &str, offset: i64) -> CommitOffsetsRequest {
    let mut request = committing("", -1, offset);
    request.topics[0].name = topic.into();
    request
}

#[test]
fn what_was_committed_is_fetched() {
    let mut bench = Bench::new();
    let mut request = committing("", -1, 42);
    request.topics[0].topic_id = Some(Uuid::from_u128(9));
    assert_eq!(bench.commit(request), GroupError::None);
    let expected = FetchedTopic {
        name: "orders".into(),
        topic_id: Some(Uuid::from_u128(9)),
        partitions: vec![FetchedPartition {
            partition_index: 0,
            committed_offset: 42,
            committed_leader_epoch: 3,
            metadata: "note".into(),
            error: GroupError::None,
        }],
    };
    assert_eq!(fetch(&mut bench, None).topics, [expected]);
}

#[test]
fn nothing_committed_is_offset_minus_one_and_no_error() {
    let mut bench = Bench::new();
    assert_eq!(bench.committed("orders"), -1, "no such group");
    bench.commit(committing("", -1, 42));
    assert_eq!(bench.committed("payments"), -1, "no such topic");
    assert_eq!(fetch(&mut Bench::new(), None).topics, []);
}

#[test]
fn a_commit_to_a_missing_group_creates_one_that_only_stores_offsets() {
    let mut bench = Bench::new();
    assert_eq!(bench.commit(committing("", -1, 42)), GroupError::None);
    assert_eq!(bench.state(), State::Empty);
    assert_eq!(bench.group().protocol_type, None);
    let [GroupRecord::OffsetCommitted(key, offset)] = &bench.records[..] else {
        panic!("{:?}", bench.records)
    };
    assert_eq!(
        (&*key.topic, key.partition, offset.committed_offset),
        ("orders", 0, 42)
    );
}

#[test]
fn a_member_of_a_missing_group_learns_so_from_version_9() {
    let mut bench = Bench::new();
    for (api_version, error) in [
        (8, GroupError::IllegalGeneration),
        (9, GroupError::GroupIdNotFound),
    ] {
        let request = CommitOffsetsRequest {
            api_version,
            ..committing("a", 1, 42)
        };
        assert_eq!(bench.commit(request), error);
    }
    assert!(bench.records.is_empty());
}

#[test]
fn a_commit_keeps_the_session() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(1);
    for offset in 0..5 {
        bench.advance(SESSION / 2);
        assert_eq!(
            bench.commit(committing(&members[0], generation, offset)),
            GroupError::None
        );
    }
}

/// A delayed copy of a commit that was repeated looks just like a member that goes back: nothing in the request tells
/// them apart. Apache Kafka 4.3 replaces the offset as well (seed 14843 of the simulation).
#[test]
fn a_member_may_commit_a_smaller_offset_than_before() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(1);
    for offset in [3, 5, 3] {
        let commit = committing(&members[0], generation, offset);
        assert_eq!(bench.commit(commit), GroupError::None);
        assert_eq!(bench.committed("orders"), offset);
    }
}

#[test]
fn a_member_may_commit_while_a_rebalance_is_prepared() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(1);
    bench.new_member();
    assert_eq!(
        bench.commit(committing(&members[0], generation, 5)),
        GroupError::None
    );
    assert_eq!(bench.committed("orders"), 5);
}

#[test]
fn metadata_over_the_limit_fails_its_partition_only() {
    let mut bench = Bench::new();
    let mut request = committing("", -1, 42);
    let mut long = request.topics[0].partitions[0].clone();
    long.partition_index = 1;
    long.committed_metadata = Some("x".repeat(4_097).into());
    request.topics[0].partitions.push(long.clone());
    long.partition_index = 2;
    long.committed_metadata = Some("x".repeat(4_096).into());
    request.topics[0].partitions.push(long);
    let token = bench.send(|token| Event::CommitOffsets(token, request));
    let Some(Reply::CommitOffsets(topics)) = bench.replies.get(&token) else {
        panic!()
    };
    let expected = [
        (0, GroupError::None),
        (1, GroupError::OffsetMetadataTooLarge),
        (2, GroupError::None),
    ];
    assert_eq!(topics[0].partitions, expected);
    assert_eq!(bench.records.len(), 2);
}

#[test]
fn several_groups_are_fetched_at_once() {
    let mut bench = Bench::new();
    bench.commit(committing("", -1, 42));
    let group = |id: &str| FetchOffsetsGroup {
        group_id: id.into(),
        member_id: None,
        member_epoch: -1,
        topics: None,
    };
    let request = FetchOffsetsRequest {
        groups: vec![group("other"), group(GROUP)],
        require_stable: true,
    };
    let token = bench.send(|token| Event::FetchOffsets(token, request));
    let Some(Reply::FetchOffsets(groups)) = bench.replies.get(&token) else {
        panic!()
    };
    let counts: Vec<_> = groups.iter().map(|group| group.topics.len()).collect();
    assert_eq!(counts, [0, 1]);
}

#[test]
fn offsets_of_a_topic_that_is_read_cannot_be_deleted() {
    let mut bench = Bench::new();
    bench.commit(at_topic("orders", 1));
    bench.commit(at_topic("payments", 2));
    bench.stable(1);
    let reply = delete(&mut bench, "orders");
    assert_eq!(
        reply.topics[0].partitions[0].1,
        GroupError::GroupSubscribedToTopic
    );
    let reply = delete(&mut bench, "payments");
    assert_eq!(
        reply.topics[0].partitions,
        [(0, GroupError::None), (1, GroupError::None)]
    );
    assert_eq!(
        (bench.committed("orders"), bench.committed("payments")),
        (1, -1)
    );
}

#[test]
fn offsets_are_not_deleted_while_the_subscription_is_unknown() {
    let mut bench = Bench::new();
    bench.commit(at_topic("payments", 2));
    let opaque = Protocol {
        name: "range".into(),
        metadata: Bytes::from_static(b"?"),
    };
    bench.join(JoinRequest {
        api_version: 3,
        protocols: vec![opaque],
        ..joining("")
    });
    let reply = delete(&mut bench, "payments");
    assert_eq!(
        reply.topics[0].partitions[0].1,
        GroupError::GroupSubscribedToTopic
    );
}

#[test]
fn offsets_of_a_live_group_that_is_not_of_consumers_cannot_be_deleted() {
    let mut bench = Bench::new();
    bench.join(JoinRequest {
        api_version: 3,
        protocol_type: "connect".into(),
        ..joining("")
    });
    assert_eq!(
        delete(&mut bench, "orders").error,
        GroupError::NonEmptyGroup
    );
}

#[test]
fn offsets_of_a_missing_group_cannot_be_deleted() {
    let mut bench = Bench::new();
    assert_eq!(
        delete(&mut bench, "orders").error,
        GroupError::GroupIdNotFound
    );
    let request = DeleteOffsetsRequest {
        group_id: "".into(),
        topics: Vec::new(),
    };
    let token = bench.send(|token| Event::DeleteOffsets(token, request));
    let Some(Reply::DeleteOffsets(reply)) = bench.replies.get(&token) else {
        panic!()
    };
    assert_eq!(reply.error, GroupError::InvalidGroupId);
}

#[test]
fn a_group_that_only_stored_offsets_goes_with_the_last_one() {
    let mut bench = Bench::new();
    bench.commit(committing("", -1, 42));
    delete(&mut bench, "orders");
    assert_eq!(bench.state(), State::Dead);
    assert_eq!(bench.coordinator.snapshot(), []);
}

#[test]
fn the_offsets_of_a_deleted_topic_go_in_every_group() {
    let mut bench = Bench::new();
    bench.commit(at_topic("orders", 1));
    bench.commit(at_topic("payments", 2));
    bench.commit(CommitOffsetsRequest {
        group_id: "other".into(),
        ..at_topic("orders", 3)
    });
    for name in ["orders", "never-was"] {
        bench.set_topic(name, None);
    }
    assert_eq!(
        (bench.committed("orders"), bench.committed("payments")),
        (-1, 2)
    );
    assert_eq!(bench.coordinator.snapshot().len(), 1);
}
