//! Spans and metrics under OpenTelemetry's names for messaging; feature `opentelemetry`.
//!
//! Every record that is sent has a span `send TOPIC`, from its queueing to its acknowledgement, and carries that span's
//! context in its header `traceparent` (W3C). What is handed out has a span `poll TOPIC` with a link to the context of
//! each record, and each commit a span `commit`. They are spans of `tracing`: a layer of `tracing-opentelemetry` makes
//! them OpenTelemetry's. [`ConsumerHandle::process_span`](crate::ConsumerHandle::process_span) makes the span of the
//! processing itself.
//!
//! `messaging.client.operation.duration`, `messaging.client.sent.messages` and `messaging.client.consumed.messages` go
//! to the global meter provider as it is when a producer or consumer is built.
//!
//! `error.type` is a broker's error code by its name, such as `MESSAGE_TOO_LARGE`, or one of `timeout`, `unavailable`,
//! `queue_full`, `invalid`, `config`, `unsupported`, `fenced`, `abortable`, `no_offset`, `corrupt`, `closed`.

#[cfg(not(feature = "opentelemetry"))]
mod absent;
#[cfg(feature = "opentelemetry")]
mod consumer;
#[cfg(feature = "opentelemetry")]
mod metrics;
#[cfg(feature = "opentelemetry")]
mod producer;
#[cfg(feature = "opentelemetry")]
mod trace_context;

#[cfg(not(feature = "opentelemetry"))]
pub(crate) use absent::{ConsumerTelemetry, ProducerTelemetry, Sending, Sendings};
#[cfg(feature = "opentelemetry")]
pub(crate) use consumer::ConsumerTelemetry;
#[cfg(feature = "opentelemetry")]
pub(crate) use producer::{ProducerTelemetry, Sending, Sendings};
#[cfg(feature = "opentelemetry")]
pub use trace_context::origin;
