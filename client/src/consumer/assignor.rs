//! Pure. How the leader of a group divides partitions among its members.
//!
//! Range and round-robin give what Kafka's Java client gives for the same members. The sticky ones
//! balance as well and move as little as it does, but may choose other partitions to move.

mod range;
mod round_robin;
mod sticky;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::AssignmentStrategy;
use crate::metadata::TopicPartition;

/// How many partitions each topic has. Topics that do not exist are left out.
pub(super) type PartitionCounts = BTreeMap<Arc<str>, i32>;

/// What each member gets, by its id. Every member is there.
pub(super) type Division = BTreeMap<String, Vec<TopicPartition>>;

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Member {
    pub(super) member_id: String,
    pub(super) group_instance_id: Option<String>,
    pub(super) topics: BTreeSet<Arc<str>>,
    /// What it had before.
    pub(super) owned: Vec<TopicPartition>,
    /// The generation in which it got that, or -1.
    pub(super) generation_id: i32,
}

impl Member {
    /// Java's order: static members first, by their instance ids, then the others by their ids.
    fn order(&self, other: &Self) -> Ordering {
        match (&self.group_instance_id, &other.group_instance_id) {
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.member_id.cmp(&other.member_id),
        }
    }
}

/// Divides the partitions of all topics that somebody wants among the members that want them.
pub(super) fn divide(
    strategy: AssignmentStrategy,
    members: &[Member],
    counts: &PartitionCounts,
) -> Division {
    match strategy {
        AssignmentStrategy::Range => range::divide(members, counts),
        AssignmentStrategy::RoundRobin => round_robin::divide(members, counts),
        AssignmentStrategy::Sticky => sticky::divide(members, counts),
        AssignmentStrategy::CooperativeSticky => sticky::divide_cooperatively(members, counts),
    }
}

/// Members in Java's order.
fn sorted(members: &[Member]) -> Vec<&Member> {
    let mut sorted: Vec<&Member> = members.iter().collect();
    sorted.sort_by(|a, b| a.order(b));
    sorted
}

/// A division that gives nobody anything.
fn nothing(members: &[Member]) -> Division {
    let empty = |member: &Member| (member.member_id.clone(), Vec::new());
    members.iter().map(empty).collect()
}

/// The topics that somebody wants and that exist, with their partition counts.
fn wanted<'a>(
    members: &'a [Member],
    counts: &'a PartitionCounts,
) -> impl Iterator<Item = (&'a Arc<str>, i32)> {
    let topics: BTreeSet<&Arc<str>> = members.iter().flat_map(|member| &member.topics).collect();
    let count = |topic: &'a Arc<str>| Some((topic, *counts.get(topic)?));
    topics.into_iter().filter_map(count)
}
