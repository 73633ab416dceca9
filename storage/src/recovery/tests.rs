use super::*;

/// A row: which facts it is for, and what follows from them.
type Row<F, V> = (&'static str, fn(&F) -> bool, fn(&F) -> V);

/// Each of `facts` is in exactly one row, which says what `decide` says, and each row has facts.
fn covers<F: std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    facts: &[F],
    rows: &[Row<F, V>],
    decide: impl Fn(&F) -> V,
) {
    let mut used = vec![0; rows.len()];
    for facts in facts {
        let mut fitting = (0..).zip(rows).filter(|(_, (_, fits, _))| fits(facts));
        let (at, (name, _, expected)) = fitting.next().unwrap();
        let other = fitting.next().map(|(_, (name, ..))| name);
        assert_eq!(other, None, "{facts:?} is also in {name}");
        assert_eq!(decide(facts), expected(facts), "{name}: {facts:?}");
        used[at] += 1;
    }
    for ((name, ..), used) in rows.iter().zip(used) {
        assert!(used > 0, "nothing is in {name}");
    }
}

fn all_facts() -> Vec<Facts> {
    let quarantined = Point {
        end: 15,
        quarantined: true,
    };
    let mut all = Vec::new();
    for last_stop in [LastStop::Clean, LastStop::Unclean, LastStop::Damaged] {
        for journaled in [true, false] {
            for point in [None, Some(Point::at(10)), Some(quarantined)] {
                for journaled_end in [None, Some(7), Some(12), Some(17)] {
                    for hole in [true, false] {
                        all.push(Facts {
                            last_stop,
                            journaled,
                            point,
                            journaled_end,
                            hole,
                        });
                    }
                }
            }
        }
    }
    all
}

fn end(facts: &Facts) -> i64 {
    let point = facts.point.map_or(0, |point| point.end);
    point.max(facts.journaled_end.unwrap_or(0))
}

fn from(facts: &Facts) -> i64 {
    match facts.point {
        Some(point) if !point.quarantined => point.end,
        _ => 0,
    }
}

fn scan(facts: &Facts) -> Option<Tail> {
    Some(Tail::Scan {
        from: from(facts),
        at_least: end(facts),
    })
}

fn exact(facts: &Facts) -> Option<Tail> {
    Some(Tail::Exact {
        from: from(facts),
        end_offset: end(facts),
    })
}

fn closed(facts: &Facts) -> Option<Tail> {
    facts.point.map(|point| Tail::Closed {
        end_offset: point.end,
    })
}

#[test]
fn every_row_of_the_plan() {
    use LastStop::{Clean, Damaged, Unclean};

    fn is_quarantined(facts: &Facts) -> bool {
        facts.point.is_some_and(|point| point.quarantined)
    }
    fn is_known(facts: &Facts) -> bool {
        facts.point.is_some() || facts.journaled_end.is_some()
    }
    let rows: [Row<Facts, Option<Tail>>; 8] = [
        (
            "bytes are missing before journaled ones",
            |f| f.hole,
            |_| None,
        ),
        (
            "closed, not in the checkpoint",
            |f| !f.hole && f.last_stop == Clean && f.point.is_none(),
            |_| Some(Tail::Clean),
        ),
        (
            "closed",
            |f| !f.hole && f.last_stop == Clean && f.point.is_some() && !is_quarantined(f),
            closed,
        ),
        (
            "closed, but was quarantined",
            |f| !f.hole && f.last_stop == Clean && is_quarantined(f),
            scan,
        ),
        (
            "crashed, journaled",
            |f| !f.hole && f.last_stop == Unclean && f.journaled && is_known(f),
            exact,
        ),
        (
            "crashed, journaled, nobody knows it",
            |f| !f.hole && f.last_stop == Unclean && f.journaled && !is_known(f),
            |_| Some(Tail::Unknown),
        ),
        (
            "crashed, not journaled",
            |f| !f.hole && f.last_stop == Unclean && !f.journaled,
            scan,
        ),
        (
            "crashed, journal or checkpoint damaged",
            |f| !f.hole && f.last_stop == Damaged,
            scan,
        ),
    ];
    covers(&all_facts(), &rows, |facts| plan(*facts));
}

const TAILS: [Tail; 6] = [
    Tail::Clean,
    Tail::Unknown,
    Tail::Closed { end_offset: 10 },
    Tail::Scan {
        from: 0,
        at_least: 0,
    },
    Tail::Scan {
        from: 5,
        at_least: 10,
    },
    Tail::Exact {
        from: 5,
        end_offset: 10,
    },
];

fn all_found() -> Vec<(Tail, Found)> {
    let mut all = Vec::new();
    for tail in TAILS {
        for starts_late in [false, true] {
            for end in [0, 9, 10, 11] {
                // What is behind is looked for where something is invalid only.
                for (invalid, valid_behind) in [(false, false), (true, false), (true, true)] {
                    let found = Found {
                        starts_late,
                        end,
                        invalid: invalid.then(|| "torn".to_owned()),
                        valid_behind,
                    };
                    all.push((tail, found));
                }
            }
        }
    }
    all
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Keep,
    Cut,
    Quarantine,
}

fn outcome((tail, found): &(Tail, Found)) -> Outcome {
    match verdict(*tail, found) {
        Verdict::Keep => Outcome::Keep,
        Verdict::Cut => Outcome::Cut,
        Verdict::Quarantine(_) => Outcome::Quarantine,
    }
}

/// How a log is opened, and what is found.
type Opened = (Tail, Found);

fn is_late((tail, found): &Opened) -> bool {
    let is_known = match tail {
        Tail::Clean | Tail::Unknown => false,
        Tail::Scan { at_least, .. } => *at_least > 0,
        Tail::Closed { .. } | Tail::Exact { .. } => true,
    };
    found.starts_late && is_known
}
fn is_short((tail, found): &Opened) -> bool {
    matches!(tail, Tail::Scan { at_least, .. } if found.end < *at_least)
}
fn is_scan(facts: &Opened) -> bool {
    matches!(facts.0, Tail::Scan { .. } | Tail::Unknown) && !is_late(facts) && !is_short(facts)
}
fn is(facts: &Opened, wanted: fn(Tail) -> bool) -> bool {
    wanted(facts.0) && !is_late(facts)
}
fn is_exact(tail: Tail) -> bool {
    matches!(tail, Tail::Exact { .. })
}
fn is_closed(tail: Tail) -> bool {
    matches!(tail, Tail::Closed { .. })
}
fn is_clean(tail: Tail) -> bool {
    tail == Tail::Clean
}

#[test]
fn every_row_of_the_verdict() {
    let rows: [Row<Opened, Outcome>; 12] = [
        ("first segments missing", is_late, |_| Outcome::Quarantine),
        (
            "clean and whole",
            |f| is(f, is_clean) && f.1.invalid.is_none(),
            |_| Outcome::Keep,
        ),
        (
            "clean and damaged",
            |f| is(f, is_clean) && f.1.invalid.is_some(),
            |_| Outcome::Quarantine,
        ),
        (
            "closed and whole",
            |f| is(f, is_closed) && f.1.invalid.is_none() && f.1.end == 10,
            |_| Outcome::Keep,
        ),
        (
            "closed and damaged",
            |f| is(f, is_closed) && (f.1.invalid.is_some() || f.1.end != 10),
            |_| Outcome::Quarantine,
        ),
        (
            "less than was promised",
            |f| is_short(f) && !is_late(f),
            |_| Outcome::Quarantine,
        ),
        (
            "scanned and whole",
            |f| is_scan(f) && f.1.invalid.is_none(),
            |_| Outcome::Keep,
        ),
        (
            "a torn tail",
            |f| is_scan(f) && f.1.invalid.is_some() && !f.1.valid_behind,
            |_| Outcome::Cut,
        ),
        (
            "damage in the middle",
            |f| is_scan(f) && f.1.valid_behind,
            |_| Outcome::Quarantine,
        ),
        (
            "less than the journal says",
            |f| is(f, is_exact) && f.1.end < 10,
            |_| Outcome::Quarantine,
        ),
        (
            "as the journal says",
            |f| is(f, is_exact) && f.1.end == 10,
            |_| Outcome::Cut,
        ),
        (
            "a batch across the durable end",
            |f| is(f, is_exact) && f.1.end > 10,
            |_| Outcome::Quarantine,
        ),
    ];
    covers(&all_found(), &rows, outcome);
}
