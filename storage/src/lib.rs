//! Partitioned, durable logs: segment files that readers see, one journal that makes them durable.
//!
//! Shell over pure parts. Synchronous; the broker decides on which thread it runs. No clock and no
//! randomness: times are parameters.

pub mod config;
pub mod disk;
mod journal;
mod layout;
