//! Exponential back-off with jitter, and calls that are repeated until one deadline.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::env::Env;
use crate::error::Error;

/// How far a pause may be from its nominal length, as in Kafka.
const JITTER: f64 = 0.2;

/// The pauses between attempts: each twice the one before, up to a most, give or take a fifth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    base: Duration,
    max: Duration,
    attempts: u32,
}

impl Backoff {
    pub(crate) fn new(base: Duration, max: Duration) -> Self {
        Self {
            base,
            max,
            attempts: 0,
        }
    }

    /// The next pause. `fraction` is random, from 0 up to 1.
    pub(crate) fn next(&mut self, fraction: f64) -> Duration {
        let doubled = self
            .base
            .saturating_mul(2_u32.saturating_pow(self.attempts.min(20)));
        self.attempts = self.attempts.saturating_add(1);
        let nominal = doubled.min(self.max.max(self.base));
        nominal.mul_f64(1.0 - JITTER + 2.0 * JITTER * fraction)
    }

    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// Why an attempt failed.
pub(crate) enum Attempt {
    /// Another one may succeed.
    Again(Error),
    /// No other one can.
    Stop(Error),
}

/// A failure is final unless its kind says that time may heal it.
impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        let again = match &error {
            Error::Unavailable(_) => true,
            Error::Refused { code, .. } => code.is_retriable(),
            _ => false,
        };
        if again {
            Self::Again(error)
        } else {
            Self::Stop(error)
        }
    }
}

/// Repeats `attempt` until it succeeds, fails for good, or `deadline` has passed. Dropping it
/// stops between or within attempts.
pub(crate) async fn retry<T, F, Fut>(
    env: &Env,
    operation: &'static str,
    mut backoff: Backoff,
    deadline: Instant,
    mut attempt: F,
) -> Result<T, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Attempt>>,
{
    let mut reason = "nothing was heard".to_owned();
    loop {
        match tokio::time::timeout_at(deadline, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(Attempt::Stop(error))) => return Err(error),
            Ok(Err(Attempt::Again(error))) => reason = error.to_string(),
            Err(_) => return Err(Error::Timeout { operation, reason }),
        }
        let next = env.now() + backoff.next(env.fraction());
        if next >= deadline {
            return Err(Error::Timeout { operation, reason });
        }
        sleep_until(next).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_double_up_to_the_most_and_jitter_by_a_fifth() {
        let mut backoff = Backoff::new(100 * MS, 1000 * MS);
        let pauses: Vec<_> = (0..6).map(|_| backoff.next(0.5)).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000].map(|ms| ms * MS));
        backoff.reset();
        assert_eq!(backoff.next(0.0), 80 * MS);
        assert!(backoff.next(0.999) < 240 * MS);
    }

    #[test]
    fn a_pause_stays_bounded_after_any_number_of_attempts() {
        let mut backoff = Backoff::new(100 * MS, 1000 * MS);
        for _ in 0..1000 {
            assert!(backoff.next(1.0) <= 1200 * MS);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_end_at_the_deadline_and_say_why() {
        let env = Env::seeded(1);
        let deadline = env.now() + 5000 * MS;
        let mut attempts = 0;
        let result: Result<(), _> = retry(
            &env,
            "try",
            Backoff::new(100 * MS, 1000 * MS),
            deadline,
            || {
                attempts += 1;
                async { Err(Attempt::Again(Error::Unavailable("down".to_owned()))) }
            },
        )
        .await;
        let reason = "broker unavailable: down".to_owned();
        assert_eq!(
            result,
            Err(Error::Timeout {
                operation: "try",
                reason
            })
        );
        assert!(env.now() <= deadline && attempts > 5);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_hangs_is_cut_off_at_the_deadline() {
        let env = Env::seeded(1);
        let deadline = env.now() + 5000 * MS;
        let backoff = Backoff::new(100 * MS, 1000 * MS);
        let result: Result<(), _> =
            retry(&env, "try", backoff, deadline, std::future::pending).await;
        assert!(matches!(result, Err(Error::Timeout { .. })));
        assert_eq!(env.now(), deadline);
    }
}
