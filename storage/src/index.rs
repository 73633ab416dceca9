//! Sparse indexes of a segment, in Kafka's format: 8-byte offset entries, 12-byte time entries, 34-byte
//! entries of aborted transactions.
//!
//! Pure. An index is a cache (L5): what it says is checked against the batches before it is used,
//! and it is rebuilt from them when it is wrong.

mod offset;
mod sparse;
mod time;
mod transaction;

pub(crate) use offset::{OffsetEntry, OffsetIndex};
pub(crate) use time::{TimeEntry, TimeIndex};
pub(crate) use transaction::ABORTED_LEN;
pub use transaction::AbortedTransaction;
