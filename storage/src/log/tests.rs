//! Claims about a log, and batches to make them with.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::record::{Attributes, BatchHeader};
use parking_lot::Mutex;
use uuid::Uuid;

use super::*;
use crate::disk::{MemoryDisk, OpenMode};
use crate::error::OpenError;

mod append;
mod change;
mod commit;
mod compaction;
mod model;
mod recover;
mod timestamp;
mod transaction;

/// What a batch is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    pub(super) records: i32,
    pub(super) body: usize,
    pub(super) timestamp: i64,
    pub(super) producer: Option<(i64, i16, i32)>,
}

impl Spec {
    pub(super) fn plain(records: i32, body: usize) -> Self {
        Self {
            records,
            body,
            timestamp: 1_000,
            producer: None,
        }
    }

    pub(super) fn batch(self) -> Append {
        let (producer_id, producer_epoch, base_sequence) = self.producer.unwrap_or((-1, -1, -1));
        let fill = u8::try_from(self.body % 251).unwrap();
        let body = Bytes::from(vec![fill; self.body]);
        let mut header = BatchHeader {
            base_offset: 0,
            batch_length: i32::try_from(self.body).unwrap() + 49,
            partition_leader_epoch: -1,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: self.records - 1,
            base_timestamp: self.timestamp,
            max_timestamp: self.timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            record_count: self.records,
        };
        header.crc = header.compute_crc(&body);
        Append { header, body }
    }
}

/// A journal that commits nothing by itself.
#[derive(Default)]
pub(super) struct HeldSink {
    pub(super) entries: Mutex<Vec<JournalEntry>>,
    pub(super) broken: Mutex<bool>,
}

impl CommitSink for HeldSink {
    fn admit(&self, _bytes: u64) -> Result<(), AppendError> {
        Ok(())
    }

    fn submitted(&self) {}

    fn submit(&self, entries: Vec<JournalEntry>) -> Result<(), Failed> {
        if *self.broken.lock() {
            return Err(Failed::new("the journal is broken"));
        }
        self.entries.lock().extend(entries);
        Ok(())
    }
}

pub(super) fn identity() -> LogIdentity {
    LogIdentity {
        topic: "topic".to_owned(),
        topic_id: Uuid::from_u128(7),
        partition: 0,
    }
}

pub(super) fn dir() -> PathBuf {
    PathBuf::from("/data/topic-0")
}

pub(super) fn small_segments() -> LogConfig {
    LogConfig {
        segment_bytes: 1_000,
        index_interval_bytes: 200,
        ..LogConfig::default()
    }
}

pub(super) fn try_open(
    disk: &MemoryDisk,
    config: LogConfig,
    tail: Tail,
) -> Result<Arc<Log>, OpenError> {
    Log::open(
        Arc::new(disk.clone()),
        &dir(),
        identity(),
        config,
        1,
        None,
        tail,
    )
}

pub(super) fn open(disk: &MemoryDisk, config: LogConfig, tail: Tail) -> Arc<Log> {
    try_open(disk, config, tail).unwrap()
}

/// The offsets of the batches between two offsets, read with this limit.
pub(super) fn read_all(log: &Log, max_bytes: usize) -> Vec<(i64, i64)> {
    let mut from = log.offsets().log_start_offset;
    let mut batches = Vec::new();
    loop {
        let read = log.read(from, max_bytes, true, Bound::LogEnd).unwrap();
        if read.records.is_empty() {
            assert_eq!(from, log.offsets().log_end_offset);
            return batches;
        }
        let mut rest = &read.records[..];
        while !rest.is_empty() {
            let header = BatchHeader::decode(rest).unwrap();
            header.verify_crc(rest).unwrap();
            batches.push((header.base_offset, header.last_offset()));
            rest = &rest[header.size()..];
        }
        assert!(read.next_offset > from);
        from = read.next_offset;
    }
}

/// The file of this name in the log's directory.
pub(super) fn file(disk: &MemoryDisk, name: &str) -> Arc<dyn DiskFile> {
    disk.open(&dir().join(name), OpenMode::Existing).unwrap()
}

/// The files of the log with their bytes.
pub(super) fn files(disk: &MemoryDisk) -> BTreeMap<String, Vec<u8>> {
    let entries = disk.list(&dir()).unwrap();
    entries
        .into_iter()
        .map(|entry| {
            let file = file(disk, &entry.name);
            let len = usize::try_from(file.size().unwrap()).unwrap();
            (entry.name, file.read_at(0, len).unwrap().to_vec())
        })
        .collect()
}

/// A disk that holds these files of the log.
pub(super) fn disk_of(files: &BTreeMap<String, Vec<u8>>) -> MemoryDisk {
    let disk = MemoryDisk::durable();
    disk.create_dir(&dir()).unwrap();
    for (name, bytes) in files {
        let file = disk.open(&dir().join(name), OpenMode::New).unwrap();
        file.write_at(0, &[IoSlice::new(bytes)]).unwrap();
    }
    disk
}
