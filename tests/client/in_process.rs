//! The suite of `main.rs` once more, without a socket between the client and the broker.

#[path = "main.rs"]
mod suite;

use suite::{rewire, stage};
