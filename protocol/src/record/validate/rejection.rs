//! Why a batch was refused, in the terms of a Produce response.

use super::super::batch::HeaderError;
use super::super::compression::CompressionError;
use super::super::error::RecordError;

/// Records of a batch that are reported one by one; a refused batch may hold thousands.
pub const MAX_RECORD_ERRORS: usize = 100;

/// Which error a refused batch gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectReason {
    /// The bytes are damaged; clients send the batch again.
    CorruptMessage,
    /// Larger than allowed; clients split the batch.
    MessageTooLarge,
    /// Timestamps out of range, or of a type that only the broker sets.
    InvalidTimestamp,
    /// The codec is unknown, not built in, or too new for the request.
    UnsupportedCompressionType,
    /// Anything else that makes no valid batch; clients give up.
    InvalidRecord,
}

impl RejectReason {
    /// Kafka's number of this error.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            Self::CorruptMessage => 2,
            Self::MessageTooLarge => 10,
            Self::InvalidTimestamp => 32,
            Self::UnsupportedCompressionType => 76,
            Self::InvalidRecord => 87,
        }
    }
}

/// A record for which a batch was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRejection {
    /// Position of the record in the batch, from 0: `batch_index` in the response.
    pub index: i32,
    /// What is wrong with it.
    pub message: String,
}

/// Why a batch was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// The error for the client's program.
    pub reason: RejectReason,
    /// The error for its user.
    pub message: String,
    /// The records at fault, at most [`MAX_RECORD_ERRORS`]; empty when it is the batch.
    pub records: Vec<RecordRejection>,
}

impl Rejection {
    pub(super) fn new(reason: RejectReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            records: Vec::new(),
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(RejectReason::InvalidRecord, message)
    }
}

impl From<RecordError> for Rejection {
    fn from(error: RecordError) -> Self {
        let reason = match &error {
            RecordError::Header(HeaderError::Crc | HeaderError::Length(_)) => {
                RejectReason::CorruptMessage
            }
            RecordError::Header(HeaderError::Compression(_))
            | RecordError::Compression(CompressionError::NotBuiltIn(_)) => {
                RejectReason::UnsupportedCompressionType
            }
            RecordError::Compression(CompressionError::TooLarge { .. }) => {
                RejectReason::MessageTooLarge
            }
            _ => RejectReason::InvalidRecord,
        };
        Self::new(reason, error.to_string())
    }
}
