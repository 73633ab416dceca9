//! `ottla bench`: loads a broker and says how fast it was. Works against any Kafka.
//!
//! Latencies are those that a user would see: at a fixed rate they count from the moment at which a
//! record was due, so that a broker which stops for a while is not excused the records that could
//! not even be sent meanwhile.
#![allow(
    clippy::disallowed_methods,
    reason = "measuring is about real time; nothing here decides anything for a broker"
)]

mod consume;
mod end_to_end;
mod pace;
mod produce;
mod report;

use std::io::{IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ottla_client::admin::NewTopic;
use ottla_client::{Client, ErrorCode, TopicPartition};
use tokio::runtime::Builder;

use crate::args::{BenchOptions, BenchTask};
use crate::failure::Failure;
use report::Report;

/// Runs one benchmark and prints what it found.
pub(crate) fn bench(task: &BenchTask) -> Result<(), Failure> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    let (report, json) = match task {
        BenchTask::Produce(options) => (runtime.block_on(produce::produce(options))?, options.json),
        BenchTask::Consume(options) => (runtime.block_on(consume::consume(options))?, options.json),
        BenchTask::EndToEnd(options) => (
            runtime.block_on(end_to_end::end_to_end(options))?,
            options.json,
        ),
    };
    print(&report, json)
}

fn print(report: &Report, json: bool) -> Result<(), Failure> {
    let text = if json {
        report.to_json()
    } else {
        report.to_string()
    };
    writeln!(std::io::stdout(), "{text}").map_err(Failure::Output)
}

async fn connect(bootstrap: &str, properties: &[String]) -> Result<Client, Failure> {
    let mut builder = Client::builder().bootstrap_servers(bootstrap.to_owned());
    for pair in properties {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::NotAPair("--property", pair.clone()))?;
        builder = builder.properties([(name.trim(), value.trim())])?;
    }
    Ok(builder.connect().await?)
}

/// Where a benchmark that reads begins is part of what it measures.
fn check_start(properties: &[String], start: &'static str) -> Result<(), Failure> {
    const FIXED: &str = "auto.offset.reset";
    let name = |pair: &String| pair.split('=').next().map(|name| name.trim() == FIXED);
    if properties.iter().any(|pair| name(pair) == Some(true)) {
        return Err(Failure::Fixed(FIXED, start));
    }
    Ok(())
}

/// All partitions of a topic that is there.
async fn partitions(client: &Client, topic: &str) -> Result<Vec<TopicPartition>, Failure> {
    let mut described = client.admin().describe_topics([topic]).await?;
    let found = described
        .remove(topic)
        .ok_or_else(|| Failure::NoTopic(topic.to_owned()))??;
    let partitions = found.partitions.iter();
    Ok(partitions
        .map(|partition| TopicPartition::new(topic, partition.partition))
        .collect())
}

async fn ensure_topic(client: &Client, options: &BenchOptions) -> Result<(), Failure> {
    let topic = NewTopic::new(options.topic.as_str()).partitions(options.partitions);
    let outcomes = client.admin().create_topics([topic]).await?;
    for outcome in outcomes.into_values() {
        match outcome {
            Err(error) if error.code() != Some(ErrorCode::TopicAlreadyExists) => {
                return Err(error.into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Progress for people; nothing where nobody looks.
fn progress(records: u64) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style =
        ProgressStyle::with_template("{bar:40} {percent:>3}% {human_pos} records, {per_sec}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(records), target).with_style(style)
}
