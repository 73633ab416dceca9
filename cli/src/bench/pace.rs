//! Pure. When each record is due.

use std::time::{Duration, Instant};

/// A fixed rate from a start, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    start: Instant,
    rate: Option<u64>,
}

impl Pace {
    pub(super) fn new(start: Instant, rate: Option<u64>) -> Self {
        Self { start, rate }
    }

    /// When the record of this number is due; `None` when it may go at once.
    pub(super) fn due(&self, record: u64) -> Option<Instant> {
        let nanoseconds = u128::from(record) * 1_000_000_000 / u128::from(self.rate?);
        let after = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        Some(self.start + after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_due_at_the_rate_without_drift() {
        let start = Instant::now();
        let pace = Pace::new(start, Some(3));
        assert_eq!(pace.due(0), Some(start));
        assert_eq!(
            pace.due(3_000_000),
            Some(start + Duration::from_secs(1_000_000))
        );
        assert_eq!(Pace::new(start, None).due(7), None);
    }
}
