//! What can go wrong between bytes and messages, split by what the caller does next.

use crate::header::RequestHeader;

/// Bytes that are not what the protocol says they should be.
///
/// The peer is broken or hostile; retrying the same bytes gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A field needs more bytes than are left.
    #[error("{needed} bytes needed where {remaining} are left")]
    Truncated {
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that were left.
        remaining: usize,
    },
    /// A length below zero that is not the null marker.
    #[error("length {0} is negative")]
    NegativeLength(i64),
    /// A null where this version of the field has none.
    #[error("null in a field that cannot be null")]
    UnexpectedNull,
    /// The marker before a nullable struct is neither absent nor present.
    #[error("struct marker {0} is neither -1 nor 1")]
    StructMarker(i8),
    /// A string that is not UTF-8 and too long for replacement characters.
    #[error("string is not valid UTF-8 and too long to be replaced")]
    Utf8,
    /// A variable-length integer that is too long, too large or padded with zeros.
    #[error("variable-length integer is overlong or out of range")]
    Varint,
    /// An array announces more elements than the bytes that are left can hold.
    #[error("{count} elements announced where at most {possible} fit")]
    Count {
        /// Elements announced.
        count: usize,
        /// Elements that the remaining bytes could hold at their smallest.
        possible: usize,
    },
    /// The decoded message would need far more memory than its frame has bytes.
    #[error("message exceeds its allocation budget by {0} bytes")]
    Budget(usize),
    /// Tags of a tag section do not rise strictly.
    #[error("tag {0} is repeated or out of order")]
    TagOrder(u32),
    /// Bytes are left after the last field.
    #[error("{0} bytes are left after the last field")]
    TrailingBytes(usize),
    /// The version is outside what this crate knows for the message.
    #[error("version {0} of the message is not supported")]
    Version(i16),
}

/// A message that cannot be written in the version asked for. A fault of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A string, byte field, array or frame is longer than its length field can say.
    #[error("{0} bytes or elements do not fit the length field")]
    TooLong(usize),
    /// The version is outside what this crate knows for the message.
    #[error("version {0} of the message is not supported")]
    Version(i16),
}

/// A request frame that gives no request, by how a server answers it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Nothing to answer to: close the connection.
    #[error("request header is malformed: {0}")]
    MalformedHeader(#[source] DecodeError),
    /// An API that this crate does not know or the broker does not serve: close the connection.
    #[error("api key {} is not served", header.api_key)]
    UnknownApiKey {
        /// Whom the log may blame.
        header: RequestHeader,
    },
    /// A served API in a version that is not. For ApiVersions the answer is the version 0
    /// body with UNSUPPORTED_VERSION; for all others the connection is closed.
    #[error("version {} of api key {} is not served", header.api_version, header.api_key)]
    UnsupportedVersion {
        /// Whom to answer.
        header: RequestHeader,
    },
    /// A body that does not decode: close the connection.
    #[error("body of api key {} is malformed: {source}", header.api_key)]
    MalformedBody {
        /// Whom the log may blame.
        header: RequestHeader,
        /// What is wrong with the bytes.
        source: DecodeError,
    },
}
