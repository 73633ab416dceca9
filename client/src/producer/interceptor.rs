//! Code of the application that sees every record on its way, and every outcome.

use std::sync::Arc;

use super::record::ProducerRecord;
use crate::error::DeliveryError;

/// What became of the records of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchOutcome {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// How many records it is about.
    pub record_count: usize,
    /// The offset of the first record, none when the broker did not tell; or why they were not
    /// acknowledged.
    pub outcome: Result<Option<i64>, DeliveryError>,
}

/// Sees every record on its way, and may change it. Interceptors are called in the order in which
/// they were added, in the caller's task or the producer's: they must not block.
pub trait ProducerInterceptor: Send + Sync {
    /// A record is about to be queued; its partition is not chosen yet. It may still be refused,
    /// or the caller may give up waiting for room.
    fn on_send(&self, record: &mut ProducerRecord) {
        let _ = record;
    }

    /// A batch has its outcome.
    fn on_outcome(&self, outcome: &BatchOutcome) {
        let _ = outcome;
    }
}

/// The interceptors of one producer.
#[derive(Clone, Default)]
pub(super) struct Interceptors(Vec<Arc<dyn ProducerInterceptor>>);

impl Interceptors {
    pub(super) fn add(&mut self, interceptor: impl ProducerInterceptor + 'static) {
        self.0.push(Arc::new(interceptor));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn on_send(&self, record: &mut ProducerRecord) {
        for interceptor in &self.0 {
            interceptor.on_send(record);
        }
    }

    pub(super) fn on_outcome(&self, outcome: &BatchOutcome) {
        for interceptor in &self.0 {
            interceptor.on_outcome(outcome);
        }
    }
}
