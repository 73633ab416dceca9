//! Compacts a log step by step, so that whoever calls decides on which thread and how fast.
//!
//! Shell. A pass reads the dirty part and notes the newest offset of each key, then writes what is
//! left of all segments up to there. Where the keys do not fit the memory, there are more passes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use ottla_protocol::record::{BatchHeader, RecordBatch, RecordError};

use crate::compaction::filter::{Outcome, Pass};
use crate::compaction::offset_map::{Full, KeyHash, OffsetMap};
use crate::compaction::transactions::Transactions;
use crate::compaction::{Cleanable, group};
use crate::config::{Compaction, LogConfig};
use crate::error::{ChangeError, ReadError};
use crate::log::{Log, LogIdentity};
use crate::segment::{ScanError, Scanner, Segment, SegmentOutput, as_u64};

/// What one step has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Bytes read and written.
    pub bytes: u64,
    /// What to do next.
    pub next: Next,
}

/// What to do after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Take another one.
    GoOn,
    /// Take another one when the appends that are under way are durable.
    Wait,
    /// The log is compacted.
    Finished,
}

/// What a compaction has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CleaningReport {
    /// Passes over the log.
    pub passes: u32,
    /// Bytes of the segments that were replaced.
    pub bytes_before: u64,
    /// Bytes of those that replaced them.
    pub bytes_after: u64,
}

/// The compaction of one log. Dropping it leaves the log as it is; a later one begins anew.
pub struct Cleaning {
    log: Arc<Log>,
    compaction: Compaction,
    now_ms: i64,
    /// The part whose keys are still to be looked at.
    dirty: std::ops::Range<i64>,
    map: OffsetMap,
    stage: Stage,
    report: CleaningReport,
}

enum Stage {
    /// Nothing was done of the next pass.
    Begin,
    /// Keys are being noted.
    Map {
        source: Batches,
        transactions: Transactions,
    },
    /// What is left is being written.
    Rewrite {
        /// Keys of records from here on were not noted.
        mapped_end: i64,
        transactions: Transactions,
        groups: VecDeque<Vec<Arc<Segment>>>,
        current: Option<Box<Rewrite>>,
    },
}

/// A run of segments that becomes one.
struct Rewrite {
    segments: Vec<Arc<Segment>>,
    source: Batches,
    output: Option<SegmentOutput>,
    is_changed: bool,
    is_written: bool,
}

impl fmt::Debug for Cleaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cleaning")
            .field("log", &self.log)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl Drop for Cleaning {
    fn drop(&mut self) {
        // An output that was not finished goes first.
        self.stage = Stage::Begin;
        self.log.end_cleaning();
    }
}

impl Cleaning {
    /// Begins to compact a log at time `now_ms` in at most `most_bytes` for its keys; `None` when
    /// that is under way already. What is `cleanable` must be durable without the journal.
    pub(crate) fn begin(
        log: Arc<Log>,
        cleanable: Cleanable,
        most_bytes: usize,
        now_ms: i64,
    ) -> Option<Self> {
        let LogConfig { compaction, .. } = &*log.config();
        let compaction = compaction.clone()?;
        if !log.begin_cleaning() {
            return None;
        }
        let dirty = cleanable.first_dirty..cleanable.end;
        let records = u64::try_from(dirty.end - dirty.start).unwrap_or(0);
        Some(Self {
            log,
            compaction,
            now_ms,
            dirty,
            map: OffsetMap::new(records, most_bytes),
            stage: Stage::Begin,
            report: CleaningReport::default(),
        })
    }

    /// Whose log it is.
    #[must_use]
    pub fn identity(&self) -> &LogIdentity {
        self.log.identity()
    }

    /// What was done so far.
    #[must_use]
    pub fn report(&self) -> CleaningReport {
        self.report
    }

    /// Reads and writes about `most_bytes`.
    ///
    /// # Errors
    /// [`ChangeError`]: the log serves what it did; drop this. A log with damaged records is not
    /// compacted again before the next start.
    pub fn step(&mut self, most_bytes: u64) -> Result<Step, ChangeError> {
        let mut bytes = 0;
        loop {
            match self.advance() {
                Ok((done, Next::GoOn)) => bytes += done,
                Ok((done, next)) => {
                    bytes += done;
                    return Ok(Step { bytes, next });
                }
                Err(error) => {
                    self.log.cleaning_failed(&error);
                    return Err(error);
                }
            }
            if bytes >= most_bytes {
                let next = Next::GoOn;
                return Ok(Step { bytes, next });
            }
        }
    }

    /// Does as little as possible.
    fn advance(&mut self) -> Result<(u64, Next), ChangeError> {
        match &mut self.stage {
            Stage::Begin => self.begin_pass(),
            Stage::Map { .. } => self.map_batch(),
            Stage::Rewrite { current: None, .. } => self.begin_group(),
            Stage::Rewrite {
                current: Some(current),
                ..
            } if current.is_written => self.replace(),
            Stage::Rewrite { .. } => self.rewrite_batch(),
        }
    }

    fn begin_pass(&mut self) -> Result<(u64, Next), ChangeError> {
        if self.dirty.is_empty() {
            return Ok((0, Next::Finished));
        }
        let segments = self.log.segments_below(self.dirty.end);
        let start = segments.first().map_or(0, |first| first.base_offset());
        let aborted = self.log.aborted_transactions(start, self.dirty.end)?;
        let dirty = segments
            .into_iter()
            .filter(|segment| segment.next_offset() > self.dirty.start);
        self.map.clear();
        self.report.passes += 1;
        self.stage = Stage::Map {
            source: Batches::new(dirty.collect()),
            transactions: Transactions::new(aborted),
        };
        Ok((0, Next::GoOn))
    }

    fn map_batch(&mut self) -> Result<(u64, Next), ChangeError> {
        let Stage::Map {
            source,
            transactions,
        } = &mut self.stage
        else {
            return Ok((0, Next::GoOn));
        };
        let mut mapped_end = None;
        let mut bytes = 0;
        match source.next()? {
            None => mapped_end = Some(self.dirty.end),
            Some((segment, batch)) => {
                let header = batch.header();
                bytes = as_u64(header.size());
                if is_data(header) && !transactions.is_aborted(header) {
                    mapped_end = note_keys(&mut self.map, &batch, self.dirty.start)
                        .map_err(|error| segment.damaged(header, &error))?;
                }
            }
        }
        if let Some(mapped_end) = mapped_end {
            let transactions = std::mem::take(transactions);
            self.begin_rewrite(mapped_end, transactions);
        }
        Ok((bytes, Next::GoOn))
    }

    fn begin_rewrite(&mut self, mapped_end: i64, transactions: Transactions) {
        let segments = self.log.segments_below(mapped_end);
        let sizes: Vec<_> = segments
            .iter()
            .map(|segment| (segment.base_offset(), segment.next_offset(), segment.size()))
            .collect();
        let groups = group(&sizes, self.log.config().segment_bytes)
            .into_iter()
            .filter_map(|range| Some(segments.get(range)?.to_vec()))
            .collect();
        self.stage = Stage::Rewrite {
            mapped_end,
            transactions,
            groups,
            current: None,
        };
    }

    fn begin_group(&mut self) -> Result<(u64, Next), ChangeError> {
        let Stage::Rewrite {
            mapped_end,
            groups,
            current,
            ..
        } = &mut self.stage
        else {
            return Ok((0, Next::GoOn));
        };
        let Some(segments) = groups.pop_front() else {
            let cleaned = *mapped_end;
            self.log.cleaned_to(cleaned)?;
            self.dirty.start = cleaned;
            self.stage = Stage::Begin;
            return Ok((0, Next::GoOn));
        };
        let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
            return Ok((0, Next::GoOn));
        };
        let output = self
            .log
            .begin_output(first.base_offset(), last.next_offset())?;
        *current = Some(Box::new(Rewrite {
            source: Batches::new(segments.clone()),
            is_changed: segments.len() > 1,
            segments,
            output: Some(output),
            is_written: false,
        }));
        Ok((0, Next::GoOn))
    }

    fn rewrite_batch(&mut self) -> Result<(u64, Next), ChangeError> {
        let Stage::Rewrite {
            mapped_end,
            transactions,
            current: Some(current),
            ..
        } = &mut self.stage
        else {
            return Ok((0, Next::GoOn));
        };
        let Some(output) = &mut current.output else {
            return Err(ChangeError::Superseded);
        };
        let Some((segment, batch)) = current.source.next()? else {
            let written = output.finish()?;
            let before: u64 = current.segments.iter().map(|segment| segment.size()).sum();
            current.is_changed |= output.size() != before;
            current.is_written = true;
            return Ok((written, Next::GoOn));
        };
        let log = &self.log;
        let pass = Pass {
            map: &self.map,
            mapped_end: *mapped_end,
            now_ms: self.now_ms,
            delete_retention_ms: i64::try_from(self.compaction.delete_retention.as_millis())
                .unwrap_or(i64::MAX),
            is_newest: &|header: &BatchHeader| log.is_newest_of_producer(header),
        };
        let header = *batch.header();
        let filtered = pass
            .filter(&batch, transactions)
            .map_err(|error| segment.damaged(&header, &error))?;
        if let Some(aborted) = filtered.aborted {
            output.add_aborted(aborted);
        }
        let written = match filtered.outcome {
            Outcome::Keep => output.keep(&header, batch.bytes().clone())?,
            Outcome::Replace(bytes) => {
                current.is_changed = true;
                let replaced = BatchHeader::decode(&bytes)
                    .map_err(|error| segment.damaged(&header, &error.into()))?;
                output.keep(&replaced, bytes)?
            }
            Outcome::Drop => {
                output.leave_out(&header);
                0
            }
        };
        Ok((as_u64(header.size()) + written, Next::GoOn))
    }

    fn replace(&mut self) -> Result<(u64, Next), ChangeError> {
        let Stage::Rewrite { current, .. } = &mut self.stage else {
            return Ok((0, Next::GoOn));
        };
        let Some(mut done) = current.take() else {
            return Ok((0, Next::GoOn));
        };
        let after = done.output.as_ref().map_or(0, SegmentOutput::size);
        let before: u64 = done.segments.iter().map(|segment| segment.size()).sum();
        if let Some(output) = done.output.take_if(|_| done.is_changed) {
            done.output = self.log.replace_segments(&done.segments, output)?;
            if done.output.is_some() {
                *current = Some(done);
                return Ok((0, Next::Wait));
            }
        }
        self.report.bytes_before += before;
        self.report.bytes_after += after;
        Ok((0, Next::GoOn))
    }
}

fn is_data(header: &BatchHeader) -> bool {
    !header.attributes.is_control() && header.record_count > 0
}

/// Notes the keys of records from offset `from` on. Answers the offset of the first one that did
/// not fit.
fn note_keys(
    map: &mut OffsetMap,
    batch: &RecordBatch,
    from: i64,
) -> Result<Option<i64>, RecordError> {
    if batch.header().last_offset() < from {
        return Ok(None);
    }
    for record in batch.records(&ottla_protocol::record::Limits::stored())? {
        let record = record?;
        let Some(key) = record.key.as_ref().filter(|_| record.offset >= from) else {
            continue;
        };
        if map.put(KeyHash::of(key), record.offset) == Err(Full) {
            return Ok(Some(record.offset));
        }
    }
    Ok(None)
}

/// The batches of some segments, each with an intact CRC.
struct Batches {
    segments: VecDeque<Arc<Segment>>,
    scanner: Option<Scanner>,
}

impl Batches {
    fn new(segments: Vec<Arc<Segment>>) -> Self {
        Self {
            segments: segments.into(),
            scanner: None,
        }
    }

    fn next(&mut self) -> Result<Option<(Arc<Segment>, RecordBatch)>, ReadError> {
        loop {
            let Some(segment) = self.segments.front() else {
                return Ok(None);
            };
            let scanner = match &mut self.scanner {
                Some(scanner) => scanner,
                none => none.insert(segment.whole_scanner()?),
            };
            let next = scanner.next_batch();
            let Some(found) = next.map_err(|error| segment.corrupt(error))? else {
                // So many are read that they would not all stay open.
                segment.release();
                self.scanner = None;
                self.segments.pop_front();
                continue;
            };
            let bytes = scanner
                .verify(&found)
                .and_then(|()| scanner.read(&found))
                .map_err(|error| segment.corrupt(error))?;
            let (batch, _) = RecordBatch::parse(bytes)
                .map_err(|error| segment.corrupt(ScanError::invalid(found.position, error)))?;
            return Ok(Some((Arc::clone(segment), batch)));
        }
    }
}
