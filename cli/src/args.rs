//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
