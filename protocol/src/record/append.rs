//! What the broker writes into the head of a batch that it appends.
//!
//! Pure. The records stay the bytes that the producer sent.

use super::batch::{BatchHeader, HEADER_LEN, TimestampType};

/// The fields of a batch that belong to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendHead {
    /// Offset given to the first record.
    pub base_offset: i64,
    /// Epoch of the leader that appends.
    pub partition_leader_epoch: i32,
    /// Whose clock the timestamps of the batch are from.
    pub timestamp_type: TimestampType,
    /// Largest timestamp of the records or, with [`TimestampType::LogAppendTime`], the time of
    /// the append; in milliseconds.
    pub max_timestamp: i64,
}

impl BatchHeader {
    /// This head as it is written to the log.
    ///
    /// The CRC follows without reading the records, and only if a field under it changed. A batch
    /// that was damaged before stays visibly damaged.
    #[must_use]
    pub fn for_append(&self, append: &AppendHead) -> Self {
        self.reseal(Self {
            base_offset: append.base_offset,
            partition_leader_epoch: append.partition_leader_epoch,
            attributes: self.attributes.with_timestamp_type(append.timestamp_type),
            max_timestamp: append.max_timestamp,
            ..*self
        })
    }

    /// `next`, with the CRC it must have in front of the records that `self` is in front of.
    ///
    /// CRC-32C is linear: the change in the head's sum, shifted over the records, is the change in
    /// the batch's sum. `batch_length` and `crc` of `next` are ignored.
    #[must_use]
    pub fn reseal(&self, next: Self) -> Self {
        let change = self.compute_crc(&[]) ^ next.compute_crc(&[]);
        let crc = if change == 0 {
            self.crc
        } else {
            let records = self.size().saturating_sub(HEADER_LEN);
            self.crc ^ crc32c::crc32c_combine(change, 0, records)
        };
        Self {
            batch_length: self.batch_length,
            crc,
            ..next
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Attributes;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_resealed_head_has_the_crc_of_its_bytes(
            records in proptest::collection::vec(any::<u8>(), 0..2_000),
            max_timestamp: i64, base_sequence: i32, log_append: bool,
        ) {
            let mut header = BatchHeader {
                base_offset: 0,
                batch_length: i32::try_from(records.len()).unwrap() + 49,
                partition_leader_epoch: -1,
                crc: 0,
                attributes: Attributes::default(),
                last_offset_delta: 0,
                base_timestamp: 5,
                max_timestamp: 5,
                producer_id: -1,
                producer_epoch: -1,
                base_sequence,
                record_count: 1,
            };
            header.crc = header.compute_crc(&records);
            let timestamp_type = if log_append {
                TimestampType::LogAppendTime
            } else {
                TimestampType::CreateTime
            };
            let append = AppendHead {
                base_offset: 77, partition_leader_epoch: 3, timestamp_type, max_timestamp,
            };
            let next = header.for_append(&append);
            prop_assert_eq!(next.crc, next.compute_crc(&records));
            prop_assert_eq!(next.base_offset, 77);
            prop_assert_eq!(next.attributes.timestamp_type(), timestamp_type);
        }
    }
}
