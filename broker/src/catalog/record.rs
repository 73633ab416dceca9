//! The catalog's records, as they are stored.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use uuid::Uuid;

use super::{ConfigScope, TopicEntry};
use crate::record_codec::{self, EncodedRecord, RecordError};

/// A change of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum CatalogRecord {
    /// The topic is as this says.
    TopicSet {
        name: String,
        id: [u8; 16],
        partitions: i32,
        overrides: Vec<(String, String)>,
    },
    /// The topic with this id is gone.
    TopicDeleted { id: [u8; 16] },
    /// Producer ids below `next` may have been handed out.
    ProducerIdsReserved { next: i64 },
    /// For this scope these settings are set, and no others.
    ConfigsSet {
        scope: ConfigScope,
        entries: Vec<(String, String)>,
    },
    /// For this group these settings are set, and no others.
    GroupConfigsSet {
        group_id: String,
        entries: Vec<(String, String)>,
    },
}

impl CatalogRecord {
    pub(super) fn topic_set(topic: &TopicEntry) -> Self {
        Self::TopicSet {
            name: topic.name.clone(),
            id: topic.id.into_bytes(),
            partitions: topic.partitions,
            overrides: topic.overrides.clone().into_iter().collect(),
        }
    }

    pub(super) fn configs_set(scope: ConfigScope, entries: &BTreeMap<String, String>) -> Self {
        Self::ConfigsSet {
            scope,
            entries: entries.clone().into_iter().collect(),
        }
    }

    pub(super) fn group_configs_set(group_id: &str, entries: &BTreeMap<String, String>) -> Self {
        Self::GroupConfigsSet {
            group_id: group_id.to_owned(),
            entries: entries.clone().into_iter().collect(),
        }
    }

    pub(super) fn into_topic(self) -> Option<TopicEntry> {
        match self {
            Self::TopicSet {
                name,
                id,
                partitions,
                overrides,
            } => Some(TopicEntry {
                name,
                id: Uuid::from_bytes(id),
                partitions,
                overrides: overrides.into_iter().collect(),
            }),
            Self::TopicDeleted { .. }
            | Self::ProducerIdsReserved { .. }
            | Self::ConfigsSet { .. }
            | Self::GroupConfigsSet { .. } => None,
        }
    }

    /// Key and value for the log. The key says what the record is about.
    pub(super) fn encode(&self) -> Result<EncodedRecord, RecordError> {
        let key = match self {
            Self::TopicSet { id, .. } | Self::TopicDeleted { id } => {
                record_codec::encode(&Some(*id))?
            }
            Self::ProducerIdsReserved { .. } => record_codec::encode(&None::<[u8; 16]>)?,
            Self::ConfigsSet { scope, .. } => record_codec::encode(scope)?,
            Self::GroupConfigsSet { group_id, .. } => {
                record_codec::encode(&("group", group_id.as_str()))?
            }
        };
        Ok(EncodedRecord {
            key,
            value: Some(record_codec::encode(self)?),
        })
    }

    /// Reads back what [`CatalogRecord::encode`] wrote.
    pub(super) fn decode(_key: &[u8], value: Option<&[u8]>) -> Result<Self, RecordError> {
        record_codec::decode(value.unwrap_or_default())
    }
}
