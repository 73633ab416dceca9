//! What a producer sent to one partition and what was acknowledged.

use ottla_protocol::ErrorCode;
use ottla_tests::wire::Connection;

const RECORD_BYTES: usize = 64 << 10;

/// See the module.
pub(crate) struct Ledger {
    topic: &'static str,
    sent: usize,
    /// Numbers of the acknowledged records, by offset.
    acknowledged: Vec<(i64, usize)>,
    /// What is below was deleted.
    start: i64,
}

impl Ledger {
    pub(crate) fn new(topic: &'static str) -> Self {
        Self {
            topic,
            sent: 0,
            acknowledged: Vec::new(),
            start: 0,
        }
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// All records below `start` were deleted.
    pub(crate) fn deleted(&mut self, start: i64) {
        self.start = start;
        self.acknowledged.retain(|(offset, _)| *offset >= start);
    }

    /// Sends the next record.
    pub(crate) fn produce(&mut self, connection: &mut Connection) -> Result<(), ErrorCode> {
        let number = self.sent;
        self.sent += 1;
        let offset = connection.produce(self.topic, 0, &value(number))?;
        self.acknowledged.push((offset, number));
        Ok(())
    }

    /// Fails unless every acknowledged record is at its offset, and nothing is there that was not sent.
    pub(crate) fn check(&self, connection: &mut Connection) {
        let read = connection.read_from(self.topic, 0, self.start);
        let read = read.expect("readable");
        for (offset, number) in &self.acknowledged {
            let at = usize::try_from(offset - self.start).expect("an offset");
            let found = read.get(at).unwrap_or_else(|| {
                panic!(
                    "record {number} was acknowledged at {offset}, the log ends at {}",
                    read.len()
                )
            });
            assert_eq!(number_of(found), *number, "at offset {offset}");
        }
        for found in &read {
            assert_eq!(*found, value(number_of(found)), "a record as it was sent");
        }
    }
}

fn value(number: usize) -> Vec<u8> {
    let mut value = number.to_be_bytes().to_vec();
    // What repeats could hide a record that is in another's place.
    value.extend((0..RECORD_BYTES).map(|at| (at.wrapping_mul(31) ^ number).to_le_bytes()[0]));
    value
}

fn number_of(value: &[u8]) -> usize {
    let head = value.first_chunk().expect("a number");
    usize::from_be_bytes(*head)
}
