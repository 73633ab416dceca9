//! Transactions in a log: their ends, what was aborted, and appends to several logs with one fate.

use std::io;
use std::sync::Arc;

use ottla_protocol::record::{HEADER_LEN, RecordBatch, TransactionResult};
use parking_lot::MutexGuard;

use super::append::{Decision, Staged};
use super::{Append, Appended, Change, CommitSink, Log, Writer};
use crate::error::{AppendError, ReadError};
use crate::index::AbortedTransaction;
use crate::journal::{ENTRY_HEADER_LEN, Journaled};
use crate::producer_state::{CompletedTransaction, Marker, ProducerInfo, TransactionGuard};
use crate::segment::as_u64;

/// Bytes of a marker's record, about: what it takes of the journal's room.
const MARKER_BYTES: u64 = 78;

/// Why appends cannot share one fate.
const APART: &str = "its logs do not share one journal";

/// One of several appends that share one fate.
#[derive(Debug)]
pub struct Part {
    /// The log to append to.
    pub log: Arc<Log>,
    /// What to append.
    pub change: Change,
}

impl Change {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Batch(batch, _) => as_u64(batch.header.size()),
            Self::Marker(_) => MARKER_BYTES,
        }
    }
}

/// Appends to several logs, all or nothing, also in a crash. All of them are journaled, or none.
///
/// A marker that its log does not take, because a newer epoch is known there, is left out: its
/// answer is the error. The order of the answers is that of `parts`.
///
/// # Errors
/// [`AppendError`]: nothing was appended, except after `Failed`. `Invalid` when a log is named
/// twice, when not all of them are journaled, or when a batch is a duplicate.
pub fn append_together(
    parts: Vec<Part>,
    now_ms: i64,
) -> Result<Vec<Result<Appended, AppendError>>, AppendError> {
    let Some(sink) = parts.first().map(|part| part.log.sink.get().cloned()) else {
        return Ok(Vec::new());
    };
    if parts
        .iter()
        .any(|part| part.log.is_journaled() != sink.is_some())
    {
        return Err(AppendError::Invalid(APART));
    }
    if let Some(sink) = &sink {
        let data: u64 = parts.iter().map(|part| part.change.size()).sum();
        let headers = ENTRY_HEADER_LEN * parts.len().saturating_sub(1);
        sink.admit(data.saturating_add(as_u64(headers)))?;
    }
    let mut order: Vec<(usize, Part)> = parts.into_iter().enumerate().collect();
    order.sort_by_key(|(_, part)| part.log.key());
    if order
        .array_windows()
        .any(|[(_, a), (_, b)]| a.log.key() == b.log.key())
    {
        return Err(AppendError::Invalid("a log is named twice"));
    }
    let logs: Vec<Arc<Log>> = order
        .iter()
        .map(|(_, part)| Arc::clone(&part.log))
        .collect();
    let result = append_in_order(&logs, order, sink.as_ref(), now_ms);
    if matches!(result, Err(AppendError::Failed(_))) {
        logs.iter().for_each(|log| log.tell_failure());
    }
    let mut outcomes = result?;
    match &sink {
        Some(sink) => sink.submitted(),
        None => logs.iter().try_for_each(|log| log.flush_appended())?,
    }
    outcomes.sort_by_key(|outcome| outcome.at);
    for outcome in &outcomes {
        outcome.log.notify(outcome.moved);
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.answer).collect())
}

/// What became of one part.
struct Outcome {
    at: usize,
    log: Arc<Log>,
    answer: Result<Appended, AppendError>,
    /// The high watermark, if it moved.
    moved: Option<i64>,
}

/// A part that is to be written.
struct Locked<'a> {
    at: usize,
    log: &'a Arc<Log>,
    writer: MutexGuard<'a, Writer>,
    staged: Staged,
}

fn append_in_order(
    logs: &[Arc<Log>],
    parts: Vec<(usize, Part)>,
    sink: Option<&Arc<dyn CommitSink>>,
    now_ms: i64,
) -> Result<Vec<Outcome>, AppendError> {
    let mut outcomes = Vec::with_capacity(parts.len());
    let mut locked = Vec::with_capacity(parts.len());
    for (log, (at, part)) in logs.iter().zip(parts) {
        let writer = log.writer.lock();
        // Since it was looked at without the lock, it may have joined the journal.
        if log.is_journaled() != sink.is_some() {
            return Err(AppendError::Invalid(APART));
        }
        let is_marker = matches!(part.change, Change::Marker(_));
        match log.decide(&writer, part.change, now_ms) {
            Ok(Decision::Stage(staged)) => locked.push(Locked {
                at,
                log,
                writer,
                staged,
            }),
            Ok(Decision::Duplicate(_)) => {
                return Err(AppendError::Invalid("a batch is in the log already"));
            }
            Err(error) if is_marker && error.is_fenced() => outcomes.push(Outcome {
                at,
                log: Arc::clone(log),
                answer: Err(error),
                moved: None,
            }),
            Err(error) => return Err(error),
        }
    }
    write_all(&mut locked, now_ms)?;
    let mut entries = Vec::with_capacity(locked.len());
    for part in &mut locked {
        let (appended, moved) = part.log.publish(&mut part.writer, &part.staged, now_ms);
        outcomes.push(Outcome {
            at: part.at,
            log: Arc::clone(part.log),
            answer: Ok(appended),
            moved,
        });
    }
    if let Some(sink) = sink {
        // The writers stay locked until all entries are queued: the order of a log's appends is
        // that of the journal.
        let mut writers = Vec::with_capacity(locked.len());
        for part in locked {
            entries.push(part.log.journal_entry(&part.writer, part.staged)?);
            writers.push(part.writer);
        }
        if let Err(failed) = sink.submit(entries) {
            for log in logs {
                log.mark_failed(failed.clone());
            }
            return Err(AppendError::Failed(failed));
        }
    }
    Ok(outcomes)
}

/// Writes all parts, or takes back those that were written.
fn write_all(parts: &mut [Locked<'_>], now_ms: i64) -> Result<(), AppendError> {
    let mut done = 0;
    let mut result = Ok(());
    for part in parts.iter_mut() {
        result = part.log.write(&mut part.writer, &mut part.staged, now_ms);
        if result.is_err() {
            break;
        }
        done += 1;
    }
    let Err(error) = result else {
        return Ok(());
    };
    for part in parts.iter_mut().take(done) {
        let position = part.writer.active.size();
        let cause = io::Error::other("another log refused");
        if let failed @ AppendError::Failed(_) = part.log.unwrite(&mut part.writer, position, cause)
        {
            return Err(failed);
        }
    }
    Err(error)
}

impl Log {
    /// Appends the marker that ends a producer's transaction.
    ///
    /// # Errors
    /// [`AppendError::TransactionCoordinatorFenced`] and [`AppendError::InvalidProducerEpoch`] for
    /// a marker that is stale; as an append otherwise.
    pub fn append_marker(&self, marker: Marker, now_ms: i64) -> Result<Appended, AppendError> {
        self.append_one(Change::Marker(marker), now_ms)
    }

    /// To be taken before the state of the producer's transaction is looked at.
    #[must_use]
    pub fn transaction_guard(&self, producer_id: i64, starts_at_zero: bool) -> TransactionGuard {
        let writer = self.writer.lock();
        writer.producers.guard(producer_id, starts_at_zero)
    }

    /// What is known of each producer.
    #[must_use]
    pub fn producers(&self) -> Vec<ProducerInfo> {
        self.writer.lock().producers.describe()
    }

    /// The transactions that were aborted and have records at `from` or after and below `to`, by
    /// their first offsets. For a reader of committed records, who has read that range.
    ///
    /// # Errors
    /// [`ReadError`] when an index cannot be read.
    pub fn aborted_transactions(
        &self,
        from: i64,
        to: i64,
    ) -> Result<Vec<AbortedTransaction>, ReadError> {
        let mut found = Vec::new();
        if from >= to {
            return Ok(found);
        }
        let segments = self.segments();
        let first = super::read::first_segment(&segments, from);
        for segment in segments.iter().skip(first) {
            let complete = segment
                .find_aborted(from, to, &mut found)
                .map_err(|error| self.explain(error.into(), from))?;
            if complete {
                break;
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// The entry of a transaction that was aborted.
pub(super) fn aborted(
    ended: &CompletedTransaction,
    first_unstable_offset: Option<i64>,
) -> Option<AbortedTransaction> {
    (ended.result == TransactionResult::Abort).then(|| AbortedTransaction {
        first_offset: ended.first_offset,
        producer_id: ended.producer_id,
        last_offset: ended.last_offset,
        last_stable_offset: first_unstable_offset.unwrap_or(ended.last_offset + 1),
    })
}

/// The batch of a marker.
pub(super) fn marker_batch(marker: &Marker, now_ms: i64) -> Result<Append, AppendError> {
    let bytes = marker
        .end
        .build(marker.producer_id, marker.producer_epoch, now_ms);
    debug_assert!(bytes.len() >= HEADER_LEN, "a marker is a batch");
    let invalid = |_| AppendError::Invalid("a marker cannot be built");
    let (batch, _) = RecordBatch::parse(bytes).map_err(invalid)?;
    Ok(Append {
        header: *batch.header(),
        body: batch.body(),
    })
}
