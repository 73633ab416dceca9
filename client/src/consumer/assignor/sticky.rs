//! Balanced, and members keep what they have where that does not spoil the balance (KIP-54). The
//! cooperative form gives nothing away before its owner has let go of it (KIP-429).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Division, Member, PartitionCounts, wanted};
use crate::metadata::TopicPartition;

/// What one member has so far.
struct Share<'a> {
    member: &'a Member,
    /// What it had before and keeps.
    kept: BTreeSet<TopicPartition>,
    /// What is new to it. Given away before anything that was kept.
    new: BTreeSet<TopicPartition>,
}

impl Share<'_> {
    fn load(&self) -> usize {
        self.kept.len() + self.new.len()
    }

    /// Gives up one partition of a topic among `topics`.
    fn give(&mut self, topics: &BTreeSet<Arc<str>>) -> Option<TopicPartition> {
        for from in [&mut self.new, &mut self.kept] {
            let found = from.iter().rev().find(|p| topics.contains(&p.topic));
            if let Some(partition) = found.cloned() {
                from.remove(&partition);
                return Some(partition);
            }
        }
        None
    }
}

pub(super) fn divide(members: &[Member], counts: &PartitionCounts) -> Division {
    let owners = owners(members, counts);
    let mut shares: Vec<Share<'_>> = members
        .iter()
        .map(|member| Share {
            member,
            kept: BTreeSet::new(),
            new: BTreeSet::new(),
        })
        .collect();
    shares.sort_by(|a, b| a.member.member_id.cmp(&b.member.member_id));
    for share in &mut shares {
        let mine = owners
            .iter()
            .filter(|(_, owner)| **owner == share.member.member_id);
        share.kept = mine.map(|(partition, _)| partition.clone()).collect();
    }
    hand_out(&mut shares, unowned(members, counts, &owners));
    level(&mut shares);
    let all = |share: Share<'_>| {
        let partitions = share.kept.union(&share.new).cloned().collect();
        (share.member.member_id.clone(), partitions)
    };
    shares.into_iter().map(all).collect()
}

/// As [`divide`], without what somebody else still owns: its owner loses it now, and its next
/// owner gets it in the rebalance that this brings about.
pub(super) fn divide_cooperatively(members: &[Member], counts: &PartitionCounts) -> Division {
    let owners = owners(members, counts);
    let mut division = divide(members, counts);
    for (member_id, partitions) in &mut division {
        partitions.retain(|partition| {
            let owner = owners.get(partition);
            owner.is_none_or(|owner| owner == member_id)
        });
    }
    division
}

/// Who had each partition last. Of several that claim one, the one of the newest generation; two
/// of the same generation cannot both be right, and neither keeps it.
fn owners(members: &[Member], counts: &PartitionCounts) -> BTreeMap<TopicPartition, String> {
    let mut claims: BTreeMap<&TopicPartition, (i32, Option<&Member>)> = BTreeMap::new();
    for member in members {
        let valid = member.owned.iter().filter(|partition| {
            let exists = counts.get(&partition.topic);
            let exists = exists.is_some_and(|count| (0..*count).contains(&partition.partition));
            exists && member.topics.contains(&partition.topic)
        });
        for partition in valid.collect::<BTreeSet<_>>() {
            let mine = (member.generation_id, Some(member));
            let claim = claims.entry(partition).or_insert(mine);
            if claim.0 < member.generation_id {
                *claim = mine;
            } else if claim.0 == member.generation_id && claim.1 != Some(member) {
                claim.1 = None;
            }
        }
    }
    let owner = |(partition, (_, owner)): (&TopicPartition, (i32, Option<&Member>))| {
        Some((partition.clone(), owner?.member_id.clone()))
    };
    claims.into_iter().filter_map(owner).collect()
}

fn unowned(
    members: &[Member],
    counts: &PartitionCounts,
    owners: &BTreeMap<TopicPartition, String>,
) -> Vec<TopicPartition> {
    let mut free = Vec::new();
    for (topic, count) in wanted(members, counts) {
        let all = (0..count).map(|partition| TopicPartition::new(Arc::clone(topic), partition));
        free.extend(all.filter(|partition| !owners.contains_key(partition)));
    }
    free
}

/// Gives each free partition to the least loaded member that wants it; those that few want first.
fn hand_out(shares: &mut [Share<'_>], mut free: Vec<TopicPartition>) {
    let takers = |topic: &Arc<str>| {
        let takers = shares
            .iter()
            .filter(|share| share.member.topics.contains(topic));
        takers.count()
    };
    let mut demand: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    for partition in &free {
        let topic = &partition.topic;
        demand
            .entry(Arc::clone(topic))
            .or_insert_with(|| takers(topic));
    }
    free.sort_by_key(|partition| demand.get(&partition.topic).copied());
    for partition in free {
        let takers = shares
            .iter_mut()
            .filter(|share| share.member.topics.contains(&partition.topic));
        if let Some(share) = takers.min_by_key(|share| share.load()) {
            share.new.insert(partition);
        }
    }
}

/// Moves partitions from members to members that have at least two fewer, until none can be moved.
fn level(shares: &mut [Share<'_>]) {
    // Each move brings the loads nearer to each other, so this ends.
    while let Some((donor, taker)) = improvement(shares) {
        let topics = shares.get(taker).map(|share| share.member.topics.clone());
        let donor = shares.get_mut(donor);
        let moved = donor
            .zip(topics)
            .and_then(|(donor, topics)| donor.give(&topics));
        let (Some(partition), Some(taker)) = (moved, shares.get_mut(taker)) else {
            return;
        };
        // Back where it was counts as kept.
        if taker.member.owned.contains(&partition) {
            taker.kept.insert(partition);
        } else {
            taker.new.insert(partition);
        }
    }
}

/// A most loaded member that can give to a least loaded one, with a difference of two or more.
fn improvement(shares: &[Share<'_>]) -> Option<(usize, usize)> {
    let mut order: Vec<(usize, usize)> = shares
        .iter()
        .enumerate()
        .map(|(at, share)| (share.load(), at))
        .collect();
    order.sort_unstable();
    for &(least, taker) in &order {
        for &(most, donor) in order.iter().rev() {
            if most < least + 2 {
                break;
            }
            let (donor_share, taker_share) = (shares.get(donor)?, shares.get(taker)?);
            let mut all = donor_share.kept.iter().chain(&donor_share.new);
            if all.any(|partition| taker_share.member.topics.contains(&partition.topic)) {
                return Some((donor, taker));
            }
        }
    }
    None
}
