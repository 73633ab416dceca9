//! Log lines, which go to standard error: readable for people, JSON for machines.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::args::LogFormat;
use crate::failure::Failure;

/// Starts logging for the whole program.
pub(crate) fn start(format: Option<LogFormat>, level: &str) -> Result<(), Failure> {
    let filter = filter(level)?;
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

/// `EnvFilter` takes a word that is no level for a target, and then logs nothing else.
fn filter(level: &str) -> Result<EnvFilter, Failure> {
    let refused = || Failure::LogLevel(level.to_owned());
    let mut words = level
        .split(',')
        .filter(|part| !part.contains(['=', '[', ']']));
    if words.any(|word| word.trim().parse::<LevelFilter>().is_err()) {
        return Err(refused());
    }
    EnvFilter::try_new(level).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for level in ["verbose", "info,ottla_broker", "ottla_broker=debug,loud"] {
            assert!(filter(level).is_err(), "{level}");
        }
        for level in [
            "off",
            "TRACE",
            "warn,ottla_broker=debug",
            "[span{a=1}]=info",
        ] {
            assert!(filter(level).is_ok(), "{level}");
        }
    }
}
