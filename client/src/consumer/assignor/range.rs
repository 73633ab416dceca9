//! Contiguous ranges of each topic; the first members get one more where it does not come out even.

use super::{Division, Member, PartitionCounts, nothing, sorted, wanted};
use crate::metadata::TopicPartition;

pub(super) fn divide(members: &[Member], counts: &PartitionCounts) -> Division {
    let mut division = nothing(members);
    let sorted = sorted(members);
    for (topic, count) in wanted(members, counts) {
        let takers = sorted.iter().filter(|member| member.topics.contains(topic));
        let takers: Vec<_> = takers.collect();
        let Some(taker_count) = i32::try_from(takers.len()).ok().filter(|n| *n > 0) else {
            continue;
        };
        let mut next = 0;
        for (at, member) in (0..).zip(takers) {
            let length = count / taker_count + i32::from(at < count % taker_count);
            let range = next..next + length;
            next = range.end;
            let share = division.entry(member.member_id.clone()).or_default();
            share.extend(range.map(|partition| TopicPartition::new(topic.clone(), partition)));
        }
    }
    division
}
