//! Writing records: queues, batches, partitions and sequence numbers.
//!
//! Appending to the queues happens in the caller; one task sends and takes back.

mod accumulator;
mod batch;
mod delivery;
mod interceptor;
mod partitioner;
mod record;
mod sender;
mod sequence;
mod transaction;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, timeout_at};

use crate::client::Client;
use crate::cluster::{Cluster, Lane};
use crate::config::{KeyHash, ProducerConfig};
use crate::error::Error;
use crate::telemetry::ProducerTelemetry;
use accumulator::{Accumulator, Incoming, Known};
pub use delivery::{Delivery, RecordMetadata};
use interceptor::Interceptors;
pub use interceptor::{BatchOutcome, ProducerInterceptor};
use ottla_protocol::record::Compression;
pub use record::ProducerRecord;
pub use transaction::Transaction;
use transaction::machine::{Machine, Protocol};
use transaction::step::Coordinators;

/// How a producer is made. Made by [`Client::producer`].
#[must_use]
pub struct ProducerBuilder {
    client: Client,
    config: ProducerConfig,
    interceptors: Interceptors,
}

impl ProducerBuilder {
    pub(crate) fn new(client: Client) -> Self {
        let config = client.producer_config().clone();
        Self {
            client,
            config,
            interceptors: Interceptors::default(),
        }
    }

    /// All settings at once.
    pub fn config(mut self, config: ProducerConfig) -> Self {
        self.config = config;
        self
    }

    /// How long a batch waits for more records.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.config.linger = linger;
        self
    }

    /// The codec of batches.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.config.compression = compression;
        self
    }

    /// Code that sees every record and every outcome, after what was added before.
    pub fn interceptor(mut self, interceptor: impl ProducerInterceptor + 'static) -> Self {
        self.interceptors.add(interceptor);
        self
    }

    /// How keys become partitions.
    pub fn key_hash(mut self, key_hash: KeyHash) -> Self {
        self.config.key_hash = key_hash;
        self
    }

    /// The name under which the producer writes transactions. A later producer of the same name
    /// fences this one.
    pub fn transactional_id(mut self, transactional_id: impl Into<String>) -> Self {
        self.config.transactional_id = Some(transactional_id.into());
        self
    }

    /// Starts the producer. Its id is asked for with the first record; with a `transactional.id`
    /// now, which fences an earlier producer of that name and aborts what it left open.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that contradict each other, [`Error::Invalid`] when the
    /// codec is not built in; with a `transactional.id` also [`Error::Timeout`] when no
    /// coordinator answered within `max.block.ms`, and [`Error::Refused`].
    ///
    /// # Cancel safety
    /// Dropping it starts nothing; an earlier producer may be fenced.
    pub async fn build(self) -> Result<Producer, Error> {
        self.config.validate()?;
        let options = accumulator::batch_options(&self.config);
        ottla_protocol::record::BatchBuilder::new(options)
            .map_err(|error| Error::Invalid(error.to_string()))?;
        let cluster = Arc::clone(self.client.cluster());
        let shared = Arc::new(Shared {
            accumulator: Mutex::new(Accumulator::new(
                self.config.clone(),
                cluster.backoff(),
                !self.interceptors.is_empty(),
            )),
            interceptors: self.interceptors,
            telemetry: ProducerTelemetry::new(&cluster.config.client_id),
            lane: cluster.new_lane(),
            memory: Semaphore::new(self.config.buffer_memory.min(Semaphore::MAX_PERMITS)),
            waiters: AtomicUsize::new(0),
            wake: Notify::new(),
            settled: watch::Sender::new(0),
            closing: AtomicBool::new(false),
            stale: Mutex::default(),
            coordinators: Coordinators::default(),
            turned: watch::Sender::new(0),
            config: self.config,
            cluster,
        });
        tokio::spawn(sender::run(Arc::clone(&shared)));
        let owner = Arc::new(Owner(shared));
        if owner.0.config.transactional_id.is_some() {
            let shared = &owner.0;
            shared
                .until("InitProducerId", |machine| machine.is_initialized())
                .await?;
        }
        Ok(Producer { owner })
    }
}

/// Writes records. Cheap to clone; clones share one buffer and one sequence.
///
/// When the last clone is dropped, what is queued is still sent; [`Producer::close`] waits for it.
#[derive(Clone)]
pub struct Producer {
    owner: Arc<Owner>,
}

/// Tells the sender when nobody is left to queue anything.
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.closing.store(true, Ordering::Release);
        self.0.wake.notify_one();
    }
}

/// What handles and sender share.
struct Shared {
    config: ProducerConfig,
    cluster: Arc<Cluster>,
    lane: Lane,
    interceptors: Interceptors,
    telemetry: ProducerTelemetry,
    accumulator: Mutex<Accumulator>,
    /// Bytes left of `buffer.memory`.
    memory: Semaphore,
    waiters: AtomicUsize,
    wake: Notify,
    /// The id below which all batches are settled.
    settled: watch::Sender<u64>,
    closing: AtomicBool,
    /// Topics whose leaders have to be asked for.
    stale: Mutex<BTreeSet<Arc<str>>>,
    coordinators: Coordinators,
    /// Rises when a transaction may have moved on.
    turned: watch::Sender<u64>,
}

impl Shared {
    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn has_waiters(&self) -> bool {
        self.waiters.load(Ordering::Acquire) > 0
    }

    fn is_settled(&self) -> bool {
        let mut accumulator = self.accumulator.lock();
        let next = accumulator.flush();
        let machine = accumulator.transactions.as_ref();
        machine.is_none_or(Machine::is_over) && accumulator.settled_below() == next
    }

    /// Ends what is open, as nobody will: until `give_up_at` in good order.
    fn abandon(&self, give_up_at: Instant) {
        let late = self.cluster.env.now() >= give_up_at;
        if let Some(machine) = &mut self.accumulator.lock().transactions {
            machine.abandon();
            if late {
                machine.kill(Error::Closed);
            }
        }
    }

    /// How transactions are run, if they are.
    fn protocol(&self) -> Option<Protocol> {
        let accumulator = self.accumulator.lock();
        let machine = accumulator.transactions.as_ref();
        machine.map(|machine| machine.protocol())
    }

    /// Has those look who wait for a transaction.
    fn has_turned(&self) {
        self.turned.send_modify(|turn| *turn = turn.wrapping_add(1));
    }

    /// No transaction can begin or end any more.
    fn end_transactions(&self) {
        if let Some(machine) = &mut self.accumulator.lock().transactions {
            machine.kill(Error::Closed);
        }
        self.has_turned();
    }

    /// Waits for room in the buffer.
    async fn wait_for_room(
        &self,
        permits: u32,
        deadline: Instant,
    ) -> Result<SemaphorePermit<'_>, Error> {
        let _waiting = Waiting::new(self);
        match timeout_at(deadline, self.memory.acquire_many(permits)).await {
            Ok(permit) => permit.map_err(|_| Error::Closed),
            Err(_) => Err(Error::Timeout {
                operation: "enqueue",
                reason: "the buffer is full".to_owned(),
            }),
        }
    }

    /// What the metadata tells of a topic, if it tells of its partitions.
    fn known(&self, topic: &str, version: u64) -> Option<Known> {
        let metadata = self.cluster.metadata();
        let topic = metadata.topics.get(topic)?;
        (!topic.leaders.is_empty()).then(|| Known {
            version,
            stale_at: topic.as_of + self.cluster.config.metadata_max_age,
            leaders: topic.leaders.clone(),
        })
    }

    fn mark_stale(&self, topics: BTreeSet<Arc<str>>) {
        if !topics.is_empty() {
            self.stale.lock().extend(topics);
            self.wake.notify_one();
        }
    }

    fn take_stale(&self, more: BTreeSet<Arc<str>>) -> BTreeSet<Arc<str>> {
        let mut stale = std::mem::take(&mut *self.stale.lock());
        stale.extend(more);
        stale
    }

    /// Gives back room in the buffer, and says what is settled.
    fn release(&self, memory: usize) {
        if memory > 0 {
            self.memory.add_permits(memory);
        }
        let (below, outcomes) = {
            let mut accumulator = self.accumulator.lock();
            (accumulator.settled_below(), accumulator.take_outcomes())
        };
        for outcome in &outcomes {
            self.interceptors.on_outcome(outcome);
        }
        tell_settled(&self.settled, below);
    }

    fn fail_queued(&self, error: &Error) {
        let memory = self.accumulator.lock().abort(error);
        self.release(memory);
    }
}

/// Counts a call that waits for room, while it waits.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.waiters.fetch_add(1, Ordering::AcqRel);
        shared.wake.notify_one();
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiters.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Producer {
    /// Queues a record, waiting for metadata and for room in the buffer, together at most
    /// `max.block.ms`. The delivery tells what became of it.
    ///
    /// # Errors
    /// [`Error::Timeout`] when there was no room or no metadata in time; [`Error::Invalid`] for a
    /// record that is too large or a partition that does not exist; [`Error::Refused`] for a topic
    /// that may not be written; [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future queues the record fully or not at all: it is queued in the last step,
    /// which does not wait.
    pub async fn enqueue(&self, record: ProducerRecord) -> Result<Delivery, Error> {
        self.enqueue_in(None, record).await
    }

    async fn enqueue_in(
        &self,
        transaction: Option<u64>,
        mut record: ProducerRecord,
    ) -> Result<Delivery, Error> {
        let shared = &self.owner.0;
        shared.interceptors.on_send(&mut record);
        let sending = shared.telemetry.begin(&mut record);
        let incoming = Incoming {
            transaction,
            record: &record,
            sending: &sending,
        };
        let queued = match self.enqueue_now(&incoming) {
            Ok(None) | Err(Error::QueueFull) => self.enqueue_later(&incoming).await,
            Ok(Some(delivery)) => Ok(delivery),
            Err(error) => Err(error),
        };
        queued.inspect_err(|error| sending.refused(error))
    }

    /// Queues a record if the buffer has room. None when the partitions of its topic are not known.
    fn enqueue_now(&self, incoming: &Incoming<'_>) -> Result<Option<Delivery>, Error> {
        let cost = self.check(incoming.record)?;
        let memory = &self.owner.0.memory;
        let permit = memory.try_acquire_many(permits(cost));
        let permit = permit.map_err(|_| Error::QueueFull)?;
        let delivery = self.append(incoming, cost)?;
        if delivery.is_some() {
            permit.forget();
        }
        Ok(delivery)
    }

    /// Queues a record once its topic is known and the buffer has room.
    async fn enqueue_later(&self, incoming: &Incoming<'_>) -> Result<Delivery, Error> {
        let shared = &self.owner.0;
        let topic = &incoming.record.topic;
        let cost = self.check(incoming.record)?;
        let deadline = shared.cluster.env.now() + shared.config.max_block;
        loop {
            let known = shared.cluster.partition_count(topic, true, deadline);
            known.await?;
            let permit = match shared.memory.try_acquire_many(permits(cost)) {
                Ok(permit) => permit,
                Err(_) => shared.wait_for_room(permits(cost), deadline).await?,
            };
            // None when the topic was deleted meanwhile.
            if let Some(delivery) = self.append(incoming, cost)? {
                permit.forget();
                return Ok(delivery);
            }
        }
    }

    /// Queues a record if that can be done at once.
    ///
    /// # Errors
    /// [`Error::QueueFull`] when the buffer has no room; [`Error::Unavailable`] when the topic's
    /// partitions are not known yet: [`enqueue`](Self::enqueue) asks for them; otherwise as
    /// `enqueue`.
    pub fn try_enqueue(&self, record: ProducerRecord) -> Result<Delivery, Error> {
        self.try_enqueue_in(None, record)
    }

    fn try_enqueue_in(
        &self,
        transaction: Option<u64>,
        mut record: ProducerRecord,
    ) -> Result<Delivery, Error> {
        let shared = &self.owner.0;
        shared.interceptors.on_send(&mut record);
        let sending = shared.telemetry.begin(&mut record);
        let queued = self.enqueue_now(&Incoming {
            transaction,
            record: &record,
            sending: &sending,
        });
        let queued = queued.and_then(|delivery| {
            delivery.ok_or_else(|| {
                shared.mark_stale([Arc::clone(&record.topic)].into());
                Error::Unavailable(format!("{} is not known yet", record.topic))
            })
        });
        queued.inspect_err(|error| sending.refused(error))
    }

    /// Writes a record and waits for its acknowledgement.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue), and the error of the delivery.
    ///
    /// # Cancel safety
    /// Dropping it once the record is queued only stops waiting.
    pub async fn send(&self, record: ProducerRecord) -> Result<RecordMetadata, Error> {
        let delivery = self.enqueue(record).await?;
        delivery.await.map_err(|error| error.error)
    }

    /// Waits until everything that was queued before this call is acknowledged or has failed.
    /// Nothing lingers meanwhile.
    ///
    /// # Errors
    /// [`Error::Closed`] when the runtime ends. Failures of records are told by their deliveries.
    ///
    /// # Cancel safety
    /// Dropping it only stops waiting.
    pub async fn flush(&self) -> Result<(), Error> {
        let shared = &self.owner.0;
        let below = shared.accumulator.lock().flush();
        shared.wake.notify_one();
        shared.release(0);
        let mut settled = shared.settled.subscribe();
        let reached = settled.wait_for(|settled| *settled >= below).await;
        reached.map(|_| ()).map_err(|_| Error::Closed)
    }

    /// Takes no more records and waits at most `limit` for those that are queued. What is not
    /// acknowledged by then and not under way fails. A transaction that is open is aborted.
    ///
    /// # Errors
    /// [`Error::Timeout`] when something was left.
    ///
    /// # Cancel safety
    /// The producer is closed from the first poll on; dropping the future only stops waiting, and
    /// what is queued is still sent.
    pub async fn close(self, limit: Duration) -> Result<(), Error> {
        let shared = &self.owner.0;
        let deadline = shared.cluster.env.now() + limit;
        shared.closing.store(true, Ordering::Release);
        let closed = async {
            self.flush().await?;
            if shared.config.transactional_id.is_some() {
                let over = |machine: &mut Machine| machine.is_over().then_some(Ok(()));
                shared.until("close", over).await?;
            }
            Ok(())
        };
        match timeout_at(deadline, closed).await {
            Ok(flushed) => flushed,
            Err(_) => {
                shared.fail_queued(&Error::Closed);
                shared.wake.notify_one();
                let reason = "records were left".to_owned();
                Err(Error::Timeout {
                    operation: "close",
                    reason,
                })
            }
        }
    }

    /// Bytes of `buffer.memory` that are free.
    #[must_use]
    pub fn buffer_available(&self) -> usize {
        self.owner.0.memory.available_permits()
    }

    /// The effective settings, as properties.
    #[must_use]
    pub fn explain(&self) -> String {
        self.owner.0.config.explain()
    }

    /// What a record costs, if it can be queued at all.
    fn check(&self, record: &ProducerRecord) -> Result<usize, Error> {
        let shared = &self.owner.0;
        if shared.is_closing() {
            return Err(Error::Closed);
        }
        let cost = record.cost();
        let limit = shared
            .config
            .max_request_size
            .min(shared.config.buffer_memory);
        if cost > limit {
            let text = format!("a record of {cost} bytes exceeds the limit of {limit}");
            return Err(Error::Invalid(text));
        }
        Ok(cost)
    }

    /// Queues a record. None when the partitions of its topic are not known.
    fn append(&self, incoming: &Incoming<'_>, cost: usize) -> Result<Option<Delivery>, Error> {
        let shared = &self.owner.0;
        let env = &shared.cluster.env;
        let record = incoming.record;
        let timestamp = record.timestamp.unwrap_or_else(|| env.wall_ms());
        let version = shared.cluster.version();
        let mut accumulator = shared.accumulator.lock();
        // Under the lock, so that nothing is queued behind the sender's last look.
        if shared.is_closing() {
            return Err(Error::Closed);
        }
        if !accumulator.knows(&record.topic, version) {
            let Some(known) = shared.known(&record.topic, version) else {
                return Ok(None);
            };
            accumulator.learn(&record.topic, known);
        }
        let taken = (cost, timestamp);
        let appended = accumulator.append(incoming, taken, || env.now(), || env.random())?;
        drop(accumulator);
        if appended.stale {
            shared.mark_stale([Arc::clone(&record.topic)].into());
        }
        if appended.wake {
            shared.wake.notify_one();
        }
        Ok(Some(appended.delivery))
    }
}

/// Tells that all batches below are settled. Who looked earlier may tell later.
fn tell_settled(settled: &watch::Sender<u64>, below: u64) {
    settled.send_if_modified(|told| {
        let changed = *told < below;
        *told = below.max(*told);
        changed
    });
}

/// What a record takes of the buffer, as a semaphore counts it.
fn permits(cost: usize) -> u32 {
    u32::try_from(cost).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_settled_stays_so_when_an_older_look_is_told_last() {
        let settled = watch::Sender::new(0);
        tell_settled(&settled, 2);
        tell_settled(&settled, 1);
        assert_eq!(*settled.borrow(), 2);
    }
}
