//! What a partition remembers of producers: which batches, so that a retried one is stored once,
//! and where the open transaction begins.
//!
//! Pure. `check` and `check_marker` decide, `replay` and `replay_marker` are the only mutators, live
//! and on recovery alike, so a state rebuilt from batches equals the live one. KIP-98, KIP-890;
//! five batches as in Kafka.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bincode::{Decode, Encode};
use ottla_protocol::record::{BatchHeader, EndTransactionMarker, TransactionResult};

use crate::error::{AppendError, Shortage};

/// Batches remembered per producer: a Java producer has at most five in flight.
pub(crate) const BATCHES_REMEMBERED: usize = 5;
/// Producers remembered of one partition; a batch of one more is refused until others have expired.
/// The state of so many fits a snapshot, whatever it is.
pub(crate) const MOST_PRODUCERS: usize = 1_000_000;

/// One batch of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ProducerBatch {
    pub(crate) base_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    /// `max_timestamp` of the batch, in milliseconds.
    pub(crate) timestamp: i64,
}

/// What is known of one producer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ProducerEntry {
    pub(crate) producer_epoch: i16,
    /// The epoch rose here, so its first batch has sequence 0. Otherwise it may be one that was
    /// deleted.
    begun_here: bool,
    /// Newest last; at most [`BATCHES_REMEMBERED`].
    batches: VecDeque<ProducerBatch>,
    /// Newest timestamp seen, in milliseconds: what expiry counts from.
    last_timestamp: i64,
    /// First offset of the open transaction.
    current_transaction_first_offset: Option<i64>,
    /// Offset of the newest marker.
    last_marker_offset: Option<i64>,
    /// Epoch of the coordinator that wrote it, or -1.
    coordinator_epoch: i32,
}

/// The producers of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProducerState {
    producers: BTreeMap<i64, ProducerEntry>,
    /// First offset and producer of each open transaction.
    open: BTreeSet<(i64, i64)>,
}

/// What a partition knows of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerInfo {
    /// Who produces.
    pub producer_id: i64,
    /// The newest epoch.
    pub producer_epoch: i16,
    /// Sequence of the last record; -1 when none is known.
    pub last_sequence: i32,
    /// Newest timestamp of the producer's batches, in milliseconds.
    pub last_timestamp: i64,
    /// Epoch of the coordinator that wrote the last marker; -1 when there was none.
    pub coordinator_epoch: i32,
    /// First offset of the open transaction.
    pub current_transaction_first_offset: Option<i64>,
}

/// The end of a transaction that a partition is asked to take in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Whose transaction.
    pub producer_id: i64,
    /// The epoch that the transaction ends with.
    pub producer_epoch: i16,
    /// How it ended, and who says so.
    pub end: EndTransactionMarker,
    /// The epoch rises with each end (KIP-890), so an epoch that is not newer is a stale marker's.
    pub bumps_epoch: bool,
}

/// What a producer may do depends on when this was taken: a transaction that has ended since then
/// must not be begun again by a batch that is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionGuard {
    pub(crate) last_marker_offset: Option<i64>,
    /// A producer of which nothing is known starts with sequence 0 (KIP-890).
    pub starts_at_zero: bool,
}

/// A transaction that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CompletedTransaction {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// Offset of the marker.
    pub(crate) last_offset: i64,
    pub(crate) result: TransactionResult,
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// It is the next one, or has no sequence.
    New,
    /// It is in the log already, there.
    Duplicate(ProducerBatch),
}

impl ProducerState {
    /// A state with these producers.
    pub(crate) fn from_entries(producers: BTreeMap<i64, ProducerEntry>) -> Self {
        let open = producers
            .iter()
            .filter_map(|(id, entry)| Some((entry.current_transaction_first_offset?, *id)))
            .collect();
        Self { producers, open }
    }

    /// The producers, for a snapshot.
    pub(crate) fn entries(&self) -> &BTreeMap<i64, ProducerEntry> {
        &self.producers
    }

    /// What there is to tell of each producer.
    pub(crate) fn describe(&self) -> Vec<ProducerInfo> {
        let info = |(producer_id, entry): (&i64, &ProducerEntry)| ProducerInfo {
            producer_id: *producer_id,
            producer_epoch: entry.producer_epoch,
            last_sequence: entry.batches.back().map_or(-1, |batch| batch.last_sequence),
            last_timestamp: entry.last_timestamp,
            coordinator_epoch: entry.coordinator_epoch,
            current_transaction_first_offset: entry.current_transaction_first_offset,
        };
        self.producers.iter().map(info).collect()
    }

    /// Whether a batch of the log is the newest of its producer, or the marker that raised the
    /// epoch since then: the log is to keep it for as long as the producer is known.
    pub(crate) fn is_newest(&self, header: &BatchHeader) -> bool {
        let Some(entry) = self.producers.get(&header.producer_id) else {
            return false;
        };
        match entry.batches.back() {
            Some(batch) => batch.last_offset == header.last_offset(),
            None => header.attributes.is_control() && header.producer_epoch == entry.producer_epoch,
        }
    }

    /// What a batch of this producer will be held against.
    pub(crate) fn guard(&self, producer_id: i64, starts_at_zero: bool) -> TransactionGuard {
        let entry = self.producers.get(&producer_id);
        TransactionGuard {
            last_marker_offset: entry.and_then(|entry| entry.last_marker_offset),
            starts_at_zero,
        }
    }

    /// Whether a client's batch is next, a duplicate, or to be refused.
    ///
    /// # Errors
    /// [`AppendError::InvalidProducerEpoch`], [`AppendError::OutOfOrderSequence`],
    /// [`AppendError::InvalidTransactionState`], [`AppendError::TransactionEnded`] and
    /// [`AppendError::Short`] with [`Shortage::Producers`].
    pub(crate) fn check(
        &self,
        header: &BatchHeader,
        guard: Option<&TransactionGuard>,
    ) -> Result<Sequence, AppendError> {
        if !header.has_producer_id() {
            return Ok(Sequence::New);
        }
        let entry = self.producers.get(&header.producer_id);
        if entry.is_none() && self.producers.len() >= MOST_PRODUCERS {
            return Err(AppendError::Short(Shortage::Producers));
        }
        if header.base_sequence < 0 {
            return Ok(Sequence::New);
        }
        let sequence = match entry {
            Some(entry) => entry.check(header)?,
            None => check_unknown(header, guard)?,
        };
        if sequence == Sequence::New {
            check_transaction(header, entry, guard)?;
        }
        Ok(sequence)
    }

    /// Whether a marker may end the producer's transaction.
    ///
    /// # Errors
    /// [`AppendError::TransactionCoordinatorFenced`] and [`AppendError::InvalidProducerEpoch`].
    pub(crate) fn check_marker(&self, marker: &Marker) -> Result<(), AppendError> {
        let Some(entry) = self.producers.get(&marker.producer_id) else {
            return Ok(());
        };
        if marker.end.coordinator_epoch < entry.coordinator_epoch {
            return Err(AppendError::TransactionCoordinatorFenced {
                producer_id: marker.producer_id,
                found: marker.end.coordinator_epoch,
                current: entry.coordinator_epoch,
            });
        }
        let is_open = entry.current_transaction_first_offset.is_some();
        let is_stale = if marker.bumps_epoch && is_open {
            marker.producer_epoch <= entry.producer_epoch
        } else {
            marker.producer_epoch < entry.producer_epoch
        };
        if is_stale {
            return Err(AppendError::InvalidProducerEpoch {
                producer_id: marker.producer_id,
                found: marker.producer_epoch,
                current: entry.producer_epoch,
            });
        }
        Ok(())
    }

    /// Takes in a batch that is in the log, with its final offsets and timestamps.
    pub(crate) fn replay(&mut self, header: &BatchHeader) {
        if !header.has_producer_id() || header.attributes.is_control() {
            return;
        }
        let entry = self
            .producers
            .entry(header.producer_id)
            .or_insert_with(|| ProducerEntry::new(header));
        entry.enter(header);
        if header.attributes.is_transactional() && entry.current_transaction_first_offset.is_none()
        {
            entry.current_transaction_first_offset = Some(header.base_offset);
            self.open.insert((header.base_offset, header.producer_id));
        }
        if header.base_sequence >= 0 {
            if entry.batches.len() >= BATCHES_REMEMBERED {
                entry.batches.pop_front();
            }
            entry.batches.push_back(ProducerBatch {
                base_sequence: header.base_sequence,
                last_sequence: header.last_sequence(),
                base_offset: header.base_offset,
                last_offset: header.last_offset(),
                timestamp: header.max_timestamp,
            });
        }
    }

    /// Takes in a marker that is in the log. Answers the transaction that it ended, if the
    /// partition has records of it.
    pub(crate) fn replay_marker(
        &mut self,
        header: &BatchHeader,
        marker: EndTransactionMarker,
    ) -> Option<CompletedTransaction> {
        let producer_id = header.producer_id;
        let entry = self
            .producers
            .entry(producer_id)
            .or_insert_with(|| ProducerEntry::new(header));
        entry.enter(header);
        entry.last_marker_offset = Some(header.base_offset);
        entry.coordinator_epoch = marker.coordinator_epoch;
        let first_offset = entry.current_transaction_first_offset.take()?;
        self.open.remove(&(first_offset, producer_id));
        Some(CompletedTransaction {
            producer_id,
            first_offset,
            last_offset: header.base_offset,
            result: marker.result,
        })
    }

    /// Forgets producers without a batch since `before_ms`, unless their transaction is open.
    /// Answers whether there were any.
    pub(crate) fn expire(&mut self, before_ms: i64) -> bool {
        let producers = self.producers.len();
        self.producers.retain(|_, entry| {
            entry.current_transaction_first_offset.is_some() || entry.last_timestamp >= before_ms
        });
        self.producers.len() != producers
    }

    /// First offset of the oldest open transaction.
    pub(crate) fn first_unstable_offset(&self) -> Option<i64> {
        self.open.first().map(|(first_offset, _)| *first_offset)
    }
}

/// Nothing is known of a new or expired producer: any sequence starts it, but for KIP-890.
fn check_unknown(
    header: &BatchHeader,
    guard: Option<&TransactionGuard>,
) -> Result<Sequence, AppendError> {
    if header.base_sequence != 0 && guard.is_some_and(|guard| guard.starts_at_zero) {
        return Err(AppendError::OutOfOrderSequence {
            producer_id: header.producer_id,
            found: header.base_sequence,
            last: -1,
        });
    }
    Ok(Sequence::New)
}

/// A new batch of a producer belongs to the open transaction, begins one, or there is none.
fn check_transaction(
    header: &BatchHeader,
    entry: Option<&ProducerEntry>,
    guard: Option<&TransactionGuard>,
) -> Result<(), AppendError> {
    let is_open = entry.is_some_and(|entry| entry.current_transaction_first_offset.is_some());
    let last_marker_offset = entry.and_then(|entry| entry.last_marker_offset);
    let producer_id = header.producer_id;
    if !header.attributes.is_transactional() {
        return if is_open {
            Err(AppendError::InvalidTransactionState { producer_id })
        } else {
            Ok(())
        };
    }
    match guard {
        Some(guard) if !is_open && guard.last_marker_offset != last_marker_offset => {
            Err(AppendError::TransactionEnded { producer_id })
        }
        _ => Ok(()),
    }
}

impl ProducerEntry {
    fn new(header: &BatchHeader) -> Self {
        Self {
            producer_epoch: header.producer_epoch,
            begun_here: false,
            batches: VecDeque::new(),
            last_timestamp: header.max_timestamp,
            current_transaction_first_offset: None,
            last_marker_offset: None,
            coordinator_epoch: -1,
        }
    }

    /// Takes in what data and markers have in common.
    fn enter(&mut self, header: &BatchHeader) {
        if header.producer_epoch != self.producer_epoch {
            self.producer_epoch = header.producer_epoch;
            self.begun_here = true;
            self.batches.clear();
        }
        self.last_timestamp = self.last_timestamp.max(header.max_timestamp);
    }

    fn check(&self, header: &BatchHeader) -> Result<Sequence, AppendError> {
        if header.producer_epoch < self.producer_epoch {
            return Err(AppendError::InvalidProducerEpoch {
                producer_id: header.producer_id,
                found: header.producer_epoch,
                current: self.producer_epoch,
            });
        }
        let newer_epoch = header.producer_epoch > self.producer_epoch;
        if !newer_epoch && let Some(batch) = self.duplicate_of(header) {
            return Ok(Sequence::Duplicate(batch));
        }
        let last = self.batches.back().filter(|_| !newer_epoch);
        let expected = match last {
            Some(last) => Some(next_sequence(last.last_sequence)),
            None if newer_epoch || self.begun_here => Some(0),
            None => None,
        };
        if expected.is_some_and(|expected| expected != header.base_sequence) {
            return Err(AppendError::OutOfOrderSequence {
                producer_id: header.producer_id,
                found: header.base_sequence,
                last: last.map_or(-1, |batch| batch.last_sequence),
            });
        }
        Ok(Sequence::New)
    }

    fn duplicate_of(&self, header: &BatchHeader) -> Option<ProducerBatch> {
        let wanted = (header.base_sequence, header.last_sequence());
        self.batches
            .iter()
            .find(|batch| (batch.base_sequence, batch.last_sequence) == wanted)
            .copied()
    }
}

/// Sequence numbers wrap from `i32::MAX` to 0.
fn next_sequence(last: i32) -> i32 {
    last.checked_add(1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use ottla_protocol::record::Attributes;

    use super::*;

    const ABORT: EndTransactionMarker = EndTransactionMarker {
        result: TransactionResult::Abort,
        coordinator_epoch: 3,
    };

    fn transactional(producer_epoch: i16, base_sequence: i32, base_offset: i64) -> BatchHeader {
        BatchHeader {
            attributes: Attributes::default().with_transactional(true),
            ..batch(producer_epoch, base_sequence, base_offset)
        }
    }

    fn marker(producer_epoch: i16, coordinator_epoch: i32, bumps_epoch: bool) -> Marker {
        Marker {
            producer_id: 7,
            producer_epoch,
            end: EndTransactionMarker {
                coordinator_epoch,
                ..ABORT
            },
            bumps_epoch,
        }
    }

    /// A batch of two records.
    fn batch(producer_epoch: i16, base_sequence: i32, base_offset: i64) -> BatchHeader {
        BatchHeader {
            base_offset,
            batch_length: 49,
            partition_leader_epoch: 0,
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: 1,
            base_timestamp: base_offset,
            max_timestamp: base_offset,
            producer_id: 7,
            producer_epoch,
            base_sequence,
            record_count: 2,
        }
    }

    /// State after these batches at offsets 0, 2, 4 ...
    fn after(batches: &[(i16, i32)]) -> ProducerState {
        let mut state = ProducerState::default();
        for (offset, (epoch, sequence)) in (0..).step_by(2).zip(batches) {
            state.replay(&batch(*epoch, *sequence, offset));
        }
        state
    }

    /// Once, what was known of more did not fit a snapshot, and that ended the journal of all logs.
    #[test]
    fn one_producer_too_many_is_refused_until_others_are_forgotten() {
        let mut state = ProducerState::from_entries(
            (0..)
                .zip(std::iter::repeat_n(
                    ProducerEntry::new(&batch(0, 0, 0)),
                    MOST_PRODUCERS,
                ))
                .collect(),
        );
        let of = |producer_id| BatchHeader {
            producer_id,
            ..batch(0, 0, 0)
        };
        let (known, new) = (of(5), of(i64::MAX));
        assert_eq!(state.check(&known, None).ok(), Some(Sequence::New));
        let refused = state.check(&new, None);
        assert!(
            matches!(refused, Err(AppendError::Short(Shortage::Producers))),
            "{refused:?}"
        );
        state.expire(i64::MAX);
        assert!(state.check(&new, None).is_ok());
    }

    #[test]
    fn an_unknown_producer_starts_anywhere() {
        let state = ProducerState::default();
        assert_eq!(
            state.check(&batch(3, 1_000, 0), None).unwrap(),
            Sequence::New
        );
    }

    #[test]
    fn the_next_sequence_is_accepted_and_a_gap_is_not() {
        let state = after(&[(0, 0)]);
        assert_eq!(state.check(&batch(0, 2, 2), None).unwrap(), Sequence::New);
        for sequence in [1, 3, 4, i32::MAX] {
            assert!(matches!(
                state.check(&batch(0, sequence, 2), None),
                Err(AppendError::OutOfOrderSequence { last: 1, .. })
            ));
        }
    }

    #[test]
    fn sequences_wrap() {
        let state = after(&[(0, i32::MAX - 1)]);
        assert_eq!(state.check(&batch(0, 0, 2), None).unwrap(), Sequence::New);
        let state = after(&[(0, i32::MAX)]);
        assert_eq!(state.check(&batch(0, 1, 2), None).unwrap(), Sequence::New);
    }

    #[test]
    fn five_batches_are_remembered() {
        let state = after(&[(0, 0), (0, 2), (0, 4), (0, 6), (0, 8), (0, 10)]);
        for sequence in [2, 4, 6, 8, 10] {
            let Sequence::Duplicate(original) = state.check(&batch(0, sequence, 99), None).unwrap()
            else {
                panic!("sequence {sequence} is a duplicate");
            };
            assert_eq!(original.base_offset, i64::from(sequence));
            assert_eq!(original.last_offset, i64::from(sequence) + 1);
        }
        assert!(state.check(&batch(0, 0, 99), None).is_err());
    }

    #[test]
    fn a_batch_of_another_length_is_no_duplicate() {
        let state = after(&[(0, 0)]);
        let longer = BatchHeader {
            last_offset_delta: 2,
            ..batch(0, 0, 2)
        };
        assert!(state.check(&longer, None).is_err());
    }

    #[test]
    fn an_older_epoch_is_fenced() {
        let state = after(&[(2, 0)]);
        assert!(matches!(
            state.check(&batch(1, 2, 2), None),
            Err(AppendError::InvalidProducerEpoch { current: 2, .. })
        ));
    }

    #[test]
    fn a_new_epoch_starts_at_zero_and_forgets() {
        let state = after(&[(0, 0)]);
        assert!(matches!(
            state.check(&batch(1, 2, 2), None),
            Err(AppendError::OutOfOrderSequence { last: -1, .. })
        ));
        assert_eq!(state.check(&batch(1, 0, 2), None).unwrap(), Sequence::New);
        let state = after(&[(0, 0), (1, 0)]);
        let Sequence::Duplicate(original) = state.check(&batch(1, 0, 9), None).unwrap() else {
            panic!("a duplicate in the new epoch");
        };
        assert_eq!(original.base_offset, 2);
    }

    #[test]
    fn batches_without_a_producer_leave_no_trace() {
        let mut state = ProducerState::default();
        let plain = BatchHeader {
            producer_id: -1,
            ..batch(-1, -1, 0)
        };
        state.replay(&plain);
        assert_eq!(state, ProducerState::default());
        assert_eq!(state.check(&plain, None).unwrap(), Sequence::New);
    }

    #[test]
    fn an_open_transaction_is_known_by_its_first_offset() {
        let mut state = ProducerState::default();
        for offset in [4, 6] {
            state.replay(&BatchHeader {
                attributes: Attributes::default().with_transactional(true),
                ..batch(0, i32::try_from(offset).unwrap(), offset)
            });
        }
        assert_eq!(state.first_unstable_offset(), Some(4));
        assert!(!state.expire(i64::MAX));
        let marker = BatchHeader {
            attributes: Attributes::default()
                .with_transactional(true)
                .with_control(true),
            ..batch(0, -1, 8)
        };
        let completed = state.replay_marker(&marker, ABORT).unwrap();
        assert_eq!((completed.first_offset, completed.last_offset), (4, 8));
        assert_eq!(state.first_unstable_offset(), None);
        assert!(state.expire(i64::MAX));
    }

    #[test]
    fn a_producer_expires_by_its_newest_batch() {
        let mut state = after(&[(0, 0), (0, 2)]);
        assert!(!state.expire(2));
        assert!(state.expire(3));
        assert_eq!(state, ProducerState::default());
    }

    #[test]
    fn a_batch_that_is_late_does_not_begin_an_ended_transaction_again() {
        let mut state = ProducerState::default();
        state.replay(&transactional(0, 0, 0));
        let guard = state.guard(7, false);
        let late = transactional(0, 2, 3);
        assert_eq!(state.check(&late, Some(&guard)).unwrap(), Sequence::New);
        state.replay_marker(&batch(0, -1, 2), ABORT);
        assert!(matches!(
            state.check(&late, Some(&guard)),
            Err(AppendError::TransactionEnded { producer_id: 7 })
        ));
        let guard = state.guard(7, false);
        assert_eq!(state.check(&late, Some(&guard)).unwrap(), Sequence::New);
    }

    #[test]
    fn an_unknown_producer_of_the_second_protocol_starts_at_zero() {
        let state = ProducerState::default();
        let guard = state.guard(7, true);
        assert!(state.check(&transactional(3, 1, 0), Some(&guard)).is_err());
        assert!(state.check(&transactional(3, 0, 0), Some(&guard)).is_ok());
    }

    #[test]
    fn a_batch_outside_of_the_open_transaction_is_refused() {
        let mut state = ProducerState::default();
        state.replay(&transactional(0, 0, 0));
        assert!(matches!(
            state.check(&batch(0, 2, 2), None),
            Err(AppendError::InvalidTransactionState { producer_id: 7 })
        ));
    }

    #[test]
    fn a_marker_of_an_older_coordinator_or_producer_is_fenced() {
        let mut state = ProducerState::default();
        state.replay(&transactional(5, 0, 0));
        assert!(state.check_marker(&marker(4, 3, false)).is_err());
        assert!(state.check_marker(&marker(5, 3, false)).is_ok());
        state.replay_marker(&batch(5, -1, 2), ABORT);
        assert!(matches!(
            state.check_marker(&marker(5, 2, false)),
            Err(AppendError::TransactionCoordinatorFenced { current: 3, .. })
        ));
    }

    #[test]
    fn a_marker_that_does_not_raise_the_epoch_of_an_open_transaction_is_stale() {
        let mut state = ProducerState::default();
        state.replay(&transactional(5, 0, 0));
        assert!(state.check_marker(&marker(5, 3, true)).is_err());
        assert!(state.check_marker(&marker(6, 3, true)).is_ok());
        state.replay_marker(&batch(6, -1, 2), ABORT);
        // Sent again, because its answer was lost.
        assert!(state.check_marker(&marker(6, 3, true)).is_ok());
        state.replay(&transactional(6, 0, 3));
        assert!(state.check_marker(&marker(6, 3, true)).is_err());
    }

    #[test]
    fn the_epoch_that_a_marker_raised_starts_at_sequence_zero() {
        let mut state = ProducerState::default();
        state.replay(&transactional(5, 0, 0));
        state.replay_marker(&batch(6, -1, 2), ABORT);
        assert!(state.check(&transactional(6, 2, 3), None).is_err());
        assert_eq!(
            state.check(&transactional(6, 0, 3), None).unwrap(),
            Sequence::New
        );
        assert!(state.check(&transactional(5, 2, 3), None).is_err());
    }

    #[test]
    fn a_state_from_its_entries_is_the_same() {
        let mut state = ProducerState::default();
        state.replay(&transactional(5, 0, 0));
        let copy = ProducerState::from_entries(state.entries().clone());
        assert_eq!(copy, state);
        assert_eq!(copy.first_unstable_offset(), Some(0));
    }
}
