//! What an application may ask of a consumer from any task.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use regex_lite::Regex;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::event::Records;
use super::locate::fetch_committed;
use super::partition::{Find, Place, Position};
use super::state::{Phase, Subscription};
use super::{ConsumerGroupMetadata, Shared};
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::offsets::{CommittedOffset, FoundOffset, OffsetSpec, list_offsets};

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

/// The wait for a commit.
///
/// # Cancel safety
/// Dropping it only stops waiting: the offsets are committed, or not, all the same.
#[derive(Debug)]
#[must_use = "a commit tells whether the offsets were stored"]
pub struct Commit {
    answer: Result<oneshot::Receiver<Result<(), Error>>, Option<Error>>,
    /// Told when everything else succeeded.
    late: Option<Error>,
}

impl Commit {
    fn failed(error: Error) -> Self {
        Self {
            answer: Err(Some(error)),
            late: None,
        }
    }
}

impl Future for Commit {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let answer = match &mut this.answer {
            Err(error) => return Poll::Ready(Err(error.take().unwrap_or(Error::Closed))),
            Ok(answer) => ready!(Pin::new(answer).poll(context)),
        };
        this.answer = Err(None);
        let answer = answer.unwrap_or(Err(Error::Closed));
        Poll::Ready(answer.and_then(|()| this.late.take().map_or(Ok(()), Err)))
    }
}

/// Holds `max.poll.interval.ms` open while something takes long. Made by
/// [`ConsumerHandle::extend_poll_interval`]; dropping it ends the extension.
#[derive(Debug)]
#[must_use = "dropping it ends the extension"]
pub struct PollIntervalExtension {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for PollIntervalExtension {
    fn drop(&mut self) {
        let now = self.shared.cluster.env.now();
        let mut state = self.shared.state.lock();
        state.progress.end_extension(self.number, now);
    }
}

/// A handle on a consumer. Cheap to clone. It does not keep the consumer running: after that is
/// dropped or closed, calls that need it fail with [`Error::Closed`].
#[derive(Debug, Clone)]
pub struct ConsumerHandle {
    shared: Arc<Shared>,
}

impl ConsumerHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The effective settings, as properties.
    #[must_use]
    pub fn explain(&self) -> String {
        self.shared.config.explain()
    }

    /// The span of work on records of one partition, named and described as OpenTelemetry's
    /// conventions ask for, with a link to the context in which each record was made. Work on a
    /// single record is in the record's trace, unless the application has another under way.
    ///
    /// ```
    /// # use tracing::Instrument as _;
    /// # async fn work(record: &ottla_client::consumer::Record) {}
    /// # async fn run(consumer: ottla_client::ConsumerHandle, records: ottla_client::consumer::Records) {
    /// for record in &records {
    ///     let span = consumer.process_span(records.partition(), [record]);
    ///     work(record).instrument(span).await;
    /// }
    /// # }
    /// ```
    #[cfg(feature = "opentelemetry")]
    pub fn process_span<'a>(
        &self,
        partition: &TopicPartition,
        records: impl IntoIterator<Item = &'a ottla_protocol::record::Record>,
    ) -> tracing::Span {
        self.shared.telemetry.process(partition, records)
    }

    /// Says that these records are processed. What is acknowledged without a gap may be committed.
    ///
    /// When the partition was given to another member meanwhile, the records will be read again,
    /// or have been; the next [`commit`](Self::commit) says so too.
    pub fn ack(&self, records: &Records) -> Acknowledged {
        self.acknowledge(records, None)
    }

    /// Says that the records before `offset` are processed, of those in `records` and of all that
    /// came before them from the same partition.
    pub fn ack_before(&self, records: &Records, offset: i64) -> Acknowledged {
        self.acknowledge(records, Some(offset.min(records.next_offset)))
    }

    fn acknowledge(&self, records: &Records, before: Option<i64>) -> Acknowledged {
        let now = self.shared.cluster.env.now();
        let mut state = self.shared.state.lock();
        let taken = state.acknowledge(&records.partition, records.token, before, now);
        let revoking = state.announcements.revoke().is_some();
        drop(state);
        if revoking {
            self.shared.driver.notify_one();
        }
        if taken == Ok(true) {
            self.shared.application.notify_one();
        }
        match taken {
            Ok(_) => Acknowledged::Taken,
            Err(_) => Acknowledged::Fenced,
        }
    }

    /// Commits what is acknowledged, and waits for it.
    ///
    /// # Errors
    /// [`Error::Fenced`] when something that was acknowledged belongs to another member now; the
    /// rest is committed. [`Error::Timeout`] after `default.api.timeout.ms`; it is then still
    /// tried. [`Error::Invalid`] without a group, [`Error::Closed`].
    ///
    /// # Cancel safety
    /// The offsets are on their way from the first poll on; dropping the future only stops waiting.
    pub async fn commit(&self) -> Result<(), Error> {
        self.wait_for(self.commit_async()).await
    }

    /// Commits what is acknowledged; the outcome may be waited for.
    pub fn commit_async(&self) -> Commit {
        if self.shared.config.group_id.is_none() {
            return Commit::failed(Error::Invalid("committing needs a group.id".to_owned()));
        }
        let (reply, answer) = oneshot::channel();
        let mut state = self.shared.state.lock();
        if matches!(state.phase, Phase::Leaving | Phase::Closed) {
            return Commit::failed(Error::Closed);
        }
        let late = state.take_late().then(|| {
            Error::Fenced("some acknowledged records belong to another member now".to_owned())
        });
        let offsets = state.to_commit();
        state.commits.add(offsets, Some(reply));
        drop(state);
        self.shared.driver.notify_one();
        Commit {
            answer: Ok(answer),
            late,
        }
    }

    /// Commits these offsets, each the next to read, and waits for it. What was handed out before
    /// them counts as acknowledged.
    ///
    /// # Errors
    /// As [`commit`](Self::commit); [`Error::Fenced`] at once for a partition that this member of
    /// a group does not have, and then nothing is committed.
    ///
    /// # Cancel safety
    /// As [`commit`](Self::commit).
    pub async fn commit_offsets(
        &self,
        offsets: BTreeMap<TopicPartition, CommittedOffset>,
    ) -> Result<(), Error> {
        self.wait_for(self.commit_offsets_async(offsets)).await
    }

    /// Commits these offsets; the outcome may be waited for.
    pub fn commit_offsets_async(
        &self,
        offsets: BTreeMap<TopicPartition, CommittedOffset>,
    ) -> Commit {
        if self.shared.config.group_id.is_none() {
            return Commit::failed(Error::Invalid("committing needs a group.id".to_owned()));
        }
        let now = self.shared.cluster.env.now();
        let (reply, answer) = oneshot::channel();
        let mut state = self.shared.state.lock();
        if matches!(state.phase, Phase::Leaving | Phase::Closed) {
            return Commit::failed(Error::Closed);
        }
        if let Err(error) = state.check_owned(offsets.keys()) {
            return Commit::failed(error);
        }
        for (partition, offset) in &offsets {
            state.processed_before(partition, offset.offset, now);
        }
        state.commits.add(offsets, Some(reply));
        drop(state);
        self.shared.driver.notify_one();
        Commit {
            answer: Ok(answer),
            late: None,
        }
    }

    async fn wait_for(&self, commit: Commit) -> Result<(), Error> {
        let deadline = self.shared.cluster.deadline();
        timeout_at(deadline, commit).await.unwrap_or_else(|_| {
            Err(Error::Timeout {
                operation: "OffsetCommit",
                reason: "the coordinator did not take the offsets".to_owned(),
            })
        })
    }

    /// What the group has committed for these partitions. Those without are left out.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Refused`]; [`Error::Invalid`] without a group.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn committed(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>, Error> {
        let shared = &self.shared;
        if shared.config.group_id.is_none() {
            return Err(Error::Invalid("there is no group.id".to_owned()));
        }
        let partitions: Vec<TopicPartition> = partitions.into_iter().collect();
        let partitions = &partitions;
        let attempt = || async move { fetch_committed(shared, partitions).await };
        let cluster = &shared.cluster;
        cluster
            .retry("OffsetFetch", cluster.deadline(), attempt)
            .await
    }

    /// Who this consumer is to its group now; None without a group.
    #[must_use]
    pub fn group_metadata(&self) -> Option<ConsumerGroupMetadata> {
        let state = self.shared.state.lock();
        state
            .membership
            .as_ref()
            .map(super::membership::Membership::metadata)
    }

    /// The partitions that are read now.
    #[must_use]
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.shared
            .state
            .lock()
            .partitions
            .keys()
            .cloned()
            .collect()
    }

    /// Changes one partition that is read.
    fn change<T>(
        &self,
        partition: &TopicPartition,
        change: impl FnOnce(&mut super::partition::Partition) -> T,
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
        use crate::config::IsolationLevel;
        let state = self.shared.state.lock();
        let held = state.partitions.get(partition)?;
        let end = match self.shared.config.isolation_level {
            IsolationLevel::ReadUncommitted => held.ends.high_watermark,
            IsolationLevel::ReadCommitted => held.ends.last_stable_offset,
        };
        Some((end? - held.position()?).max(0))
    }

    /// Bytes that count against `consumer.buffer.memory`: what is fetched or may be by a request
    /// under way, what it was decompressed to, and what the application still holds of both.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.shared.reading.budget.used()
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

    /// Reads these topics from now on, divided with the other members of the group.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a group, [`Error::Closed`].
    pub fn subscribe<T: Into<Arc<str>>>(
        &self,
        topics: impl IntoIterator<Item = T>,
    ) -> Result<(), Error> {
        let topics: BTreeSet<Arc<str>> = topics.into_iter().map(Into::into).collect();
        self.resubscribe(Subscription::Topics(topics))
    }

    /// Reads all topics whose whole names match this regular expression from now on.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a group or for what is no regular expression, [`Error::Closed`].
    pub fn subscribe_pattern(&self, text: &str) -> Result<(), Error> {
        self.resubscribe(Subscription::Pattern(pattern(text)?))
    }

    /// Reads nothing from now on, and leaves the group, after a last commit if
    /// `enable.auto.commit` says so. [`Event::Lost`](super::Event::Lost) tells when that is done.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn unsubscribe(&self) -> Result<(), Error> {
        self.resubscribe(Subscription::None)
    }

    fn resubscribe(&self, subscription: Subscription) -> Result<(), Error> {
        let wants_group = !matches!(subscription, Subscription::None);
        if wants_group && self.shared.config.group_id.is_none() {
            return Err(Error::Invalid("subscribing needs a group.id".to_owned()));
        }
        let mut state = self.shared.state.lock();
        if state.phase != Phase::Running {
            return Err(Error::Closed);
        }
        state.subscribe(subscription);
        drop(state);
        self.shared.driver.notify_one();
        Ok(())
    }

    /// Reads exactly these partitions from now on, whatever others read. Those that were read
    /// before go on where they are.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn assign(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), Error> {
        let partitions: BTreeSet<TopicPartition> = partitions.into_iter().collect();
        let mut state = self.shared.state.lock();
        if state.phase != Phase::Running {
            return Err(Error::Closed);
        }
        state.assign(partitions);
        drop(state);
        self.shared.driver.notify_one();
        Ok(())
    }

    /// Allows `by` from now on for what is being processed, but no more than
    /// `consumer.max.poll.extension.ms`, even without progress. Dropping the extension counts as
    /// progress.
    ///
    /// The group waits no longer than `max.poll.interval.ms` for its members in a rebalance,
    /// whatever is extended: partitions may still be lost then.
    pub fn extend_poll_interval(&self, by: Duration) -> PollIntervalExtension {
        let now = self.shared.cluster.env.now();
        let number = self.shared.state.lock().progress.extend(by, now);
        self.shared.driver.notify_one();
        PollIntervalExtension {
            shared: Arc::clone(&self.shared),
            number,
        }
    }
}

/// What became of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// It counts.
    Taken,
    /// It came too late: another member has the partition now, and reads the records again.
    Fenced,
}

/// A pattern for whole names.
pub(super) fn pattern(text: &str) -> Result<Regex, Error> {
    let whole = format!("^(?:{text})$");
    Regex::new(&whole).map_err(|error| Error::Invalid(format!("pattern `{text}`: {error}")))
}
