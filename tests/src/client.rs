//! The foreign clients: what each can do, how it is installed, and its program's command line.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::broker::Broker;
use crate::deadline::Deadline;
use crate::program::{Groups, Line, Offsets, Program};
use crate::record::{Consumed, Numbered, Record};
use crate::{is_ci, skip, workspace};

/// A foreign client and its program in `tests/compatibility`.
pub struct Client {
    /// Also the argument of `.ci/install-clients` and the folder of what that installs.
    pub name: &'static str,
    /// What comes before the scenario on the command line.
    first_argument: Option<&'static str>,
    /// The codecs that it can write, by Kafka's names.
    pub codecs: &'static [&'static str],
    /// Whether a header without a value stays null.
    pub null_header_values: bool,
    /// Whether key and value may both be null.
    pub empty_records: bool,
    installed: OnceLock<Result<PathBuf, String>>,
}

/// Every codec of Kafka.
pub const ALL_CODECS: &[&str] = &["none", "gzip", "snappy", "lz4", "zstd"];

/// Apache Kafka's own client.
pub static JAVA: Client = Client::new("java", ALL_CODECS).started_by("ottla.compatibility.Client");
/// librdkafka, from Python.
pub static CONFLUENT: Client = Client::new("python-confluent", ALL_CODECS);
/// kafka-python.
pub static KAFKA_PYTHON: Client = Client::new("python-kafka", ALL_CODECS)
    .without_null_header_values()
    .without_empty_records();
/// aiokafka.
pub static AIOKAFKA: Client = Client::new("python-aiokafka", ALL_CODECS).without_empty_records();
/// kafkajs; snappy comes from a plug-in, the others have no codec in JavaScript alone.
pub static KAFKAJS: Client =
    Client::new("kafkajs", &["none", "gzip", "snappy"]).without_null_header_values();
/// franz-go.
pub static FRANZ_GO: Client = Client::new("franz-go", ALL_CODECS);
/// sarama.
pub static SARAMA: Client = Client::new("sarama", ALL_CODECS);
/// librdkafka, from a shell; it speaks its own command line.
pub static KCAT: Client = Client::new("kcat", ALL_CODECS);

/// Not a client: the broker to compare with, and its tools.
pub static APACHE_KAFKA: Client = Client::new("apache-kafka", ALL_CODECS);

impl Client {
    const fn new(name: &'static str, codecs: &'static [&'static str]) -> Self {
        let installed = OnceLock::new();
        Self {
            name,
            first_argument: None,
            codecs,
            null_header_values: true,
            empty_records: true,
            installed,
        }
    }

    const fn started_by(mut self, first_argument: &'static str) -> Self {
        self.first_argument = Some(first_argument);
        self
    }

    const fn without_null_header_values(mut self) -> Self {
        self.null_header_values = false;
        self
    }

    const fn without_empty_records(mut self) -> Self {
        self.empty_records = false;
        self
    }

    /// Installs the client unless that has happened; `false`, and a word on the terminal, where it cannot run.
    ///
    /// # Panics
    ///
    /// When the runtime is there and installing still fails, and in CI for every failure.
    pub fn is_here(&self) -> bool {
        match self.installed.get_or_init(|| self.install()) {
            Ok(_) => true,
            Err(why) => {
                skip(self.name, why);
                false
            }
        }
    }

    /// A command that starts the client's program.
    pub fn command(&self) -> Command {
        match self.installed.get_or_init(|| self.install()) {
            Ok(program) => Command::new(program),
            Err(why) => panic!("{} is not here: {why}", self.name),
        }
    }

    fn install(&self) -> Result<PathBuf, String> {
        const RUNTIME_IS_MISSING: i32 = 3;
        let script = workspace().join(".ci/install-clients");
        let output = Command::new(&script).arg(self.name).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
        if output.status.code() == Some(RUNTIME_IS_MISSING) && !is_ci() {
            return Err(said);
        }
        assert!(
            output.status.success(),
            "installing {} failed:\n{said}",
            self.name
        );
        Ok(workspace()
            .join("target/clients")
            .join(self.name)
            .join("run"))
    }

    /// Starts a scenario of the client's program.
    pub fn run(&self, broker: &Broker, scenario: &str, arguments: &[&str]) -> Program {
        let mut command = self.command();
        command.args(self.first_argument).arg(scenario);
        command
            .args(["--bootstrap", broker.bootstrap()])
            .args(arguments);
        Program::start(&format!("{} {scenario}", self.name), command)
    }

    /// Creates a topic through the client's admin API.
    pub fn create_topic(&self, broker: &Broker, topic: &str, partitions: i32) {
        let partitions = partitions.to_string();
        let arguments = ["--topic", topic, "--partitions", &partitions];
        self.run(broker, "create-topic", &arguments).finish();
    }

    /// Starts a producer: records go in, acknowledgements come out.
    pub fn producer(&self, broker: &Broker, topic: &str, codec: &str) -> Program {
        self.run(broker, "produce", &["--topic", topic, "--codec", codec])
    }

    /// Produces all of `records` and returns after the last acknowledgement.
    pub fn produce(&self, broker: &Broker, topic: &str, codec: &str, records: &[Record]) {
        let mut producer = self.producer(broker, topic, codec);
        for (index, record) in (0..).zip(records) {
            producer.send(&Numbered { index, record });
        }
        let mut acknowledged: Vec<u64> = (producer.finish().into_iter())
            .filter_map(|line| {
                if let Line::Ack(ack) = line {
                    Some(ack.index)
                } else {
                    None
                }
            })
            .collect();
        acknowledged.sort_unstable();
        let all: Vec<u64> = (0..).take(records.len()).collect();
        assert_eq!(
            acknowledged, all,
            "indices that {} got acknowledged",
            self.name
        );
    }

    /// Reads `count` records of all partitions from the start, without a group.
    pub fn consume(&self, broker: &Broker, topic: &str, count: usize) -> Vec<Consumed> {
        let count = count.to_string();
        let lines = self
            .run(broker, "consume", &["--topic", topic, "--count", &count])
            .finish();
        lines
            .into_iter()
            .filter_map(|line| {
                if let Line::Record(record) = line {
                    Some(record)
                } else {
                    None
                }
            })
            .collect()
    }

    /// Starts a member of a group. It commits on the line `"commit"`, and before it gives partitions back; it
    /// leaves when its input ends.
    pub fn member(&self, broker: &Broker, group: &str, topic: &str, more: &[&str]) -> Program {
        let mut arguments = vec!["--group", group, "--topic", topic];
        arguments.extend(more);
        self.run(broker, "group", &arguments)
    }

    /// The earliest offset, the latest, and the one for `timestamp` of each partition.
    pub fn offsets(&self, broker: &Broker, topic: &str, timestamp: i64) -> Vec<Offsets> {
        let timestamp = timestamp.to_string();
        let arguments = ["--topic", topic, "--timestamp", &timestamp];
        let lines = self.run(broker, "offsets", &arguments).finish();
        let mut offsets: Vec<Offsets> = lines
            .into_iter()
            .filter_map(|line| {
                if let Line::Offsets(offsets) = line {
                    Some(offsets)
                } else {
                    None
                }
            })
            .collect();
        offsets.sort_by_key(|offsets| offsets.partition);
        offsets
    }

    /// Lists the groups and describes one.
    pub fn groups(&self, broker: &Broker, group: &str) -> Groups {
        let mut program = self.run(broker, "groups", &["--group", group]);
        program.wait_for("it described the group", |line| match line {
            Line::Groups(groups) => Some(groups),
            _ => None,
        })
    }
}

/// Waits until these members together hold `partitions`, each of them at least one; returns what each holds.
pub fn settle(members: &mut [&mut Program], partitions: i32) -> Vec<Vec<i32>> {
    let deadline = Deadline::generous();
    let all: Vec<i32> = (0..partitions).collect();
    let mut held: Vec<Vec<i32>> = vec![Vec::new(); members.len()];
    let settled = deadline.poll(|| {
        for (member, held) in members.iter_mut().zip(&mut held) {
            while let Some(line) = member.try_next() {
                if let Line::Assignment(assignment) = line {
                    *held = assignment;
                }
            }
        }
        let mut together = held.concat();
        together.sort_unstable();
        (together == all && held.iter().all(|partitions| !partitions.is_empty())).then_some(())
    });
    assert!(
        settled.is_some(),
        "members do not share {partitions} partitions: {held:?}"
    );
    for partitions in &mut held {
        partitions.sort_unstable();
    }
    held
}
