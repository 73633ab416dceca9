//! `ottla bench consume`: reads, and counts what it gets.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_client::Client;
use ottla_client::config::AutoOffsetReset;
use ottla_client::consumer::{Consumer, Event};
use tokio::time::timeout;

use super::report::Report;
use super::{check_start, connect, partitions, progress};
use crate::args::ConsumeOptions;
use crate::failure::Failure;

/// After so long without a record there are no more.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn consume(options: &ConsumeOptions) -> Result<Report, Failure> {
    check_start(&options.property, "earliest")?;
    let client = connect(&options.bootstrap, &options.property).await?;
    let mut consumer = reader(&client, options).await?;
    let bar = progress(options.records);
    let (mut records, mut bytes) = (0_u64, 0_u64);
    // From the assignment on: how long a group takes to form is not what is measured.
    let mut start = Instant::now();
    let mut last = start;
    while records < options.records {
        let Ok(event) = timeout(PATIENCE, consumer.next_event()).await else {
            break;
        };
        let read = match event? {
            Event::Records(read) => read,
            Event::Assigned(_) if records == 0 => {
                start = Instant::now();
                continue;
            }
            _ => continue,
        };
        consumer.ack(&read);
        last = Instant::now();
        records += read.len() as u64;
        let length = |field: &Option<Bytes>| field.as_ref().map_or(0, |field| field.len() as u64);
        let values = read.iter().map(|record| length(&record.value));
        bytes += values.sum::<u64>();
        bar.set_position(records);
    }
    bar.finish_and_clear();
    consumer.close(PATIENCE).await?;
    if records == 0 {
        return Err(Failure::Silent(options.topic.clone(), PATIENCE.as_secs()));
    }
    Ok(Report::new(
        "consume",
        None,
        (records, 0),
        bytes,
        last.saturating_duration_since(start),
        None,
    ))
}

async fn reader(client: &Client, options: &ConsumeOptions) -> Result<Consumer, Failure> {
    let builder = match &options.group {
        Some(group) => client
            .consumer(group.as_str())
            .subscribe([options.topic.as_str()]),
        None => {
            let partitions = partitions(client, &options.topic).await?;
            client.reader().assign(partitions)
        }
    };
    let earliest = AutoOffsetReset::Earliest;
    let built = builder.with(|config| config.auto_offset_reset(earliest));
    Ok(built.build().await?)
}
