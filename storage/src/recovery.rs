//! Pure. What a start knows about a log, and what follows for its end.

pub(crate) mod redo;

/// How the directory was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastStop {
    /// Closed: everything is on disk.
    Clean,
    /// Killed, or the machine stopped.
    Unclean,
    /// The journal or the checkpoint is damaged, and whoever opens accepts what the segments say.
    Damaged,
}

/// What the checkpoint says about a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Point {
    /// Everything below is on disk.
    pub(crate) end: i64,
    /// Something below was missing or damaged when it was last looked at.
    pub(crate) quarantined: bool,
}

impl Point {
    /// The point of a log of which everything below `end` is on disk.
    pub(crate) fn at(end: i64) -> Self {
        Self {
            end,
            quarantined: false,
        }
    }

    /// The first offset that is not known to be on disk and intact.
    pub(crate) fn recovery_point(&self) -> i64 {
        if self.quarantined { 0 } else { self.end }
    }
}

/// What is known about a log before it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// How the directory was left.
    pub(crate) last_stop: LastStop,
    /// Whether appends to this log are acknowledged by the journal.
    pub(crate) journaled: bool,
    /// From the checkpoint; a log created after it has none.
    pub(crate) point: Option<Point>,
    /// Log end offset after the last entry in the journal.
    pub(crate) journaled_end: Option<i64>,
    /// The journal has bytes for a place behind the end of a segment, or in one that is gone.
    pub(crate) hole: bool,
}

/// How to open a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Trust the files.
    Clean,
    /// Check all batches from here on, and cut a torn end, though not below `at_least`.
    Scan {
        /// Recovery point.
        from: i64,
        /// Offset that was promised.
        at_least: i64,
    },
    /// Check all batches from `from` to `end`, which must be there, and cut what follows.
    Exact {
        /// Recovery point.
        from: i64,
        /// Log end offset.
        end: i64,
    },
    /// Something acknowledged is missing.
    Quarantine,
}

/// The table.
///
/// A log of which neither checkpoint nor journal knows may have been put there by hand after a
/// crash: what is intact in it is kept.
pub(crate) fn verdict(facts: Facts) -> Verdict {
    let point = facts.point.unwrap_or_default();
    let end = facts.journaled_end.unwrap_or(0).max(point.end);
    let from = point.recovery_point();
    let known = facts.point.is_some() || facts.journaled_end.is_some();
    match facts.last_stop {
        _ if facts.hole => Verdict::Quarantine,
        LastStop::Clean if !point.quarantined => Verdict::Clean,
        LastStop::Unclean if facts.journaled && known => Verdict::Exact { from, end },
        _ => Verdict::Scan {
            from,
            at_least: end,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Option<Point> = Some(Point {
        end: 10,
        quarantined: false,
    });
    const QUARANTINED: Option<Point> = Some(Point {
        end: 15,
        quarantined: true,
    });

    #[test]
    fn each_row_of_the_table() {
        use LastStop::{Clean, Damaged, Unclean};
        use Verdict::{Exact, Quarantine, Scan};
        let scan = |from, at_least| Scan { from, at_least };
        let exact = |from, end| Exact { from, end };
        let rows = [
            // last stop, journaled, point, journaled end, hole, verdict
            (Clean, true, None, None, false, Verdict::Clean),
            (Clean, true, WHOLE, None, false, Verdict::Clean),
            (Clean, true, QUARANTINED, None, false, scan(0, 15)),
            (Clean, false, None, None, false, Verdict::Clean),
            (Clean, false, WHOLE, None, false, Verdict::Clean),
            (Clean, false, QUARANTINED, None, false, scan(0, 15)),
            (Unclean, true, None, None, false, scan(0, 0)),
            (Unclean, true, None, Some(7), false, exact(0, 7)),
            (Unclean, true, None, Some(7), true, Quarantine),
            (Unclean, true, WHOLE, None, false, exact(10, 10)),
            (Unclean, true, WHOLE, Some(9), false, exact(10, 10)),
            (Unclean, true, WHOLE, Some(12), false, exact(10, 12)),
            (Unclean, true, WHOLE, Some(12), true, Quarantine),
            (Unclean, true, QUARANTINED, None, false, exact(0, 15)),
            (Unclean, true, QUARANTINED, Some(17), false, exact(0, 17)),
            (Unclean, false, None, None, false, scan(0, 0)),
            (Unclean, false, WHOLE, None, false, scan(10, 10)),
            (Unclean, false, WHOLE, Some(12), false, scan(10, 12)),
            (Unclean, false, WHOLE, Some(12), true, Quarantine),
            (Unclean, false, QUARANTINED, None, false, scan(0, 15)),
            (Damaged, true, None, None, false, scan(0, 0)),
            (Damaged, true, WHOLE, Some(12), false, scan(10, 12)),
            (Damaged, true, WHOLE, Some(12), true, Quarantine),
            (Damaged, true, QUARANTINED, None, false, scan(0, 15)),
            (Damaged, false, None, None, false, scan(0, 0)),
            (Damaged, false, WHOLE, None, false, scan(10, 10)),
        ];
        for (last_stop, journaled, point, journaled_end, hole, expected) in rows {
            let facts = Facts {
                last_stop,
                journaled,
                point,
                journaled_end,
                hole,
            };
            assert_eq!(verdict(facts), expected, "{facts:?}");
        }
    }
}
