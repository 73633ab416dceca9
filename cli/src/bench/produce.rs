//! `ottla bench produce`: one thread sends when it is time, a task looks at the acknowledgements.

use std::thread;
use std::time::Instant;

use indicatif::ProgressBar;
use ottla_client::{Delivery, Producer, ProducerRecord};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver};

use super::pace::Pace;
use super::report::{Latencies, Report};
use super::{connect, ensure_topic, progress};
use crate::args::BenchOptions;
use crate::failure::Failure;

/// Records that may be sent and not looked at yet; the producer's buffer is the smaller bound.
const MAX_PENDING: usize = 1 << 20;

/// Acknowledgements between two moves of the progress bar.
const PROGRESS_STEP: u64 = 1024;

/// A record under way, and the moment from which its latency counts.
type Sent = (Instant, Delivery);

pub(super) async fn produce(options: &BenchOptions) -> Result<Report, Failure> {
    let client = connect(&options.bootstrap, &options.property).await?;
    ensure_topic(&client, options).await?;
    let producer = client.producer().build().await?;
    let record = ProducerRecord::new(options.topic.as_str()).value(payload(options.size));
    // Connections, ids and metadata are there before the clock starts.
    producer.send(record.clone()).await?;
    let (sent, pending) = mpsc::channel(MAX_PENDING);
    let start = Instant::now();
    let pace = Pace::new(start, options.rate);
    let (runtime, records) = (Handle::current(), options.records);
    let sender = thread::spawn(move || {
        send(&runtime, &producer, pace, records, |from, sending| {
            let delivery = sending(record.clone())?;
            if let Err(full) = sent.try_send((from, delivery)) {
                // Fails only when nobody looks any more.
                drop(sent.blocking_send(full.into_inner()));
            }
            Ok(())
        })
    });
    let bar = progress(options.records);
    let found = settle(pending, &bar).await;
    bar.finish_and_clear();
    let time = start.elapsed();
    // It has dropped its end of the channel, so it has ended, or is about to.
    match sender.join() {
        Ok(outcome) => outcome?,
        Err(panic) => std::panic::resume_unwind(panic),
    }
    let acknowledged = options.records - found.failed;
    if let Some(first) = found.first_failure.filter(|_| acknowledged == 0) {
        let failed = found.failed;
        return Err(Failure::Unacknowledged { failed, first });
    }
    let bytes = acknowledged.saturating_mul(options.size as u64);
    Ok(Report::new(
        "produce",
        options.rate,
        (acknowledged, found.failed),
        bytes,
        time,
        Some(&found.latencies),
    ))
}

/// Bytes that a codec cannot make nothing of.
pub(super) fn payload(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}

/// Puts a record into the producer's buffer, waiting for room if need be.
type Sending<'a> = &'a dyn Fn(ProducerRecord) -> Result<Delivery, Failure>;

/// Has `each` send all records, and tells it from when each one's latency counts. Runs on a thread
/// of its own, whose sleep is finer than a runtime's timers.
pub(super) fn send(
    runtime: &Handle,
    producer: &Producer,
    pace: Pace,
    records: u64,
    mut each: impl FnMut(Instant, Sending<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let sending = |record: ProducerRecord| match producer.try_enqueue(record.clone()) {
        Ok(delivery) => Ok(delivery),
        Err(error) if error.is_retriable() => Ok(runtime.block_on(producer.enqueue(record))?),
        Err(error) => Err(error.into()),
    };
    for number in 0..records {
        let due = pace.due(number);
        if let Some(due) = due {
            let wait = due.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                thread::sleep(wait);
            }
        }
        each(due.unwrap_or_else(Instant::now), &sending)?;
    }
    Ok(())
}

struct Found {
    latencies: Latencies,
    failed: u64,
    first_failure: Option<String>,
}

/// Waits for all acknowledgements, in the order of sending: one that overtakes another, on another
/// partition, counts as late as that one.
async fn settle(mut pending: Receiver<Sent>, bar: &ProgressBar) -> Found {
    let mut found = Found {
        latencies: Latencies::new(),
        failed: 0,
        first_failure: None,
    };
    let mut settled = 0;
    while let Some((from, delivery)) = pending.recv().await {
        match delivery.await {
            Ok(_) => found.latencies.record(from.elapsed()),
            Err(error) => {
                found.failed += 1;
                found.first_failure.get_or_insert_with(|| error.to_string());
            }
        }
        settled += 1;
        if settled % PROGRESS_STEP == 0 {
            bar.inc(PROGRESS_STEP);
        }
    }
    found
}
