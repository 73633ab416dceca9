//! Partitioned, durable logs: segment files that readers see, one journal that makes them durable.
//!
//! Shell over pure parts. Synchronous; the broker decides on which thread it runs. No clock and no
//! randomness: times are parameters.

pub mod cleaner;
pub mod config;
pub mod disk;
pub mod error;
pub mod inspect;
pub mod log;
pub mod repair;
pub mod store;

mod checkpoint;
mod compaction;
mod index;
mod journal;
mod layout;
mod leader_epochs;
mod meta;
pub mod offsets;
mod partition_metadata;
mod producer_snapshot;
mod producer_state;
mod recovery;
mod segment;
mod state_codec;
mod text_checkpoint;

pub use offsets::Offsets;
