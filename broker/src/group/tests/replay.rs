//! What survives a restart.

use super::*;

#[test]
fn a_stable_group_goes_on_after_a_restart() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(2);
    bench.commit(committing(&members[0], generation, 42));
    let mut bench = bench.restarted();
    assert_eq!(bench.state(), State::Stable);
    assert_eq!(bench.heartbeat(&members[0], generation), GroupError::None);
    assert_eq!(bench.committed("orders"), 42);
    let token = bench.sync(syncing(&members[1], generation, &[]));
    assert_eq!(bench.synced(token).assignment, members[1].as_bytes());
}

#[test]
fn members_get_a_fresh_session_timeout_after_a_restart() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(1);
    bench.advance(SESSION - Duration::from_millis(1));
    let mut bench = bench.restarted();
    bench.advance(SESSION - Duration::from_millis(1));
    assert_eq!(bench.heartbeat(&members[0], generation), GroupError::None);
    bench.advance(SESSION);
    assert_eq!(bench.state(), State::Empty);
}

#[test]
fn a_generation_whose_assignment_was_not_written_never_was() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(1);
    bench.join(joining(&members[0]));
    assert_eq!(bench.group().generation_id, generation + 1);
    let mut bench = bench.restarted();
    assert_eq!(
        bench.heartbeat(&members[0], generation + 1),
        GroupError::IllegalGeneration
    );
    let token = bench.join(joining(&members[0]));
    assert_eq!(
        bench.joined(token).error,
        GroupError::None,
        "the member joins again"
    );
}

#[test]
fn all_protocols_of_a_member_survive_so_that_it_need_not_rebalance() {
    let mut bench = Bench::new();
    let offer = ["range", "sticky"];
    let token = bench.join(JoinRequest {
        api_version: 3,
        ..offering("", &offer)
    });
    let leader = bench.joined(token).member_id.clone();
    let second = bench.join(JoinRequest {
        api_version: 3,
        ..offering("", &offer)
    });
    bench.join(offering(&leader, &offer));
    let follower = bench.joined(second).member_id.clone();
    bench.assign_all(&[leader, follower.clone()], 2);
    let mut bench = bench.restarted();
    let token = bench.join(offering(&follower, &offer));
    assert_eq!(bench.joined(token).generation_id, 2);
    assert_eq!(bench.state(), State::Stable);
}

#[test]
fn static_members_are_still_fenced_after_a_restart() {
    let mut bench = Bench::new();
    let token = bench.join(joining_as("a", ""));
    let old = bench.joined(token).member_id.clone();
    bench.assign_all(std::slice::from_ref(&old), 1);
    bench.join(joining_as("a", ""));
    let mut bench = bench.restarted();
    let token = bench.join(joining_as("a", &old));
    assert_eq!(bench.joined(token).error, GroupError::FencedInstanceId);
}

#[test]
fn the_last_record_of_each_key_is_enough() {
    let mut bench = Bench::new();
    let (members, generation) = bench.stable(2);
    for offset in 0..5 {
        bench.commit(committing(&members[0], generation, offset));
    }
    bench.leave(&[(&members[0], None), (&members[1], None)]);
    bench.commit(CommitOffsetsRequest {
        group_id: "other".into(),
        ..committing("", -1, 9)
    });
    bench.send(|token| Event::DeleteGroups(token, vec!["other".into()]));
    let key = |record: &GroupRecord| record.encode().unwrap().key;
    let is_last = |&(at, record): &(usize, &GroupRecord)| {
        bench.records[at + 1..]
            .iter()
            .all(|later| key(later) != key(record))
    };
    let compacted: Vec<GroupRecord> = bench
        .records
        .iter()
        .enumerate()
        .filter(is_last)
        .map(|(_, record)| record.clone())
        .collect();
    assert!(compacted.len() < bench.records.len());
    let replayed = Bench::replaying(&compacted);
    assert_eq!(
        replayed.coordinator.snapshot(),
        bench.coordinator.snapshot()
    );
}

#[test]
fn a_damaged_record_is_an_error() {
    let mut bench = Bench::new();
    bench.stable(1);
    let stored = bench.records[0].encode().unwrap();
    let mut value = stored.value.unwrap();
    value[20] ^= 1;
    let read = GroupRecord::decode(&stored.key, Some(&value));
    assert!(
        matches!(read, Err(RecordError::Checksum { .. })),
        "{read:?}"
    );
    let read = GroupRecord::decode(&stored.key[..3], None);
    assert!(matches!(read, Err(RecordError::Short(3))), "{read:?}");
}
