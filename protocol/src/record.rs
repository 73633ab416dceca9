//! Record batches in Kafka's v2 format ("magic 2"): head, view, validation, builder, codecs.
//!
//! Pure. A batch is stored and served as the producer sent it, except for the fields that the
//! broker owns, which [`BatchHeader::for_append`] rewrites without touching the records, and in
//! topics that ask for another codec.

mod append;
mod batch;
mod builder;
mod compression;
mod control;
mod error;
mod recompress;
#[expect(
    clippy::module_inception,
    reason = "a record is the thing this room is about"
)]
mod record;
mod retain;
mod validate;
mod varint;
mod view;

#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod tests;

pub use append::AppendHead;
pub use batch::{Attributes, BatchHeader, Compression, HEADER_LEN, HeaderError, TimestampType};
pub use builder::{AppendError, BatchBuilder, BatchOptions, ProducerIdentity};
pub use compression::{CompressionError, Compressor, Limits, decompress};
pub use control::{EndTransactionMarker, TransactionResult};
pub use error::RecordError;
pub use record::{Header, Headers, Record};
pub use validate::{
    MAX_RECORD_ERRORS, RecordRejection, RejectReason, Rejection, Rules, Validated, validate,
};
pub use view::{Batches, RecordBatch, Records};
