//! Pure. The one owner of a partition's sequence numbers.
//!
//! A batch gets its number when it is first sent and keeps it however often it is sent again. A
//! number whose batch failed leaves the sequence unresolved: what was numbered already is sent
//! again under its numbers, and only when the broker refuses the first of it, or nothing is left
//! and the acknowledged numbers end early, is the epoch bumped and numbering starts at zero.
//! A batch that was refused was not written, and neither were those after it, so nothing is
//! doubled.

use ottla_protocol::record::ProducerIdentity;

/// The last epoch that is used; the one above is Kafka's marker for exhaustion.
const LAST_EPOCH: i16 = i16::MAX - 1;

/// Who a producer is to the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
}

/// The sequence numbers of one partition.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    identity: Option<Identity>,
    next: i32,
    /// What `next` would be if only acknowledged batches counted.
    acknowledged: i32,
    /// The broker has numbered batches of this identity. Until then it takes whatever number comes
    /// first, and one that overtook another would be accepted.
    established: bool,
    unresolved: bool,
    bump: bool,
}

/// `sequence` after `count` more; wraps from the largest i32 to 0.
pub(super) fn advance(sequence: i32, count: i32) -> i32 {
    sequence.wrapping_add(count) & i32::MAX
}

impl Sequence {
    /// Takes on an identity if there is none.
    pub(super) fn adopt(&mut self, identity: Identity) {
        if self.identity.is_none() {
            *self = Self {
                identity: Some(identity),
                ..Self::default()
            };
        }
    }

    /// Whether numbers can be given.
    pub(super) fn has_identity(&self) -> bool {
        self.identity.is_some()
    }

    /// Whether new batches must wait until what was numbered is settled.
    pub(super) fn is_unresolved(&self) -> bool {
        self.unresolved || self.bump
    }

    /// Numbers for a batch of `count` records that has none. None without an identity.
    pub(super) fn assign(&mut self, count: i32) -> Option<ProducerIdentity> {
        let Identity { producer_id, epoch } = self.identity?;
        let base_sequence = self.next;
        self.next = advance(self.next, count);
        Some(ProducerIdentity {
            producer_id,
            producer_epoch: epoch,
            base_sequence,
        })
    }

    /// A batch of `count` records with these numbers is in the log.
    pub(super) fn written(&mut self, numbers: ProducerIdentity, count: i32) {
        let current = self
            .identity
            .map(|identity| (identity.producer_id, identity.epoch));
        if current == Some((numbers.producer_id, numbers.producer_epoch)) {
            self.acknowledged = advance(numbers.base_sequence, count);
            self.established = true;
        }
    }

    /// Whether the broker would notice a batch that overtook another.
    pub(super) fn is_established(&self) -> bool {
        self.established
    }

    /// A numbered batch was given up.
    pub(super) fn failed(&mut self) {
        self.unresolved = true;
    }

    /// The broker does not accept the first number that is left: start again under a new epoch
    /// once nothing is in flight.
    pub(super) fn refused(&mut self) {
        self.bump = true;
    }

    /// Nothing is in flight. `left` says whether numbered batches wait to be sent again. Returns
    /// true when the numbers of those are void.
    pub(super) fn settle(&mut self, left: bool) -> bool {
        if !left && self.unresolved {
            self.bump |= self.acknowledged != self.next;
            self.unresolved = false;
        }
        if !self.bump {
            return false;
        }
        // Without an identity the producer asks the broker for a new id; idempotence stays on.
        let bumped = self.identity.filter(|identity| identity.epoch < LAST_EPOCH);
        let identity = bumped.map(|Identity { producer_id, epoch }| Identity {
            producer_id,
            epoch: epoch + 1,
        });
        *self = Self {
            identity,
            ..Self::default()
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(epoch: i16) -> Sequence {
        let mut sequence = Sequence::default();
        sequence.adopt(Identity {
            producer_id: 7,
            epoch,
        });
        sequence
    }

    #[test]
    fn numbers_follow_each_other_and_wrap() {
        let mut sequence = sequence(0);
        sequence.next = i32::MAX - 1;
        assert_eq!(sequence.assign(3).unwrap().base_sequence, i32::MAX - 1);
        assert_eq!(sequence.assign(1).unwrap().base_sequence, 1);
    }

    #[test]
    fn a_failed_batch_that_was_written_after_all_bumps_nothing() {
        let mut sequence = sequence(0);
        let first = sequence.assign(2).unwrap();
        let second = sequence.assign(2).unwrap();
        sequence.failed();
        assert!(sequence.is_unresolved());
        assert!(!sequence.settle(true));
        // The broker took the second, so it had the first.
        sequence.written(second, 2);
        assert!(!sequence.settle(false));
        assert_eq!(
            sequence.assign(1).unwrap().producer_epoch,
            first.producer_epoch
        );
    }

    #[test]
    fn a_gap_at_the_end_bumps_the_epoch_and_keeps_idempotence() {
        let mut sequence = sequence(0);
        sequence.assign(2).unwrap();
        sequence.failed();
        assert!(sequence.settle(false));
        let numbers = sequence.assign(1).unwrap();
        assert_eq!(
            numbers,
            ProducerIdentity {
                producer_id: 7,
                producer_epoch: 1,
                base_sequence: 0
            }
        );
    }

    #[test]
    fn a_refused_number_restarts_numbering_under_the_next_epoch() {
        let mut sequence = sequence(3);
        sequence.assign(5).unwrap();
        sequence.refused();
        assert!(sequence.settle(true));
        let numbers = sequence.assign(5).unwrap();
        assert_eq!((numbers.producer_epoch, numbers.base_sequence), (4, 0));
        assert!(!sequence.is_unresolved());
    }

    #[test]
    fn the_last_epoch_asks_for_a_new_id_rather_than_going_without() {
        let mut sequence = sequence(LAST_EPOCH);
        sequence.refused();
        assert!(sequence.settle(true));
        assert!(!sequence.has_identity());
        assert_eq!(sequence.assign(1), None);
    }

    #[test]
    fn an_answer_to_numbers_of_an_older_epoch_changes_nothing() {
        let mut sequence = sequence(0);
        let old = sequence.assign(4).unwrap();
        sequence.refused();
        sequence.settle(false);
        sequence.written(old, 4);
        assert_eq!(sequence.acknowledged, 0);
    }
}
