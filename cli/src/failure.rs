//! Why the program ends with an error: one sentence each, for the person who started it.

use std::io;
use std::path::PathBuf;

use ottla_broker::config::{ConfigError, Endpoint};
use ottla_broker::{ShutdownError, StartError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{0} takes `key=value`, not `{1}`")]
    NotAPair(&'static str, String),
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}, line {line}: {message}", path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        message: String,
    },
    #[error("cannot resolve {host}: {source}")]
    Resolve { host: String, source: io::Error },
    #[error(
        "refusing to listen on {0}, which is not a loopback address: there is no TLS and no \
         authentication yet, so anyone who can reach it could read and change everything; add \
         --insecure if that is what you want"
    )]
    NotLoopback(Endpoint),
    #[error("--log-level takes a level or `target=level` pairs, not `{0}`")]
    LogLevel(String),
    #[error("cannot find the current directory: {0}")]
    CurrentDirectory(io::Error),
    #[error("cannot start threads: {0}")]
    Runtime(io::Error),
    #[error("cannot watch for signals: {0}")]
    Signals(io::Error),
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    #[error("{} is not an Ottla data directory", .0.display())]
    NotData(PathBuf),
    #[error("cannot look into the data directory {}: {source}", dir.display())]
    DataDirectory { dir: PathBuf, source: io::Error },
    #[error("{} has no partition {name}", dir.display())]
    NoPartition { dir: PathBuf, name: String },
    #[error("{0}; `ottla repair` makes a partition one that is served again")]
    Damaged(String),
    #[error(transparent)]
    Open(#[from] ottla_storage::store::OpenError),
    #[error(transparent)]
    Repair(#[from] ottla_storage::repair::RepairError),
    #[error(transparent)]
    Client(#[from] ottla_client::Error),
    #[error("there is no topic {0}")]
    NoTopic(String),
    #[error("--property: `{0}` is always `{1}` in this benchmark")]
    Fixed(&'static str, &'static str),
    #[error("--size must be at least {0}: a value begins with the time at which it was due")]
    Size(usize),
    #[error("no record of {0} came within {1} seconds")]
    Silent(String, u64),
    #[error("{failed} records were not acknowledged; the first: {first}")]
    Unacknowledged { failed: u64, first: String },
    #[error("{0} with --listen")]
    Listen(StartError),
    #[error(transparent)]
    Start(StartError),
    #[error("the broker did not stop cleanly: {0}")]
    Shutdown(#[from] ShutdownError),
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Listen { .. } => Self::Listen(error),
            error => Self::Start(error),
        }
    }
}
