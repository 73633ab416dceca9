//! Support for the tests that start a real broker and drive it from outside: the broker's process, the
//! programs of foreign clients, the records they exchange, and deadlines. No claim about Ottla lives here.
//!
//! Settings, all from the environment:
//! * `OTTLA_BOOTSTRAP=host:port` runs the suite against a broker that is already there; tests that must
//!   restart it are skipped.
//! * `OTTLA_BINARY=path` starts this program instead of the `ottla` of this workspace.
//! * `CI=true` turns a client that cannot run on this machine from a skipped test into a failure.

pub mod apache_kafka;
pub mod broker;
pub mod client;
pub mod deadline;
pub mod mount;
pub mod program;
pub mod record;
pub mod serving;
pub mod wire;

pub use broker::Broker;
pub use client::Client;
pub use deadline::Deadline;
pub use program::{Line, Program};
pub use record::{Consumed, Log, Record, Shape};

/// What the README shows, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

use std::io::Write as _;
use std::path::PathBuf;

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Whether this runs in CI, where nothing may be skipped.
pub fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// Says on the terminal why a test did nothing; a failure in CI.
///
/// Written past the capture of the test harness, which hides what a passing test prints.
pub fn skip(what: &str, why: &str) {
    assert!(!is_ci(), "{what} cannot be skipped in CI: {why}");
    let _ = writeln!(std::io::stderr(), "skipped {what}: {why}");
}
