//! The Rust client against a broker: an ephemeral one in this process, or the one that
//! `OTTLA_BOOTSTRAP` names. `in_process.rs` runs the same tests without a socket, and
//! `apache_kafka.rs` against Apache Kafka.

mod admin;
mod cancel;
mod cluster;
mod consumer;
mod producer;
pub mod rewire;
pub mod stage;
mod transactions;
