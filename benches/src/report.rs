//! Pure but for writing: results as a page and its plots. Medians with the smallest and the largest; every
//! ratio is one of medians of the same run.

mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::broker::{Durability, System};
use crate::machine;
use crate::outcome::{Limit, Line, Outcome, Scale, Session};
use crate::plot::{self, Bar, Group};
use crate::row::{Client, ROWS, Work};
use table::Table;

/// A client that takes so much of its core is the limit of the row.
const FULL_CORE: f64 = 0.85;

/// The middle, the smallest and the largest of some values.
#[derive(Debug, Clone, Copy)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Self {
            median: f64::midpoint(lower, upper),
            least,
            most,
        })
    }

    fn show(&self, scale: f64, digits: usize) -> String {
        let [median, least, most] = [self.median, self.least, self.most].map(|value| value / scale);
        format!("{median:.digits$} ({least:.digits$} to {most:.digits$})")
    }
}

/// All runs of a row against one broker in one mode.
struct Cell<'a>(Vec<&'a Outcome>);

impl Cell<'_> {
    fn spread(&self, value: impl Fn(&Outcome) -> f64) -> Option<Spread> {
        Spread::of(self.0.iter().map(|outcome| value(outcome)))
    }

    fn rate(&self) -> Option<Spread> {
        self.spread(|run| run.records as f64 / run.seconds)
    }

    fn bytes_per_second(&self) -> Option<Spread> {
        self.spread(|run| run.bytes as f64 / run.seconds)
    }

    /// Broker CPU seconds for a million records.
    fn cpu_per_million(&self) -> Option<Spread> {
        self.spread(|run| run.broker_cpu * 1e6 / run.records as f64)
    }

    /// Broker CPU seconds for 10^9 bytes.
    fn cpu_per_gigabyte(&self) -> Option<Spread> {
        self.spread(|run| run.broker_cpu * 1e9 / run.bytes as f64)
    }

    fn client_share(&self) -> Option<Spread> {
        self.spread(|run| run.client_cpu / run.seconds)
    }
}

/// What was measured.
struct Results<'a> {
    rows: BTreeMap<(&'a str, System, Durability), Cell<'a>>,
    limits: BTreeMap<(&'a str, &'a str), Vec<&'a Limit>>,
    sessions: Vec<&'a Session>,
    scale: Vec<&'a Scale>,
}

impl<'a> Results<'a> {
    fn new(lines: &'a [Line]) -> Self {
        let mut results = Self {
            rows: BTreeMap::new(),
            limits: BTreeMap::new(),
            sessions: Vec::new(),
            scale: Vec::new(),
        };
        for line in lines {
            match line {
                Line::Row(run) => {
                    let key = (run.row.as_str(), run.system, run.durability);
                    let cell = results.rows.entry(key).or_insert_with(|| Cell(Vec::new()));
                    cell.0.push(run);
                }
                Line::Limit(limit) => {
                    let key = (limit.name.as_str(), limit.unit.as_str());
                    results.limits.entry(key).or_default().push(limit);
                }
                Line::Session(session) => results.sessions.push(session),
                Line::Scale(scale) => results.scale.push(scale),
            }
        }
        results
    }

    fn cell(&self, row: &str, system: System, durability: Durability) -> Option<&Cell<'a>> {
        // Names of rows are constants, but the keys here live as long as the lines.
        self.rows
            .iter()
            .find(|((name, of, mode), _)| *name == row && *of == system && *mode == durability)
            .map(|(_, cell)| cell)
    }

    fn limit(&self, name: &str, unit: &str) -> Option<Spread> {
        let found = self
            .limits
            .iter()
            .find(|((of, in_unit), _)| *of == name && *in_unit == unit);
        Spread::of(found?.1.iter().map(|limit| limit.value))
    }
}

/// Writes `README.md`, with `note` in front of the results, and its plots into a folder.
///
/// # Errors
/// As the file system.
pub fn write(lines: &[Line], note: &str, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let results = Results::new(lines);
    let mut page = String::new();
    head(&mut page, note, &results)?;
    for (durability, title) in [
        (
            Durability::PageCache,
            "Acknowledged from the page cache, both",
        ),
        (
            Durability::Fsync,
            "Acknowledged after a sync, both (`flush.messages=1`)",
        ),
    ] {
        writeln!(page, "## {title}\n")?;
        side_by_side(&mut page, &results, (durability, durability))?;
    }
    writeln!(
        page,
        "## Ottla after a sync against Kafka from its page cache\n"
    )?;
    let mixed = (Durability::Fsync, Durability::PageCache);
    side_by_side(&mut page, &results, mixed)?;
    latencies(&mut page, &results)?;
    limits(&mut page, &results)?;
    processes(&mut page, &results)?;
    scale(&mut page, &results)?;
    fs::write(to.join("README.md"), page)?;
    plots(&results, to)
}

fn head(page: &mut String, note: &str, results: &Results) -> Result<()> {
    writeln!(page, "# Ottla and Apache Kafka side by side\n")?;
    writeln!(
        page,
        "Made by `compare report` from the lines beside it; [how it is measured](../README.md). Kafka is \
         Apache Kafka 4.3.0, one KRaft node, with the options for Java that its start script has. Values are \
         medians with the smallest and the largest of the rounds in parentheses. Both brokers had one core, \
         the client the other one.\n"
    )?;
    if !note.is_empty() {
        writeln!(page, "{note}\n")?;
    }
    let mut table = Table::new(["", ""]);
    for (name, value) in machine::describe() {
        table.row([name, value]);
    }
    let runs = || results.rows.values().flat_map(|cell| &cell.0);
    let mut commits: Vec<&str> = runs().map(|run| run.commit.as_str()).collect();
    commits.sort_unstable();
    commits.dedup();
    table.row(["Commits measured".to_owned(), commits.join(", ")]);
    let rounds = runs().map(|run| run.round).max().unwrap_or(0);
    table.row(["Rounds".to_owned(), rounds.to_string()]);
    writeln!(page, "{table}")?;
    writeln!(
        page,
        "![Throughput](throughput.svg)\n\n![Broker CPU](cpu.svg)\n"
    )?;
    Ok(())
}

/// Throughput and CPU of both, Ottla in the first mode and Kafka in the second.
fn side_by_side(
    page: &mut String,
    results: &Results,
    (ours, theirs): (Durability, Durability),
) -> Result<()> {
    let mut table = Table::new([
        "row",
        "Ottla, records/s",
        "Kafka, records/s",
        "ratio",
        "Ottla, MB/s",
        "Kafka, MB/s",
        "Ottla, broker CPU s per million, per GB",
        "Kafka, broker CPU s per million, per GB",
        "Kafka's CPU by ours",
        "client's core, Ottla, Kafka",
    ]);
    for row in ROWS.iter().filter(|row| !row.work.is_latency()) {
        let (Some(ottla), Some(kafka)) = (
            results.cell(row.name, System::Ottla, ours),
            results.cell(row.name, System::Kafka, theirs),
        ) else {
            continue;
        };
        let cells = (|| {
            let (rate, other_rate) = (ottla.rate()?, kafka.rate()?);
            let (bytes, other_bytes) = (ottla.bytes_per_second()?, kafka.bytes_per_second()?);
            let cpu = |cell: &Cell| {
                let (records, bytes) = (cell.cpu_per_million()?, cell.cpu_per_gigabyte()?);
                Some(format!("{:.2}, {:.2}", records.median, bytes.median))
            };
            let cpu_ratio = kafka.cpu_per_million()?.median / ottla.cpu_per_million()?.median;
            let (share, other_share) = (ottla.client_share()?.median, kafka.client_share()?.median);
            let full = if share.min(other_share) > FULL_CORE {
                ", full on both"
            } else {
                ""
            };
            Some([
                row.name.to_owned(),
                format!("{} k", rate.show(1e3, 0)),
                format!("{} k", other_rate.show(1e3, 0)),
                format!("**{:.2}**", rate.median / other_rate.median),
                format!("{:.0}", bytes.median / 1e6),
                format!("{:.0}", other_bytes.median / 1e6),
                cpu(ottla)?,
                cpu(kafka)?,
                format!("**{cpu_ratio:.1}**"),
                format!("{:.0} %, {:.0} %{full}", share * 100.0, other_share * 100.0),
            ])
        })();
        if let Some(cells) = cells {
            table.row(cells);
        }
    }
    Ok(writeln!(page, "{table}")?)
}

fn latencies(page: &mut String, results: &Results) -> Result<()> {
    writeln!(page, "## Latency\n")?;
    writeln!(
        page,
        "In milliseconds, from sending to the acknowledgement; `ottla bench` counts from the moment at which \
         a record was due, Java's tool from its call of `send`, after a quarter of the records as warm-up. \
         20,000 records a second from the page cache, 2,000 after a sync; `linger.ms=0`. End to end is from \
         sending to reading, one record after the other, and Java's tool tells it in whole milliseconds, but for \
         the mean.\n"
    )?;
    let mut table = Table::new([
        "row",
        "acknowledged",
        "broker",
        "mean",
        "p50",
        "p99",
        "p99.9",
        "broker CPU s per million",
    ]);
    for row in ROWS.iter().filter(|row| row.work.is_latency()) {
        for durability in [Durability::PageCache, Durability::Fsync] {
            for system in [System::Ottla, System::Kafka] {
                let Some(cell) = results.cell(row.name, system, durability) else {
                    continue;
                };
                let spread = |value: fn(&crate::outcome::Latency) -> f64| {
                    let found = cell.0.iter().filter_map(|run| run.latency.as_ref());
                    Spread::of(found.map(value))
                        .map_or_else(String::new, |spread| spread.show(1.0, 2))
                };
                let cpu = cell.cpu_per_million().map_or(0.0, |cpu| cpu.median);
                let each = |run: &crate::outcome::Outcome| run.seconds * 1e3 / run.records as f64;
                let mean = (row.work == Work::EndToEnd)
                    .then(|| Spread::of(cell.0.iter().map(|run| each(run))))
                    .flatten();
                table.row([
                    row.name.to_owned(),
                    mode(durability).to_owned(),
                    name(system).to_owned(),
                    mean.map_or_else(String::new, |mean| mean.show(1.0, 2)),
                    spread(|found| found.p50),
                    spread(|found| found.p99),
                    spread(|found| found.p999),
                    format!("{cpu:.2}"),
                ]);
            }
        }
    }
    Ok(writeln!(page, "{table}")?)
}

fn limits(page: &mut String, results: &Results) -> Result<()> {
    writeln!(
        page,
        "## Limits of the machine, measured in the same rounds\n"
    )?;
    let mut table = Table::new(["limit", "measured"]);
    for (name, unit) in results.limits.keys() {
        if let Some(spread) = results.limit(name, unit) {
            table.row([
                (*name).to_owned(),
                format!("{} {unit}", spread.show(1.0, 0)),
            ]);
        }
    }
    writeln!(page, "{table}")?;
    let mut table = Table::new(["Ottla", "MB/s", "of the limit", "which is"]);
    for (row, durability, limit) in [
        (
            "raw read, 1 KiB, 1 partition",
            Durability::PageCache,
            "loopback TCP",
        ),
        (
            "librdkafka read, 1 KiB, 1 partition",
            Durability::PageCache,
            "loopback TCP",
        ),
        (
            "librdkafka write, 1 KiB, 1 partition",
            Durability::PageCache,
            "write into the page cache, first time",
        ),
        (
            "librdkafka write, 1 KiB, 1 partition",
            Durability::Fsync,
            "write and fdatasync, 1 MiB",
        ),
        (
            "librdkafka write, 1 KiB, 16 partitions",
            Durability::Fsync,
            "write and fdatasync, 1 MiB",
        ),
    ] {
        let measured = results
            .cell(row, System::Ottla, durability)
            .and_then(Cell::bytes_per_second);
        let (Some(measured), Some(limit_value)) = (measured, results.limit(limit, "MB/s")) else {
            continue;
        };
        let rate = measured.median / 1e6;
        table.row([
            format!("{row}, {}", mode(durability)),
            format!("{rate:.0}"),
            format!("**{:.0} %**", rate * 100.0 / limit_value.median),
            limit.to_owned(),
        ]);
    }
    Ok(writeln!(page, "{table}")?)
}

fn processes(page: &mut String, results: &Results) -> Result<()> {
    writeln!(page, "## Start and memory\n")?;
    writeln!(
        page,
        "Anonymous memory is heap and stacks; the rest of what is resident is shared with the page cache.\n"
    )?;
    let mut table = Table::new([
        "broker",
        "start to first metadata, ms",
        "idle: resident, anonymous MiB",
        "after the load: resident, anonymous MiB",
    ]);
    for system in [System::Ottla, System::Kafka] {
        let sessions = || {
            results
                .sessions
                .iter()
                .filter(|session| session.system == system)
        };
        let spread = |value: fn(&Session) -> f64, scale: f64| {
            Spread::of(sessions().map(|session| value(session)))
                .map_or_else(String::new, |spread| spread.show(scale, 1))
        };
        let mib = (1_u64 << 20) as f64;
        let pair = |all: fn(&Session) -> f64, anonymous: fn(&Session) -> f64| {
            format!("{}; {}", spread(all, mib), spread(anonymous, mib))
        };
        table.row([
            name(system).to_owned(),
            spread(|session| session.start_ms, 1.0),
            pair(
                |session| session.idle.0 as f64,
                |session| session.idle.1 as f64,
            ),
            pair(
                |session| session.loaded.0 as f64,
                |session| session.loaded.1 as f64,
            ),
        ]);
    }
    Ok(writeln!(page, "{table}")?)
}

fn scale(page: &mut String, results: &Results) -> Result<()> {
    if results.scale.is_empty() {
        return Ok(());
    }
    writeln!(
        page,
        "## Scale\n\nBy `scale`; the broker is Ottla unless it says otherwise.\n"
    )?;
    let mut grouped: BTreeMap<(&str, System, u64, &str), Vec<f64>> = BTreeMap::new();
    for found in &results.scale {
        let key = (
            found.name.as_str(),
            found.system,
            found.count,
            found.unit.as_str(),
        );
        grouped.entry(key).or_default().push(found.value);
    }
    let mut table = Table::new(["what", "with how many", "result"]);
    for ((what, system, count, unit), values) in grouped {
        let Some(spread) = Spread::of(values) else {
            continue;
        };
        let what = match system {
            System::Ottla => what.to_owned(),
            System::Kafka => format!("{what}, Kafka"),
        };
        table.row([
            what,
            count.to_string(),
            format!("{} {unit}", spread.show(1.0, 2)),
        ]);
    }
    Ok(writeln!(page, "{table}")?)
}

fn plots(results: &Results, to: &Path) -> Result<()> {
    let series = [
        (System::Kafka, Durability::PageCache),
        (System::Ottla, Durability::PageCache),
        (System::Kafka, Durability::Fsync),
        (System::Ottla, Durability::Fsync),
    ];
    let groups = |value: fn(&Cell) -> Option<Spread>, scale: f64| -> Vec<Group> {
        let rows = ROWS
            .iter()
            .filter(|row| !row.work.is_latency() && row.client != Client::Raw);
        rows.map(|row| Group {
            title: row.name.to_owned(),
            bars: (0..)
                .zip(series)
                .filter_map(|(place, (system, durability))| {
                    let spread = value(results.cell(row.name, system, durability)?)?;
                    Some(Bar {
                        series: place,
                        value: spread.median / scale,
                        least: spread.least / scale,
                        most: spread.most / scale,
                    })
                })
                .collect(),
        })
        .collect()
    };
    let names =
        series.map(|(system, durability)| format!("{}, {}", name(system), mode(durability)));
    let throughput = groups(|cell| cell.bytes_per_second(), 1e6);
    let text = plot::bars("MB/s, more is better", &names, &throughput);
    fs::write(to.join("throughput.svg"), text)?;
    let cpu = groups(|cell| cell.cpu_per_gigabyte(), 1.0);
    let text = plot::bars("broker CPU seconds per GB, less is better", &names, &cpu);
    Ok(fs::write(to.join("cpu.svg"), text)?)
}

fn mode(durability: Durability) -> &'static str {
    match durability {
        Durability::PageCache => "page cache",
        Durability::Fsync => "after a sync",
    }
}

fn name(system: System) -> &'static str {
    match system {
        System::Ottla => "Ottla",
        System::Kafka => "Kafka",
    }
}
