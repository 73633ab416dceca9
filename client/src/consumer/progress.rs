//! Pure. Whether the application makes progress on what it was handed (`max.poll.interval.ms`).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// The progress of an application.
#[derive(Debug)]
pub(super) struct Progress {
    interval: Duration,
    /// The longest extension.
    cap: Duration,
    /// The last sign of progress.
    last: Instant,
    /// Until when each guard holds the interval open.
    extensions: BTreeMap<u64, Instant>,
    next: u64,
}

impl Progress {
    pub(super) fn new(interval: Duration, cap: Duration, now: Instant) -> Self {
        Self {
            interval,
            cap,
            last: now,
            extensions: BTreeMap::new(),
            next: 0,
        }
    }

    /// The application did something about what it was handed, or was handed something when it
    /// had nothing to do.
    pub(super) fn made(&mut self, now: Instant) {
        self.last = now;
    }

    /// When the application is taken to be stuck, if something is outstanding all the while.
    pub(super) fn deadline(&self) -> Instant {
        let regular = self.last + self.interval;
        let extended = self.extensions.values().max();
        extended.map_or(regular, |until| regular.max(*until))
    }

    /// Allows `by` from now on, but no more than the cap. Returns the extension's number.
    pub(super) fn extend(&mut self, by: Duration, now: Instant) -> u64 {
        let number = self.next;
        self.next += 1;
        self.extensions.insert(number, now + by.min(self.cap));
        number
    }

    /// Ends an extension, which is progress: what took long is over.
    pub(super) fn end_extension(&mut self, number: u64, now: Instant) {
        let until = self.extensions.remove(&number);
        if until.is_some_and(|until| now <= until) {
            self.made(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_sign_of_progress_starts_the_interval_anew() {
        let start = Instant::now();
        let mut progress = Progress::new(10 * SECOND, 60 * SECOND, start);
        progress.made(start + 5 * SECOND);
        assert_eq!(progress.deadline(), start + 15 * SECOND);
    }

    #[test]
    fn an_extension_is_capped_and_its_end_is_progress() {
        let start = Instant::now();
        let mut progress = Progress::new(10 * SECOND, 60 * SECOND, start);
        let long = progress.extend(3600 * SECOND, start);
        assert_eq!(progress.deadline(), start + 60 * SECOND);
        progress.end_extension(long, start + 40 * SECOND);
        assert_eq!(progress.deadline(), start + 50 * SECOND);
    }

    #[test]
    fn an_extension_that_ran_out_is_not_progress() {
        let start = Instant::now();
        let mut progress = Progress::new(10 * SECOND, 60 * SECOND, start);
        let extension = progress.extend(20 * SECOND, start);
        progress.end_extension(extension, start + 30 * SECOND);
        assert_eq!(progress.deadline(), start + 10 * SECOND);
    }
}
