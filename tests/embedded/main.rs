//! A broker inside the test's own process: how it starts, ends, keeps time, and is reached without
//! a socket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed, which is what it is for"
)]

mod clock;
mod faults;
mod foreign;
mod handing_over;
mod life;
mod raw;
mod seed;
