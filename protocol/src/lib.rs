//! The Kafka wire protocol without I/O: messages, record batches and their codecs.
//!
//! Pure. Nothing here reads a clock, a socket, a file or a random number.

pub mod record;
