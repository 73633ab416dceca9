//! Starting, stopping and owning a broker.
//!
//! Shell. Nothing global is touched: no signal handler, no standard stream, no environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ottla_storage::config::{Durability, LogConfig};
use ottla_storage::disk::{Disk, MemoryDisk, OsDisk};
use ottla_storage::error::AppendError;
use ottla_storage::log::{Append, Appended, Log, LogIdentity};
use ottla_storage::store::{JournalOptions, OpenError, Store, StoreOptions};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalog::{Catalog, CatalogCommand, CatalogLimits, ConfigScope, TopicEntry};
use crate::cleaning;
use crate::config::{BrokerConfig, Endpoint};
use crate::core::{Core, ProducerIds};
use crate::env::{Env, SEEDED_START_MS, millis};
use crate::fetch_session::FetchSessions;
use crate::group::{
    Assignor, Command as GroupCommand, Event as GroupEvent, GroupConfig, GroupCoordinator,
    MigrationPolicy, TopicImage, TopicInfo,
};
use crate::housekeeping;
use crate::in_process::InProcess;
use crate::internal_log::{self, InternalLog};
use crate::live_config::LiveConfig;
use crate::machine::{Driver, LoadError, Machine, alone};
use crate::memory_budget::{DECOMPRESSION_BYTES, MemoryBudget};
use crate::partition::Partition;
use crate::server::Server;
#[cfg(feature = "testing")]
use crate::testing::SimulatedStorage;
use crate::topics::Topics;
use crate::transaction::shell::Commands;
use crate::transaction::{self, TransactionConfig, TransactionCoordinator};

/// An internal log is cut segment by segment, so they are small.
const INTERNAL_SEGMENT_BYTES: u32 = 64 << 20;

/// How long a stop in good order waits for what clients are owed. A connection waits a little
/// less, so that it ends by itself.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(6);

/// Why a broker did not start. Displays as one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Storage(#[from] OpenError),
    /// The listening address cannot be bound.
    #[error("cannot listen on {address}: {error}; choose another address")]
    Listen {
        /// The address asked for.
        address: String,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// The runtime ended while the broker was starting.
    #[error("the start was interrupted: {0}")]
    Interrupted(String),
    /// An internal log holds what this program does not understand.
    #[error("the internal log {log} is damaged: {reason}; restore the data directory from a copy")]
    InternalLog {
        /// Its name.
        log: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// How a broker is started. Made by [`Broker::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct BrokerBuilder {
    config: BrokerConfig,
    data_dir: Option<PathBuf>,
    listen: Option<String>,
    advertise: Option<Endpoint>,
    seed: Option<u64>,
    start_time: Option<SystemTime>,
    #[cfg(feature = "testing")]
    simulated: Option<SimulatedStorage>,
}

impl BrokerBuilder {
    /// Settings other than the defaults.
    pub fn config(mut self, config: BrokerConfig) -> Self {
        self.config = config;
        self
    }

    /// Keeps the log in memory; it is gone with the broker. This is the default.
    pub fn ephemeral(mut self) -> Self {
        self.data_dir = None;
        self
    }

    /// Keeps the log in this directory, which is created if needed.
    pub fn data_dir(mut self, path: impl AsRef<Path>) -> Self {
        self.data_dir = Some(path.as_ref().to_owned());
        self
    }

    /// Listens on this TCP address, such as `127.0.0.1:9092`; port 0 picks a free one. There is no TLS
    /// and no authentication yet: whoever can reach the address can read and change everything.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// What clients are told to connect to; otherwise the address that is listened on, or, when
    /// that is every address of the machine, the one that the client came by.
    pub fn advertise(mut self, endpoint: Endpoint) -> Self {
        self.advertise = Some(endpoint);
        self
    }

    /// Takes ids from a seed and wall-clock time from tokio's clock: the same seed, the same run.
    ///
    /// The wall clock begins at 2024-01-01T00:00:00Z. A program with a real clock then produces
    /// records of the future, which topics refuse beyond `message.timestamp.after.max.ms`; where
    /// such a program takes part, say when it is with [`start_time`](Self::start_time).
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Where the wall clock of a seeded or ephemeral broker begins; it follows tokio's clock from
    /// there. Without it an ephemeral broker begins at the present time. A broker that has neither
    /// seed nor start time and keeps its log in a directory uses the system's clock throughout.
    pub fn start_time(mut self, start_time: SystemTime) -> Self {
        self.start_time = Some(start_time);
        self
    }

    /// Keeps the log on `storage`, and starts no thread: the journal commits after short pauses of
    /// tokio's clock, whose lengths come from the broker's randomness.
    #[cfg(feature = "testing")]
    pub fn simulated(mut self, storage: SimulatedStorage) -> Self {
        self.simulated = Some(storage);
        self
    }

    /// Starts the broker on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] when the data directory or the address cannot be used.
    ///
    /// # Cancel safety
    /// Dropping it leaves a data directory that the next start recovers.
    pub async fn start(self) -> Result<Broker, StartError> {
        let env = self.env();
        let config = Arc::new(self.config);
        let listener = match &self.listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let ephemeral = self.data_dir.is_none();
        #[cfg(feature = "testing")]
        let simulated = self
            .simulated
            .map(|storage| storage.open(store_options(&env), &env, &tasks, &stop))
            .transpose()?;
        #[cfg(not(feature = "testing"))]
        let simulated = None;
        let store = match simulated {
            Some(store) => store,
            None => Arc::new(open_store(self.data_dir, &env).await?),
        };
        let (commands, waiting) = transaction::shell::commands();
        let core = Arc::new(assemble(&store, &config, &env, ephemeral, commands)?);
        tasks.spawn(Arc::clone(&core.catalog).run(stop.clone()));
        tasks.spawn(Arc::clone(&core.groups).run(stop.clone()));
        tasks.spawn(Arc::clone(&core.transactions).run(stop.clone()));
        tasks.spawn(transaction::shell::run(
            Arc::clone(&core),
            waiting,
            stop.clone(),
        ));
        tasks.spawn(housekeeping::run(Arc::clone(&core), stop.clone()));
        tasks.spawn(cleaning::run(Arc::clone(&core), stop.clone()));
        transaction::hanging::free(&core);
        // Without them, the first transactional producer would have to try again.
        transaction::shell::reserve_producer_ids(&core).await;
        let local_addr = listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok());
        if let Some(endpoint) = self.advertise.or_else(|| local_addr.and_then(endpoint_of)) {
            // A fresh cell takes its first value.
            let _ = core.advertised.set(endpoint);
        }
        let broker = Broker {
            core,
            store,
            local_addr,
            clients: TaskTracker::new(),
            tasks,
            stop,
        };
        if let Some(listener) = listener {
            let server = Server {
                core: Arc::clone(&broker.core),
                listener,
                tasks: broker.clients.clone(),
                stop: broker.stop.clone(),
            };
            broker.clients.spawn(server.run());
        }
        Ok(broker)
    }

    fn env(&self) -> Env {
        let start = self.start_time.map(|time| {
            let after =
                |earlier: SystemTime, later: SystemTime| later.duration_since(earlier).map(millis);
            after(UNIX_EPOCH, time).unwrap_or_else(|_| -after(time, UNIX_EPOCH).unwrap_or(0))
        });
        match (self.seed, &self.data_dir) {
            (Some(seed), _) => Env::seeded(seed, start.unwrap_or(SEEDED_START_MS)),
            (None, Some(_)) if start.is_none() => Env::system(),
            (None, _) => Env::following(start),
        }
    }
}

async fn bind(address: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Listen {
            address: address.to_owned(),
            error,
        })
}

/// What is listened on, unless that is every address of the machine.
fn endpoint_of(address: SocketAddr) -> Option<Endpoint> {
    let ip = address.ip();
    (!ip.is_unspecified()).then(|| Endpoint {
        host: ip.to_string(),
        port: address.port(),
    })
}

fn store_options(env: &Env) -> StoreOptions {
    StoreOptions {
        // Until the catalog, which is a log itself, can tell.
        config: Arc::new(|_| internal_config()),
        cluster_id: env.uuid(),
        directory_id: env.uuid(),
        journal: JournalOptions::default(),
        threads: true,
        repair: false,
    }
}

async fn open_store(data_dir: Option<PathBuf>, env: &Env) -> Result<Store, StartError> {
    let options = store_options(env);
    match data_dir {
        None => {
            let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
            Ok(Store::open(disk, Path::new("/"), options)?)
        }
        Some(dir) => {
            let open = move || {
                let disk: Arc<dyn Disk> = Arc::new(OsDisk::new());
                Store::open(disk, &dir, options)
            };
            // Only a panic in there, or the end of the runtime, could make the task fail.
            let opened = tokio::task::spawn_blocking(open).await;
            Ok(opened.map_err(|error| StartError::Interrupted(error.to_string()))??)
        }
    }
}

/// Loads the internal logs and opens every topic.
fn assemble(
    store: &Arc<Store>,
    config: &Arc<BrokerConfig>,
    env: &Env,
    ephemeral: bool,
    commands: Commands,
) -> Result<Core, StartError> {
    let live_config = Arc::new(LiveConfig::new(Arc::clone(config)));
    let topics = Arc::new(Topics::new(Arc::clone(store), Arc::clone(&live_config)));
    let told = Arc::new(OnceLock::new());
    let catalog = load_catalog(store, env, &topics, &live_config, &told)?;
    for scope in [ConfigScope::Cluster, ConfigScope::Broker(config.node_id)] {
        live_config.set(scope, catalog.inspect(|catalog| catalog.configs(scope)));
    }
    for (group_id, entries) in catalog.inspect(|catalog| catalog.group_configs().clone()) {
        live_config.set_group(group_id, entries);
    }
    reconcile(store, &topics, &catalog);
    let groups = load_groups(store, env, &topics, &live_config)?;
    // A crash may have come before the groups were told.
    for name in catalog.inspect(Catalog::deleted_names) {
        groups.tell(topic_changed(&name, None));
    }
    // A fresh cell takes its first value.
    let _ = told.set(Arc::clone(&groups));
    let transactions = load_transactions(store, env, config, &topics, &groups, commands)?;
    Ok(Core {
        config: Arc::clone(config),
        live_config,
        env: env.clone(),
        store: Arc::clone(store),
        ephemeral,
        topics,
        catalog,
        groups,
        transactions,
        producer_ids: ProducerIds::default(),
        fetch_sessions: Mutex::new(fetch_sessions(config, env)),
        validation: MemoryBudget::new(DECOMPRESSION_BYTES),
        lookups: MemoryBudget::new(DECOMPRESSION_BYTES),
        draining: CancellationToken::new(),
        advertised: OnceLock::new(),
    })
}

/// The groups that the catalog's commands are told to, once they are loaded.
type Told = Arc<OnceLock<Arc<Driver<GroupCoordinator>>>>;

fn load_catalog(
    store: &Store,
    env: &Env,
    topics: &Arc<Topics>,
    live_config: &Arc<LiveConfig>,
    told: &Told,
) -> Result<Arc<Driver<Catalog>>, StartError> {
    let limits = CatalogLimits::default();
    let (files, live) = (Arc::clone(topics), Arc::clone(live_config));
    let told = Arc::clone(told);
    // Before groups are loaded there is nobody to tell; they begin with what there is then.
    let tell = move |event| {
        if let Some(groups) = told.get() {
            groups.tell(event);
        }
    };
    load(
        store,
        env,
        internal_log::CATALOG,
        move || Catalog::new(limits),
        move |command| match command {
            CatalogCommand::Ensure(topic) => {
                files.ensure(&topic);
                tell(topic_changed(&topic.name, Some(&topic)));
            }
            CatalogCommand::Remove(topic) => {
                files.remove(&topic);
                tell(topic_changed(&topic.name, None));
            }
            CatalogCommand::Configure(scope, entries) => {
                live.set(scope, entries);
                files.reconfigure();
            }
            CatalogCommand::ConfigureGroup(group_id, entries) => {
                let settings = live.set_group(group_id.clone(), entries);
                let group_id = Arc::from(group_id);
                tell(GroupEvent::GroupConfigured { group_id, settings });
            }
        },
        alone,
    )
}

fn load_groups(
    store: &Store,
    env: &Env,
    topics: &Arc<Topics>,
    live_config: &Arc<LiveConfig>,
) -> Result<Arc<Driver<GroupCoordinator>>, StartError> {
    let config = group_config(live_config.started());
    let (ids, topics, live) = (env.clone(), Arc::clone(topics), Arc::clone(live_config));
    let new = move || {
        let ids = ids.clone();
        let mut image = TopicImage::default();
        for topic in topics.all() {
            let info = TopicInfo {
                id: topic.id.into_bytes(),
                partitions: i32::try_from(topic.partition_count()).unwrap_or(i32::MAX),
            };
            image.set(&Arc::from(&*topic.name), Some(info));
        }
        GroupCoordinator::new(config.clone(), image, live.group_overrides(), move || {
            ids.uuid()
        })
    };
    load(store, env, internal_log::GROUPS, new, report, alone)
}

fn topic_changed(name: &str, topic: Option<&TopicEntry>) -> GroupEvent {
    GroupEvent::TopicChanged {
        name: Arc::from(name),
        topic: topic.map(|topic| TopicInfo {
            id: topic.id.into_bytes(),
            partitions: topic.partitions,
        }),
    }
}

fn load_transactions(
    store: &Arc<Store>,
    env: &Env,
    config: &BrokerConfig,
    topics: &Arc<Topics>,
    groups: &Arc<Driver<GroupCoordinator>>,
    commands: Commands,
) -> Result<Arc<Driver<TransactionCoordinator>>, StartError> {
    let settings = TransactionConfig {
        max_timeout_ms: config.transaction_max_timeout_ms,
        id_expiration: config.transactional_id_expiration,
    };
    let journaled = groups.is_journaled();
    let partitions = Arc::clone(topics);
    let new = move || {
        let topics = Arc::clone(&partitions);
        let fate = move |participant: &_| transaction::shell::fate(&topics, journaled, participant);
        TransactionCoordinator::new(settings, fate)
    };
    let logs = transaction::shell::Logs {
        topics: Arc::clone(topics),
        groups: Arc::clone(groups),
        coordinator_epoch: store.leader_epoch(),
    };
    let execute = move |command| commands.give(command);
    let attach =
        move |log: &_, batch, attachments, now_ms| logs.append(log, batch, attachments, now_ms);
    load(store, env, internal_log::TRANSACTIONS, new, execute, attach)
}

fn fetch_sessions(config: &BrokerConfig, env: &Env) -> FetchSessions {
    let (most, ids) = (
        config.max_incremental_fetch_session_cache_slots,
        env.clone(),
    );
    let high_bits = move || i32::try_from(ids.random_u64() >> 33).unwrap_or(i32::MAX);
    FetchSessions::new(most, high_bits)
}

fn internal_config() -> LogConfig {
    LogConfig {
        segment_bytes: INTERNAL_SEGMENT_BYTES,
        durability: Durability::Journal,
        ..LogConfig::default()
    }
}

fn group_config(config: &BrokerConfig) -> GroupConfig {
    let policy = config.group_consumer_migration_policy.as_str();
    GroupConfig {
        min_session_timeout: config.group_min_session_timeout,
        max_session_timeout: config.group_max_session_timeout,
        initial_rebalance_delay: config.group_initial_rebalance_delay,
        max_size: config.group_max_size,
        consumer_session_timeout: config.group_consumer_session_timeout,
        consumer_heartbeat_interval: config.group_consumer_heartbeat_interval,
        consumer_max_size: config.group_consumer_max_size,
        consumer_assignors: config
            .group_consumer_assignors
            .iter()
            .filter_map(|name| Assignor::named(name))
            .collect(),
        migration_policy: MigrationPolicy {
            upgrade: ["bidirectional", "upgrade"].contains(&policy),
            downgrade: ["bidirectional", "downgrade"].contains(&policy),
        },
        offset_metadata_max_bytes: config.offset_metadata_max_bytes,
        offsets_retention: config.offsets_retention,
        offsets_retention_check_interval: config.offsets_retention_check_interval,
        ..GroupConfig::default()
    }
}

fn load<M: Machine>(
    store: &Store,
    env: &Env,
    (name, id): InternalLog,
    new: impl Fn() -> M + Send + Sync + 'static,
    execute: impl Fn(M::Command) + Send + Sync + 'static,
    attach: impl Fn(&Arc<Log>, Append, Vec<M::Attachment>, i64) -> Result<Appended, AppendError>
    + Send
    + Sync
    + 'static,
) -> Result<Arc<Driver<M>>, StartError> {
    let damaged = |reason: String| StartError::InternalLog { log: name, reason };
    let identity = LogIdentity {
        topic: name.to_owned(),
        topic_id: id,
        partition: 0,
    };
    let log = match store.log(name, 0) {
        Some(log) if log.identity().topic_id == id => log,
        Some(log) => {
            let other = log.identity().topic_id;
            return Err(damaged(format!("its id is {other} instead of {id}")));
        }
        None => store
            .create_log(identity, internal_config())
            .map_err(|error| damaged(error.to_string()))?,
    };
    Driver::load(Partition::new(log), env.clone(), new, execute, attach)
        .map_err(|error: LoadError| damaged(error.to_string()))
}

/// Tells the operator what became of a group.
fn report(command: GroupCommand) {
    match command {
        GroupCommand::Rebalancing {
            group_id,
            generation_id,
            reason,
        } => {
            tracing::info!(
                group = &*group_id,
                generation_id,
                ?reason,
                "group rebalances"
            );
        }
        GroupCommand::GenerationStarted {
            group_id,
            generation_id,
            members,
        } => {
            tracing::info!(
                group = &*group_id,
                generation_id,
                members,
                "generation started"
            );
        }
        GroupCommand::ProtocolChanged { group_id, protocol } => {
            tracing::info!(group = &*group_id, protocol, "group changes its protocol");
        }
        GroupCommand::MemberExpired {
            group_id,
            member_id,
        } => {
            tracing::warn!(group = &*group_id, member = &*member_id, "member expired");
        }
        GroupCommand::MemberFenced {
            group_id,
            member_id,
        } => {
            tracing::warn!(group = &*group_id, member = &*member_id, "member fenced");
        }
    }
}

/// Brings the directories in line with the catalog: a crash may have come between a change of the
/// catalog and its execution.
fn reconcile(store: &Store, topics: &Topics, catalog: &Driver<Catalog>) {
    let (entries, deleted) = catalog.inspect(|catalog| {
        (
            catalog.topics().cloned().collect::<Vec<_>>(),
            catalog.deleted().clone(),
        )
    });
    for entry in &entries {
        topics.ensure(entry);
    }
    for log in store.logs() {
        let identity = log.identity();
        if deleted.contains_key(&identity.topic_id) {
            if let Err(error) = store.delete_log(&identity.topic, identity.partition) {
                tracing::error!(topic = identity.topic, %error, "cannot delete partition");
            }
        } else if topics.by_id(identity.topic_id).is_none()
            && !internal_log::is_id(identity.topic_id)
        {
            tracing::warn!(
                topic = identity.topic,
                partition = identity.partition,
                "the directory of a topic that is not in the catalog is left alone"
            );
        }
    }
}

/// A running broker. [`Broker::shutdown`] stops it in good order.
///
/// Dropping it stops everything at once, as a kill would: nothing acknowledged is lost, requests
/// that wait for an answer fail, connections end. When the drop returns, the broker's threads have
/// ended and its directory can be opened again; it waits for a write or sync that is under way.
pub struct Broker {
    core: Arc<Core>,
    store: Arc<Store>,
    local_addr: Option<SocketAddr>,
    /// The listener, its connections and the calls of this process.
    clients: TaskTracker,
    /// What the broker does by itself.
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.cancel();
        self.store.abandon();
    }
}

impl Broker {
    /// Settings for a new broker.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder {
            config: BrokerConfig::default(),
            data_dir: None,
            listen: None,
            advertise: None,
            seed: None,
            start_time: None,
            #[cfg(feature = "testing")]
            simulated: None,
        }
    }

    /// The broker for clients in this process: a client takes it in place of an address. Clients
    /// elsewhere may use [`local_addr`](Self::local_addr) at the same time.
    #[must_use]
    pub fn in_process(&self) -> InProcess {
        InProcess::new(&self.core, self.stop.clone(), self.clients.clone())
    }

    /// The address that is listened on, with the port that was picked.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addr
    }

    /// What all clients are told to connect to, if it is one thing.
    #[must_use]
    pub fn advertised(&self) -> Option<&Endpoint> {
        self.core.advertised.get()
    }

    /// Stops in good order: takes no more requests, answers those it has, syncs everything and
    /// marks the data directory as cleanly closed.
    ///
    /// # Errors
    /// [`ShutdownError`] when something could not be synced; the next start recovers.
    ///
    /// # Cancel safety
    /// Dropping it is the same as dropping the broker.
    pub async fn shutdown(self) -> Result<(), ShutdownError> {
        self.core.draining.cancel();
        self.clients.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, self.clients.wait())
            .await
            .is_err()
        {
            tracing::warn!("stopping although not everyone took their answers");
        }
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let store = Arc::clone(&self.store);
        let close = move || {
            store
                .close()
                .map_err(|error| ShutdownError(error.to_string()))
        };
        self.core
            .blocking(close)
            .await
            .unwrap_or_else(|error| Err(ShutdownError(error.to_string())))
    }
}

/// Not everything could be synced when the broker stopped.
#[derive(Debug, thiserror::Error)]
#[error(
    "the data directory could not be closed cleanly and will be recovered at the next start: {0}"
)]
pub struct ShutdownError(String);
