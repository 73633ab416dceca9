//! Ottla and Apache Kafka side by side, one at a time, A B A B.
//!
//! `compare run` measures and appends to a file; `compare report` makes a page of it. See benches/README.md.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use ottla_benches::broker::{self, Broker, Durability, System};
use ottla_benches::outcome::{self, Limit, Line, Outcome, Session};
use ottla_benches::row::{Client, Part, ROWS, Row, Work};
use ottla_benches::{limits, machine, raw, report, tool};

#[derive(Parser)]
#[command(about = "Measures Ottla and Apache Kafka side by side")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure rows and append the results.
    Run(Run),
    /// Make Markdown and SVG of the results.
    Report {
        /// The results.
        #[arg(long, default_value = "target/benches/compare.jsonl")]
        results: PathBuf,
        /// The folder for the page and its plots.
        #[arg(long, default_value = "benches/results")]
        to: PathBuf,
        /// What else a reader should know, put in front of the results.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// A process of a measurement.
    #[command(hide = true)]
    RawRead {
        broker: String,
        topic: String,
        bytes: u64,
    },
    /// A process of a measurement.
    #[command(hide = true)]
    TcpRead,
    /// A process of a measurement.
    #[command(hide = true)]
    TcpWrite { address: String },
    /// A process of a measurement.
    #[command(hide = true)]
    LocalLimits,
}

#[derive(Args)]
struct Run {
    /// Rounds to measure, `FIRST..LAST` or one number of rounds.
    #[arg(long, default_value = "5", value_parser = rounds)]
    rounds: (u32, u32),
    /// Only this part of the table.
    #[arg(long)]
    part: Option<Part>,
    /// Only rows whose names contain this.
    #[arg(long, default_value = "")]
    rows: String,
    /// Only this mode.
    #[arg(long)]
    durability: Option<Durability>,
    /// Only this broker.
    #[arg(long)]
    system: Option<System>,
    /// Leave out the limits of the machine.
    #[arg(long)]
    no_limits: bool,
    /// Where results are appended.
    #[arg(long, default_value = "target/benches/compare.jsonl")]
    results: PathBuf,
}

fn rounds(text: &str) -> Result<(u32, u32), String> {
    let number = |text: &str| text.parse::<u32>().map_err(|error| error.to_string());
    match text.split_once("..") {
        Some((first, last)) => Ok((number(first)?, number(last)?)),
        None => Ok((1, number(text)?)),
    }
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Run(run) => measure(&run),
        Task::Report { results, to, note } => report::write(&outcome::read(&results)?, &note, &to),
        Task::RawRead {
            broker,
            topic,
            bytes,
        } => say(&raw::read(&broker, &topic, bytes)?),
        Task::TcpRead => say(&serde_json::to_string(&limits::tcp_read()?)?),
        Task::TcpWrite { address } => limits::tcp_write(&address),
        Task::LocalLimits => say(&serde_json::to_string(&limits::local()?)?),
    }
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

fn measure(run: &Run) -> Result<()> {
    if let Some(folder) = run.results.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let (first, last) = run.rounds;
    for round in first..=last {
        if !run.no_limits {
            for (name, value, unit) in limits::all()? {
                say(&format!("{round} {name}: {value:.0} {unit}"))?;
                let limit = Limit {
                    round,
                    name,
                    value,
                    unit,
                };
                outcome::append(&run.results, &Line::Limit(limit))?;
            }
        }
        for durability in [Durability::PageCache, Durability::Fsync] {
            for system in [System::Ottla, System::Kafka] {
                let wanted = run.system.is_none_or(|only| only == system)
                    && run.durability.is_none_or(|only| only == durability);
                if wanted {
                    session(run, round, system, durability)?;
                }
            }
        }
    }
    Ok(())
}

/// One broker from its start to its end, with all rows that are wanted.
fn session(run: &Run, round: u32, system: System, durability: Durability) -> Result<()> {
    let rows: Vec<&Row> = ROWS
        .iter()
        .filter(|row| run.part.is_none_or(|part| part == row.part))
        .filter(|row| row.name.contains(&run.rows) && row.records(system, durability) > 0)
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let broker = broker::start(system, durability)?;
    thread::sleep(Duration::from_secs(1));
    let idle = broker.memory()?;
    warm_up(&broker)?;
    for row in &rows {
        let outcome = measure_row(row, round, system, durability, &broker)?;
        say(&describe(&outcome))?;
        outcome::append(&run.results, &Line::Row(outcome))?;
    }
    let loaded = broker.memory()?;
    let session = Session {
        round,
        system,
        durability,
        start_ms: broker.started_in.as_secs_f64() * 1e3,
        idle: (idle.resident, idle.anonymous),
        loaded: (loaded.resident, loaded.anonymous),
        rows: rows.len(),
    };
    say(&format!("{session:?}"))?;
    outcome::append(&run.results, &Line::Session(session))
}

/// Lets a virtual machine translate, and memory be touched, before anything counts: large batches,
/// small ones, and a read.
fn warm_up(broker: &Broker) -> Result<()> {
    broker.create_topic("warm", 1)?;
    tool::fill(broker, "warm", 1_000_000, 100)?;
    tool::fill(broker, "warm", 150_000, 1024)?;
    let named = |name| ROWS.iter().find(|row| row.name == name).copied();
    let rows = [
        (
            named("librdkafka write, 1 KiB, 1 partition, 16 KiB batches"),
            25_000,
        ),
        (named("librdkafka read, 100 B, 1 partition"), 1_000_000),
    ];
    for (row, records) in rows {
        if let Some(mut row) = row {
            row.records = (records, records);
            tool::measure(&row, Durability::PageCache, broker, "warm")?;
        }
    }
    Ok(())
}

fn measure_row(
    row: &Row,
    round: u32,
    system: System,
    durability: Durability,
    broker: &Broker,
) -> Result<Outcome> {
    let topic = match row.work {
        Work::Read | Work::GroupRead => to_read(row, durability, broker)?,
        Work::Produce { .. } | Work::Rate | Work::EndToEnd => {
            let topic = row.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
            broker.create_topic(&topic, row.partitions)?;
            topic
        }
    };
    settle(&broker.data_dir())?;
    let before = broker.cpu()?;
    let measured = tool::measure(row, durability, broker, &topic)?;
    Ok(Outcome {
        round,
        system,
        durability,
        row: row.name.to_owned(),
        commit: machine::commit(),
        records: measured.records,
        bytes: measured.records * row.size,
        seconds: measured.seconds,
        broker_cpu: broker.cpu()? - before,
        client_cpu: measured.cpu,
        latency: measured.latency,
    })
}

/// A topic with what this row reads, filled when the first row asks for it.
fn to_read(row: &Row, durability: Durability, broker: &Broker) -> Result<String> {
    let records = if row.client == Client::Raw {
        // It begins anew at the end.
        row.records(broker.system(), durability) / 3
    } else {
        row.records(broker.system(), durability)
    };
    let topic = format!("read-{}-{records}", row.size);
    if broker.create_topic(&topic, 1).is_ok() {
        tool::fill(broker, &topic, records, row.size)?;
    }
    Ok(topic)
}

/// Lets what was written before reach the disk, so that no row pays for another.
fn settle(data: &Path) -> Result<()> {
    Command::new("sync").arg("-f").arg(data).status()?;
    thread::sleep(Duration::from_millis(300));
    Ok(())
}

fn describe(outcome: &Outcome) -> String {
    let (records, bytes) = (outcome.records as f64, outcome.bytes as f64);
    let latency = outcome.latency.map_or_else(String::new, |found| {
        format!(
            ", p50 {:.1} p99 {:.1} p99.9 {:.1} ms",
            found.p50, found.p99, found.p999
        )
    });
    format!(
        "{} {:?} {:?} {}: {:.0}/s {:.0} MB/s, broker {:.2} s, client {:.2} s{latency}",
        outcome.round,
        outcome.system,
        outcome.durability,
        outcome.row,
        records / outcome.seconds,
        bytes / 1e6 / outcome.seconds,
        outcome.broker_cpu,
        outcome.client_cpu,
    )
}
