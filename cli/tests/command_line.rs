//! The program as a shell sees it: what it prints where, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The program with no setting but those of the test.
fn ottla(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("KAFKA_") {
            command.env_remove(variable);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Ends with code 1, says nothing on standard output and one line on standard error.
fn refusal(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(text(&stdout), "");
    let line = text(&stderr).strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line}");
    line.to_owned()
}

/// A broker on a free port, killed when the test ends.
struct Serving {
    child: Child,
    line: String,
}

impl Serving {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self { child, line }
    }

    fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
        let mut logs = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut logs)
            .unwrap();
        (self.child.wait().unwrap().code(), logs)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = ottla(&["--version"]).output().unwrap();
    assert_eq!(
        text(&output.stdout),
        format!("ottla {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn an_unknown_setting_ends_it_with_the_nearest_one() {
    assert_eq!(
        refusal(&mut ottla(&["serve", "--set", "num.partition=3"])),
        "ottla: --set: there is no setting `num.partition`; did you mean `num.partitions`?"
    );
}

#[test]
fn a_bad_value_in_a_file_ends_it_with_the_name_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.properties");
    std::fs::write(&path, "num.partitions=none\n").unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(
        refusal(&mut ottla(&["serve", "--config", path])),
        format!(
            "ottla: {path}: the setting `num.partitions` is `none`, but must be an integer, at \
             least 1"
        )
    );
}

#[test]
fn a_bad_value_in_the_environment_ends_it_with_the_name_of_the_variable() {
    let line = refusal(ottla(&["serve"]).env("KAFKA_NODE_ID", "one"));
    assert!(
        line.starts_with("ottla: environment variable KAFKA_NODE_ID: "),
        "{line}"
    );
}

#[test]
fn an_address_for_other_machines_needs_a_flag() {
    let line = refusal(&mut ottla(&["serve", "--listen", "0.0.0.0:0"]));
    assert!(
        line.starts_with("ottla: refusing to listen on 0.0.0.0:0"),
        "{line}"
    );
}

#[test]
fn a_bad_log_level_ends_it() {
    let line = refusal(&mut ottla(&["serve", "--log-level", "=loud="]));
    assert!(
        line.starts_with("ottla: --log-level takes a level"),
        "{line}"
    );
}

#[test]
fn a_benchmark_refuses_what_it_would_not_keep_to() {
    let property = ["--property", "auto.offset.reset=latest"];
    for (task, value) in [("consume", "earliest"), ("end-to-end", "latest")] {
        let expected =
            format!("ottla: --property: `auto.offset.reset` is always `{value}` in this benchmark");
        let refused = refusal(ottla(&["bench", task]).args(property));
        assert_eq!(refused, expected);
    }
    let refused = refusal(&mut ottla(&["bench", "end-to-end", "--size", "15"]));
    assert!(
        refused.starts_with("ottla: --size must be at least 16"),
        "{refused}"
    );
}

#[test]
fn config_shows_every_value_with_its_origin() {
    let output = ottla(&["config", "--set", "num.partitions=3", "--data-dir", "/data"])
        .env("KAFKA_LOG_RETENTION_MINUTES", "5")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(text(&output.stderr), "");
    let words: Vec<Vec<&str>> = text(&output.stdout)
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let line = |name: &str| {
        words
            .iter()
            .find(|line| line[0] == name)
            .map(|line| line.join(" "))
    };
    assert_eq!(line("num.partitions").unwrap(), "num.partitions 3 --set");
    assert_eq!(line("log.dirs").unwrap(), "log.dirs /data --data-dir");
    assert_eq!(
        line("fetch.max.bytes").unwrap(),
        "fetch.max.bytes 57671680 default"
    );
    assert_eq!(
        line("log.retention.minutes").unwrap(),
        "log.retention.minutes 5 environment variable KAFKA_LOG_RETENTION_MINUTES"
    );
    assert_eq!(line("log.retention.hours"), None);
}

#[test]
fn config_warns_of_a_setting_without_effect() {
    let output = ottla(&["config", "--set", "num.io.threads=8"])
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(
        text(&output.stderr),
        "ottla: warning: --set: the setting `num.io.threads` has no effect: Ottla sizes its \
         threads and buffers itself\n"
    );
}

#[test]
fn serve_says_in_one_line_where_it_is_and_ends_on_a_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().to_str().unwrap();
        let serving = Serving::start(&mut ottla(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data,
        ]));
        let address = serving
            .line
            .strip_prefix("ottla is listening on 127.0.0.1:")
            .unwrap();
        let (port, rest) = address.split_once(',').unwrap();
        assert_ne!(port.parse::<u16>().unwrap(), 0);
        assert_eq!(rest, format!(" data in {data}\n"));
        let (code, logs) = serving.end(signal);
        assert_eq!(code, Some(0));
        assert!(
            logs.lines().all(|line| line.starts_with("{\"timestamp\":")),
            "{logs}"
        );
    }
}

/// A data directory with one partition, which a broker has made and closed, and bytes that are no
/// batch at the end of it.
fn damaged_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let serving = Serving::start(&mut ottla(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        data,
    ]));
    assert_eq!(serving.end(Signal::TERM).0, Some(0));
    let catalog = directory.path().join("__cluster_metadata-0");
    let log = catalog.join("00000000000000000000.log");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes.extend_from_slice(&[7; 100]);
    std::fs::write(&log, bytes).unwrap();
    directory
}

#[test]
fn inspect_shows_what_is_damaged_and_repair_keeps_it_aside() {
    let directory = damaged_directory();
    let data = directory.path().to_str().unwrap();
    let output = ottla(&["inspect", data]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stdout);
    assert!(shown.contains("leader epoch 0, closed"), "{shown}");
    assert!(shown.contains("damaged: "), "{shown}");
    assert_eq!(
        text(&output.stderr),
        "ottla: one place is damaged; `ottla repair` makes a partition one that is served again\n"
    );
    let name = "__cluster_metadata-0";
    let output = ottla(&["repair", data, "--partition", name])
        .output()
        .unwrap();
    assert_eq!(text(&output.stderr), "");
    let repaired = text(&output.stdout);
    let kept = directory.path().join(format!("{name}.1-damaged"));
    let last = format!("  the files as they were are in {}\n", kept.display());
    assert!(repaired.ends_with(&last), "{repaired}");
    assert!(kept.join("00000000000000000000.log").is_file());
    let output = ottla(&["inspect", data, "--partition", name])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stdout));
}

#[test]
fn inspect_and_repair_refuse_what_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let nothing = format!("ottla: {data} is not an Ottla data directory");
    assert_eq!(refusal(&mut ottla(&["inspect", data])), nothing);
    let repair = ["repair", data, "--partition", "orders-0"];
    assert_eq!(refusal(&mut ottla(&repair)), nothing);
    let serving = Serving::start(&mut ottla(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        data,
    ]));
    assert_eq!(serving.end(Signal::TERM).0, Some(0));
    let unknown = format!("ottla: {data} has no partition orders-0");
    assert_eq!(refusal(&mut ottla(&repair)), unknown);
}

#[test]
fn inspect_and_repair_say_why_a_directory_cannot_be_looked_into() {
    let directory = tempfile::tempdir().unwrap();
    let looping = directory.path().join("data");
    std::os::unix::fs::symlink(&looping, &looping).unwrap();
    let data = looping.to_str().unwrap();
    for command in ["inspect", "repair"] {
        let refused = refusal(&mut ottla(&[command, data]));
        let reason = format!("ottla: cannot look into the data directory {data}: ");
        assert!(refused.starts_with(&reason), "{refused}");
    }
}

#[test]
fn repair_without_a_partition_goes_on_without_a_damaged_checkpoint() {
    let directory = damaged_directory();
    let data = directory.path().to_str().unwrap();
    std::fs::remove_file(directory.path().join("clean-shutdown")).unwrap();
    let checkpoint = directory.path().join("checkpoint");
    let mut bytes = std::fs::read(&checkpoint).unwrap();
    bytes[17] ^= 1;
    std::fs::write(&checkpoint, bytes).unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data];
    let refused = refusal(&mut ottla(&serve));
    assert!(refused.contains("`ottla repair`"), "{refused}");
    let output = ottla(&["repair", data]).output().unwrap();
    assert_eq!(text(&output.stderr), "");
    let kept = directory.path().join("journal.1-damaged");
    assert!(text(&output.stdout).contains(kept.to_str().unwrap()));
    assert!(kept.join("checkpoint").is_file());
    let inspected = ottla(&["inspect", data]).output().unwrap();
    assert!(text(&inspected.stdout).contains(", closed"));
}
