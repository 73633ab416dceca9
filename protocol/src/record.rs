//! Record batches in Kafka's v2 format ("magic 2"): header view, builder, records, codecs.
//!
//! Pure. A batch is stored and served as the producer sent it, except for the fields that the
//! broker owns, which [`BatchHeader`] can rewrite in place.

mod batch;

pub use batch::{Attributes, BatchHeader, Compression, HEADER_LEN, HeaderError, TimestampType};
