//! What is sent next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::{Accumulator, Queue};
use crate::config::ProducerConfig;
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::producer::batch::Batch;

/// What a look at the queues led to.
#[derive(Default)]
pub(in crate::producer) struct Drained {
    /// One request each: the broker and its batches, at most one a partition.
    pub(in crate::producer) requests: Vec<(i32, Vec<Batch>)>,
    /// When to look again if nothing else happens.
    pub(in crate::producer) wake_at: Option<Instant>,
    /// Topics of which a partition has no known leader.
    pub(in crate::producer) leaderless: BTreeSet<Arc<str>>,
    /// Batches wait for an identity.
    pub(in crate::producer) needs_identity: bool,
    /// Memory that failed batches took.
    pub(in crate::producer) released: usize,
}

impl Drained {
    /// Has the sender look again at `at`.
    pub(in crate::producer) fn wake_by(&mut self, at: Instant) {
        wake(&mut self.wake_at, at);
    }
}

/// What can be said of one partition.
enum Look {
    Nothing,
    At(Instant),
    NeedsIdentity,
    /// Its next batch can go, and is this old.
    Ready(Instant),
}

impl Accumulator {
    /// Takes what may be sent now: the oldest batches first. `leader` knows the broker of a
    /// partition, `busy` the requests in flight to each. `hurry` is set when someone waits for
    /// room in the buffer: nothing lingers then.
    pub(in crate::producer) fn drain(
        &mut self,
        now: Instant,
        leader: impl Fn(&Arc<str>, usize) -> Option<i32>,
        busy: &BTreeMap<i32, usize>,
        hurry: bool,
    ) -> Drained {
        let mut drained = Drained::default();
        self.expire(now, &mut drained);
        let machine = self.transactions.as_ref();
        if let Some(error) = machine.and_then(super::Machine::refuses) {
            drained.released += self.abort(&error);
        }
        let mut ready = Vec::new();
        let (topics, identity, config) = (&mut self.topics, self.identity, &self.config);
        let (transactions, flush_below) = (self.transactions.as_ref(), self.flush_below);
        self.active.retain(|(name, index)| {
            let topic = topics.get_mut(name);
            let Some(queue) = topic.and_then(|topic| topic.partitions.get_mut(*index)) else {
                return false;
            };
            queue.prepare(identity, config);
            let waits = transactions.is_some_and(|machine| {
                !queue.is_empty() && !machine.may_send(&partition_of(name, *index))
            });
            if !waits {
                match queue.look(now, config, flush_below, hurry) {
                    Look::Nothing => {}
                    Look::At(at) => wake(&mut drained.wake_at, at),
                    Look::NeedsIdentity => drained.needs_identity = true,
                    Look::Ready(created) => match leader(name, *index) {
                        Some(node) => ready.push((created, node, Arc::clone(name), *index)),
                        None => {
                            drained.leaderless.insert(Arc::clone(name));
                        }
                    },
                }
            }
            wake_at_deadline(queue, &mut drained);
            !queue.is_settled()
        });
        // A partition that lost its id needs a new one, not that of its siblings.
        if drained.needs_identity {
            self.identity = None;
        }
        if self.transactions.is_some() {
            drained.needs_identity = false;
        }
        ready.sort();
        self.collect(ready, busy, &mut drained);
        if let Some(machine) = self
            .transactions
            .as_mut()
            .filter(|_| !drained.requests.is_empty())
        {
            machine.sent();
        }
        drained
    }

    /// Puts the next batch of each ready partition into requests, as far as brokers have room.
    fn collect(
        &mut self,
        ready: Vec<(Instant, i32, Arc<str>, usize)>,
        busy: &BTreeMap<i32, usize>,
        drained: &mut Drained,
    ) {
        let mut open: BTreeMap<i32, (usize, Vec<Batch>)> = BTreeMap::new();
        let mut full = BTreeMap::new();
        for (_, node, name, index) in ready {
            let used = busy.get(&node).copied().unwrap_or(0);
            let requests = full.get(&node).copied().unwrap_or(0);
            if used + requests >= self.config.max_in_flight {
                continue;
            }
            let topic = self.topics.get_mut(&name);
            let Some(queue) = topic.and_then(|topic| topic.partitions.get_mut(index)) else {
                continue;
            };
            let Some(batch) = queue.take(&self.config) else {
                continue;
            };
            let (size, batches) = open.entry(node).or_default();
            *size += batch.size();
            batches.push(batch);
            if *size >= self.config.max_request_size {
                *full.entry(node).or_default() += 1;
                let (_, batches) = open.remove(&node).unwrap_or_default();
                drained.requests.push((node, batches));
            }
        }
        let rest = open.into_iter().map(|(node, (_, batches))| (node, batches));
        drained.requests.extend(rest);
    }

    /// Fails what has waited for too long.
    fn expire(&mut self, now: Instant, drained: &mut Drained) {
        let mut expired = Vec::new();
        for (name, index) in &self.active {
            let topic = self.topics.get_mut(name);
            let Some(queue) = topic.and_then(|topic| topic.partitions.get_mut(*index)) else {
                continue;
            };
            while queue
                .fresh
                .front()
                .is_some_and(|batch| batch.deadline <= now)
            {
                expired.extend(queue.fresh.pop_front());
            }
            for (_, batch) in queue.again.extract_if(.., |_, batch| batch.deadline <= now) {
                if batch.numbers.is_some() {
                    queue.sequence.failed();
                }
                expired.push(batch);
            }
        }
        for batch in expired {
            let reason = format!("{}-{} could not be written", batch.topic, batch.partition);
            let error = Error::Timeout {
                operation: "delivery",
                reason,
            };
            self.gave_up(&batch, &error);
            self.fail(&batch, error);
            drained.released += batch.memory;
            self.settled(batch.id);
        }
    }
}

impl Queue {
    /// Settles the sequence when nothing is in flight.
    fn prepare(&mut self, identity: Option<super::Identity>, config: &ProducerConfig) {
        while let Some(first) = self.sent.first()
            && !self.in_flight.contains(first)
            && !self.again.contains_key(first)
        {
            self.sent.pop_first();
        }
        if !config.enable_idempotence {
            return;
        }
        // In a transaction only the coordinator gives epochs.
        let transactional = config.transactional_id.is_some();
        if !transactional
            && self.in_flight.is_empty()
            && self.sequence.settle(!self.again.is_empty())
        {
            for batch in self.again.values_mut() {
                batch.numbers = None;
            }
            // Only a fresh id serves a partition whose epochs are used up.
            return;
        }
        if let Some(identity) = identity {
            self.sequence.adopt(identity);
        }
    }

    fn look(&self, now: Instant, config: &ProducerConfig, flush_below: u64, hurry: bool) -> Look {
        let resending = !self.again.is_empty();
        let next = self.again.values().next().or_else(|| self.fresh.front());
        let Some(batch) = next else {
            return Look::Nothing;
        };
        if self.in_flight.len() >= config.max_in_flight || (resending && self.resend_blocked()) {
            return Look::Nothing;
        }
        if !resending && self.sequence.is_unresolved() {
            return Look::Nothing;
        }
        if config.enable_idempotence && self.would_be_forgotten(batch, config) {
            return Look::Nothing;
        }
        if let Some(at) = self.not_before.filter(|at| *at > now) {
            return Look::At(at);
        }
        if !resending {
            let full = self.fresh.len() > 1 || batch.size() >= config.batch_size;
            let lingered = batch.created + config.linger;
            if !full && !hurry && batch.id >= flush_below && lingered > now {
                return Look::At(lingered);
            }
        }
        if config.enable_idempotence && !self.sequence.has_identity() {
            return Look::NeedsIdentity;
        }
        Look::Ready(batch.created)
    }

    /// Whether the broker might not recognise a batch in flight, should it come again or late, once
    /// `batch` is written.
    fn would_be_forgotten(&self, batch: &Batch, config: &ProducerConfig) -> bool {
        let full = self.sent.len() >= config.max_in_flight && !self.sent.contains(&batch.order);
        full || (!self.sequence.is_established() && !self.in_flight.is_empty())
    }

    /// Whether what has to be sent again must wait for what is in flight behind it. Batches that
    /// were themselves sent again since then are before all of it.
    fn resend_blocked(&self) -> bool {
        let first = self.again.keys().next();
        let last = self.in_flight.last();
        matches!((first, last), (Some(first), Some(last)) if last > first)
    }

    /// The next batch, numbered, now in flight.
    fn take(&mut self, config: &ProducerConfig) -> Option<Batch> {
        let mut batch = match self.again.pop_first() {
            Some((_, batch)) => batch,
            None => self.fresh.pop_front()?,
        };
        if config.enable_idempotence && batch.numbers.is_none() {
            batch.numbers = self.sequence.assign(batch.count);
        }
        batch.attempts = batch.attempts.saturating_add(1);
        self.in_flight.insert(batch.order);
        self.sent.insert(batch.order);
        Some(batch)
    }

    /// Nothing is queued, and the outcome of all that was sent is known.
    fn is_settled(&self) -> bool {
        self.is_empty() && self.in_flight.is_empty() && self.sent.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.again.is_empty()
    }

    /// When the first of the waiting batches fails.
    fn deadline(&self) -> Option<Instant> {
        let fresh = self.fresh.front().map(|batch| batch.deadline);
        let again = self.again.values().map(|batch| batch.deadline).min();
        fresh.into_iter().chain(again).min()
    }
}

fn partition_of(topic: &Arc<str>, index: usize) -> TopicPartition {
    let partition = i32::try_from(index).unwrap_or(i32::MAX);
    TopicPartition::new(Arc::clone(topic), partition)
}

fn wake_at_deadline(queue: &Queue, drained: &mut Drained) {
    if let Some(deadline) = queue.deadline() {
        wake(&mut drained.wake_at, deadline);
    }
}

fn wake(at: &mut Option<Instant>, new: Instant) {
    *at = Some(at.map_or(new, |old| old.min(new)));
}
