//! InitProducerId of a transactional producer: an id, and an epoch that fences those before. Pure.

use std::sync::Arc;

use ottla_protocol::ErrorCode;

use super::record::{State, Transaction};
use super::{
    Effects, InitRequest, LARGEST_USED_EPOCH, MAX_ID, MAX_IDS, Reply, TransactionCoordinator,
};
use crate::env::Now;

/// Id and epoch that the producer has, when it says so (KIP-360).
type Expected = Option<(i64, i16)>;

impl TransactionCoordinator {
    pub(super) fn init(
        &mut self,
        request: &InitRequest,
        now: Now,
        effects: &mut Effects,
    ) -> Result<Reply, ErrorCode> {
        let id = &request.transactional_id;
        let one_sided = (request.producer_id < 0) != (request.producer_epoch < 0);
        if id.is_empty() || id.len() > MAX_ID || one_sided {
            return Err(ErrorCode::InvalidRequest);
        }
        if request.timeout_ms <= 0 || request.timeout_ms > self.config.max_timeout_ms {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        let expected =
            (request.producer_id >= 0).then_some((request.producer_id, request.producer_epoch));
        let Some(known) = self.transactions.get(id) else {
            return self.begin_id(request, now, effects);
        };
        check_expected(known, expected)?;
        if known.state.is_prepared() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let mut expected_epoch = expected.map(|(_, epoch)| epoch);
        if known.state == State::Ongoing {
            self.fence(&Arc::clone(id), now, effects);
            // It was the present epoch, which the abort has raised.
            let fenced = self.transactions.get(id);
            expected_epoch = expected_epoch.and(fenced.map(|fenced| fenced.producer_epoch));
        }
        self.next_epoch(request, expected_epoch, now, effects)
    }

    fn begin_id(
        &mut self,
        request: &InitRequest,
        now: Now,
        effects: &mut Effects,
    ) -> Result<Reply, ErrorCode> {
        if self.transactions.len() >= MAX_IDS {
            return Err(ErrorCode::PolicyViolation);
        }
        let value = Transaction {
            producer_id: self.take_producer_id(effects)?,
            producer_epoch: 0,
            previous_producer_id: -1,
            last_producer_epoch: -1,
            next_producer_id: -1,
            timeout_ms: request.timeout_ms,
            state: State::Empty,
            partitions: Default::default(),
            groups: Default::default(),
            start_ms: -1,
            last_update_ms: now.wall_ms,
        };
        let reply = Reply::of(&value);
        self.set(&request.transactional_id, value, now, effects);
        Ok(reply)
    }

    /// The epoch after the present one; the present one again for a repeated request.
    fn next_epoch(
        &mut self,
        request: &InitRequest,
        expected_epoch: Option<i16>,
        now: Now,
        effects: &mut Effects,
    ) -> Result<Reply, ErrorCode> {
        let Some(known) = self.transactions.get(&request.transactional_id) else {
            return Err(ErrorCode::UnknownServerError);
        };
        if known.state.is_prepared() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let mut value = known.clone();
        let is_repeated = expected_epoch.is_some_and(|epoch| {
            epoch != value.producer_epoch && epoch == value.last_producer_epoch
        });
        if is_repeated {
            return Ok(Reply::of(&value));
        }
        if value.producer_epoch >= LARGEST_USED_EPOCH {
            value.previous_producer_id = value.producer_id;
            value.producer_id = self.take_producer_id(effects)?;
            value.last_producer_epoch = expected_epoch.unwrap_or(-1);
            value.producer_epoch = 0;
        } else {
            value.last_producer_epoch = expected_epoch.unwrap_or(-1);
            value.producer_epoch += 1;
        }
        value.timeout_ms = request.timeout_ms;
        value.state = State::Empty;
        value.start_ms = -1;
        let reply = Reply::of(&value);
        self.set(&request.transactional_id, value, now, effects);
        Ok(reply)
    }
}

/// A producer that knows another id, or an epoch that is past, has been replaced.
fn check_expected(known: &Transaction, expected: Expected) -> Result<(), ErrorCode> {
    let Some((producer_id, epoch)) = expected else {
        return Ok(());
    };
    let is_current = producer_id == known.producer_id
        && (epoch == known.producer_epoch || epoch == known.last_producer_epoch);
    let is_rotated = producer_id == known.previous_producer_id
        && epoch >= LARGEST_USED_EPOCH
        && epoch == known.last_producer_epoch;
    if is_current || is_rotated {
        Ok(())
    } else {
        Err(ErrorCode::ProducerFenced)
    }
}
