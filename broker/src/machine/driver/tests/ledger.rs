//! A small machine, and a world around it whose disk fails when it is told to.

use std::collections::BTreeMap;
use std::path::Path;

use ottla_storage::config::{Durability, LogConfig};
use ottla_storage::disk::simulated::{Loss, SimulatedDisk};
use ottla_storage::log::LogIdentity;
use ottla_storage::store::{JournalOptions, Store, StoreOptions};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::super::*;
use crate::env::{Now, SEEDED_START_MS};
use crate::machine::{Effects, Never};
use crate::record_codec::{EncodedRecord, RecordError};

const LOG: &str = "ledger";

/// Bytes that do not fit what a segment has reserved when it is small.
pub(super) const LARGE: usize = 200 << 10;

/// After this long a machine adds a record of its own; one that was loaded again, at once if it
/// is late.
pub(super) const ALARM: Duration = Duration::from_secs(60);

pub(super) type Entries = BTreeMap<String, Vec<u8>>;

#[derive(Debug, Clone)]
pub(super) enum Event {
    Put(Token, String, Vec<u8>),
    Get(Token),
    /// Is never answered.
    Park(Token),
    Abandoned(Token),
}

/// What was written under which name.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) entries: Entries,
    pub(super) parked: Vec<Token>,
    pub(super) alarm: Option<Duration>,
}

type LedgerEffects = Effects<(String, Vec<u8>), Entries, String>;

impl Ledger {
    fn put(&mut self, name: String, value: Vec<u8>) -> LedgerEffects {
        self.entries.insert(name.clone(), value.clone());
        Effects {
            records: vec![(name.clone(), value)],
            commands: vec![name],
            ..Effects::default()
        }
    }
}

impl Machine for Ledger {
    type Event = Event;
    type Record = (String, Vec<u8>);
    type Reply = Entries;
    type Command = String;
    type Attachment = Never;

    fn handle(&mut self, event: Event, _now: Now) -> LedgerEffects {
        match event {
            Event::Put(token, name, value) => {
                let mut effects = self.put(name, value);
                effects.replies.push((token, self.entries.clone()));
                effects
            }
            Event::Get(token) => Effects::reply(token, self.entries.clone()),
            Event::Park(token) => {
                self.parked.push(token);
                Effects::default()
            }
            Event::Abandoned(token) => {
                self.parked.retain(|parked| *parked != token);
                Effects::default()
            }
        }
    }

    fn abandoned(token: Token) -> Option<Event> {
        Some(Event::Abandoned(token))
    }

    fn tick(&mut self, now: Now) -> LedgerEffects {
        self.alarm = Some(now.monotonic + ALARM);
        self.put("alarm".to_owned(), vec![0; LARGE])
    }

    fn deadline(&self) -> Option<Duration> {
        self.alarm
    }

    fn replay(&mut self, (name, value): (String, Vec<u8>)) {
        self.entries.insert(name, value);
    }

    fn loaded(&mut self, _now: Now) -> LedgerEffects {
        self.alarm = Some(ALARM);
        Effects::default()
    }

    fn snapshot(&self) -> Vec<(String, Vec<u8>)> {
        self.entries.clone().into_iter().collect()
    }

    fn encode((name, value): &(String, Vec<u8>)) -> Result<EncodedRecord, RecordError> {
        Ok(EncodedRecord {
            key: name.clone().into_bytes(),
            value: Some(value.clone()),
        })
    }

    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<(String, Vec<u8>), RecordError> {
        let name = String::from_utf8_lossy(key).into_owned();
        Ok((name, value.unwrap_or_default().to_vec()))
    }
}

/// A store with one log, and the driver of it.
pub(super) struct World {
    pub(super) disk: SimulatedDisk,
    pub(super) driver: Arc<Driver<Ledger>>,
    /// The commands that were run.
    pub(super) ran: Arc<Mutex<Vec<String>>>,
    pub(super) stop: CancellationToken,
    _store: Store,
}

impl World {
    /// On this disk; with `threads`, syncs of the journal can be held.
    pub(super) fn on(disk: SimulatedDisk, threads: bool) -> Self {
        let store = open_store(&disk, threads);
        let identity = LogIdentity {
            topic: LOG.to_owned(),
            topic_id: Uuid::from_u128(9),
            partition: 0,
        };
        let log = store
            .log(LOG, 0)
            .unwrap_or_else(|| store.create_log(identity, LogConfig::default()).unwrap());
        let ran = Arc::new(Mutex::new(Vec::new()));
        let running = Arc::clone(&ran);
        let driver = Driver::load(
            Partition::new(log),
            Env::seeded(1, SEEDED_START_MS),
            Ledger::default,
            move |name| running.lock().push(name),
            alone,
        );
        Self {
            disk,
            driver: driver.unwrap(),
            ran,
            stop: CancellationToken::new(),
            _store: store,
        }
    }

    pub(super) fn inline() -> Self {
        Self::on(SimulatedDisk::new(), false)
    }

    /// With the driver's task, and a thread whose syncs can be held.
    pub(super) fn running() -> (Self, JoinHandle<()>) {
        let world = Self::on(SimulatedDisk::new(), true);
        let task = world.spawn();
        (world, task)
    }

    /// Starts the driver's task.
    pub(super) fn spawn(&self) -> JoinHandle<()> {
        tokio::spawn(Arc::clone(&self.driver).run(self.stop.clone()))
    }

    pub(super) fn put(&self, name: &str, len: usize) -> Call<Ledger> {
        let (name, value) = (name.to_owned(), vec![1; len]);
        self.driver.call(|token| Event::Put(token, name, value))
    }

    pub(super) fn get(&self) -> Call<Ledger> {
        self.driver.call(Event::Get)
    }

    pub(super) fn park(&self) -> Call<Ledger> {
        self.driver.call(Event::Park)
    }

    pub(super) fn ran(&self) -> Vec<String> {
        self.ran.lock().clone()
    }

    /// Takes the power away and starts anew.
    pub(super) fn crash(self) -> Self {
        let disk = self.disk.clone();
        drop(self);
        disk.lose_power(Loss::Everything);
        Self::on(disk, false)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The journal's thread must not be held when its store waits for it.
        self.disk.let_syncs_go();
    }
}

fn open_store(disk: &SimulatedDisk, threads: bool) -> Store {
    let options = StoreOptions {
        config: Arc::new(|_| LogConfig {
            durability: Durability::Journal,
            ..LogConfig::default()
        }),
        cluster_id: Uuid::from_u128(1),
        directory_id: Uuid::from_u128(2),
        journal: JournalOptions {
            first_file_bytes: 1 << 20,
            file_bytes: 1 << 20,
            max_files: 3,
            ..JournalOptions::default()
        },
        threads,
        repair: false,
    };
    Store::open(Arc::new(disk.clone()), Path::new("data"), options).unwrap()
}

pub(super) fn names(entries: &Entries) -> Vec<&str> {
    entries.keys().map(String::as_str).collect()
}
