//! Pure. The queues of a producer: what is filled, what may be sent, what comes back.
//!
//! Order within a partition: batches are sent by rising `order`. After one failed, nothing of the
//! partition is sent until all that is in flight has come back; then those that failed are sent
//! again, before anything new.

mod drain;
mod outcome;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::record::{AppendError, BatchBuilder, BatchOptions};
use tokio::time::Instant;

use super::batch::{Batch, Body, ORDER_WIDTH};
use super::delivery::{Delivery, Slot};
use super::interceptor::BatchOutcome;
use super::partitioner::{Sticky, of_key};
use super::record::ProducerRecord;
use super::sequence::{Identity, Sequence};
use super::transaction::machine::{Answer, Machine, Next, Refusal, Step};
use crate::config::ProducerConfig;
use crate::error::{DeliveryError, Error};
use crate::metadata::{Leader, TopicPartition};
use crate::retry::Backoff;
use crate::telemetry::{Sending, Sendings};

pub(super) use drain::Drained;
pub(super) use outcome::Verdict;

/// Builders that are kept for the next batch; a codec's memory is dear.
const SPARE_BUILDERS: usize = 16;

/// The batches of one partition.
#[derive(Debug)]
pub(super) struct Queue {
    /// Waiting for their first sending; the last may still be filled.
    fresh: VecDeque<Batch>,
    /// Waiting to be sent again, by order.
    again: BTreeMap<u64, Batch>,
    /// Orders of those that are in flight.
    in_flight: BTreeSet<u64>,
    sequence: Sequence,
    next_order: u64,
    /// The orders that were sent from the oldest one on that is not settled. A broker remembers five
    /// batches of a producer: one that is sent again behind more than four others is written twice.
    sent: BTreeSet<u64>,
    backoff: Backoff,
    not_before: Option<Instant>,
}

/// What a producer has to know of a topic to choose partitions.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Version of the metadata that it is taken from.
    pub(super) version: u64,
    /// When it is too old to rely on.
    pub(super) stale_at: Instant,
    /// By partition number.
    pub(super) leaders: Vec<Leader>,
}

#[derive(Debug)]
struct TopicQueues {
    known: Known,
    sticky: Sticky,
    partitions: Vec<Queue>,
}

/// A builder moves in its box between here and a batch.
type Spare = Vec<Box<BatchBuilder>>;

/// The queues of all partitions.
pub(super) struct Accumulator {
    config: ProducerConfig,
    backoff: Backoff,
    topics: BTreeMap<Arc<str>, TopicQueues>,
    /// Partitions with batches that are queued, in flight or not settled.
    active: BTreeSet<(Arc<str>, usize)>,
    identity: Option<Identity>,
    next_id: u64,
    /// Batches that are not settled, by id, with the number of their parts.
    outstanding: BTreeMap<u64, u32>,
    /// Batches with a lower id do not linger.
    flush_below: u64,
    spare: Spare,
    /// None without a `transactional.id`.
    pub(super) transactions: Option<Machine>,
    /// Outcomes that nobody was told of yet. None when nobody wants to know.
    outcomes: Option<Vec<BatchOutcome>>,
}

/// What an append led to.
pub(super) struct Appended {
    pub(super) delivery: Delivery,
    /// The sender has something new to look at.
    pub(super) wake: bool,
    /// What is known of the topic is too old.
    pub(super) stale: bool,
}

/// A record on its way into a batch.
pub(super) struct Incoming<'a> {
    /// The number of its transaction, if it is in one.
    pub(super) transaction: Option<u64>,
    pub(super) record: &'a ProducerRecord,
    pub(super) sending: &'a Sending,
}

impl Accumulator {
    /// With `watched`, outcomes are kept for [`take_outcomes`](Self::take_outcomes).
    pub(super) fn new(config: ProducerConfig, backoff: Backoff, watched: bool) -> Self {
        let transactional = config.transactional_id.is_some();
        Self {
            config,
            backoff,
            outcomes: watched.then(Vec::new),
            transactions: transactional.then(|| Machine::new(backoff)),
            topics: BTreeMap::new(),
            active: BTreeSet::new(),
            identity: None,
            next_id: 0,
            outstanding: BTreeMap::new(),
            flush_below: 0,
            spare: Vec::new(),
        }
    }

    /// Whether this version of the metadata is known of a topic.
    pub(super) fn knows(&self, topic: &str, version: u64) -> bool {
        let topic = self.topics.get(topic);
        topic.is_some_and(|topic| topic.known.version == version)
    }

    /// Takes over what the metadata tells of a topic.
    pub(super) fn learn(&mut self, topic: &Arc<str>, known: Known) {
        let count = known.leaders.len();
        let topic = match self.topics.get_mut(topic) {
            Some(topic) => {
                topic.known = known;
                topic
            }
            None => self.topics.entry(Arc::clone(topic)).or_insert(TopicQueues {
                known,
                sticky: Sticky::default(),
                partitions: Vec::new(),
            }),
        };
        while topic.partitions.len() < count {
            topic.partitions.push(Queue::new(self.backoff));
        }
    }

    /// Queues a record that takes `cost` of the buffer for a topic that was learned of, with this
    /// timestamp. `now` is asked for when a batch begins.
    pub(super) fn append(
        &mut self,
        incoming: &Incoming<'_>,
        (cost, timestamp): (usize, i64),
        now: impl FnOnce() -> Instant,
        random: impl FnOnce() -> u64,
    ) -> Result<Appended, Error> {
        let record = incoming.record;
        let Some(topic) = self.topics.get_mut(&record.topic) else {
            return Err(Error::Unavailable(format!("{} is not known", record.topic)));
        };
        let index = topic.choose(record, cost, &self.config, random)?;
        let partition = i32::try_from(index).unwrap_or(i32::MAX);
        admit(
            self.transactions.as_mut(),
            incoming.transaction,
            &record.topic,
            partition,
        )?;
        let Some(queue) = topic.partitions.get_mut(index) else {
            return Err(does_not_exist(&record.topic, partition));
        };
        if let Some(batch) = queue.fresh.back_mut()
            && let Some(delivery) = fill(batch, incoming, cost, timestamp)?
        {
            return Ok(Appended {
                delivery,
                wake: batch.size() >= self.config.batch_size,
                stale: false,
            });
        }
        let now = now();
        let builder = builder(&mut self.spare, &self.config)?;
        let deadline = now + self.config.delivery_timeout;
        let topic_name = &record.topic;
        let mut batch = queue.open(topic_name, partition, builder, self.next_id, now, deadline);
        let Some(delivery) = fill(&mut batch, incoming, cost, timestamp)? else {
            return Err(Error::Invalid("a batch has no room for it".to_owned()));
        };
        queue.fresh.push_back(batch);
        *self.outstanding.entry(self.next_id).or_default() += 1;
        self.next_id += 1;
        self.active.insert((Arc::clone(topic_name), index));
        Ok(Appended {
            delivery,
            wake: true,
            stale: topic.known.stale_at <= now,
        })
    }

    /// What to ask a transaction's coordinator now.
    pub(super) fn next_step(&mut self, now: Instant) -> Next {
        let settled = self.outstanding.is_empty();
        let machine = self.transactions.as_mut();
        machine.map_or(Next::Nothing, |machine| machine.next(now, settled))
    }

    /// A coordinator has answered. `fraction` is random.
    pub(super) fn step_answered(
        &mut self,
        step: &Step,
        answer: Result<Answer, Refusal>,
        now: Instant,
        fraction: f64,
    ) {
        let machine = self.transactions.as_mut();
        let next = machine.and_then(|machine| machine.answered(step, answer, now, fraction));
        if let Some(identity) = next {
            // Nothing is queued between transactions, so nothing is numbered.
            for topic in self.topics.values_mut() {
                for queue in &mut topic.partitions {
                    queue.sequence = Sequence::default();
                }
            }
            self.identity = Some(identity);
        }
    }

    /// Everything queued so far stops lingering. Returns the id below which batches are those.
    pub(super) fn flush(&mut self) -> u64 {
        self.flush_below = self.next_id;
        self.next_id
    }

    /// The id below which all batches are settled.
    pub(super) fn settled_below(&self) -> u64 {
        let first = self.outstanding.first_key_value();
        first.map_or(self.next_id, |(id, _)| *id)
    }

    /// The identity to number batches under.
    pub(super) fn set_identity(&mut self, identity: Identity) {
        self.identity = Some(identity);
    }

    /// Takes back a builder.
    pub(super) fn recycle(&mut self, builder: Box<BatchBuilder>) {
        if self.spare.len() < SPARE_BUILDERS {
            self.spare.push(builder);
        }
    }

    /// Fails everything that is not in flight, and returns the memory that it took.
    pub(super) fn abort(&mut self, error: &Error) -> usize {
        let mut memory = 0;
        let mut batches = Vec::new();
        for queue in self
            .topics
            .values_mut()
            .flat_map(|topic| &mut topic.partitions)
        {
            batches.extend(queue.fresh.drain(..));
            batches.extend(std::mem::take(&mut queue.again).into_values());
        }
        for batch in batches {
            memory += batch.memory;
            self.gave_up(&batch, error);
            self.fail(&batch, error.clone());
            self.settled(batch.id);
        }
        memory
    }

    /// Tells those who wait that a batch failed.
    fn fail(&mut self, batch: &Batch, error: Error) {
        let error = batch.fail(error);
        self.note(batch, || Err(error));
    }

    fn note(
        &mut self,
        batch: &Batch,
        outcome: impl FnOnce() -> Result<Option<i64>, DeliveryError>,
    ) {
        if let Some(outcomes) = &mut self.outcomes {
            outcomes.push(BatchOutcome {
                topic: Arc::clone(&batch.topic),
                partition: batch.partition,
                record_count: usize::try_from(batch.count).unwrap_or(0),
                outcome: outcome(),
            });
        }
    }

    /// The outcomes since the last call.
    pub(super) fn take_outcomes(&mut self) -> Vec<BatchOutcome> {
        self.outcomes
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// A batch is given up. In a transaction its number leaves a gap that only another epoch
    /// closes.
    fn leaves_gap(&mut self, batch: &Batch) {
        if let Some(machine) = self
            .transactions
            .as_mut()
            .filter(|_| batch.numbers.is_some())
        {
            machine.leaves_gap();
        }
    }

    fn settled(&mut self, id: u64) {
        if let Some(parts) = self.outstanding.get_mut(&id) {
            *parts = parts.saturating_sub(1);
            if *parts == 0 {
                self.outstanding.remove(&id);
            }
        }
    }
}

impl TopicQueues {
    /// The partition for a record.
    fn choose(
        &mut self,
        record: &ProducerRecord,
        cost: usize,
        config: &ProducerConfig,
        random: impl FnOnce() -> u64,
    ) -> Result<usize, Error> {
        let Self {
            known,
            sticky,
            partitions,
        } = self;
        let count = known.leaders.len();
        if let Some(partition) = record.partition {
            let index = usize::try_from(partition).ok();
            let index = index.filter(|index| *index < count);
            return index.ok_or_else(|| does_not_exist(&record.topic, partition));
        }
        if let Some(key) = record.key.as_ref().filter(|_| !config.ignore_keys) {
            return Ok(of_key(config.key_hash, key, count));
        }
        let adaptive = config.adaptive_partitioning;
        let queues = || {
            let queues = partitions.iter().zip(&known.leaders);
            let length = |queue: &Queue| if adaptive { queue.fresh.len() } else { 0 };
            queues
                .map(|(queue, leader)| (leader.node_id >= 0).then(|| length(queue)))
                .collect()
        };
        Ok(sticky.next(cost, config.batch_size, count, queues, random))
    }
}

impl Queue {
    fn new(backoff: Backoff) -> Self {
        Self {
            fresh: VecDeque::new(),
            again: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            sequence: Sequence::default(),
            next_order: 0,
            sent: BTreeSet::new(),
            backoff,
            not_before: None,
        }
    }

    fn open(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
        builder: Box<BatchBuilder>,
        id: u64,
        created: Instant,
        deadline: Instant,
    ) -> Batch {
        let order = self.next_order;
        self.next_order += ORDER_WIDTH;
        Batch {
            topic: Arc::clone(topic),
            partition,
            slot: Slot::new(Arc::clone(topic), partition),
            sendings: Sendings::default(),
            body: Body::Open(builder),
            count: 0,
            memory: 0,
            id,
            order,
            width: ORDER_WIDTH,
            created,
            deadline,
            numbers: None,
            attempts: 0,
            may_have_been_written: false,
            expired: None,
        }
    }

    /// Pauses the partition after a failure.
    fn pause(&mut self, now: Instant, fraction: f64) {
        let pause: Duration = self.backoff.next(fraction);
        self.not_before = Some(now + pause);
    }
}

/// Refuses a record that belongs to no transaction, or to one that takes no more.
fn admit(
    transactions: Option<&mut Machine>,
    transaction: Option<u64>,
    topic: &Arc<str>,
    partition: i32,
) -> Result<(), Error> {
    match (transactions, transaction) {
        (None, None) => Ok(()),
        (Some(machine), Some(number)) => {
            machine.admit(number, TopicPartition::new(Arc::clone(topic), partition))
        }
        (Some(_), None) => Err(Error::Invalid(
            "a producer with a transactional.id writes in transactions only".to_owned(),
        )),
        (None, Some(_)) => Err(Error::Invalid(
            "transactions need a transactional.id".to_owned(),
        )),
    }
}

/// Appends a record to an open batch. None when the batch has no room.
fn fill(
    batch: &mut Batch,
    incoming: &Incoming<'_>,
    cost: usize,
    timestamp: i64,
) -> Result<Option<Delivery>, Error> {
    let Body::Open(builder) = &mut batch.body else {
        return Ok(None);
    };
    let record = incoming.record;
    let (key, value) = (record.key.as_deref(), record.value.as_deref());
    match builder.append(timestamp, key, value, &record.headers) {
        Ok(position) => {
            batch.sendings.push(incoming.sending);
            batch.memory = batch.memory.saturating_add(cost);
            batch.count += 1;
            let position = u32::try_from(position).unwrap_or(0);
            let slot = Arc::clone(&batch.slot);
            Ok(Some(Delivery::new(slot, position, timestamp)))
        }
        Err(AppendError::Full) => Ok(None),
        Err(error) => Err(Error::Invalid(error.to_string())),
    }
}

fn does_not_exist(topic: &str, partition: i32) -> Error {
    Error::Invalid(format!("{topic}-{partition} does not exist"))
}

fn builder(spare: &mut Spare, config: &ProducerConfig) -> Result<Box<BatchBuilder>, Error> {
    if let Some(builder) = spare.pop() {
        return Ok(builder);
    }
    let builder = BatchBuilder::new(batch_options(config));
    builder
        .map(Box::new)
        .map_err(|error| Error::Invalid(error.to_string()))
}

pub(super) fn batch_options(config: &ProducerConfig) -> BatchOptions {
    BatchOptions {
        max_size: config.batch_size,
        compression: config.compression,
        transactional: config.transactional_id.is_some(),
        level: config.level(),
        ..BatchOptions::default()
    }
}
