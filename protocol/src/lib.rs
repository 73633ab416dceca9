//! The Kafka wire protocol without I/O: messages, record batches and their codecs.
//!
//! Pure. Nothing here reads a clock, a socket, a file or a random number.

pub mod api;
pub mod consumer_protocol;
mod declare;
pub mod envelope;
pub mod error;
pub mod error_code;
pub mod frame;
pub mod header;
pub mod message;
pub mod primitive;
pub mod record;
pub mod service;

#[cfg(test)]
mod arbitrary;

pub use api::ApiKey;
pub use envelope::{decode_request, decode_response, encode_request, encode_response};
pub use error::{DecodeError, EncodeError, RequestError};
pub use error_code::ErrorCode;
pub use header::{RequestHeader, ResponseHeader};
pub use message::{Request, Response};
pub use primitive::{Frame, StrBytes};
