//! The contract for machines whose state is a log, and the shell that drives one.
//!
//! A machine decides: events and time go in, effects come out. The shell appends the records of
//! an effect, waits until they are durable, and only then lets its commands and replies out, in
//! the order of the events. If an append fails, the machine is dropped and loaded again from its
//! log, so a machine needs no code to undo.

mod driver;
mod journal;

pub(crate) use driver::{Call, Driver, Unavailable, alone};
pub(crate) use journal::LoadError;

use std::time::Duration;

use crate::env::Now;
use crate::record_codec::{EncodedRecord, RecordError};

/// Names a request that waits for its reply.
pub(crate) type Token = u64;

/// What a machine wants done, in this order: records made durable, commands run, replies sent.
#[derive(Debug)]
pub(crate) struct Effects<R, P, C = Never, A = Never> {
    /// The change of state, to be appended as one batch.
    pub(crate) records: Vec<R>,
    /// What is appended to other logs, together with the records or not at all.
    pub(crate) attachments: Vec<A>,
    /// Answers to waiting requests.
    pub(crate) replies: Vec<(Token, P)>,
    /// Work for the shell.
    pub(crate) commands: Vec<C>,
}

/// The command type of machines that give none, and the attachment of those that have none.
#[derive(Debug)]
pub(crate) enum Never {}

impl<R, P, C, A> Default for Effects<R, P, C, A> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            attachments: Vec::new(),
            replies: Vec::new(),
            commands: Vec::new(),
        }
    }
}

impl<R, P, C, A> Effects<R, P, C, A> {
    /// Only an answer.
    pub(crate) fn reply(token: Token, reply: P) -> Self {
        Self {
            replies: vec![(token, reply)],
            ..Self::default()
        }
    }
}

/// What an event of a machine brings about.
pub(crate) type EffectsOf<M> = Effects<
    <M as Machine>::Record,
    <M as Machine>::Reply,
    <M as Machine>::Command,
    <M as Machine>::Attachment,
>;

/// A state machine that is rebuilt by replaying the records it emitted.
pub(crate) trait Machine: Sized + Send + 'static {
    type Event;
    type Record;
    type Reply: Send + 'static;
    type Command: Send + 'static;
    type Attachment: Send + 'static;

    /// Takes an event. With [`Machine::tick`] and [`Machine::loaded`] the only mutator when live.
    fn handle(&mut self, event: Self::Event, now: Now) -> EffectsOf<Self>;

    /// The event "the request of `token` is no longer waited for".
    fn abandoned(token: Token) -> Option<Self::Event>;

    /// Time has reached [`Machine::deadline`].
    fn tick(&mut self, _now: Now) -> EffectsOf<Self> {
        Effects::default()
    }

    /// The earliest moment at which the machine wants a tick, since the broker's start.
    fn deadline(&self) -> Option<Duration> {
        None
    }

    /// Applies a record. The only mutator on load.
    fn replay(&mut self, record: Self::Record);

    /// All records are replayed and the machine goes live.
    fn loaded(&mut self, _now: Now) -> EffectsOf<Self> {
        Effects::default()
    }

    /// The hard state as records: replaying them on a new machine gives the same hard state.
    fn snapshot(&self) -> Vec<Self::Record>;

    /// The stored form of a record.
    fn encode(record: &Self::Record) -> Result<EncodedRecord, RecordError>;

    /// The record of a stored form.
    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self::Record, RecordError>;
}
