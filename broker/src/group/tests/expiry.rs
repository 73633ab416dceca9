//! Offsets and groups that are no longer of use.

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const CHECK: Duration = Duration::from_secs(10 * 60);

#[test]
fn offsets_of_a_simple_group_expire_after_their_commit() {
    let mut bench = Bench::new();
    bench.commit(committing("", -1, 42));
    bench.advance(7 * DAY - CHECK);
    assert_eq!(bench.committed("orders"), 42);
    bench.advance(CHECK);
    assert_eq!(bench.committed("orders"), -1);
    assert_eq!(bench.state(), State::Dead);
    assert!(matches!(
        bench.records.last(),
        Some(GroupRecord::OffsetDeleted(_))
    ));
}

#[test]
fn offsets_of_a_group_expire_after_it_became_empty() {
    let mut bench = Bench::new();
    let patient = JoinRequest {
        api_version: 3,
        session_timeout_ms: 1_800_000,
        ..joining("")
    };
    let token = bench.join(patient);
    let members = [bench.joined(token).member_id.clone()];
    let generation = 1;
    bench.assign_all(&members, generation);
    bench.commit(committing(&members[0], generation, 42));
    for _ in 0..8 * 24 * 3 {
        bench.advance(Duration::from_secs(20 * 60));
        assert_eq!(bench.heartbeat(&members[0], generation), GroupError::None);
    }
    assert_eq!(bench.committed("orders"), 42, "in use for eight days");
    bench.leave(&[(&members[0], None)]);
    bench.advance(7 * DAY - CHECK);
    assert_eq!(bench.committed("orders"), 42);
    bench.advance(2 * CHECK);
    assert_eq!(bench.state(), State::Dead);
    assert_eq!(bench.coordinator.snapshot(), []);
    assert!(matches!(
        bench.records.last(),
        Some(GroupRecord::GroupRemoved { .. })
    ));
}

#[test]
fn offsets_of_topics_nobody_reads_expire_in_a_stable_group() {
    let mut bench = Bench::new();
    let mut request = committing("", -1, 42);
    request.topics[0].name = "payments".into();
    bench.commit(request);
    bench.commit(committing("", -1, 42));
    bench.advance(7 * DAY - CHECK);
    let (members, generation) = bench.stable(1);
    for _ in 0..240 {
        bench.advance(Duration::from_secs(5));
        assert_eq!(bench.heartbeat(&members[0], generation), GroupError::None);
    }
    assert_eq!(
        (bench.committed("payments"), bench.committed("orders")),
        (-1, 42)
    );
}

#[test]
fn a_retention_given_with_the_commit_counts_instead() {
    let mut bench = Bench::new();
    bench.commit(CommitOffsetsRequest {
        retention_time_ms: 3_600_000,
        api_version: 4,
        ..committing("", -1, 42)
    });
    bench.advance(Duration::from_secs(3_600) - CHECK);
    assert_eq!(bench.committed("orders"), 42);
    bench.advance(CHECK);
    assert_eq!(bench.committed("orders"), -1);
}

#[test]
fn an_empty_group_without_offsets_is_deleted_at_the_next_check() {
    let mut bench = Bench::new();
    let (members, _) = bench.stable(1);
    bench.leave(&[(&members[0], None)]);
    assert_eq!(bench.state(), State::Empty);
    bench.advance(CHECK);
    assert_eq!(bench.state(), State::Dead);
}

#[test]
fn a_clock_set_back_expires_nothing() {
    let mut bench = Bench::new();
    bench.commit(committing("", -1, 42));
    bench.now.wall_ms = 0;
    bench.advance(CHECK);
    assert_eq!(bench.committed("orders"), 42);
}

#[test]
fn a_round_of_expiry_is_bounded_and_the_rest_follows_soon() {
    let mut bench = Bench::new();
    let mut request = committing("", -1, 42);
    let partition = request.topics[0].partitions[0].clone();
    let at = |partition_index| CommitPartition {
        partition_index,
        ..partition.clone()
    };
    request.topics[0].partitions = (0..25_000).map(at).collect();
    bench.commit(request);
    bench.advance(7 * DAY);
    assert_eq!(bench.group().offset_count, 15_000);
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.group().offset_count, 5_000);
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.state(), State::Dead);
}
