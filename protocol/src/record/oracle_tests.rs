//! Batches of another implementation read by ours, and ours read by it.

use bytes::{Bytes, BytesMut};
use kafka_protocol::records as theirs;
use proptest::prelude::*;

use super::tests::{Plain, build, codecs, one, plain};
use super::*;

fn their_codec(compression: Compression) -> theirs::Compression {
    match compression {
        Compression::None => theirs::Compression::None,
        Compression::Gzip => theirs::Compression::Gzip,
        Compression::Snappy => theirs::Compression::Snappy,
        Compression::Lz4 => theirs::Compression::Lz4,
        Compression::Zstd => theirs::Compression::Zstd,
    }
}

/// Their headers are a map: only the last of equal keys stays, in the place of the first.
fn their_record(index: usize, plain: &Plain) -> theirs::Record {
    theirs::Record {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 4,
        producer_id: 99,
        producer_epoch: 5,
        timestamp_type: theirs::TimestampType::Creation,
        offset: index as i64,
        sequence: i32::try_from(index).unwrap(),
        timestamp: plain.timestamp,
        key: plain.key.clone().map(Bytes::from),
        value: plain.value.clone().map(Bytes::from),
        headers: plain
            .headers
            .iter()
            .map(|header| (header.key.to_string().into(), header.value.clone()))
            .collect(),
    }
}

fn records() -> impl Strategy<Value = Vec<Plain>> {
    proptest::collection::vec(plain(0..1_i64 << 50), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_they_write_we_read(records in records()) {
        let sent: Vec<_> = records.iter().enumerate().map(|(i, r)| their_record(i, r)).collect();
        for compression in codecs() {
            let options = theirs::RecordEncodeOptions {
                version: 2,
                compression: their_codec(compression),
            };
            let mut bytes = BytesMut::new();
            theirs::RecordBatchEncoder::encode(&mut bytes, &sent, &options).unwrap();
            let bytes = bytes.freeze();
            let batch = one(&bytes);
            prop_assert_eq!(batch.verify_crc(), Ok(()));
            prop_assert_eq!(batch.header().partition_leader_epoch, 4);
            let found = batch.records(&Limits::default()).unwrap();
            for (found, sent) in found.zip(&sent) {
                let found = found.unwrap();
                prop_assert_eq!(found.offset, sent.offset);
                prop_assert_eq!(found.sequence, sent.sequence);
                prop_assert_eq!(found.timestamp, sent.timestamp);
                prop_assert_eq!(&found.key, &sent.key);
                prop_assert_eq!(&found.value, &sent.value);
                let headers: Vec<_> = found.headers().map(|h| (h.key.to_string(), h.value)).collect();
                let expected: Vec<_> = sent.headers.iter()
                    .map(|(key, value)| (key.to_string(), value.clone())).collect();
                prop_assert_eq!(headers, expected);
            }
            let rules = Rules { max_batch_size: 1 << 30, timestamp_after_max: None, ..Rules::default() };
            let validated = validate(&bytes, &rules, 0).unwrap();
            prop_assert_eq!(validated.max_timestamp, batch.header().max_timestamp);
        }
    }

    #[test]
    fn what_we_write_they_read(records in records()) {
        let expected: Vec<_> = records.iter().enumerate().map(|(i, r)| their_record(i, r)).collect();
        for compression in codecs() {
            let options = BatchOptions {
                compression,
                producer: ProducerIdentity { producer_id: 99, producer_epoch: 5, base_sequence: 0 },
                transactional: true,
                partition_leader_epoch: 4,
                ..BatchOptions::default()
            };
            let mut bytes = build(options, &records);
            let found = theirs::RecordBatchDecoder::decode(&mut bytes).unwrap();
            prop_assert_eq!(found.compression, their_codec(compression));
            prop_assert_eq!(&found.records, &expected);
        }
    }
}
