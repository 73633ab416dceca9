//! What to do with the end of a log when it is opened: facts in, verdict out.
//!
//! Pure. A torn tail is cut; damage where data was durable, or in front of intact data, is not
//! touched (L4).

/// How much of a log can be trusted when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// It was closed: file lengths and indexes are right.
    Clean,
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
    pub(super) fn verify_from(self) -> i64 {
        match self {
            Self::Clean => i64::MAX,
            Self::Scan { from, .. } => from,
            Self::Exact { from, end_offset } => from.min(end_offset),
        }
    }

    /// Where to stop looking.
    pub(super) fn stop_at(self) -> i64 {
        match self {
            Self::Clean | Self::Scan { .. } => i64::MAX,
            Self::Exact { end_offset, .. } => end_offset,
        }
    }
}

/// What a scan of the tail found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TailFacts {
    /// The offset after the last batch of the unbroken run from the start.
    pub(super) found_end: i64,
    /// Why the scan stopped there, unless it was the end of the last file.
    pub(super) invalid: Option<String>,
    /// An intact batch follows behind what is invalid.
    pub(super) valid_behind: bool,
}

/// What to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Serve it as it is.
    Keep,
    /// Cut what lies past the found end.
    Cut,
    /// Change nothing and serve nothing.
    Quarantine(String),
}

/// The verdict for each combination of facts.
pub(super) fn verdict(tail: Tail, facts: &TailFacts) -> Verdict {
    let found = facts.found_end;
    let reason = facts.invalid.as_deref();
    let damaged = |what: &str| {
        Verdict::Quarantine(match reason {
            Some(reason) => format!("{what}: {reason}"),
            None => format!("{what}: the log ends there"),
        })
    };
    match tail {
        Tail::Clean => match reason {
            None => Verdict::Keep,
            Some(_) => damaged("a closed log is damaged"),
        },
        Tail::Scan { from, at_least } if found < from.max(at_least) => {
            let promised = from.max(at_least);
            damaged(&format!("records below {promised} are missing"))
        }
        Tail::Scan { .. } => match (reason, facts.valid_behind) {
            (None, _) => Verdict::Keep,
            (Some(_), false) => Verdict::Cut,
            (Some(_), true) => damaged("an invalid batch is followed by valid ones"),
        },
        Tail::Exact { end_offset, .. } if found < end_offset => {
            damaged(&format!("durable records below {end_offset} are missing"))
        }
        Tail::Exact { end_offset, .. } if found > end_offset => Verdict::Quarantine(format!(
            "the durable end {end_offset} is inside the batch that ends before {found}"
        )),
        Tail::Exact { .. } => Verdict::Cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(found_end: i64, invalid: bool, valid_behind: bool) -> TailFacts {
        TailFacts {
            found_end,
            invalid: invalid.then(|| "torn".to_owned()),
            valid_behind,
        }
    }

    fn is_quarantine(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Quarantine(_))
    }

    #[test]
    fn a_closed_log_is_kept_or_quarantined() {
        assert_eq!(verdict(Tail::Clean, &facts(9, false, false)), Verdict::Keep);
        assert!(is_quarantine(&verdict(Tail::Clean, &facts(9, true, false))));
    }

    #[test]
    fn a_scanned_log_is_cut_only_behind_the_recovery_point_and_only_at_its_end() {
        let tail = Tail::Scan {
            from: 10,
            at_least: 0,
        };
        assert_eq!(verdict(tail, &facts(10, false, false)), Verdict::Keep);
        assert_eq!(verdict(tail, &facts(12, false, false)), Verdict::Keep);
        assert_eq!(verdict(tail, &facts(10, true, false)), Verdict::Cut);
        assert_eq!(verdict(tail, &facts(12, true, false)), Verdict::Cut);
        assert!(is_quarantine(&verdict(tail, &facts(12, true, true))));
        assert!(is_quarantine(&verdict(tail, &facts(9, true, false))));
        assert!(is_quarantine(&verdict(tail, &facts(9, false, false))));
        let promised = Tail::Scan {
            from: 5,
            at_least: 10,
        };
        assert!(is_quarantine(&verdict(promised, &facts(9, true, false))));
        assert_eq!(verdict(promised, &facts(10, true, false)), Verdict::Cut);
    }

    #[test]
    fn a_journaled_log_ends_where_the_journal_says() {
        let tail = Tail::Exact {
            from: 5,
            end_offset: 10,
        };
        for (invalid, valid_behind) in [(false, false), (true, false), (true, true)] {
            assert_eq!(
                verdict(tail, &facts(10, invalid, valid_behind)),
                Verdict::Cut
            );
            assert!(is_quarantine(&verdict(
                tail,
                &facts(9, invalid, valid_behind)
            )));
            assert!(is_quarantine(&verdict(
                tail,
                &facts(11, invalid, valid_behind)
            )));
        }
    }
}
