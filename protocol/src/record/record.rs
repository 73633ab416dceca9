//! One record as a view on its batch: nothing is copied but the pointers.
//!
//! Pure. [`Layout::parse`] checks a whole record before any of it is handed out, so headers can be
//! read later without errors.

use std::ops::Range;

use bytes::Bytes;
use bytestring::ByteString;

use super::batch::{BatchHeader, TimestampType};
use super::error::RecordError;
use super::varint::Cursor;

/// A record of a batch. `key`, `value` and headers share the memory of the batch, or of its
/// decompressed records.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Position in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch, by the producer's clock or, under
    /// [`TimestampType::LogAppendTime`], by the broker's. -1 when the producer gave none.
    pub timestamp: i64,
    /// Sequence number of an idempotent producer, or -1.
    pub sequence: i32,
    /// The key; `None` is not the same as empty.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone in a compacted topic.
    pub value: Option<Bytes>,
    headers: Headers,
}

impl Record {
    /// The headers, in the producer's order. A key may occur more than once.
    #[must_use]
    pub fn headers(&self) -> Headers {
        self.headers.clone()
    }

    /// The value of the last header with this key: `None` without one, `Some(None)` for null.
    #[must_use]
    pub fn header(&self, key: &str) -> Option<Option<Bytes>> {
        self.headers()
            .filter(|header| header.key == *key)
            .last()
            .map(|header| header.value)
    }

    /// Cuts the record that `layout` found in `records`, which is behind `header`.
    pub(super) fn cut(header: &BatchHeader, records: &Bytes, layout: &Layout) -> Self {
        let timestamp = match header.attributes.timestamp_type() {
            TimestampType::LogAppendTime => header.max_timestamp,
            TimestampType::CreateTime => layout.timestamp(header),
        };
        let sequence = if header.base_sequence < 0 {
            -1
        } else {
            header.base_sequence.wrapping_add(layout.offset_delta) & i32::MAX
        };
        Self {
            offset: header
                .base_offset
                .saturating_add(i64::from(layout.offset_delta)),
            timestamp,
            sequence,
            key: layout.key.clone().map(|range| cut(records, range)),
            value: layout.value.clone().map(|range| cut(records, range)),
            headers: Headers {
                bytes: cut(records, layout.headers.clone()),
                left: layout.header_count,
            },
        }
    }
}

/// A header of a record: what a producer attaches beside key and value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Header {
    /// The name.
    pub key: ByteString,
    /// The value; may be null.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header with a value.
    pub fn new(key: impl Into<ByteString>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
        }
    }
}

/// The headers of a record, read as they are asked for.
///
/// A key that is not UTF-8 comes out with replacement characters, as in Kafka's Java client: a
/// broker stores it, so a reader must get past it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    bytes: Bytes,
    left: usize,
}

impl Headers {
    fn read(&mut self) -> Result<Header, RecordError> {
        let mut cursor = Cursor::new(&self.bytes, 0);
        let key = header_key(&mut cursor)?;
        let value = nullable(&mut cursor, "header value")?;
        let end = cursor.at();
        let header = Header {
            key: ByteString::try_from(cut(&self.bytes, key.clone())).unwrap_or_else(|_| {
                let bytes = self.bytes.get(key).unwrap_or_default();
                String::from_utf8_lossy(bytes).into_owned().into()
            }),
            value: value.map(|range| cut(&self.bytes, range)),
        };
        self.bytes = cut(&self.bytes, end..self.bytes.len());
        Ok(header)
    }
}

impl Iterator for Headers {
    type Item = Header;

    fn next(&mut self) -> Option<Header> {
        self.left = self.left.checked_sub(1)?;
        self.read().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers {}
impl std::iter::FusedIterator for Headers {}

/// Where the fields of one record are, as ranges of the batch's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Range<usize>,
    header_count: usize,
    /// Where the attributes are: behind the record's length.
    pub(super) body: usize,
    /// What follows the timestamp starts here.
    pub(super) rest: usize,
    /// Where the next record starts.
    pub(super) end: usize,
}

impl Layout {
    /// Bytes of the smallest possible record: seven one-byte integers.
    pub(super) const MIN: usize = 7;

    /// Reads the record at `at`, headers included.
    ///
    /// # Errors
    /// [`RecordError`] when the record is not whole, or its parts do not add up to its length.
    pub(super) fn parse(records: &[u8], at: usize) -> Result<Self, RecordError> {
        let mut cursor = Cursor::new(records, at);
        let length = length(cursor.varint()?, "body")?;
        let end = cursor.clone().skip(length)?.end;
        let body = records.get(..end).unwrap_or_default();
        let mut cursor = Cursor::new(body, cursor.at());
        // The record's attributes have no meaning yet; Kafka ignores them too.
        let attributes = cursor.at();
        cursor.byte()?;
        let timestamp_delta = cursor.varlong()?;
        let rest = cursor.at();
        let offset_delta = cursor.varint()?;
        let key = nullable(&mut cursor, "key")?;
        let value = nullable(&mut cursor, "value")?;
        let header_count = self::length(cursor.varint()?, "header count")?;
        let start = cursor.at();
        for _ in 0..header_count {
            header_key(&mut cursor)?;
            nullable(&mut cursor, "header value")?;
        }
        if cursor.remaining() > 0 {
            return Err(RecordError::Size(cursor.remaining()));
        }
        Ok(Self {
            timestamp_delta,
            offset_delta,
            key,
            value,
            headers: start..end,
            header_count,
            body: attributes,
            rest,
            end,
        })
    }

    /// The producer's timestamp. Wraps like Kafka's on a forged delta.
    pub(super) fn timestamp(&self, header: &BatchHeader) -> i64 {
        header.base_timestamp.wrapping_add(self.timestamp_delta)
    }
}

/// `range` of `records`; empty if it were outside, which [`Layout::parse`] excludes.
fn cut(records: &Bytes, range: Range<usize>) -> Bytes {
    if range.start <= range.end && range.end <= records.len() {
        records.slice(range)
    } else {
        Bytes::new()
    }
}

fn length(value: i32, field: &'static str) -> Result<usize, RecordError> {
    usize::try_from(value).map_err(|_| RecordError::Length {
        field,
        length: value,
    })
}

fn header_key(cursor: &mut Cursor<'_>) -> Result<Range<usize>, RecordError> {
    let key = length(cursor.varint()?, "header key")?;
    cursor.skip(key)
}

fn nullable(
    cursor: &mut Cursor<'_>,
    field: &'static str,
) -> Result<Option<Range<usize>>, RecordError> {
    match cursor.varint()? {
        -1 => Ok(None),
        value => cursor.skip(length(value, field)?).map(Some),
    }
}
