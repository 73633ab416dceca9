//! A whole batch as one piece of memory, and the batches of a Fetch response in a row.
//!
//! Pure. Slices share the memory they are cut from; only compressed records are copied, once.

use bytes::Bytes;

use super::batch::{BatchHeader, Compression, HEADER_LEN, HeaderError};
use super::compression::{Limits, decompress};
use super::error::RecordError;
use super::record::{Layout, Record};

/// A whole batch: its decoded head and all of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordBatch {
    header: BatchHeader,
    /// Exactly `header.size()` bytes.
    bytes: Bytes,
}

impl RecordBatch {
    /// Cuts the batch at the start of `bytes` and returns it with what follows. The CRC and the
    /// records are not looked at.
    ///
    /// # Errors
    /// [`RecordError::Header`]; with [`HeaderError::Truncated`] when the batch ends after `bytes`.
    pub fn parse(mut bytes: Bytes) -> Result<(Self, Bytes), RecordError> {
        let header = BatchHeader::decode(&bytes)?;
        if bytes.len() < header.size() {
            return Err(HeaderError::Truncated.into());
        }
        let rest = bytes.split_off(header.size());
        Ok((Self { header, bytes }, rest))
    }

    /// The head.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The records behind the head, as they are: compressed if the batch is.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.bytes.slice(HEADER_LEN.min(self.bytes.len())..)
    }

    /// Checks that the bytes are those that were summed.
    ///
    /// # Errors
    /// [`HeaderError::Crc`] when they are not.
    pub fn verify_crc(&self) -> Result<(), RecordError> {
        Ok(self.header.verify_crc(&self.bytes)?)
    }

    /// The records, decompressed within `limits`.
    ///
    /// # Errors
    /// [`RecordError::Compression`] when they cannot be decompressed, [`RecordError::Header`] for an
    /// unknown codec, [`RecordError::Count`] for a negative count. The iterator reports the rest.
    pub fn records(&self, limits: &Limits) -> Result<Records, RecordError> {
        self.records_with(limits, Bytes::from)
    }

    /// As [`records`](Self::records), with `keep` making the shared memory of what was
    /// decompressed; it is not called for records in clear.
    ///
    /// # Errors
    /// As [`records`](Self::records).
    pub fn records_with(
        &self,
        limits: &Limits,
        keep: impl FnOnce(Vec<u8>) -> Bytes,
    ) -> Result<Records, RecordError> {
        let header = self.header;
        let left = u32::try_from(header.record_count)
            .map_err(|_| RecordError::Count(header.record_count))?;
        let compression = header.attributes.compression()?;
        let body = self.body();
        // Compaction leaves batches without records behind, whatever codec they had.
        let records = if compression == Compression::None || (left == 0 && body.is_empty()) {
            body
        } else {
            keep(decompress(compression, &body, limits)?)
        };
        Ok(Records {
            header,
            records,
            at: 0,
            left,
        })
    }
}

/// The records of a batch. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Records {
    header: BatchHeader,
    /// Decompressed.
    records: Bytes,
    at: usize,
    left: u32,
}

impl Records {
    /// Bytes of all records after decompression.
    #[must_use]
    pub fn decompressed_size(&self) -> usize {
        self.records.len()
    }

    /// All records in clear, also those that were read.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.records
    }

    fn read(&mut self) -> Result<Record, RecordError> {
        let layout = Layout::parse(&self.records, self.at)?;
        if !(0..=self.header.last_offset_delta).contains(&layout.offset_delta) {
            return Err(RecordError::OffsetDelta(layout.offset_delta));
        }
        self.at = layout.end;
        Ok(Record::cut(&self.header, &self.records, &layout))
    }

    fn stop(&mut self) {
        self.left = 0;
        self.at = self.records.len();
    }
}

impl Iterator for Records {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(left) = self.left.checked_sub(1) else {
            let trailing = self.records.len().saturating_sub(self.at);
            self.stop();
            return (trailing > 0).then_some(Err(RecordError::TrailingBytes(trailing)));
        };
        self.left = left;
        let record = self.read();
        if record.is_err() {
            self.stop();
        }
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // What the head claims, but no more than the bytes can hold, and an error at the end.
        let possible = self.records.len().saturating_sub(self.at) / Layout::MIN + 1;
        let claimed = usize::try_from(self.left).unwrap_or(usize::MAX);
        (0, Some(possible.min(claimed.saturating_add(1))))
    }
}

impl std::iter::FusedIterator for Records {}

/// The batches in a row that a Fetch response or a segment holds. Ends after the first error, and
/// before a batch that is not all there: a broker may cut the last one short.
#[derive(Debug, Clone)]
pub struct Batches {
    rest: Bytes,
}

impl Batches {
    /// The batches from the start of `bytes`.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read: the batch that was cut short, if any. Empty after an error.
    #[must_use]
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    /// Bytes that the batch at the front says it has, if its head is there; tells a client how
    /// much to ask for when even the first batch was cut short.
    #[must_use]
    pub fn next_size(&self) -> Option<usize> {
        BatchHeader::decode(&self.rest)
            .ok()
            .map(|header| header.size())
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        match RecordBatch::parse(self.rest.clone()) {
            Ok((batch, rest)) => {
                self.rest = rest;
                Some(Ok(batch))
            }
            Err(RecordError::Header(HeaderError::Truncated)) => None,
            Err(error) => {
                // Nothing can be found behind a head that makes no sense.
                self.rest = Bytes::new();
                Some(Err(error))
            }
        }
    }
}

impl std::iter::FusedIterator for Batches {}
