//! Offsets that nobody has used for long enough, and groups of which nothing is left. Pure.

use std::sync::Arc;
use std::time::Duration;

use super::classic::{Group, State};
use super::config::{EXPIRY_PAUSE, MAX_EXPIRED};
use super::groups::Groups;
use super::record::CommittedOffset;
use super::step::Step;
use super::timer::Timer;

/// One round, of bounded size, over all groups.
pub(super) fn run(groups: &mut Groups, step: &mut Step<'_>) {
    let mut budget = MAX_EXPIRED;
    for group_id in groups.ids() {
        if budget == 0 {
            break;
        }
        let expired = groups.with(&group_id, |group| group.expire_offsets(budget, step));
        budget = budget.saturating_sub(expired.unwrap_or_default());
        if groups.get(&group_id).is_some_and(is_over) {
            groups.delete(&group_id, step);
            budget = budget.saturating_sub(1);
        }
    }
    let interval = step
        .config
        .offsets_retention_check_interval
        .max(EXPIRY_PAUSE);
    let pause = if budget == 0 { EXPIRY_PAUSE } else { interval };
    let at = step.after(pause);
    step.timers.arm(at, Timer::Expiry);
}

fn is_over(group: &Group) -> bool {
    group.is_empty()
        && group.offset_count == 0
        && group.pending_join.is_empty()
        && group.pending_offsets.is_empty()
}

impl Group {
    /// Forgets offsets, `budget` at most; returns how many.
    fn expire_offsets(&mut self, budget: usize, step: &mut Step<'_>) -> usize {
        let expired = self.expired_offsets(budget, step);
        for (topic, partition) in &expired {
            self.delete_offset(topic, *partition, step);
        }
        expired.len()
    }

    /// An offset's time runs from when it was last of use: since the group is empty, or since the commit
    /// if nobody reads the topic or the group only stores offsets.
    fn expired_offsets(&self, budget: usize, step: &Step<'_>) -> Vec<(Arc<str>, i32)> {
        if !self.pending_offsets.is_empty() {
            return Vec::new();
        }
        // As in Kafka: the consumer protocol's groups do not tell since when they are empty.
        let is_simple = self.protocol_type.is_none();
        let is_empty = self.is_empty();
        let may_have_unread =
            self.consumer.is_some() || self.is_consumer() && self.state == State::Stable;
        if !(is_simple || is_empty || may_have_unread) {
            return Vec::new();
        }
        let empty_since = self
            .current_state_timestamp_ms
            .filter(|_| is_empty && !is_simple);
        let retention = step.config.offsets_retention;
        let is_expired = |offset: &CommittedOffset| {
            let since = empty_since.unwrap_or(offset.commit_timestamp_ms);
            match offset.expire_timestamp_ms {
                Some(expire) => step.now.wall_ms >= expire,
                None => elapsed(since, step.now.wall_ms) >= retention,
            }
        };
        let subscription = self.subscription();
        self.offsets
            .iter()
            .filter(|(topic, _)| !subscription.contains(topic))
            .flat_map(|(topic, partitions)| partitions.iter().map(move |entry| (topic, entry)))
            .filter(|(_, (_, offset))| is_expired(offset))
            .map(|(topic, (&partition, _))| (topic.clone(), partition))
            .take(budget)
            .collect()
    }
}

/// A clock that was set back makes nothing older.
fn elapsed(since_ms: i64, now_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(now_ms.saturating_sub(since_ms)).unwrap_or(0))
}
