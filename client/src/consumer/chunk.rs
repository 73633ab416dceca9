//! Pure. What one fetch brought for one partition, read record by record.
//!
//! Control batches and records of aborted transactions are passed over; checksums are verified
//! and batches decompressed when their turn comes, not before.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::message::AbortedTransaction;
use ottla_protocol::record::{
    BatchHeader, Batches, CompressionError, EndTransactionMarker, Limits, Record, RecordBatch,
    RecordError, Records, TransactionResult,
};

use super::budget::{Budget, charge};

/// What all chunks of a consumer have in common.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) budget: Arc<Budget>,
    pub(super) check_crcs: bool,
}

/// Why no record could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Blocked {
    /// The batch decompresses to more than is free of the budget.
    Budget,
    /// The batch cannot be read.
    Damaged { offset: i64, reason: String },
}

/// The records that a read gave, and where it ended.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) records: Vec<Record>,
    /// The offset after the last one, and after all that was passed over.
    pub(super) next_offset: i64,
    /// Leader epoch of the last batch that was read from, or -1.
    pub(super) leader_epoch: i32,
    /// The batch that comes next could not be read.
    pub(super) blocked: Option<Blocked>,
}

/// A batch that is being read.
#[derive(Debug)]
struct Open {
    header: BatchHeader,
    records: Records,
}

/// The records of one partition in the answer to one fetch.
#[derive(Debug)]
pub(super) struct Chunk {
    batches: Batches,
    /// A batch that waits for room to be decompressed.
    waiting: Option<RecordBatch>,
    open: Option<Open>,
    /// Aborted transactions that begin further on, by rising offset.
    aborted: VecDeque<AbortedTransaction>,
    /// Producers whose transaction is known to be aborted and has not ended yet.
    aborting: BTreeSet<i64>,
}

impl Chunk {
    /// `aborted` is given to those who read committed records only.
    pub(super) fn new(records: Bytes, mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_by_key(|transaction| transaction.first_offset);
        Self {
            batches: Batches::new(records),
            waiting: None,
            open: None,
            aborted: aborted.into(),
            aborting: BTreeSet::new(),
        }
    }

    /// Bytes of batches that were not opened yet.
    pub(super) fn left(&self) -> usize {
        let waiting = self.waiting.as_ref().map_or(0, |batch| batch.bytes().len());
        self.batches.rest().len() + waiting
    }

    /// Offset after the last whole batch, and its leader epoch; none if there is no whole batch.
    pub(super) fn end(&self) -> Result<Option<(i64, i32)>, RecordError> {
        let mut end = None;
        for batch in self.batches.clone() {
            match batch {
                Ok(batch) => {
                    let header = batch.header();
                    end = Some((header.next_offset(), header.partition_leader_epoch));
                }
                Err(error) if end.is_none() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(end)
    }

    /// Reads at most `max` records from offset `from` on. A piece without records that is not
    /// blocked ends the chunk.
    pub(super) fn read(&mut self, from: i64, max: usize, reading: &Reading) -> Piece {
        let mut piece = Piece {
            next_offset: from,
            leader_epoch: -1,
            ..Piece::default()
        };
        while piece.records.len() < max {
            if let Err(blocked) = self.step(&mut piece, max, reading) {
                piece.blocked = blocked;
                break;
            }
        }
        piece
    }

    /// Reads from the open batch or opens the next one. `Err(None)` at the end.
    fn step(
        &mut self,
        piece: &mut Piece,
        max: usize,
        reading: &Reading,
    ) -> Result<(), Option<Blocked>> {
        let Some(open) = &mut self.open else {
            let batch = match self.waiting.take() {
                Some(batch) => batch,
                None => self.next_batch(piece.next_offset, reading)?,
            };
            if batch.header().next_offset() <= piece.next_offset {
                return Ok(());
            }
            return self.open(batch, piece, reading).map_err(Some);
        };
        let left = open.records.size_hint().1.unwrap_or(0);
        let room = max.saturating_sub(piece.records.len());
        piece.records.reserve(left.min(room));
        while piece.records.len() < max {
            match open.records.next() {
                Some(Ok(record)) if record.offset < piece.next_offset => {}
                Some(Ok(record)) => {
                    piece.next_offset = record.offset.saturating_add(1);
                    piece.records.push(record);
                }
                Some(Err(error)) => {
                    let offset = piece.next_offset;
                    return Err(Some(damaged(offset, &error)));
                }
                None => {
                    piece.next_offset = piece.next_offset.max(open.header.next_offset());
                    self.open = None;
                    break;
                }
            }
        }
        Ok(())
    }

    fn next_batch(&mut self, at: i64, reading: &Reading) -> Result<RecordBatch, Option<Blocked>> {
        let batch = match self.batches.next() {
            None => return Err(None),
            Some(Err(error)) => return Err(Some(damaged(at, &error))),
            Some(Ok(batch)) => batch,
        };
        if reading.check_crcs {
            let offset = batch.header().base_offset.max(at);
            batch
                .verify_crc()
                .map_err(|error| Some(damaged(offset, &error)))?;
        }
        Ok(batch)
    }

    fn open(
        &mut self,
        batch: RecordBatch,
        piece: &mut Piece,
        reading: &Reading,
    ) -> Result<(), Blocked> {
        let header = *batch.header();
        if self.passes_over(&batch, piece.next_offset)? {
            piece.next_offset = header.next_offset();
            piece.leader_epoch = header.partition_leader_epoch;
            return Ok(());
        }
        let free = reading.budget.free();
        let limits = Limits {
            max_decompressed: free,
            ..Limits::stored()
        };
        let keep = |bytes: Vec<u8>| {
            let permit = Arc::new(reading.budget.decompressed(bytes.capacity()));
            charge(bytes, &permit)
        };
        match batch.records_with(&limits, keep) {
            Ok(records) => {
                piece.leader_epoch = header.partition_leader_epoch;
                self.open = Some(Open { header, records });
                Ok(())
            }
            Err(RecordError::Compression(CompressionError::TooLarge { limit }))
                if limit == free =>
            {
                self.waiting = Some(batch);
                Err(Blocked::Budget)
            }
            Err(error) => Err(damaged(header.base_offset.max(piece.next_offset), &error)),
        }
    }

    /// Whether readers do not see the batch: it is a marker, or its transaction was aborted.
    fn passes_over(&mut self, batch: &RecordBatch, at: i64) -> Result<bool, Blocked> {
        let header = batch.header();
        while let Some(transaction) = self.aborted.front() {
            if transaction.first_offset > header.last_offset() {
                break;
            }
            self.aborting.insert(transaction.producer_id);
            self.aborted.pop_front();
        }
        if header.attributes.is_control() {
            let damaged = |error: RecordError| damaged(header.base_offset.max(at), &error);
            let mut records = batch.records(&Limits::stored()).map_err(damaged)?;
            let record = records.next().transpose().map_err(damaged)?;
            let marker = record.map(|record| EndTransactionMarker::parse(&record));
            let marker = marker.transpose().map_err(damaged)?.flatten();
            if marker.is_some_and(|marker| marker.result == TransactionResult::Abort) {
                self.aborting.remove(&header.producer_id);
            }
            return Ok(true);
        }
        Ok(header.attributes.is_transactional() && self.aborting.contains(&header.producer_id))
    }
}

fn damaged(offset: i64, error: &RecordError) -> Blocked {
    Blocked::Damaged {
        offset,
        reason: error.to_string(),
    }
}
