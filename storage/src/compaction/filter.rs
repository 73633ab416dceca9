//! What compaction makes of one batch.
//!
//! Pure. KIP-534 for tombstones and markers: the first compaction that finds nothing but them
//! notes until when they stay, and one after that time drops them.

use bytes::Bytes;
use ottla_protocol::record::{
    BatchHeader, EndTransactionMarker, Limits, RecordBatch, RecordError, Records,
};

use super::offset_map::{KeyHash, OffsetMap};
use super::transactions::{MarkerUse, Transactions};
use crate::index::AbortedTransaction;

/// What holds for all batches of one pass over a log.
pub(crate) struct Pass<'a> {
    /// The newest offsets of the keys below `mapped_end`.
    pub(crate) map: &'a OffsetMap,
    /// Records from here on stay: newer ones were not looked for.
    pub(crate) mapped_end: i64,
    /// When the pass began, in milliseconds.
    pub(crate) now_ms: i64,
    /// `delete.retention.ms`.
    pub(crate) delete_retention_ms: i64,
    /// Whether a batch is the newest of a producer that is not forgotten: what it says of the
    /// producer stays.
    pub(crate) is_newest: &'a dyn Fn(&BatchHeader) -> bool,
}

/// What becomes of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It stays as it is.
    Keep,
    /// Some of it stays.
    Replace(Bytes),
    /// None of its records stay.
    Drop,
}

/// What becomes of a batch, and what its marker adds to the index of aborted transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filtered {
    pub(crate) outcome: Outcome,
    pub(crate) aborted: Option<AbortedTransaction>,
}

impl Pass<'_> {
    /// Decides about a batch with an intact CRC.
    ///
    /// # Errors
    /// [`RecordError`] when its records cannot be read.
    pub(crate) fn filter(
        &self,
        batch: &RecordBatch,
        transactions: &mut Transactions,
    ) -> Result<Filtered, RecordError> {
        let header = batch.header();
        if header.attributes.is_control() {
            return self.filter_marker(batch, transactions);
        }
        transactions.see(header);
        let outcome = if header.record_count == 0 || transactions.is_aborted(header) {
            self.empty(batch)?
        } else if header.base_offset >= self.mapped_end {
            Outcome::Keep
        } else {
            self.filter_data(batch)?
        };
        Ok(Filtered {
            outcome,
            aborted: None,
        })
    }

    fn filter_marker(
        &self,
        batch: &RecordBatch,
        transactions: &mut Transactions,
    ) -> Result<Filtered, RecordError> {
        let header = batch.header();
        let records = batch.records(&Limits::stored())?;
        let record = records.clone().next().transpose()?;
        let marker = match &record {
            Some(record) => EndTransactionMarker::parse(record)?,
            None => None,
        };
        let (outcome, aborted) = match (&record, marker) {
            // Of another kind, which is not ours to judge.
            (Some(_), None) => (Outcome::Keep, None),
            _ => match transactions.end(header, marker.map(|marker| marker.result)) {
                MarkerUse::Needed(aborted) => (Outcome::Keep, aborted),
                MarkerUse::Unneeded if record.is_none() => (Outcome::Drop, None),
                MarkerUse::Unneeded if self.is_past(header) => {
                    let outcome = if (self.is_newest)(header) {
                        Outcome::Keep
                    } else {
                        Outcome::Drop
                    };
                    (outcome, None)
                }
                MarkerUse::Unneeded => (self.note_horizon(batch, &records, &[true])?, None),
            },
        };
        Ok(Filtered { outcome, aborted })
    }

    /// No record stays, and the batch itself only for what it says of its producer.
    fn empty(&self, batch: &RecordBatch) -> Result<Outcome, RecordError> {
        let header = batch.header();
        if !header.has_producer_id() || !(self.is_newest)(header) {
            return Ok(Outcome::Drop);
        }
        if header.record_count == 0 {
            return Ok(Outcome::Keep);
        }
        let records = batch.records(&Limits::stored())?;
        Ok(Outcome::Replace(batch.retaining(&records, &[], None)?))
    }

    fn filter_data(&self, batch: &RecordBatch) -> Result<Outcome, RecordError> {
        let header = batch.header();
        let records = batch.records(&Limits::stored())?;
        let mut keep = Vec::new();
        let mut tombstones = false;
        for record in records.clone() {
            let record = record?;
            let stays = record.offset >= self.mapped_end
                || match &record.key {
                    // One of before the topic was compacted.
                    None => false,
                    Some(key) => {
                        let newest = self.map.get(KeyHash::of(key)).unwrap_or(-1);
                        record.offset >= newest && (record.value.is_some() || !self.is_past(header))
                    }
                };
            tombstones |= stays && record.value.is_none();
            keep.push(stays);
        }
        if !keep.contains(&true) {
            self.empty(batch)
        } else if tombstones {
            self.note_horizon(batch, &records, &keep)
        } else if keep.contains(&false) {
            Ok(Outcome::Replace(batch.retaining(&records, &keep, None)?))
        } else {
            Ok(Outcome::Keep)
        }
    }

    /// What stays, with a horizon if it has none yet.
    fn note_horizon(
        &self,
        batch: &RecordBatch,
        records: &Records,
        keep: &[bool],
    ) -> Result<Outcome, RecordError> {
        let horizon = match batch.header().delete_horizon() {
            Some(_) if !keep.contains(&false) => return Ok(Outcome::Keep),
            Some(_) => None,
            None => Some(self.now_ms.saturating_add(self.delete_retention_ms)),
        };
        Ok(Outcome::Replace(batch.retaining(records, keep, horizon)?))
    }

    /// Whether tombstones and markers of this batch have been there for long enough.
    fn is_past(&self, header: &BatchHeader) -> bool {
        header
            .delete_horizon()
            .is_some_and(|horizon| horizon <= self.now_ms)
    }
}
