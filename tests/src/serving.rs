//! The `ottla` program as whoever starts it sees it: what it says where, and how it ends.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::Signal;
use tempfile::NamedTempFile;

use crate::broker::{binary, signal};
use crate::deadline::Deadline;

/// `ottla serve` on a free port with its data in `data_dir`, and no setting from this process's environment.
pub fn serve(data_dir: &Path) -> Command {
    serve_on("127.0.0.1:0", data_dir)
}

/// [`serve`] on an address.
pub fn serve_on(address: &str, data_dir: &Path) -> Command {
    let mut command = Command::new(binary());
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("KAFKA_") {
            command.env_remove(variable);
        }
    }
    command.args(["serve", "--listen", address, "--data-dir"]);
    command.arg(data_dir).stdin(Stdio::null());
    command
}

/// What `command` says when it refuses to start: one line on standard error, nothing on standard output, and exit
/// code 1. Log lines are left out.
///
/// # Panics
/// When it starts, or refuses in another way.
pub fn refusal(mut command: Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(1), "{said}");
    assert_eq!(String::from_utf8_lossy(&stdout), "");
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with('{')).collect();
    let [line] = lines.as_slice() else {
        panic!("not one line: {said}");
    };
    let sentence = line.strip_prefix("ottla: ").expect("who says it");
    sentence.to_owned()
}

/// A broker that listens, killed when the value is dropped.
pub struct Serving {
    child: Child,
    address: String,
    log: NamedTempFile,
}

impl Serving {
    /// Starts `command` and waits for the line that says where it listens.
    pub fn start(mut command: Command) -> Self {
        let log = NamedTempFile::with_prefix("ottla-log-").expect("a temporary file");
        let errors = File::options()
            .append(true)
            .open(log.path())
            .expect("the temporary file");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("a piped stdout");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let mut serving = Self {
            child,
            address: String::new(),
            log,
        };
        let address = line
            .strip_prefix("ottla is listening on ")
            .and_then(|rest| rest.split(',').next());
        let Some(address) = address else {
            panic!("no broker: {line}{}", serving.log());
        };
        serving.address = address.to_owned();
        serving
    }

    /// `host:port` for clients.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, kind: Signal) {
        signal(&self.child, kind);
    }

    /// Waits for the end and returns the exit code; `None` when a signal ended it.
    pub fn wait(&mut self) -> Option<i32> {
        let status = Deadline::generous()
            .poll(|| self.child.try_wait().expect("the status of the broker"))
            .expect("the broker ends");
        status.code()
    }

    /// Kills without a warning (SIGKILL).
    pub fn kill(mut self) {
        self.child.kill().expect("SIGKILL reaches the broker");
        self.child.wait().expect("the end of the broker");
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap_or_default()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the broker's log:\n{}", self.log());
        }
    }
}
