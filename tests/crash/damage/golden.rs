//! The directory that is damaged, the same in every run, and those that former releases have written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::record::{
    BatchBuilder, BatchOptions, EndTransactionMarker, ProducerIdentity, RecordBatch,
    TransactionResult,
};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::simulated::SimulatedDisk;
use ottla_storage::log::{Append, Log, LogIdentity, Marker};
use ottla_storage::store::{JournalOptions, OpenError, Store, StoreOptions};
use uuid::Uuid;

use crate::answers::{Answers, answers};
use crate::archive;

pub(crate) const DIR: &str = "data";
pub(crate) const TOPICS: [&str; 3] = ["orders", "payments", "shipments"];

/// How much is in it, and how it was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    Large,
}

pub(crate) fn open(disk: &SimulatedDisk, repair: bool) -> Result<Store, OpenError> {
    let options = StoreOptions {
        config: Arc::new(|_: &LogIdentity| config()),
        cluster_id: Uuid::from_u128(1),
        directory_id: Uuid::from_u128(2),
        journal: JournalOptions {
            first_file_bytes: 64 << 10,
            file_bytes: 128 << 10,
            max_files: 2,
            group_bytes: 16 << 10,
            queue_bytes: 64 << 10,
        },
        threads: false,
        repair,
    };
    Store::open(Arc::new(disk.clone()), Path::new(DIR), options)
}

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 64 << 10,
        index_interval_bytes: 4096,
        ..LogConfig::default()
    }
}

/// A directory in which records of three topics are, with producers, transactions and deleted
/// records, in two leader epochs; closed, or killed with a journal that is needed.
pub(crate) fn golden(size: Size, closed: bool) -> (SimulatedDisk, Answers) {
    let disk = SimulatedDisk::new();
    let rounds = match size {
        Size::Small => 6,
        Size::Large => 30,
    };
    for life in 0..2 {
        let store = open(&disk, false).unwrap();
        for (topic, id) in TOPICS.into_iter().zip(10..) {
            let log = store
                .log(topic, 0)
                .unwrap_or_else(|| create(&store, topic, id));
            for round in 0..rounds {
                append(&log, life * rounds + round);
            }
            log.advance_log_start(3).unwrap();
        }
        if life == 0 {
            drop(store);
            disk.kill();
        } else if closed {
            store.checkpoint().unwrap();
            store.close().unwrap();
            drop(store);
            disk.kill();
        } else {
            for topic in TOPICS {
                append(&store.log(topic, 0).unwrap(), 2 * rounds);
            }
            drop(store);
            disk.kill();
        }
    }
    let store = open(
        &disk
            .snapshot()
            .crash(ottla_storage::disk::simulated::Loss::Nothing),
        false,
    );
    let expected = answers(&store.unwrap());
    (disk, expected)
}

fn create(store: &Store, topic: &str, id: u128) -> Arc<Log> {
    let identity = LogIdentity {
        topic: topic.to_owned(),
        topic_id: Uuid::from_u128(id << 64 | id),
        partition: 0,
    };
    store.create_log(identity, config()).unwrap()
}

/// Three batches: of nobody, of an idempotent producer, of a transaction, which ends.
fn append(log: &Log, round: i32) {
    let now_ms = 1_000_000 + 10 * i64::from(round);
    let wide = usize::try_from(round % 7).unwrap();
    log.append(
        batch(ProducerIdentity::NONE, false, now_ms, 300 * wide),
        now_ms,
    )
    .unwrap();
    let identity = |producer_id, base_sequence| ProducerIdentity {
        producer_id,
        producer_epoch: 0,
        base_sequence,
    };
    log.append(
        batch(identity(7, 3 * round), false, now_ms + 1, 100),
        now_ms,
    )
    .unwrap();
    log.append(batch(identity(8, 3 * round), true, now_ms + 2, 700), now_ms)
        .unwrap();
    let result = if round % 3 == 0 {
        TransactionResult::Abort
    } else {
        TransactionResult::Commit
    };
    let marker = Marker {
        producer_id: 8,
        producer_epoch: 0,
        end: EndTransactionMarker {
            result,
            coordinator_epoch: 1,
        },
        bumps_epoch: false,
    };
    log.append_marker(marker, now_ms + 3).unwrap();
}

fn batch(producer: ProducerIdentity, transactional: bool, now_ms: i64, len: usize) -> Append {
    let options = BatchOptions {
        producer,
        transactional,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options).unwrap();
    for record in 0..3_u8 {
        let value = vec![b'a' + record; len];
        builder
            .append(now_ms, Some(b"key"), Some(&value), &[])
            .unwrap();
    }
    let bytes: Bytes = builder.build().unwrap();
    let (batch, _) = RecordBatch::parse(bytes).unwrap();
    Append {
        header: *batch.header(),
        body: batch.body(),
    }
}

/// Directories that releases have written: format version, and whether they were closed.
const WRITTEN: [(u16, bool); 2] = [(1, true), (1, false)];

fn archive_of(version: u16, closed: bool) -> PathBuf {
    let state = if closed { "closed" } else { "killed" };
    let name = format!("crash/golden/v{version}-{state}.gz");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// With `OTTLA_GOLDEN=write`, writes the archives of the present version anew.
#[test]
fn directories_of_every_format_are_opened_for_ever() {
    let write = std::env::var("OTTLA_GOLDEN").is_ok_and(|what| what == "write");
    for (version, closed) in WRITTEN {
        let path = archive_of(version, closed);
        let (disk, expected) = golden(Size::Small, closed);
        if write {
            std::fs::write(&path, archive::pack(&disk)).unwrap();
        }
        let disk = archive::unpack(&std::fs::read(&path).unwrap());
        let store = open(&disk, false).unwrap();
        assert_eq!(store.recovery_report().clean, closed);
        assert_eq!(answers(&store), expected, "{}", path.display());
        store.close().unwrap();
    }
}
