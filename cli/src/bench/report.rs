//! What a benchmark found: for people, and as one line of JSON.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Digits of a latency that are kept.
const DIGITS: u8 = 3;

/// The longest latency that is told apart; a longer one counts as this.
const LONGEST: Duration = Duration::from_secs(3600);

/// Latencies in microseconds.
pub(super) struct Latencies(Option<Histogram<u64>>);

impl Latencies {
    pub(super) fn new() -> Self {
        Self(Histogram::new_with_max(micros(LONGEST), DIGITS).ok())
    }

    pub(super) fn record(&mut self, latency: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(micros(latency).max(1));
        }
    }

    fn summary(&self) -> Percentiles {
        let at = |quantile| {
            let histogram = self.0.as_ref()?;
            Some(milliseconds(histogram.value_at_quantile(quantile)))
        };
        let at = |quantile| at(quantile).unwrap_or_default();
        Percentiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: at(1.0),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn milliseconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() * 1e3
}

/// In milliseconds.
#[derive(Debug, Serialize)]
struct Percentiles {
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    p99_99: f64,
    max: f64,
}

/// The result of one benchmark.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    task: &'static str,
    /// Records a second that were asked for.
    rate: Option<u64>,
    records: u64,
    failed: u64,
    bytes: u64,
    seconds: f64,
    records_per_second: f64,
    megabytes_per_second: f64,
    /// None where nothing tells when a record was due.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<Percentiles>,
}

impl Report {
    pub(super) fn new(
        task: &'static str,
        rate: Option<u64>,
        (records, failed): (u64, u64),
        bytes: u64,
        time: Duration,
        latencies: Option<&Latencies>,
    ) -> Self {
        let seconds = time.as_secs_f64().max(f64::EPSILON);
        Self {
            task,
            rate,
            records,
            failed,
            bytes,
            seconds,
            records_per_second: records as f64 / seconds,
            megabytes_per_second: bytes as f64 / 1e6 / seconds,
            latency_ms: latencies.map(Latencies::summary),
        }
    }

    pub(super) fn to_json(&self) -> String {
        // Numbers and fixed names: nothing in it can fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = match self.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        write!(
            f,
            "{} records in {:.2} s: {:.0} records/s, {:.1} MB/s{failed}",
            self.records, self.seconds, self.records_per_second, self.megabytes_per_second,
        )?;
        let Some(found) = &self.latency_ms else {
            return Ok(());
        };
        write!(
            f,
            "\nlatency in ms: p50 {:.3}, p90 {:.3}, p99 {:.3}, p99.9 {:.3}, p99.99 {:.3}, max {:.3}",
            found.p50, found.p90, found.p99, found.p99_9, found.p99_99, found.max,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::new();
        for millisecond in 1..=1000 {
            latencies.record(Duration::from_millis(millisecond));
        }
        let found = latencies.summary();
        let near = |value: f64, wanted: f64| (value - wanted).abs() <= wanted / 500.0;
        assert!(near(found.p50, 500.0), "{found:?}");
        assert!(near(found.p99_9, 999.0), "{found:?}");
        assert!(near(found.max, 1000.0), "{found:?}");
    }

    #[test]
    fn json_has_every_number_under_its_name() {
        let time = Duration::from_secs(2);
        let latencies = Latencies::new();
        let report = Report::new(
            "produce",
            Some(5),
            (10, 1),
            4_000_000,
            time,
            Some(&latencies),
        );
        let value: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(value["rate"], 5);
        assert_eq!(value["failed"], 1);
        assert_eq!(value["records_per_second"], 5.0);
        assert_eq!(value["megabytes_per_second"], 2.0);
        assert_eq!(value["latency_ms"]["p99_9"], 0.0);
    }
}
