//! `ottla bench consume`: reads, and counts what it gets.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_client::Client;
use ottla_client::config::AutoOffsetReset;
use ottla_client::consumer::{Consumer, Event};
use tokio::time::timeout;

use super::report::Report;
use super::{connect, partitions, progress};
use crate::args::ConsumeOptions;
use crate::failure::Failure;

/// After so long without a record there are no more.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn consume(options: &ConsumeOptions) -> Result<Report, Failure> {
    let client = connect(&options.bootstrap, &options.property).await?;
    let mut consumer = reader(&client, options).await?;
    let bar = progress(options.records);
    let (mut records, mut bytes) = (0_u64, 0_u64);
    // From the first records on: how long a group takes to form is not what is measured.
    let mut first: Option<Instant> = None;
    let mut last = Instant::now();
    while records < options.records {
        let Ok(event) = timeout(PATIENCE, consumer.next_event()).await else {
            break;
        };
        let Event::Records(read) = event? else {
            continue;
        };
        consumer.ack(&read);
        last = Instant::now();
        if first.is_none() {
            first = Some(last);
            continue;
        }
        records += read.len() as u64;
        let length = |field: &Option<Bytes>| field.as_ref().map_or(0, |field| field.len() as u64);
        let values = read.iter().map(|record| length(&record.value));
        bytes += values.sum::<u64>();
        bar.set_position(records);
    }
    bar.finish_and_clear();
    consumer.close(PATIENCE).await?;
    let Some(first) = first.filter(|_| records > 0) else {
        return Err(Failure::Silent(options.topic.clone(), PATIENCE.as_secs()));
    };
    let time = last - first;
    Ok(Report::new(
        "consume",
        None,
        (records, 0),
        bytes,
        time,
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
