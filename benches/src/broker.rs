//! Both brokers, each on its core and with its defaults, started and stopped in the same way.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use ottla_protocol::ErrorCode;
use ottla_protocol::message::{MetadataRequest, MetadataRequestTopic};
use ottla_tests::wire::Connection;
use ottla_tests::workspace;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::process::{self, BROKER_CORE, Memory, pinned};

/// The Metadata version asked in.
const METADATA: i16 = 9;

/// How long a broker may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Kafka's own start script gives these to Java.
const KAFKA_JAVA: &str = "-Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 \
     -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true";

/// Which broker.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// This one.
    Ottla,
    /// Apache Kafka.
    Kafka,
}

/// When a record is acknowledged.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// When it is in the page cache.
    PageCache,
    /// When it is synced: `flush.messages=1`.
    Fsync,
}

impl Durability {
    fn setting(self) -> &'static str {
        match self {
            Self::PageCache => "log.flush.interval.messages=9223372036854775807",
            Self::Fsync => "log.flush.interval.messages=1",
        }
    }
}

/// A running broker, killed when the value is dropped.
pub struct Broker {
    child: Child,
    address: String,
    directory: TempDir,
    system: System,
    settings: Vec<String>,
    /// From the start of the process to its first answer to a Metadata request.
    pub started_in: Duration,
}

impl Broker {
    /// Starts a broker with an empty data directory on its core.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start(system: System, settings: &[String]) -> Result<Self> {
        let root = workspace().join("target/benches");
        std::fs::create_dir_all(&root)?;
        let directory = TempDir::with_prefix_in("data-", root)?;
        Self::start_in(directory, system, settings)
    }

    fn start_in(directory: TempDir, system: System, settings: &[String]) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let log = File::options()
            .create(true)
            .append(true)
            .open(directory.path().join("broker.log"))?;
        let mut command = pinned(BROKER_CORE, &program(system)?);
        command.args(["serve", "--listen", &address, "--data-dir"]);
        command.arg(directory.path().join("data"));
        for setting in settings {
            command.args(["--set", setting]);
        }
        if system == System::Kafka {
            command.env("KAFKA_OPTS", KAFKA_JAVA);
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let start = Instant::now();
        let child = command.spawn().context("cannot start a broker")?;
        let mut broker = Self {
            child,
            address,
            directory,
            system,
            settings: settings.to_vec(),
            started_in: Duration::ZERO,
        };
        broker.await_answer(start)?;
        broker.started_in = start.elapsed();
        Ok(broker)
    }

    fn await_answer(&mut self, start: Instant) -> Result<()> {
        while start.elapsed() < START_TIMEOUT {
            if let Some(status) = self.child.try_wait()? {
                bail!("the broker ended with {status}: {}", self.log());
            }
            if std::net::TcpStream::connect(&self.address).is_ok() {
                let request = MetadataRequest {
                    topics: Some(Vec::new()),
                    ..Default::default()
                };
                let answer = Connection::open(&self.address).try_call(METADATA, request);
                if answer.is_some_and(|answer| !answer.brokers.is_empty()) {
                    return Ok(());
                }
            }
            thread::sleep(Duration::from_micros(500));
        }
        bail!("the broker does not answer: {}", self.log())
    }

    /// `host:port` for clients.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The id of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Which broker it is.
    #[must_use]
    pub fn system(&self) -> System {
        self.system
    }

    /// CPU seconds since the start.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu(&self) -> Result<f64> {
        process::cpu(self.child.id())
    }

    /// Memory now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> Result<Memory> {
        process::memory(self.child.id())
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("broker.log")).unwrap_or_default()
    }

    /// Creates a topic and waits until all its partitions have a leader.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        let mut connection = Connection::open(&self.address);
        let code = connection.create_topic(name, partitions);
        ensure!(code == ErrorCode::None, "cannot create {name}: {code:?}");
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let topic = MetadataRequestTopic {
                name: Some(name.into()),
                ..Default::default()
            };
            let request = MetadataRequest {
                topics: Some(vec![topic]),
                ..Default::default()
            };
            let answer = connection
                .try_call(METADATA, request)
                .context("no metadata")?;
            let all = answer.topics.iter().flat_map(|topic| &topic.partitions);
            let led = all.filter(|partition| partition.leader_id >= 0).count();
            if led == usize::try_from(partitions)? {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{name} has no leaders");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it (SIGKILL) and starts it again on its data.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn kill_and_restart(self) -> Result<Self> {
        self.end_and_restart(false)
    }

    /// Stops it in good order and starts it again on its data.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn restart(self) -> Result<Self> {
        self.end_and_restart(true)
    }

    fn end_and_restart(mut self, in_order: bool) -> Result<Self> {
        if in_order {
            self.terminate()?;
        } else {
            self.child.kill()?;
        }
        self.child.wait()?;
        let (system, settings) = (self.system, std::mem::take(&mut self.settings));
        let empty = TempDir::new()?;
        let directory = std::mem::replace(&mut self.directory, empty);
        drop(self);
        Self::start_in(directory, system, &settings)
    }

    fn terminate(&self) -> Result<()> {
        let id = i32::try_from(self.child.id())?;
        let id = rustix::process::Pid::from_raw(id).context("no process id")?;
        Ok(rustix::process::kill_process(
            id,
            rustix::process::Signal::TERM,
        )?)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a broker of this durability.
///
/// # Errors
/// When it does not answer.
pub fn start(system: System, durability: Durability) -> Result<Broker> {
    Broker::start(system, &[durability.setting().to_owned()])
}

/// Two free ports in a row: Kafka's controller takes the second.
fn free_port() -> Result<u16> {
    for port in (20_000..30_000).step_by(2) {
        let free = |port| std::net::TcpListener::bind(("127.0.0.1", port));
        if let (Ok(_one), Ok(_two)) = (free(port), free(port + 1)) {
            return Ok(port);
        }
    }
    bail!("no free port")
}

fn program(system: System) -> Result<PathBuf> {
    match system {
        System::Ottla => ottla(),
        System::Kafka => foreign("apache-kafka"),
    }
}

/// The release build of `ottla`: `OTTLA_BINARY`, or that of this workspace.
///
/// # Errors
/// When it is not there.
pub fn ottla() -> Result<PathBuf> {
    let path = std::env::var_os("OTTLA_BINARY")
        .map_or_else(|| workspace().join("target/release/ottla"), PathBuf::from);
    ensure!(
        path.exists(),
        "{} is not there; run cargo build --release --package ottla",
        path.display()
    );
    Ok(path)
}

/// A foreign program, installed now if it is not.
///
/// # Errors
/// When it cannot be installed.
pub fn foreign(name: &str) -> Result<PathBuf> {
    let root = workspace();
    let installed = Command::new(root.join(".ci/install-clients"))
        .arg(name)
        .status()?;
    ensure!(installed.success(), "{name} could not be installed");
    Ok(Path::new(&root)
        .join("target/clients")
        .join(name)
        .join("run"))
}
