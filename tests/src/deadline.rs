//! Waiting for foreign processes, always with an end. The only place of the tests that looks at a clock.
#![allow(
    clippy::disallowed_methods,
    reason = "other processes live in real time; nothing here decides anything but when to give up"
)]

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Longer than any client needs on a busy machine; reached only by a failure.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A moment after which waiting is a failure.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// [`PATIENCE`] from now.
    pub fn generous() -> Self {
        Self::after(PATIENCE)
    }

    /// `patience` from now.
    pub fn after(patience: Duration) -> Self {
        Self(Instant::now() + patience)
    }

    /// What is left, zero when it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Asks `probe` again and again, with growing pauses of at most 100 ms, until it answers or the deadline passes.
    pub fn poll<T>(self, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
        let mut pause = Duration::from_millis(2);
        loop {
            if let Some(found) = probe() {
                return Some(found);
            }
            if self.left().is_zero() {
                return None;
            }
            thread::sleep(pause.min(self.left()));
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }
}

/// Milliseconds since 1970, as in the timestamp of a record.
pub fn now_ms() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    i64::try_from(elapsed.as_millis()).expect("a clock before the year 292 million")
}
