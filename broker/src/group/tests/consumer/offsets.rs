//! Offsets of consumer groups.

use super::*;

fn fetch(bench: &mut Bench, member_id: Option<&str>, member_epoch: i32) -> GroupError {
    let request = FetchOffsetsRequest {
        groups: vec![FetchOffsetsGroup {
            group_id: GROUP.into(),
            member_id: member_id.map(Arc::from),
            member_epoch,
            topics: None,
        }],
        require_stable: false,
    };
    let token = bench.send(|token| Event::FetchOffsets(token, request));
    match bench.replies.remove(&token) {
        Some(Reply::FetchOffsets(groups)) => groups[0].error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_member_commits_at_its_epoch_only() {
    let mut bench = Bench::new();
    let (a, _) = pair(&mut bench);
    assert_eq!(bench.commit(committing("a", a.epoch, 1)), GroupError::None);
    assert_eq!(bench.committed("orders"), 1);
    assert_eq!(
        bench.commit(committing("a", a.epoch + 1, 2)),
        GroupError::StaleMemberEpoch
    );
    assert_eq!(
        bench.commit(committing("c", 1, 2)),
        GroupError::UnknownMemberId
    );
    assert_eq!(
        bench.commit(committing("", -1, 2)),
        GroupError::UnknownMemberId
    );
    let old = CommitOffsetsRequest {
        api_version: 8,
        ..committing("a", a.epoch, 2)
    };
    assert_eq!(bench.commit(old), GroupError::UnsupportedVersion);
    assert_eq!(bench.committed("orders"), 1);
}

#[test]
fn an_earlier_epoch_commits_what_the_member_has_had_since_then() {
    let mut bench = Bench::new();
    let (a, b) = pair(&mut bench);
    // a has had its partitions since epoch 1, b since epoch 2.
    let mut commit = |reader: &Reader, epoch, partition| {
        let mut request = committing(&reader.member_id, epoch, 7);
        request.topics[0].partitions[0].partition_index = partition;
        bench.commit(request)
    };
    let first = |reader: &Reader| reader.partitions()[0].1;
    assert_eq!(commit(&a, 1, first(&a)), GroupError::None);
    assert_eq!(commit(&a, 0, first(&a)), GroupError::StaleMemberEpoch);
    assert_eq!(commit(&b, 1, first(&b)), GroupError::StaleMemberEpoch);
    assert_eq!(
        commit(&a, 1, first(&b)),
        GroupError::StaleMemberEpoch,
        "not its own"
    );
    assert_eq!(commit(&b, 2, first(&b)), GroupError::None);
}

#[test]
fn anybody_commits_while_there_are_no_members() {
    let mut bench = Bench::new();
    let mut a = Reader::new("a");
    a.join(&mut bench);
    bench.beat(a.leaving(-1)).unwrap();
    assert_eq!(bench.commit(committing("", -1, 5)), GroupError::None);
    assert_eq!(
        bench.commit(committing("a", 1, 6)),
        GroupError::UnknownMemberId
    );
}

#[test]
fn a_member_fetches_at_its_epoch_only() {
    let mut bench = Bench::new();
    let (a, _) = pair(&mut bench);
    assert_eq!(fetch(&mut bench, Some("a"), a.epoch), GroupError::None);
    assert_eq!(
        fetch(&mut bench, None, -1),
        GroupError::None,
        "who is no member"
    );
    assert_eq!(
        fetch(&mut bench, Some("a"), 1),
        GroupError::StaleMemberEpoch
    );
    assert_eq!(fetch(&mut bench, Some("c"), 1), GroupError::UnknownMemberId);
}

#[test]
fn a_transaction_commits_for_a_member_at_its_epoch_only() {
    let mut bench = Bench::new();
    let (a, _) = pair(&mut bench);
    let mut commit = |member_id: &str, epoch| {
        let request = committing(member_id, epoch, 1);
        let token = bench.send(|token| Event::CommitInTransaction(token, 7, request));
        match bench.replies.remove(&token) {
            Some(Reply::CommitOffsets(topics)) => topics[0].partitions[0].1,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(commit("a", a.epoch), GroupError::None);
    assert_eq!(commit("a", a.epoch + 1), GroupError::IllegalGeneration);
    assert_eq!(commit("c", 1), GroupError::UnknownMemberId);
}

#[test]
fn offsets_of_topics_that_members_read_are_neither_deleted_nor_expired() {
    let mut bench = Bench::new();
    let mut a = Reader::matching("a", "ord.*");
    a.join(&mut bench);
    let of = |topic: &str| {
        let mut request = committing("a", a.epoch, 1);
        request.topics[0].name = topic.into();
        request
    };
    bench.commit(of("orders"));
    bench.commit(of("payments"));
    let mut delete = |topic: &str| {
        let request = DeleteOffsetsRequest {
            group_id: GROUP.into(),
            topics: vec![TopicPartitions {
                name: topic.into(),
                topic_id: None,
                partitions: vec![0],
            }],
        };
        let token = bench.send(|token| Event::DeleteOffsets(token, request));
        match bench.replies.remove(&token) {
            Some(Reply::DeleteOffsets(reply)) => (reply.error, reply.topics[0].partitions[0].1),
            other => panic!("{other:?}"),
        }
    };
    let subscribed = GroupError::GroupSubscribedToTopic;
    assert_eq!(delete("orders"), (GroupError::None, subscribed));
    assert_eq!(delete("payments"), (GroupError::None, GroupError::None));
    assert_eq!(bench.committed("payments"), -1);
}

#[test]
fn an_empty_group_is_gone_when_its_offsets_are() {
    let mut bench = Bench::new();
    let mut a = Reader::new("a");
    a.join(&mut bench);
    bench.commit(committing("a", a.epoch, 1));
    bench.beat(a.leaving(-1)).unwrap();
    bench.advance(Duration::from_secs(8 * 24 * 3_600));
    assert_eq!(bench.coordinator.groups.len(), 0);
    assert_eq!(bench.restarted().coordinator.snapshot(), vec![]);
}

#[test]
fn a_producer_that_does_not_say_of_which_member_commits_in_a_transaction() {
    let mut bench = Bench::new();
    pair(&mut bench);
    let token = bench.send(|token| Event::CommitInTransaction(token, 7, committing("", -1, 1)));
    let Some(Reply::CommitOffsets(topics)) = bench.replies.remove(&token) else {
        panic!("no reply");
    };
    assert_eq!(topics[0].partitions[0].1, GroupError::None);
}
