//! An embeddable event log broker that speaks the Kafka protocol.
//!
//! [`Broker::builder`] starts one inside the current tokio runtime, in memory or in a directory,
//! with or without a TCP listener. The `ottla` binary is the same code with a command line.

mod broker;
mod catalog;
mod cleaning;
pub mod config;
mod connection;
mod core;
pub mod env;
mod fetch_session;
mod group;
mod handler;
mod housekeeping;
mod in_process;
mod internal_log;
mod live_config;
mod machine;
mod memory_budget;
mod partition;
mod record_codec;
mod retention;
mod server;
mod service;
#[cfg(feature = "testing")]
pub mod testing;
mod topic_name;
mod topics;
mod transaction;

pub use crate::broker::{Broker, BrokerBuilder, ShutdownError, StartError};
pub use crate::in_process::InProcess;
