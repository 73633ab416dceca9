//! How long an embedded broker takes from its start to the first acknowledged record, and what
//! 1,000 of them leave behind.
//!
//!   cargo run --release -p ottla-benches --bin embedded

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints and measures"
)]

use std::error::Error;
use std::time::{Duration, Instant};

use ottla_broker::Broker;
use ottla_client::{Client, ProducerRecord};

/// Starts whose time is taken.
const STARTS: usize = 101;
/// Brokers in one process.
const MANY: usize = 1000;

async fn life(data_dir: Option<&std::path::Path>) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let builder = Broker::builder();
    let builder = match data_dir {
        Some(data_dir) => builder.data_dir(data_dir),
        None => builder.ephemeral(),
    };
    let broker = builder.start().await?;
    let client = Client::builder().in_process(broker.in_process());
    let producer = client.connect().await?.producer();
    // A record that waits for no other.
    let producer = producer.linger(Duration::ZERO).build().await?;
    producer
        .send(ProducerRecord::new("orders").value("x"))
        .await?;
    Ok(start.elapsed())
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| {
        times
            .get(times.len() * share / 100)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{what}: median {:?}, 95 of 100 within {:?}, worst {:?}",
        at(50),
        at(95),
        times.last().copied().unwrap_or_default()
    );
}

fn held() -> Result<String, Box<dyn Error>> {
    let count = |directory| std::fs::read_dir(directory).map(Iterator::count);
    let status = std::fs::read_to_string("/proc/self/status")?;
    let memory = status.lines().find(|line| line.starts_with("VmRSS"));
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    Ok(format!(
        "{} threads, {} descriptors, {tasks} tasks, {}",
        count("/proc/self/task")?,
        count("/proc/self/fd")?,
        memory.unwrap_or_default().replace(char::is_whitespace, " ")
    ))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut ephemeral = Vec::new();
    let mut durable = Vec::new();
    for _ in 0..STARTS {
        ephemeral.push(life(None).await?);
        let directory = tempfile::tempdir()?;
        durable.push(life(Some(directory.path())).await?);
    }
    show("ephemeral, start to first acknowledged record", ephemeral);
    show("durable, start to first acknowledged record", durable);
    println!("before {MANY} brokers: {}", held()?);
    let start = Instant::now();
    for _ in 0..MANY {
        life(None).await?;
    }
    let took = start.elapsed();
    tokio::time::sleep(Duration::from_millis(100)).await;
    println!("after {MANY} brokers in {took:?}: {}", held()?);
    Ok(())
}
