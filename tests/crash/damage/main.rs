//! Bit rot: bits of a data directory turned over and files cut, and what a store makes of it.
//!
//! Never a wrong answer, never a panic, and after `repair` nothing is lost but the batch that was hit.
//! `OTTLA_FLIPS=all` turns over every byte and cuts at every length; the usual test run takes some.

#![allow(clippy::print_stderr, reason = "it tells what it covered")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod answers;
mod archive;
mod flips;
mod golden;
mod heads;
#[path = "../enumeration/parallel.rs"]
mod parallel;
mod repairs;
