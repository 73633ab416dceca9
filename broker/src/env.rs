//! The only source of time and randomness in the broker.
//!
//! Monotonic time is tokio's, so that a paused runtime moves it. Wall-clock time is the system's
//! for a broker with a data directory; for an ephemeral or seeded one it begins somewhere and
//! follows the monotonic clock from there. Same seed, same run.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use tokio::time::Instant;
use uuid::Uuid;

/// A moment, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Time since the broker started; never goes back.
    pub monotonic: Duration,
    /// Milliseconds since the Unix epoch; may be set back by the operating system.
    pub wall_ms: i64,
}

/// Where wall-clock time comes from.
#[derive(Debug, Clone, Copy)]
enum Wall {
    System,
    /// Starts at this many milliseconds and follows the monotonic clock.
    Virtual(i64),
}

/// The first wall-clock moment of a seeded broker, unless it is given another:
/// 2024-01-01T00:00:00Z.
pub const SEEDED_START_MS: i64 = 1_704_067_200_000;

/// Clock and randomness of one broker. Cheap to clone.
#[derive(Clone)]
pub struct Env(Arc<Inner>);

struct Inner {
    start: Instant,
    wall: Wall,
    rng: Mutex<StdRng>,
}

impl Env {
    /// The system's clock and randomness.
    #[must_use]
    pub fn system() -> Self {
        Self::with(Wall::System, StdRng::from_os_rng())
    }

    /// A wall clock that is `start_ms` now, or else the system's time, and follows tokio's clock
    /// from there; randomness from the system.
    #[must_use]
    pub fn following(start_ms: Option<i64>) -> Self {
        let start_ms = start_ms.unwrap_or_else(system_wall_ms);
        Self::with(Wall::Virtual(start_ms), StdRng::from_os_rng())
    }

    /// A wall clock that is `start_ms` now and follows tokio's, and randomness from `seed`: the
    /// same seed gives the same run.
    #[must_use]
    pub fn seeded(seed: u64, start_ms: i64) -> Self {
        Self::with(Wall::Virtual(start_ms), StdRng::seed_from_u64(seed))
    }

    fn with(wall: Wall, rng: StdRng) -> Self {
        Self(Arc::new(Inner {
            start: Instant::now(),
            wall,
            rng: Mutex::new(rng),
        }))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Now {
        let monotonic = self.0.start.elapsed();
        let wall_ms = match self.0.wall {
            Wall::System => system_wall_ms(),
            Wall::Virtual(start) => start.saturating_add(millis(monotonic)),
        };
        Now { monotonic, wall_ms }
    }

    /// The moment `monotonic` after the start, for timers.
    #[must_use]
    pub fn instant(&self, monotonic: Duration) -> Instant {
        self.0.start + monotonic
    }

    /// A random version 4 UUID.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.0.rng.lock().fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A random number.
    #[must_use]
    pub fn random_u64(&self) -> u64 {
        self.0.rng.lock().next_u64()
    }
}

/// `duration` in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
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
