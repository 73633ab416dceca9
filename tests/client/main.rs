//! The Rust client against a broker: an ephemeral one in this process, or the one that
//! `OTTLA_BOOTSTRAP` names.

mod admin;
mod producer;
mod stage;
