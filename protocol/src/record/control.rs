//! Control records: the markers that end a transaction in a partition.
//!
//! Pure. A marker is the one record of a control batch; it takes an offset, and consumers skip it.

use bytes::{Buf as _, Bytes};

use super::batch::TimestampType;
use super::builder::{BatchBuilder, BatchOptions, ProducerIdentity};
use super::error::RecordError;
use super::record::Record;

/// The version of key and value that is written.
const VERSION: i16 = 0;

#[cfg(test)]
mod tests;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionResult {
    /// Its records must not be read.
    Abort,
    /// Its records may be read.
    Commit,
}

/// The marker that ends a producer's transaction in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EndTransactionMarker {
    /// How it ended.
    pub result: TransactionResult,
    /// Epoch of the transaction coordinator that wrote the marker.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// Reads the record of a control batch. `None` when it is a control record of another type,
    /// such as those of KRaft, which readers must skip.
    ///
    /// # Errors
    /// [`RecordError::Control`] when key or value are absent, short, or of a negative version.
    pub fn parse(record: &Record) -> Result<Option<Self>, RecordError> {
        let mut key = record.key.clone().ok_or(RecordError::Control)?;
        version(&mut key)?;
        let kind = key.try_get_i16().map_err(|_| RecordError::Control)?;
        let result = match kind {
            0 => TransactionResult::Abort,
            1 => TransactionResult::Commit,
            _ => return Ok(None),
        };
        let mut value = record.value.clone().ok_or(RecordError::Control)?;
        version(&mut value)?;
        Ok(Some(Self {
            result,
            coordinator_epoch: value.try_get_i32().map_err(|_| RecordError::Control)?,
        }))
    }

    /// The control batch with this marker. `timestamp` is in milliseconds since the epoch.
    #[must_use]
    pub fn build(&self, producer_id: i64, producer_epoch: i16, timestamp: i64) -> Bytes {
        let kind: i16 = match self.result {
            TransactionResult::Abort => 0,
            TransactionResult::Commit => 1,
        };
        let mut key = Vec::with_capacity(4);
        key.extend_from_slice(&VERSION.to_be_bytes());
        key.extend_from_slice(&kind.to_be_bytes());
        let mut value = Vec::with_capacity(6);
        value.extend_from_slice(&VERSION.to_be_bytes());
        value.extend_from_slice(&self.coordinator_epoch.to_be_bytes());
        let options = BatchOptions {
            timestamp_type: TimestampType::CreateTime,
            producer: ProducerIdentity {
                producer_id,
                producer_epoch,
                base_sequence: -1,
            },
            transactional: true,
            control: true,
            ..BatchOptions::default()
        };
        one_record(options, timestamp, &key, &value)
    }
}

/// A batch of one small record in clear.
#[expect(clippy::expect_used, reason = "only codecs and large records can fail")]
fn one_record(options: BatchOptions, timestamp: i64, key: &[u8], value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new(options).expect("no codec");
    builder
        .append(timestamp, Some(key), Some(value), &[])
        .expect("a small first record");
    builder.build().expect("no codec")
}

/// Steps over a version. Later ones only add fields.
fn version(bytes: &mut Bytes) -> Result<(), RecordError> {
    match bytes.try_get_i16() {
        Ok(version) if version >= 0 => Ok(()),
        _ => Err(RecordError::Control),
    }
}
