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

#[derive(Debug, Default)]
struct TopicQueues {
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
            identity: None,
            next_id: 0,
            outstanding: BTreeMap::new(),
            flush_below: 0,
            spare: Vec::new(),
        }
    }

    /// Queues a record that takes `cost` of the buffer, in a transaction if it has a number.
    /// `leaders` are those of the topic.
    pub(super) fn append(
        &mut self,
        transaction: Option<u64>,
        record: &ProducerRecord,
        cost: usize,
        leaders: &[Leader],
        (now, wall_ms): (Instant, i64),
        random: impl FnOnce() -> u64,
    ) -> Result<Appended, Error> {
        let index = self.choose(record, cost, leaders, random)?;
        let partition = i32::try_from(index).unwrap_or(i32::MAX);
        let timestamp = record.timestamp.unwrap_or(wall_ms);
        self.admit(transaction, &record.topic, partition)?;
        let queue = self.topics.get_mut(&record.topic);
        let queue = queue.and_then(|topic| topic.partitions.get_mut(index));
        let Some(queue) = queue else {
            return Err(Error::Invalid(format!(
                "{}-{partition} does not exist",
                record.topic
            )));
        };
        let mut added = false;
        let mut open = queue.fresh.back_mut();
        loop {
            if let Some(batch) = open.take()
                && let Some(position) = fill(batch, record, timestamp)?
            {
                batch.memory = batch.memory.saturating_add(cost);
                batch.count += 1;
                let full = batch.size() >= self.config.batch_size;
                let slot = Arc::clone(&batch.slot);
                let topic = Arc::clone(&record.topic);
                let delivery = Delivery::new(slot, position, topic, partition, timestamp);
                return Ok(Appended {
                    delivery,
                    wake: added || full,
                });
            }
            let builder = builder(&mut self.spare, &self.config)?;
            let deadline = now + self.config.delivery_timeout;
            let batch = queue.open(
                &record.topic,
                partition,
                builder,
                self.next_id,
                now,
                deadline,
            );
            *self.outstanding.entry(self.next_id).or_default() += 1;
            self.next_id += 1;
            queue.fresh.push_back(batch);
            added = true;
            open = queue.fresh.back_mut();
        }
    }

    /// Refuses a record that belongs to no transaction, or to one that takes no more.
    fn admit(
        &mut self,
        transaction: Option<u64>,
        topic: &Arc<str>,
        partition: i32,
    ) -> Result<(), Error> {
        match (&mut self.transactions, transaction) {
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

    /// The partition for a record, with a queue for it.
    fn choose(
        &mut self,
        record: &ProducerRecord,
        cost: usize,
        leaders: &[Leader],
        random: impl FnOnce() -> u64,
    ) -> Result<usize, Error> {
        let count = leaders.len();
        let topic = match self.topics.get_mut(&record.topic) {
            Some(topic) => topic,
            None => self.topics.entry(Arc::clone(&record.topic)).or_default(),
        };
        while topic.partitions.len() < count {
            topic.partitions.push(Queue::new(self.backoff));
        }
        if let Some(partition) = record.partition {
            let index = usize::try_from(partition)
                .ok()
                .filter(|index| *index < count);
            return index.ok_or_else(|| {
                Error::Invalid(format!("{}-{partition} does not exist", record.topic))
            });
        }
        if let Some(key) = record.key.as_ref().filter(|_| !self.config.ignore_keys) {
            return Ok(of_key(self.config.key_hash, key, count));
        }
        let adaptive = self.config.adaptive_partitioning;
        let TopicQueues { sticky, partitions } = topic;
        let queues = || {
            let queues = partitions.iter().zip(leaders);
            let length = |queue: &Queue| if adaptive { queue.fresh.len() } else { 0 };
            queues
                .map(|(queue, leader)| (leader.node_id >= 0).then(|| length(queue)))
                .collect()
        };
        Ok(sticky.next(cost, self.config.batch_size, count, queues, random))
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
            self.leaves_gap(&batch);
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
            slot: Arc::new(Slot::default()),
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
        }
    }

    /// Pauses the partition after a failure.
    fn pause(&mut self, now: Instant, fraction: f64) {
        let pause: Duration = self.backoff.next(fraction);
        self.not_before = Some(now + pause);
    }
}

/// Appends a record to an open batch. None when the batch has no room.
fn fill(batch: &mut Batch, record: &ProducerRecord, timestamp: i64) -> Result<Option<u32>, Error> {
    let Body::Open(builder) = &mut batch.body else {
        return Ok(None);
    };
    let (key, value) = (record.key.as_deref(), record.value.as_deref());
    match builder.append(timestamp, key, value, &record.headers) {
        Ok(position) => Ok(Some(u32::try_from(position).unwrap_or(0))),
        Err(AppendError::Full) => Ok(None),
        Err(error) => Err(Error::Invalid(error.to_string())),
    }
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
