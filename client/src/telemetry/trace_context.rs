//! W3C trace context in the headers of records.

use std::str::FromStr as _;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use ottla_protocol::record::{Header, Record};

use crate::producer::ProducerRecord;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The only version that there is. Later ones have these fields first.
const VERSION: &str = "00";

/// Bytes of a header of this version.
const LENGTH: usize = 55;

/// The context in which a record was made, if its producer told. It is what a span that deals with the record links to.
#[must_use]
pub fn origin(record: &Record) -> Option<SpanContext> {
    let parent = record.header(TRACEPARENT)??;
    let state = record.header(TRACESTATE).flatten();
    parse(&parent, state.as_deref())
}

/// The context that the application put into a record itself.
pub(super) fn given(record: &ProducerRecord) -> Option<SpanContext> {
    let last = |key: &str| {
        let found = record
            .headers
            .iter()
            .rev()
            .find(|header| header.key == *key);
        found.and_then(|header| header.value.as_deref())
    };
    parse(last(TRACEPARENT)?, last(TRACESTATE))
}

/// Puts a context into a record.
pub(super) fn put(record: &mut ProducerRecord, context: &SpanContext) {
    let (trace, span) = (context.trace_id(), context.span_id());
    let flags = context.trace_flags().to_u8();
    let text = format!("{VERSION}-{trace:032x}-{span:016x}-{flags:02x}");
    record.headers.push(Header::new(TRACEPARENT, text));
    let state = context.trace_state().header();
    if !state.is_empty() {
        record.headers.push(Header::new(TRACESTATE, state));
    }
}

fn parse(parent: &[u8], state: Option<&[u8]>) -> Option<SpanContext> {
    let parent = std::str::from_utf8(parent).ok()?;
    let plain = |byte: u8| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if !parent.bytes().take(LENGTH).all(plain) {
        return None;
    }
    let mut fields = parent.split('-');
    let (version, trace, span, flags) = (
        fields
            .next()
            .filter(|field| field.len() == 2 && *field != "ff")?,
        fields.next().filter(|field| field.len() == 32)?,
        fields.next().filter(|field| field.len() == 16)?,
        fields.next().filter(|field| field.len() == 2)?,
    );
    if version == VERSION && fields.next().is_some() {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let state = state.and_then(|state| std::str::from_utf8(state).ok());
    let state = state.and_then(|state| TraceState::from_str(state).ok());
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        flags,
        true,
        state.unwrap_or_default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_comes_back_as_it_was_put() {
        let context = parse(PARENT.as_bytes(), Some(b"vendor=value")).unwrap();
        let mut record = ProducerRecord::new("t");
        put(&mut record, &context);
        assert_eq!(record.headers[0], Header::new(TRACEPARENT, PARENT));
        assert_eq!(given(&record), Some(context));
    }

    #[test]
    fn a_later_version_is_read_by_the_fields_that_are_known() {
        let later = PARENT.replacen("00", "01", 1) + "-more";
        assert!(parse(later.as_bytes(), None).is_some_and(|context| context.is_sampled()));
    }

    #[test]
    fn what_is_no_context_is_passed_over() {
        let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let more = format!("{PARENT}-more");
        let none = PARENT.replacen("00", "ff", 1);
        let large = PARENT.to_uppercase();
        for text in ["", "00", zero, &more, &none, &large, &PARENT[..54]] {
            assert_eq!(parse(text.as_bytes(), None), None, "{text}");
        }
        assert_eq!(parse(&[0xff; 55], None), None);
    }
}
