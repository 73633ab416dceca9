//! What an application may ask of a consumer from any task.

mod commit;
mod position;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::event::Records;
use super::membership::Membership;
use super::state::{Phase, Subscription};
use super::{ConsumerGroupMetadata, Shared};
use crate::error::Error;
use crate::metadata::TopicPartition;

pub use commit::Commit;
pub use position::SeekTo;

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

    /// Who this consumer is to its group now; None without a group.
    #[must_use]
    pub fn group_metadata(&self) -> Option<ConsumerGroupMetadata> {
        let state = self.shared.state.lock();
        state.membership.as_ref().map(Membership::metadata)
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

    /// Bytes that count against `consumer.buffer.memory`: what is fetched or may be by a request
    /// under way, what it was decompressed to, and what the application still holds of both.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.shared.reading.budget.used()
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

    /// Reads all topics whose whole names match this regular expression from now on, as
    /// [`ConsumerBuilder::subscribe_pattern`](super::ConsumerBuilder::subscribe_pattern) says.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a group, or with the classic protocol for what is no regular
    /// expression; [`Error::Closed`].
    pub fn subscribe_pattern(&self, pattern: &str) -> Result<(), Error> {
        let protocol = self.shared.config.group_protocol;
        self.resubscribe(Subscription::pattern(pattern, protocol)?)
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

    /// Reads exactly these partitions from now on, whatever others read. Those that were assigned
    /// so before go on where they are. [`Event::Lost`](super::Event::Lost) names those that are not
    /// read any more, after a last commit if `enable.auto.commit` says so.
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

/// What became of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// It counts.
    Taken,
    /// It came too late: another member has the partition now, and reads the records again.
    Fenced,
}
