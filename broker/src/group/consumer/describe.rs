//! ConsumerGroupDescribe. Pure.

use std::sync::Arc;

use super::member::MemberValue;
use super::{Assignment, ConsumerGroup, ConsumerState};
use crate::group::groups::Groups;
use crate::group::step::Step;
use crate::group::topics::TopicId;
use crate::group::{GroupError, Refusal};

/// A consumer group as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DescribedConsumerGroup {
    /// State.
    pub(crate) group_state: ConsumerState,
    /// Group epoch.
    pub(crate) group_epoch: i32,
    /// The epoch of the target.
    pub(crate) assignment_epoch: i32,
    /// The assignor that the next target is made by.
    pub(crate) assignor_name: &'static str,
    /// Members.
    pub(crate) members: Vec<ConsumerMember>,
}

/// A member as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConsumerMember {
    /// All that is known of it.
    pub(crate) value: MemberValue,
    /// What it has or is told to take, with the names of topics that still exist.
    pub(crate) assignment: Vec<NamedPartitions>,
    /// What it is to have in the end, likewise.
    pub(crate) target_assignment: Vec<NamedPartitions>,
}

/// Partitions of one topic.
pub(crate) type NamedPartitions = (Arc<str>, TopicId, Vec<i32>);

/// Each group, or why it cannot be described.
pub(in crate::group) fn describe(
    groups: &Groups,
    group_ids: &[Arc<str>],
    step: &Step<'_>,
) -> Vec<(Arc<str>, Result<DescribedConsumerGroup, Refusal>)> {
    let describe_one = |group_id: &Arc<str>| {
        let not_found = |why: String| Refusal::new(GroupError::GroupIdNotFound, why);
        let group = groups
            .get(group_id)
            .ok_or_else(|| not_found(format!("Group {group_id} not found.")))?;
        let consumer = group.consumer.as_deref();
        let consumer = consumer
            .ok_or_else(|| not_found(format!("Group {group_id} is not a consumer group.")))?;
        Ok(consumer.described(step))
    };
    group_ids
        .iter()
        .map(|group_id| (group_id.clone(), describe_one(group_id)))
        .collect()
}

impl ConsumerGroup {
    fn described(&self, step: &Step<'_>) -> DescribedConsumerGroup {
        let named = |assignment: &Assignment| {
            let topics = assignment.topics().filter_map(|(id, partitions)| {
                let name = step.topics.name(id)?;
                Some((name.clone(), *id, partitions.iter().copied().collect()))
            });
            topics.collect()
        };
        let members = self.members.values().map(|member| ConsumerMember {
            value: member.value.clone(),
            assignment: named(&member.value.assigned),
            target_assignment: named(&member.value.target),
        });
        DescribedConsumerGroup {
            group_state: self.state(),
            group_epoch: self.value.group_epoch,
            assignment_epoch: self.value.assignment_epoch,
            assignor_name: self.assignor(step).name(),
            members: members.collect(),
        }
    }
}
