//! Pure. What a transactional producer may do, and what it asks its coordinator next.
//!
//! One request to a coordinator is under way at a time. A failure that only this transaction
//! suffers from leaves it broken until it is aborted; one that concerns the producer ends it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ottla_protocol::ErrorCode;
use tokio::time::Instant;

use crate::consumer::ConsumerGroupMetadata;
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::offsets::CommittedOffset;
use crate::producer::sequence::Identity;
use crate::retry::Backoff;

/// Pause while the coordinator finishes the transaction before; it takes milliseconds.
pub(in crate::producer) const UNFINISHED_PAUSE: Duration = Duration::from_millis(20);

/// Calls of `send_offsets` that wait in one transaction.
const MAX_OFFSETS: usize = 1024;

/// How transactions are run, as the cluster's `transaction.version` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::producer) enum Protocol {
    /// Partitions and groups are added by requests of their own; the epoch stays.
    V1,
    /// Brokers add what is written to; every end bumps the epoch (KIP-890).
    V2,
}

/// Where the producer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// It has no identity, or needs a new one.
    Initializing,
    /// No transaction is open.
    Ready,
    Open,
    Committing,
    Aborting,
    /// The transaction can only be aborted.
    Broken(Error),
    /// The producer is of no more use.
    Dead(Error),
}

/// Offsets of a group that go with the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::producer) struct GroupOffsets {
    pub(in crate::producer) group: ConsumerGroupMetadata,
    pub(in crate::producer) offsets: BTreeMap<TopicPartition, CommittedOffset>,
}

/// A request to a coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::producer) enum Step {
    /// Ask for an identity, and fence whoever had it. With the one before, to go on from it.
    Init(Option<Identity>),
    AddPartitions(Identity, BTreeSet<TopicPartition>),
    AddOffsets(Identity, String),
    CommitOffsets(Identity, Protocol, GroupOffsets),
    End {
        identity: Identity,
        protocol: Protocol,
        committed: bool,
    },
}

/// What a coordinator says to a step that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::producer) enum Answer {
    Done,
    /// To `Init`: who the producer is, and how it runs transactions.
    Is(Identity, Protocol),
    /// To `End`: who the producer is from now on.
    Next(Identity),
}

/// Why a step was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::producer) enum Refusal {
    /// It may be later.
    Again(Error),
    /// As before, and soon.
    Unfinished(Error),
    /// The transaction cannot be committed any more.
    Abortable(Error),
    Fatal(Error),
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::producer) enum Next {
    Nothing,
    /// Look again then.
    At(Instant),
    Ask(Step),
}

/// The transactions of one producer.
#[derive(Debug)]
pub(in crate::producer) struct Machine {
    state: State,
    identity: Option<Identity>,
    protocol: Protocol,
    /// Of the transaction that is open, or else was last.
    number: u64,
    /// The coordinator may know of the transaction, so it has to be told of the end.
    started: bool,
    /// A sequence number was used up and its batch given up.
    gap: bool,
    /// Nothing of the transaction that is open, or else was last, counts.
    aborted: bool,
    to_add: BTreeSet<TopicPartition>,
    added: BTreeSet<TopicPartition>,
    groups: BTreeSet<String>,
    offsets: VecDeque<GroupOffsets>,
    /// Entries that were taken from `offsets`, ever.
    offsets_sent: u64,
    under_way: bool,
    backoff: Backoff,
    not_before: Option<Instant>,
    /// Why the last step was put off.
    put_off: Option<Error>,
}

impl Machine {
    pub(in crate::producer) fn new(backoff: Backoff) -> Self {
        Self {
            state: State::Initializing,
            identity: None,
            protocol: Protocol::V1,
            number: 0,
            started: false,
            gap: false,
            aborted: false,
            to_add: BTreeSet::new(),
            added: BTreeSet::new(),
            groups: BTreeSet::new(),
            offsets: VecDeque::new(),
            offsets_sent: 0,
            under_way: false,
            backoff,
            not_before: None,
            put_off: None,
        }
    }

    /// Why it takes so long.
    pub(in crate::producer) fn put_off(&self) -> String {
        let reason = self.put_off.as_ref().map(ToString::to_string);
        reason.unwrap_or_else(|| "nothing was heard".to_owned())
    }

    pub(in crate::producer) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether there is an identity, so that transactions can begin. None while that is open.
    pub(in crate::producer) fn is_initialized(&self) -> Option<Result<(), Error>> {
        match &self.state {
            State::Initializing => None,
            State::Dead(error) => Some(Err(error.clone())),
            _ => Some(Ok(())),
        }
    }

    /// Begins a transaction and gives its number. None while the one before ends.
    pub(in crate::producer) fn begin(&mut self) -> Option<Result<u64, Error>> {
        match &self.state {
            State::Initializing | State::Committing | State::Aborting => None,
            State::Ready => {
                self.number += 1;
                self.aborted = false;
                self.state = State::Open;
                Some(Ok(self.number))
            }
            State::Open | State::Broken(_) => Some(Err(Error::Invalid(
                "a transaction is open; commit or abort it first".to_owned(),
            ))),
            State::Dead(error) => Some(Err(error.clone())),
        }
    }

    /// Takes a record for `partition` into transaction `number`.
    pub(in crate::producer) fn admit(
        &mut self,
        number: u64,
        partition: TopicPartition,
    ) -> Result<(), Error> {
        self.must_be_open(number)?;
        if self.protocol == Protocol::V1 && !self.added.contains(&partition) {
            self.to_add.insert(partition);
        }
        Ok(())
    }

    /// Whether the transaction is open, so that it can grow.
    pub(in crate::producer) fn must_be_open(&self, number: u64) -> Result<(), Error> {
        match &self.state {
            State::Open if number == self.number => Ok(()),
            State::Broken(error) if number == self.number => Err(error.clone()),
            State::Dead(error) => Err(error.clone()),
            _ => Err(Error::Invalid("the transaction has ended".to_owned())),
        }
    }

    /// Whether batches of `partition` may be sent.
    pub(in crate::producer) fn may_send(&self, partition: &TopicPartition) -> bool {
        matches!(self.state, State::Open | State::Committing)
            && (self.protocol == Protocol::V2 || self.added.contains(partition))
    }

    /// A batch goes out.
    pub(in crate::producer) fn sent(&mut self) {
        self.started = true;
    }

    /// Takes offsets into transaction `number`, and gives the count at which they are sent.
    pub(in crate::producer) fn add_offsets(
        &mut self,
        number: u64,
        offsets: GroupOffsets,
    ) -> Result<u64, Error> {
        self.must_be_open(number)?;
        if self.offsets.len() >= MAX_OFFSETS {
            return Err(Error::QueueFull);
        }
        self.offsets.push_back(offsets);
        let waiting = u64::try_from(self.offsets.len()).unwrap_or(u64::MAX);
        Ok(self.offsets_sent.saturating_add(waiting))
    }

    /// Whether the offsets with this count are in transaction `number`. None while that is open.
    pub(in crate::producer) fn are_sent(
        &self,
        number: u64,
        count: u64,
    ) -> Option<Result<(), Error>> {
        if self.offsets_sent >= count {
            return Some(Ok(()));
        }
        match &self.state {
            State::Open | State::Committing if number == self.number => None,
            _ => Some(self.must_be_open(number)),
        }
    }

    /// Ends transaction `number`. What was queued goes first.
    pub(in crate::producer) fn commit(&mut self, number: u64) -> Result<(), Error> {
        match &self.state {
            State::Open if number == self.number => self.state = State::Committing,
            State::Broken(error) if number == self.number => return Err(error.clone()),
            State::Dead(error) => return Err(error.clone()),
            State::Aborting if number == self.number => {
                return Err(Error::Invalid(
                    "the transaction is being aborted".to_owned(),
                ));
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends transaction `number`, and nothing of it counts.
    pub(in crate::producer) fn abort(&mut self, number: u64) -> Result<(), Error> {
        match &self.state {
            State::Open | State::Broken(_) if number == self.number => {
                self.offsets.clear();
                self.to_add.clear();
                self.aborted = true;
                self.state = State::Aborting;
            }
            State::Committing if number == self.number => {
                return Err(Error::Invalid(
                    "the transaction is being committed".to_owned(),
                ));
            }
            State::Dead(error) => return Err(error.clone()),
            _ => {}
        }
        Ok(())
    }

    /// Whether transaction `number`, which was to end, has. None while that is open.
    pub(in crate::producer) fn has_ended(&self, number: u64) -> Option<Result<(), Error>> {
        match &self.state {
            State::Dead(error) => Some(Err(error.clone())),
            _ if number < self.number => Some(Ok(())),
            State::Ready | State::Initializing => Some(Ok(())),
            State::Broken(error) => Some(Err(error.clone())),
            State::Open | State::Committing | State::Aborting => None,
        }
    }

    /// As [`has_ended`](Self::has_ended), of one that was to be committed: a producer that closes
    /// may have aborted it instead.
    pub(in crate::producer) fn is_committed(&self, number: u64) -> Option<Result<(), Error>> {
        let ended = self.has_ended(number)?;
        let aborted = ended.is_ok() && number == self.number && self.aborted;
        Some(if aborted { Err(was_aborted()) } else { ended })
    }

    /// Nothing more can come.
    pub(in crate::producer) fn is_over(&self) -> bool {
        matches!(self.state, State::Dead(_))
    }

    /// Why what is queued cannot be sent any more.
    pub(in crate::producer) fn refuses(&self) -> Option<Error> {
        match &self.state {
            State::Broken(error) | State::Dead(error) => Some(error.clone()),
            State::Aborting => Some(was_aborted()),
            _ => None,
        }
    }

    /// Nobody is left to begin anything, or to end what is open: that is aborted. What is being
    /// committed goes on.
    pub(in crate::producer) fn abandon(&mut self) {
        match self.state {
            State::Initializing | State::Ready => self.kill(Error::Closed),
            State::Open | State::Broken(_) => {
                let _ = self.abort(self.number);
            }
            State::Committing | State::Aborting | State::Dead(_) => {}
        }
    }

    /// Something in the transaction failed.
    pub(in crate::producer) fn fail(&mut self, error: Error) {
        if matches!(self.state, State::Open | State::Committing) {
            self.state = State::Broken(error);
        }
    }

    /// The producer is of no more use.
    pub(in crate::producer) fn kill(&mut self, error: Error) {
        if !matches!(self.state, State::Dead(_)) {
            self.state = State::Dead(error);
        }
    }

    /// A numbered batch was given up, so the numbers do not continue.
    pub(in crate::producer) fn leaves_gap(&mut self) {
        self.gap = true;
    }

    /// What to ask a coordinator. `settled` says whether every record that was queued has its
    /// outcome.
    pub(in crate::producer) fn next(&mut self, now: Instant, settled: bool) -> Next {
        if self.under_way {
            return Next::Nothing;
        }
        if let Some(at) = self.not_before.filter(|at| *at > now) {
            return Next::At(at);
        }
        self.not_before = None;
        let Some(step) = self.choose(settled) else {
            return Next::Nothing;
        };
        self.under_way = true;
        Next::Ask(step)
    }

    fn choose(&mut self, settled: bool) -> Option<Step> {
        let committed = match &self.state {
            State::Initializing => return Some(Step::Init(self.identity)),
            State::Ready | State::Broken(_) | State::Dead(_) => return None,
            State::Open => None,
            State::Committing => Some(true),
            State::Aborting => Some(false),
        };
        let identity = self.identity?;
        if committed != Some(false) {
            if !self.to_add.is_empty() {
                return Some(Step::AddPartitions(identity, self.to_add.clone()));
            }
            if let Some(offsets) = self.offsets.front() {
                let group = &offsets.group.group_id;
                if self.protocol == Protocol::V1 && !self.groups.contains(group) {
                    return Some(Step::AddOffsets(identity, group.clone()));
                }
                let step = Step::CommitOffsets(identity, self.protocol, offsets.clone());
                return Some(step);
            }
        }
        let committed = committed.filter(|_| settled)?;
        if !self.started {
            self.finish();
            // What was given up may still require a new identity.
            return match self.state {
                State::Initializing => Some(Step::Init(self.identity)),
                _ => None,
            };
        }
        Some(Step::End {
            identity,
            protocol: self.protocol,
            committed,
        })
    }

    /// A coordinator has answered. Returns the identity to number under, if it is another.
    /// `fraction` is random.
    pub(in crate::producer) fn answered(
        &mut self,
        step: &Step,
        answer: Result<Answer, Refusal>,
        now: Instant,
        fraction: f64,
    ) -> Option<Identity> {
        self.under_way = false;
        if matches!(self.state, State::Dead(_)) {
            return None;
        }
        self.started |= may_start(step, &answer);
        match answer {
            Ok(answer) => {
                self.backoff.reset();
                self.put_off = None;
                return self.done(step, answer);
            }
            Err(Refusal::Again(reason)) => {
                self.not_before = Some(now + self.backoff.next(fraction));
                self.put_off = Some(reason);
            }
            Err(Refusal::Unfinished(reason)) => {
                self.not_before = Some(now + UNFINISHED_PAUSE);
                self.put_off = Some(reason);
            }
            Err(Refusal::Abortable(error)) => {
                let end = matches!(step, Step::End { .. } | Step::Init(_));
                if end && !matches!(self.state, State::Committing) {
                    self.kill(error);
                } else {
                    self.fail(error);
                }
            }
            Err(Refusal::Fatal(error)) => self.kill(error),
        }
        None
    }

    fn done(&mut self, step: &Step, answer: Answer) -> Option<Identity> {
        match step {
            Step::Init(_) => {
                if let Answer::Is(identity, protocol) = answer {
                    self.state = State::Ready;
                    self.identity = Some(identity);
                    self.protocol = protocol;
                    return Some(identity);
                }
            }
            Step::AddPartitions(_, partitions) => {
                self.to_add
                    .retain(|partition| !partitions.contains(partition));
                self.added.extend(partitions.iter().cloned());
            }
            Step::AddOffsets(_, group) => {
                self.groups.insert(group.clone());
            }
            Step::CommitOffsets(..) => {
                // An abort has cleared the queue, and counts nothing.
                if self.offsets.pop_front().is_some() {
                    self.offsets_sent += 1;
                }
            }
            Step::End { .. } => {
                if let Answer::Next(identity) = answer {
                    self.identity = Some(identity);
                    self.gap = false;
                    self.finish();
                    return Some(identity);
                }
                self.finish();
            }
        }
        None
    }

    fn finish(&mut self) {
        self.started = false;
        self.added.clear();
        self.groups.clear();
        self.state = if std::mem::take(&mut self.gap) {
            State::Initializing
        } else {
            State::Ready
        };
    }
}

/// Whether the coordinator may know of the transaction after this. It takes no end of one that it
/// does not know of.
fn may_start(step: &Step, answer: &Result<Answer, Refusal>) -> bool {
    let definite = match answer {
        Ok(_) => false,
        Err(Refusal::Again(Error::Refused { code, .. })) => matches!(
            code,
            ErrorCode::CoordinatorLoadInProgress | ErrorCode::UnknownTopicOrPartition
        ),
        Err(Refusal::Again(_)) => false,
        Err(Refusal::Unfinished(_) | Refusal::Abortable(_) | Refusal::Fatal(_)) => true,
    };
    match step {
        Step::Init(_) => false,
        Step::AddPartitions(..) | Step::AddOffsets(..) => !definite,
        // The group is added before its offsets are looked at.
        Step::CommitOffsets(..) | Step::End { .. } => true,
    }
}

fn was_aborted() -> Error {
    Error::Abortable("the transaction was aborted".to_owned())
}

/// What a code that a coordinator gives to a step means.
pub(in crate::producer) fn classify(
    operation: &'static str,
    code: ErrorCode,
    message: Option<String>,
) -> Refusal {
    let refused = || Error::Refused {
        operation,
        code,
        message: message.clone(),
    };
    match code {
        ErrorCode::ConcurrentTransactions => Refusal::Unfinished(refused()),
        ErrorCode::ProducerFenced | ErrorCode::InvalidProducerEpoch => Refusal::Fatal(
            Error::Fenced("another producer has taken over the transactional.id".to_owned()),
        ),
        ErrorCode::TransactionAbortable
        | ErrorCode::UnknownProducerId
        | ErrorCode::TopicAuthorizationFailed
        | ErrorCode::GroupAuthorizationFailed
        | ErrorCode::UnknownMemberId
        | ErrorCode::IllegalGeneration
        | ErrorCode::RebalanceInProgress
        | ErrorCode::StaleMemberEpoch
        | ErrorCode::FencedMemberEpoch
        | ErrorCode::FencedInstanceId
        | ErrorCode::OffsetMetadataTooLarge
        | ErrorCode::InvalidCommitOffsetSize
        | ErrorCode::GroupIdNotFound => Refusal::Abortable(Error::Abortable(refused().to_string())),
        code if code.is_retriable() => Refusal::Again(refused()),
        _ => Refusal::Fatal(refused()),
    }
}
