//! Counts the instructions of the hot paths, which noise on the machine does not change.
//!
//! `instructions` prints them beside those of benches/instructions.json; `--check` fails when a path
//! takes more than a twentieth more; `--write` makes what was counted the new standard. Needs valgrind.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use ottla_benches::path::PATHS;
use ottla_tests::workspace;

#[derive(Parser)]
#[command(about = "Counts the instructions of the hot paths")]
struct Arguments {
    /// Fail when a path has become dearer.
    #[arg(long)]
    check: bool,
    /// Keep what is counted as the standard.
    #[arg(long)]
    write: bool,
    /// Run one path so many times; the body of a count.
    #[arg(long, hide = true, num_args = 2)]
    run: Option<Vec<usize>>,
}

/// How much dearer a path may become.
const TOLERANCE: f64 = 1.05;

/// Runs in the shorter and in the longer count; what both have in common is not the path's.
const RUNS: (usize, usize) = (20, 120);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some([number, times]) = arguments.run.as_deref() {
        let path = PATHS.get(*number).context("no such path")?;
        let mut run = (path.prepare)();
        (0..*times).for_each(|_| run());
        return Ok(());
    }
    let standard = standard();
    let known: BTreeMap<String, f64> = match fs::read(&standard) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => BTreeMap::new(),
    };
    let mut counted = BTreeMap::new();
    let mut dearer = Vec::new();
    for (number, path) in PATHS.iter().enumerate() {
        let (few, many) = (count(number, RUNS.0)?, count(number, RUNS.1)?);
        let each = (many - few) / (RUNS.1 - RUNS.0) as f64;
        let before = known.get(path.name).copied();
        let change = before.map_or_else(String::new, |before| {
            format!(", {:+.1} %", (each / before - 1.0) * 100.0)
        });
        writeln!(std::io::stdout(), "{}: {each:.0}{change}", path.name)?;
        if before.is_some_and(|before| each > before * TOLERANCE) {
            dearer.push(path.name);
        }
        counted.insert(path.name, each.round());
    }
    if arguments.write {
        fs::write(&standard, serde_json::to_string_pretty(&counted)? + "\n")?;
    }
    ensure!(
        !arguments.check || dearer.is_empty(),
        "dearer than before: {}",
        dearer.join("; ")
    );
    Ok(())
}

fn standard() -> PathBuf {
    workspace().join("benches/instructions.json")
}

/// Instructions of a process that runs a path so many times.
fn count(number: usize, times: usize) -> Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--run", &number.to_string(), &times.to_string()])
        .output()
        .context("cannot run valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind failed:\n{said}");
    let Some(line) = said.lines().rfind(|line| line.contains("Collected :")) else {
        bail!("valgrind did not say what it counted:\n{said}");
    };
    let number = line.split(':').next_back().unwrap_or_default().trim();
    Ok(number.parse()?)
}
