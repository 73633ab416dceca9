//! The hot paths, each alone: for the clock (`benches/paths.rs`) and for counting instructions
//! (`bin/instructions.rs`).

use std::fmt;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::message::{
    FetchResponse, FetchableTopicResponse, PartitionData, PartitionProduceData, ProduceRequest,
    Response, TopicProduceData,
};
use ottla_protocol::record::{BatchBuilder, BatchOptions, Compression, Rules, validate};
use ottla_protocol::{decode_request, encode_request, encode_response};
use ottla_storage::config::LogConfig;
use ottla_storage::disk::{Disk, MemoryDisk};
use ottla_storage::log::{Append, Bound, Log, LogIdentity};
use ottla_storage::store::{JournalOptions, Store, StoreOptions};
use uuid::Uuid;

/// A path that can be run again and again.
#[derive(Clone, Copy)]
pub struct Path {
    /// What it is called.
    pub name: &'static str,
    /// Makes ready what it needs, and answers one run of it.
    pub prepare: fn() -> Box<dyn FnMut()>,
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const fn path(name: &'static str, prepare: fn() -> Box<dyn FnMut()>) -> Path {
    Path { name, prepare }
}

/// All of them.
pub const PATHS: &[Path] = &[
    path("build a batch of 150 records of 100 B", build),
    path("build a batch of 150 records of 100 B, lz4", build_lz4),
    path("decode Produce, 16 KiB", decode_produce),
    path("encode an answer to Fetch, 16 KiB", encode_fetch),
    path("CRC of 16 KiB", crc),
    path("validate a batch of 150 records of 100 B", validate_plain),
    path(
        "validate a batch of 150 records of 100 B, lz4",
        validate_lz4,
    ),
    path("append 16 KiB to a log in memory", append),
    path(
        "append 16 KiB through the journal, in memory",
        append_journaled,
    ),
    path(
        "append 16 KiB to each of 100 logs through the journal, in memory",
        append_many,
    ),
    path("read 16 KiB from the middle of a log", read),
    path("open a directory of 50 logs after a kill", recover),
];

/// 2024-01-01, so that every run builds the same bytes.
const NOW_MS: i64 = 1_704_067_200_000;

fn batch(compression: Compression) -> Bytes {
    let options = BatchOptions {
        compression,
        max_size: 64 << 10,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options)
        .unwrap_or_else(|error| panic!("a codec that is built in: {error}"));
    for number in 0..150_u8 {
        builder
            .append(NOW_MS, None, Some(&[number; 100]), &[])
            .unwrap_or_else(|error| panic!("a record that fits: {error}"));
    }
    builder
        .build()
        .unwrap_or_else(|error| panic!("a batch that fits: {error}"))
}

fn build() -> Box<dyn FnMut()> {
    Box::new(|| drop(std::hint::black_box(batch(Compression::None))))
}

fn build_lz4() -> Box<dyn FnMut()> {
    Box::new(|| drop(std::hint::black_box(batch(Compression::Lz4))))
}

fn produce_frame() -> Bytes {
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData {
            name: "topic".into(),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(batch(Compression::None)),
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let frame = encode_request(&request.into(), 9, 1, Some(&"client".into()));
    let mut bytes = frame
        .unwrap_or_else(|error| panic!("a request: {error}"))
        .into_bytes();
    bytes.split_off(4)
}

fn decode_produce() -> Box<dyn FnMut()> {
    let frame = produce_frame();
    Box::new(move || {
        assert!(std::hint::black_box(decode_request(frame.clone())).is_ok());
    })
}

fn encode_fetch() -> Box<dyn FnMut()> {
    let records = batch(Compression::None);
    Box::new(move || {
        let response = Response::Fetch(FetchResponse {
            responses: vec![FetchableTopicResponse {
                topic: "topic".into(),
                partitions: vec![PartitionData {
                    records: Some(records.clone()),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        });
        assert!(std::hint::black_box(encode_response(&response, 12, 1)).is_ok());
    })
}

fn crc() -> Box<dyn FnMut()> {
    let bytes = batch(Compression::None);
    Box::new(move || {
        std::hint::black_box(crc32c::crc32c(&bytes));
    })
}

fn validated(records: Bytes) -> Box<dyn FnMut()> {
    let rules = Rules::default();
    Box::new(move || {
        assert!(std::hint::black_box(validate(&records, &rules, NOW_MS)).is_ok());
    })
}

fn validate_plain() -> Box<dyn FnMut()> {
    validated(batch(Compression::None))
}

fn validate_lz4() -> Box<dyn FnMut()> {
    validated(batch(Compression::Lz4))
}

fn open(disk: &MemoryDisk) -> Store {
    let options = StoreOptions {
        config: Arc::new(|_| LogConfig::default()),
        cluster_id: Uuid::from_u128(1),
        directory_id: Uuid::from_u128(2),
        journal: JournalOptions {
            first_file_bytes: 1 << 20,
            file_bytes: 8 << 20,
            ..JournalOptions::default()
        },
        threads: false,
        repair: false,
    };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Store::open(disk, FilePath::new("/"), options)
        .unwrap_or_else(|error| panic!("a store in memory: {error}"))
}

fn create(store: &Store, partition: i32) -> Arc<Log> {
    let identity = LogIdentity {
        topic: "topic".to_owned(),
        topic_id: Uuid::from_u128(3),
        partition,
    };
    let config = LogConfig::default();
    store
        .create_log(identity, config)
        .unwrap_or_else(|error| panic!("a log in memory: {error}"))
}

fn to_append() -> Append {
    let records = batch(Compression::None);
    let valid = validate(&records, &Rules::default(), NOW_MS);
    let valid = valid.unwrap_or_else(|rejection| panic!("a good batch: {}", rejection.message));
    Append {
        header: valid.head(0, 0),
        body: valid.batch.body(),
    }
}

/// Appends, and gives memory back now and then.
fn append_to(log: &Log, batch: &Append) {
    let appended = log.append(batch.clone(), NOW_MS);
    let appended = appended.unwrap_or_else(|error| panic!("room in memory: {error}"));
    if appended.base_offset > 0 && appended.base_offset % 150_000 == 0 {
        let cut = log.roll().is_ok() && log.advance_log_start(appended.base_offset).is_ok();
        assert!(cut, "a log in memory can be cut");
    }
}

fn append() -> Box<dyn FnMut()> {
    let store = open(&MemoryDisk::new());
    let (log, batch) = (create(&store, 0), to_append());
    Box::new(move || {
        let _open = &store;
        append_to(&log, &batch);
    })
}

fn append_journaled() -> Box<dyn FnMut()> {
    let store = open(&MemoryDisk::durable());
    let (log, batch) = (create(&store, 0), to_append());
    Box::new(move || {
        let _open = &store;
        append_to(&log, &batch);
    })
}

fn append_many() -> Box<dyn FnMut()> {
    let store = open(&MemoryDisk::durable());
    let logs: Vec<_> = (0..100)
        .map(|partition| create(&store, partition))
        .collect();
    let batch = to_append();
    Box::new(move || {
        let _open = &store;
        for log in &logs {
            append_to(log, &batch);
        }
    })
}

fn read() -> Box<dyn FnMut()> {
    let store = open(&MemoryDisk::new());
    let (log, batch) = (create(&store, 0), to_append());
    for _ in 0..200 {
        append_to(&log, &batch);
    }
    Box::new(move || {
        let _open = &store;
        let read = log.read(15_000, 16 << 10, true, Bound::HighWatermark);
        assert!(read.is_ok_and(|read| !read.records.is_empty()));
    })
}

fn recover() -> Box<dyn FnMut()> {
    let disk = MemoryDisk::durable();
    let store = open(&disk);
    let batch = to_append();
    for partition in 0..50 {
        append_to(&create(&store, partition), &batch);
    }
    drop(store);
    Box::new(move || drop(open(&disk)))
}
