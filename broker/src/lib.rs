//! Under construction.

pub mod config;
mod stub;

pub use stub::{Broker, BrokerBuilder, ShutdownError, StartError};
