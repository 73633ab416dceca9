//! What compaction may touch, when it is worth the work, and which segments become one.
//!
//! Pure. The rules are those of Kafka's log cleaner, but whole segments at a time; what becomes of
//! a batch is in [`filter`].

pub(crate) mod filter;
pub(crate) mod offset_map;
pub(crate) mod transactions;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use crate::config::Compaction;

/// A sealed segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SealedSegment {
    pub(crate) base_offset: i64,
    /// Where the next segment begins.
    pub(crate) next_offset: i64,
    /// Bytes of its batches.
    pub(crate) size: u64,
    /// Timestamp of its first batch, in milliseconds.
    pub(crate) first_timestamp: Option<i64>,
    /// Its newest timestamp, in milliseconds.
    pub(crate) largest_timestamp: Option<i64>,
}

/// What there is to compact in a log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cleanable {
    /// From here on, no one has looked for newer records of the same key yet.
    pub(crate) first_dirty: i64,
    /// Here the part begins that must be left alone.
    pub(crate) end: i64,
    /// Bytes of the segments below `end`.
    pub(crate) total_bytes: u64,
    /// Bytes of those of them that have records from `first_dirty` on.
    pub(crate) dirty_bytes: u64,
    /// A record has waited for `max.compaction.lag.ms`.
    pub(crate) overdue: bool,
}

impl Cleanable {
    /// The dirty share of what can be compacted, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a ratio need not be exact")]
    pub(crate) fn dirty_ratio(&self) -> f64 {
        if self.total_bytes == 0 {
            return 0.0;
        }
        self.dirty_bytes as f64 / self.total_bytes as f64
    }

    /// Whether it is worth it, or overdue.
    pub(crate) fn is_due(&self, compaction: &Compaction) -> bool {
        self.dirty_bytes > 0
            && (self.overdue || self.dirty_ratio() > compaction.min_cleanable_dirty_ratio)
    }
}

/// What there is to compact in the `sealed` segments of a log, ascending, at time `now_ms`. Nothing
/// from `limit` on is touched: it is not decided yet, or not durable.
pub(crate) fn cleanable(
    sealed: &[SealedSegment],
    first_dirty: i64,
    limit: i64,
    compaction: &Compaction,
    now_ms: i64,
) -> Option<Cleanable> {
    let start = sealed.first()?.base_offset;
    let first_dirty = first_dirty.max(start);
    let is_dirty = |segment: &SealedSegment| segment.next_offset > first_dirty;
    let too_young = |segment: &SealedSegment| {
        let newest = segment.largest_timestamp.unwrap_or(i64::MIN);
        !compaction.min_lag.is_zero() && newest > before(now_ms, compaction.min_lag)
    };
    let touched = |segment: &&SealedSegment| {
        segment.next_offset <= limit && !(is_dirty(segment) && too_young(segment))
    };
    let mut cleanable = Cleanable {
        first_dirty,
        end: start,
        total_bytes: 0,
        dirty_bytes: 0,
        overdue: false,
    };
    for segment in sealed.iter().take_while(touched) {
        cleanable.end = segment.next_offset;
        cleanable.total_bytes += segment.size;
        if is_dirty(segment) {
            cleanable.dirty_bytes += segment.size;
        }
    }
    if let Some(max_lag) = compaction.max_lag {
        let latest = before(now_ms, max_lag.max(compaction.min_lag));
        cleanable.overdue = sealed
            .iter()
            .filter(|segment| is_dirty(segment))
            .filter_map(|segment| segment.first_timestamp)
            .any(|first| 0 < first && first < latest);
    }
    (cleanable.end > first_dirty).then_some(cleanable)
}

fn before(now_ms: i64, age: Duration) -> i64 {
    now_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}

/// Runs of segments, given by base offset, next offset and size, of which each becomes one: as
/// many as are sure to fit `segment_bytes` and the relative offsets of an index.
pub(crate) fn group(segments: &[(i64, i64, u64)], segment_bytes: u32) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut first_base = 0;
    let mut bytes = 0;
    for (number, (base_offset, next_offset, size)) in segments.iter().enumerate() {
        let fits = bytes + size <= u64::from(segment_bytes)
            && next_offset - first_base <= i64::from(i32::MAX);
        match groups.last_mut().filter(|_| fits) {
            Some(group) => {
                group.end = number + 1;
                bytes += size;
            }
            None => {
                groups.push(number..number + 1);
                first_base = *base_offset;
                bytes = *size;
            }
        }
    }
    groups
}
