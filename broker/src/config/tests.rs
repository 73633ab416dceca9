mod addresses;
mod change;
mod described;
mod groups;
mod origins;
mod table;
mod topics;
mod values;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use ottla_protocol::record::TimestampType;
use ottla_storage::config::{Durability, LogConfig};

use super::*;

const NONE: [(&str, &str); 0] = [];

fn broker(entries: &[(&str, &str)]) -> BrokerConfig {
    BrokerConfig::from_entries(entries.iter().copied()).unwrap()
}

fn refusal(key: &str, value: &str) -> String {
    BrokerConfig::from_entries([(key, value)])
        .unwrap_err()
        .to_string()
}

fn topic(entries: &[(&str, &str)]) -> TopicConfig {
    TopicConfig::from_entries(entries.iter().copied()).unwrap()
}

fn entry(entries: &[ConfigEntry], name: &str) -> ConfigEntry {
    entries
        .iter()
        .find(|entry| entry.name == name)
        .unwrap()
        .clone()
}
