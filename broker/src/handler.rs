//! One module an API: requests into events and reads, outcomes into responses. No rules.
//!
//! A handler applies its request before it returns; only the waiting is in the future. So the
//! requests of one connection take effect in their order while earlier ones wait. Changes of
//! topics (CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords) are made in the future: they
//! are in force when they are answered.

pub(crate) mod alter_configs;
pub(crate) mod api_versions;
pub(crate) mod cluster;
pub(crate) mod configs;
pub(crate) mod consumer_groups;
pub(crate) mod features;
pub(crate) mod fetch;
pub(crate) mod groups;
pub(crate) mod list_offsets;
pub(crate) mod metadata;
pub(crate) mod offsets;
mod once;
pub(crate) mod operations;
pub(crate) mod produce;
pub(crate) mod producer_id;
pub(crate) mod quotas;
pub(crate) mod records;
pub(crate) mod replicas;
pub(crate) mod security;
pub(crate) mod topics;
pub(crate) mod transaction_admin;
pub(crate) mod transaction_offsets;
pub(crate) mod transactions;
