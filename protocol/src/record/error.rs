//! Why a batch's bytes could not be read.

use super::batch::HeaderError;
use super::compression::CompressionError;

/// Why a batch or one of its records was refused by a reader.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The head of the batch, or its checksum.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The records could not be decompressed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// A record ends after the batch does.
    #[error("record runs past the end of its batch")]
    Truncated,
    /// A variable-length integer longer or larger than its type.
    #[error("record holds a malformed variable-length integer")]
    Varint,
    /// A length or a count that its field cannot have.
    #[error("record has an invalid {field} length {length}")]
    Length {
        /// Which field.
        field: &'static str,
        /// What it claims.
        length: i32,
    },
    /// The fields of a record are shorter than the record says it is.
    #[error("record has {0} bytes behind its last field")]
    Size(usize),
    /// A record outside the offsets of its batch.
    #[error("record has offset delta {0}, outside its batch")]
    OffsetDelta(i32),
    /// `record_count` is negative.
    #[error("record batch has invalid record count {0}")]
    Count(i32),
    /// Bytes behind the last record.
    #[error("record batch has {0} bytes behind its last record")]
    TrailingBytes(usize),
    /// A control record without the fields its type has.
    #[error("control record is malformed")]
    Control,
}
