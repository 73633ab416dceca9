//! What is done now and then: syncing what is due, retention, forgetting idle producers.
//!
//! Shell. The rules are in `retention`; what waits for a disk runs where that harms nobody.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ottla_storage::log::Log;
use tokio_util::sync::CancellationToken;

use crate::config::EffectiveTopicConfig;
use crate::core::Core;
use crate::env::millis;
use crate::retention::{Retention, first_to_keep};

/// How often `flush.ms` and the age of checkpoints are looked at.
const TICK: Duration = Duration::from_secs(1);

/// How often partitions that could not be opened are tried again.
const PARTITION_RETRY: Duration = Duration::from_secs(5);

/// How often idle producers are looked for.
const PRODUCER_CHECK: Duration = Duration::from_secs(600);

/// Runs until `stop`.
///
/// # Cancel safety
/// Dropping it loses nothing; what is due is done after the next start.
pub(crate) async fn run(core: Arc<Core>, stop: CancellationToken) {
    let mut next_retention = core.config.log_retention_check_interval;
    let mut next_producers = PRODUCER_CHECK;
    let mut next_partitions = PARTITION_RETRY;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        let now = core.env.now();
        core.store.tick(now.wall_ms);
        if now.monotonic >= next_retention {
            next_retention = now.monotonic + core.config.log_retention_check_interval;
            enforce_retention(&core, now.wall_ms).await;
        }
        if now.monotonic >= next_partitions {
            next_partitions = now.monotonic + PARTITION_RETRY;
            let retried = Arc::clone(&core);
            // Only a panic in there could make it fail.
            let _ = core.blocking(move || retried.topics.retry()).await;
        }
        if now.monotonic >= next_producers {
            next_producers = now.monotonic + PRODUCER_CHECK;
            let idle = core.live_config.get().producer_id_expiration;
            for log in core.store.logs() {
                log.expire_producers(now.wall_ms, idle);
            }
        }
    }
}

async fn enforce_retention(core: &Arc<Core>, now_ms: i64) {
    for topic in core.topics.all() {
        let Some(retention) = retention_of(&topic.config) else {
            continue;
        };
        for index in 0..topic.partition_count() {
            let partition = i32::try_from(index)
                .ok()
                .and_then(|index| topic.partition(index).ok());
            let Some(log) = partition.map(|partition| Arc::clone(partition.log())) else {
                continue;
            };
            // A failure is logged where it happens; the next round tries again.
            let _ = core.blocking(move || cut(&log, retention, now_ms)).await;
        }
    }
}

/// What a topic lets go, unless it keeps everything.
fn retention_of(config: &EffectiveTopicConfig) -> Option<Retention> {
    let retention = Retention {
        age: config.retention.map(millis),
        bytes: config.retention_bytes,
    };
    let limited = retention.age.is_some() || retention.bytes.is_some();
    (config.cleanup_policy.delete && limited).then_some(retention)
}

fn cut(log: &Log, retention: Retention, now_ms: i64) {
    let identity = log.identity();
    let segments = match log.segments_info() {
        Ok(segments) => segments,
        Err(error) => {
            tracing::error!(topic = identity.topic, partition = identity.partition, %error, "retention");
            return;
        }
    };
    let offsets = log.offsets();
    let Some(keep_from) = first_to_keep(&segments, &offsets, retention, now_ms) else {
        return;
    };
    let active = segments.last().map_or(0, |active| active.base_offset);
    match let_go(log, keep_from, active) {
        Ok(start) => tracing::info!(
            topic = identity.topic,
            partition = identity.partition,
            log_start_offset = start,
            "old segments deleted"
        ),
        Err(error) => {
            tracing::error!(topic = identity.topic, partition = identity.partition, %error, "retention");
        }
    }
}

/// Deletes the segments below an offset, also that which begins at `active`.
fn let_go(log: &Log, keep_from: i64, active: i64) -> Result<i64, Box<dyn Error>> {
    if keep_from > active {
        // A full disk has no room for a new segment before the others are gone.
        log.advance_log_start(active)?;
        log.roll()?;
    }
    Ok(log.advance_log_start(keep_from)?)
}
