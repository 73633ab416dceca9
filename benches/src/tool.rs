//! The tools that load a broker: how they are called, and what their output means.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::broker::{Broker, Durability, foreign, ottla};
use crate::outcome::Latency;
use crate::process::{CLIENT_CORE, pinned, run};
use crate::raw;
use crate::row::{Client, Row, Work, rate};

/// What a tool found out.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Records that it moved.
    pub records: u64,
    /// Seconds from the first to the last.
    pub seconds: f64,
    /// The tool's own CPU seconds.
    pub cpu: f64,
    /// Latencies, if it tells them.
    pub latency: Option<Latency>,
}

/// Java's heap in the tools, as Kafka's scripts have it.
const TOOL_JAVA: &str = "-Xmx512M";

/// Runs the tool of a row against `topic`.
///
/// # Errors
/// When it fails, or delivers less than it should.
pub fn measure(
    row: &Row,
    durability: Durability,
    broker: &Broker,
    topic: &str,
) -> Result<Measured> {
    let records = row.records(broker.system(), durability);
    let task = Task {
        broker: broker.address(),
        topic,
        records,
        row,
        rate: rate(durability),
    };
    match row.client {
        Client::Librdkafka => librdkafka(&task),
        Client::Java => java(&task),
        Client::Ottla => ottla_bench(&task),
        Client::Raw => raw::measure(task.broker, topic, records * row.size),
    }
}

/// Fills `topic` as fast as it goes.
///
/// # Errors
/// When it fails.
pub fn fill(broker: &Broker, topic: &str, records: u64, size: u64) -> Result<()> {
    let row = Row {
        name: "",
        part: crate::row::Part::Librdkafka,
        client: Client::Librdkafka,
        work: Work::Produce {
            batch: 1_000_000,
            lz4: false,
        },
        records: (records, records),
        size,
        partitions: 1,
    };
    measure(&row, Durability::PageCache, broker, topic).map(drop)
}

struct Task<'a> {
    broker: &'a str,
    topic: &'a str,
    records: u64,
    row: &'a Row,
    rate: u64,
}

fn librdkafka(task: &Task) -> Result<Measured> {
    let mut command = pinned(CLIENT_CORE, &foreign("librdkafka")?);
    let count = task.records.to_string();
    let size = task.row.size.to_string();
    match task.row.work {
        Work::Produce { batch, lz4 } => {
            command.args([
                "-P",
                "-t",
                task.topic,
                "-b",
                task.broker,
                "-s",
                &size,
                "-c",
                &count,
            ]);
            command.args(["-a", "-1", "-X", "linger.ms=5"]);
            command.arg("-X").arg(format!("batch.size={batch}"));
            command.args(["-X", "queue.buffering.max.messages=1000000"]);
            if lz4 {
                command.args(["-z", "lz4"]);
            }
        }
        Work::Read => {
            command.args(["-C", "-t", task.topic, "-p", "0", "-b", task.broker]);
            command.args(["-o", "beginning", "-c", &count]);
            command.args(["-X", "fetch.message.max.bytes=1048576"]);
        }
        Work::GroupRead => {
            command.args(["-G", &format!("group-{}", task.topic), "-t", task.topic]);
            command.args(["-b", task.broker, "-o", "beginning", "-c", &count]);
            command.args(["-X", "fetch.message.max.bytes=1048576"]);
            command.args(["-X", "auto.offset.reset=earliest"]);
        }
        Work::Rate | Work::EndToEnd => anyhow::bail!("not with librdkafka"),
    }
    let finished = run(command)?;
    let (records, seconds) = librdkafka_result(&finished.output)
        .with_context(|| format!("no result in:\n{}", finished.output))?;
    Ok(Measured {
        records,
        seconds,
        cpu: finished.cpu,
        latency: None,
    })
}

/// Records and seconds of the last report.
fn librdkafka_result(output: &str) -> Option<(u64, f64)> {
    let line = output
        .lines()
        .rfind(|line| line.starts_with("% ") && line.contains(" bytes)"))?;
    if line.contains(" failed)") && !line.contains(" 0 failed)") {
        return None;
    }
    let records = line.split_whitespace().nth(1)?.parse().ok()?;
    let (before, _) = line.split_once("ms:")?;
    let milliseconds: f64 = before.split_whitespace().next_back()?.parse().ok()?;
    Some((records, milliseconds / 1e3))
}

fn java(task: &Task) -> Result<Measured> {
    let mut command = pinned(CLIENT_CORE, &foreign("apache-kafka")?);
    command.env("KAFKA_OPTS", TOOL_JAVA);
    let count = task.records.to_string();
    match task.row.work {
        Work::Produce { .. } => produce_with_java(&mut command, task, "-1", "5"),
        Work::Rate => produce_with_java(&mut command, task, &task.rate.to_string(), "0"),
        Work::EndToEnd => {
            command.args(["org.apache.kafka.tools.EndToEndLatency", task.broker]);
            command.args([task.topic, &count, "all", &task.row.size.to_string()]);
        }
        Work::Read | Work::GroupRead => {
            command.arg("org.apache.kafka.tools.ConsumerPerformance");
            command.args(["--bootstrap-server", task.broker, "--topic", task.topic]);
            command.args(["--messages", &count, "--timeout", "60000"]);
        }
    }
    let finished = run(command)?;
    let parsed = match task.row.work {
        Work::Produce { .. } | Work::Rate => producer_result(&finished.output),
        Work::EndToEnd => end_to_end_result(task.records, &finished.output),
        Work::Read | Work::GroupRead => consumer_result(&finished.output),
    };
    let (records, seconds, latency) =
        parsed.with_context(|| format!("no result in:\n{}", finished.output))?;
    Ok(Measured {
        records,
        seconds,
        cpu: finished.cpu,
        latency,
    })
}

fn produce_with_java(command: &mut Command, task: &Task, throughput: &str, linger: &str) {
    command.arg("org.apache.kafka.tools.ProducerPerformance");
    command.args(["--bootstrap-server", task.broker, "--topic", task.topic]);
    command.args(["--num-records", &task.records.to_string()]);
    command.args(["--record-size", &task.row.size.to_string()]);
    command.args(["--throughput", throughput]);
    // The first records of a virtual machine would be all that the percentiles tell.
    let warm_up = task.records / 4;
    command.args(["--warmup-records", &warm_up.to_string()]);
    command.args(["--command-property", "acks=all"]);
    command.arg(format!("linger.ms={linger}"));
}

/// `N records sent, R records/sec (… MB/sec), … ms avg latency, … ms max latency, … ms 50th, …`.
fn producer_result(output: &str) -> Option<(u64, f64, Option<Latency>)> {
    let line = output.lines().rfind(|line| line.contains(" 99.9th"))?;
    let number = |marker: &str| -> Option<f64> {
        let (before, _) = line.split_once(marker)?;
        before.split_whitespace().next_back()?.parse().ok()
    };
    let records: f64 = line.split_whitespace().next()?.parse().ok()?;
    let seconds = records / number(" records/sec")?;
    let latency = Latency {
        p50: number(" ms 50th")?,
        p99: number(" ms 99th")?,
        p999: number(" ms 99.9th")?,
        max: number(" ms max latency"),
    };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count as it was printed"
    )]
    let records = records as u64;
    Some((records, seconds, Some(latency)))
}

/// The last line of values; the ninth and tenth are the rates while it fetched.
fn consumer_result(output: &str) -> Option<(u64, f64, Option<Latency>)> {
    let line = output
        .lines()
        .rfind(|line| line.split(", ").count() == 10)?;
    let fields: Vec<&str> = line.split(", ").collect();
    let records: u64 = fields.get(4)?.parse().ok()?;
    let milliseconds: f64 = fields.get(7)?.parse().ok()?;
    Some((records, milliseconds / 1e3, None))
}

/// Whole milliseconds: `Percentiles: 50th = …, 99th = …, 99.9th = …`, and the average in front of it.
/// One after the other, so the average tells how long all took.
fn end_to_end_result(records: u64, output: &str) -> Option<(u64, f64, Option<Latency>)> {
    let number = |marker: &str| -> Option<f64> {
        let (_, after) = output.rsplit_once(marker)?;
        let end = after.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        after.get(..end)?.parse().ok()
    };
    let average = number("Avg latency: ")?;
    let latency = Latency {
        p50: number("50th = ")?,
        p99: number(" 99th = ")?,
        p999: number("99.9th = ")?,
        max: None,
    };
    Some((records, average * records as f64 / 1e3, Some(latency)))
}

/// What `ottla bench produce --json` prints, as far as it is used here.
#[derive(Deserialize)]
struct BenchReport {
    records: u64,
    failed: u64,
    seconds: f64,
    latency_ms: BenchLatency,
}

#[derive(Deserialize)]
struct BenchLatency {
    p50: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

fn ottla_bench(task: &Task) -> Result<Measured> {
    let mut command = pinned(CLIENT_CORE, &ottla()?);
    command.args([
        "bench",
        "produce",
        "--bootstrap",
        task.broker,
        "--topic",
        task.topic,
    ]);
    command.args(["--records", &task.records.to_string()]);
    command.args(["--size", &task.row.size.to_string()]);
    command.args(["--rate", &task.rate.to_string(), "--json"]);
    command.args(["--property", "linger.ms=0"]);
    let finished = run(command)?;
    let line = finished
        .output
        .lines()
        .rfind(|line| line.starts_with('{'))
        .with_context(|| format!("no result in:\n{}", finished.output))?;
    let report: BenchReport = serde_json::from_str(line)?;
    ensure!(report.failed == 0, "{} records failed", report.failed);
    Ok(Measured {
        records: report.records,
        seconds: report.seconds,
        cpu: finished.cpu,
        latency: Some(Latency {
            p50: report.latency_ms.p50,
            p99: report.latency_ms.p99,
            p999: report.latency_ms.p99_9,
            max: Some(report.latency_ms.max),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn librdkafka_reports_are_read() {
        let produced = "% 20 messages produced (2000 bytes), 20 delivered (offset 19, 0 failed) in 4059ms: \
             5 msgs/s and 0.00 MB/s, 6 produce failures, 0 in queue, no compression";
        assert_eq!(librdkafka_result(produced), Some((20, 4.059)));
        let failed = produced.replace(" 0 failed", " 1 failed");
        assert_eq!(librdkafka_result(&failed), None);
    }

    #[test]
    fn reports_of_one_record_at_a_time_are_read() {
        let output =
            "0\t2.0\nAvg latency: 1.7000 ms\n\nPercentiles: 50th = 1, 99th = 8, 99.9th = 49\n";
        let (records, seconds, latency) = end_to_end_result(1_000, output).unwrap();
        let latency = latency.unwrap();
        assert_eq!((records, seconds), (1_000, 1.7));
        assert_eq!((latency.p50, latency.p99, latency.p999), (1.0, 8.0, 49.0));
    }

    #[test]
    fn java_reports_are_read() {
        let line = "500 records sent, 100.0 records/sec (58.59 MB/sec), 4.25 ms avg latency, 900.00 ms max \
             latency, 3 ms 50th, 5 ms 95th, 6 ms 99th, 7 ms 99.9th.";
        let (records, seconds, latency) = producer_result(line).unwrap();
        let latency = latency.unwrap();
        assert_eq!((records, seconds), (500, 5.0));
        assert_eq!(
            (latency.p50, latency.p99, latency.p999, latency.max),
            (3.0, 6.0, 7.0, Some(900.0))
        );
        let line = "a, b, 488.2, 100.0, 500000, 250000.0, 400, 1500, 325.5, 333333.3";
        assert_eq!(
            consumer_result(line).map(|found| (found.0, found.1)),
            Some((500_000, 1.5))
        );
    }
}
