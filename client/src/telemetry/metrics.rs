//! What is counted, and under which names.

use std::time::Duration;

use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};

use crate::error::Error;

/// As the convention asks for, in seconds.
const BOUNDARIES: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// An operation that has ended.
pub(super) struct Operation<'a> {
    pub(super) name: &'static str,
    /// As the convention calls it.
    pub(super) kind: &'static str,
    pub(super) topic: Option<&'a str>,
    pub(super) partition: Option<i32>,
    pub(super) group_id: Option<&'a str>,
    pub(super) error_type: Option<&'static str>,
}

impl Operation<'_> {
    fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new("messaging.system", "kafka"),
            KeyValue::new("messaging.operation.name", self.name),
            KeyValue::new("messaging.operation.type", self.kind),
        ];
        let mut add = |key, value: Option<String>| {
            attributes.extend(value.map(|value| KeyValue::new(key, value)));
        };
        add("messaging.destination.name", self.topic.map(Into::into));
        add(
            "messaging.destination.partition.id",
            self.partition.map(|id| id.to_string()),
        );
        add(
            "messaging.consumer.group.name",
            self.group_id.map(Into::into),
        );
        add("error.type", self.error_type.map(Into::into));
        attributes
    }
}

/// A class of errors, of which there are few.
pub(super) fn error_type(error: &Error) -> &'static str {
    match error {
        Error::Config(_) => "config",
        Error::Timeout { .. } => "timeout",
        Error::Unavailable(_) => "unavailable",
        Error::QueueFull => "queue_full",
        Error::Refused { code, .. } => code.name(),
        Error::Invalid(_) => "invalid",
        Error::Unsupported(_) => "unsupported",
        Error::Fenced(_) => "fenced",
        Error::Abortable(_) => "abortable",
        Error::NoOffset { .. } => "no_offset",
        Error::Corrupt(_) => "corrupt",
        Error::Closed => "closed",
    }
}

/// How long operations took.
pub(super) struct Durations(Histogram<f64>);

impl Durations {
    pub(super) fn new() -> Self {
        let meter = global::meter("ottla-client");
        let histogram = meter
            .f64_histogram("messaging.client.operation.duration")
            .with_unit("s")
            .with_description(
                "Duration of messaging operation initiated by a producer or consumer client.",
            )
            .with_boundaries(BOUNDARIES.to_vec());
        Self(histogram.build())
    }

    pub(super) fn record(&self, operation: &Operation<'_>, duration: Duration) {
        self.0
            .record(duration.as_secs_f64(), &operation.attributes());
    }
}

/// How many records there were.
pub(super) struct Messages(Counter<u64>);

impl Messages {
    pub(super) fn new(name: &'static str) -> Self {
        let meter = global::meter("ottla-client");
        let counter = meter.u64_counter(name);
        Self(counter.with_unit("{message}").build())
    }

    pub(super) fn add(&self, operation: &Operation<'_>, count: u64) {
        self.0.add(count, &operation.attributes());
    }
}
