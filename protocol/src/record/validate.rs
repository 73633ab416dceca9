//! What a client may append: the rules for a batch in a Produce request.
//!
//! Pure. The rules, their order and their error codes are Apache Kafka's, so that clients react as
//! they are used to. Where this is stricter, it refuses what no client writes but what a log could
//! not be trusted with: compressed records whose offsets do not count up (Kafka rewrites the
//! batch), and a delete horizon, which only compaction may set.

use std::time::Duration;

use bytes::Bytes;

use super::append::AppendHead;
use super::batch::{BatchHeader, Compression, HEADER_LEN, HeaderError, TimestampType};
use super::compression::{CompressionError, Limits, decompress};
use super::error::RecordError;
use super::record::Layout;
use super::view::RecordBatch;

mod rejection;
#[cfg(test)]
mod tests;

pub use rejection::{MAX_RECORD_ERRORS, RecordRejection, RejectReason, Rejection};

/// The first version of Produce whose clients know zstd (KIP-110).
const FIRST_ZSTD_VERSION: i16 = 7;

/// A record or batch without a timestamp.
const NO_TIMESTAMP: i64 = -1;

/// What a topic and a request allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Bytes of a batch, head included: `max.message.bytes`.
    pub max_batch_size: usize,
    /// Version of the Produce request.
    pub produce_version: i16,
    /// The topic is compacted, so that every record needs a key.
    pub compacted: bool,
    /// `message.timestamp.type` of the topic.
    pub timestamp_type: TimestampType,
    /// How far behind the broker's clock a producer's timestamp may be; `None` is any.
    pub timestamp_before_max: Option<Duration>,
    /// How far ahead of the broker's clock a producer's timestamp may be; `None` is any.
    pub timestamp_after_max: Option<Duration>,
    /// How far a compressed batch may grow.
    pub limits: Limits,
}

impl Default for Rules {
    /// Kafka's defaults for a topic, and the newest clients.
    fn default() -> Self {
        Self {
            max_batch_size: (1 << 20) + 12,
            produce_version: i16::MAX,
            compacted: false,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max: None,
            timestamp_after_max: Some(Duration::from_secs(3600)),
            limits: Limits::default(),
        }
    }
}

/// A batch that may be appended, and what was learnt on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Validated {
    /// The batch as the client sent it.
    pub batch: RecordBatch,
    /// What its timestamps will mean in the log.
    pub timestamp_type: TimestampType,
    /// What the log will hold as `max_timestamp`: the largest of the records, -1 without any, or
    /// the time of the append. In milliseconds.
    pub max_timestamp: i64,
    /// The first record with `max_timestamp`, relative to the base offset. `None` when no record
    /// has a timestamp; the last record when all have the time of the append.
    pub offset_delta_of_max_timestamp: Option<i32>,
    /// A record without a key is among them.
    pub has_null_key: bool,
    /// Bytes of the records after decompression.
    pub decompressed_size: usize,
}

impl Validated {
    /// The head to append in front of the batch's unchanged [`body`](RecordBatch::body).
    #[must_use]
    pub fn head(&self, base_offset: i64, partition_leader_epoch: i32) -> BatchHeader {
        self.batch.header().for_append(&AppendHead {
            base_offset,
            partition_leader_epoch,
            timestamp_type: self.timestamp_type,
            max_timestamp: self.max_timestamp,
        })
    }
}

/// Judges `bytes`, the records of one partition in a Produce request. `now` is the broker's time
/// in milliseconds since the epoch.
///
/// # Errors
/// [`Rejection`], with the error code that Kafka would answer.
pub fn validate(bytes: &Bytes, rules: &Rules, now: i64) -> Result<Validated, Rejection> {
    let batch = only_batch(bytes, rules)?;
    batch.verify_crc()?;
    let header = *batch.header();
    check_header(&header)?;
    let compression = header.attributes.compression().map_err(RecordError::from)?;
    let body = batch.body();
    let decompressed;
    let records = if compression == Compression::None {
        &*body
    } else {
        decompressed = in_clear(compression, &body, &rules.limits)?;
        &*decompressed
    };
    let mut walk = Walk::new(&header, rules, now);
    walk.all(records)?;
    walk.verdict()?;
    let (max_timestamp, offset_delta_of_max_timestamp) = match rules.timestamp_type {
        TimestampType::CreateTime => (walk.max_timestamp, walk.offset_delta_of_max),
        TimestampType::LogAppendTime => (now, Some(header.last_offset_delta)),
    };
    let has_null_key = walk.has_null_key;
    let decompressed_size = records.len();
    Ok(Validated {
        batch,
        timestamp_type: rules.timestamp_type,
        max_timestamp,
        offset_delta_of_max_timestamp,
        has_null_key,
        decompressed_size,
    })
}

/// Compressed records in clear, if all clients can decompress them.
fn in_clear(compression: Compression, body: &[u8], limits: &Limits) -> Result<Vec<u8>, Rejection> {
    if compression == Compression::Lz4 && has_linked_blocks(body) {
        return Err(Rejection::invalid(
            "batch has linked lz4 blocks, which Kafka's clients cannot read; compress with \
             independent blocks",
        ));
    }
    decompress(compression, body, limits).map_err(|error| match error {
        CompressionError::TooLarge { .. } => Rejection::new(
            RejectReason::MessageTooLarge,
            format!(
                "{error}, as it has {} bytes compressed: {} times that, but {} in any case and \
                 never more than {}",
                body.len(),
                limits.max_ratio,
                limits.ratio_free,
                limits.max_decompressed
            ),
        ),
        error => RecordError::from(error).into(),
    })
}

/// Whether blocks of an LZ4 frame refer to those before them.
fn has_linked_blocks(frame: &[u8]) -> bool {
    const INDEPENDENT_BLOCKS: u8 = 0x20;
    matches!(frame, [0x04, 0x22, 0x4d, 0x18, flags, ..] if flags & INDEPENDENT_BLOCKS == 0)
}

/// The one batch that `bytes` must be, if it may be as large as it is.
fn only_batch(bytes: &Bytes, rules: &Rules) -> Result<RecordBatch, Rejection> {
    let (batch, rest) = match RecordBatch::parse(bytes.clone()) {
        Ok(parts) => parts,
        Err(RecordError::Header(HeaderError::Truncated)) => {
            return Err(Rejection::invalid("no whole record batch was sent"));
        }
        Err(RecordError::Header(error @ HeaderError::Magic(magic)))
            if !(0..=1).contains(&magic) =>
        {
            return Err(Rejection::new(
                RejectReason::CorruptMessage,
                error.to_string(),
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let header = batch.header();
    let compression = header.attributes.compression().map_err(RecordError::from)?;
    if compression == Compression::Zstd && rules.produce_version < FIRST_ZSTD_VERSION {
        return Err(Rejection::new(
            RejectReason::UnsupportedCompressionType,
            format!(
                "zstd needs a Produce request of version {FIRST_ZSTD_VERSION} or later, this is {}",
                rules.produce_version
            ),
        ));
    }
    if !rest.is_empty() {
        return Err(Rejection::invalid(
            "exactly one record batch is allowed per partition",
        ));
    }
    if header.base_offset != 0 {
        return Err(Rejection::invalid(format!(
            "the base offset of a produced batch must be 0, not {}",
            header.base_offset
        )));
    }
    if header.size() > rules.max_batch_size {
        return Err(Rejection::new(
            RejectReason::MessageTooLarge,
            format!(
                "record batch has {} bytes, more than the {} allowed",
                header.size(),
                rules.max_batch_size
            ),
        ));
    }
    Ok(batch)
}

/// What the head of a produced batch must say.
fn check_header(header: &BatchHeader) -> Result<(), Rejection> {
    let count = header.record_count;
    if count <= 0 || header.last_offset_delta != count - 1 {
        return Err(Rejection::invalid(format!(
            "record count {count} does not match last offset delta {}",
            header.last_offset_delta
        )));
    }
    let attributes = header.attributes;
    if attributes.is_control() {
        return Err(Rejection::invalid("clients must not write control records"));
    }
    if attributes.has_delete_horizon() {
        return Err(Rejection::invalid("clients must not set a delete horizon"));
    }
    // Without a producer id, epoch and sequence mean nothing: kafkajs sends zeros.
    if header.has_producer_id() {
        if header.producer_epoch < 0 {
            return Err(Rejection::invalid(format!(
                "producer {} has invalid epoch {}",
                header.producer_id, header.producer_epoch
            )));
        }
        if header.base_sequence < 0 {
            return Err(Rejection::invalid(format!(
                "producer {} has invalid base sequence {}",
                header.producer_id, header.base_sequence
            )));
        }
    } else if attributes.is_transactional() {
        return Err(Rejection::invalid(
            "a transactional batch needs a producer id",
        ));
    }
    if attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Err(Rejection::new(
            RejectReason::InvalidTimestamp,
            "producers must not set the timestamp type LogAppendTime",
        ));
    }
    let smallest = HEADER_LEN + Layout::MIN * usize::try_from(count).unwrap_or(usize::MAX / 16);
    if attributes.compression() == Ok(Compression::None) && header.size() < smallest {
        return Err(Rejection::invalid(format!(
            "record batch of {} bytes cannot hold {count} records",
            header.size()
        )));
    }
    Ok(())
}

/// A pass over all records of a batch.
struct Walk<'a> {
    header: &'a BatchHeader,
    rules: &'a Rules,
    now: i64,
    before_max: i64,
    after_max: i64,
    max_timestamp: i64,
    offset_delta_of_max: Option<i32>,
    has_null_key: bool,
    errors: usize,
    invalid_timestamp: bool,
    reported: Vec<RecordRejection>,
}

impl<'a> Walk<'a> {
    fn new(header: &'a BatchHeader, rules: &'a Rules, now: i64) -> Self {
        Self {
            header,
            rules,
            now,
            before_max: milliseconds(rules.timestamp_before_max),
            after_max: milliseconds(rules.timestamp_after_max),
            max_timestamp: NO_TIMESTAMP,
            offset_delta_of_max: None,
            has_null_key: false,
            errors: 0,
            invalid_timestamp: false,
            reported: Vec::new(),
        }
    }

    fn all(&mut self, records: &[u8]) -> Result<(), RecordError> {
        let mut at = 0;
        for index in 0..self.header.record_count {
            let layout = Layout::parse(records, at)?;
            if layout.offset_delta != index {
                return Err(RecordError::OffsetDelta(layout.offset_delta));
            }
            self.one(&layout, index);
            at = layout.end;
        }
        match records.len().saturating_sub(at) {
            0 => Ok(()),
            trailing => Err(RecordError::TrailingBytes(trailing)),
        }
    }

    fn one(&mut self, layout: &Layout, index: i32) {
        let timestamp = layout.timestamp(self.header);
        if timestamp > self.max_timestamp {
            self.max_timestamp = timestamp;
            self.offset_delta_of_max = Some(index);
        }
        self.has_null_key |= layout.key.is_none();
        if self.rules.compacted && layout.key.is_none() {
            self.refuse(index, || {
                "a compacted topic takes no record without a key".to_owned()
            });
        } else if self.is_out_of_range(timestamp) {
            self.invalid_timestamp = true;
            let (now, before, after) = (self.now, self.before_max, self.after_max);
            self.refuse(index, || {
                format!(
                    "timestamp {timestamp} is outside [{}, {}]",
                    now.saturating_sub(before),
                    now.saturating_add(after)
                )
            });
        }
    }

    fn is_out_of_range(&self, timestamp: i64) -> bool {
        if self.rules.timestamp_type == TimestampType::LogAppendTime || timestamp == NO_TIMESTAMP {
            return false;
        }
        match self.now.checked_sub(timestamp) {
            Some(age) => age > self.before_max || age.saturating_neg() > self.after_max,
            None => true,
        }
    }

    fn refuse(&mut self, index: i32, message: impl FnOnce() -> String) {
        self.errors += 1;
        if self.reported.len() < MAX_RECORD_ERRORS {
            self.reported.push(RecordRejection {
                index,
                message: message(),
            });
        }
    }

    fn verdict(&mut self) -> Result<(), Rejection> {
        if self.errors == 0 {
            return Ok(());
        }
        let reason = if self.invalid_timestamp {
            RejectReason::InvalidTimestamp
        } else {
            RejectReason::InvalidRecord
        };
        Err(Rejection {
            reason,
            message: format!("{} records of the batch were refused", self.errors),
            records: std::mem::take(&mut self.reported),
        })
    }
}

fn milliseconds(duration: Option<Duration>) -> i64 {
    duration.map_or(i64::MAX, |duration| {
        i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
    })
}
