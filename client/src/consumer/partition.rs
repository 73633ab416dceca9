//! Pure. One assigned partition: where it is read, what is buffered, what was handed out and what
//! of that is done.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use tokio::time::Instant;

use super::budget::Budget;
use super::chunk::{Blocked, Chunk, Piece, Reading};
use crate::config::AutoOffsetReset;
use crate::offsets::{CommittedOffset, OffsetSpec};

/// Events of one partition that may be handed out and not acknowledged. Beyond, the partition
/// waits.
const MAX_UNACKNOWLEDGED: usize = 10_000;

/// A place in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) offset: i64,
    /// Leader epoch of the record before, or -1.
    pub(super) leader_epoch: i32,
}

/// How a place is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Find {
    /// What the group has committed, else as `auto.offset.reset` says.
    Committed,
    /// As `auto.offset.reset` says.
    Reset,
    /// An offset by time or end.
    Spec(OffsetSpec),
}

/// Where the next record is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Unknown(Find),
    At(Position),
    /// Nowhere, until somebody seeks: an error was told.
    Failed,
}

/// What was handed out in one event.
#[derive(Debug, Clone, Copy)]
struct Delivery {
    number: u64,
    next: Position,
    done: bool,
}

/// Ends of the log, as the last fetch told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) high_watermark: Option<i64>,
    pub(super) last_stable_offset: Option<i64>,
}

#[derive(Debug)]
pub(super) struct Partition {
    /// Another one for each time the partition is assigned: what was handed out under an earlier
    /// one is void.
    pub(super) assignment: u64,
    /// Another one for each seek: an answer to a fetch before is void.
    pub(super) seek: u64,
    pub(super) paused: bool,
    /// Somebody is finding its place.
    pub(super) finding: bool,
    /// A fetch is under way.
    pub(super) fetching: bool,
    /// Not before this moment, after an error.
    pub(super) fetch_after: Option<Instant>,
    /// It waits for its turn to hand out records.
    pub(super) queued: bool,
    /// The task knows that more is to be fetched.
    hungry: bool,
    /// The group wants it back.
    revoking: bool,
    pub(super) ends: Ends,
    /// Where the application is.
    place: Place,
    /// Where the next fetch begins.
    fetch_at: Option<Position>,
    buffer: VecDeque<Chunk>,
    /// What comes behind the records that were handed out last cannot be read.
    damage: Option<Blocked>,
    deliveries: VecDeque<Delivery>,
    /// How many there were.
    delivered: u64,
    /// What may be committed.
    processed: Option<Position>,
    /// What is committed.
    committed: Option<i64>,
}

/// An acknowledgement that came too late: somebody else owns the partition now, or the
/// application went elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stale;

impl Partition {
    pub(super) fn new(assignment: u64, find: Find) -> Self {
        Self {
            assignment,
            seek: 0,
            paused: false,
            finding: false,
            fetching: false,
            fetch_after: None,
            queued: false,
            hungry: false,
            revoking: false,
            ends: Ends::default(),
            place: Place::Unknown(find),
            fetch_at: None,
            buffer: VecDeque::new(),
            damage: None,
            deliveries: VecDeque::new(),
            delivered: 0,
            processed: None,
            committed: None,
        }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// The next offset that the application gets, if it is known.
    pub(super) fn position(&self) -> Option<i64> {
        match self.place {
            Place::At(position) => Some(position.offset),
            Place::Unknown(_) | Place::Failed => None,
        }
    }

    /// What has to be found before anything can be fetched.
    pub(super) fn to_find(&self) -> Option<Find> {
        match self.place {
            Place::Unknown(find) if !self.finding => Some(find),
            _ => None,
        }
    }

    /// Takes the place that was found. `committed` when the group had committed it.
    pub(super) fn found(&mut self, position: Position, committed: bool) {
        self.finding = false;
        self.set_place(position);
        if committed {
            self.committed = Some(position.offset);
        }
        // Nothing handed out before counts for this place, so it is where a commit would be. A
        // seek alone does not move what may be committed.
        if self.processed.is_none() && self.deliveries.is_empty() && self.seek == 0 {
            self.processed = Some(position);
        }
    }

    /// Goes elsewhere. What was handed out so far can no longer be acknowledged.
    pub(super) fn seek(&mut self, place: Place) {
        self.seek += 1;
        self.finding = false;
        self.deliveries.clear();
        match place {
            Place::At(position) => self.set_place(position),
            Place::Unknown(_) | Place::Failed => self.lose_place(place),
        }
    }

    fn set_place(&mut self, position: Position) {
        self.lose_place(Place::At(position));
    }

    /// The place is not valid any more, and what was handed out still is.
    pub(super) fn lose_place(&mut self, place: Place) {
        self.place = place;
        self.drop_buffer();
    }

    /// The log ends at `end` for all that was read: what is buffered is void, and what was handed
    /// out beyond it is not in the log any more.
    pub(super) fn truncate(&mut self, end: Position) {
        match self.place {
            Place::At(position) if end.offset < position.offset => self.lose_place(Place::At(end)),
            _ => {}
        }
        self.drop_buffer();
    }

    /// Forgets what is buffered; it is fetched again from the position.
    pub(super) fn drop_buffer(&mut self) {
        self.buffer.clear();
        self.damage = None;
        self.fetch_at = match self.place {
            Place::At(position) => Some(position),
            Place::Unknown(_) | Place::Failed => None,
        };
    }

    pub(super) fn pause(&mut self) {
        self.paused = true;
        // What is buffered would hold room that others need for as long as the pause lasts.
        self.drop_buffer();
    }

    /// Nothing more of it is handed out.
    pub(super) fn revoke(&mut self) {
        self.revoking = true;
        self.drop_buffer();
    }

    fn is_read(&self) -> bool {
        !self.paused && !self.revoking
    }

    /// Where to fetch from, if fewer than `ahead` bytes are buffered.
    pub(super) fn wants_fetch(&self, ahead: usize) -> Option<Position> {
        let at = self.fetch_at.filter(|_| self.is_read() && !self.fetching)?;
        let buffered: usize = self.buffer.iter().map(Chunk::left).sum();
        (buffered < ahead).then_some(at)
    }

    /// A fetch was sent.
    pub(super) fn fetch_begins(&mut self) {
        self.fetching = true;
        self.hungry = false;
    }

    /// Whether more is to be fetched, the first time that this is so.
    pub(super) fn becomes_hungry(&mut self, ahead: usize) -> bool {
        let hungry = !self.hungry && self.wants_fetch(ahead).is_some();
        self.hungry |= hungry;
        hungry
    }

    /// Takes what a fetch brought, if it is what was asked for last.
    pub(super) fn fetched(&mut self, from: Position, seek: u64, chunk: Chunk) {
        if !self.is_read() || self.seek != seek || self.fetch_at != Some(from) {
            return;
        }
        match chunk.end() {
            Ok(Some((offset, leader_epoch))) => {
                let offset = offset.max(from.offset);
                self.fetch_at = Some(Position {
                    offset,
                    leader_epoch,
                });
                self.buffer.push_back(chunk);
            }
            // Not even one batch is there: another fetch brings more.
            Ok(None) => {}
            // Told when its turn comes.
            Err(_) => {
                self.fetch_at = None;
                self.buffer.push_back(chunk);
            }
        }
    }

    /// Whether there may be records to hand out.
    pub(super) fn has_buffered(&self) -> bool {
        self.is_read() && (self.damage.is_some() || !self.buffer.is_empty())
    }

    pub(super) fn has_room(&self) -> bool {
        self.deliveries.len() < MAX_UNACKNOWLEDGED
    }

    /// Reads up to `max` records. Nothing is handed out before [`hand_out`](Self::hand_out).
    pub(super) fn read(&mut self, max: usize, reading: &Reading) -> Option<Piece> {
        let Place::At(at) = self.place else {
            return None;
        };
        let mut from = at;
        if let Some(damage) = self.damage.take() {
            return Some(Piece {
                next_offset: at.offset,
                blocked: Some(damage),
                ..Piece::default()
            });
        }
        while let Some(chunk) = self.buffer.front_mut() {
            let mut piece = chunk.read(from.offset, max, reading);
            if piece.leader_epoch < 0 {
                piece.leader_epoch = from.leader_epoch;
            }
            if !piece.records.is_empty() {
                // The chunk would not say it again.
                self.damage = piece.blocked.take().filter(|b| *b != Blocked::Budget);
                return Some(piece);
            }
            if piece.blocked.is_some() {
                return Some(piece);
            }
            // Only what nobody sees was left of the chunk.
            self.buffer.pop_front();
            from = Position {
                offset: piece.next_offset,
                leader_epoch: piece.leader_epoch,
            };
            self.pass(from);
        }
        None
    }

    /// Moves on over records that nobody sees. They are done as soon as all before them are.
    fn pass(&mut self, to: Position) {
        let before = self.position();
        self.place = Place::At(to);
        if self.deliveries.is_empty() && self.processed.map(|p| p.offset) == before {
            self.processed = Some(to);
        }
    }

    /// Counts a piece as handed out, to be acknowledged if `tracked`. Returns its number.
    pub(super) fn hand_out(&mut self, piece: &Piece, tracked: bool) -> u64 {
        let next = Position {
            offset: piece.next_offset,
            leader_epoch: piece.leader_epoch,
        };
        self.place = Place::At(next);
        let number = self.delivered;
        self.delivered += 1;
        if tracked {
            let done = false;
            self.deliveries.push_back(Delivery { number, next, done });
        }
        number
    }

    /// Whether something was handed out and is not done.
    pub(super) fn is_outstanding(&self) -> bool {
        !self.deliveries.is_empty()
    }

    /// Whether the application is to make progress on it.
    pub(super) fn is_waited_for(&self) -> bool {
        self.is_outstanding() && !self.paused
    }

    /// All of the event with this number is done.
    pub(super) fn acknowledge(&mut self, number: u64, seek: u64) -> Result<(), Stale> {
        if self.seek != seek {
            return Err(Stale);
        }
        let at = self
            .deliveries
            .binary_search_by_key(&number, |delivery| delivery.number);
        // One that is not there was acknowledged before.
        if let Some(delivery) = at.ok().and_then(|at| self.deliveries.get_mut(at)) {
            delivery.done = true;
            self.advance();
        }
        Ok(())
    }

    /// All before `offset` is done.
    pub(super) fn acknowledge_before(&mut self, offset: i64, seek: u64) -> Result<(), Stale> {
        if self.seek != seek {
            return Err(Stale);
        }
        if self.deliveries.is_empty() {
            return Ok(());
        }
        for delivery in &mut self.deliveries {
            delivery.done |= delivery.next.offset <= offset;
        }
        self.advance();
        let processed = self
            .processed
            .map_or(i64::MIN, |processed| processed.offset);
        if let Some(partly) = self.deliveries.front().filter(|_| processed < offset) {
            let leader_epoch = partly.next.leader_epoch;
            self.processed = Some(Position {
                offset,
                leader_epoch,
            });
        }
        Ok(())
    }

    fn advance(&mut self) {
        while let Some(delivery) = self.deliveries.front().filter(|delivery| delivery.done) {
            self.processed = Some(delivery.next);
            self.deliveries.pop_front();
        }
        // Records that nobody sees may follow.
        if let (true, Place::At(position)) = (self.deliveries.is_empty(), self.place) {
            self.processed = Some(position);
        }
    }

    /// What is done and not committed yet.
    pub(super) fn to_commit(&self) -> Option<CommittedOffset> {
        let processed = self.processed?;
        (Some(processed.offset) != self.committed).then(|| CommittedOffset {
            leader_epoch: (processed.leader_epoch >= 0).then_some(processed.leader_epoch),
            ..CommittedOffset::new(processed.offset)
        })
    }

    pub(super) fn committed(&mut self, offset: i64) {
        self.committed = Some(offset);
    }
}

impl Find {
    /// What to ask for when nothing is committed, if anything may be.
    pub(super) fn reset(reset: AutoOffsetReset, now_ms: i64) -> Option<OffsetSpec> {
        match reset {
            AutoOffsetReset::Earliest => Some(OffsetSpec::Earliest),
            AutoOffsetReset::Latest => Some(OffsetSpec::Latest),
            AutoOffsetReset::None => None,
            AutoOffsetReset::ByDuration(age) => {
                let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                Some(OffsetSpec::Timestamp(now_ms.saturating_sub(age)))
            }
        }
    }
}

impl Blocked {
    /// Whether waiting for the application to give room back is of no use.
    pub(super) fn is_final(&self, budget: &Budget) -> bool {
        match self {
            Self::Budget => budget.is_idle(),
            Self::Damaged { .. } => true,
        }
    }
}
