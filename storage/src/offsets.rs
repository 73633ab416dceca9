//! The offsets of a log, in order: start ≤ last stable ≤ high watermark ≤ end.
//!
//! Pure. One setter asserts the order, so no caller can publish offsets out of it.

use std::collections::VecDeque;

/// What readers may ask for. Half-open: the log holds `[log_start_offset, log_end_offset)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    /// The first offset that can be read.
    pub log_start_offset: i64,
    /// The first offset of the oldest open transaction, else the high watermark.
    pub last_stable_offset: i64,
    /// All below it is durable and visible.
    pub high_watermark: i64,
    /// The offset that the next record gets.
    pub log_end_offset: i64,
}

/// An offset and where its batch starts, or would start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogPosition {
    pub(crate) offset: i64,
    /// Base offset of the segment.
    pub(crate) segment_base: i64,
    /// Bytes from the start of the segment's file.
    pub(crate) position: u64,
}

/// The offsets with their positions, and the appends that are not durable yet.
#[derive(Debug)]
pub(crate) struct OffsetState {
    offsets: Offsets,
    high_watermark: LogPosition,
    log_end: LogPosition,
    /// First offset of the oldest open transaction.
    first_unstable_offset: Option<i64>,
    /// First offset of each ended transaction, and the offset behind its marker, which is not
    /// durable yet: until then a crash could still decide otherwise. Ascending by the second.
    undecided: VecDeque<(i64, i64)>,
    /// Ends of batches between high watermark and log end, ascending.
    pending: VecDeque<LogPosition>,
}

impl OffsetState {
    /// A log whose every record is durable.
    pub(crate) fn new(log_start_offset: i64, end: LogPosition) -> Self {
        let mut state = Self {
            offsets: Offsets {
                log_start_offset,
                last_stable_offset: end.offset,
                high_watermark: end.offset,
                log_end_offset: end.offset,
            },
            high_watermark: end,
            log_end: end,
            first_unstable_offset: None,
            undecided: VecDeque::new(),
            pending: VecDeque::new(),
        };
        state.set(log_start_offset, end, end);
        state
    }

    /// The one setter.
    fn set(&mut self, log_start_offset: i64, high_watermark: LogPosition, log_end: LogPosition) {
        let high = high_watermark.offset;
        while self
            .undecided
            .pop_front_if(|(_, end)| *end <= high)
            .is_some()
        {}
        let undecided = self.undecided.iter().map(|(first, _)| *first);
        let stable = undecided
            .chain(self.first_unstable_offset)
            .min()
            .map_or(high, |first| first.clamp(log_start_offset, high));
        assert!(
            0 <= log_start_offset
                && log_start_offset <= stable
                && stable <= high
                && high <= log_end.offset,
            "offsets out of order: start {log_start_offset}, stable {stable}, \
             high watermark {high}, end {}",
            log_end.offset
        );
        self.high_watermark = high_watermark;
        self.log_end = log_end;
        self.offsets = Offsets {
            log_start_offset,
            last_stable_offset: stable,
            high_watermark: high,
            log_end_offset: log_end.offset,
        };
    }

    pub(crate) fn offsets(&self) -> Offsets {
        self.offsets
    }

    pub(crate) fn high_watermark(&self) -> LogPosition {
        self.high_watermark
    }

    pub(crate) fn log_end(&self) -> LogPosition {
        self.log_end
    }

    /// The batch that is appended next ends the transaction that begins at `first_offset`.
    pub(crate) fn transaction_ends(&mut self, first_offset: i64, marker_end: i64) {
        self.undecided.push_back((first_offset, marker_end));
    }

    /// A batch was appended; it becomes visible when it is durable, or at once.
    pub(crate) fn appended(
        &mut self,
        end: LogPosition,
        first_unstable_offset: Option<i64>,
        durable: bool,
    ) {
        self.first_unstable_offset = first_unstable_offset;
        let high_watermark = if durable {
            end
        } else {
            self.pending.push_back(end);
            self.high_watermark
        };
        self.set(self.offsets.log_start_offset, high_watermark, end);
    }

    /// All below `end_offset` is durable. Answers the high watermark if it moved.
    pub(crate) fn committed(&mut self, end_offset: i64) -> Option<i64> {
        let mut reached = None;
        while let Some(end) = self.pending.pop_front_if(|end| end.offset <= end_offset) {
            reached = Some(end);
        }
        let reached = reached?;
        self.set(self.offsets.log_start_offset, reached, self.log_end);
        Some(reached.offset)
    }

    /// The oldest open transaction starts there.
    pub(crate) fn set_first_unstable(&mut self, first_unstable_offset: Option<i64>) {
        self.first_unstable_offset = first_unstable_offset;
        self.set(
            self.offsets.log_start_offset,
            self.high_watermark,
            self.log_end,
        );
    }

    /// The log starts later. The caller has checked that `to` is between start and high watermark.
    pub(crate) fn advance_log_start(&mut self, to: i64) {
        self.set(to, self.high_watermark, self.log_end);
    }

    /// The segment in front of `start` is another one; so a high watermark at its end is where the
    /// next one starts.
    pub(crate) fn moved_on(&mut self, start: LogPosition) {
        if self.high_watermark.offset == start.offset {
            self.high_watermark = start;
        }
    }

    /// The active segment is a new, empty one: the same end at another place.
    pub(crate) fn rolled(&mut self, end: LogPosition) {
        self.set(self.offsets.log_start_offset, self.high_watermark, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64) -> LogPosition {
        LogPosition {
            offset,
            segment_base: 0,
            position: u64::try_from(offset).unwrap() * 100,
        }
    }

    #[test]
    fn the_high_watermark_follows_durability() {
        let mut state = OffsetState::new(0, at(0));
        for end in [5, 8, 9] {
            state.appended(at(end), None, false);
        }
        assert_eq!(state.offsets().high_watermark, 0);
        assert_eq!(state.committed(8), Some(8));
        assert_eq!(state.high_watermark(), at(8));
        assert_eq!(state.committed(8), None);
        assert_eq!(state.committed(100), Some(9));
        assert_eq!(state.offsets().log_end_offset, 9);
    }

    #[test]
    fn a_commit_inside_a_batch_waits_for_its_end() {
        let mut state = OffsetState::new(0, at(0));
        state.appended(at(5), None, false);
        assert_eq!(state.committed(4), None);
        assert_eq!(state.offsets().high_watermark, 0);
    }

    #[test]
    fn an_open_transaction_holds_the_last_stable_offset() {
        let mut state = OffsetState::new(0, at(3));
        state.appended(at(5), Some(3), true);
        assert_eq!(state.offsets().last_stable_offset, 3);
        assert_eq!(state.offsets().high_watermark, 5);
        state.appended(at(6), None, true);
        assert_eq!(state.offsets().last_stable_offset, 6);
    }

    #[test]
    fn an_ended_transaction_holds_the_last_stable_offset_until_its_marker_is_durable() {
        let mut state = OffsetState::new(0, at(3));
        state.appended(at(5), Some(3), false);
        state.transaction_ends(3, 6);
        state.appended(at(6), None, false);
        state.committed(5);
        assert_eq!(state.offsets().last_stable_offset, 3);
        state.committed(6);
        assert_eq!(state.offsets().last_stable_offset, 6);
    }

    #[test]
    #[should_panic(expected = "out of order")]
    fn a_start_past_the_high_watermark_is_our_bug() {
        OffsetState::new(0, at(5)).advance_log_start(6);
    }
}
