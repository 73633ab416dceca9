//! Kafka's own command line tools, as operators use them.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, OnceLock};

use ottla_tests::client::APACHE_KAFKA;
use ottla_tests::{Broker, Line, Program};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// Where most of the tools are.
const TOOLS: &str = "org.apache.kafka.tools.";
const GROUPS: &str = "consumer.group.ConsumerGroupCommand";
const REASSIGN: &str = "reassign.ReassignPartitionsCommand";
const CONFIGS: &str = "kafka.admin.ConfigCommand";

/// Options for Java: a small heap, and no time spent on optimising what runs for seconds.
const JAVA_OPTIONS: &str = "-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1";

#[derive(Serialize)]
struct Order<'a> {
    tool: String,
    arguments: Vec<&'a str>,
    input: &'a str,
}

#[derive(Debug, Deserialize)]
struct Answer {
    status: i32,
    output: String,
    errors: String,
}

impl Answer {
    /// The lines of the output, with single spaces between words.
    fn lines(&self) -> BTreeSet<String> {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        self.output.lines().map(words).collect()
    }

    /// That it succeeded and said these lines.
    #[track_caller]
    fn says(&self, expected: &[&str]) {
        assert_eq!(self.status, 0, "{self:?}");
        let lines = self.lines();
        for line in expected {
            assert!(lines.contains(*line), "no line {line:?} in {self:#?}");
        }
    }

    /// That it failed and gave this reason.
    #[track_caller]
    fn fails(&self, reason: &str) {
        assert_ne!(self.status, 0, "{self:?}");
        let all = format!("{}{}", self.output, self.errors);
        assert!(all.contains(reason), "no {reason:?} in {self:#?}");
    }
}

/// The tools against a broker.
struct Tools {
    broker: Broker,
    files: TempDir,
}

impl Tools {
    fn start() -> Option<Self> {
        APACHE_KAFKA.is_here().then(|| Self {
            broker: Broker::start_own(&[]),
            files: TempDir::with_prefix("ottla-tools-").expect("a temporary directory"),
        })
    }

    /// Runs a tool, all of them in one process: they take turns.
    fn order(&self, tool: &str, arguments: Vec<&str>, input: &str) -> Answer {
        static RUNNER: OnceLock<Mutex<Program>> = OnceLock::new();
        let start = || {
            let mut command = APACHE_KAFKA.command();
            command.arg("tools").env("KAFKA_OPTS", JAVA_OPTIONS);
            Mutex::new(Program::start("Kafka's tools", command))
        };
        let runner = RUNNER.get_or_init(start).lock();
        let mut runner = runner.expect("no other test failed within it");
        let tool = if tool == CONFIGS {
            tool.to_string()
        } else {
            format!("{TOOLS}{tool}")
        };
        runner.send(&Order {
            tool,
            arguments,
            input,
        });
        let answer = runner.wait_for("the tool ended", |line| match line {
            Line::Text(text) => Some(text),
            _ => None,
        });
        serde_json::from_str(&answer).expect("an answer")
    }

    fn run(&self, tool: &str, arguments: &[&str]) -> Answer {
        self.run_with(tool, arguments, "")
    }

    fn run_with(&self, tool: &str, arguments: &[&str], input: &str) -> Answer {
        let address = ["--bootstrap-server", self.broker.bootstrap()];
        let arguments = [arguments, &address].concat();
        self.order(tool, arguments, input)
    }

    /// The path of a file with this text.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.files.path().join(name);
        fs::write(&path, text).expect("the temporary directory");
        path.to_str().expect("a path of text").to_string()
    }

    /// A topic `t` of one partition with the records a, b and c.
    fn fill(&self) {
        self.run("TopicCommand", &["--create", "--topic", "t"])
            .says(&["Created topic t."]);
        self.run_with("ConsoleProducer", &["--topic", "t"], "a\nb\nc\n")
            .says(&[]);
    }
}

#[test]
fn kafka_topics_creates_lists_describes_grows_and_deletes() {
    let Some(tools) = Tools::start() else { return };
    let topics = |arguments: &[&str]| tools.run("TopicCommand", arguments);
    let settings = ["--partitions", "2", "--config", "retention.ms=86400000"];
    topics(&[&["--create", "--topic", "t"], &settings[..]].concat()).says(&["Created topic t."]);
    topics(&["--create", "--topic", "t"]).fails("already exists");
    topics(&["--create", "--topic", "u", "--replication-factor", "3"]).fails("Replication factor");
    topics(&["--alter", "--topic", "t", "--partitions", "3"]).says(&[]);
    topics(&["--alter", "--topic", "t", "--partitions", "1"]).fails("InvalidPartitions");
    let described = topics(&["--describe", "--topic", "t"]);
    described.says(&[
        "Topic: t Partition: 0 Leader: 1 Replicas: 1 Isr: 1 Elr: LastKnownElr:",
        "Topic: t Partition: 2 Leader: 1 Replicas: 1 Isr: 1 Elr: LastKnownElr:",
    ]);
    assert!(described.output.contains("Configs: retention.ms=86400000"));
    for none in ["--unavailable-partitions", "--under-replicated-partitions"] {
        assert_eq!(topics(&["--describe", none]).output, "");
    }
    assert_eq!(topics(&["--list"]).output, "t\n");
    topics(&["--delete", "--topic", "t"]).says(&[]);
    assert_eq!(topics(&["--list"]).output.trim(), "");
}

#[test]
fn kafka_configs_changes_topics_and_brokers_and_is_told_what_there_is_not() {
    let Some(tools) = Tools::start() else { return };
    tools.fill();
    let configs = |arguments: &[&str]| tools.run(CONFIGS, arguments);
    let topic = ["--topic", "t"];
    let set = [
        "--alter",
        "--add-config",
        "retention.ms=1000000,segment.bytes=1048576",
    ];
    configs(&[&topic, &set[..]].concat()).says(&["Completed updating config for topic t."]);
    let unset = ["--alter", "--delete-config", "segment.bytes"];
    configs(&[&topic, &unset[..]].concat()).says(&["Completed updating config for topic t."]);
    let described = configs(&[&topic, &["--describe"][..]].concat());
    assert!(
        described.output.contains("retention.ms=1000000"),
        "{described:?}"
    );
    assert!(!described.output.contains("segment.bytes"), "{described:?}");
    let nonsense = ["--alter", "--add-config", "nonsense=1"];
    configs(&[&topic, &nonsense[..]].concat()).fails("InvalidConfigurationException");
    let broker = ["--broker", "1"];
    let set = ["--alter", "--add-config", "log.retention.ms=500000000"];
    configs(&[&broker, &set[..]].concat()).says(&["Completed updating config for broker 1."]);
    let described = configs(&[&broker, &["--describe"][..]].concat());
    assert!(
        described.output.contains("log.retention.ms=500000000"),
        "{described:?}"
    );

    let user = [
        "--entity-type",
        "users",
        "--entity-name",
        "u",
        "--alter",
        "--add-config",
    ];
    configs(&[&user[..], &["producer_byte_rate=1000"]].concat()).fails("does not enforce quotas");
    configs(&[&user[..], &["SCRAM-SHA-256=[password=p]"]].concat()).fails("no authentication");
    configs(&["--entity-type", "users", "--describe"]).says(&[]);
}

#[test]
fn kafka_consumer_groups_lists_describes_resets_and_deletes() {
    let Some(tools) = Tools::start() else { return };
    tools.fill();
    let consumed = tools.run(
        "consumer.ConsoleConsumer",
        &[
            "--topic",
            "t",
            "--from-beginning",
            "--max-messages",
            "3",
            "--group",
            "g",
        ],
    );
    consumed.says(&["a", "b", "c"]);
    let groups = |arguments: &[&str]| tools.run(GROUPS, arguments);
    assert_eq!(groups(&["--list"]).output, "g\n");
    groups(&["--list", "--state"]).says(&["g Empty"]);
    let group = ["--group", "g"];
    let of_group = |arguments: &[&str]| groups(&[&group, arguments].concat());
    of_group(&["--describe"]).says(&["g t 0 3 3 0 - - -"]);
    let state = of_group(&["--describe", "--state"]);
    state.says(&[&format!("g {} (1) - Empty 0", tools.broker.bootstrap())]);
    groups(&["--describe", "--group", "none"])
        .says(&["Error: Executing consumer group command failed due to \
         org.apache.kafka.common.errors.GroupIdNotFoundException: Group none not found."]);
    let topic = ["--reset-offsets", "--topic", "t"];
    let reset = |arguments: &[&str]| of_group(&[&topic, arguments].concat());
    reset(&["--shift-by", "-1", "--dry-run"]).says(&["g t 0 2"]);
    of_group(&["--describe"]).says(&["g t 0 3 3 0 - - -"]);
    reset(&["--to-earliest", "--execute"]).says(&["g t 0 0"]);
    of_group(&["--describe"]).says(&["g t 0 0 3 3 - - -"]);
    reset(&["--to-datetime", "2020-01-01T00:00:00.000", "--execute"]).says(&["g t 0 0"]);
    of_group(&["--delete-offsets", "--topic", "t:0"]).says(&["t 0 Successful"]);
    reset(&["--to-latest", "--execute"]).says(&["g t 0 3"]);
    of_group(&["--delete"]).says(&["Deletion of requested consumer groups ('g') was successful."]);
    assert!(
        of_group(&["--delete"])
            .output
            .contains("GroupIdNotFoundException")
    );
    assert_eq!(groups(&["--list"]).output.trim(), "");
}

#[test]
fn offsets_are_found_and_records_deleted() {
    let Some(tools) = Tools::start() else { return };
    tools.fill();
    let offsets = |time| {
        tools
            .run("GetOffsetShell", &["--topic", "t", "--time", time])
            .output
    };
    assert_eq!(offsets("latest"), "t:0:3\n");
    assert_eq!(offsets("earliest"), "t:0:0\n");
    let partition = r#"{"topic":"t","partition":0,"offset":2}"#;
    let wanted = format!(r#"{{"version":1,"partitions":[{partition}]}}"#);
    let file = tools.file("delete.json", &wanted);
    tools
        .run("DeleteRecordsCommand", &["--offset-json-file", &file])
        .says(&["partition: t-0 low_watermark: 2"]);
    assert_eq!(offsets("earliest"), "t:0:2\n");
    let dirs = tools.run("LogDirsCommand", &["--describe", "--topic-list", "t"]);
    dirs.says(&[]);
    assert!(dirs.output.contains(r#""partition":"t-0""#), "{dirs:?}");
    assert!(dirs.output.contains(r#""offsetLag":0"#), "{dirs:?}");
}

#[test]
fn the_cluster_and_its_quorum_are_one_node() {
    let Some(tools) = Tools::start() else { return };
    let host_and_port = tools.broker.bootstrap().replace(':', " ");
    tools
        .run("ClusterTool", &["list-endpoints"])
        .says(&[&format!("1 {host_and_port} null unfenced broker")]);
    let id = tools.run("ClusterTool", &["cluster-id"]);
    assert!(id.output.starts_with("Cluster ID: "), "{id:?}");
    tools
        .run("ClusterTool", &["unregister", "--id", "7"])
        .fails("There is no broker 7.");
    let versions = tools.run("BrokerApiVersionsCommand", &[]);
    versions.says(&["Produce(0): 0 to 13 [usable: 13],"]);
    let status = tools.order(
        "MetadataQuorumCommand",
        vec![
            "--bootstrap-server",
            tools.broker.bootstrap(),
            "describe",
            "--status",
        ],
        "",
    );
    status.says(&["LeaderId: 1", "MaxFollowerLag: 0", "CurrentObservers: []"]);
    let features = |arguments: &[&str]| {
        let address = ["--bootstrap-server", tools.broker.bootstrap()];
        tools.order("FeatureCommand", [&address, arguments].concat(), "")
    };
    let described = features(&["describe"]);
    assert!(
        described.output.contains("transaction.version"),
        "{described:?}"
    );
    features(&["upgrade", "--feature", "transaction.version=2"])
        .says(&["transaction.version was upgraded to 2."]);
    features(&["upgrade", "--feature", "transaction.version=3"]).fails("always 2");
    tools
        .run("AclCommand", &["--list"])
        .fails("SecurityDisabledException");
}

#[test]
fn leaders_and_replicas_stay() {
    let Some(tools) = Tools::start() else { return };
    tools.fill();
    let elect = |arguments: &[&str]| {
        let preferred = ["--election-type", "preferred"];
        tools.run("LeaderElectionCommand", &[&preferred, arguments].concat())
    };
    elect(&["--all-topic-partitions"]).says(&[]);
    elect(&["--topic", "t", "--partition", "0"])
        .says(&["Valid replica already elected for partitions t-0"]);
    elect(&["--topic", "t", "--partition", "9"]).fails("There is no partition t-9.");

    let move_to = |broker: u8| {
        let partition = format!(r#"{{"topic":"t","partition":0,"replicas":[{broker}]}}"#);
        let text = format!(r#"{{"version":1,"partitions":[{partition}]}}"#);
        tools.file("move.json", &text)
    };
    let reassign =
        |action: &str, file: &str| tools.run(REASSIGN, &[action, "--reassignment-json-file", file]);
    let here = move_to(1);
    reassign("--execute", &here).says(&["Successfully started partition reassignment for t-0"]);
    reassign("--verify", &here).says(&["Reassignment of partition t-0 is completed."]);
    tools
        .run(REASSIGN, &["--list"])
        .says(&["No partition reassignments found."]);
    reassign("--cancel", &here)
        .says(&["None of the specified partition reassignments are active."]);
    reassign("--execute", &move_to(9)).fails("Unknown broker id 9");
}

#[test]
fn performance_and_verifiable_clients_produce_and_consume() {
    let Some(tools) = Tools::start() else { return };
    let address = format!("bootstrap.servers={}", tools.broker.bootstrap());
    let count = [
        "--topic",
        "p",
        "--num-records",
        "1000",
        "--throughput",
        "-1",
    ];
    let size = ["--record-size", "100", "--command-property", &address];
    let produced = tools.order("ProducerPerformance", [&count[..], &size].concat(), "");
    assert!(
        produced.output.contains("1000 records sent"),
        "{produced:?}"
    );
    let consumed = tools.run(
        "ConsumerPerformance",
        &["--topic", "p", "--num-records", "1000"],
    );
    let result = consumed.output.lines().last().unwrap_or_default();
    let counted = result.split(", ").nth(4);
    assert_eq!(counted, Some("1000"), "{consumed:?}");

    let verified = ["--topic", "v", "--max-messages", "5"];
    // It tells of acknowledgements at the end of its machine, which the others share.
    let mut command = APACHE_KAFKA.command();
    command
        .arg(format!("{TOOLS}VerifiableProducer"))
        .args(["--bootstrap-server", tools.broker.bootstrap()])
        .args(verified)
        .env("KAFKA_OPTS", JAVA_OPTIONS);
    let lines = Program::start("VerifiableProducer", command).finish();
    let is_sent =
        |line: &&Line| matches!(line, Line::Text(text) if text.contains("producer_send_success"));
    assert_eq!(lines.iter().filter(is_sent).count(), 5, "{lines:?}");
    let group = ["--group-id", "v", "--reset-policy", "earliest"];
    let consumed = tools.run("VerifiableConsumer", &[&verified[..], &group].concat());
    assert!(consumed.output.contains(r#""count":5"#), "{consumed:?}");
    assert!(consumed.output.contains(r#""offset":5"#), "{consumed:?}");
}
