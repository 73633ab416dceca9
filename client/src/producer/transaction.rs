//! Transactions: records to many partitions, and offsets of a group, that count together or not
//! at all.
//!
//! The handle only tells the producer's task what is wanted; the task asks coordinators, so that
//! dropping a future leaves nothing half done.

pub(super) mod machine;
pub(super) mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use tokio::time::timeout_at;

use super::{Delivery, Producer, ProducerRecord, RecordMetadata, Shared};
use crate::consumer::ConsumerGroupMetadata;
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::offsets::CommittedOffset;
use machine::{GroupOffsets, Machine};

/// An open transaction. Made by [`Producer::begin_transaction`].
///
/// Dropping it without a commit aborts it, in the background.
#[must_use = "a transaction that is dropped is aborted"]
pub struct Transaction {
    producer: Producer,
    number: u64,
}

impl Producer {
    /// Begins a transaction; waits for the end of the one before, at most `max.block.ms`.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a `transactional.id` and while a transaction is open;
    /// [`Error::Fenced`] when another producer has taken over the `transactional.id`;
    /// [`Error::Timeout`].
    ///
    /// # Cancel safety
    /// Dropping the future begins nothing.
    pub async fn begin_transaction(&self) -> Result<Transaction, Error> {
        let shared = &self.owner.0;
        let number = shared
            .until("begin_transaction", |machine| machine.begin())
            .await?;
        Ok(Transaction {
            producer: self.clone(),
            number,
        })
    }

    /// Runs `work` in a transaction: commits when it returns `Ok`, aborts when it returns `Err`.
    ///
    /// # Errors
    /// What `work` returns, and as [`begin_transaction`](Self::begin_transaction) and
    /// [`Transaction::commit`]. After an error of `work`, and after [`Error::Abortable`], nothing
    /// of the transaction counts; after another error of the commit its outcome is open.
    ///
    /// # Cancel safety
    /// Dropping the future aborts the transaction, unless `work` had returned `Ok`.
    pub async fn transaction<T, E: From<Error>>(
        &self,
        work: impl AsyncFnOnce(&Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut transaction = self.begin_transaction().await?;
        let result = work(&transaction).await;
        let committed = match &result {
            Ok(_) => transaction.commit().await,
            Err(_) => return transaction.abort().await.map_err(E::from).and(result),
        };
        if committed.as_ref().is_err_and(Error::is_abortable) {
            transaction.abort().await?;
        }
        committed?;
        result
    }
}

impl Transaction {
    /// Queues a record in the transaction, as [`Producer::enqueue`].
    ///
    /// # Errors
    /// As [`Producer::enqueue`]; [`Error::Abortable`] when something in the transaction has
    /// failed; [`Error::Fenced`].
    ///
    /// # Cancel safety
    /// Dropping the future queues the record fully or not at all.
    pub async fn enqueue(&self, record: ProducerRecord) -> Result<Delivery, Error> {
        self.producer.enqueue_in(Some(self.number), record).await
    }

    /// Queues a record in the transaction if that can be done at once, as
    /// [`Producer::try_enqueue`].
    ///
    /// # Errors
    /// As [`Producer::try_enqueue`]; [`Error::Abortable`] when something in the transaction has
    /// failed; [`Error::Fenced`].
    pub fn try_enqueue(&self, record: ProducerRecord) -> Result<Delivery, Error> {
        self.producer.try_enqueue_in(Some(self.number), record)
    }

    /// Writes a record in the transaction and waits for its acknowledgement.
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

    /// Commits offsets of a group with the transaction (KIP-447): the next offsets to read, once
    /// what was read before is dealt with in this transaction. Waits until they are in it.
    ///
    /// # Errors
    /// [`Error::Abortable`] when the member is no longer part of the group, or something in the
    /// transaction has failed; [`Error::Fenced`]; [`Error::Timeout`] after `max.block.ms`.
    ///
    /// # Cancel safety
    /// Dropping the future only stops waiting: the offsets are in the transaction.
    pub async fn send_offsets(
        &self,
        offsets: BTreeMap<TopicPartition, CommittedOffset>,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), Error> {
        if offsets.is_empty() {
            return Ok(());
        }
        let shared = &self.producer.owner.0;
        let group = group.clone();
        let offsets = GroupOffsets { group, offsets };
        let number = self.number;
        let count = shared.turn(|machine| machine.add_offsets(number, offsets))?;
        shared
            .until("send_offsets", |machine| machine.are_sent(number, count))
            .await
    }

    /// Commits: waits until everything that was queued is written, and until the commit is
    /// decided. Calling it again goes on waiting.
    ///
    /// # Errors
    /// [`Error::Abortable`] when something in the transaction has failed: [`abort`](Self::abort)
    /// it. [`Error::Fenced`] when another producer has taken over: it has aborted the transaction,
    /// unless it was committed and only the answer was lost. [`Error::Timeout`] when there was no
    /// answer within `max.block.ms`: the commit goes on, and its outcome is open.
    ///
    /// # Cancel safety
    /// From the first poll on, dropping the future only stops waiting: the commit goes on.
    pub async fn commit(&mut self) -> Result<(), Error> {
        let shared = &self.producer.owner.0;
        let number = self.number;
        shared.turn(|machine| machine.commit(number))?;
        shared.accumulator.lock().flush();
        shared.wake.notify_one();
        shared
            .until("commit", |machine| machine.is_committed(number))
            .await
    }

    /// Aborts: nothing of the transaction counts. Records that were not sent fail. Calling it
    /// again goes on waiting.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is being committed; [`Error::Fenced`]; [`Error::Timeout`] when
    /// there was no answer within `max.block.ms`: the abort goes on.
    ///
    /// # Cancel safety
    /// From the first poll on, dropping the future only stops waiting: the abort goes on.
    pub async fn abort(&mut self) -> Result<(), Error> {
        let shared = &self.producer.owner.0;
        let number = self.number;
        shared.turn(|machine| machine.abort(number))?;
        shared
            .until("abort", |machine| machine.has_ended(number))
            .await
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let number = self.number;
        // One that has ended, or is being committed, is left alone.
        let _ = self.producer.owner.0.turn(|machine| machine.abort(number));
    }
}

impl Shared {
    /// Changes the machine's mind, and wakes the task.
    fn turn<T>(&self, change: impl FnOnce(&mut Machine) -> Result<T, Error>) -> Result<T, Error> {
        let changed = match &mut self.accumulator.lock().transactions {
            Some(machine) => change(machine),
            None => Err(without_id()),
        };
        self.wake.notify_one();
        changed
    }

    /// Waits until `look` sees what it looks for, at most `max.block.ms`.
    pub(super) async fn until<T>(
        &self,
        operation: &'static str,
        mut look: impl FnMut(&mut Machine) -> Option<Result<T, Error>>,
    ) -> Result<T, Error> {
        let deadline = self.cluster.env.now() + self.config.max_block;
        let mut turned = self.turned.subscribe();
        loop {
            turned.borrow_and_update();
            let seen = match &mut self.accumulator.lock().transactions {
                Some(machine) => look(machine),
                None => Some(Err(without_id())),
            };
            if let Some(seen) = seen {
                return seen;
            }
            if !matches!(timeout_at(deadline, turned.changed()).await, Ok(Ok(()))) {
                let machine = &self.accumulator.lock().transactions;
                let reason = machine.as_ref().map(Machine::put_off).unwrap_or_default();
                return Err(Error::Timeout { operation, reason });
            }
        }
    }
}

fn without_id() -> Error {
    Error::Invalid("transactions need a transactional.id".to_owned())
}
