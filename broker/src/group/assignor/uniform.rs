//! Even shares that move as little as they can. Pure.

use std::collections::{BTreeMap, HashSet};

use super::Spec;
use crate::group::consumer::Assignment;
use crate::group::topics::TopicId;

type Partition = (TopicId, i32);

pub(super) fn assign(spec: &Spec<'_>) -> Vec<Assignment> {
    let subscribed: HashSet<usize> = spec
        .members
        .iter()
        .map(|member| member.subscription)
        .collect();
    if subscribed.len() <= 1 {
        homogeneous(spec)
    } else {
        heterogeneous(spec)
    }
}

/// The place of each topic in the specification.
fn places(spec: &Spec<'_>) -> BTreeMap<TopicId, usize> {
    let topics = spec.topics.iter().enumerate();
    topics.map(|(place, (topic, _))| (*topic, place)).collect()
}

/// What each member keeps of what it had: what is there, what it still subscribes to, and of two claims
/// on one partition the first. Then what nobody keeps, in the order of topics.
fn kept(spec: &Spec<'_>) -> (Vec<Vec<Partition>>, Vec<(usize, Partition)>) {
    let places = places(spec);
    let mut taken = HashSet::new();
    let kept = spec.members.iter().map(|member| {
        let subscription = spec.subscription(member);
        let is_there = |(topic, partition): &Partition| {
            let place = places.get(topic);
            place.is_some_and(|place| subscription.binary_search(place).is_ok())
                && place
                    .and_then(|place| spec.topics.get(*place))
                    .is_some_and(|(_, partitions)| partition < partitions)
        };
        let mine = member.current.iter().filter(is_there);
        mine.filter(|partition| taken.insert(*partition)).collect()
    });
    let kept = kept.collect();
    let all = spec
        .topics
        .iter()
        .enumerate()
        .flat_map(|(place, &(topic, partitions))| {
            (0..partitions).map(move |partition| (place, (topic, partition)))
        });
    let free = all.filter(|(_, partition)| !taken.contains(partition));
    (kept, free.collect())
}

/// Everybody subscribes to the same: shares differ by one at most.
fn homogeneous(spec: &Spec<'_>) -> Vec<Assignment> {
    let (mut shares, free) = kept(spec);
    if shares.is_empty() {
        return Vec::new();
    }
    let mut free: Vec<Partition> = free.into_iter().map(|(_, partition)| partition).collect();
    let total = shares.iter().map(Vec::len).sum::<usize>() + free.len();
    let (quota, mut larger) = (total / shares.len(), total % shares.len());
    // Members that have more than the quota may keep one more while there are such shares.
    let mut quotas = Vec::with_capacity(shares.len());
    for share in &mut shares {
        let keeps_more = larger > 0 && share.len() > quota;
        larger -= usize::from(keeps_more);
        let own = quota + usize::from(keeps_more);
        if share.len() > own {
            free.extend(share.drain(own..));
        }
        quotas.push(own);
    }
    let mut free = free.into_iter();
    for (share, own) in shares.iter_mut().zip(quotas) {
        let more = larger > 0 && own == quota;
        larger -= usize::from(more);
        let missing = (own + usize::from(more)).saturating_sub(share.len());
        share.extend(free.by_ref().take(missing));
    }
    shares
        .into_iter()
        .map(|share| share.into_iter().collect())
        .collect()
}

/// Subscriptions differ: no partition could move to a subscriber that has fewer by more than one.
fn heterogeneous(spec: &Spec<'_>) -> Vec<Assignment> {
    let subscribers = spec.subscribers();
    let (kept, mut free) = kept(spec);
    let mut shares = Shares {
        loads: kept.iter().map(Vec::len).collect(),
        of_topic: vec![BTreeMap::new(); spec.topics.len()],
    };
    let places = places(spec);
    for (member, share) in kept.iter().enumerate() {
        for (topic, partition) in share {
            if let Some(place) = places.get(topic) {
                shares.put(*place, member, *partition);
            }
        }
    }
    // Topics with the fewest subscribers have the least choice.
    free.sort_by_key(|(topic, _)| subscribers.get(*topic).map(Vec::len));
    for (topic, (_, partition)) in free {
        let subscribers = subscribers.get(topic).map_or(&[][..], Vec::as_slice);
        if let Some(member) = shares.lightest(subscribers) {
            shares.put(topic, member, partition);
            shares.add_load(member, 1);
        }
    }
    shares.balance(&subscribers);
    let mut targets = vec![Assignment::default(); spec.members.len()];
    for ((topic, _), owners) in spec.topics.iter().zip(shares.of_topic) {
        for (member, partitions) in owners {
            if let Some(target) = targets.get_mut(member) {
                target.extend(partitions.into_iter().map(|partition| (*topic, partition)));
            }
        }
    }
    targets
}

/// Who has what while shares are evened out; members and topics by their places.
struct Shares {
    /// Partitions of each member.
    loads: Vec<usize>,
    /// Of each topic, the partitions of each member.
    of_topic: Vec<BTreeMap<usize, Vec<i32>>>,
}

impl Shares {
    fn load(&self, member: usize) -> usize {
        self.loads.get(member).copied().unwrap_or_default()
    }

    fn add_load(&mut self, member: usize, change: isize) {
        if let Some(load) = self.loads.get_mut(member) {
            *load = load.saturating_add_signed(change);
        }
    }

    fn put(&mut self, topic: usize, member: usize, partition: i32) {
        if let Some(owners) = self.of_topic.get_mut(topic) {
            owners.entry(member).or_default().push(partition);
        }
    }

    fn lightest(&self, members: &[usize]) -> Option<usize> {
        members
            .iter()
            .copied()
            .min_by_key(|member| self.load(*member))
    }

    /// The member that has the most of those that have some of this topic.
    fn heaviest(&self, topic: usize) -> Option<usize> {
        let owners = self.of_topic.get(topic)?;
        let with_some = owners
            .iter()
            .filter(|(_, partitions)| !partitions.is_empty());
        with_some
            .map(|(member, _)| *member)
            .max_by_key(|member| self.load(*member))
    }

    /// Moves partitions from those that have more to those that have fewer. Each move lowers the sum of
    /// the squares of the loads, so it ends.
    fn balance(&mut self, subscribers: &[Vec<usize>]) {
        let mut moved = true;
        while moved {
            moved = false;
            for (topic, members) in subscribers.iter().enumerate() {
                while self.move_one(topic, members) {
                    moved = true;
                }
            }
        }
    }

    fn move_one(&mut self, topic: usize, members: &[usize]) -> bool {
        let (Some(from), Some(to)) = (self.heaviest(topic), self.lightest(members)) else {
            return false;
        };
        if self.load(from) <= self.load(to) + 1 {
            return false;
        }
        let owners = self.of_topic.get_mut(topic);
        let Some(partition) = owners.and_then(|owners| owners.get_mut(&from)?.pop()) else {
            return false;
        };
        self.put(topic, to, partition);
        self.add_load(from, -1);
        self.add_load(to, 1);
        true
    }
}
