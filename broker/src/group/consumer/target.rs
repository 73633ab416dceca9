//! From subscriptions and topics to the target of each member, and each member's steps to it. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::member::{Deadline, MemberValue};
use super::{Assignment, ConsumerGroup, MemberState, pattern};
use crate::group::assignor::{Assignor, MemberSpec, Spec};
use crate::group::step::Step;
use crate::group::topics::{TopicId, TopicImage};
use crate::group::{Command, Reason};

/// The topics that members subscribe to, each different subscription once.
struct Subscriptions {
    topics: Vec<BTreeSet<Arc<str>>>,
    /// Place in `topics`, by member.
    of_member: BTreeMap<Arc<str>, usize>,
}

impl ConsumerGroup {
    /// All topics that members subscribe to, whether they exist or not.
    pub(in crate::group) fn subscribed_topics(&self) -> BTreeSet<&str> {
        let mut all = BTreeSet::new();
        for member in self.members.values() {
            let names = member.value.subscribed_topic_names.iter();
            all.extend(names.map(|name| &**name));
        }
        all.extend(self.patterns.values().flatten().map(|name| &**name));
        all
    }

    fn subscriptions(&self) -> Subscriptions {
        let mut places = HashMap::new();
        let mut topics: Vec<BTreeSet<Arc<str>>> = Vec::new();
        let mut of_member = BTreeMap::new();
        for (member_id, member) in &self.members {
            let MemberValue {
                subscribed_topic_names: names,
                subscribed_topic_regex: regex,
                ..
            } = &member.value;
            let place = *places.entry((names, regex)).or_insert_with(|| {
                let matched = regex.as_ref().and_then(|regex| self.patterns.get(regex));
                let matched = matched.into_iter().flatten();
                topics.push(names.iter().chain(matched).cloned().collect());
                topics.len() - 1
            });
            of_member.insert(member_id.clone(), place);
        }
        Subscriptions { topics, of_member }
    }

    /// Patterns that no member subscribes by are not kept.
    pub(super) fn forget_unused_patterns(&mut self) {
        let used: BTreeSet<&Arc<str>> = self
            .members
            .values()
            .filter_map(|member| member.value.subscribed_topic_regex.as_ref())
            .collect();
        self.patterns.retain(|pattern, _| used.contains(pattern));
    }

    /// Finds the topics of patterns: of new ones, or of all if topics may have changed.
    pub(super) fn resolve_patterns(&mut self, step: &Step<'_>) {
        self.forget_unused_patterns();
        let used = self
            .members
            .values()
            .filter_map(|member| member.value.subscribed_topic_regex.clone());
        let used: BTreeSet<Arc<str>> = used.collect();
        for regex in used {
            if self.is_stale || !self.patterns.contains_key(&regex) {
                let topics = pattern::resolve(&regex, step.topics);
                self.patterns.insert(regex, topics);
            }
        }
    }

    /// FNV-1a over the topics subscribed to that exist: their names, ids and numbers of partitions.
    pub(super) fn topics_hash(&self, topics: &TopicImage) -> u64 {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let mut hash = OFFSET;
        for name in self.subscribed_topics() {
            let Some(topic) = topics.get(name) else {
                continue;
            };
            let partitions = topic.partitions.to_le_bytes();
            for byte in name.bytes().chain([0]).chain(topic.id).chain(partitions) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
            }
        }
        hash
    }

    /// Raises the epoch if subscriptions or topics have changed, and computes the target if it is of an
    /// earlier epoch.
    pub(super) fn update_target(
        &mut self,
        group_id: &Arc<str>,
        has_resubscribed: bool,
        step: &mut Step<'_>,
    ) {
        if has_resubscribed || self.is_stale {
            self.resolve_patterns(step);
            self.is_stale = false;
            let hash = self.topics_hash(step.topics);
            if has_resubscribed || hash != self.value.topics_hash {
                self.value.topics_hash = hash;
                self.bump();
                step.command(Command::Rebalancing {
                    group_id: group_id.clone(),
                    generation_id: self.value.group_epoch,
                    reason: if has_resubscribed {
                        Reason::SubscriptionChanged
                    } else {
                        Reason::TopicsChanged
                    },
                });
            }
        }
        if self.value.group_epoch > self.value.assignment_epoch {
            self.retarget(step);
        }
    }

    fn retarget(&mut self, step: &Step<'_>) {
        let assignor = self.assignor(step);
        let subscriptions = self.subscriptions();
        let targets = self.targets(assignor, &subscriptions, step.topics);
        for (member_id, target) in subscriptions.of_member.into_keys().zip(targets) {
            if let Some(value) = self.value(&member_id)
                && value.target != target
            {
                let value = MemberValue {
                    target,
                    ..value.clone()
                };
                self.put(value);
            }
        }
        self.value.assignment_epoch = self.value.group_epoch;
        self.unlogged.group = true;
    }

    /// The assignor that most members would like; the broker's first if none would like any.
    pub(super) fn assignor(&self, step: &Step<'_>) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        for member in self.members.values() {
            let wanted = member.value.server_assignor.as_deref();
            if let Some(assignor) = wanted.and_then(Assignor::named) {
                *votes.entry(assignor).or_default() += 1;
            }
        }
        let chosen = votes.into_iter().max_by_key(|(_, votes)| *votes);
        chosen.map_or_else(|| step.config.default_assignor(), |(assignor, _)| assignor)
    }

    fn targets(
        &self,
        assignor: Assignor,
        subscriptions: &Subscriptions,
        topics: &TopicImage,
    ) -> Vec<Assignment> {
        let all: BTreeSet<&Arc<str>> = subscriptions.topics.iter().flatten().collect();
        let existing: Vec<(&Arc<str>, (TopicId, i32))> = all
            .into_iter()
            .filter_map(|name| {
                let topic = topics.get(name)?;
                Some((name, (topic.id, topic.partitions)))
            })
            .collect();
        let places: HashMap<&Arc<str>, usize> = existing
            .iter()
            .enumerate()
            .map(|(place, (name, _))| (*name, place))
            .collect();
        let places_of = |topics: &BTreeSet<Arc<str>>| {
            let places = topics.iter().filter_map(|name| places.get(name));
            places.copied().collect()
        };
        let members = self.members.values().zip(subscriptions.of_member.values());
        assignor.assign(&Spec {
            topics: existing.iter().map(|(_, topic)| *topic).collect(),
            subscriptions: subscriptions.topics.iter().map(places_of).collect(),
            members: members
                .map(|(member, subscription)| MemberSpec {
                    member_id: &member.value.member_id,
                    group_instance_id: member.value.group_instance_id.as_ref(),
                    subscription: *subscription,
                    current: &member.value.target,
                })
                .collect(),
        })
    }

    /// Takes a member one step towards its target. `owned` is what it says it has.
    pub(super) fn reconcile(
        &mut self,
        group_id: &Arc<str>,
        member_id: &str,
        owned: Option<&Assignment>,
        step: &mut Step<'_>,
    ) {
        let Some(value) = self.value(member_id) else {
            return;
        };
        let is_taken = |partition| {
            self.taken.contains(&partition) && !value.pending_revocation.contains(partition)
        };
        let next = value.reconciled(self.value.assignment_epoch, owned, is_taken);
        let Some(next) = next else {
            return;
        };
        // Members of the classic protocol have a time to join and one to sync instead.
        let must_give = next.state == MemberState::UnrevokedPartitions && !next.is_classic();
        let timeout = next.rebalance_timeout();
        self.put(next);
        if must_give {
            self.arm(group_id, member_id, Deadline::Revocation, timeout, step);
        } else {
            self.disarm(member_id, Deadline::Revocation, step);
        }
    }

    /// Whether others still have some of what a member is to have.
    pub(super) fn waits_for_others(&self, value: &MemberValue) -> bool {
        let mut missing = value
            .target
            .iter()
            .filter(|partition| !value.assigned.contains(*partition));
        missing.any(|partition| self.taken.contains(&partition))
    }

    /// Topics have changed: the next heartbeat looks at them.
    pub(in crate::group) fn topics_changed(&mut self) {
        self.is_stale = true;
    }
}
