//! Looking on from outside: what is handed out and what is committed.

use std::collections::BTreeMap;

use super::Records;
use crate::metadata::TopicPartition;
use crate::offsets::CommittedOffset;

/// Sees what a consumer does. Added with
/// [`ConsumerBuilder::interceptor`](super::ConsumerBuilder::interceptor).
///
/// Calls must return soon: they hold up the application, or the consumer's task.
pub trait ConsumerInterceptor: Send + Sync {
    /// These records are about to be handed to the application.
    fn on_consume(&self, records: &Records) {
        let _ = records;
    }

    /// These offsets were committed.
    fn on_commit(&self, offsets: &BTreeMap<TopicPartition, CommittedOffset>) {
        let _ = offsets;
    }
}
