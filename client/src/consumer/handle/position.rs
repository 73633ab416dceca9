//! Where partitions are read, and where their logs begin and end.

use std::collections::BTreeMap;

use super::ConsumerHandle;
use crate::config::IsolationLevel;
use crate::consumer::partition::{Find, Partition, Place, Position};
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::offsets::{FoundOffset, OffsetSpec, list_offsets};

/// Where to go on reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeekTo {
    /// At this offset.
    Offset(i64),
    /// At the oldest record.
    Beginning,
    /// At the next record to come; with read_committed, behind the last that is decided.
    End,
    /// At the first record whose timestamp, in milliseconds since the Unix epoch, is not older;
    /// at the end if there is none.
    Timestamp(i64),
    /// Where the group has committed, or as `auto.offset.reset` says.
    Committed,
}

impl ConsumerHandle {
    /// Changes one partition that is read.
    fn change<T>(
        &self,
        partition: &TopicPartition,
        change: impl FnOnce(&mut Partition) -> T,
    ) -> Result<T, Error> {
        let mut state = self.shared.state.lock();
        let changed = state.update(partition, change);
        drop(state);
        self.shared.driver.notify_one();
        changed
            .ok_or_else(|| Error::Invalid(format!("{partition} is not assigned to this consumer")))
    }

    /// Goes on reading a partition elsewhere. Records that were handed out before can no longer be
    /// acknowledged; what may be committed stays as it is until records of the new place are
    /// acknowledged.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a partition that is not assigned, or a negative offset.
    pub fn seek(&self, partition: &TopicPartition, to: SeekTo) -> Result<(), Error> {
        let place = match to {
            SeekTo::Offset(offset) if offset < 0 => {
                return Err(Error::Invalid(format!("offset {offset} is negative")));
            }
            SeekTo::Offset(offset) => Place::At(Position {
                offset,
                leader_epoch: -1,
            }),
            SeekTo::Beginning => Place::Unknown(Find::Spec(OffsetSpec::Earliest)),
            SeekTo::End => Place::Unknown(Find::Spec(OffsetSpec::Latest)),
            SeekTo::Timestamp(time) => Place::Unknown(Find::Spec(OffsetSpec::Timestamp(time))),
            SeekTo::Committed => Place::Unknown(Find::Committed),
        };
        self.change(partition, |held| held.seek(place))
    }

    /// Stops handing out records of these partitions until they are resumed. Partitions that are
    /// given to this member again later are not paused.
    ///
    /// What is fetched ahead is dropped and fetched again later.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a partition that is not assigned; those before it are paused.
    pub fn pause<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), Error> {
        let mut partitions = partitions.into_iter();
        partitions.try_for_each(|partition| self.change(partition, |held| held.pause()))
    }

    /// Goes on with paused partitions.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a partition that is not assigned; those before it are resumed.
    pub fn resume<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), Error> {
        let now = self.shared.cluster.env.now();
        self.shared.state.lock().progress.made(now);
        let mut partitions = partitions.into_iter();
        partitions.try_for_each(|partition| self.change(partition, |held| held.paused = false))
    }

    /// The partitions that are paused.
    #[must_use]
    pub fn paused(&self) -> Vec<TopicPartition> {
        let state = self.shared.state.lock();
        let paused = state.partitions.iter().filter(|(_, held)| held.paused);
        paused.map(|(partition, _)| partition.clone()).collect()
    }

    /// The offset of the next record that will be handed out. None while it is being found, and
    /// for a partition that is not assigned.
    #[must_use]
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.shared
            .state
            .lock()
            .partitions
            .get(partition)?
            .position()
    }

    /// How many offsets lie between the position and the end of the log as the last fetch told;
    /// with read_committed, the last stable offset. None before the first fetch.
    #[must_use]
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        let state = self.shared.state.lock();
        let held = state.partitions.get(partition)?;
        let end = match self.shared.config.isolation_level {
            IsolationLevel::ReadUncommitted => held.ends.high_watermark,
            IsolationLevel::ReadCommitted => held.ends.last_stable_offset,
        };
        Some((end? - held.position()?).max(0))
    }

    /// Offsets of logs by time or end, whether they are assigned or not. None where no record
    /// matches.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`].
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn list_offsets(
        &self,
        wanted: &BTreeMap<TopicPartition, OffsetSpec>,
    ) -> Result<BTreeMap<TopicPartition, Option<FoundOffset>>, Error> {
        let cluster = &self.shared.cluster;
        let level = self.shared.config.isolation_level;
        list_offsets(cluster, wanted, level, cluster.deadline()).await
    }

    /// The offsets of the oldest records.
    ///
    /// # Errors
    /// As [`list_offsets`](Self::list_offsets).
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn beginning_offsets(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        self.ends(partitions, OffsetSpec::Earliest).await
    }

    /// The offsets after the newest records; with read_committed, after the last that are decided.
    ///
    /// # Errors
    /// As [`list_offsets`](Self::list_offsets).
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn end_offsets(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        self.ends(partitions, OffsetSpec::Latest).await
    }

    async fn ends(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
        spec: OffsetSpec,
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        let wanted = partitions.into_iter().map(|partition| (partition, spec));
        let found = self.list_offsets(&wanted.collect()).await?;
        let found = found.into_iter();
        Ok(found
            .filter_map(|(partition, found)| Some((partition, found?.offset)))
            .collect())
    }
}
