//! What compaction leaves of a batch.
//!
//! Pure. First and last offset, producer, sequence and leader epoch stay, so that neither readers
//! nor producers notice that records are gone. Records that stay keep their bytes.

use bytes::{BufMut as _, Bytes};

use super::batch::{BatchHeader, Compression, HEADER_LEN, TimestampType};
use super::compression::Compressor;
use super::error::RecordError;
use super::record::Layout;
use super::varint;
use super::view::{RecordBatch, Records};

/// A record or batch without a timestamp.
const NO_TIMESTAMP: i64 = -1;

impl RecordBatch {
    /// This batch with those of its `records` for which `keep` says so, in their order; records
    /// that `keep` does not reach go. With a `delete_horizon`, in milliseconds, the time after
    /// which its tombstones or its marker may go (KIP-534); one that it has already stays.
    ///
    /// # Errors
    /// [`RecordError`] when `records` are not those of this batch, or cannot be compressed again.
    pub fn retaining(
        &self,
        records: &Records,
        keep: &[bool],
        delete_horizon: Option<i64>,
    ) -> Result<Bytes, RecordError> {
        let old = *self.header();
        let base_timestamp = delete_horizon.unwrap_or(old.base_timestamp);
        let kept = Kept::collect(&old, records.bytes(), keep, base_timestamp)?;
        let is_empty = kept.record_count == 0;
        let mut attributes = old.attributes;
        if is_empty {
            // The codecs of readers need not know how to decompress nothing.
            attributes = attributes
                .with_compression(Compression::None)
                .with_delete_horizon(false);
        } else if delete_horizon.is_some() {
            attributes = attributes.with_delete_horizon(true);
        }
        let mut batch = vec![0; HEADER_LEN];
        match attributes.compression()? {
            Compression::None => batch.put_slice(&kept.bytes),
            codec => Compressor::new(codec, None)?.compress(&kept.bytes, &mut batch)?,
        }
        let body = batch.get(HEADER_LEN..).unwrap_or_default();
        let length = batch.len().saturating_sub(BatchHeader::LENGTH_PREFIX);
        let mut header = BatchHeader {
            batch_length: i32::try_from(length).map_err(|_| RecordError::Size(length))?,
            attributes,
            base_timestamp: if is_empty {
                NO_TIMESTAMP
            } else {
                base_timestamp
            },
            max_timestamp: match attributes.timestamp_type() {
                TimestampType::CreateTime if !is_empty => kept.max_timestamp,
                _ => old.max_timestamp,
            },
            record_count: kept.record_count,
            ..old
        };
        header.crc = header.compute_crc(body);
        if let Some(head) = batch.first_chunk_mut::<HEADER_LEN>() {
            *head = header.encode();
        }
        Ok(Bytes::from(batch))
    }
}

/// Records that stay, in clear.
struct Kept {
    bytes: Vec<u8>,
    record_count: i32,
    max_timestamp: i64,
}

impl Kept {
    fn collect(
        old: &BatchHeader,
        records: &[u8],
        keep: &[bool],
        base_timestamp: i64,
    ) -> Result<Self, RecordError> {
        let mut kept = Self {
            bytes: Vec::new(),
            record_count: 0,
            max_timestamp: NO_TIMESTAMP,
        };
        let mut at = 0;
        for keep in keep {
            let layout = Layout::parse(records, at)?;
            let start = std::mem::replace(&mut at, layout.end);
            if !keep {
                continue;
            }
            let timestamp = layout.timestamp(old);
            kept.record_count += 1;
            kept.max_timestamp = kept.max_timestamp.max(timestamp);
            if base_timestamp == old.base_timestamp {
                kept.put(records, start..layout.end)?;
            } else {
                let delta = timestamp.wrapping_sub(base_timestamp);
                let rest = layout.rest..layout.end;
                let length = 1 + varint::size(delta) + rest.len();
                varint::write(i64::try_from(length).unwrap_or(i64::MAX), &mut kept.bytes);
                kept.put(records, layout.body..layout.body + 1)?;
                varint::write(delta, &mut kept.bytes);
                kept.put(records, rest)?;
            }
        }
        Ok(kept)
    }

    fn put(&mut self, records: &[u8], range: std::ops::Range<usize>) -> Result<(), RecordError> {
        let bytes = records.get(range).ok_or(RecordError::Truncated)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{BatchBuilder, BatchOptions, Header, Limits, ProducerIdentity, Record};

    fn batch(compression: Compression, timestamps: &[i64]) -> RecordBatch {
        let options = BatchOptions {
            compression,
            base_offset: 100,
            partition_leader_epoch: 3,
            transactional: true,
            producer: ProducerIdentity {
                producer_id: 7,
                producer_epoch: 1,
                base_sequence: 40,
            },
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::new(options).unwrap();
        for timestamp in timestamps {
            let key = timestamp.to_be_bytes();
            let headers = [Header::new("h", &b"v"[..])];
            builder
                .append(*timestamp, Some(&key), Some(b"value"), &headers)
                .unwrap();
        }
        RecordBatch::parse(builder.build().unwrap()).unwrap().0
    }

    fn records(batch: &RecordBatch) -> Vec<Record> {
        let records = batch.records(&Limits::default()).unwrap();
        records.map(Result::unwrap).collect()
    }

    fn retaining(batch: &RecordBatch, keep: &[bool], horizon: Option<i64>) -> RecordBatch {
        let records = batch.records(&Limits::default()).unwrap();
        let bytes = batch.retaining(&records, keep, horizon).unwrap();
        let (batch, rest) = RecordBatch::parse(bytes).unwrap();
        assert!(rest.is_empty());
        batch.verify_crc().unwrap();
        batch
    }

    proptest! {
        #[test]
        fn records_that_stay_are_as_they_were(
            all in proptest::collection::vec((0..1_000_000_i64, any::<bool>()), 1..20),
            codec in 0..5_u8,
            horizon in proptest::option::of(0..i64::MAX),
        ) {
            let (timestamps, keep): (Vec<i64>, Vec<bool>) = all.iter().copied().unzip();
            let old = batch(Compression::from_bits(codec).unwrap(), &timestamps);
            let new = retaining(&old, &keep, horizon);
            let expected: Vec<Record> = records(&old)
                .into_iter()
                .zip(&keep)
                .filter_map(|(record, keep)| keep.then_some(record))
                .collect();
            prop_assert_eq!(&records(&new), &expected);
            let newest = expected.iter().map(|record| record.timestamp).max();
            let header = new.header();
            prop_assert_eq!(header.max_timestamp, newest.unwrap_or(old.header().max_timestamp));
            prop_assert_eq!(header.delete_horizon(), horizon.filter(|_| !expected.is_empty()));
            prop_assert_eq!(header.next_offset(), old.header().next_offset());
            prop_assert_eq!(header.last_sequence(), old.header().last_sequence());
            prop_assert_eq!(header.base_offset, 100);
            prop_assert_eq!(header.partition_leader_epoch, 3);
            prop_assert!(header.attributes.is_transactional());
        }
    }

    #[test]
    fn a_horizon_survives_the_next_compaction() {
        let old = batch(Compression::Gzip, &[5, 6, 7]);
        let first = retaining(&old, &[true, true, false], Some(900));
        let second = retaining(&first, &[false, true], None);
        assert_eq!(second.header().delete_horizon(), Some(900));
        assert_eq!(records(&second)[0].timestamp, 6);
        assert_eq!(records(&second)[0].offset, 101);
    }

    #[test]
    fn what_is_not_reached_goes_and_an_empty_batch_is_a_bare_head() {
        let old = batch(Compression::Zstd, &[5, 6, 7]);
        assert_eq!(records(&retaining(&old, &[true], None)).len(), 1);
        let empty = retaining(&old, &[], Some(900));
        assert_eq!(empty.bytes().len(), HEADER_LEN);
        assert_eq!(records(&empty), []);
        assert_eq!(empty.header().delete_horizon(), None);
    }

    #[test]
    fn more_flags_than_records_are_refused() {
        let old = batch(Compression::None, &[5]);
        let records = old.records(&Limits::default()).unwrap();
        assert!(old.retaining(&records, &[true, true], None).is_err());
    }
}
