//! Log lines, which go to standard error: readable for people, JSON for machines.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;
use crate::failure::Failure;

/// Starts logging for the whole program.
pub(crate) fn start(format: Option<LogFormat>, level: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(level).map_err(|_| Failure::LogLevel(level.to_owned()))?;
    let terminal = stderr().is_terminal();
    let by_default = if terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    };
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr);
    match format.unwrap_or(by_default) {
        LogFormat::Text => logs.with_ansi(terminal).init(),
        LogFormat::Json => logs.json().init(),
    }
    Ok(())
}
