//! Apache Kafka itself, to hold Ottla against: one node for all tests of a process, which ends with it.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::broker::free_port;
use crate::client::APACHE_KAFKA;
use crate::deadline::Deadline;

/// Keeps the broker ($3 and what follows) until the other end of its standard input is closed, which happens however
/// the process that started it ends. Then $1, where the broker has its data and its log, is removed.
const KEEPER: &str = r#"
directory=$1 log=$2
shift 2
"$@" >"$log" 2>&1 &
cat >/dev/null
kill -KILL $!
wait
rm -rf "$directory"
"#;

/// Options for Java: a small heap, and no time spent on optimising what runs for seconds.
const JAVA_OPTIONS: &str = "-Xms96m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto";

/// A cleaner that does not wait, and whose buffer leaves room in a small heap: by default it has 128 MiB, and none is
/// left when its threads are started again. Members of the consumer protocol hear soon what there is for them to do.
const SETTINGS: [&str; 4] = [
    "group.consumer.min.heartbeat.interval.ms=100",
    "group.consumer.heartbeat.interval.ms=100",
    "log.cleaner.backoff.ms=50",
    "log.cleaner.dedupe.buffer.size=8388608",
];

struct Kafka {
    /// Holds the keeper's standard input.
    _keeper: Child,
    bootstrap: String,
}

/// `host:port` of the node, started by the first call; `None`, and a word on the terminal, where it cannot run.
///
/// # Panics
/// When it does not start.
pub fn bootstrap() -> Option<&'static str> {
    static KAFKA: OnceLock<Kafka> = OnceLock::new();
    APACHE_KAFKA
        .is_here()
        .then(|| KAFKA.get_or_init(start).bootstrap.as_str())
}

fn start() -> Kafka {
    let directory = TempDir::with_prefix("ottla-kafka-").expect("a temporary directory");
    let directory = directory.keep();
    let log = directory.join("broker.log");
    // Its controller listens on the port behind.
    let port = loop {
        let port = free_port();
        if free_port() == port + 1 {
            break port;
        }
    };
    let bootstrap = format!("127.0.0.1:{port}");
    let mut command = Command::new("sh");
    command
        .args(["-c", KEEPER, "keeper"])
        .args([&directory, &log]);
    command.arg(APACHE_KAFKA.command().get_program());
    command.args(["serve", "--listen", &bootstrap, "--data-dir"]);
    command.arg(directory.join("data"));
    for setting in SETTINGS {
        command.args(["--set", setting]);
    }
    command.env("KAFKA_OPTS", JAVA_OPTIONS);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let keeper = command.stderr(Stdio::null()).spawn().expect("a shell");
    let listening = Deadline::generous().poll(|| TcpStream::connect(&bootstrap).ok());
    if listening.is_none() {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        panic!("Apache Kafka does not listen on {bootstrap}:\n{log}");
    }
    Kafka {
        _keeper: keeper,
        bootstrap,
    }
}
