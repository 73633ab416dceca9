//! A started broker: its process, its data directory and its port, all gone when the value is dropped.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::deadline::Deadline;
use crate::{skip, workspace};

/// A broker that tests talk to.
pub struct Broker {
    bootstrap: String,
    own: Option<Own>,
}

/// What a broker that the test itself started consists of.
struct Own {
    directory: TempDir,
    settings: Vec<String>,
    process: Option<Child>,
}

impl Broker {
    /// A fresh broker with an empty data directory, or the one that `OTTLA_BOOTSTRAP` names.
    pub fn start() -> Self {
        match std::env::var("OTTLA_BOOTSTRAP") {
            Ok(bootstrap) => Self::at(&bootstrap),
            Err(_) => Self::start_own(&[]),
        }
    }

    /// The broker that listens there.
    pub fn at(bootstrap: &str) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            own: None,
        }
    }

    /// A fresh broker that the test may stop; `None`, and a word on the terminal, against a foreign one.
    pub fn start_restartable(test: &str) -> Option<Self> {
        if std::env::var_os("OTTLA_BOOTSTRAP").is_some() {
            skip(
                test,
                "the broker that OTTLA_BOOTSTRAP names is not ours to restart",
            );
            return None;
        }
        Some(Self::start_own(&[]))
    }

    /// A fresh broker with these settings (`key=value`).
    pub fn start_own(settings: &[&str]) -> Self {
        let mut broker = Self {
            bootstrap: format!("127.0.0.1:{}", free_port()),
            own: Some(Own {
                directory: TempDir::with_prefix("ottla-test-").expect("a temporary directory"),
                settings: settings.iter().map(ToString::to_string).collect(),
                process: None,
            }),
        };
        broker.launch();
        broker
    }

    /// `host:port` for clients.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        data_dir(self.own().directory.path())
    }

    /// Stops as an operator would (SIGTERM) and waits for the end.
    pub fn stop(&mut self) {
        let mut process = self.own_mut().process.take().expect("a running broker");
        signal(&process, Signal::TERM);
        let status = Deadline::generous()
            .poll(|| process.try_wait().expect("the status of the broker"))
            .expect("the broker ends after SIGTERM");
        // A foreign program behind OTTLA_BINARY may report the signal as its status.
        let orderly = status.success() || std::env::var_os("OTTLA_BINARY").is_some();
        assert!(orderly, "the broker ended with {status} after SIGTERM");
    }

    /// Kills without a warning (SIGKILL).
    pub fn kill(&mut self) {
        let mut process = self.own_mut().process.take().expect("a running broker");
        process.kill().expect("SIGKILL reaches the broker");
        process.wait().expect("the end of the broker");
    }

    /// Starts again on the same port and data directory, after `stop` or `kill`.
    pub fn start_again(&mut self) {
        assert!(self.own().process.is_none(), "the broker still runs");
        self.launch();
    }

    fn launch(&mut self) {
        let bootstrap = self.bootstrap.clone();
        let own = self.own_mut();
        let log = File::options()
            .create(true)
            .append(true)
            .open(log_path(own.directory.path()))
            .expect("a log file");
        let mut command = Command::new(binary());
        command.arg("serve").args(["--listen", &bootstrap]);
        command
            .arg("--data-dir")
            .arg(data_dir(own.directory.path()));
        for setting in &own.settings {
            command.args(["--set", setting]);
        }
        command.stdin(Stdio::null());
        command
            .stdout(log.try_clone().expect("a second handle of the log file"))
            .stderr(log);
        let mut process = command.spawn().expect("the broker's program starts");
        let listening = Deadline::generous().poll(|| {
            if let Some(status) = process.try_wait().expect("the status of the broker") {
                return Some(Err(status));
            }
            TcpStream::connect(&bootstrap).ok().map(Ok)
        });
        own.process = Some(process);
        match listening {
            Some(Ok(_)) => {}
            Some(Err(status)) => panic!("the broker ended with {status} before it listened"),
            None => panic!("the broker does not listen on {bootstrap}"),
        }
    }

    fn own(&self) -> &Own {
        self.own.as_ref().expect("a broker of our own")
    }

    fn own_mut(&mut self) -> &mut Own {
        self.own.as_mut().expect("a broker of our own")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let Some(own) = &mut self.own else { return };
        if let Some(process) = &mut own.process {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(log_path(own.directory.path())).unwrap_or_default();
            let skipped = log.lines().count().saturating_sub(60);
            let tail: Vec<&str> = log.lines().skip(skipped).collect();
            let _ = writeln!(
                std::io::stderr(),
                "end of the broker's log:\n{}",
                tail.join("\n")
            );
        }
    }
}

fn data_dir(directory: &Path) -> PathBuf {
    directory.join("data")
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("broker.log")
}

/// Sends a signal to a process that has not been waited for.
pub(crate) fn signal(process: &Child, signal: Signal) {
    let id = i32::try_from(process.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id");
    kill_process(id, signal).expect("the signal is sent");
}

/// A port that is free now and that no outgoing connection takes while the broker is down.
///
/// Below the range of ephemeral ports: a client that keeps connecting to a closed port of that range can
/// meet itself, and then holds the port that the restarted broker needs.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 10_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 97).unwrap_or(0) * 100;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(step) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

/// The program to start: `OTTLA_BINARY`, or the `ottla` of this workspace, built now if it is not up to date.
///
/// Cargo tells the path of a binary only to the tests of its own package, so cargo is asked.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("OTTLA_BINARY") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace());
    command.args([
        "build",
        "--quiet",
        "--workspace",
        "--bin",
        "ottla",
        "--message-format",
        "json",
    ]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo cannot build the `ottla` binary"
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .expect("cargo names the binary that it built")
}
