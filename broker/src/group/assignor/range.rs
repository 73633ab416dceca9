//! Stretches of each topic, for subscribers in a fixed order. Pure.
//!
//! Topics with as many partitions and the same subscribers are cut alike, so that partition n of each
//! goes to the same member.

use super::Spec;
use crate::group::consumer::Assignment;

pub(super) fn assign(spec: &Spec<'_>) -> Vec<Assignment> {
    let mut targets = vec![Assignment::default(); spec.members.len()];
    let mut subscribers = spec.subscribers();
    for (&(topic, partitions), members) in spec.topics.iter().zip(&mut subscribers) {
        // Static members first: their order outlives their member ids.
        members.sort_by_key(|&place| {
            let member = spec.members.get(place);
            let instance = member.and_then(|member| member.group_instance_id);
            (
                instance.is_none(),
                instance,
                member.map(|member| member.member_id),
            )
        });
        let count = i32::try_from(members.len()).unwrap_or(i32::MAX).max(1);
        let (share, more) = (partitions / count, partitions % count);
        let mut next = 0;
        for (&place, rank) in members.iter().zip(0..) {
            let end = next + share + i32::from(rank < more);
            if let Some(target) = targets.get_mut(place) {
                target.extend((next..end).map(|partition| (topic, partition)));
            }
            next = end;
        }
    }
    targets
}
