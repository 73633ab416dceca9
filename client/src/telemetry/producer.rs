//! The span of every record that is sent.

use std::sync::Arc;

use opentelemetry::trace::TraceContextExt as _;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::metrics::{Durations, Messages, Operation, error_type};
use super::trace_context::{given, put};
use crate::error::Error;
use crate::producer::ProducerRecord;

/// What all records of a producer share.
pub(crate) struct ProducerTelemetry(Arc<Shared>);

struct Shared {
    client_id: String,
    durations: Durations,
    sent: Messages,
}

impl ProducerTelemetry {
    pub(crate) fn new(client_id: &str) -> Self {
        Self(Arc::new(Shared {
            client_id: client_id.to_owned(),
            durations: Durations::new(),
            sent: Messages::new("messaging.client.sent.messages"),
        }))
    }

    /// A record is about to be queued. It gets the context of its span, unless the application gave it one.
    pub(crate) fn begin(&self, record: &mut ProducerRecord) -> Sending {
        let span = self.span(record);
        match given(record) {
            Some(context) => span.add_link(context),
            None => {
                let of = if span.is_disabled() {
                    Span::current()
                } else {
                    span.clone()
                };
                let context = of.context();
                let context = context.span().span_context().clone();
                if context.is_valid() {
                    put(record, &context);
                }
            }
        }
        Sending(Some(Begun {
            span,
            topic: Arc::clone(&record.topic),
            at: Instant::now(),
            shared: Arc::clone(&self.0),
        }))
    }

    fn span(&self, record: &ProducerRecord) -> Span {
        let topic = &*record.topic;
        let span = info_span!(
            "send",
            otel.name = format!("send {topic}"),
            otel.kind = "producer",
            otel.status_code = Empty,
            messaging.system = "kafka",
            messaging.operation.name = "send",
            messaging.operation.type = "send",
            messaging.client.id = self.0.client_id,
            messaging.destination.name = topic,
            messaging.destination.partition.id = Empty,
            messaging.message.body.size = record.value.as_ref().map_or(0, bytes::Bytes::len),
            messaging.kafka.message.key = Empty,
            messaging.kafka.message.tombstone = Empty,
            messaging.kafka.offset = Empty,
            error.type = Empty,
        );
        if let Some(key) = record
            .key
            .as_deref()
            .and_then(|key| std::str::from_utf8(key).ok())
        {
            span.record("messaging.kafka.message.key", key);
        }
        if record.value.is_none() {
            span.record("messaging.kafka.message.tombstone", true);
        }
        span
    }
}

/// A record on its way. Its span ends when all clones are dropped.
#[derive(Clone, Default)]
pub(crate) struct Sending(Option<Begun>);

#[derive(Clone)]
struct Begun {
    span: Span,
    topic: Arc<str>,
    at: Instant,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Sending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sending")
    }
}

impl Sending {
    /// The record was not queued.
    pub(crate) fn refused(&self, error: &Error) {
        if let Some(begun) = &self.0 {
            begun.end(None, Err(error));
        }
    }
}

impl Begun {
    fn end(&self, partition: Option<i32>, offset: Result<Option<i64>, &Error>) {
        if let Some(partition) = partition {
            let id = partition.to_string();
            self.span.record("messaging.destination.partition.id", id);
        }
        match offset {
            Ok(Some(offset)) => {
                self.span.record("messaging.kafka.offset", offset);
            }
            Ok(None) => {}
            Err(error) => {
                self.span.record("error.type", error_type(error));
                self.span.record("otel.status_code", "ERROR");
            }
        }
        let operation = Operation {
            name: "send",
            kind: "send",
            topic: Some(&self.topic),
            partition,
            group_id: None,
            error_type: offset.err().map(error_type),
        };
        self.shared.durations.record(&operation, self.at.elapsed());
        // What was refused was not sent.
        if partition.is_some() {
            self.shared.sent.add(&operation, 1);
        }
    }
}

/// The records of a batch, in order.
#[derive(Debug, Default)]
pub(crate) struct Sendings(Vec<Sending>);

impl Sendings {
    pub(crate) fn push(&mut self, sending: &Sending) {
        self.0.push(sending.clone());
    }

    /// All are in the log from `base_offset` on, which is -1 when the broker did not tell.
    pub(crate) fn written(&self, partition: i32, base_offset: i64) {
        for (sending, offset) in self.0.iter().zip(base_offset..) {
            if let Some(begun) = &sending.0 {
                begun.end(Some(partition), Ok((base_offset >= 0).then_some(offset)));
            }
        }
    }

    pub(crate) fn failed(&self, partition: i32, error: &Error) {
        for begun in self.0.iter().filter_map(|sending| sending.0.as_ref()) {
            begun.end(Some(partition), Err(error));
        }
    }

    /// Those before and those from `at` on.
    pub(crate) fn split(&mut self, at: usize) -> [Self; 2] {
        let mut first = std::mem::take(&mut self.0);
        let second = first.split_off(at.min(first.len()));
        [Self(first), Self(second)]
    }
}
