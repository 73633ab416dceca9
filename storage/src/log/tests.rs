//! Claims about a log, and batches to make them with.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::record::{Attributes, BatchHeader};
use uuid::Uuid;

use super::*;
use crate::disk::MemoryDisk;
use crate::error::OpenError;

mod append;

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
