//! Offsets: of logs by time, and those that groups have committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};

use super::Admin;
use crate::config::IsolationLevel;
use crate::consumer::ConsumerGroupMetadata;
use crate::error::{Error, check};
use crate::metadata::TopicPartition;
use crate::offsets::{commit_request, committed, fetch_request, list_offset, list_offsets};

pub use crate::offsets::{CommittedOffset, FoundOffset, OffsetSpec};

impl Admin {
    /// Finds one offset of a partition. None when no record matches.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`].
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn list_offset(
        &self,
        partition: &TopicPartition,
        spec: OffsetSpec,
        isolation_level: IsolationLevel,
    ) -> Result<Option<FoundOffset>, Error> {
        let cluster = self.client.cluster();
        list_offset(
            cluster,
            partition,
            spec,
            isolation_level,
            cluster.deadline(),
        )
        .await
    }

    /// Finds an offset of each of several partitions. None where no record matches.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`]; [`Error::Unsupported`] when a broker does not know
    /// what is asked for.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn list_offsets(
        &self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
        isolation_level: IsolationLevel,
    ) -> Result<BTreeMap<TopicPartition, Option<FoundOffset>>, Error> {
        let cluster = self.client.cluster();
        list_offsets(cluster, wanted, isolation_level, cluster.deadline()).await
    }

    /// The offsets that a group has committed.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`].
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn list_group_offsets(
        &self,
        group: &str,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>, Error> {
        let request = fetch_request(group, None, false);
        let code = |response: &ottla_protocol::message::OffsetFetchResponse| {
            response
                .groups
                .first()
                .map_or(response.error_code, |group| group.error_code)
        };
        let cap = crate::offsets::FETCH_BY_NAME;
        let response = self
            .coordinator("OffsetFetch", group, request, cap, code)
            .await?;
        committed(response)
    }

    /// Sets offsets of a group that has no members.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Refused`], for a group with members `UNKNOWN_MEMBER_ID`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the offsets set.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, CommittedOffset>,
    ) -> Result<(), Error> {
        let request = commit_request(&ConsumerGroupMetadata::new(group), offsets);
        let code = crate::offsets::commit_code;
        let cap = crate::offsets::COMMIT_BY_NAME;
        let response = self
            .coordinator("OffsetCommit", group, request, cap, code)
            .await?;
        check("OffsetCommit", code(&response), None)
    }

    /// Deletes offsets of a group, of topics that it does not subscribe to.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`].
    ///
    /// # Cancel safety
    /// Dropping the future may leave the offsets deleted.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<(), Error> {
        let mut topics: BTreeMap<Arc<str>, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for partition in partitions {
            let topic = topics.entry(Arc::clone(&partition.topic)).or_default();
            topic.push(OffsetDeleteRequestPartition {
                partition_index: partition.partition,
            });
        }
        let topic = |(name, partitions): (Arc<str>, _)| OffsetDeleteRequestTopic {
            name: (&*name).into(),
            partitions,
        };
        let request = OffsetDeleteRequest {
            group_id: group.into(),
            topics: topics.into_iter().map(topic).collect(),
        };
        let code = |response: &ottla_protocol::message::OffsetDeleteResponse| {
            let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            let codes = partitions.map(|partition| partition.error_code);
            let mut all = std::iter::once(response.error_code).chain(codes);
            all.find(|code| *code != ErrorCode::None)
                .unwrap_or(ErrorCode::None)
        };
        let response = self
            .coordinator("OffsetDelete", group, request, i16::MAX, code)
            .await?;
        check("OffsetDelete", code(&response), None)
    }
}
