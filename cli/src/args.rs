//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};

/// A durable event log that any Kafka client can use.
#[derive(Debug, Parser)]
#[command(name = "ottla", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a broker.
    Serve(ServeArguments),
    /// Show every setting with its value and where the value comes from.
    Config(Options),
    /// Show what is in a data directory, and what of it is damaged. Changes nothing.
    Inspect(InspectArguments),
    /// Make what is damaged serve again. The files as they were are kept.
    Repair(RepairArguments),
    /// Measure a broker, this one or any other that speaks Kafka's protocol.
    #[command(subcommand)]
    Bench(BenchTask),
}

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// The data directory.
    pub(crate) dir: PathBuf,

    /// Only this partition, as `orders-0`.
    #[arg(long, value_name = "TOPIC-PARTITION")]
    pub(crate) partition: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RepairArguments {
    /// The data directory, which no broker uses.
    pub(crate) dir: PathBuf,

    /// The partition, as `orders-0`. Without it, the journal and the checkpoint are given up that
    /// keep the directory from being opened, and all goes on with what the partitions hold.
    #[arg(long, value_name = "TOPIC-PARTITION")]
    pub(crate) partition: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchTask {
    /// Write records and measure how long their acknowledgements take.
    Produce(BenchOptions),
    /// Read records from the beginning of a topic.
    Consume(ConsumeOptions),
    /// Measure the way of records from a producer to a consumer: one at a time, or at a rate.
    EndToEnd(BenchOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ConsumeOptions {
    /// Where brokers are, separated by commas.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub(crate) bootstrap: String,

    /// The topic.
    #[arg(long, value_name = "NAME", default_value = "ottla-bench")]
    pub(crate) topic: String,

    /// Number of records; fewer if there are no more.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000, value_parser = value_parser!(u64).range(1..))]
    pub(crate) records: u64,

    /// Read as a member of this group, from where it has committed.
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,

    /// A setting of the client under Kafka's name, such as `fetch.max.bytes=1048576`; can be given
    /// many times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) property: Vec<String>,

    /// Print the result as one line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BenchOptions {
    /// Where brokers are, separated by commas.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub(crate) bootstrap: String,

    /// The topic; it is created if it is not there.
    #[arg(long, value_name = "NAME", default_value = "ottla-bench")]
    pub(crate) topic: String,

    /// Partitions of a topic that is created.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = value_parser!(i32).range(1..))]
    pub(crate) partitions: i32,

    /// Number of records.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000, value_parser = value_parser!(u64).range(1..))]
    pub(crate) records: u64,

    /// Bytes of each record's value, for `end-to-end` at least 16.
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    pub(crate) size: usize,

    /// Records a second; latencies then count from when a record was due, not from when it could
    /// be sent. Without it, as fast as it goes.
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) rate: Option<u64>,

    /// A setting of the client under Kafka's name, such as `linger.ms=0`; can be given many times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) property: Vec<String>,

    /// Print the result as one line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) options: Options,

    /// Allow an address that other machines can reach, without TLS and authentication.
    #[arg(long)]
    pub(crate) insecure: bool,

    /// How log lines look: by default readable on a terminal, JSON otherwise.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,

    /// What is logged: error, warn, info, debug, trace, or `target=level` pairs.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: String,
}

/// Where settings come from. A flag outweighs the environment (`KAFKA_LOG_DIRS` is `log.dirs`),
/// which outweighs the file.
#[derive(Debug, Args, Default)]
pub(crate) struct Options {
    /// The address to listen on; port 0 takes a free port [default: 127.0.0.1:9092].
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,

    /// The address at which clients reach the broker, if it is another one.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,

    /// The directory that holds all data [default: ./ottla-data].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,

    /// A file of settings under Kafka's names, in TOML or as Java properties.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// One setting under Kafka's name; can be given many times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
