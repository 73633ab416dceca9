//! `ottla bench end-to-end`: from a producer through the broker to a consumer in the same process.

use std::thread;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use ottla_client::config::AutoOffsetReset;
use ottla_client::consumer::{Consumer, Event};
use ottla_client::{Client, Producer, ProducerRecord};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::pace::Pace;
use super::produce::{payload, send};
use super::report::{Latencies, Report};
use super::{check_start, connect, ensure_topic, partitions, progress};
use crate::args::BenchOptions;
use crate::failure::Failure;

/// After so long without a record the rest is lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause before another record is sent to see whether the consumer is there.
const GREETING: Duration = Duration::from_millis(100);

/// What a value begins with: the run, and nanoseconds from its start.
const STAMP: usize = 16;

pub(super) async fn end_to_end(options: &BenchOptions) -> Result<Report, Failure> {
    check_start(&options.property, "latest")?;
    if options.size < STAMP {
        return Err(Failure::Size(STAMP));
    }
    let client = connect(&options.bootstrap, &options.property).await?;
    ensure_topic(&client, options).await?;
    let mut way = Way::open(&client, options).await?;
    let bar = progress(options.records);
    let mut latencies = Latencies::new();
    let start = Instant::now();
    let arrived = match options.rate {
        None => {
            way.one_at_a_time(options.records, &mut latencies, || bar.inc(1))
                .await?
        }
        Some(rate) => {
            let pace = Pace::new(start, Some(rate));
            way.at_a_pace(pace, options.records, &mut latencies, || bar.inc(1))
                .await?
        }
    };
    let time = start.elapsed();
    bar.finish_and_clear();
    if arrived == 0 {
        return Err(Failure::Silent(options.topic.clone(), PATIENCE.as_secs()));
    }
    let bytes = arrived.saturating_mul(way.stamp.size() as u64);
    Ok(Report::new(
        "end-to-end",
        options.rate,
        (arrived, options.records - arrived),
        bytes,
        time,
        Some(&latencies),
    ))
}

/// Makes values of which a consumer can tell when they were due.
#[derive(Clone)]
struct Stamp {
    topic: String,
    run: u64,
    start: Instant,
    filling: Vec<u8>,
}

impl Stamp {
    fn size(&self) -> usize {
        STAMP + self.filling.len()
    }

    fn record(&self, due: Instant) -> ProducerRecord {
        let after = due.saturating_duration_since(self.start).as_nanos();
        let after = u64::try_from(after).unwrap_or(u64::MAX);
        let stamp = [self.run.to_be_bytes(), after.to_be_bytes()];
        let value = [stamp.concat(), self.filling.clone()].concat();
        ProducerRecord::new(self.topic.as_str()).value(value)
    }

    /// When this value was due; `None` for what others wrote.
    fn due(&self, value: &Bytes) -> Option<Instant> {
        let mut stamp = value.get(..STAMP)?;
        let ours = stamp.get_u64() == self.run;
        ours.then(|| self.start + Duration::from_nanos(stamp.get_u64()))
    }
}

struct Way {
    producer: Producer,
    consumer: Consumer,
    stamp: Stamp,
}

impl Way {
    /// Connects both ends and waits until records arrive.
    async fn open(client: &Client, options: &BenchOptions) -> Result<Self, Failure> {
        let partitions = partitions(client, &options.topic).await?;
        let latest = AutoOffsetReset::Latest;
        let reader = client.reader().assign(partitions);
        let mut way = Self {
            producer: client.producer().build().await?,
            consumer: reader
                .with(|config| config.auto_offset_reset(latest))
                .build()
                .await?,
            stamp: Stamp {
                topic: options.topic.clone(),
                run: 0,
                start: Instant::now(),
                filling: payload(options.size.saturating_sub(STAMP)),
            },
        };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            way.producer.send(way.stamp.record(Instant::now())).await?;
            if way.next(GREETING).await?.is_some() {
                // From here on greetings that are late are not ours.
                way.stamp.run = u64::from(std::process::id()) + 1;
                way.stamp.start = Instant::now();
                return Ok(way);
            }
        }
        Err(Failure::Silent(options.topic.clone(), PATIENCE.as_secs()))
    }

    /// When the next records were due that arrive within `limit`.
    async fn next(&mut self, limit: Duration) -> Result<Option<Vec<Instant>>, Failure> {
        while let Ok(event) = timeout(limit, self.consumer.next_event()).await {
            let Event::Records(read) = event? else {
                continue;
            };
            self.consumer.ack(&read);
            let values = read.iter().filter_map(|record| record.value.as_ref());
            let due: Vec<_> = values.filter_map(|value| self.stamp.due(value)).collect();
            if !due.is_empty() {
                return Ok(Some(due));
            }
        }
        Ok(None)
    }

    async fn one_at_a_time(
        &mut self,
        records: u64,
        latencies: &mut Latencies,
        progress: impl Fn(),
    ) -> Result<u64, Failure> {
        for arrived in 0..records {
            let record = self.stamp.record(Instant::now());
            // What is not acknowledged does not arrive either.
            drop(self.producer.enqueue(record).await?);
            let Some(due) = self.next(PATIENCE).await? else {
                return Ok(arrived);
            };
            due.iter().for_each(|due| latencies.record(due.elapsed()));
            progress();
        }
        Ok(records)
    }

    async fn at_a_pace(
        &mut self,
        pace: Pace,
        records: u64,
        latencies: &mut Latencies,
        progress: impl Fn(),
    ) -> Result<u64, Failure> {
        let (runtime, producer, stamp) =
            (Handle::current(), self.producer.clone(), self.stamp.clone());
        let sender = thread::spawn(move || {
            send(&runtime, &producer, pace, records, |from, sending| {
                sending(stamp.record(from)).map(drop)
            })
        });
        let mut arrived = 0;
        while arrived < records {
            let Some(due) = self.next(PATIENCE).await? else {
                break;
            };
            for due in due {
                latencies.record(due.elapsed());
                arrived += 1;
                progress();
            }
        }
        match sender.join() {
            Ok(outcome) => outcome.map(|()| arrived),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
