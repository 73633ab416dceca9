//! Partitioned, durable logs: segment files that readers see, one journal that makes them durable.
//!
//! Shell over pure parts. Synchronous; the broker decides on which thread it runs. No clock and no
//! randomness: times are parameters.
#![allow(dead_code, reason = "goes when the store, which opens logs, is here")]

pub mod config;
pub mod disk;
pub mod error;

mod index;
pub mod log;

mod layout;
mod leader_epochs;
mod offsets;
mod partition_metadata;
mod producer_snapshot;
mod producer_state;
mod segment;
mod state_codec;
mod text_checkpoint;

pub use log::Log;
pub use offsets::Offsets;
