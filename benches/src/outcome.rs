//! Results as they were measured: one JSON object a line, appended as soon as it is known.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::broker::{Durability, System};

/// A line of a result file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// One row, once, against one broker.
    Row(Outcome),
    /// What the machine can do.
    Limit(Limit),
    /// A broker's start and memory in one session.
    Session(Session),
    /// Something counted or timed by `scale`.
    Scale(Scale),
}

/// One run of a row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// Which round.
    pub round: u32,
    /// Against what.
    pub system: System,
    /// Acknowledged when.
    pub durability: Durability,
    /// Name of the row.
    pub row: String,
    /// The commit that was measured.
    pub commit: String,
    /// Records moved.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Seconds, as the tool measured them.
    pub seconds: f64,
    /// The broker's CPU seconds.
    pub broker_cpu: f64,
    /// The client's CPU seconds.
    pub client_cpu: f64,
    /// Latencies, where the tool tells them.
    pub latency: Option<Latency>,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 99 of 100 are no later.
    pub p99: f64,
    /// 999 of 1000 are no later.
    pub p999: f64,
    /// The latest.
    pub max: Option<f64>,
}

/// What the machine can do at the most.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limit {
    /// Which round.
    pub round: u32,
    /// What.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: String,
}

/// A broker as a process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// Which round.
    pub round: u32,
    /// Which broker.
    pub system: System,
    /// Acknowledged when.
    pub durability: Durability,
    /// From the start of the process to the first answer to Metadata, in milliseconds.
    pub start_ms: f64,
    /// Bytes resident before any load, all and anonymous.
    pub idle: (u64, u64),
    /// Bytes resident after all rows of the session, all and anonymous.
    pub loaded: (u64, u64),
    /// Rows that ran in between.
    pub rows: usize,
}

/// A result of `scale`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scale {
    /// Which broker.
    pub system: System,
    /// What was done.
    pub name: String,
    /// With how many of it.
    pub count: u64,
    /// The result.
    pub value: f64,
    /// Of what.
    pub unit: String,
    /// The commit that was measured.
    pub commit: String,
}

/// Appends a line.
///
/// # Errors
/// As the file.
pub fn append(path: &Path, line: &Line) -> Result<()> {
    let mut file = File::options().create(true).append(true).open(path)?;
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    Ok(file.write_all(text.as_bytes())?)
}

/// All lines of a file.
///
/// # Errors
/// When it is not there or not ours.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    BufReader::new(file)
        .lines()
        .map(|line| Ok(serde_json::from_str(&line?)?))
        .collect()
}
