//! Which segments a log lets go under `cleanup.policy=delete`.
//!
//! Pure.

use ottla_storage::log::SegmentInfo;
use ottla_storage::offsets::Offsets;

/// The limits of a topic; without one, nothing goes for that reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    /// `retention.ms`: a segment goes when its newest record is older, in milliseconds.
    pub(crate) age: Option<i64>,
    /// `retention.bytes`: the oldest segments go while what is left is at least this large.
    pub(crate) bytes: Option<u64>,
}

/// The offset before which all goes, or `None` when nothing does. It is the log end when the active
/// segment goes too.
pub(crate) fn first_to_keep(
    segments: &[SegmentInfo],
    offsets: &Offsets,
    retention: Retention,
    now_ms: i64,
) -> Option<i64> {
    let is_older = |newest: i64| {
        let age = now_ms.saturating_sub(newest);
        retention.age.is_some_and(|limit| age > limit)
    };
    let mut left: u64 = segments.iter().map(|segment| segment.size).sum();
    let mut keep_from = None;
    let ends = segments.iter().skip(1).map(|next| next.base_offset);
    let ends = ends.chain([offsets.log_end_offset]);
    for (segment, end) in segments.iter().zip(ends) {
        left = left.saturating_sub(segment.size);
        let too_much = retention.bytes.is_some_and(|bytes| left >= bytes);
        // What is not durable yet must not go, and neither must what lies behind it.
        if end > offsets.high_watermark {
            break;
        }
        match segment.largest_timestamp {
            _ if segment.size == 0 => {}
            _ if too_much => keep_from = Some(end),
            Some(newest) if is_older(newest) => keep_from = Some(end),
            // One without timestamps, as compaction may leave it, goes with those behind it.
            None => {}
            Some(_) => break,
        }
    }
    keep_from.filter(|offset| *offset > offsets.log_start_offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of ten records and 100 bytes each, with these newest timestamps.
    fn log(newest: &[i64]) -> (Vec<SegmentInfo>, Offsets) {
        let segment = |(at, newest): (usize, &i64)| SegmentInfo {
            base_offset: at as i64 * 10,
            size: 100,
            largest_timestamp: (*newest >= 0).then_some(*newest),
            is_active: false,
        };
        let end = newest.len() as i64 * 10;
        let offsets = Offsets {
            log_start_offset: 0,
            last_stable_offset: end,
            high_watermark: end,
            log_end_offset: end,
        };
        (newest.iter().enumerate().map(segment).collect(), offsets)
    }

    fn by_age(age: i64) -> Retention {
        Retention {
            age: Some(age),
            bytes: None,
        }
    }

    fn by_bytes(bytes: u64) -> Retention {
        Retention {
            age: None,
            bytes: Some(bytes),
        }
    }

    #[test]
    fn old_segments_go_and_the_active_one_too() {
        let (segments, offsets) = log(&[10, 20, 30]);
        assert_eq!(
            first_to_keep(&segments, &offsets, by_age(100), 125),
            Some(20)
        );
        assert_eq!(
            first_to_keep(&segments, &offsets, by_age(100), 1_000),
            Some(30)
        );
        assert_eq!(first_to_keep(&segments, &offsets, by_age(100), 110), None);
    }

    #[test]
    fn a_young_segment_keeps_those_behind_it() {
        let (segments, offsets) = log(&[500, 20, 30]);
        assert_eq!(first_to_keep(&segments, &offsets, by_age(100), 200), None);
    }

    #[test]
    fn a_segment_without_timestamps_does_not_grow_old_but_goes_with_those_behind_it() {
        let (segments, offsets) = log(&[-1, 995]);
        assert_eq!(first_to_keep(&segments, &offsets, by_age(100), 1_000), None);
        let (segments, offsets) = log(&[-1, 20, 990, 995]);
        let first = first_to_keep(&segments, &offsets, by_age(100), 1_000);
        assert_eq!(first, Some(20));
        assert_eq!(first_to_keep(&segments, &offsets, by_bytes(350), 0), None);
    }

    #[test]
    fn size_never_falls_below_the_limit() {
        let (segments, offsets) = log(&[1, 2, 3, 4]);
        assert_eq!(
            first_to_keep(&segments, &offsets, by_bytes(250), 0),
            Some(10)
        );
        assert_eq!(first_to_keep(&segments, &offsets, by_bytes(400), 0), None);
        assert_eq!(first_to_keep(&segments, &offsets, by_bytes(1), 0), Some(30));
        assert_eq!(first_to_keep(&segments, &offsets, by_bytes(0), 0), Some(40));
    }

    #[test]
    fn what_is_not_durable_stays() {
        let (segments, mut offsets) = log(&[1, 2, 3]);
        offsets.high_watermark = 15;
        offsets.last_stable_offset = 15;
        assert_eq!(first_to_keep(&segments, &offsets, by_bytes(0), 0), Some(10));
    }

    #[test]
    fn nothing_goes_twice() {
        let (segments, mut offsets) = log(&[1, 2, 3]);
        offsets.log_start_offset = 20;
        assert_eq!(first_to_keep(&segments, &offsets, by_bytes(1), 0), None);
        offsets.log_start_offset = 30;
        assert_eq!(first_to_keep(&segments, &offsets, by_bytes(0), 0), None);
    }

    #[test]
    fn an_empty_active_segment_stays() {
        let (mut segments, mut offsets) = log(&[1, -1]);
        segments[1].size = 0;
        offsets.log_end_offset = 10;
        offsets.high_watermark = 10;
        let first = first_to_keep(&segments, &offsets, by_age(100), 1_000);
        assert_eq!(first, Some(10));
        offsets.log_start_offset = 10;
        let first = first_to_keep(&segments[1..], &offsets, by_bytes(0), 1_000);
        assert_eq!(first, None);
    }
}
