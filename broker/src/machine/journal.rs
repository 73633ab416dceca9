//! A machine's records in an internal partition: appended in batches, compacted by snapshot.
//!
//! Shell. A snapshot is a run of records between two marks; once it is durable, everything before
//! it may go. A snapshot that a crash cut short has no end mark and is passed over on load.

use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::record::{BatchBuilder, BatchOptions, Header, Limits, Record, RecordBatch};
use ottla_storage::error::{AppendError, ReadError};
use ottla_storage::log::{Append, Bound, Log};

use super::Machine;
use crate::partition::Partition;
use crate::record_codec::{EncodedRecord, RecordError};

/// The header of records that belong to a snapshot; ordinary records have none.
const SNAPSHOT: &str = "snapshot";

/// What a record is to a snapshot: the value of its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Begin,
    Record,
    End,
}

impl Mark {
    fn name(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Record => "record",
            Self::End => "end",
        }
    }

    fn named(name: &[u8]) -> Option<Self> {
        [Self::Begin, Self::Record, Self::End]
            .into_iter()
            .find(|mark| mark.name().as_bytes() == name)
    }
}

/// A record with what it is to a snapshot.
type Marked = (Option<Mark>, EncodedRecord);

/// A snapshot is cut into batches of about this many bytes.
const SNAPSHOT_BATCH_BYTES: usize = 512 * 1024;

/// Below this many bytes of log a snapshot is not worth it.
const MIN_COMPACTION_BYTES: u64 = 4 << 20;

/// The log is compacted when it has grown to this many times its last snapshot.
const COMPACTION_RATIO: u64 = 4;

/// The records of one effect have one fate, so they are one batch; it must fit a segment.
const MAX_BATCH_BYTES: usize = 48 << 20;

const TOO_LARGE: AppendError = AppendError::Invalid("the records do not fit a batch");

/// Bytes read at a time on load.
const LOAD_BYTES: usize = 1 << 20;

/// Why a machine could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The log could not be read.
    #[error("cannot read it: {0}")]
    Read(#[from] ReadError),
    /// The log holds something that is no record of this machine.
    #[error("offset {offset} is not a valid record: {reason}")]
    Record { offset: i64, reason: String },
}

pub(super) struct MachineLog<M: Machine> {
    partition: Arc<Partition>,
    new: Box<dyn Fn() -> M + Send + Sync>,
    snapshot_bytes: u64,
    since_snapshot: u64,
}

impl<M: Machine> MachineLog<M> {
    /// A log of machines that start out as `new` makes them.
    pub(super) fn new(
        partition: Arc<Partition>,
        new: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        Self {
            partition,
            new: Box::new(new),
            snapshot_bytes: 0,
            since_snapshot: 0,
        }
    }

    pub(super) fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    pub(super) fn log(&self) -> &Arc<Log> {
        self.partition.log()
    }

    /// Replays everything that was appended, or, of a log that has failed, what is durable.
    /// Returns the machine with the end of what it has seen.
    pub(super) fn load(&mut self) -> Result<(M, i64), LoadError> {
        let mut replay = Replay {
            machine: (self.new)(),
            snapshot: None,
            new: &*self.new,
            bytes: 0,
            snapshot_begin: 0,
            snapshot_end: 0,
            snapshot_bytes: 0,
        };
        let offsets = self.log().offsets();
        let (bound, end) = if self.log().failure().is_some() {
            (Bound::HighWatermark, offsets.high_watermark)
        } else {
            (Bound::LogEnd, offsets.log_end_offset)
        };
        let mut next = offsets.log_start_offset;
        while next < end {
            let read = self.log().read(next, LOAD_BYTES, true, bound)?;
            if read.records.is_empty() {
                return Err(at(next, &"it is missing"));
            }
            replay.batches(read.records)?;
            next = read.next_offset;
        }
        self.since_snapshot = replay.bytes - replay.snapshot_end;
        self.snapshot_bytes = replay.snapshot_bytes;
        Ok((replay.machine, end))
    }

    /// The records of one effect as one batch, for [`MachineLog::appended`] to count.
    pub(super) fn batch(&self, records: &[M::Record], now_ms: i64) -> Result<Append, AppendError> {
        let batch = build(
            records.iter().map(|record| Ok((None, M::encode(record)?))),
            now_ms,
        )?;
        Ok(Append {
            header: *batch.header(),
            body: batch.body(),
        })
    }

    /// A batch of this many bytes is in the log.
    pub(super) fn appended(&mut self, bytes: usize) {
        self.since_snapshot += bytes as u64;
    }

    fn append_marked(&mut self, records: Vec<Marked>, now_ms: i64) -> Result<i64, AppendError> {
        let batch = build(records.into_iter().map(Ok), now_ms)?;
        self.since_snapshot += batch.bytes().len() as u64;
        let append = Append {
            header: *batch.header(),
            body: batch.body(),
        };
        Ok(self.log().append(append, now_ms)?.last_offset + 1)
    }

    /// Whether a snapshot would make the log a good deal shorter.
    pub(super) fn wants_compaction(&self) -> bool {
        self.since_snapshot > MIN_COMPACTION_BYTES.max(self.snapshot_bytes * COMPACTION_RATIO)
    }

    /// Appends a snapshot of `machine`. Returns its first offset, before which the log may be
    /// cut once the second offset, its end, is durable.
    pub(super) fn compact(&mut self, machine: &M, now_ms: i64) -> Result<(i64, i64), AppendError> {
        self.since_snapshot = 0;
        let begin =
            self.append_marked(vec![(Some(Mark::Begin), EncodedRecord::default())], now_ms)?;
        let mut chunk = Vec::new();
        let mut bytes = 0;
        for record in machine.snapshot() {
            let record = M::encode(&record).map_err(|_| TOO_LARGE)?;
            bytes += record.key.len() + record.value.as_ref().map_or(0, Vec::len);
            chunk.push((Some(Mark::Record), record));
            if bytes > SNAPSHOT_BATCH_BYTES {
                self.append_marked(std::mem::take(&mut chunk), now_ms)?;
                bytes = 0;
            }
        }
        chunk.push((Some(Mark::End), EncodedRecord::default()));
        let end = self.append_marked(chunk, now_ms)?;
        self.snapshot_bytes = std::mem::take(&mut self.since_snapshot);
        Ok((begin - 1, end))
    }
}

/// One batch of all `records`. Takes none any more once they do not fit.
fn build(
    records: impl Iterator<Item = Result<Marked, RecordError>>,
    now_ms: i64,
) -> Result<RecordBatch, AppendError> {
    let options = BatchOptions {
        max_size: MAX_BATCH_BYTES,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options).map_err(|_| TOO_LARGE)?;
    for record in records {
        let (mark, record) = record.map_err(|_| TOO_LARGE)?;
        let header = mark.map(|mark| Header::new(SNAPSHOT, mark.name()));
        builder
            .append(
                now_ms,
                Some(&record.key),
                record.value.as_deref(),
                header.as_slice(),
            )
            .map_err(|_| TOO_LARGE)?;
    }
    let bytes = builder.build().map_err(|_| TOO_LARGE)?;
    Ok(RecordBatch::parse(bytes).map_err(|_| TOO_LARGE)?.0)
}

struct Replay<'a, M> {
    machine: M,
    snapshot: Option<M>,
    new: &'a dyn Fn() -> M,
    /// Bytes of the batches so far.
    bytes: u64,
    /// What that was where the newest snapshot began, and where the last whole one ended.
    snapshot_begin: u64,
    snapshot_end: u64,
    /// Bytes of the last whole snapshot.
    snapshot_bytes: u64,
}

impl<M: Machine> Replay<'_, M> {
    fn batches(&mut self, mut bytes: Bytes) -> Result<(), LoadError> {
        while !bytes.is_empty() {
            let (batch, rest) = RecordBatch::parse(bytes).map_err(|e| at(-1, &e))?;
            let base = batch.header().base_offset;
            self.bytes += batch.bytes().len() as u64;
            for record in batch.records(&Limits::stored()).map_err(|e| at(base, &e))? {
                let record = record.map_err(|e| at(base, &e))?;
                self.record(&record)
                    .map_err(|error| at(record.offset, &error))?;
            }
            bytes = rest;
        }
        Ok(())
    }

    fn record(&mut self, record: &Record) -> Result<(), RecordError> {
        let decode = || {
            M::decode(
                record.key.as_deref().unwrap_or_default(),
                record.value.as_deref(),
            )
        };
        let mark = record
            .header(SNAPSHOT)
            .flatten()
            .and_then(|name| Mark::named(&name));
        match mark {
            None => {
                self.snapshot = None;
                self.machine.replay(decode()?);
            }
            Some(Mark::Begin) => {
                self.snapshot = Some((self.new)());
                self.snapshot_begin = self.bytes;
            }
            Some(Mark::Record) => {
                if let Some(snapshot) = &mut self.snapshot {
                    snapshot.replay(decode()?);
                }
            }
            Some(Mark::End) => {
                if let Some(snapshot) = self.snapshot.take() {
                    self.machine = snapshot;
                    self.snapshot_bytes = self.bytes - self.snapshot_begin;
                    self.snapshot_end = self.bytes;
                }
            }
        }
        Ok(())
    }
}

fn at(offset: i64, error: &impl std::fmt::Display) -> LoadError {
    LoadError::Record {
        offset,
        reason: error.to_string(),
    }
}
