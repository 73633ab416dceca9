//! What is left of telemetry without the feature: nothing.

use std::future::Future;

use crate::consumer::Records;
use crate::error::Error;
use crate::producer::ProducerRecord;

pub(crate) struct ProducerTelemetry;

impl ProducerTelemetry {
    pub(crate) fn new(_client_id: &str) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn begin(&self, _record: &mut ProducerRecord) -> Sending {
        Sending(())
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Sending(());

impl Sending {
    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn refused(&self, _error: &Error) {}
}

#[derive(Debug, Default)]
pub(crate) struct Sendings(());

#[expect(clippy::unused_self, reason = "as with the feature")]
impl Sendings {
    pub(crate) fn push(&mut self, _sending: &Sending) {}

    pub(crate) fn written(&self, _partition: i32, _base_offset: i64) {}

    pub(crate) fn failed(&self, _partition: i32, _error: &Error) {}

    pub(crate) fn split(&mut self, _at: usize) -> [Self; 2] {
        [Self(()), Self(())]
    }
}

pub(crate) struct ConsumerTelemetry;

#[expect(clippy::unused_self, reason = "as with the feature")]
impl ConsumerTelemetry {
    pub(crate) fn new(_client_id: &str, _group_id: Option<&str>) -> Self {
        Self
    }

    pub(crate) fn waits(&self) {}

    pub(crate) fn received(&self, _records: &Records) {}

    pub(crate) fn commit<T, F>(&self, committing: F) -> F
    where
        F: Future<Output = Result<T, Error>>,
    {
        committing
    }
}
