//! The spans of what is handed out, processed and committed.

use std::collections::BTreeMap;
use std::future::Future;

use opentelemetry::trace::TraceContextExt as _;
use ottla_protocol::ErrorCode;
use ottla_protocol::record::Record;
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::metrics::{Durations, Messages, Operation, error_type};
use super::trace_context::origin;
use crate::consumer::Records;
use crate::error::Error;
use crate::metadata::TopicPartition;

/// What became of each partition of a commit.
type Codes = BTreeMap<TopicPartition, ErrorCode>;

/// Records that one span links to, at most.
const MAX_LINKS: usize = 128;

pub(crate) struct ConsumerTelemetry {
    client_id: String,
    group_id: Option<String>,
    durations: Durations,
    consumed: Messages,
    /// Since when the application waits.
    waiting: Mutex<Option<Instant>>,
}

impl ConsumerTelemetry {
    pub(crate) fn new(client_id: &str, group_id: Option<&str>) -> Self {
        Self {
            client_id: client_id.to_owned(),
            group_id: group_id.map(str::to_owned),
            durations: Durations::new(),
            consumed: Messages::new("messaging.client.consumed.messages"),
            waiting: Mutex::new(None),
        }
    }

    /// There is nothing for the application now.
    pub(crate) fn waits(&self) {
        self.waiting.lock().get_or_insert_with(Instant::now);
    }

    /// These records are handed to the application.
    pub(crate) fn received(&self, records: &Records) {
        let waited = self.waiting.lock().take().map(|since| since.elapsed());
        let partition = records.partition();
        drop(self.span("poll", "receive", "client", partition, records));
        let operation = Operation {
            topic: Some(&partition.topic),
            partition: Some(partition.partition),
            ..self.operation("poll", "receive", None)
        };
        self.durations
            .record(&operation, waited.unwrap_or_default());
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        self.consumed.add(&operation, count);
    }

    /// The span of work on records of one partition.
    pub(crate) fn process<'a>(
        &self,
        partition: &TopicPartition,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Span {
        self.span("process", "process", "consumer", partition, records)
    }

    fn operation<'a>(
        &'a self,
        name: &'static str,
        kind: &'static str,
        error_type: Option<&'static str>,
    ) -> Operation<'a> {
        Operation {
            name,
            kind,
            topic: None,
            partition: None,
            group_id: self.group_id.as_deref(),
            error_type,
        }
    }

    fn span<'a>(
        &self,
        name: &'static str,
        kind: &'static str,
        span_kind: &'static str,
        partition: &TopicPartition,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Span {
        let topic = &*partition.topic;
        let span = info_span!(
            "consume",
            otel.name = format!("{name} {topic}"),
            otel.kind = span_kind,
            messaging.system = "kafka",
            messaging.operation.name = name,
            messaging.operation.type = kind,
            messaging.client.id = self.client_id,
            messaging.consumer.group.name = self.group_id,
            messaging.destination.name = topic,
            messaging.destination.partition.id = partition.partition.to_string(),
            messaging.batch.message_count = Empty,
            messaging.message.body.size = Empty,
            messaging.kafka.message.key = Empty,
            messaging.kafka.message.tombstone = Empty,
            messaging.kafka.offset = Empty,
        );
        if span.is_disabled() {
            return span;
        }
        let records: Vec<&Record> = records.into_iter().collect();
        match records.as_slice() {
            [record] => describe(&span, record, name == "process"),
            records => {
                span.record("messaging.batch.message_count", records.len());
            }
        }
        for context in records
            .iter()
            .filter_map(|record| origin(record))
            .take(MAX_LINKS)
        {
            span.add_link(context);
        }
        span
    }

    /// Commits, in a span.
    pub(crate) async fn commit<F>(&self, committing: F) -> Result<Codes, Error>
    where
        F: Future<Output = Result<Codes, Error>>,
    {
        let span = info_span!(
            "commit",
            otel.kind = "client",
            otel.status_code = Empty,
            messaging.system = "kafka",
            messaging.operation.name = "commit",
            messaging.operation.type = "settle",
            messaging.client.id = self.client_id,
            messaging.consumer.group.name = self.group_id,
            error.type = Empty,
        );
        let begun = Instant::now();
        let committed = committing.instrument(span.clone()).await;
        let error = match &committed {
            Err(error) => Some(error_type(error)),
            Ok(codes) => {
                let mut codes = codes.values();
                let failed = codes.find(|code| **code != ErrorCode::None);
                failed.map(|code| code.name())
            }
        };
        if let Some(error) = error {
            span.record("error.type", error);
            span.record("otel.status_code", "ERROR");
        }
        let operation = self.operation("commit", "settle", error);
        self.durations.record(&operation, begun.elapsed());
        committed
    }
}

/// Tells of the only record of a span. Work on one record belongs to the trace of the record, unless the application
/// has one under way.
fn describe(span: &Span, record: &Record, continues: bool) {
    span.record("messaging.kafka.offset", record.offset);
    let size = record.value.as_ref().map_or(0, bytes::Bytes::len);
    span.record("messaging.message.body.size", size);
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
    if let Some(context) = origin(record).filter(|_| continues && Span::current().is_none()) {
        let parent = opentelemetry::Context::new().with_remote_span_context(context);
        // Without a layer of OpenTelemetry there is nothing to set.
        let _ = span.set_parent(parent);
    }
}
