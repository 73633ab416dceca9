//! Pure. Holds a history against what the log promises.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Event, Moment, Place, Remains, Stored};

#[cfg(test)]
mod tests;

/// A broken promise. The letters are those of `docs/durability.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Violation {
    /// D1, D2: an acknowledged record is not where it was acknowledged.
    Lost,
    /// D3: a record that nobody sent.
    Invented,
    /// E1: a record of an idempotent producer is there twice.
    Duplicated,
    /// E1: records of an idempotent producer are not in their order.
    Reordered,
    /// D4, L1: what was read is not there any more, or was another record.
    TakenBack,
    /// L1: what was deleted on request is back.
    BroughtBack,
    /// L2: a reader skipped a record, got one twice, or went back.
    NotInSequence,
    /// E2: a reader of committed records got one of a transaction that was aborted.
    AbortedRead,
    /// E2: of a transaction some records are committed and some are not.
    Split,
    /// E2: the broker said that a transaction ended otherwise than it did.
    WrongEnd,
    /// E3: a transactional producer went on after another had taken over.
    FencedProducer,
    /// G1: a committed offset went back.
    OffsetWentBack,
    /// G2: a commit of an old generation was accepted.
    FencedCommit,
    /// G3: output and offsets of a consume-transform-produce loop do not agree.
    NotExactlyOnce,
}

/// A consume-transform-produce loop: what `group` has read of `from` is in `to`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pump {
    pub(crate) group: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
}

/// What is known of a run.
pub(crate) struct Checker<'a> {
    pub(crate) events: &'a [Event],
    pub(crate) remains: &'a Remains,
    /// Whose records a loss of power may take.
    pub(crate) weak: &'a [&'static str],
    pub(crate) pumps: &'a [Pump],
    /// Those that retention deletes from.
    pub(crate) retained: &'a [&'static str],
    found: Vec<(Violation, String)>,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(events: &'a [Event], remains: &'a Remains) -> Self {
        Self {
            events,
            remains,
            weak: &[],
            pumps: &[],
            retained: &[],
            found: Vec::new(),
        }
    }

    /// All violations.
    pub(crate) fn check(mut self) -> Vec<(Violation, String)> {
        self.acknowledged();
        self.sent();
        self.readers();
        self.transactions();
        self.offsets();
        self.fencing();
        self.starts();
        for pump in self.pumps {
            self.pump(*pump);
        }
        self.found
    }

    fn report(&mut self, violation: Violation, what: String) {
        self.found.push((violation, what));
    }

    /// Whether a loss of power after `moment` may have changed `place`.
    fn is_excused(&self, place: Place, moment: Moment) -> bool {
        self.weak.contains(&place.topic) && self.events[moment..].contains(&Event::PowerLost)
    }

    fn start(&self, place: Place) -> i64 {
        self.remains.starts.get(&place).copied().unwrap_or(0)
    }

    fn log(&self, place: Place) -> &'a [Stored] {
        self.remains.logs.get(&place).map_or(&[], Vec::as_slice)
    }

    /// A place that is not there at all is one that the run has excused.
    fn is_there(&self, place: Place) -> bool {
        self.remains.logs.contains_key(&place)
    }

    fn at(&self, place: Place, offset: i64) -> Option<&'a Stored> {
        let log = self.log(place);
        let at = log.binary_search_by_key(&offset, |stored| stored.offset);
        at.ok().map(|at| &log[at])
    }

    fn acknowledged(&mut self) {
        for (moment, event) in self.events.iter().enumerate() {
            let Event::Acknowledged { place, offset, id } = *event else {
                continue;
            };
            if offset < self.start(place) {
                continue;
            }
            let found = self.at(place, offset).map(|stored| stored.id);
            if found != Some(id) && self.is_there(place) && !self.is_excused(place, moment) {
                self.report(
                    Violation::Lost,
                    format!("{id:x} was acknowledged at {place:?} {offset}: {found:x?}"),
                );
            }
        }
    }

    fn sent(&mut self) {
        let mut sent = BTreeMap::new();
        for (number, event) in self.events.iter().enumerate() {
            if let Event::Sent {
                producer,
                once,
                place,
                id,
            } = *event
            {
                sent.entry((place, id)).or_insert((producer, once, number));
            }
        }
        let mut seen = BTreeSet::new();
        for (place, log) in &self.remains.logs {
            let mut newest = BTreeMap::new();
            for stored in log {
                let Some((producer, once, number)) = sent.get(&(*place, stored.id)) else {
                    self.report(Violation::Invented, format!("{stored:x?} at {place:?}"));
                    continue;
                };
                if !once {
                    continue;
                }
                if !seen.insert((*place, stored.id)) {
                    self.report(Violation::Duplicated, format!("{stored:x?} at {place:?}"));
                } else if newest
                    .insert(*producer, *number)
                    .is_some_and(|newest| newest > *number)
                {
                    self.report(Violation::Reordered, format!("{stored:x?} at {place:?}"));
                }
            }
        }
    }

    /// Every reader got exactly what is there, from where it began.
    fn readers(&mut self) {
        let mut readers: BTreeMap<u32, (Place, bool, i64)> = BTreeMap::new();
        for (moment, event) in self.events.iter().enumerate() {
            let (reader, offset, id) = match *event {
                Event::ReadFrom {
                    reader,
                    committed,
                    place,
                    offset,
                } => {
                    readers.insert(reader, (place, committed, offset));
                    continue;
                }
                Event::Read { reader, offset, id } => (reader, offset, Some(id)),
                Event::OutOfRange { reader, offset } => (reader, offset, None),
                _ => continue,
            };
            let Some((place, committed, position)) = readers.get_mut(&reader) else {
                continue;
            };
            let (place, committed, wanted) = (*place, *committed, *position);
            *position = offset + 1;
            let is_deleted = offset < self.start(place);
            if is_deleted || self.is_excused(place, moment) || !self.is_there(place) {
                continue;
            }
            let found = self.at(place, offset);
            let visible = |stored: &&Stored| stored.committed || !committed;
            let next = self
                .log(place)
                .iter()
                .find(|stored| stored.offset >= wanted && visible(stored));
            let what =
                || format!("reader {reader} of {place:?} got {id:x?} at {offset}, not {next:x?}");
            if found.map(|stored| stored.id) != id || id.is_none() {
                self.report(Violation::TakenBack, what());
            } else if committed && found.is_some_and(|stored| !stored.committed) {
                self.report(Violation::AbortedRead, what());
            } else if next.map(|stored| stored.offset) != Some(offset) {
                self.report(Violation::NotInSequence, what());
            }
        }
    }

    /// Logs start where they were told to.
    fn starts(&mut self) {
        let mut told: BTreeMap<Place, (i64, i64)> = BTreeMap::new();
        for event in self.events {
            match *event {
                Event::TrimAsked { place, offset } => {
                    let (_, most) = told.entry(place).or_default();
                    *most = offset.max(*most);
                }
                Event::Trimmed { place, offset } => {
                    let (least, _) = told.entry(place).or_default();
                    *least = offset.max(*least);
                }
                _ => {}
            }
        }
        for place in self.remains.logs.keys() {
            let (least, most) = told.get(place).copied().unwrap_or_default();
            let start = self.start(*place);
            let what = || format!("{place:?} starts at {start}, not in {least}..={most}");
            if start < least {
                self.report(Violation::BroughtBack, what());
            } else if start > most && !self.retained.contains(&place.topic) {
                self.report(Violation::Lost, what());
            }
        }
    }

    fn transactions(&mut self) {
        let mut seen: BTreeMap<u32, BTreeSet<bool>> = BTreeMap::new();
        for stored in self.remains.logs.values().flatten() {
            if stored.transaction != 0 {
                let fates = seen.entry(stored.transaction).or_default();
                fates.insert(stored.committed);
            }
        }
        for (transaction, fates) in &seen {
            if fates.len() > 1 {
                self.report(Violation::Split, format!("transaction {transaction}"));
            }
        }
        for event in self.events {
            if let Event::Ended {
                transaction,
                committed,
            } = event
                && let Some(fates) = seen.get(transaction)
                && !fates.contains(committed)
            {
                self.report(Violation::WrongEnd, format!("{event:?}"));
            }
        }
    }

    /// Offsets of every group only rise: all commits of these runs do.
    fn offsets(&mut self) {
        let mut known: BTreeMap<(&str, Place), Vec<(Moment, i64)>> = BTreeMap::new();
        let end = self.events.len();
        let last = self.remains.offsets.iter();
        let last = last.map(|((group, place), offset)| (*group, *place, *offset, end, end));
        let events = self.events.iter().enumerate();
        let fetched = events.filter_map(|(moment, event)| match *event {
            Event::Fetched {
                group,
                place,
                offset,
                asked,
            } => Some((group, place, offset, asked, moment)),
            Event::Committed {
                group,
                place,
                offset,
                ..
            } => Some((group, place, offset, 0, moment)),
            _ => None,
        });
        for (group, place, offset, asked, moment) in fetched.chain(last) {
            let known = known.entry((group, place)).or_default();
            let before = known.iter().filter(|(known, _)| *known < asked);
            if let Some(highest) = before.map(|(_, offset)| *offset).max()
                && highest > offset
            {
                self.report(
                    Violation::OffsetWentBack,
                    format!("of {group} at {place:?} from {highest} to {offset}"),
                );
            }
            known.push((moment, offset));
        }
    }

    /// What was asked for after another took over is refused.
    fn fencing(&mut self) {
        let mut generations: BTreeMap<&str, Vec<(Moment, i32)>> = BTreeMap::new();
        let mut producers: Vec<(Moment, (i64, i16))> = Vec::new();
        for (moment, event) in self.events.iter().enumerate() {
            match *event {
                Event::Joined { group, generation } => {
                    let known = generations.entry(group).or_default();
                    known.push((moment, generation));
                }
                Event::Committed {
                    group,
                    generation,
                    asked,
                    ..
                } if generation >= 0 => {
                    let newer =
                        |(known, newer): &(Moment, i32)| *known < asked && *newer > generation;
                    if generations
                        .get(group)
                        .is_some_and(|known| known.iter().any(newer))
                    {
                        self.report(Violation::FencedCommit, format!("{event:?}"));
                    }
                }
                Event::Initialised { producer } => producers.push((moment, producer)),
                Event::Accepted { producer, asked } => {
                    let newer = |(known, newer): &(Moment, _)| *known < asked && *newer > producer;
                    if producers.iter().any(newer) {
                        self.report(Violation::FencedProducer, format!("{event:?}"));
                    }
                }
                _ => {}
            }
        }
    }

    fn pump(&mut self, pump: Pump) {
        let mut copies: BTreeMap<u64, usize> = BTreeMap::new();
        for (place, log) in &self.remains.logs {
            for stored in log {
                if place.topic == pump.to && stored.committed {
                    *copies.entry(stored.id).or_default() += 1;
                }
            }
        }
        for (place, log) in &self.remains.logs {
            if place.topic != pump.from {
                continue;
            }
            let read = self.remains.offsets.get(&(pump.group, *place));
            let read = read.copied().unwrap_or(0);
            for stored in log {
                let expected = usize::from(stored.offset < read);
                let found = copies.remove(&stored.id).unwrap_or(0);
                if found != expected {
                    self.report(
                        Violation::NotExactlyOnce,
                        format!("{found} of {stored:x?}, read to {read} of {place:?}"),
                    );
                }
            }
        }
        for (id, _) in copies {
            self.report(Violation::NotExactlyOnce, format!("{id:x} was not read"));
        }
    }
}
