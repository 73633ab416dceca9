//! What can go wrong, split by what the caller does next.

use ottla_protocol::{DecodeError, EncodeError, ErrorCode};

use crate::config::ConfigError;

/// A failed call. The variants say what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fix the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Try again later, or with more time: the call was retried until its deadline.
    #[error("{operation} did not succeed within its deadline: {reason}")]
    Timeout {
        /// What was tried.
        operation: &'static str,
        /// Why the last attempt failed.
        reason: String,
    },
    /// Try again: no broker could be reached, or the connection broke.
    #[error("broker unavailable: {0}")]
    Unavailable(String),
    /// Try again later, or make room: the buffer of the producer is full.
    #[error("the producer's buffer is full")]
    QueueFull,
    /// Fix the request: the broker refuses it.
    #[error("{operation} was refused with {}{}", .code.name(), .message.as_deref().map(|m| format!(": {m}")).unwrap_or_default())]
    Refused {
        /// What was asked.
        operation: &'static str,
        /// The broker's reason.
        code: ErrorCode,
        /// The broker's reason in words, if it gave any.
        message: Option<String>,
    },
    /// Fix the request: it contradicts itself or a limit, and was never sent.
    #[error("{0}")]
    Invalid(String),
    /// Use a newer broker, or do without: it does not serve what this needs.
    #[error("the broker does not serve {0}")]
    Unsupported(String),
    /// Drop the work at hand: someone else owns it now. A consumer goes on with its next event; a
    /// producer that is fenced ends.
    #[error("fenced: {0}")]
    Fenced(String),
    /// Abort the transaction, and repeat it if it is still wanted: it cannot be committed.
    #[error("the transaction must be aborted: {0}")]
    Abortable(String),
    /// Choose an offset: there is none for this partition and `auto.offset.reset` is `none`.
    #[error("{topic}-{partition} has no valid offset and auto.offset.reset is none")]
    NoOffset {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// Report it: a broker sent what the protocol does not allow, or damaged records.
    #[error("the broker's answer makes no sense: {0}")]
    Corrupt(String),
    /// Stop: this handle was closed.
    #[error("closed")]
    Closed,
}

impl Error {
    /// Whether the same call may succeed later without any change.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. } | Self::Unavailable(_) | Self::QueueFull
        )
    }

    /// Whether someone else owns now what the call was about.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced(_))
    }

    /// Whether the transaction at hand must be aborted and can then be repeated.
    #[must_use]
    pub fn is_abortable(&self) -> bool {
        matches!(self, Self::Abortable(_))
    }

    /// The broker's error code, if a broker refused.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Corrupt(error.to_string())
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// A record that was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record not acknowledged ({}): {error}", if *.may_have_been_written { "it may have been written" } else { "it was not written" })]
pub struct DeliveryError {
    /// Why.
    pub error: Error,
    /// False when the record is certainly not in the log. True when a request that carried it was
    /// sent and its outcome is unknown.
    pub may_have_been_written: bool,
}

/// A failed attempt to get an answer from one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallError {
    pub(crate) error: Error,
    /// Bytes of the request may have reached the broker.
    pub(crate) sent: bool,
}

impl CallError {
    pub(crate) fn unsent(error: Error) -> Self {
        Self { error, sent: false }
    }

    pub(crate) fn lost(error: Error) -> Self {
        Self { error, sent: true }
    }
}

/// An `Err` for any code but `None`.
pub(crate) fn check(
    operation: &'static str,
    code: ErrorCode,
    message: Option<&str>,
) -> Result<(), Error> {
    if code == ErrorCode::None {
        return Ok(());
    }
    Err(Error::Refused {
        operation,
        code,
        message: message.map(str::to_owned),
    })
}
