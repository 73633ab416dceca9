//! What the tests of both machines ask of their effects.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tokio::time::Instant;

use super::Effect;
use crate::metadata::TopicPartition;

/// Does with what the application holds what an effect says, which must fit it.
pub(super) fn follow(
    effect: &Effect,
    held: &mut BTreeSet<TopicPartition>,
    now: Instant,
) -> Result<(), TestCaseError> {
    match effect {
        Effect::Assign(added) => {
            prop_assert!(added.is_disjoint(held));
            held.extend(added.iter().cloned());
        }
        Effect::Release(gone) | Effect::Lose(gone) => {
            prop_assert!(gone.is_subset(held));
            held.retain(|partition| !gone.contains(partition));
        }
        Effect::Revoke {
            partitions,
            deadline,
        } => {
            prop_assert!(partitions.is_subset(held) && !partitions.is_empty());
            prop_assert!(*deadline > now);
        }
        _ => {}
    }
    Ok(())
}
