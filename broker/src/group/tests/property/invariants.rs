//! What holds between any two events.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

impl World {
    pub(super) fn check(&self) {
        let coordinator = &self.bench.coordinator;
        let mut waiting = BTreeSet::new();
        let mut timers = 1;
        for group in coordinator.groups.iter() {
            check_group(group);
            for member in group.members.values() {
                let tokens = [member.awaiting_join, member.awaiting_sync];
                waiting.extend(tokens.into_iter().flatten());
                timers += usize::from(member.session.is_some());
            }
            timers += group.pending_join.len();
            timers += usize::from(group.join_timer.is_some());
            timers += usize::from(group.sync_timer.is_some());
        }
        let outstanding: BTreeSet<Token> = self.outstanding.keys().copied().collect();
        let parked: BTreeSet<Token> = coordinator.parked.keys().copied().collect();
        assert_eq!(
            waiting, outstanding,
            "every request is answered or a member's"
        );
        assert_eq!(parked, outstanding);
        assert_eq!(
            coordinator.timers.len(),
            timers,
            "no timer outlives its owner"
        );
        let stored = coordinator.groups.iter().flat_map(|group| {
            group.offsets.iter().flat_map(|(topic, partitions)| {
                let key = |&partition: &i32| OffsetKey {
                    group_id: group.group_id.clone(),
                    topic: topic.clone(),
                    partition,
                };
                partitions
                    .iter()
                    .map(move |(partition, offset)| (key(partition), offset.committed_offset))
            })
        });
        assert_eq!(stored.collect::<BTreeMap<_, _>>(), self.offsets);
    }
}

fn check_group(group: &classic::Group) {
    assert_eq!(
        group.state == State::Empty,
        group.members.is_empty(),
        "{}",
        group.state
    );
    assert_eq!(
        group.join_timer.is_some(),
        group.state == State::PreparingRebalance
    );
    assert_eq!(group.sync_timer.is_some(), !group.pending_sync.is_empty());
    assert!(group.initial_delay.is_none() || group.state == State::PreparingRebalance);
    assert!(group.joined() == 0 || group.state == State::PreparingRebalance);
    let count: usize = group.offsets.values().map(BTreeMap::len).sum();
    assert_eq!(group.offset_count, count);
    assert!(!group.is_void());
    check_members(group);
    check_generation(group);
}

fn check_members(group: &classic::Group) {
    assert!(group.members.len() <= MAX_SIZE && group.pending_join.len() <= MAX_SIZE);
    assert!(
        group
            .pending_sync
            .iter()
            .all(|id| group.members.contains_key(id))
    );
    assert!(
        group
            .pending_join
            .keys()
            .all(|id| !group.members.contains_key(id))
    );
    for (id, member) in &group.members {
        assert_eq!(id, &member.member_id);
        let syncing = member.awaiting_sync.is_some();
        assert!(!syncing || group.state == State::CompletingRebalance);
        assert!(
            member.session.is_some() || member.is_alive_by_waiting(),
            "immortal member"
        );
        if let Some(instance) = &member.group_instance_id {
            assert_eq!(group.static_members.get(instance), Some(id));
        }
    }
    let statics = group
        .members
        .values()
        .filter(|member| member.is_static())
        .count();
    assert_eq!(group.static_members.len(), statics);
}

fn check_generation(group: &classic::Group) {
    assert_eq!(
        group.leader.is_some(),
        !group.members.is_empty(),
        "one leader, if any member"
    );
    assert!(
        group
            .leader
            .iter()
            .all(|leader| group.members.contains_key(leader))
    );
    if matches!(group.state, State::CompletingRebalance | State::Stable) {
        let protocol = group
            .protocol_name
            .as_deref()
            .expect("a generation has a protocol");
        assert!(group.members.values().all(|member| member.offers(protocol)));
    }
    if group.state == State::Stable {
        let logged = group
            .logged
            .as_ref()
            .expect("an assignment told is an assignment logged");
        let members: Vec<_> = group
            .members
            .values()
            .map(member::Member::to_value)
            .collect();
        assert_eq!(
            (logged.generation_id, &logged.members),
            (group.generation_id, &members)
        );
        assert_eq!(
            (&logged.leader, &logged.protocol_name),
            (&group.leader, &group.protocol_name)
        );
    }
}
