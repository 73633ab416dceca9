//! A client for Ottla and Apache Kafka, in Rust.
//!
//! [`Client::builder`] connects; the client makes producers, consumers and an admin handle, which
//! share what is known of the cluster.

pub mod admin;
mod client;
mod cluster;
pub mod config;
mod connection;
pub mod consumer;
mod env;
mod error;
mod metadata;
mod offsets;
pub mod producer;
mod retry;
#[cfg(feature = "opentelemetry")]
pub mod telemetry;
#[cfg(not(feature = "opentelemetry"))]
mod telemetry;
pub mod transport;

pub use admin::Admin;
pub use client::{Client, ClientBuilder};
pub use consumer::{Consumer, ConsumerGroupMetadata, ConsumerHandle, Event};
pub use error::{DeliveryError, Error};
pub use metadata::TopicPartition;
pub use ottla_protocol::ErrorCode;
pub use ottla_protocol::record::{Compression, Header};
pub use producer::{Delivery, Producer, ProducerRecord, RecordMetadata, Transaction};
