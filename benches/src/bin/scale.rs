//! Many partitions, connections, groups and segments: what one more costs.
//!
//! Appends to the results of `compare`; see benches/README.md.
#![allow(
    clippy::disallowed_methods,
    reason = "measuring is about real time; nothing here decides anything for a broker"
)]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};
use ottla_benches::broker::{self, Broker, Durability, System};
use ottla_benches::outcome::{self, Line, Scale};
use ottla_benches::row::{Client, ROWS, Row, Work};
use ottla_benches::{load, machine, raw, tool};
use ottla_protocol::message::{
    ApiVersionsRequest, JoinGroupRequest, JoinGroupRequestProtocol, SyncGroupRequest,
};
use ottla_tests::wire::Connection;

#[derive(Parser)]
#[command(about = "Measures what one more partition, connection, member or segment costs")]
struct Arguments {
    /// What to measure; everything without.
    #[arg(long)]
    only: Vec<What>,
    /// Against which broker.
    #[arg(long, default_value = "ottla")]
    system: System,
    /// How many of it, in place of the sizes that the goals name.
    #[arg(long)]
    count: Vec<u64>,
    /// Where results are appended.
    #[arg(long, default_value = "target/benches/compare.jsonl")]
    results: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Creation, writing, reading, stopping, starting and recovering with many partitions.
    Partitions,
    /// Bytes a second, acknowledged after a sync, to one and to many partitions.
    Spread,
    /// Memory of idle connections.
    Connections,
    /// Members of groups.
    Groups,
    /// Starts with many segments, after a kill.
    Recovery,
    /// Latencies of writes beside a reader of what is not in memory.
    Cold,
}

/// Half seconds in which a broker comes to rest.
const MOST_WAITS: u32 = 240;

struct Bench {
    arguments: Arguments,
    commit: String,
}

fn main() -> Result<()> {
    let bench = Bench {
        arguments: Arguments::parse(),
        commit: machine::commit(),
    };
    if let Some(folder) = bench.arguments.results.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let all = [
        (
            What::Partitions,
            Bench::partitions as fn(&Bench, u64) -> Result<()>,
            &[10, 1_000, 10_000][..],
        ),
        (What::Spread, Bench::spread, &[1, 16, 1_000]),
        (What::Connections, Bench::connections, &[5_000]),
        (What::Groups, Bench::groups, &[100]),
        (What::Recovery, Bench::recovery, &[256, 4_096]),
        (What::Cold, Bench::cold, &[8_192]),
    ];
    for (what, measure, sizes) in all {
        let only = &bench.arguments.only;
        if only.is_empty() || only.contains(&what) {
            let given = &bench.arguments.count;
            for count in if given.is_empty() { sizes } else { given } {
                measure(&bench, *count)?;
            }
        }
    }
    Ok(())
}

impl Bench {
    fn start(&self, settings: &[&str]) -> Result<Broker> {
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        Broker::start(self.arguments.system, &settings)
    }

    fn found(&self, name: &str, count: u64, value: f64, unit: &str) -> Result<()> {
        writeln!(std::io::stdout(), "{name}, {count}: {value:.3} {unit}")?;
        let scale = Scale {
            system: self.arguments.system,
            name: name.to_owned(),
            count,
            value,
            unit: unit.to_owned(),
            commit: self.commit.clone(),
        };
        outcome::append(&self.arguments.results, &Line::Scale(scale))
    }

    /// What one partition costs among many.
    fn partitions(&self, count: u64) -> Result<()> {
        let broker = self.start(&["log.flush.interval.messages=1"])?;
        let each = |start: Instant| start.elapsed().as_secs_f64() * 1e6 / count as f64;
        let idle = broker.memory()?.anonymous;
        let start = Instant::now();
        broker.create_topic("many", i32::try_from(count)?)?;
        self.found("creating a partition", count, each(start), "us")?;
        // Once to touch everything, then for the record.
        load::write_to_all(broker.address(), "many", count, 1024)?;
        load::read_all(broker.address(), "many", count, 1024)?;
        let rounds = (20_000 / count).max(5);
        quiet(&broker)?;
        // So many that journal files are filled and checkpoints made meanwhile.
        let writes = 200_000 / count;
        let start = Instant::now();
        for _ in 0..writes {
            load::write_to_all(broker.address(), "many", count, 1024)?;
        }
        let written = each(start) / writes as f64;
        self.found(
            "writing 1 KiB to each partition, a partition",
            count,
            written,
            "us",
        )?;
        quiet(&broker)?;
        let start = Instant::now();
        for _ in 0..rounds {
            load::read_all(broker.address(), "many", count, 1024)?;
        }
        let read = each(start) / rounds as f64;
        self.found(
            "reading 1 KiB from each partition, a partition",
            count,
            read,
            "us",
        )?;
        let grown = broker.memory()?.anonymous.saturating_sub(idle);
        self.found(
            "anonymous memory, a partition",
            count,
            grown as f64 / 1024.0 / count as f64,
            "KiB",
        )?;
        let per_start = |took: Duration| took.as_secs_f64() * 1e6 / count as f64;
        let broker = broker.kill_and_restart()?;
        self.found(
            "start after a kill",
            count,
            broker.started_in.as_secs_f64() * 1e3,
            "ms",
        )?;
        self.found(
            "start after a kill, a partition",
            count,
            per_start(broker.started_in),
            "us",
        )?;
        let broker = broker.restart()?;
        self.found(
            "start after a stop",
            count,
            broker.started_in.as_secs_f64() * 1e3,
            "ms",
        )?;
        self.found(
            "start after a stop, a partition",
            count,
            per_start(broker.started_in),
            "us",
        )?;
        // What was written is there.
        load::read_all(broker.address(), "many", count, 1024)
    }

    /// The same bytes to one partition and to many.
    fn spread(&self, count: u64) -> Result<()> {
        let broker = self.start(&["log.flush.interval.messages=1"])?;
        broker.create_topic("spread", i32::try_from(count)?)?;
        let run =
            |seconds| load::write_steadily(broker.address(), "spread", count, 16 << 10, seconds);
        run(Duration::from_secs(1))?;
        let before = broker.cpu()?;
        let (bytes, took) = run(Duration::from_secs(6))?;
        let rate = bytes as f64 / 1e6 / took.as_secs_f64();
        self.found(
            "writing 16 KiB batches, synced, all partitions",
            count,
            rate,
            "MB/s",
        )?;
        let cpu = (broker.cpu()? - before) * 1e9 / bytes as f64;
        self.found(
            "writing 16 KiB batches, synced, broker CPU",
            count,
            cpu,
            "s/GB",
        )
    }

    /// Memory of a connection that has said who it is and is silent.
    fn connections(&self, count: u64) -> Result<()> {
        let settings = ["max.connections=10000", "max.connections.per.ip=10000"];
        let broker = self.start(&settings)?;
        let before = broker.memory()?;
        let mut connections = Vec::new();
        for _ in 0..count {
            let mut connection = Connection::open(broker.address());
            let request = ApiVersionsRequest {
                client_software_name: "ottla-benches".into(),
                client_software_version: "1".into(),
            };
            connection.try_call(3, request).context("no answer")?;
            connections.push(connection);
        }
        let after = broker.memory()?;
        let grown = after.anonymous.saturating_sub(before.anonymous) as f64;
        self.found(
            "anonymous memory of an idle connection",
            count,
            grown / 1024.0 / count as f64,
            "KiB",
        )
    }

    /// Ten members in each of `count` groups: all join, then heartbeats.
    fn groups(&self, count: u64) -> Result<()> {
        const MEMBERS: u64 = 10;
        // Long enough for all to come before the first assignment: those that have theirs say no more.
        let broker = self.start(&["group.initial.rebalance.delay.ms=3000"])?;
        let before = broker.cpu()?;
        let idle = broker.memory()?.anonymous;
        let start = Instant::now();
        let address = broker.address();
        let members: Vec<_> = thread::scope(|scope| {
            let join = |group| {
                let joins = (0..MEMBERS).map(move |_| scope.spawn(move || join(address, group)));
                joins.collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..count).flat_map(join).collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined
                .map(|joined| joined.unwrap_or_else(|_| anyhow::bail!("a member failed")))
                .collect()
        });
        let took = start.elapsed().as_secs_f64();
        let members = members.into_iter().collect::<Result<Vec<_>>>()?;
        self.found(
            "groups of ten members until all have their assignment",
            count,
            took,
            "s",
        )?;
        let cpu = (broker.cpu()? - before) * 1e3 / members.len() as f64;
        self.found("broker CPU for a member to join", count, cpu, "ms")?;
        let grown = broker.memory()?.anonymous.saturating_sub(idle) as f64 / 1024.0;
        self.found(
            "anonymous memory of a member",
            count,
            grown / members.len() as f64,
            "KiB",
        )?;
        ensure!(
            members.len() as u64 == count * MEMBERS,
            "members are missing"
        );
        Ok(())
    }

    /// A start after a kill, with `count` segments of 1 MiB.
    fn recovery(&self, count: u64) -> Result<()> {
        let settings = ["log.flush.interval.messages=1", "log.segment.bytes=1048576"];
        let broker = self.start(&settings)?;
        broker.create_topic("long", 16)?;
        let size = 512 << 10;
        load::write_bytes(broker.address(), "long", 16, size, count << 20)?;
        let broker = broker.kill_and_restart()?;
        let took = broker.started_in.as_secs_f64() * 1e3;
        self.found("start after a kill, segments of 1 MiB", count, took, "ms")
    }
}

impl Bench {
    /// Latencies of 20,000 writes a second into the page cache: alone, beside a reader of `count` MiB that are on disk only, and beside
    /// one of the same that are in memory.
    fn cold(&self, count: u64) -> Result<()> {
        let broker = broker::start(self.arguments.system, Durability::PageCache)?;
        broker.create_topic("cold", 1)?;
        load::write_bytes(broker.address(), "cold", 1, 512 << 10, count << 20)?;
        // What a process has mapped cannot be evicted.
        let broker = broker.restart()?;
        evict(&broker.data_dir().join("cold-0"))?;
        for (number, beside) in ["nothing", "a cold reader", "a warm reader"]
            .into_iter()
            .enumerate()
        {
            let topic = format!("hot-{number}");
            broker.create_topic(&topic, 1)?;
            let latency = thread::scope(|scope| {
                let reading = (number > 0)
                    .then(|| scope.spawn(|| raw::read(broker.address(), "cold", count << 20)));
                let measured = tool::measure(&steady()?, Durability::PageCache, &broker, &topic)?;
                if let Some(reading) = reading {
                    let read = reading.join().map_err(|_| anyhow::anyhow!("no reader"))??;
                    writeln!(std::io::stdout(), "beside {beside}: {read}")?;
                }
                measured.latency.context("no latencies")
            })?;
            for (percentile, value) in [
                ("p50", latency.p50),
                ("p99", latency.p99),
                ("p99.9", latency.p999),
            ] {
                let name =
                    format!("{percentile} of 20,000 writes a second beside {beside}, MiB to read");
                self.found(&name, count, value, "ms")?;
            }
        }
        Ok(())
    }
}

/// Waits until the broker has nothing to do in the background any more.
fn quiet(broker: &Broker) -> Result<()> {
    let mut before = broker.cpu()?;
    for _ in 0..MOST_WAITS {
        thread::sleep(Duration::from_millis(500));
        let now = broker.cpu()?;
        if now - before < 0.02 {
            return Ok(());
        }
        before = now;
    }
    anyhow::bail!("the broker does not come to rest")
}

/// The row of the comparison that measures latencies at a steady rate.
fn steady() -> Result<Row> {
    let row = ROWS
        .iter()
        .find(|row| row.client == Client::Ottla && row.work == Work::Rate);
    row.copied().context("no such row")
}

/// Writes what is in these files to the disk, and takes it out of memory.
fn evict(dir: &Path) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let file = File::open(entry?.path())?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}

/// Joins a group and gets an assignment.
fn join(address: &str, group: u64) -> Result<Connection> {
    let mut connection = Connection::open(address);
    let mut request = JoinGroupRequest {
        group_id: format!("group-{group}").into(),
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 45_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: bytes::Bytes::from_static(&[0; 32]),
        }],
        ..Default::default()
    };
    // The first one only gives it an id (KIP-394).
    let named = connection
        .try_call(5, request.clone())
        .context("no answer")?;
    request.member_id = named.member_id;
    loop {
        let joined = connection
            .try_call(5, request.clone())
            .context("no answer")?;
        ensure!(
            !joined.error_code.is_error(),
            "cannot join: {:?}",
            joined.error_code
        );
        let sync = SyncGroupRequest {
            group_id: request.group_id.clone(),
            generation_id: joined.generation_id,
            member_id: request.member_id.clone(),
            ..Default::default()
        };
        let synced = connection.try_call(3, sync).context("no answer")?;
        if synced.error_code == ottla_protocol::ErrorCode::RebalanceInProgress {
            continue;
        }
        ensure!(
            !synced.error_code.is_error(),
            "cannot sync: {:?}",
            synced.error_code
        );
        return Ok(connection);
    }
}
