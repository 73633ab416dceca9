//! Reading records: groups, positions, back-pressure.
//!
//! A consumer's task keeps the membership, fetches ahead within the byte budget and commits; the
//! application takes events from what the task has prepared.

mod assignor;
mod budget;
mod builder;
mod chunk;
mod driver;
mod event;
mod fetch;
mod group_metadata;
mod handle;
mod interceptor;
mod job;
mod locate;
mod membership;
mod partition;
mod progress;
mod state;
mod stream;
mod user_data;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::cluster::{Cluster, Lane};
use crate::config::ConsumerConfig;
use crate::error::Error;
use crate::telemetry::ConsumerTelemetry;
use chunk::Reading;
use fetch::FETCHES_PER_BROKER;
use state::{Handed, Phase, Stage, State, Wants};

pub use builder::ConsumerBuilder;
pub use event::{Event, Records, Revoking};
pub use group_metadata::ConsumerGroupMetadata;
pub use handle::{Acknowledged, Commit, ConsumerHandle, PollIntervalExtension, SeekTo};
pub use interceptor::ConsumerInterceptor;
pub use ottla_protocol::record::{Headers, Record};
pub use stream::{ConsumerRecord, RecordStream};

/// The lines of a consumer to each broker.
struct Lanes {
    membership: Lane,
    offsets: Lane,
    fetch: [Lane; FETCHES_PER_BROKER],
}

impl Lanes {
    fn new(cluster: &Cluster) -> Self {
        Self {
            membership: cluster.new_lane(),
            offsets: cluster.new_lane(),
            fetch: [(); FETCHES_PER_BROKER].map(|()| cluster.new_lane()),
        }
    }

    fn fetch(&self, slot: usize) -> Lane {
        self.fetch.get(slot).copied().unwrap_or(Lane::GENERAL)
    }

    fn close(&self, cluster: &Cluster) {
        for lane in [self.membership, self.offsets].iter().chain(&self.fetch) {
            cluster.close_lane(*lane);
        }
    }
}

/// What the handles and the task of a consumer share.
struct Shared {
    cluster: Arc<Cluster>,
    config: ConsumerConfig,
    lanes: Lanes,
    reading: Reading,
    interceptors: Vec<Box<dyn ConsumerInterceptor>>,
    telemetry: ConsumerTelemetry,
    state: Mutex<State>,
    /// The broker that coordinates the group, for commits.
    coordinator: Mutex<Option<i32>>,
    /// Wakes the task.
    driver: Arc<Notify>,
    /// Wakes who waits for an event.
    application: Arc<Notify>,
    /// Whether the task has ended.
    ended: watch::Sender<bool>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer")
            .field("group_id", &self.config.group_id)
            .finish_non_exhaustive()
    }
}

impl Shared {
    async fn offsets_coordinator(&self) -> Result<i32, Error> {
        if let Some(node) = *self.coordinator.lock() {
            return Ok(node);
        }
        let group_id = self.config.group_id.as_deref().unwrap_or_default();
        let node = self.cluster.find_coordinator(group_id).await?;
        *self.coordinator.lock() = Some(node);
        Ok(node)
    }

    fn forget_coordinator(&self) {
        *self.coordinator.lock() = None;
    }

    fn give_back(&self, revocation: u64, done: bool) {
        let stage = if done { Stage::Done } else { Stage::Dropped };
        self.state.lock().announcements.give_back(revocation, stage);
        self.driver.notify_one();
    }

    /// Begins to close, unless that has begun.
    fn close(&self, limit: Duration) {
        let mut state = self.state.lock();
        if state.phase != Phase::Running {
            return;
        }
        state.phase = Phase::Closing;
        state.close_at = Some(self.cluster.env.now() + limit);
        state.commit_done();
        drop(state);
        self.driver.notify_one();
    }
}

/// Reads records. Made by [`Client::consumer`](crate::Client::consumer) and
/// [`Client::reader`](crate::Client::reader).
///
/// A consumer is driven by [`next_event`](Self::next_event); everything else is on its
/// [`handle`](Self::handle), which can be cloned and is reached through the consumer itself too.
///
/// Dropping the consumer never waits: in the background, what was acknowledged is committed if
/// `enable.auto.commit` says so, and the group is left. [`close`](Self::close) waits for that.
///
/// ```no_run
/// # async fn run(client: ottla_client::Client) -> Result<(), ottla_client::Error> {
/// use ottla_client::Event;
///
/// let mut consumer = client.consumer("inventory").subscribe(["orders"]).build().await?;
/// loop {
///     match consumer.next_event().await? {
///         Event::Records(records) => {
///             for record in &records {
///                 println!("{}: {:?}", record.offset, record.value);
///             }
///             consumer.ack(&records);
///         }
///         // What is in the works could be brought to its end here, before the deadline.
///         Event::Revoking(revoking) => revoking.done(),
///         Event::Assigned(_) | Event::Lost(_) | Event::PollIntervalExceeded => {}
///     }
/// }
/// # }
/// ```
pub struct Consumer {
    handle: ConsumerHandle,
}

impl std::ops::Deref for Consumer {
    type Target = ConsumerHandle;

    fn deref(&self) -> &ConsumerHandle {
        &self.handle
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let shared = self.handle.shared();
        shared.close(shared.cluster.config.request_timeout);
    }
}

impl Consumer {
    fn start(shared: Arc<Shared>) -> Self {
        tokio::spawn(driver::run(Arc::clone(&shared)));
        Self {
            handle: ConsumerHandle::new(shared),
        }
    }

    /// A handle that other tasks may use.
    #[must_use]
    pub fn handle(&self) -> ConsumerHandle {
        self.handle.clone()
    }

    /// Waits for the next event.
    ///
    /// Records that were handed out are to be [acknowledged](ConsumerHandle::ack) when they are
    /// processed: only that is committed, and a member of a group that acknowledges nothing for
    /// `max.poll.interval.ms` while records are outstanding leaves it.
    ///
    /// # Errors
    /// [`Error::NoOffset`] and [`Error::Corrupt`] about one partition, which stands still until
    /// somebody seeks; the consumer goes on with the others. [`Error::Fenced`] when another member
    /// took over the `group.instance.id`, [`Error::Refused`] when the group does not take this
    /// member: the consumer has ended then, and all later calls are [`Error::Closed`].
    ///
    /// # Cancel safety
    /// An event is taken in the last step, which does not wait: dropping the future loses none.
    pub async fn next_event(&mut self) -> Result<Event, Error> {
        let shared = Arc::clone(self.handle.shared());
        loop {
            if let Some(event) = self.try_next_event() {
                return event;
            }
            shared.application.notified().await;
        }
    }

    /// The next event, if one is there.
    ///
    /// # Errors
    /// As [`next_event`](Self::next_event).
    pub fn try_next_event(&mut self) -> Option<Result<Event, Error>> {
        let shared = self.handle.shared();
        let wants = Wants {
            max_records: shared.config.max_poll_records,
            reading: &shared.reading,
            tracked: shared.config.group_id.is_some(),
            ahead: fetch::ahead(&shared.config),
        };
        let now = shared.cluster.env.now();
        let mut state = shared.state.lock();
        let handed = state.next(&wants, now);
        let wake = state.take_wake();
        drop(state);
        if wake {
            shared.driver.notify_one();
        }
        if handed.is_none() {
            shared.telemetry.waits();
        }
        let handed = handed?;
        if let Ok(Handed::Records(records)) = &handed {
            for interceptor in &shared.interceptors {
                interceptor.on_consume(records);
            }
            shared.telemetry.received(records);
        }
        Some(handed.map(|handed| match handed {
            Handed::Records(records) => Event::Records(records),
            Handed::Assigned(partitions) => Event::Assigned(partitions),
            Handed::Lost(partitions) => Event::Lost(partitions),
            Handed::PollIntervalExceeded => Event::PollIntervalExceeded,
            Handed::Revoking(revoke) => Event::Revoking(Revoking {
                partitions: revoke.partitions.into_iter().collect(),
                deadline: revoke.deadline,
                number: revoke.number,
                shared: Arc::clone(shared),
            }),
        }))
    }

    /// The records one by one, for an application that processes one after the other: asking for
    /// the next acknowledges the one before.
    #[must_use]
    pub fn into_stream(self) -> RecordStream {
        RecordStream::new(self)
    }

    /// Ends the consumer: commits what was acknowledged if `enable.auto.commit` says so, and
    /// leaves the group, so that others need not wait for the session to end. A static member
    /// stays in the group (KIP-345). Takes at most `limit`.
    ///
    /// # Errors
    /// [`Error::Timeout`] when that did not succeed in time.
    ///
    /// # Cancel safety
    /// The consumer closes from the first poll on; dropping the future only stops waiting.
    pub async fn close(self, limit: Duration) -> Result<(), Error> {
        let shared = self.handle.shared();
        let deadline = shared.cluster.env.now() + limit;
        shared.close(limit);
        let mut ended = shared.ended.subscribe();
        let waited = tokio::time::timeout_at(deadline, ended.wait_for(|ended| *ended)).await;
        match waited {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Timeout {
                operation: "close",
                reason: "the coordinator did not answer".to_owned(),
            }),
        }
    }
}
