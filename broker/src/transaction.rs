//! Pure. The transaction coordinator: which producer owns a transactional id, what is in its
//! transaction, and how that ends.
//!
//! A logged machine. The record of a decision and the markers that carry it out are attached to
//! each other: the shell appends them as one, so a crash does not come in between. Only partitions
//! that do not share the journal get their markers afterwards. Both protocols: in the first,
//! clients add partitions (KIP-98); in the second, writing adds them and each end raises the epoch
//! (KIP-890).

mod end;
mod event;
pub(crate) mod hanging;
mod init;
mod record;
pub(crate) mod shell;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::ErrorCode;

pub(crate) use self::event::{
    AddRequest, Attachment, Command, EndRequest, Event, Fate, InitRequest, MarkerOrder, Reply,
};
pub(crate) use self::record::{Participant, State, Transaction, TransactionRecord};
use crate::env::{Now, millis};
use crate::machine::{self, Machine, Token};
use crate::record_codec::{EncodedRecord, RecordError};

/// Longest transactional id, in bytes.
const MAX_ID: usize = 1_024;
/// Transactional ids of a broker.
const MAX_IDS: usize = 100_000;
/// Partitions and groups in one transaction.
const MAX_PARTICIPANTS: usize = 20_000;
/// The largest epoch that a producer gets: one is left to fence it with.
const LARGEST_USED_EPOCH: i16 = i16::MAX - 1;
/// Below so many spare producer ids more are asked for.
const FEW_PRODUCER_IDS: i64 = 100;
/// How long to wait before missing markers are ordered again.
const MARKER_RETRY: Duration = Duration::from_secs(1);
/// Ids that are forgotten in one round: their records are one batch.
const MAX_EXPIRED: usize = 10_000;
/// How often transactional ids are looked through for those that have expired.
const EXPIRY_CHECK: Duration = Duration::from_secs(3_600);

/// Settings of the coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TransactionConfig {
    /// `transaction.max.timeout.ms`.
    pub(crate) max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`.
    pub(crate) id_expiration: Duration,
}

type Effects = machine::Effects<TransactionRecord, Reply, Command, Attachment>;

/// See the module.
pub(crate) struct TransactionCoordinator {
    config: TransactionConfig,
    fate: Box<dyn Fn(&Participant) -> Fate + Send>,
    transactions: BTreeMap<Arc<str>, Transaction>,
    /// When to look at which id: soft state.
    timers: BTreeSet<(Duration, Arc<str>)>,
    armed: HashMap<Arc<str>, Duration>,
    next_expiry: Option<Duration>,
    /// Producer ids to give out: those used now and those used next.
    spare: [Range<i64>; 2],
    ids_requested: bool,
}

impl fmt::Debug for TransactionCoordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionCoordinator")
            .field("transactions", &self.transactions)
            .finish_non_exhaustive()
    }
}

impl TransactionCoordinator {
    /// No transactions. `fate` tells of a partition how its marker can be written.
    pub(crate) fn new(
        config: TransactionConfig,
        fate: impl Fn(&Participant) -> Fate + Send + 'static,
    ) -> Self {
        Self {
            config,
            fate: Box::new(fate),
            transactions: BTreeMap::new(),
            timers: BTreeSet::new(),
            armed: HashMap::new(),
            next_expiry: None,
            spare: [0..0, 0..0],
            ids_requested: false,
        }
    }

    /// What is known of a transactional id.
    pub(crate) fn get(&self, transactional_id: &str) -> Option<&Transaction> {
        self.transactions.get(transactional_id)
    }

    /// All transactional ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Transaction)> {
        self.transactions.iter()
    }

    fn add(
        &mut self,
        request: AddRequest,
        now: Now,
        effects: &mut Effects,
    ) -> Result<Reply, ErrorCode> {
        let id = &request.transactional_id;
        if id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let known = self
            .transactions
            .get_mut(id)
            .filter(|known| known.producer_id == request.producer_id)
            .ok_or(ErrorCode::InvalidProducerIdMapping)?;
        if known.producer_epoch != request.producer_epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        if known.state.is_prepared() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let has_all = known.state == State::Ongoing
            && request
                .partitions
                .iter()
                .all(|p| known.partitions.contains(p))
            && request
                .groups
                .iter()
                .all(|group| known.groups.contains(group));
        if has_all {
            return Ok(Reply::Added);
        }
        if request.verify_only {
            return Err(ErrorCode::TransactionAbortable);
        }
        let more = request.partitions.len() + request.groups.len();
        if known.partitions.len() + known.groups.len() + more > MAX_PARTICIPANTS {
            return Err(ErrorCode::PolicyViolation);
        }
        let begins = known.state != State::Ongoing;
        let record = TransactionRecord::Added {
            transactional_id: Arc::clone(id),
            partitions: request.partitions,
            groups: request.groups,
            now_ms: now.wall_ms,
        };
        let id = Arc::clone(id);
        self.apply(record.clone());
        effects.records.push(record);
        if begins {
            self.arm(&id, now);
        }
        Ok(Reply::Added)
    }

    /// Makes a change of hard state, live and on load alike.
    fn apply(&mut self, record: TransactionRecord) {
        match record {
            TransactionRecord::Set {
                transactional_id,
                value,
            } => {
                self.transactions.insert(transactional_id, value);
            }
            TransactionRecord::Added {
                transactional_id,
                partitions,
                groups,
                now_ms,
            } => {
                if let Some(known) = self.transactions.get_mut(&transactional_id) {
                    if known.state != State::Ongoing {
                        known.state = State::Ongoing;
                        known.start_ms = now_ms;
                    }
                    known.partitions.extend(partitions);
                    known.groups.extend(groups);
                    known.last_update_ms = now_ms;
                }
            }
            TransactionRecord::Removed { transactional_id } => {
                self.transactions.remove(&transactional_id);
            }
        }
    }

    fn set(&mut self, id: &Arc<str>, mut value: Transaction, now: Now, effects: &mut Effects) {
        value.last_update_ms = now.wall_ms;
        let record = TransactionRecord::Set {
            transactional_id: Arc::clone(id),
            value,
        };
        self.apply(record.clone());
        effects.records.push(record);
        self.arm(id, now);
    }

    /// Sets the time at which something has to be done about an id, if there is one.
    fn arm(&mut self, id: &Arc<str>, now: Now) {
        if let Some(at) = self.armed.remove(id) {
            self.timers.remove(&(at, Arc::clone(id)));
        }
        let Some(value) = self.transactions.get(id) else {
            return;
        };
        let delay = match value.state {
            State::Ongoing => {
                let end_ms = value.start_ms.saturating_add(i64::from(value.timeout_ms));
                let left = end_ms.saturating_sub(now.wall_ms);
                Duration::from_millis(u64::try_from(left).unwrap_or(0))
            }
            State::PrepareCommit | State::PrepareAbort => MARKER_RETRY,
            State::Empty | State::CompleteCommit | State::CompleteAbort => return,
        };
        let at = now.monotonic.saturating_add(delay);
        self.timers.insert((at, Arc::clone(id)));
        self.armed.insert(Arc::clone(id), at);
    }

    fn take_producer_id(&mut self, effects: &mut Effects) -> Result<i64, ErrorCode> {
        let [current, next] = &mut self.spare;
        if current.is_empty() {
            *current = std::mem::take(next);
        }
        let id = current.next();
        let left = (current.end - current.start) + (next.end - next.start);
        if left < FEW_PRODUCER_IDS && !self.ids_requested {
            self.ids_requested = true;
            effects.commands.push(Command::ReserveProducerIds);
        }
        id.ok_or(ErrorCode::CoordinatorLoadInProgress)
    }

    fn take_in_producer_ids(&mut self, ids: Range<i64>) {
        self.ids_requested = false;
        if let Some(place) = self.spare.iter_mut().find(|place| place.is_empty()) {
            *place = ids;
        }
    }

    /// Forgets ids that nobody has used for long, one round of them.
    fn expire(&mut self, now: Now, effects: &mut Effects) {
        let age_ms = millis(self.config.id_expiration);
        let is_over = |value: &Transaction| {
            let is_idle = value.state != State::Ongoing && !value.state.is_prepared();
            is_idle && now.wall_ms.saturating_sub(value.last_update_ms) >= age_ms
        };
        let over: Vec<Arc<str>> = self
            .transactions
            .iter()
            .filter(|(_, value)| is_over(value))
            .map(|(id, _)| Arc::clone(id))
            .take(MAX_EXPIRED)
            .collect();
        let pause = if over.len() < MAX_EXPIRED {
            EXPIRY_CHECK
        } else {
            Duration::ZERO
        };
        self.next_expiry = Some(now.monotonic.saturating_add(pause));
        for transactional_id in over {
            let record = TransactionRecord::Removed { transactional_id };
            self.apply(record.clone());
            effects.records.push(record);
        }
    }
}

impl Machine for TransactionCoordinator {
    type Event = Event;
    type Record = TransactionRecord;
    type Reply = Reply;
    type Command = Command;
    type Attachment = Attachment;

    fn handle(&mut self, event: Event, now: Now) -> Effects {
        let mut effects = Effects::default();
        let (token, outcome) = match event {
            Event::Init(token, request) => (token, self.init(&request, now, &mut effects)),
            Event::Add(token, request) => (token, self.add(request, now, &mut effects)),
            Event::End(token, request) => (token, self.end_txn(&request, now, &mut effects)),
            Event::ProducerIds(ids) => {
                self.take_in_producer_ids(ids);
                return effects;
            }
            Event::NoProducerIds => {
                self.ids_requested = false;
                return effects;
            }
            Event::MarkersWritten {
                transactional_id,
                producer,
                done,
            } => {
                self.markers_written(&transactional_id, producer, &done, now, &mut effects);
                return effects;
            }
        };
        effects
            .replies
            .push((token, outcome.unwrap_or_else(Reply::Error)));
        effects
    }

    fn abandoned(_token: Token) -> Option<Event> {
        None
    }

    /// Decides about one transaction at a time: what is attached to a decision is of one producer,
    /// and the records fit a batch. The next one is due at once.
    fn tick(&mut self, now: Now) -> Effects {
        let mut effects = Effects::default();
        if self.next_expiry.is_some_and(|at| at <= now.monotonic) {
            self.expire(now, &mut effects);
        }
        while effects.records.is_empty() {
            let Some((at, id)) = self.timers.pop_first() else {
                break;
            };
            if at > now.monotonic {
                self.timers.insert((at, id));
                break;
            }
            self.armed.remove(&id);
            self.due(&id, now, &mut effects);
        }
        effects
    }

    fn deadline(&self) -> Option<Duration> {
        let timer = self.timers.first().map(|(at, _)| *at);
        timer.into_iter().chain(self.next_expiry).min()
    }

    fn replay(&mut self, record: TransactionRecord) {
        self.apply(record);
    }

    fn loaded(&mut self, now: Now) -> Effects {
        let mut effects = Effects::default();
        self.ids_requested = true;
        effects.commands.push(Command::ReserveProducerIds);
        self.next_expiry = Some(now.monotonic.saturating_add(EXPIRY_CHECK));
        let ids: Vec<Arc<str>> = self.transactions.keys().cloned().collect();
        for id in ids {
            self.arm(&id, now);
            if let Some(value) = self.transactions.get(&id).filter(|v| v.state.is_prepared()) {
                end::order_markers(&id, value, &mut effects);
            }
        }
        effects
    }

    fn snapshot(&self) -> Vec<TransactionRecord> {
        let set = |(id, value): (&Arc<str>, &Transaction)| TransactionRecord::Set {
            transactional_id: Arc::clone(id),
            value: value.clone(),
        };
        self.transactions.iter().map(set).collect()
    }

    fn encode(record: &TransactionRecord) -> Result<EncodedRecord, RecordError> {
        record.encode()
    }

    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<TransactionRecord, RecordError> {
        TransactionRecord::decode(key, value)
    }
}
