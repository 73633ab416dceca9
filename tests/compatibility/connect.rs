//! Kafka Connect, standalone: a file into a topic, and the topic into another file.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use ottla_tests::client::APACHE_KAFKA;
use ottla_tests::{Broker, Deadline, Program};
use tempfile::TempDir;

const CONNECT: &str = "org.apache.kafka.connect.cli.ConnectStandalone";

const JAVA_OPTIONS: &str = "-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1";

struct Worker {
    broker: Broker,
    files: TempDir,
}

impl Worker {
    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn write(&self, name: &str, lines: &[String]) {
        fs::write(self.path(name), lines.join("\n")).expect("the temporary directory");
    }

    fn configure(&self) {
        let at = |name: &str| self.path(name).display().to_string();
        let text = "org.apache.kafka.connect.storage.StringConverter";
        self.write(
            "worker.properties",
            &[
                format!("bootstrap.servers={}", self.broker.bootstrap()),
                format!("key.converter={text}"),
                format!("value.converter={text}"),
                format!("offset.storage.file.filename={}", at("offsets")),
                "offset.flush.interval.ms=200".to_string(),
                "listeners=http://127.0.0.1:0".to_string(),
                "plugin.discovery=service_load".to_string(),
            ],
        );
        self.write(
            "source.properties",
            &[
                "name=source".to_string(),
                "connector.class=FileStreamSource".to_string(),
                "topic=copied".to_string(),
                format!("file={}", at("from.txt")),
            ],
        );
        self.write(
            "sink.properties",
            &[
                "name=sink".to_string(),
                "connector.class=FileStreamSink".to_string(),
                "topics=copied".to_string(),
                format!("file={}", at("to.txt")),
            ],
        );
    }

    fn start(&self) -> Program {
        let mut command: Command = APACHE_KAFKA.command();
        command.arg(CONNECT).env("KAFKA_OPTS", JAVA_OPTIONS);
        for name in ["worker", "source", "sink"] {
            command.arg(self.path(&format!("{name}.properties")));
        }
        Program::start("Kafka Connect", command)
    }

    /// Appends lines from `first` on to the file that is copied.
    fn append(&self, lines: std::ops::Range<usize>) {
        let file = File::options()
            .create(true)
            .append(true)
            .open(self.path("from.txt"));
        let mut file = file.expect("the temporary directory");
        for line in lines {
            writeln!(file, "line {line}").expect("room for a line");
        }
    }

    /// Waits until so many lines are copied, and returns the copy.
    fn copy(&self, lines: usize) -> String {
        let copied = Deadline::generous().poll(|| {
            let copy = fs::read_to_string(self.path("to.txt")).unwrap_or_default();
            (copy.lines().count() >= lines).then_some(copy)
        });
        copied.unwrap_or_else(|| panic!("{lines} lines are not copied"))
    }
}

#[test]
fn a_file_is_copied_through_a_topic_line_by_line_and_on_after_a_restart() {
    if !APACHE_KAFKA.is_here() {
        return;
    }
    let worker = Worker {
        broker: Broker::start_own(&[]),
        files: TempDir::with_prefix("ottla-connect-").expect("a temporary directory"),
    };
    worker.configure();
    let lines = |count: usize| {
        (0..count)
            .map(|line| format!("line {line}\n"))
            .collect::<String>()
    };
    worker.append(0..1_000);
    let running = worker.start();
    assert_eq!(worker.copy(1_000), lines(1_000));
    running.terminate();
    worker.append(1_000..1_500);
    let running = worker.start();
    assert_eq!(worker.copy(1_500), lines(1_500));
    running.terminate();
}
