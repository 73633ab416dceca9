//! A store on a simulated disk, the work that is done with it, and the ledger of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::record::{Attributes, BatchHeader};
use ottla_storage::config::{Durability, LogConfig};
use ottla_storage::disk::simulated::{Loss, SimulatedDisk};
use ottla_storage::error::Failed;
use ottla_storage::log::{Append, Log, LogIdentity, LogListener};
use ottla_storage::store::{JournalOptions, OpenError, Store, StoreOptions};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::ledger::{CACHED, Ledger, Topic, index};

const DIR: &str = "data";
const TOPICS: [&str; 5] = ["a", "b", "c", "d", CACHED];
/// `flush.ms` of the topic that bypasses the journal.
const FLUSH_MS: u64 = 1000;

fn config(topic: &str) -> LogConfig {
    let page_cache = Durability::PageCache {
        messages: u64::MAX,
        interval: Some(Duration::from_millis(FLUSH_MS)),
    };
    LogConfig {
        segment_bytes: 4096,
        durability: if topic.starts_with(CACHED) {
            page_cache
        } else {
            Durability::Journal
        },
        ..LogConfig::default()
    }
}

/// Opens the store of the tests. Everything happens in the caller's thread.
pub(crate) fn open(disk: &SimulatedDisk) -> Result<Store, OpenError> {
    let options = StoreOptions {
        config: Arc::new(|identity: &LogIdentity| config(&identity.topic)),
        cluster_id: Uuid::from_u128(1),
        directory_id: Uuid::from_u128(2),
        journal: JournalOptions {
            first_file_bytes: 16 << 10,
            file_bytes: 32 << 10,
            max_files: 3,
            group_bytes: 16 << 10,
            queue_bytes: 64 << 10,
        },
        threads: false,
        repair: false,
    };
    Store::open(Arc::new(disk.clone()), Path::new(DIR), options)
}

/// The body of a record as a log sees it: it looks at the head only.
fn batch(body: Bytes) -> Append {
    let mut header = BatchHeader {
        base_offset: 0,
        batch_length: i32::try_from(body.len() + 49).expect("a length"),
        partition_leader_epoch: -1,
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: 0,
        base_timestamp: 1,
        max_timestamp: 1,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: 1,
    };
    header.crc = header.compute_crc(&body);
    Append { header, body }
}

/// See the module.
pub(crate) struct World {
    pub(crate) disk: SimulatedDisk,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    next_id: u128,
    next_body: usize,
    now_ms: i64,
}

/// Notes acknowledgements, and makes the next group of the journal a larger one when told to.
struct Witness {
    topic: &'static str,
    ledger: Arc<Mutex<Ledger>>,
    /// Appended from within a commit: they wait for the next group and share it.
    burst: Mutex<Vec<(Arc<Log>, Bytes)>>,
}

impl LogListener for Witness {
    fn high_watermark_moved(&self, high_watermark: i64) {
        if let Some(topic) = self.ledger.lock().topics.get_mut(self.topic) {
            topic.acknowledged = topic.acknowledged.max(high_watermark);
            if !self.topic.starts_with(CACHED) {
                topic.durable = topic.acknowledged;
            }
        }
        let burst = std::mem::take(&mut *self.burst.lock());
        for (log, body) in burst {
            append(&self.ledger, &log, body);
        }
    }

    fn failed(&self, _: &Failed) {}
}

/// Appends a record; on failure the ledger forgets it unless it is in the log all the same.
fn append(ledger: &Mutex<Ledger>, log: &Log, body: Bytes) {
    let name = &log.identity().topic;
    let before = log.offsets().log_end_offset;
    match ledger.lock().topics.get_mut(name) {
        Some(topic) => {
            topic.sent.truncate(index(before));
            topic.sent.push(body.clone());
        }
        None => return,
    }
    let appended = log.append(batch(body), 0);
    if appended.is_err()
        && log.offsets().log_end_offset == before
        && let Some(topic) = ledger.lock().topics.get_mut(name)
    {
        // What failed without a trace may be repeated with other bytes.
        if log.failure().is_none() {
            topic.sent.truncate(index(before));
        }
    }
}

impl World {
    /// A new store with its topics; without a store when the disk refuses.
    pub(crate) fn new(disk: SimulatedDisk, ledger: Arc<Mutex<Ledger>>) -> Self {
        let next_id = ledger.lock().newest_id();
        let mut world = Self {
            disk,
            store: None,
            ledger,
            next_id,
            next_body: 0,
            now_ms: 0,
        };
        world.reopen();
        for topic in TOPICS {
            world.create(topic);
        }
        world
    }

    /// Everything that a store is used for, stopped in every way.
    pub(crate) fn work(&mut self, rounds: usize) {
        for round in 0..rounds {
            for step in 0..14 {
                let topic = TOPICS[(step * 3 + round) % TOPICS.len()];
                self.append(topic, [60, 700, 1500, 20][step % 4]);
            }
            self.burst("a", &["b", "c", "b"]);
            self.roll("b");
            self.advance_start("a");
            self.append("a", 100);
            self.checkpoint();
            self.append("c", 300);
            self.delete("c");
            self.append("d", 2500);
            self.create("c");
            self.burst("c", &["a", "d"]);
            self.tick();
            self.append(CACHED, 900);
            match round % 3 {
                0 => {
                    self.store = None;
                    self.disk.kill();
                }
                1 => self.close(),
                _ => {
                    self.disk.lose_power(Loss::Everything);
                    self.ledger.lock().power_lost();
                    self.store = None;
                }
            }
            self.reopen();
        }
        self.append("a", 10);
        self.close();
    }

    /// Appends to every log; each must take it and make it durable.
    pub(crate) fn use_all(&mut self) -> Result<(), String> {
        for topic in TOPICS {
            self.append(topic, 30);
            let Some(log) = self.log(topic) else { continue };
            let offsets = log.offsets();
            let ledger = self.ledger.lock();
            let sent = ledger.topics.get(topic).map_or(0, |topic| topic.sent.len());
            if index(offsets.high_watermark) != sent {
                return Err(format!("{topic} takes no appends: {offsets:?}"));
            }
        }
        Ok(())
    }

    fn reopen(&mut self) {
        self.store = open(&self.disk).ok().map(Arc::new);
        if let Some(store) = &self.store {
            self.ledger.lock().adopt(store);
            for topic in TOPICS {
                self.watch(topic, Vec::new());
            }
        }
    }

    fn log(&self, topic: &str) -> Option<Arc<Log>> {
        self.store.as_ref()?.log(topic, 0)
    }

    fn body(&mut self, topic: &str, len: usize) -> Bytes {
        self.next_body += 1;
        let mut body = format!("{topic} {} ", self.next_body).into_bytes();
        body.resize(body.len() + len, b'.');
        body.into()
    }

    fn watch(&self, topic: &'static str, burst: Vec<(Arc<Log>, Bytes)>) {
        if let Some(log) = self.log(topic) {
            log.set_listener(Arc::new(Witness {
                topic,
                ledger: Arc::clone(&self.ledger),
                burst: Mutex::new(burst),
            }));
        }
    }

    fn create(&mut self, topic: &'static str) {
        let Some(store) = &self.store else { return };
        self.next_id += 1;
        let new = Topic {
            id: self.next_id,
            uncertain: true,
            ..Topic::default()
        };
        if store.log(topic, 0).is_some() {
            return;
        }
        self.ledger.lock().topics.insert(topic.to_owned(), new);
        let identity = LogIdentity {
            topic: topic.to_owned(),
            topic_id: Uuid::from_u128(self.next_id),
            partition: 0,
        };
        if store.create_log(identity, config(topic)).is_ok() {
            if let Some(topic) = self.ledger.lock().topics.get_mut(topic) {
                topic.uncertain = false;
            }
            self.watch(topic, Vec::new());
        }
    }

    fn delete(&mut self, topic: &'static str) {
        let Some(store) = &self.store else { return };
        if let Some(topic) = self.ledger.lock().topics.get_mut(topic) {
            topic.uncertain = true;
        }
        if store.delete_log(topic, 0).is_ok() {
            let mut ledger = self.ledger.lock();
            let gone = ledger.topics.remove(topic);
            ledger.deleted.extend(gone.map(|topic| topic.id));
        }
    }

    fn append(&mut self, topic: &str, len: usize) {
        let body = self.body(topic, len);
        if let Some(log) = self.log(topic) {
            append(&self.ledger, &log, body);
        }
    }

    /// An append to `first`, and in its commit appends to the others, which share a group.
    fn burst(&mut self, first: &'static str, others: &[&str]) {
        let burst = others.iter().filter_map(|topic| {
            let body = self.body(topic, 200);
            Some((self.log(topic)?, body))
        });
        let burst = burst.collect();
        self.watch(first, burst);
        self.append(first, 50);
        self.watch(first, Vec::new());
    }

    fn roll(&self, topic: &str) {
        if let Some(log) = self.log(topic) {
            let _ = log.roll();
        }
    }

    fn advance_start(&self, topic: &str) {
        let Some(log) = self.log(topic) else { return };
        let offsets = log.offsets();
        let to = i64::midpoint(offsets.log_start_offset, offsets.high_watermark);
        if let Some(topic) = self.ledger.lock().topics.get_mut(topic) {
            topic.start_asked = topic.start_asked.max(to);
        }
        if let Ok(start) = log.advance_log_start(to)
            && let Some(topic) = self.ledger.lock().topics.get_mut(topic)
        {
            topic.start = topic.start.max(start);
        }
    }

    fn checkpoint(&self) {
        if let Some(store) = &self.store {
            let _ = store.checkpoint();
        }
    }

    /// Lets `flush.ms` pass. What is flushed is durable if the log still works afterwards.
    fn tick(&mut self) {
        let (Some(store), Some(log)) = (&self.store, self.log(CACHED)) else {
            return;
        };
        self.now_ms += i64::try_from(FLUSH_MS).expect("milliseconds");
        store.tick(self.now_ms);
        if log.failure().is_none()
            && !log.needs_flush(self.now_ms)
            && let Some(topic) = self.ledger.lock().topics.get_mut(CACHED)
        {
            topic.durable = topic.acknowledged;
        }
    }

    fn close(&mut self) {
        let Some(store) = self.store.take() else {
            return;
        };
        if store.close().is_ok() {
            for topic in self.ledger.lock().topics.values_mut() {
                topic.durable = topic.acknowledged;
            }
        }
        drop(store);
        self.disk.kill();
    }
}
