//! The suite of `main.rs` once more, without a socket between the client and the broker; and what needs that: the
//! time of the test.

mod paused;
#[path = "main.rs"]
mod suite;

use suite::{rewire, stage};
