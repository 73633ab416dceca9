//! A store on a simulated disk, what can be done with it, and the ledger of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::record::TransactionResult;
use ottla_storage::cleaner::{Next, Step};
use ottla_storage::config::{Compaction, Durability, LogConfig};
use ottla_storage::disk::simulated::SimulatedDisk;
use ottla_storage::error::{AppendError, Failed};
use ottla_storage::log::{Appended, Change, Log, LogIdentity, LogListener, Part, append_together};
use ottla_storage::store::{JournalOptions, OpenError, Store, StoreOptions};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::ledger::{Ledger, Sent, Topic, ensure, index};
use crate::transactions::{COORDINATOR, Producer, marker, newest_epoch, next_batch};

const DIR: &str = "data";
/// Bypasses the journal.
pub(crate) const CACHED: &str = "cached";
/// Bypasses it in every other life of the store.
pub(crate) const MIXED: &str = "mixed";
/// Where groups commit their offsets.
pub(crate) const OFFSETS: &str = "offsets";
/// Is compacted.
pub(crate) const KEYED: &str = "k";
/// Keys of its records.
pub(crate) const KEYS: i64 = 4;
/// Those that transactions write to.
pub(crate) const LEDGERS: [&str; 2] = ["t", "u"];
pub(crate) const TOPICS: [&str; 10] = ["a", "b", "c", "d", CACHED, MIXED, OFFSETS, "t", "u", KEYED];
/// `flush.ms` of the topics that bypass the journal.
const FLUSH_MS: u64 = 1000;

/// The settings of a topic. `durable` is for the one whose settings change.
pub(crate) fn settings(topic: &str, durable: bool) -> LogConfig {
    let page_cache = Durability::PageCache {
        messages: u64::MAX,
        interval: Some(Duration::from_millis(FLUSH_MS)),
    };
    let bypasses = topic == CACHED || (topic == MIXED && !durable);
    LogConfig {
        segment_bytes: 4096,
        index_interval_bytes: 512,
        compaction: (topic == KEYED).then(Compaction::default),
        durability: if bypasses {
            page_cache
        } else {
            Durability::Journal
        },
        ..LogConfig::default()
    }
}

/// A store with a small journal, in which everything happens in the caller's thread.
pub(crate) fn options(durable: bool) -> StoreOptions {
    StoreOptions {
        config: Arc::new(move |identity: &LogIdentity| settings(&identity.topic, durable)),
        cluster_id: Uuid::from_u128(1),
        directory_id: Uuid::from_u128(2),
        journal: JournalOptions {
            first_file_bytes: 16 << 10,
            file_bytes: 48 << 10,
            max_files: 3,
            group_bytes: 16 << 10,
            queue_bytes: 64 << 10,
        },
        threads: false,
        repair: false,
    }
}

/// Opens the store of the tests.
pub(crate) fn open(disk: &SimulatedDisk, durable: bool) -> Result<Store, OpenError> {
    Store::open(Arc::new(disk.clone()), Path::new(DIR), options(durable))
}

/// See the module.
pub(crate) struct World {
    pub(crate) disk: SimulatedDisk,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    durable: bool,
    next_id: u128,
    next_body: usize,
    pub(crate) now_ms: i64,
}

/// Notes acknowledgements, and makes the next group of the journal a larger one when told to.
struct Witness {
    topic: &'static str,
    ledger: Arc<Mutex<Ledger>>,
    journaled: bool,
    /// Appended from within a commit: they wait for the next group and share it. With their time.
    burst: Mutex<Vec<(Arc<Log>, Bytes, i64)>>,
}

impl LogListener for Witness {
    fn high_watermark_moved(&self, high_watermark: i64) {
        if let Some(topic) = self.ledger.lock().topics.get_mut(self.topic) {
            topic.acknowledged = topic.acknowledged.max(high_watermark);
            if self.journaled {
                topic.durable = topic.acknowledged;
            }
        }
        let burst = std::mem::take(&mut *self.burst.lock());
        for (log, body, now_ms) in burst {
            append(&self.ledger, &log, Producer::Plain, now_ms, &body);
        }
    }

    fn failed(&self, _: &Failed) {}
}

/// Notes that something is sent to a log, and takes back what was noted of a failure before.
fn note(ledger: &Mutex<Ledger>, log: &Log, sent: Sent) {
    let end = index(log.offsets().log_end_offset);
    if let Some(topic) = ledger.lock().topics.get_mut(&log.identity().topic) {
        topic.sent.truncate(end);
        topic.sent.push(sent);
    }
}

/// What failed without a trace may be repeated with other bytes.
fn forget_refused(ledger: &Mutex<Ledger>, log: &Log) {
    let end = index(log.offsets().log_end_offset);
    if log.failure().is_none()
        && let Some(topic) = ledger.lock().topics.get_mut(&log.identity().topic)
    {
        topic.sent.truncate(end);
    }
}

/// Appends the producer's next record.
fn append(ledger: &Mutex<Ledger>, log: &Log, producer: Producer, now_ms: i64, body: &Bytes) {
    let name = &log.identity().topic;
    let sent = {
        let ledger = ledger.lock();
        let Some(topic) = ledger.topics.get(name) else {
            return;
        };
        let mut topic = topic.clone();
        topic.sent.truncate(index(log.offsets().log_end_offset));
        let epoch = newest_epoch(ledger.topics.values(), producer);
        next_batch(&topic, producer, epoch, now_ms, body)
    };
    let batch = sent.append.clone();
    note(ledger, log, sent);
    let appended = log.append(batch, now_ms);
    match appended {
        Ok(appended) => durable_at_once(ledger, log, appended),
        Err(_) => forget_refused(ledger, log),
    }
}

/// A log that is told to be durable while it is open syncs each append by itself until it joins the
/// journal.
fn durable_at_once(ledger: &Mutex<Ledger>, log: &Log, appended: Appended) {
    if !log.is_journaled()
        && log.config().durability == Durability::Journal
        && let Some(topic) = ledger.lock().topics.get_mut(&log.identity().topic)
    {
        topic.durable = topic.durable.max(appended.last_offset + 1);
    }
}

impl World {
    /// A store with its topics; without a store when the disk refuses.
    pub(crate) fn new(disk: SimulatedDisk, ledger: Arc<Mutex<Ledger>>, durable: bool) -> Self {
        let next_id = ledger.lock().newest_id();
        let mut world = Self {
            disk,
            store: None,
            ledger,
            durable,
            next_id,
            next_body: 0,
            now_ms: 1_000_000,
        };
        world.reopen(durable);
        world
    }

    /// Opens the store, and creates the topics that it does not have.
    pub(crate) fn reopen(&mut self, durable: bool) {
        self.durable = durable;
        self.store = open(&self.disk, durable).ok().map(Arc::new);
        if let Some(store) = &self.store {
            self.ledger.lock().adopt(store);
            for topic in TOPICS {
                self.watch(topic, Vec::new());
            }
            for topic in TOPICS {
                self.create(topic);
            }
        }
    }

    pub(crate) fn log(&self, topic: &str) -> Option<Arc<Log>> {
        self.store.as_ref()?.log(topic, 0)
    }

    fn body(&mut self, topic: &str, len: usize) -> Bytes {
        self.next_body += 1;
        let mut body = format!("{topic} {} ", self.next_body).into_bytes();
        body.resize(body.len() + len, b'.');
        body.into()
    }

    fn watch(&self, topic: &'static str, burst: Vec<(Arc<Log>, Bytes, i64)>) {
        if let Some(log) = self.log(topic) {
            log.set_listener(Arc::new(Witness {
                topic,
                ledger: Arc::clone(&self.ledger),
                journaled: log.is_journaled(),
                burst: Mutex::new(burst),
            }));
        }
    }

    pub(crate) fn create(&mut self, name: &'static str) {
        let Some(store) = &self.store else { return };
        if store.log(name, 0).is_some() {
            return;
        }
        self.next_id += 1;
        let new = Topic {
            id: self.next_id,
            keys: (name == KEYED).then_some(KEYS),
            uncertain: true,
            ..Topic::default()
        };
        self.ledger.lock().topics.insert(name.to_owned(), new);
        let identity = LogIdentity {
            topic: name.to_owned(),
            topic_id: Uuid::from_u128(self.next_id),
            partition: 0,
        };
        let created = store.create_log(identity, settings(name, self.durable));
        if let Ok(log) = created {
            if let Some(topic) = self.ledger.lock().topics.get_mut(name) {
                topic.uncertain = false;
                topic.journaled = log.is_journaled();
            }
            self.watch(name, Vec::new());
        }
    }

    pub(crate) fn delete(&mut self, topic: &'static str) {
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

    pub(crate) fn append(&mut self, topic: &str, len: usize) {
        self.produce(topic, Producer::Plain, len);
    }

    /// Appends the next record of a producer.
    pub(crate) fn produce(&mut self, topic: &str, producer: Producer, len: usize) {
        let body = self.body(topic, len);
        self.now_ms += 1;
        if let Some(log) = self.log(topic) {
            append(&self.ledger, &log, producer, self.now_ms, &body);
        }
    }

    /// An append to `first`, and in its commit appends to the others, which share a group.
    pub(crate) fn burst(&mut self, first: &'static str, others: &[&str]) {
        let begun_ms = self.now_ms + 1;
        let burst = others
            .iter()
            .zip(begun_ms + 1..)
            .filter_map(|(topic, now_ms)| {
                let body = self.body(topic, 200);
                Some((self.log(topic)?, body, now_ms))
            });
        let burst = burst.collect();
        self.watch(first, burst);
        self.append(first, 50);
        self.now_ms += 10;
        self.watch(first, Vec::new());
    }

    /// Ends the transaction of a producer in all logs where it is open, and with a commit also
    /// commits offsets: all or nothing.
    pub(crate) fn end_transaction(&mut self, producer: Producer, result: TransactionResult) {
        let body = self.body(OFFSETS, 20);
        self.now_ms += 1;
        let mut parts = Vec::new();
        let mut sent = Vec::new();
        {
            let ledger = self.ledger.lock();
            let epoch = newest_epoch(ledger.topics.values(), producer);
            for name in LEDGERS {
                let (Some(topic), Some(log)) = (ledger.topics.get(name), self.log(name)) else {
                    continue;
                };
                if topic.open().contains(&producer) {
                    let (change, marker) = marker(producer, epoch, result, self.now_ms);
                    parts.push((log, Change::Marker(change)));
                    sent.push(marker);
                }
            }
            if result == TransactionResult::Commit
                && let (Some(topic), Some(log)) = (ledger.topics.get(OFFSETS), self.log(OFFSETS))
            {
                let offsets = next_batch(topic, Producer::Plain, 0, self.now_ms, &body);
                parts.push((log, Change::Batch(offsets.append.clone(), None)));
                sent.push(offsets);
            }
        }
        self.append_together(parts, sent);
    }

    fn append_together(&self, parts: Vec<(Arc<Log>, Change)>, sent: Vec<Sent>) {
        let mut group = Vec::new();
        for ((log, _), sent) in parts.iter().zip(sent) {
            note(&self.ledger, log, sent);
            let identity = log.identity();
            let offset = log.offsets().log_end_offset;
            group.push((identity.topic.clone(), identity.topic_id.as_u128(), offset));
        }
        self.ledger.lock().groups.push(group);
        let logs: Vec<_> = parts.iter().map(|(log, _)| Arc::clone(log)).collect();
        let parts = parts.into_iter().map(|(log, change)| Part { log, change });
        let appended = append_together(parts.collect(), self.now_ms);
        if appended.is_err() {
            for log in &logs {
                forget_refused(&self.ledger, log);
            }
            if logs.iter().all(|log| log.failure().is_none()) {
                self.ledger.lock().groups.pop();
            }
        }
    }

    pub(crate) fn roll(&self, topic: &str) {
        if let Some(log) = self.log(topic) {
            let _ = log.roll();
        }
    }

    /// DeleteRecords, half of what there is.
    pub(crate) fn delete_records(&self, topic: &str) {
        let Some(log) = self.log(topic) else { return };
        let offsets = log.offsets();
        let half = i64::midpoint(offsets.log_start_offset, offsets.high_watermark);
        self.advance_start(topic, half);
    }

    /// Retention: all segments but the last two go.
    pub(crate) fn retain(&self, topic: &str) {
        let Some(log) = self.log(topic) else { return };
        let Ok(segments) = log.segments_info() else {
            return;
        };
        let keep = segments.len().saturating_sub(2);
        if let Some(first) = segments.get(keep) {
            let high_watermark = log.offsets().high_watermark;
            self.advance_start(topic, first.base_offset.min(high_watermark));
        }
    }

    fn advance_start(&self, topic: &str, to: i64) {
        let Some(log) = self.log(topic) else { return };
        if let Some(topic) = self.ledger.lock().topics.get_mut(topic) {
            topic.start_asked = topic.start_asked.max(to);
        }
        if let Ok(start) = log.advance_log_start(to)
            && let Some(topic) = self.ledger.lock().topics.get_mut(topic)
        {
            topic.start = topic.start.max(start);
        }
    }

    /// Compacts the topic that is, in small steps.
    pub(crate) fn compact(&self) {
        const MOST_KEY_BYTES: usize = 64 << 10;
        const MOST_STEPS: usize = 200;
        let Some(store) = &self.store else { return };
        let Ok(Some(mut cleaning)) = store.next_cleaning(MOST_KEY_BYTES, self.now_ms) else {
            return;
        };
        for _ in 0..MOST_STEPS {
            let step = cleaning.step(1500);
            if !step.is_ok_and(|Step { next, .. }| next == Next::GoOn) {
                return;
            }
        }
    }

    pub(crate) fn checkpoint(&self) {
        if let Some(store) = &self.store {
            let _ = store.checkpoint();
        }
    }

    /// The topic whose settings change is to be durable from now on.
    pub(crate) fn make_durable(&self) {
        if let Some(log) = self.log(MIXED) {
            log.set_config(settings(MIXED, true));
        }
    }

    /// Lets `flush.ms` pass. What is flushed is durable if the log still works afterwards.
    pub(crate) fn tick(&mut self) {
        let Some(store) = &self.store else { return };
        self.now_ms += i64::try_from(FLUSH_MS).expect("milliseconds");
        store.tick(self.now_ms);
        for name in [CACHED, MIXED] {
            if let Some(log) = self.log(name)
                && log.failure().is_none()
                && !log.needs_flush(self.now_ms)
                && let Some(topic) = self.ledger.lock().topics.get_mut(name)
            {
                topic.durable = topic.acknowledged;
                topic.journaled = log.is_journaled();
            }
        }
        self.watch(MIXED, Vec::new());
    }

    pub(crate) fn close(&mut self) {
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

    /// Reads every log, on a disk that may refuse.
    pub(crate) fn look(&self) {
        for name in TOPICS {
            let topic = self.ledger.lock().topics.get(name).cloned();
            if let (Some(topic), Some(log)) = (topic, self.log(name))
                && let Err(error) = topic.look(&log)
            {
                panic!("{name}: {error}");
            }
        }
    }

    /// Uses every log: repeated batches are seen, what is stale is fenced, open transactions can
    /// be ended, and appends are taken and made durable.
    pub(crate) fn use_all(&mut self) -> Result<(), String> {
        for topic in TOPICS {
            self.repeat(topic)?;
        }
        for producer in [Producer::Classic, Producer::Bumping] {
            self.end_transaction(producer, TransactionResult::Abort);
        }
        self.produce("b", Producer::Idempotent, 30);
        for (topic, producer) in LEDGERS
            .into_iter()
            .zip([Producer::Classic, Producer::Bumping])
        {
            self.produce(topic, producer, 30);
            self.end_transaction(producer, TransactionResult::Commit);
        }
        for name in TOPICS {
            self.append(name, 30);
            let Some(log) = self.log(name) else { continue };
            let offsets = log.offsets();
            let ledger = self.ledger.lock();
            let Some(sent) = ledger.topics.get(name).map(|topic| topic.sent.len()) else {
                continue;
            };
            ensure!(
                index(offsets.high_watermark) == sent,
                "{name} takes no appends: {offsets:?}, not {sent}"
            );
            ensure!(
                offsets.last_stable_offset == offsets.high_watermark,
                "{name} has an open transaction: {offsets:?}"
            );
        }
        Ok(())
    }

    /// Sends again what a log must know (E1), and a marker of a former coordinator (E3).
    fn repeat(&self, name: &str) -> Result<(), String> {
        let topic = self.ledger.lock().topics.get(name).cloned();
        let (Some(topic), Some(log)) = (topic, self.log(name)) else {
            return Ok(());
        };
        for producer in [Producer::Idempotent, Producer::Classic, Producer::Bumping] {
            for (offset, batch) in topic.remembered(producer) {
                let answer = log.append(batch, self.now_ms);
                ensure!(
                    answer
                        .as_ref()
                        .is_ok_and(|again| again.duplicate && again.base_offset == offset),
                    "{name} takes offset {offset} of {producer:?} again: {answer:?}"
                );
            }
            let ended = topic
                .sent
                .iter()
                .any(|sent| sent.ends.is_some() && sent.append.header.producer_id == producer.id());
            if ended {
                let (mut stale, _) = marker(producer, i16::MAX - 1, TransactionResult::Abort, 0);
                stale.end.coordinator_epoch = COORDINATOR - 1;
                let answer = log.append_marker(stale, self.now_ms);
                ensure!(
                    matches!(
                        answer,
                        Err(AppendError::TransactionCoordinatorFenced { .. })
                    ),
                    "{name} takes a stale marker of {producer:?}: {answer:?}"
                );
            }
        }
        Ok(())
    }
}
