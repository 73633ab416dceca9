//! What the broker answers on the wire: every API in every version it claims, Kafka's error codes,
//! and input that no client should send.
//!
//! Requests and responses go through `ottla-protocol`, which its own tests hold against another
//! implementation; frames, headers and hostile bytes are written by hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test that panics has failed, which is what it is for"
)]

mod alter_configs;
mod api_versions;
mod cluster;
mod compaction;
mod configs;
mod consumer_groups;
mod fetch;
mod fetch_session;
mod frames;
mod group_admin;
mod groups;
mod hostile;
mod limits;
mod list_offsets;
mod metadata;
mod offsets;
mod pipelining;
mod produce;
mod produce_refused;
mod records;
mod replicas;
mod samples;
mod security;
mod support;
mod topic_pages;
mod topic_settings;
mod topics;
mod transactions;
