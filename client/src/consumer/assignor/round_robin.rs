//! Partitions of all topics one by one, each to the next member that wants it.

use super::{Division, Member, PartitionCounts, nothing, sorted, wanted};
use crate::metadata::TopicPartition;

pub(super) fn divide(members: &[Member], counts: &PartitionCounts) -> Division {
    let mut division = nothing(members);
    let sorted = sorted(members);
    let mut turn = sorted.iter().cycle();
    for (topic, count) in wanted(members, counts) {
        for partition in 0..count {
            // Somebody wants the topic, so the turn comes to one who does.
            let taker = turn.find(|member| member.topics.contains(topic));
            if let Some(member) = taker {
                let share = division.entry(member.member_id.clone()).or_default();
                share.push(TopicPartition::new(topic.clone(), partition));
            }
        }
    }
    division
}
