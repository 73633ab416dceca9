//! Everything a peer can grow has an end.

use super::*;

fn small(max_size: usize) -> Bench {
    Bench::with(GroupConfig {
        max_size,
        ..GroupConfig::default()
    })
}

#[test]
fn a_full_group_takes_nobody_in() {
    let mut bench = small(2);
    let (members, generation) = bench.stable(2);
    let token = bench.join(joining(""));
    assert_eq!(bench.joined(token).error, GroupError::GroupMaxSizeReached);
    let token = bench.join(joining(&members[1]));
    assert_eq!(
        bench.joined(token).generation_id,
        generation,
        "members may rejoin"
    );
}

#[test]
fn an_id_handed_out_does_not_reserve_a_place() {
    let mut bench = small(1);
    let ids = [(); 1].map(|()| {
        let token = bench.join(joining(""));
        bench.joined(token).member_id.clone()
    });
    bench.join(JoinRequest {
        api_version: 3,
        ..joining("")
    });
    let token = bench.join(joining(&ids[0]));
    assert_eq!(bench.joined(token).error, GroupError::GroupMaxSizeReached);
    assert!(bench.group().pending_join.is_empty(), "and is taken back");
}

#[test]
fn ids_are_not_handed_out_without_end() {
    let mut bench = small(3);
    for _ in 0..3 {
        let token = bench.join(joining(""));
        assert_eq!(bench.joined(token).error, GroupError::MemberIdRequired);
    }
    let token = bench.join(joining(""));
    assert_eq!(bench.joined(token).error, GroupError::GroupMaxSizeReached);
}

#[test]
fn a_static_member_can_be_replaced_in_a_full_group() {
    let mut bench = small(1);
    bench.join(joining_as("a", ""));
    let token = bench.join(joining_as("a", ""));
    assert_eq!(bench.joined(token).error, GroupError::None);
}

#[test]
fn a_group_loaded_with_too_many_members_drops_the_last_to_rejoin() {
    let mut big = Bench::new();
    let (members, generation) = big.stable(3);
    let mut bench = small(2);
    for record in big.coordinator.snapshot() {
        bench.coordinator.replay(record);
    }
    let effects = bench.coordinator.loaded(bench.now);
    bench.take(effects);
    assert_eq!(bench.state(), State::PreparingRebalance);
    let commit = committing(&members[0], generation, 1);
    assert_eq!(
        bench.commit(commit),
        GroupError::None,
        "there is time to commit"
    );
    let tokens = [0, 1, 2].map(|index| bench.join(joining(&members[index])));
    assert_eq!(
        bench.joined(tokens[2]).error,
        GroupError::GroupMaxSizeReached
    );
    assert_eq!(bench.joined(tokens[0]).generation_id, generation + 1);
    assert_eq!(bench.group().members.len(), 2);
}

#[test]
fn there_are_not_more_groups_than_allowed() {
    let mut bench = Bench::with(GroupConfig {
        max_groups: 1,
        ..GroupConfig::default()
    });
    bench.commit(CommitOffsetsRequest {
        group_id: "other".into(),
        ..committing("", -1, 1)
    });
    let token = bench.join(joining(""));
    assert_eq!(bench.joined(token).error, GroupError::GroupMaxSizeReached);
    assert_eq!(
        bench.commit(committing("", -1, 1)),
        GroupError::PolicyViolation
    );
}

#[test]
fn ids_have_a_longest_length() {
    let mut bench = Bench::new();
    let long: Arc<str> = "x".repeat(1_025).into();
    let token = bench.join(JoinRequest {
        group_id: long.clone(),
        ..joining("")
    });
    assert_eq!(bench.joined(token).error, GroupError::InvalidGroupId);
    let token = bench.join(joining_as(&long, ""));
    assert_eq!(bench.joined(token).error, GroupError::InvalidRequest);
    let request = CommitOffsetsRequest {
        group_id: long,
        ..committing("", -1, 1)
    };
    assert_eq!(bench.commit(request), GroupError::InvalidGroupId);
}

#[test]
fn a_long_client_id_is_cut_at_a_character() {
    let mut bench = Bench::new();
    let request = JoinRequest {
        client_id: "é".repeat(500).into(),
        ..joining("")
    };
    let token = bench.join(request);
    let member_id = &bench.joined(token).member_id;
    assert_eq!(member_id.matches('é').count(), 127);
}

#[test]
fn the_protocols_of_a_member_are_bounded() {
    let config = GroupConfig {
        max_member_metadata: 100,
        ..GroupConfig::default()
    };
    let mut bench = Bench::with(config);
    let blob = |len| Protocol {
        name: "range".into(),
        metadata: Bytes::from(vec![0; len]),
    };
    for (len, error) in [
        (95, GroupError::MemberIdRequired),
        (96, GroupError::InvalidRequest),
    ] {
        let token = bench.join(JoinRequest {
            protocols: vec![blob(len)],
            ..joining("")
        });
        assert_eq!(bench.joined(token).error, error);
    }
    let many = vec![blob(0); 65];
    let token = bench.join(JoinRequest {
        protocols: many,
        ..joining("")
    });
    assert_eq!(bench.joined(token).error, GroupError::InvalidRequest);
}

#[test]
fn the_metadata_of_a_group_is_bounded() {
    let config = GroupConfig {
        max_group_metadata: 60,
        ..GroupConfig::default()
    };
    let mut bench = Bench::with(config);
    let (members, _) = bench.completing(1);
    let token = bench.join(joining(""));
    assert_eq!(bench.joined(token).error, GroupError::MemberIdRequired);
    let more = vec![
        protocol("range"),
        protocol("sticky"),
        protocol("roundrobin"),
    ];
    let token = bench.join(JoinRequest {
        protocols: more,
        ..joining(&members[0])
    });
    assert_eq!(bench.joined(token).error, GroupError::GroupMaxSizeReached);
}

#[test]
fn an_assignment_too_large_to_store_fails_and_rebalances() {
    let config = GroupConfig {
        max_group_metadata: 200,
        ..GroupConfig::default()
    };
    let mut bench = Bench::with(config);
    let (members, generation) = bench.completing(2);
    let follower = bench.sync(syncing(&members[1], generation, &[]));
    let large = "x".repeat(200);
    let leader = bench.sync(syncing(&members[0], generation, &[(&members[1], &large)]));
    for token in [leader, follower] {
        assert_eq!(bench.synced(token).error, GroupError::UnknownServerError);
    }
    assert_eq!(bench.state(), State::PreparingRebalance);
}

#[test]
fn the_offsets_of_a_group_are_bounded() {
    let config = GroupConfig {
        max_offsets_per_group: 1,
        ..GroupConfig::default()
    };
    let mut bench = Bench::with(config);
    assert_eq!(bench.commit(committing("", -1, 1)), GroupError::None);
    assert_eq!(
        bench.commit(committing("", -1, 2)),
        GroupError::None,
        "the same again"
    );
    let mut request = committing("", -1, 1);
    request.topics[0].partitions[0].partition_index = 1;
    assert_eq!(bench.commit(request), GroupError::PolicyViolation);
}

#[test]
fn ten_thousand_members_keep_one_timer_each() {
    let mut bench = Bench::new();
    for group in 0..10_000 {
        let group_id = Arc::from(format!("group-{group}"));
        bench.join(JoinRequest {
            api_version: 3,
            group_id,
            ..joining("")
        });
    }
    assert_eq!(
        bench.coordinator.timers.len(),
        1 + 2 * 10_000,
        "session and sync"
    );
    assert_eq!(bench.coordinator.deadline(), Some(SESSION));
    bench.advance(SESSION);
    assert_eq!(bench.coordinator.timers.len(), 1);
}

#[test]
fn a_thousand_members_join_one_group() {
    let initial_rebalance_delay = Duration::from_secs(3);
    let mut bench = Bench::with(GroupConfig {
        initial_rebalance_delay,
        ..GroupConfig::default()
    });
    let tokens: Vec<_> = (0..1_000)
        .map(|_| {
            bench.join(JoinRequest {
                api_version: 3,
                ..joining("")
            })
        })
        .collect();
    bench.advance(2 * initial_rebalance_delay);
    let leaders = tokens
        .iter()
        .filter(|token| bench.joined(**token).members.len() == 1_000);
    assert_eq!(leaders.count(), 1);
}

#[test]
fn a_coordinator_can_move_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&Bench::new().coordinator);
}

#[test]
fn a_commit_whose_records_do_not_fit_a_batch_is_refused_and_changes_nothing() {
    let mut bench = Bench::new();
    let mut request = committing("", -1, 1);
    let again = request.topics[0].partitions[0].clone();
    request.topics[0].partitions = vec![again; 400_000];
    assert_eq!(bench.commit(request), GroupError::InvalidCommitOffsetSize);
    assert_eq!(bench.records, []);
    assert_eq!(bench.committed("orders"), -1);
}

#[test]
fn a_group_of_many_offsets_is_deleted_with_one_record() {
    let mut bench = Bench::new();
    let mut request = committing("", -1, 1);
    let partition = request.topics[0].partitions[0].clone();
    let at = |partition_index| CommitPartition {
        partition_index,
        ..partition.clone()
    };
    request.topics[0].partitions = (0..1_000).map(at).collect();
    bench.commit(request);
    bench.records.clear();
    bench.send(|token| Event::DeleteGroups(token, vec![GROUP.into()]));
    let group_id = GROUP.into();
    assert_eq!(bench.records, [GroupRecord::GroupRemoved { group_id }]);
}
