//! What the benchmarks share: processes on their cores, both brokers, the tools that load them, results.
//!
//! These are programs for people who measure; what fails ends them with an error. Only here, and in the
//! tests, is a wall clock read.
#![allow(
    clippy::disallowed_methods,
    reason = "measuring is about real time; nothing here decides anything for a broker"
)]

pub mod broker;
pub mod limits;
pub mod load;
pub mod machine;
pub mod outcome;
pub mod path;
pub mod plot;
pub mod process;
pub mod raw;
pub mod report;
pub mod row;
pub mod tool;
