//! What clients saw, in the order in which they saw it, and what was there at the end.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) topic: &'static str,
    pub(crate) partition: i32,
}

/// A moment of a history: the number of events before it.
pub(crate) type Moment = usize;

/// What a client did or saw. A record is known by its id, which no other has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// A producer was handed a record. With `once` it is idempotent: no duplicates, in order.
    Sent {
        producer: u32,
        once: bool,
        place: Place,
        id: u64,
    },
    /// The broker acknowledged a record.
    Acknowledged { place: Place, offset: i64, id: u64 },
    /// A reader begins at an offset, with or without the records of open and aborted transactions.
    ReadFrom {
        reader: u32,
        committed: bool,
        place: Place,
        offset: i64,
    },
    /// A reader got a record.
    Read { reader: u32, offset: i64, id: u64 },
    /// A reader was told that its position is not in the log.
    OutOfRange { reader: u32, offset: i64 },
    /// Records before an offset were to be deleted.
    TrimAsked { place: Place, offset: i64 },
    /// Records before an offset were deleted.
    Trimmed { place: Place, offset: i64 },
    /// The power was gone: what was only in memory may be lost.
    PowerLost,
    /// A member was told what it gets in this generation.
    Joined {
        group: &'static str,
        generation: i32,
    },
    /// A commit, asked for then, was accepted. Those of transactions have generation -1.
    Committed {
        group: &'static str,
        generation: i32,
        place: Place,
        offset: i64,
        asked: Moment,
    },
    /// A committed offset, asked for then, was answered.
    Fetched {
        group: &'static str,
        place: Place,
        offset: i64,
        asked: Moment,
    },
    /// A transactional producer took over from all with a smaller producer id or epoch. Answers may come in another
    /// order than the broker gave them.
    Initialised { producer: (i64, i16) },
    /// A request of the producer that was initialised so, made then, was accepted.
    Accepted { producer: (i64, i16), asked: Moment },
    /// The broker said how a transaction ended.
    Ended { transaction: u32, committed: bool },
}

/// A record at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) offset: i64,
    pub(crate) id: u64,
    /// 0 for none.
    pub(crate) transaction: u32,
    /// Readers of committed records see it.
    pub(crate) committed: bool,
}

/// All that is there at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remains {
    pub(crate) logs: BTreeMap<Place, Vec<Stored>>,
    /// Where logs start that do not start at 0.
    pub(crate) starts: BTreeMap<Place, i64>,
    pub(crate) offsets: BTreeMap<(&'static str, Place), i64>,
}

/// Notes events. Cheap to clone; clones share what is noted.
#[derive(Clone)]
pub(crate) struct History {
    start: Instant,
    state: Arc<Mutex<State>>,
}

struct State {
    events: Vec<Event>,
    /// Of all events with their times, and all else that was mixed in.
    trace: DefaultHasher,
    told: bool,
}

impl History {
    /// With `told`, each event is printed.
    pub(crate) fn new(told: bool) -> Self {
        Self {
            start: Instant::now(),
            state: Arc::new(Mutex::new(State {
                events: Vec::new(),
                trace: DefaultHasher::new(),
                told,
            })),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.state.lock().events.len()
    }

    pub(crate) fn add(&self, event: Event) {
        let mut state = self.state.lock();
        let at = self.start.elapsed();
        (at, event).hash(&mut state.trace);
        if state.told {
            eprintln!("{:>10} µs {event:?}", at.as_micros());
        }
        state.events.push(event);
    }

    /// Mixes something that is no event into the trace.
    pub(crate) fn mix(&self, what: impl Hash) {
        what.hash(&mut self.state.lock().trace);
    }

    /// Prints what the test does to the broker, if events are printed.
    pub(crate) fn tell(&self, what: impl std::fmt::Debug) {
        if self.state.lock().told {
            eprintln!("{:>10} µs -- {what:?}", self.start.elapsed().as_micros());
        }
    }

    /// Tells two runs apart.
    pub(crate) fn trace(&self) -> u64 {
        self.state.lock().trace.finish()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.state.lock().events.clone()
    }
}
