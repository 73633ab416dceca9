//! Processes pinned to a core, and what the kernel says about them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// The broker's core.
pub const BROKER_CORE: usize = 0;

/// The core of whoever loads the broker.
pub const CLIENT_CORE: usize = 1;

/// Clock ticks a second in `/proc`: fixed on Linux for what user space sees.
const TICKS: f64 = 100.0;

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Everything resident, shared file pages included.
    pub resident: u64,
    /// Resident and not backed by a file: heap and stacks.
    pub anonymous: u64,
}

/// What a client said, and the CPU seconds that it took.
pub struct Finished {
    /// Standard output and standard error.
    pub output: String,
    /// CPU seconds.
    pub cpu: f64,
}

/// `program` on one core.
#[must_use]
pub fn pinned(core: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).arg(program);
    command
}

/// Runs a client to its end.
///
/// # Errors
/// When it does not start or does not succeed.
pub fn run(mut command: Command) -> Result<Finished> {
    let before = children_cpu()?;
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    ensure!(output.status.success(), "{command:?} failed:\n{text}");
    Ok(Finished {
        output: text,
        cpu: children_cpu()? - before,
    })
}

/// CPU seconds of a running process, all threads together.
///
/// # Errors
/// When there is no such process.
pub fn cpu(id: u32) -> Result<f64> {
    ticks(&format!("/proc/{id}/stat"), 13)
}

/// CPU seconds of all children that have ended and were waited for.
fn children_cpu() -> Result<f64> {
    ticks("/proc/self/stat", 15)
}

/// Two neighbouring fields of a `stat` file, counted from 0: user and system time.
fn ticks(path: &str, first: usize) -> Result<f64> {
    let text = fs::read_to_string(path)?;
    // The second field, the name, is in parentheses and may hold spaces.
    let (_, rest) = text.rsplit_once(')').context("no stat line")?;
    let fields = rest.split_whitespace().skip(first - 2).take(2);
    let sum: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(sum / TICKS)
}

/// Memory of a running process.
///
/// # Errors
/// When there is no such process.
pub fn memory(id: u32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{id}/status"))?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kib.map(|kib| kib * 1024)
            .with_context(|| format!("no {name} in /proc"))
    };
    Ok(Memory {
        resident: field("VmRSS:")?,
        anonymous: field("RssAnon:")?,
    })
}
