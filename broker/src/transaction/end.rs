//! The end of transactions: by their producers, by time, by a new instance of the producer. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_protocol::ErrorCode;

use super::record::{Participant, State, Transaction};
use super::{
    Attachment, Command, Effects, EndRequest, Fate, LARGEST_USED_EPOCH, MarkerOrder, Reply,
    TransactionCoordinator,
};
use crate::env::Now;

impl TransactionCoordinator {
    pub(super) fn end_txn(
        &mut self,
        request: &EndRequest,
        now: Now,
        effects: &mut Effects,
    ) -> Result<Reply, ErrorCode> {
        let id = &request.transactional_id;
        let known = self
            .transactions
            .get(id)
            .ok_or(ErrorCode::InvalidProducerIdMapping)?;
        let is_repeated = request.bumps_epoch && is_repeated(known, request);
        if known.producer_id != request.producer_id && !is_repeated {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if known.producer_epoch != request.producer_epoch && !is_repeated {
            return Err(ErrorCode::ProducerFenced);
        }
        let commit = request.committed;
        let same = |committed| if commit == committed { Ok(()) } else { Err(()) };
        match known.state {
            State::Empty | State::Ongoing if is_repeated => Err(ErrorCode::ProducerFenced),
            State::Ongoing => self.end_ongoing(request, now, effects),
            State::PrepareCommit | State::PrepareAbort => {
                same(known.state == State::PrepareCommit)
                    .map_err(|()| ErrorCode::InvalidTxnState)?;
                Err(ErrorCode::ConcurrentTransactions)
            }
            // Sent again: by its epoch in the second protocol, by its result in the first.
            State::CompleteCommit | State::CompleteAbort if is_repeated || !request.bumps_epoch => {
                same(known.state == State::CompleteCommit)
                    .map_err(|()| ErrorCode::InvalidTxnState)?;
                Ok(Reply::of(known))
            }
            // Nothing was written. The client cannot know, and its epoch must rise all the same.
            State::Empty | State::CompleteCommit | State::CompleteAbort
                if request.bumps_epoch && !commit =>
            {
                self.end_ongoing(request, now, effects)
            }
            State::Empty | State::CompleteCommit | State::CompleteAbort => {
                Err(ErrorCode::InvalidTxnState)
            }
        }
    }

    fn end_ongoing(
        &mut self,
        request: &EndRequest,
        now: Now,
        effects: &mut Effects,
    ) -> Result<Reply, ErrorCode> {
        let id = Arc::clone(&request.transactional_id);
        let mut raised = None;
        if request.bumps_epoch {
            raised = Some(if request.producer_epoch >= LARGEST_USED_EPOCH {
                self.take_producer_id(effects)?
            } else {
                -1
            });
        }
        let Some(mut value) = self.transactions.get(&id).cloned() else {
            return Err(ErrorCode::UnknownServerError);
        };
        if let Some(next_producer_id) = raised {
            value.last_producer_epoch = value.producer_epoch;
            value.producer_epoch = value.producer_epoch.saturating_add(1);
            value.next_producer_id = next_producer_id;
        }
        let reply = Reply::Producer {
            producer_id: if value.next_producer_id < 0 {
                value.producer_id
            } else {
                value.next_producer_id
            },
            producer_epoch: if value.next_producer_id < 0 {
                value.producer_epoch
            } else {
                0
            },
        };
        self.end(&id, value, request.committed, now, effects);
        Ok(reply)
    }

    /// Aborts an ongoing transaction with an epoch that its producer does not have.
    pub(super) fn fence(&mut self, id: &Arc<str>, now: Now, effects: &mut Effects) {
        let Some(mut value) = self.transactions.get(id).cloned() else {
            return;
        };
        value.producer_epoch = value.producer_epoch.saturating_add(1);
        value.last_producer_epoch = -1;
        self.end(id, value, false, now, effects);
    }

    /// Decides. The markers that can go with the record do; the others are ordered, and the
    /// transaction is complete when they are written.
    fn end(
        &mut self,
        id: &Arc<str>,
        mut value: Transaction,
        commit: bool,
        now: Now,
        effects: &mut Effects,
    ) {
        let mut apart = BTreeSet::new();
        for participant in std::mem::take(&mut value.partitions) {
            match (self.fate)(&participant) {
                Fate::Shared => effects.attachments.push(Attachment::Marker(MarkerOrder {
                    participant,
                    producer_id: value.producer_id,
                    producer_epoch: value.producer_epoch,
                    commit,
                })),
                Fate::Apart => {
                    apart.insert(participant);
                }
                Fate::Gone => {}
            }
        }
        let groups = std::mem::take(&mut value.groups);
        if !groups.is_empty() {
            effects.attachments.push(Attachment::Offsets {
                producer_id: value.producer_id,
                commit,
                group_ids: groups.into_iter().collect(),
            });
        }
        value.partitions = apart;
        value.state = if commit {
            State::PrepareCommit
        } else {
            State::PrepareAbort
        };
        if value.partitions.is_empty() {
            complete(&mut value);
        } else {
            order_markers(id, &value, effects);
        }
        self.set(id, value, now, effects);
    }

    /// Some markers were written by themselves.
    pub(super) fn markers_written(
        &mut self,
        id: &Arc<str>,
        producer: (i64, i16),
        done: &[Participant],
        now: Now,
        effects: &mut Effects,
    ) {
        let Some(mut value) = self.transactions.get(id).cloned() else {
            return;
        };
        let is_same = (value.producer_id, value.producer_epoch) == producer;
        if !value.state.is_prepared() || !is_same {
            return;
        }
        for participant in done {
            value.partitions.remove(participant);
        }
        if value.partitions.is_empty() {
            complete(&mut value);
        } else if done.is_empty() {
            return;
        }
        self.set(id, value, now, effects);
    }

    /// The time of a transactional id has come: it has run for too long, or markers are missing.
    pub(super) fn due(&mut self, id: &Arc<str>, now: Now, effects: &mut Effects) {
        let Some(value) = self.transactions.get(id) else {
            return;
        };
        match value.state {
            State::Ongoing => {
                effects.commands.push(Command::TimedOut {
                    transactional_id: Arc::clone(id),
                    timeout_ms: value.timeout_ms,
                });
                self.fence(id, now, effects);
            }
            State::PrepareCommit | State::PrepareAbort => {
                order_markers(id, value, effects);
                self.arm(id, now);
            }
            State::Empty | State::CompleteCommit | State::CompleteAbort => {}
        }
    }
}

/// Whether the request ended the transaction already; its answer was lost.
fn is_repeated(known: &Transaction, request: &EndRequest) -> bool {
    let is_raised = request.producer_epoch >= 0
        && known.producer_id == request.producer_id
        && known.last_producer_epoch == request.producer_epoch
        && known.producer_epoch == request.producer_epoch.saturating_add(1);
    let is_rotated = known.previous_producer_id == request.producer_id
        && known.producer_epoch == 0
        && request.producer_epoch >= LARGEST_USED_EPOCH
        && known.last_producer_epoch == request.producer_epoch;
    is_raised || is_rotated
}

fn complete(value: &mut Transaction) {
    value.state = match value.state {
        State::PrepareCommit => State::CompleteCommit,
        _ => State::CompleteAbort,
    };
    value.start_ms = -1;
    if value.next_producer_id >= 0 {
        value.previous_producer_id = value.producer_id;
        value.producer_id = value.next_producer_id;
        value.producer_epoch = 0;
        value.next_producer_id = -1;
    }
}

/// Has the markers of a prepared transaction written.
pub(super) fn order_markers(id: &Arc<str>, value: &Transaction, effects: &mut Effects) {
    let commit = value.state == State::PrepareCommit;
    let order = |participant: &Participant| MarkerOrder {
        participant: participant.clone(),
        producer_id: value.producer_id,
        producer_epoch: value.producer_epoch,
        commit,
    };
    effects.commands.push(Command::WriteMarkers {
        transactional_id: Arc::clone(id),
        producer: (value.producer_id, value.producer_epoch),
        orders: value.partitions.iter().map(order).collect(),
    });
}
