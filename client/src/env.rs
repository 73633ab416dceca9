//! The only source of time and randomness in the client.
//!
//! Monotonic time is tokio's, so that a paused runtime moves it. A seeded client takes its
//! wall-clock time from there too.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::time::Instant;
use uuid::Uuid;

/// The first wall-clock moment of a seeded client: 2024-01-01T00:00:00Z.
const VIRTUAL_START_MS: i64 = 1_704_067_200_000;

/// Clock and randomness of one client. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Env(Arc<State>);

struct State {
    start: Instant,
    virtual_wall: bool,
    rng: Mutex<StdRng>,
}

impl Env {
    /// The system's clock and randomness.
    pub(crate) fn system() -> Self {
        Self::with(false, StdRng::from_os_rng())
    }

    /// A wall clock that follows tokio's and randomness from `seed`.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::with(true, StdRng::seed_from_u64(seed))
    }

    fn with(virtual_wall: bool, rng: StdRng) -> Self {
        Self(Arc::new(State {
            start: Instant::now(),
            virtual_wall,
            rng: Mutex::new(rng),
        }))
    }

    /// The present moment.
    #[expect(clippy::unused_self, reason = "time is asked of the environment")]
    pub(crate) fn now(&self) -> Instant {
        Instant::now()
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn wall_ms(&self) -> i64 {
        if self.0.virtual_wall {
            VIRTUAL_START_MS.saturating_add(millis(self.0.start.elapsed()))
        } else {
            system_wall_ms()
        }
    }

    /// A random number.
    pub(crate) fn random(&self) -> u64 {
        self.0.rng.lock().next_u64()
    }

    /// A random id.
    pub(crate) fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.0.rng.lock().fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A random number from 0 up to, not including, 1.
    pub(crate) fn fraction(&self) -> f64 {
        self.0.rng.lock().random()
    }
}

/// `duration` in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// `duration` in whole milliseconds, as most requests have it.
pub(crate) fn millis_i32(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the wall clock"
)]
fn system_wall_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, millis)
}
