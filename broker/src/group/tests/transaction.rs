//! Offsets committed in a transaction.

use super::*;

const PRODUCER: i64 = 5;

impl Bench {
    fn commit_in_transaction(&mut self, request: CommitOffsetsRequest) -> GroupError {
        let token = self.send(|token| Event::CommitInTransaction(token, PRODUCER, request));
        match self.replies.remove(&token) {
            Some(Reply::CommitOffsets(topics)) => topics[0].partitions[0].1,
            other => panic!("{other:?}"),
        }
    }

    fn end_transaction(&mut self, committed: bool) {
        let effects = self.coordinator.handle(
            Event::TransactionEnded {
                producer_id: PRODUCER,
                committed,
                group_ids: vec![GROUP.into()],
            },
            self.now,
        );
        self.records.extend(effects.records);
    }

    fn fetched(&mut self, require_stable: bool) -> (i64, GroupError) {
        let topics = vec![TopicPartitions {
            name: "orders".into(),
            topic_id: None,
            partitions: vec![0],
        }];
        let request = FetchOffsetsRequest {
            groups: vec![FetchOffsetsGroup {
                group_id: GROUP.into(),
                member_id: None,
                member_epoch: -1,
                topics: Some(topics),
            }],
            require_stable,
        };
        let token = self.send(|token| Event::FetchOffsets(token, request));
        match self.replies.remove(&token) {
            Some(Reply::FetchOffsets(groups)) => {
                let partition = &groups[0].topics[0].partitions[0];
                (partition.committed_offset, partition.error)
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn offsets_come_into_force_when_their_transaction_commits() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.commit_in_transaction(committing("", -1, 42)),
        GroupError::None
    );
    assert_eq!(bench.fetched(false), (-1, GroupError::None));
    assert_eq!(bench.fetched(true), (-1, GroupError::UnstableOffsetCommit));
    bench.end_transaction(true);
    assert_eq!(bench.fetched(true), (42, GroupError::None));
    assert_eq!(bench.restarted().fetched(true), (42, GroupError::None));
}

#[test]
fn offsets_of_an_aborted_transaction_leave_no_trace() {
    let mut bench = Bench::new();
    bench.commit(committing("", -1, 7));
    bench.commit_in_transaction(committing("", -1, 42));
    let mut bench = bench.restarted();
    bench.end_transaction(false);
    assert_eq!(bench.fetched(true), (7, GroupError::None));
    assert_eq!(bench.restarted().fetched(true), (7, GroupError::None));
}

#[test]
fn an_offset_committed_later_stays() {
    let mut bench = Bench::new();
    bench.commit_in_transaction(committing("", -1, 42));
    bench.commit(committing("", -1, 50));
    assert_eq!(bench.fetched(true), (50, GroupError::None));
    bench.end_transaction(true);
    assert_eq!(bench.fetched(true), (50, GroupError::None));
    assert_eq!(bench.restarted().fetched(true), (50, GroupError::None));
}

#[test]
fn a_member_of_an_old_generation_cannot_commit_in_a_transaction() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(2);
    let old = committing(&members[0], generation - 1, 42);
    assert_eq!(
        bench.commit_in_transaction(old),
        GroupError::IllegalGeneration
    );
    let stranger = committing("stranger", generation, 42);
    assert_eq!(
        bench.commit_in_transaction(stranger),
        GroupError::UnknownMemberId
    );
    let member = committing(&members[0], generation, 42);
    assert_eq!(bench.commit_in_transaction(member), GroupError::None);
    // Producers before KIP-447 say nothing of members.
    assert_eq!(
        bench.commit_in_transaction(committing("", -1, 43)),
        GroupError::None
    );
}

#[test]
fn a_generation_of_no_group_is_refused() {
    let mut bench = Bench::new();
    let request = committing("member", 3, 42);
    assert_eq!(
        bench.commit_in_transaction(request),
        GroupError::IllegalGeneration
    );
    assert!(bench.records.is_empty());
}

#[test]
fn a_deleted_group_takes_its_pending_offsets_along() {
    let mut bench = Bench::new();
    bench.commit_in_transaction(committing("", -1, 42));
    bench.send(|token| Event::DeleteGroups(token, vec![GROUP.into()]));
    bench.end_transaction(true);
    assert_eq!(bench.fetched(true), (-1, GroupError::None));
    assert_eq!(bench.coordinator.snapshot(), vec![]);
    assert_eq!(bench.restarted().coordinator.snapshot(), vec![]);
}

#[test]
fn an_offset_that_is_deleted_does_not_come_back_with_its_transaction() {
    let mut bench = Bench::new();
    bench.commit(committing("", -1, 7));
    bench.commit_in_transaction(committing("", -1, 42));
    let topics = vec![TopicPartitions {
        name: "orders".into(),
        topic_id: None,
        partitions: vec![0],
    }];
    bench.send(|token| {
        let group_id = GROUP.into();
        Event::DeleteOffsets(token, DeleteOffsetsRequest { group_id, topics })
    });
    let mut restarted = bench.restarted();
    for bench in [&mut bench, &mut restarted] {
        bench.end_transaction(true);
        assert_eq!(bench.fetched(true), (-1, GroupError::None));
    }
}

#[test]
fn a_topic_that_is_deleted_takes_the_offsets_of_all_groups_along_in_one_record() {
    let mut bench = Bench::new();
    bench.commit(committing("", -1, 7));
    bench.commit_in_transaction(committing("", -1, 42));
    bench.commit(CommitOffsetsRequest {
        group_id: "other".into(),
        ..committing("", -1, 1)
    });
    let before = bench.records.len();
    bench.event(Event::TopicChanged {
        name: "orders".into(),
        topic: None,
    });
    let topic = "orders".into();
    assert_eq!(
        bench.records[before..],
        [GroupRecord::TopicRemoved { topic }]
    );
    let mut restarted = bench.restarted();
    for bench in [&mut bench, &mut restarted] {
        assert_eq!(bench.coordinator.snapshot(), []);
        bench.end_transaction(true);
        assert_eq!(bench.fetched(true), (-1, GroupError::None));
    }
}
