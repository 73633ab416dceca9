//! What was processed, stored with the group.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::ConsumerHandle;
use crate::consumer::locate::fetch_committed;
use crate::consumer::state::Phase;
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::offsets::CommittedOffset;

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

impl ConsumerHandle {
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
}
