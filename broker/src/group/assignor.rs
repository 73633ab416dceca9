//! Who is to read what: the assignors that run on the broker (KIP-848). Pure.

mod range;
#[cfg(test)]
mod tests;
mod uniform;

use std::fmt;
use std::sync::Arc;

use super::consumer::Assignment;
use super::topics::TopicId;

/// A way to assign partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Assignor {
    /// Everybody gets about as many, and keeps as many of those it had as that allows.
    Uniform,
    /// Of each topic everybody gets a stretch; equal topics are cut alike.
    Range,
}

impl Assignor {
    const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// Kafka's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The assignor of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|assignor| assignor.name() == name)
    }

    /// A target for each member, in their order. Each partition of a topic that somebody subscribes to
    /// is in exactly one of them.
    pub(super) fn assign(self, spec: &Spec<'_>) -> Vec<Assignment> {
        match self {
            Self::Uniform => uniform::assign(spec),
            Self::Range => range::assign(spec),
        }
    }
}

impl fmt::Display for Assignor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is to be assigned to whom.
#[derive(Debug)]
pub(super) struct Spec<'a> {
    /// Topics that somebody subscribes to, with their number of partitions.
    pub(super) topics: Vec<(TopicId, i32)>,
    /// Subscriptions that differ: places in `topics`, rising.
    pub(super) subscriptions: Vec<Vec<usize>>,
    /// Members.
    pub(super) members: Vec<MemberSpec<'a>>,
}

/// A member, to an assignor.
#[derive(Debug)]
pub(super) struct MemberSpec<'a> {
    pub(super) member_id: &'a Arc<str>,
    pub(super) group_instance_id: Option<&'a Arc<str>>,
    /// Its place in [`Spec::subscriptions`].
    pub(super) subscription: usize,
    /// What it was to have so far.
    pub(super) current: &'a Assignment,
}

impl Spec<'_> {
    /// By topic, the places of the members that subscribe to it.
    fn subscribers(&self) -> Vec<Vec<usize>> {
        let mut subscribers = vec![Vec::new(); self.topics.len()];
        for (place, member) in self.members.iter().enumerate() {
            for &topic in self.subscription(member) {
                if let Some(of_topic) = subscribers.get_mut(topic) {
                    of_topic.push(place);
                }
            }
        }
        subscribers
    }

    fn subscription(&self, member: &MemberSpec<'_>) -> &[usize] {
        self.subscriptions
            .get(member.subscription)
            .map_or(&[], Vec::as_slice)
    }
}
