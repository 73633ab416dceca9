//! The suite of `main.rs` once more, against Apache Kafka. Where the two brokers differ, the bug is ours.

#[path = "main.rs"]
mod suite;

use suite::{rewire, stage};
