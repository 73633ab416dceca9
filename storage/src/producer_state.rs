//! What a partition remembers of idempotent producers, so that a retried batch is stored once.
//!
//! Pure. `check` decides, `replay` is the only mutator, live and on recovery alike, so a state
//! rebuilt from batch headers equals the live one. KIP-98; five batches as in Kafka.

use std::collections::{BTreeMap, VecDeque};

use bincode::{Decode, Encode};
use ottla_protocol::record::BatchHeader;

use crate::error::AppendError;

/// Batches remembered per producer: a Java producer has at most five in flight.
pub(crate) const BATCHES_REMEMBERED: usize = 5;

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
    /// Newest last; at most [`BATCHES_REMEMBERED`].
    batches: VecDeque<ProducerBatch>,
    /// Newest timestamp seen, in milliseconds: what expiry counts from.
    last_timestamp: i64,
    /// First offset of the open transaction.
    current_transaction_first_offset: Option<i64>,
}

/// The producers of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ProducerState {
    producers: BTreeMap<i64, ProducerEntry>,
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
    /// Whether a client's batch is next, a duplicate, or to be refused.
    ///
    /// # Errors
    /// [`AppendError::InvalidProducerEpoch`] and [`AppendError::OutOfOrderSequence`].
    pub(crate) fn check(&self, header: &BatchHeader) -> Result<Sequence, AppendError> {
        if !header.has_producer_id() || header.base_sequence < 0 {
            return Ok(Sequence::New);
        }
        // Nothing is known of a new or expired producer: any sequence starts it.
        let Some(entry) = self.producers.get(&header.producer_id) else {
            return Ok(Sequence::New);
        };
        if header.producer_epoch < entry.producer_epoch {
            return Err(AppendError::InvalidProducerEpoch {
                producer_id: header.producer_id,
                found: header.producer_epoch,
                current: entry.producer_epoch,
            });
        }
        let out_of_order = |last| AppendError::OutOfOrderSequence {
            producer_id: header.producer_id,
            found: header.base_sequence,
            last,
        };
        if header.producer_epoch > entry.producer_epoch {
            return if header.base_sequence == 0 {
                Ok(Sequence::New)
            } else {
                Err(out_of_order(-1))
            };
        }
        if let Some(batch) = entry.duplicate_of(header) {
            return Ok(Sequence::Duplicate(batch));
        }
        match entry.batches.back() {
            Some(last) if next_sequence(last.last_sequence) != header.base_sequence => {
                Err(out_of_order(last.last_sequence))
            }
            _ => Ok(Sequence::New),
        }
    }

    /// Takes in a batch that is in the log, with its final offsets and timestamps.
    pub(crate) fn replay(&mut self, header: &BatchHeader) {
        if !header.has_producer_id() {
            return;
        }
        let entry = self
            .producers
            .entry(header.producer_id)
            .or_insert_with(|| ProducerEntry {
                producer_epoch: header.producer_epoch,
                batches: VecDeque::new(),
                last_timestamp: header.max_timestamp,
                current_transaction_first_offset: None,
            });
        if header.producer_epoch != entry.producer_epoch {
            entry.producer_epoch = header.producer_epoch;
            entry.batches.clear();
        }
        entry.last_timestamp = entry.last_timestamp.max(header.max_timestamp);
        if header.attributes.is_control() {
            entry.current_transaction_first_offset = None;
            return;
        }
        if header.attributes.is_transactional() {
            entry
                .current_transaction_first_offset
                .get_or_insert(header.base_offset);
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
        self.producers
            .values()
            .filter_map(|entry| entry.current_transaction_first_offset)
            .min()
    }
}

impl ProducerEntry {
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

    #[test]
    fn an_unknown_producer_starts_anywhere() {
        let state = ProducerState::default();
        assert_eq!(state.check(&batch(3, 1_000, 0)).unwrap(), Sequence::New);
    }

    #[test]
    fn the_next_sequence_is_accepted_and_a_gap_is_not() {
        let state = after(&[(0, 0)]);
        assert_eq!(state.check(&batch(0, 2, 2)).unwrap(), Sequence::New);
        for sequence in [1, 3, 4, i32::MAX] {
            assert!(matches!(
                state.check(&batch(0, sequence, 2)),
                Err(AppendError::OutOfOrderSequence { last: 1, .. })
            ));
        }
    }

    #[test]
    fn sequences_wrap() {
        let state = after(&[(0, i32::MAX - 1)]);
        assert_eq!(state.check(&batch(0, 0, 2)).unwrap(), Sequence::New);
        let state = after(&[(0, i32::MAX)]);
        assert_eq!(state.check(&batch(0, 1, 2)).unwrap(), Sequence::New);
    }

    #[test]
    fn five_batches_are_remembered() {
        let state = after(&[(0, 0), (0, 2), (0, 4), (0, 6), (0, 8), (0, 10)]);
        for sequence in [2, 4, 6, 8, 10] {
            let Sequence::Duplicate(original) = state.check(&batch(0, sequence, 99)).unwrap()
            else {
                panic!("sequence {sequence} is a duplicate");
            };
            assert_eq!(original.base_offset, i64::from(sequence));
            assert_eq!(original.last_offset, i64::from(sequence) + 1);
        }
        assert!(state.check(&batch(0, 0, 99)).is_err());
    }

    #[test]
    fn a_batch_of_another_length_is_no_duplicate() {
        let state = after(&[(0, 0)]);
        let longer = BatchHeader {
            last_offset_delta: 2,
            ..batch(0, 0, 2)
        };
        assert!(state.check(&longer).is_err());
    }

    #[test]
    fn an_older_epoch_is_fenced() {
        let state = after(&[(2, 0)]);
        assert!(matches!(
            state.check(&batch(1, 2, 2)),
            Err(AppendError::InvalidProducerEpoch { current: 2, .. })
        ));
    }

    #[test]
    fn a_new_epoch_starts_at_zero_and_forgets() {
        let state = after(&[(0, 0)]);
        assert!(matches!(
            state.check(&batch(1, 2, 2)),
            Err(AppendError::OutOfOrderSequence { last: -1, .. })
        ));
        assert_eq!(state.check(&batch(1, 0, 2)).unwrap(), Sequence::New);
        let state = after(&[(0, 0), (1, 0)]);
        let Sequence::Duplicate(original) = state.check(&batch(1, 0, 9)).unwrap() else {
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
        assert_eq!(state.check(&plain).unwrap(), Sequence::New);
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
        state.replay(&BatchHeader {
            attributes: Attributes::default()
                .with_transactional(true)
                .with_control(true),
            ..batch(0, -1, 8)
        });
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
}
