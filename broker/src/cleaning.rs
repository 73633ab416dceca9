//! Compaction: one log after the other, no faster than it may, where waiting for a disk harms nobody.
//!
//! Shell. What is due and what is left of it is decided in `ottla_storage`.

use std::sync::Arc;
use std::time::Duration;

use ottla_storage::cleaner::{Cleaning, Next, Step};
use ottla_storage::error::ChangeError;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::machine::Unavailable;

/// Bytes read and written in one go, at most and at least.
const LARGEST_STEP: u64 = 1 << 20;
const SMALLEST_STEP: u64 = 4 << 10;

/// The shortest rest, whatever `log.cleaner.backoff.ms` says.
const SHORTEST_REST: Duration = Duration::from_millis(1);

/// The longest rest between two steps, so that a changed bound is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long appends that are under way are given to become durable.
const COMMIT_WAIT: Duration = Duration::from_millis(10);

/// Runs until `stop`.
///
/// # Cancel safety
/// Dropping it leaves every log whole; what is due is compacted after the next start.
pub(crate) async fn run(core: Arc<Core>, stop: CancellationToken) {
    loop {
        let rest = core.live_config.get().log_cleaner_backoff;
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest.max(SHORTEST_REST)) => {}
        }
        // As many as there are; each is compacted to its end.
        while !stop.is_cancelled() && compact_next(&core, &stop).await {}
    }
}

/// Compacts the log that needs it most. `false` when there is none, or it could not be done.
async fn compact_next(core: &Arc<Core>, stop: &CancellationToken) -> bool {
    let now_ms = core.env.now().wall_ms;
    let most_bytes = core.live_config.get().log_cleaner_dedupe_buffer_size;
    let store = Arc::clone(&core.store);
    let found = core.blocking(move || store.next_cleaning(most_bytes, now_ms));
    let mut cleaning = match found.await {
        Ok(Ok(Some(cleaning))) => cleaning,
        Ok(Ok(None)) | Err(Unavailable) => return false,
        Ok(Err(error)) => {
            tracing::warn!(%error, "compaction");
            return false;
        }
    };
    loop {
        if stop.is_cancelled() {
            return false;
        }
        let begun = core.env.now().monotonic;
        let rate = core.live_config.get().log_cleaner_io_max_bytes_per_second;
        // Only a panic in there could make it fail.
        let Ok((returned, step)) = core.blocking(move || take_step(cleaning, rate)).await else {
            return false;
        };
        cleaning = returned;
        match step {
            Ok(Step { next, bytes }) => {
                let elapsed = core.env.now().monotonic.saturating_sub(begun);
                let wait = match next {
                    Next::Finished => {
                        tell(&cleaning);
                        return true;
                    }
                    Next::GoOn => pause(bytes, rate, elapsed),
                    Next::Wait => COMMIT_WAIT,
                };
                rest(wait, stop).await;
            }
            Err(error) => {
                let identity = cleaning.identity();
                tracing::warn!(topic = identity.topic, partition = identity.partition, %error, "not compacted");
                return false;
            }
        }
    }
}

fn take_step(mut cleaning: Cleaning, rate: f64) -> (Cleaning, Result<Step, ChangeError>) {
    let step = cleaning.step(step_bytes(rate));
    (cleaning, step)
}

/// About what may be done in a second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates, and the rate is positive"
)]
fn step_bytes(rate: f64) -> u64 {
    (rate as u64).clamp(SMALLEST_STEP, LARGEST_STEP)
}

/// How long to rest after a step of so many bytes that took `elapsed`.
#[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
fn pause(bytes: u64, rate: f64, elapsed: Duration) -> Duration {
    let due = Duration::try_from_secs_f64(bytes as f64 / rate).unwrap_or(LONGEST_PAUSE);
    due.saturating_sub(elapsed).min(LONGEST_PAUSE)
}

async fn rest(wait: Duration, stop: &CancellationToken) {
    if wait.is_zero() {
        tokio::task::yield_now().await;
        return;
    }
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = tokio::time::sleep(wait) => {}
    }
}

fn tell(cleaning: &Cleaning) {
    let (identity, report) = (cleaning.identity(), cleaning.report());
    tracing::info!(
        topic = identity.topic,
        partition = identity.partition,
        passes = report.passes,
        bytes_before = report.bytes_before,
        bytes_after = report.bytes_after,
        "log compacted"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_makes_up_for_the_bytes() {
        let second = Duration::from_secs(1);
        assert_eq!(pause(1_000, 500.0, Duration::ZERO), 2 * second);
        assert_eq!(pause(1_000, 500.0, second), second);
        assert_eq!(pause(1_000, 500.0, 3 * second), Duration::ZERO);
        assert_eq!(pause(1_000, f64::MAX, Duration::ZERO), Duration::ZERO);
        assert_eq!(pause(1_000, 1e-300, Duration::ZERO), LONGEST_PAUSE);
    }

    #[test]
    fn a_step_is_no_longer_than_about_a_second() {
        assert_eq!(step_bytes(f64::MAX), LARGEST_STEP);
        assert_eq!(step_bytes(100_000.0), 100_000);
        assert_eq!(step_bytes(0.5), SMALLEST_STEP);
    }
}
