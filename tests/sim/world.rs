//! One run: a broker on a simulated disk, the clients around it, and all else that can be shared.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};
use std::{fmt, io};

use ottla_broker::config::BrokerConfig;
use ottla_broker::env::SEEDED_START_MS;
use ottla_broker::testing::disk::{Call, SimulatedDisk};
use ottla_broker::testing::{Faults, Faulty, JournalOptions, SimulatedStorage};
use ottla_broker::{Broker, InProcess, StartError};
use ottla_protocol::ErrorCode;
use ottla_protocol::message::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use ottla_protocol::service::{Connection, Service};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::history::{Event, History, Place};
use crate::link::Link;

/// Written once by an idempotent producer, read by the group and the pump.
pub(crate) const ORDERS: &str = "orders";
/// What the pump makes of them.
pub(crate) const COPIES: &str = "copies";
/// Written by a producer that repeats itself.
pub(crate) const NOTES: &str = "notes";
/// Bypasses the journal.
pub(crate) const CACHED: &str = "cached";
/// Loses its beginning, on request or by retention.
pub(crate) const TRIMMED: &str = "trimmed";
/// What the Rust client makes of the orders in transactions.
pub(crate) const BOOKS: &str = "books";

/// Topics with their partitions.
pub(crate) const TOPICS: [(&str, i32); 6] = [
    (ORDERS, 2),
    (COPIES, 2),
    (NOTES, 1),
    (CACHED, 1),
    (TRIMMED, 1),
    (BOOKS, 2),
];

/// `retention.bytes` of [`TRIMMED`] in runs in which nobody asks for deletion.
const RETENTION_BYTES: &str = "2000";

pub(crate) const PUMP: &str = "pump";
pub(crate) const GROUP: &str = "group";
/// The group of the Rust client.
pub(crate) const LIBRARY: &str = "library";
/// The group of the Rust client whose offsets are in transactions.
pub(crate) const BOOKKEEPERS: &str = "bookkeepers";

pub(crate) fn places() -> impl Iterator<Item = Place> {
    TOPICS.into_iter().flat_map(|(topic, partitions)| {
        (0..partitions).map(move |partition| Place { topic, partition })
    })
}

/// The way to whichever broker runs at the moment.
#[derive(Clone, Default)]
pub(crate) struct Door(Arc<Mutex<Option<InProcess>>>);

impl Service for Door {
    fn connect(&self) -> io::Result<Box<dyn Connection>> {
        let broker = self.0.lock().clone();
        broker.ok_or(io::ErrorKind::ConnectionRefused)?.connect()
    }
}

/// See the module. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(crate) struct World(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) seed: u64,
    journal: JournalOptions,
    pub(crate) history: History,
    pub(crate) disk: SimulatedDisk,
    pub(crate) faults: Faults,
    random: Mutex<StdRng>,
    door: Door,
    broker: Mutex<Option<Broker>>,
    start: Instant,
    starts: AtomicU32,
    numbers: AtomicU32,
    /// Nothing will fail any more.
    calm: AtomicBool,
    /// All that is to come into this topic is there.
    complete: Mutex<Vec<&'static str>>,
    ids: Mutex<Vec<(&'static str, Uuid)>>,
    /// What must not happen outside of what the history tells.
    broken: Mutex<Vec<String>>,
    /// The newest instance of the pump.
    pub(crate) instance: AtomicU32,
    /// [`TRIMMED`] has a retention; otherwise records are deleted on request.
    pub(crate) retains: bool,
    /// The topic that was made last and stays.
    stays: Mutex<Option<Place>>,
    /// Topics that were deleted.
    gone: Mutex<Vec<Uuid>>,
}

impl std::ops::Deref for World {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// A journal that is full all the time.
const JOURNAL: JournalOptions = JournalOptions {
    first_file_bytes: 16 << 10,
    file_bytes: 32 << 10,
    max_files: 3,
    group_bytes: 16 << 10,
    queue_bytes: 64 << 10,
};

impl World {
    pub(crate) fn new(seed: u64, told: bool) -> Self {
        Self::with_journal(JOURNAL, seed, told)
    }

    pub(crate) fn with_journal(journal: JournalOptions, seed: u64, told: bool) -> Self {
        let history = History::new(told);
        let disk = SimulatedDisk::new();
        let trace = history.clone();
        disk.observe(Arc::new(move |call: &Call| {
            trace.mix((call.operation, call.path.as_os_str()));
        }));
        let mut random = StdRng::seed_from_u64(seed);
        Self(Arc::new(Shared {
            seed,
            journal,
            retains: random.random_bool(0.5),
            stays: Mutex::default(),
            gone: Mutex::default(),
            history,
            disk,
            faults: Faults::new(seed),
            random: Mutex::new(random),
            door: Door::default(),
            broker: Mutex::new(None),
            start: Instant::now(),
            starts: AtomicU32::new(0),
            numbers: AtomicU32::new(0),
            calm: AtomicBool::new(false),
            complete: Mutex::default(),
            ids: Mutex::default(),
            broken: Mutex::default(),
            instance: AtomicU32::new(0),
        }))
    }
}

impl Shared {
    /// A number from `range`.
    pub(crate) fn below(&self, limit: u64) -> u64 {
        self.random.lock().random_range(0..limit)
    }

    pub(crate) fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Lets up to so many milliseconds pass.
    pub(crate) async fn pause(&self, at_most_ms: u64) {
        let pause = self.below(at_most_ms * 1000 + 1);
        sleep(Duration::from_micros(pause)).await;
    }

    /// A number that was not given before.
    pub(crate) fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The way to the broker, with the faults on it.
    pub(crate) fn service(&self) -> Faulty<Door> {
        self.faults.before(self.door.clone())
    }

    pub(crate) fn link(&self, client_id: &str) -> Link {
        Link::new(Arc::new(self.service()), client_id)
    }

    pub(crate) fn topic_id(&self, topic: &str) -> Uuid {
        let ids = self.ids.lock();
        let id = ids.iter().find(|(name, _)| *name == topic);
        id.expect("a topic of the run").1
    }

    /// Notes that a topic of the run is there for good.
    pub(crate) fn stays(&self, place: Place, id: Uuid) {
        self.ids.lock().push((place.topic, id));
        *self.stays.lock() = Some(place);
    }

    /// Notes that a topic was deleted.
    pub(crate) fn is_gone(&self, id: Uuid) {
        self.gone.lock().push(id);
    }

    pub(crate) fn gone(&self) -> Vec<Uuid> {
        self.gone.lock().clone()
    }

    /// All partitions at the end.
    pub(crate) fn last_places(&self) -> Vec<Place> {
        places().chain(*self.stays.lock()).collect()
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub(crate) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_complete(&self, topic: &'static str) -> bool {
        self.is_calm() && self.complete.lock().contains(&topic)
    }

    pub(crate) fn complete(&self, topic: &'static str) {
        self.complete.lock().push(topic);
    }

    pub(crate) fn is_running(&self) -> bool {
        self.broker.lock().is_some()
    }

    /// Notes what must not be.
    pub(crate) fn broke(&self, what: impl fmt::Display) {
        self.history.tell(format_args!("{what}"));
        self.broken.lock().push(what.to_string());
    }

    pub(crate) fn broken(&self) -> Vec<String> {
        self.broken.lock().clone()
    }

    fn config() -> BrokerConfig {
        let settings = [
            ("log.segment.bytes", "3000"),
            ("log.index.interval.bytes", "256"),
            ("auto.create.topics.enable", "false"),
            ("log.retention.check.interval.ms", "1500"),
            ("group.initial.rebalance.delay.ms", "0"),
            ("group.consumer.min.session.timeout.ms", "6000"),
            ("group.consumer.session.timeout.ms", "6000"),
            ("group.consumer.min.heartbeat.interval.ms", "1000"),
            ("group.consumer.heartbeat.interval.ms", "1000"),
        ];
        BrokerConfig::from_entries(settings).expect("settings")
    }

    /// Starts a broker on what is on the disk.
    pub(crate) async fn start(&self) -> Result<(), StartError> {
        let starts = self.starts.fetch_add(1, Ordering::Relaxed);
        let elapsed = self.start.elapsed();
        let now = Duration::from_millis(SEEDED_START_MS.unsigned_abs()) + elapsed;
        let storage = SimulatedStorage {
            disk: Arc::new(self.disk.clone()),
            data_dir: PathBuf::from("data"),
            journal: self.journal,
        };
        let broker = Broker::builder()
            .simulated(storage)
            .config(Self::config())
            .seed(self.seed.wrapping_add(u64::from(starts) << 32))
            .start_time(UNIX_EPOCH + now)
            .start()
            .await?;
        *self.door.0.lock() = Some(broker.in_process());
        *self.broker.lock() = Some(broker);
        Ok(())
    }

    /// Ends the broker as a kill does.
    pub(crate) fn kill(&self) {
        *self.door.0.lock() = None;
        drop(self.broker.lock().take());
    }

    /// Ends the broker in good order.
    pub(crate) async fn stop(&self) {
        *self.door.0.lock() = None;
        let broker = self.broker.lock().take();
        if let Some(broker) = broker
            && let Err(error) = broker.shutdown().await
        {
            self.history.tell(error.to_string());
        }
    }

    /// Notes that the power is lost, for the disk has lost it.
    pub(crate) fn power_lost(&self) {
        self.history.add(Event::PowerLost);
    }

    /// The first start, and the topics.
    pub(crate) async fn set_up(&self) {
        self.start().await.expect("a start on an empty disk");
        let setting = |name: &str, value: &str| CreatableTopicConfig {
            name: name.into(),
            value: Some(value.into()),
        };
        let topics = TOPICS.map(|(name, num_partitions)| CreatableTopic {
            name: name.into(),
            num_partitions,
            replication_factor: 1,
            configs: match name {
                CACHED => vec![
                    setting("flush.messages", "1000"),
                    setting("flush.ms", "2000"),
                ],
                TRIMMED if self.retains => vec![setting("retention.bytes", RETENTION_BYTES)],
                _ => Vec::new(),
            },
            ..Default::default()
        });
        let request = CreateTopicsRequest {
            topics: topics.into(),
            timeout_ms: 10_000,
            ..Default::default()
        };
        let created = self.link("admin").ask(request).await.expect("topics");
        let mut ids = self.ids.lock();
        for (created, (name, _)) in created.topics.iter().zip(TOPICS) {
            assert_eq!(created.error_code, ErrorCode::None, "{created:?}");
            ids.push((name, created.topic_id));
        }
    }
}
