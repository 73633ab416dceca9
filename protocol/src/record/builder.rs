//! Fills a batch record by record. Used by the client, and by the broker for its own topics.
//!
//! Pure. One builder makes batch after batch and keeps its buffers.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::batch::{Attributes, BatchHeader, Compression, HEADER_LEN, TimestampType};
use super::compression::{CompressionError, Compressor};
use super::record::Header;
use super::varint;

/// Bytes of the head that `batch_length` does not count.
const LENGTH_PREFIX: usize = 12;

/// The most that any part of a batch may have, so that lengths and counts fit their fields.
const MAX_BYTES: usize = (i32::MAX as usize) - HEADER_LEN;

/// Who writes a batch, so that the broker can refuse duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProducerIdentity {
    /// As the broker gave it.
    pub producer_id: i64,
    /// As the broker gave it.
    pub producer_epoch: i16,
    /// Sequence number of the batch's first record; -1 in a control batch.
    pub base_sequence: i32,
}

impl ProducerIdentity {
    /// Nobody: a batch without idempotence.
    pub const NONE: Self = Self {
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
    };
}

/// What a [`BatchBuilder`] builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOptions {
    /// Bytes of a batch, head included and before compression, beyond which records are refused.
    pub max_size: usize,
    /// The codec.
    pub compression: Compression,
    /// The level of the codec, see [`Compressor::new`].
    pub level: Option<i32>,
    /// What the timestamps mean.
    pub timestamp_type: TimestampType,
    /// Who writes.
    pub producer: ProducerIdentity,
    /// The batch belongs to a transaction.
    pub transactional: bool,
    /// The batch holds a control record.
    pub control: bool,
    /// Offset of the first record; a producer leaves it 0.
    pub base_offset: i64,
    /// Leader epoch; a producer leaves it -1.
    pub partition_leader_epoch: i32,
}

impl Default for BatchOptions {
    /// What a producer without idempotence sends: 16 KiB, uncompressed, Java's default.
    fn default() -> Self {
        Self {
            max_size: 16 << 10,
            compression: Compression::None,
            level: None,
            timestamp_type: TimestampType::CreateTime,
            producer: ProducerIdentity::NONE,
            transactional: false,
            control: false,
            base_offset: 0,
            partition_leader_epoch: -1,
        }
    }
}

/// Why a record was not appended. The builder is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The batch has no room left: build it and append to the next.
    #[error("record batch is full")]
    Full,
    /// No batch can hold this record.
    #[error("record does not fit any batch")]
    TooLarge,
    /// The offset is not above that of the record before.
    #[error("offset delta {0} is not above the last one")]
    OffsetDelta(i32),
}

/// Builds batches. Empty at first and after each [`build`](Self::build).
#[derive(Debug)]
pub struct BatchBuilder {
    options: BatchOptions,
    compressor: Compressor,
    /// Room for the head, then the records in clear. Empty when no record was appended.
    buffer: BytesMut,
    /// Size of the batch before in clear, which is about what the next one will have.
    expected_size: usize,
    record_count: i32,
    last_offset_delta: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// An empty builder.
    ///
    /// # Errors
    /// [`CompressionError`] when the codec is not built in or gets no memory.
    pub fn new(options: BatchOptions) -> Result<Self, CompressionError> {
        Ok(Self {
            compressor: Compressor::new(options.compression, options.level)?,
            options,
            buffer: BytesMut::new(),
            expected_size: 0,
            record_count: 0,
            last_offset_delta: -1,
            base_timestamp: -1,
            max_timestamp: -1,
        })
    }

    /// Records appended so far.
    #[must_use]
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// No record was appended yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Bytes of the batch if it were built now and its codec saved nothing.
    #[must_use]
    pub fn size(&self) -> usize {
        self.buffer.len().max(HEADER_LEN)
    }

    /// Changes who writes, up to the moment of [`build`](Self::build): a producer learns its
    /// sequence when it sends.
    pub fn set_producer(&mut self, producer: ProducerIdentity) {
        self.options.producer = producer;
    }

    /// Changes the offset of the first record, up to the moment of [`build`](Self::build).
    pub fn set_base_offset(&mut self, base_offset: i64) {
        self.options.base_offset = base_offset;
    }

    /// Appends a record and returns its offset in the batch. `timestamp` is in milliseconds since
    /// the epoch.
    ///
    /// The first record is accepted even if it exceeds `max_size`: it will not fit a later batch
    /// either, and whether it is too large is for the broker to say.
    ///
    /// # Errors
    /// [`AppendError::Full`] or [`AppendError::TooLarge`].
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<i32, AppendError> {
        let next = self.last_offset_delta.checked_add(1);
        let offset_delta = next.ok_or(AppendError::Full)?;
        self.append_at(offset_delta, timestamp, key, value, headers)?;
        Ok(offset_delta)
    }

    /// Appends a record at `offset_delta` from the first offset of the batch, which may leave a
    /// gap, as compaction does.
    ///
    /// # Errors
    /// As [`append`](Self::append), and [`AppendError::OffsetDelta`] when it would go back.
    pub fn append_at(
        &mut self,
        offset_delta: i32,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), AppendError> {
        if offset_delta <= self.last_offset_delta {
            return Err(AppendError::OffsetDelta(offset_delta));
        }
        let first = self.is_empty();
        let base_timestamp = if first {
            timestamp
        } else {
            self.base_timestamp
        };
        let record = Unwritten {
            timestamp_delta: timestamp.wrapping_sub(base_timestamp),
            offset_delta,
            key,
            value,
            headers,
        };
        let body = record.body_size();
        let size = body.saturating_add(varint::size(wide(body)));
        if size > MAX_BYTES {
            return Err(AppendError::TooLarge);
        }
        if !first && self.size().saturating_add(size) > self.options.max_size.min(MAX_BYTES) {
            return Err(AppendError::Full);
        }
        if first {
            let expected = self.expected_size.min(self.options.max_size);
            self.buffer.reserve(expected.max(HEADER_LEN + size));
            self.buffer.put_bytes(0, HEADER_LEN);
            self.base_timestamp = base_timestamp;
            self.max_timestamp = timestamp;
        }
        record.write(body, &mut self.buffer);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.last_offset_delta = offset_delta;
        self.record_count += 1;
        Ok(())
    }

    /// Finishes the batch and empties the builder, which keeps options and buffers. Without
    /// records the batch is a bare head whose `last_offset_delta` is -1.
    ///
    /// # Errors
    /// [`CompressionError`] when the codec fails; the records are then lost.
    pub fn build(&mut self) -> Result<Bytes, CompressionError> {
        if self.buffer.is_empty() {
            self.buffer.put_bytes(0, HEADER_LEN);
        }
        self.expected_size = self.buffer.len();
        let compressed = self.options.compression != Compression::None && !self.is_empty();
        let result = if compressed {
            self.build_compressed()
        } else {
            let records = self.buffer.get(HEADER_LEN..).unwrap_or_default();
            let head = self.header(records).encode();
            let mut batch = self.buffer.split();
            patch(&mut batch, &head);
            Ok(batch.freeze())
        };
        self.buffer.clear();
        self.record_count = 0;
        self.last_offset_delta = -1;
        self.base_timestamp = -1;
        self.max_timestamp = -1;
        result
    }

    fn build_compressed(&mut self) -> Result<Bytes, CompressionError> {
        let records = self.buffer.get(HEADER_LEN..).unwrap_or_default();
        let mut batch = Vec::with_capacity(HEADER_LEN + records.len() / 2);
        batch.resize(HEADER_LEN, 0);
        self.compressor.compress(records, &mut batch)?;
        let head = self
            .header(batch.get(HEADER_LEN..).unwrap_or_default())
            .encode();
        patch(&mut batch, &head);
        Ok(Bytes::from(batch))
    }

    /// The head in front of `records`, which are compressed if the batch is.
    fn header(&self, records: &[u8]) -> BatchHeader {
        let options = &self.options;
        let size = HEADER_LEN - LENGTH_PREFIX + records.len();
        let mut header = BatchHeader {
            base_offset: options.base_offset,
            batch_length: i32::try_from(size).unwrap_or(i32::MAX),
            partition_leader_epoch: options.partition_leader_epoch,
            crc: 0,
            attributes: Attributes::default()
                .with_compression(options.compression)
                .with_timestamp_type(options.timestamp_type)
                .with_transactional(options.transactional)
                .with_control(options.control),
            last_offset_delta: self.last_offset_delta,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: options.producer.producer_id,
            producer_epoch: options.producer.producer_epoch,
            base_sequence: options.producer.base_sequence,
            record_count: self.record_count,
        };
        header.crc = header.compute_crc(records);
        header
    }
}

/// Writes `head` over the room left for it.
fn patch(batch: &mut [u8], head: &[u8; HEADER_LEN]) {
    if let Some(room) = batch.first_chunk_mut::<HEADER_LEN>() {
        *room = *head;
    }
}

/// A size as a varint's value. Sizes past `MAX_BYTES` are refused before they are written.
fn wide(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// A record about to be written.
struct Unwritten<'a> {
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a [Header],
}

impl Unwritten<'_> {
    /// Bytes behind the record's own length. Saturates.
    fn body_size(&self) -> usize {
        let fixed = 1
            + varint::size(self.timestamp_delta)
            + varint::size(i64::from(self.offset_delta))
            + varint::size(wide(self.headers.len()));
        let fields = [self.key, self.value].into_iter();
        let headers = self.headers.iter().flat_map(header_fields);
        fields
            .chain(headers)
            .map(field_size)
            .fold(fixed, usize::saturating_add)
    }

    fn write(&self, body_size: usize, out: &mut BytesMut) {
        varint::write(wide(body_size), out);
        out.put_u8(0);
        varint::write(self.timestamp_delta, out);
        varint::write(i64::from(self.offset_delta), out);
        write_field(self.key, out);
        write_field(self.value, out);
        varint::write(wide(self.headers.len()), out);
        for field in self.headers.iter().flat_map(header_fields) {
            write_field(field, out);
        }
    }
}

fn header_fields(header: &Header) -> [Option<&[u8]>; 2] {
    [
        Some(header.key.as_bytes().as_ref()),
        header.value.as_deref(),
    ]
}

fn field_size(field: Option<&[u8]>) -> usize {
    field.map_or(1, |bytes| {
        bytes.len().saturating_add(varint::size(wide(bytes.len())))
    })
}

fn write_field(field: Option<&[u8]>, out: &mut BytesMut) {
    match field {
        None => varint::write(-1, out),
        Some(bytes) => {
            varint::write(wide(bytes.len()), out);
            out.put_slice(bytes);
        }
    }
}
