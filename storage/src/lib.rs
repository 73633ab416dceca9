//! Partitioned, durable logs: segment files that readers see, one journal that makes them durable.
//!
//! Shell over pure parts. Synchronous; the broker decides on which thread it runs. No clock and no
//! randomness: times are parameters.

pub mod config;
pub mod disk;
pub mod error;

mod layout;
mod partition_metadata;
mod state_codec;
mod text_checkpoint;
pub mod log; pub mod store;
