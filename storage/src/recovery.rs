//! Pure. What a start knows about a log, and what follows for its end, as two tables: how much must
//! be looked at ([`plan`]), and what is done with what was found there ([`verdict`]).
//!
//! A torn tail is cut; damage where data was durable, or in front of intact data, is not touched (L4).
//! Indexes, snapshots and epochs are caches and in neither table: what is wrong of them is made anew.

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

/// How much of a log can be trusted when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// It is new, or was closed and nothing more is known: file lengths and indexes are right.
    Clean,
    /// It was closed with this end: the same, as long as it ends there.
    Closed {
        /// The offset after the last record.
        end_offset: i64,
    },
    /// It is journaled, and neither checkpoint nor journal knows it: nothing of it was acknowledged, unless
    /// someone has put it there by hand. All batches are verified, and an invalid rest is cut.
    Unknown,
    /// All below `from` was synced. Batches from there on are verified, and an invalid rest is cut.
    Scan {
        /// The recovery point.
        from: i64,
        /// Nothing below this offset may be missing, although it need not be synced.
        at_least: i64,
    },
    /// The journal says where it ends. Batches from `from` on are verified, and what lies past
    /// `end_offset` is cut: it was never acknowledged.
    Exact {
        /// The recovery point.
        from: i64,
        /// The offset after the last durable record.
        end_offset: i64,
    },
}

impl Tail {
    /// The first offset whose batch must be verified.
    pub(crate) fn verify_from(self) -> i64 {
        match self {
            Self::Clean | Self::Closed { .. } => i64::MAX,
            Self::Unknown => 0,
            Self::Scan { from, .. } => from,
            Self::Exact { from, end_offset } => from.min(end_offset),
        }
    }

    /// Where to stop looking.
    pub(crate) fn stop_at(self) -> i64 {
        match self {
            Self::Clean | Self::Closed { .. } | Self::Unknown | Self::Scan { .. } => i64::MAX,
            Self::Exact { end_offset, .. } => end_offset,
        }
    }

    /// The log was closed: nothing of it needs to be brought to disk.
    pub(crate) fn is_closed(self) -> bool {
        matches!(self, Self::Clean | Self::Closed { .. })
    }

    /// Something is known of the log beside its files.
    fn is_known(self) -> bool {
        !matches!(
            self,
            Self::Clean | Self::Unknown | Self::Scan { at_least: 0, .. }
        )
    }
}

/// The first table: how to look at a log. `None` when it is quarantined without a look.
///
/// A log of which neither checkpoint nor journal knows may have been put there by hand after a
/// crash: what is intact in it is kept.
pub(crate) fn plan(facts: Facts) -> Option<Tail> {
    let point = facts.point.unwrap_or_default();
    let end = facts.journaled_end.unwrap_or(0).max(point.end);
    let from = point.recovery_point();
    let known = facts.point.is_some() || facts.journaled_end.is_some();
    match facts.last_stop {
        _ if facts.hole => None,
        LastStop::Clean if facts.point.is_none() => Some(Tail::Clean),
        LastStop::Clean if !point.quarantined => Some(Tail::Closed {
            end_offset: point.end,
        }),
        LastStop::Unclean if facts.journaled && known => Some(Tail::Exact {
            from,
            end_offset: end,
        }),
        LastStop::Unclean if facts.journaled => Some(Tail::Unknown),
        _ => Some(Tail::Scan {
            from,
            at_least: end,
        }),
    }
}

/// What a look at a log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its first segment begins behind its start.
    pub(crate) starts_late: bool,
    /// The offset after the last batch of the unbroken run from the start.
    pub(crate) end: i64,
    /// Why the scan stopped there, unless it was the end of the last file.
    pub(crate) invalid: Option<String>,
    /// An intact batch follows behind what is invalid.
    pub(crate) valid_behind: bool,
}

/// What to do with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Serve it as it is.
    Keep,
    /// Cut what lies past the found end, and serve the rest.
    Cut,
    /// Change nothing and serve nothing.
    Quarantine(String),
}

/// The second table: what follows from what was found.
pub(crate) fn verdict(tail: Tail, found: &Found) -> Verdict {
    let end = found.end;
    let reason = found.invalid.as_deref();
    let damaged = |what: &str| {
        Verdict::Quarantine(match reason {
            Some(reason) => format!("{what}: {reason}"),
            None => format!("{what}: the log ends there"),
        })
    };
    if found.starts_late && tail.is_known() {
        return Verdict::Quarantine("its first segments are missing".to_owned());
    }
    match tail {
        Tail::Clean => match reason {
            None => Verdict::Keep,
            Some(_) => damaged("a closed log is damaged"),
        },
        Tail::Closed { end_offset } => match reason {
            None if end == end_offset => Verdict::Keep,
            _ => damaged(&format!("a log that was closed at {end_offset} is damaged")),
        },
        Tail::Scan { from, at_least } if end < from.max(at_least) => {
            let promised = from.max(at_least);
            damaged(&format!("records below {promised} are missing"))
        }
        Tail::Unknown | Tail::Scan { .. } => match (reason, found.valid_behind) {
            (None, _) => Verdict::Keep,
            (Some(_), false) => Verdict::Cut,
            (Some(_), true) => damaged("an invalid batch is followed by valid ones"),
        },
        Tail::Exact { end_offset, .. } if end < end_offset => {
            damaged(&format!("durable records below {end_offset} are missing"))
        }
        Tail::Exact { end_offset, .. } if end > end_offset => Verdict::Quarantine(format!(
            "the durable end {end_offset} is inside the batch that ends before {end}"
        )),
        Tail::Exact { .. } => Verdict::Cut,
    }
}

#[cfg(test)]
mod tests;
