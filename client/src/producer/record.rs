//! What an application hands to a producer.

use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::record::Header;

/// Bytes that a record may take in a batch beside its fields, at most.
const OVERHEAD: usize = 32;

/// Bytes that a header may take beside its fields, at most.
const HEADER_OVERHEAD: usize = 10;

/// A record to write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ProducerRecord {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition; none to let the key, or the load, decide.
    pub partition: Option<i32>,
    /// The key; `None` is not the same as empty.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone in a compacted topic.
    pub value: Option<Bytes>,
    /// What is attached beside key and value, in this order.
    pub headers: Vec<Header>,
    /// Milliseconds since the Unix epoch; none for now.
    pub timestamp: Option<i64>,
}

impl ProducerRecord {
    /// A record for `topic` without key and value.
    pub fn new(topic: impl Into<Arc<str>>) -> Self {
        Self {
            topic: topic.into(),
            partition: None,
            key: None,
            value: None,
            headers: Vec::new(),
            timestamp: None,
        }
    }

    /// With this key.
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With this value.
    pub fn value(mut self, value: impl Into<Bytes>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// To this partition.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// With this header after those it has.
    pub fn header(mut self, header: Header) -> Self {
        self.headers.push(header);
        self
    }

    /// As of this time, in milliseconds since the Unix epoch.
    pub fn timestamp(mut self, timestamp: i64) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Bytes that the record may take in a batch, at most.
    pub(super) fn cost(&self) -> usize {
        let field = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.iter();
        let headers = headers.map(|h| HEADER_OVERHEAD + h.key.len() + field(&h.value));
        headers.fold(
            OVERHEAD
                .saturating_add(field(&self.key))
                .saturating_add(field(&self.value)),
            usize::saturating_add,
        )
    }
}
