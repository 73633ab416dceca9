//! Pure. Fetch sessions (KIP-227): the broker remembers what a client reads, so that the client
//! names only what changes, and is told only what changed.
//!
//! A session belongs to no connection; it lives until it is closed or another needs its place.
//! Within it, partitions that gave records move to the end, so that none starves behind others.

mod partitions;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{FetchRequest, FetchTopic, FetchableTopicResponse};

use self::partitions::{Partitions, TooMany};

/// Partitions of one session. A client that reads more does without.
const MAX_SESSION_PARTITIONS: usize = 20_000;

/// Partitions of all sessions together.
const MAX_PARTITIONS: usize = 200_000;

/// How long a session is safe from others that want its place: from a larger one after its
/// creation, from any after its last use. As in Kafka.
const MIN_EVICTION: Duration = Duration::from_secs(120);

/// The id that stands for no session.
const NO_SESSION: i32 = 0;

/// The epoch of a request that names everything and may begin a session.
const INITIAL_EPOCH: i32 = 0;

/// The epoch of a request that names everything and wants no session.
const FINAL_EPOCH: i32 = -1;

fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        FINAL_EPOCH => FINAL_EPOCH,
        i32::MAX => 1,
        epoch => epoch + 1,
    }
}

/// All sessions of a broker.
pub(crate) struct FetchSessions {
    max_sessions: usize,
    new_id: Box<dyn FnMut() -> i32 + Send>,
    sessions: HashMap<i32, Session>,
    /// Of all sessions together.
    partitions: usize,
}

struct Session {
    partitions: Partitions,
    /// Whether requests name topics by id.
    by_id: bool,
    /// What the next request has to say.
    epoch: i32,
    created: Duration,
    last_used: Duration,
}

/// What a request turned out to be.
#[derive(Debug, PartialEq)]
pub(crate) enum Fetch {
    /// What the request names is read, and that is all.
    Sessionless,
    /// What the request names is read, and may begin a session.
    Full,
    /// What the session holds is read.
    Incremental {
        /// The session.
        session_id: i32,
        /// What its epoch is, unless another request comes in between.
        epoch: i32,
        /// The partitions in the order of their turns.
        topics: Vec<FetchTopic>,
    },
}

impl FetchSessions {
    /// None yet. `new_id` gives random ids.
    pub(crate) fn new(max_sessions: usize, new_id: impl FnMut() -> i32 + Send + 'static) -> Self {
        Self {
            max_sessions,
            new_id: Box::new(new_id),
            sessions: HashMap::new(),
            partitions: 0,
        }
    }

    /// Takes in a request: closes, opens or changes the session that it is about.
    ///
    /// # Errors
    /// What the whole request is answered with.
    pub(crate) fn begin(
        &mut self,
        request: &FetchRequest,
        by_id: bool,
        now: Duration,
    ) -> Result<Fetch, ErrorCode> {
        let (id, epoch) = (request.session_id, request.session_epoch);
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            self.remove(id);
            let is_last = epoch == FINAL_EPOCH;
            return Ok(if is_last {
                Fetch::Sessionless
            } else {
                Fetch::Full
            });
        }
        let session = self
            .sessions
            .get_mut(&id)
            .ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_id != by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        let before = session.partitions.len();
        let updated = session.partitions.update(&request.topics, by_id);
        for forgotten in &request.forgotten_topics_data {
            session.partitions.forget(forgotten, by_id);
        }
        session.epoch = next_epoch(epoch);
        session.last_used = now;
        let (epoch, after) = (session.epoch, session.partitions.len());
        let topics = session.partitions.in_turn();
        self.partitions = self.partitions - before + after;
        if updated.is_err() || self.partitions > MAX_PARTITIONS {
            // The client begins anew, and is then not given a session.
            self.remove(id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        if after == 0 {
            self.remove(id);
            return Ok(Fetch::Sessionless);
        }
        Ok(Fetch::Incremental {
            session_id: id,
            epoch,
            topics,
        })
    }

    /// Completes the answer to a fetch of `topics`: leaves out what the client knows already, and
    /// remembers the rest. Returns the id of the session that the client has from now on, or 0.
    ///
    /// # Errors
    /// Another request of the session came in between.
    pub(crate) fn complete(
        &mut self,
        fetch: &Fetch,
        topics: &[FetchTopic],
        by_id: bool,
        answers: &mut Vec<FetchableTopicResponse>,
        now: Duration,
    ) -> Result<i32, ErrorCode> {
        match fetch {
            Fetch::Sessionless => Ok(NO_SESSION),
            Fetch::Full => Ok(self.create(topics, by_id, answers, now)),
            Fetch::Incremental {
                session_id, epoch, ..
            } => {
                let session = self
                    .sessions
                    .get_mut(session_id)
                    .filter(|session| session.epoch == *epoch)
                    .ok_or(ErrorCode::InvalidFetchSessionEpoch)?;
                for topic in answers.iter_mut() {
                    session.partitions.told(topic, by_id);
                }
                answers.retain(|topic| !topic.partitions.is_empty());
                Ok(*session_id)
            }
        }
    }

    /// Begins a session if there is room, and something to remember.
    fn create(
        &mut self,
        topics: &[FetchTopic],
        by_id: bool,
        answers: &[FetchableTopicResponse],
        now: Duration,
    ) -> i32 {
        let mut partitions = Partitions::default();
        if let Err(TooMany) = partitions.update(topics, by_id) {
            return NO_SESSION;
        }
        let count = partitions.len();
        if count == 0 || !self.make_room(count, now) {
            return NO_SESSION;
        }
        for topic in answers {
            partitions.remember(topic, by_id);
        }
        let id = self.free_id();
        let session = Session {
            partitions,
            by_id,
            epoch: next_epoch(INITIAL_EPOCH),
            created: now,
            last_used: now,
        };
        self.sessions.insert(id, session);
        self.partitions += count;
        id
    }

    fn free_id(&mut self) -> i32 {
        loop {
            let id = (self.new_id)() & i32::MAX;
            if id != NO_SESSION && !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    /// Whether there is room for a session of so many partitions, if need be in place of others.
    fn make_room(&mut self, count: usize, now: Duration) -> bool {
        while self.sessions.len() >= self.max_sessions || self.partitions + count > MAX_PARTITIONS {
            let Some(id) = self.least_valuable(count, now) else {
                return false;
            };
            self.remove(id);
        }
        true
    }

    /// The session longest without use, if it is stale, or else the smallest that is neither new
    /// nor as large as the one that wants its place.
    fn least_valuable(&self, count: usize, now: Duration) -> Option<i32> {
        let idle = |session: &Session| now.saturating_sub(session.last_used);
        let sessions = || self.sessions.iter();
        let oldest = sessions().min_by_key(|(id, session)| (session.last_used, **id));
        if let Some((id, session)) = oldest
            && idle(session) > MIN_EVICTION
        {
            return Some(*id);
        }
        let smaller = sessions().filter(|(_, session)| {
            let age = session.last_used.saturating_sub(session.created);
            session.partitions.len() < count && age > MIN_EVICTION
        });
        smaller
            .min_by_key(|(id, session)| (session.partitions.len(), **id))
            .map(|(id, _)| *id)
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.partitions.len();
        }
    }
}
