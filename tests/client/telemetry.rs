//! Spans and metrics of the client as OpenTelemetry's SDK gets them, and the context of a trace on its way through a
//! broker. One test: what is counted goes to the meter of the process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that panics has failed"
)]

use std::time::Duration;

use opentelemetry::trace::{SpanKind, Status, TracerProvider as _};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use ottla_broker::Broker;
use ottla_client::config::AutoOffsetReset;
use ottla_client::consumer::{Consumer, Records};
use ottla_client::telemetry::origin;
use ottla_client::{Client, Event, Header, ProducerRecord, TopicPartition};
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;

/// A context that an application has from elsewhere.
const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let found = span
        .attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string())
}

/// The spans of this name, in the order in which they ended.
fn named(spans: &InMemorySpanExporter, name: &str) -> Vec<SpanData> {
    let mut spans = spans.get_finished_spans().unwrap();
    spans.retain(|span| span.name == name);
    spans
}

async fn records(consumer: &mut Consumer) -> Records {
    loop {
        if let Event::Records(records) = consumer.next_event().await.unwrap() {
            return records;
        }
    }
}

#[tokio::test]
async fn a_trace_goes_through_the_broker_and_every_step_is_told_under_its_name() {
    let spans = InMemorySpanExporter::default();
    let tracers = SdkTracerProvider::builder()
        .with_simple_exporter(spans.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(tracers.tracer("test"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let metrics = InMemoryMetricExporter::default();
    let meters = SdkMeterProvider::builder()
        .with_periodic_exporter(metrics.clone())
        .build();
    opentelemetry::global::set_meter_provider(meters.clone());

    let broker = Broker::builder().ephemeral().start().await.unwrap();
    let client = Client::builder()
        .in_process(broker.in_process())
        .connect()
        .await
        .unwrap();
    let producer = client.producer().build().await.unwrap();
    let work = tracing::info_span!("checkout");
    let first = producer.send(
        ProducerRecord::new("orders")
            .key("order-1")
            .value("created"),
    );
    first.instrument(work.clone()).await.unwrap();
    drop(work);
    let given = ProducerRecord::new("orders").header(Header::new("traceparent", GIVEN));
    producer.send(given).await.unwrap();
    let missing = ProducerRecord::new("orders").partition(7);
    producer.enqueue(missing).await.unwrap_err();

    let mut consumer = client
        .consumer("inventory")
        .with(|config| config.auto_offset_reset(AutoOffsetReset::Earliest))
        .subscribe(["orders"])
        .build()
        .await
        .unwrap();
    let records = records(&mut consumer).await;
    assert_eq!(records.len(), 2);
    for record in &records {
        let span = consumer.process_span(records.partition(), [record]);
        async {}.instrument(span).await;
    }
    consumer.ack(&records);
    consumer.commit().await.unwrap();
    consumer.close(Duration::from_secs(20)).await.unwrap();
    producer.close(Duration::from_secs(20)).await.unwrap();

    sends_are_told(&spans, &records);
    reads_are_told(&spans, &records);
    meters.force_flush().unwrap();
    counts_are_told(&metrics);
}

fn sends_are_told(spans: &InMemorySpanExporter, records: &Records) {
    let [checkout] = named(spans, "checkout").try_into().unwrap();
    let sends = named(spans, "send orders");
    let refused = sends
        .iter()
        .find(|span| attribute(span, "error.type").is_some());
    let refused = refused.expect("the record without a partition has a span");
    assert_eq!(attribute(refused, "error.type").as_deref(), Some("invalid"));
    assert!(matches!(refused.status, Status::Error { .. }));

    let written: Vec<_> = sends
        .iter()
        .filter(|span| attribute(span, "messaging.kafka.offset").is_some())
        .collect();
    let [first, second] = written.try_into().unwrap();
    assert_eq!(first.span_kind, SpanKind::Producer);
    assert_eq!(first.parent_span_id, checkout.span_context.span_id());
    for (key, value) in [
        ("messaging.system", "kafka"),
        ("messaging.operation.name", "send"),
        ("messaging.operation.type", "send"),
        ("messaging.client.id", "ottla-client"),
        ("messaging.destination.name", "orders"),
        ("messaging.destination.partition.id", "0"),
        ("messaging.message.body.size", "7"),
        ("messaging.kafka.message.key", "order-1"),
        ("messaging.kafka.offset", "0"),
    ] {
        assert_eq!(attribute(first, key).as_deref(), Some(value), "{key}");
    }
    // The record carries the context of its span, or the one that it was given, which the span links to.
    let origins: Vec<_> = records
        .iter()
        .map(|record| origin(record).unwrap())
        .collect();
    assert_eq!(origins[0].span_id(), first.span_context.span_id());
    assert_eq!(origins[0].trace_id(), checkout.span_context.trace_id());
    assert_eq!(
        second.links.links[0].span_context.span_id(),
        origins[1].span_id()
    );
    assert_eq!(
        attribute(second, "messaging.kafka.message.tombstone").as_deref(),
        Some("true")
    );
    let parents = records.iter().last().unwrap().headers();
    let parents: Vec<_> = parents
        .filter(|header| header.key == *"traceparent")
        .collect();
    assert_eq!(parents, [Header::new("traceparent", GIVEN)]);
}

fn reads_are_told(spans: &InMemorySpanExporter, records: &Records) {
    let [poll] = named(spans, "poll orders").try_into().unwrap();
    assert_eq!(poll.span_kind, SpanKind::Client);
    for (key, value) in [
        ("messaging.system", "kafka"),
        ("messaging.operation.name", "poll"),
        ("messaging.operation.type", "receive"),
        ("messaging.consumer.group.name", "inventory"),
        ("messaging.destination.name", "orders"),
        ("messaging.destination.partition.id", "0"),
        ("messaging.batch.message_count", "2"),
    ] {
        assert_eq!(attribute(&poll, key).as_deref(), Some(value), "{key}");
    }
    let linked: Vec<_> = poll
        .links
        .links
        .iter()
        .map(|link| link.span_context.span_id())
        .collect();
    let origins: Vec<_> = records
        .iter()
        .map(|record| origin(record).unwrap())
        .collect();
    let made: Vec<_> = origins.iter().map(|origin| origin.span_id()).collect();
    assert_eq!(linked, made);

    let processed = named(spans, "process orders");
    assert_eq!(processed.len(), 2);
    for (process, origin) in processed.iter().zip(&origins) {
        assert_eq!(process.span_kind, SpanKind::Consumer);
        assert_eq!(process.span_context.trace_id(), origin.trace_id());
        assert_eq!(process.parent_span_id, origin.span_id());
    }
    let commits = named(spans, "commit");
    let commit = commits.first().expect("a commit has a span");
    assert_eq!(
        attribute(commit, "messaging.operation.type").as_deref(),
        Some("settle")
    );
    let partition = TopicPartition::new("orders", 0);
    assert_eq!(records.partition(), &partition);
}

fn counts_are_told(exporter: &InMemoryMetricExporter) {
    let mut durations = Vec::new();
    let mut sent = 0;
    let mut consumed = 0;
    for resource in exporter.get_finished_metrics().unwrap() {
        for metric in resource.scope_metrics().flat_map(|scope| scope.metrics()) {
            match (metric.name(), metric.data()) {
                (
                    "messaging.client.operation.duration",
                    AggregatedMetrics::F64(MetricData::Histogram(histogram)),
                ) => {
                    assert_eq!(metric.unit(), "s");
                    for point in histogram.data_points() {
                        let mut attributes = point.attributes();
                        let name =
                            attributes.find(|a| a.key.as_str() == "messaging.operation.name");
                        durations.push(name.unwrap().value.to_string());
                    }
                }
                (
                    "messaging.client.sent.messages",
                    AggregatedMetrics::U64(MetricData::Sum(sum)),
                ) => {
                    sent = sum.data_points().map(|point| point.value()).sum();
                }
                (
                    "messaging.client.consumed.messages",
                    AggregatedMetrics::U64(MetricData::Sum(sum)),
                ) => {
                    consumed = sum.data_points().map(|point| point.value()).sum();
                }
                other => panic!("{other:?}"),
            }
        }
    }
    for name in ["send", "poll", "commit"] {
        assert!(
            durations.iter().any(|told| told == name),
            "{name} in {durations:?}"
        );
    }
    assert_eq!((sent, consumed), (2, 2));
}
