//! Builder against view, and views of damaged bytes.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;

/// A record before it is in a batch.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::record) struct Plain {
    pub(super) timestamp: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<Header>,
}

impl Plain {
    pub(in crate::record) fn new(timestamp: i64, key: &str, value: &str) -> Self {
        Self {
            timestamp,
            key: Some(key.into()),
            value: Some(value.into()),
            headers: Vec::new(),
        }
    }

    fn of(record: &Record) -> Self {
        Self {
            timestamp: record.timestamp,
            key: record.key.as_deref().map(<[u8]>::to_vec),
            value: record.value.as_deref().map(<[u8]>::to_vec),
            headers: record.headers().collect(),
        }
    }
}

/// The codecs of this build.
pub(in crate::record) fn codecs() -> Vec<Compression> {
    (0..=4)
        .filter_map(Compression::from_bits)
        .filter(|&codec| Compressor::new(codec, None).is_ok())
        .collect()
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        (any::<u8>(), 0..3_000_usize).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn header() -> impl Strategy<Value = Header> {
    ("\\PC{0,12}", proptest::option::of(bytes())).prop_map(|(key, value)| Header {
        key: key.into(),
        value: value.map(Bytes::from),
    })
}

pub(in crate::record) fn plain(
    timestamps: impl Strategy<Value = i64>,
) -> impl Strategy<Value = Plain> {
    (
        timestamps,
        proptest::option::of(bytes()),
        proptest::option::of(bytes()),
        proptest::collection::vec(header(), 0..4),
    )
        .prop_map(|(timestamp, key, value, headers)| Plain {
            timestamp,
            key,
            value,
            headers,
        })
}

pub(in crate::record) fn build(options: BatchOptions, records: &[Plain]) -> Bytes {
    let options = BatchOptions {
        max_size: 1 << 30,
        ..options
    };
    let mut builder = BatchBuilder::new(options).unwrap();
    for record in records {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder
            .append(record.timestamp, key, value, &record.headers)
            .unwrap();
    }
    builder.build().unwrap()
}

pub(in crate::record) fn one(bytes: &Bytes) -> RecordBatch {
    let (batch, rest) = RecordBatch::parse(bytes.clone()).unwrap();
    assert!(rest.is_empty());
    batch
}

pub(in crate::record) fn read(batch: &RecordBatch) -> Vec<Record> {
    let records = batch.records(&Limits::default()).unwrap();
    records.collect::<Result<_, _>>().unwrap()
}

fn with_codec(compression: Compression) -> BatchOptions {
    BatchOptions {
        compression,
        ..BatchOptions::default()
    }
}

fn few() -> Vec<Plain> {
    (0..20)
        .map(|n| Plain::new(1_000 + n, &format!("key {n}"), &"value ".repeat(20)))
        .collect()
}

proptest! {
    #[test]
    fn what_was_built_is_what_is_read(
        records in proptest::collection::vec(plain(any::<i64>()), 1..30),
        base_sequence in 0..=i32::MAX,
        base_offset in 0..1_i64 << 60,
    ) {
        let producer = ProducerIdentity { producer_id: 7, producer_epoch: 2, base_sequence };
        for compression in codecs() {
            let options = BatchOptions { producer, base_offset, ..with_codec(compression) };
            let batch = one(&build(options, &records));
            prop_assert_eq!(batch.verify_crc(), Ok(()));
            let max = records.iter().map(|record| record.timestamp).max();
            prop_assert_eq!(Some(batch.header().max_timestamp), max);
            let found = read(&batch);
            for (index, record) in found.iter().enumerate() {
                prop_assert_eq!(record.offset, base_offset + index as i64);
                let sequence = (i64::from(base_sequence) + index as i64) % (1 << 31);
                prop_assert_eq!(i64::from(record.sequence), sequence);
            }
            let found: Vec<_> = found.iter().map(Plain::of).collect();
            prop_assert_eq!(&found, &records);
            prop_assert_eq!(i32::try_from(found.len()), Ok(batch.header().record_count));
        }
    }

    #[test]
    fn random_bytes_never_panic(random in proptest::collection::vec(any::<u8>(), 0..400)) {
        drain(&Bytes::from(random.clone()));
        let mut framed = few_framed(random.len());
        framed.extend_from_slice(&random);
        drain(&framed.freeze());
    }

    #[test]
    fn flipped_bits_never_panic_and_never_pass_the_checksum(
        bit in 0..100_000_usize, more in proptest::option::of(0..100_000_usize),
    ) {
        for compression in codecs() {
            let mut bytes = build(with_codec(compression), &few()).to_vec();
            for bit in [Some(bit), more].into_iter().flatten() {
                let bit = bit % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            let bytes = Bytes::from(bytes);
            drain(&bytes);
            if more.is_none() && bit % (bytes.len() * 8) >= 21 * 8 {
                prop_assert_eq!(one(&bytes).verify_crc(), Err(HeaderError::Crc.into()));
            }
        }
    }
}

/// A head that makes `length` bytes of rubbish behind it look like two records.
fn few_framed(length: usize) -> BytesMut {
    let bare = BatchBuilder::new(BatchOptions::default())
        .unwrap()
        .build()
        .unwrap();
    let mut header = BatchHeader::decode(&bare).unwrap();
    header.batch_length += i32::try_from(length).unwrap();
    header.last_offset_delta = i32::MAX;
    header.record_count = 2;
    header.attributes = Attributes(i16::try_from(length % 5).unwrap());
    BytesMut::from(&header.encode()[..])
}

/// Reads everything there is to read, whatever it says.
fn drain(bytes: &Bytes) {
    let _ = validate(bytes, &Rules::default(), 0);
    for batch in Batches::new(bytes.clone()).flatten() {
        let Ok(records) = batch.records(&Limits::default()) else {
            continue;
        };
        for record in records.flatten() {
            let _ = record.headers().count();
            let _ = EndTransactionMarker::parse(&record);
        }
    }
}

#[test]
fn every_truncation_yields_the_whole_batches_before_it_and_nothing_else() {
    for compression in codecs() {
        let batch = build(with_codec(compression), &few());
        let all = [&batch[..], &batch[..], &batch[..]].concat();
        for end in 0..all.len() {
            let cut = Bytes::copy_from_slice(&all[..end]);
            let mut batches = Batches::new(cut);
            let found: Vec<_> = batches.by_ref().map(Result::unwrap).collect();
            assert_eq!(found.len(), end / batch.len());
            assert_eq!(batches.rest().len(), end % batch.len());
        }
    }
}

#[test]
fn a_truncated_body_under_an_honest_head_is_an_error() {
    for compression in codecs() {
        let whole = one(&build(with_codec(compression), &few()));
        for body in 0..whole.body().len() {
            let mut header = *whole.header();
            header.batch_length = i32::try_from(body + HEADER_LEN - 12).unwrap();
            let cut = [&header.encode()[..], &whole.body()[..body]].concat();
            let batch = one(&Bytes::from(cut));
            let failed = match batch.records(&Limits::default()) {
                Ok(mut records) => records.any(|record| record.is_err()),
                Err(_) => true,
            };
            // The last bytes of a gzip, lz4 or zstd stream may hold no record.
            assert!(
                failed || read(&batch) == read(&whole),
                "{compression} cut at {body}"
            );
        }
    }
}

#[test]
fn batches_end_at_the_first_one_that_makes_no_sense() {
    let good = build(BatchOptions::default(), &few());
    let mut bad = good.to_vec();
    bad[16] = 1;
    let all = Bytes::from([&good[..], &bad, &good].concat());
    let mut batches = Batches::new(all);
    assert!(batches.next().unwrap().is_ok());
    assert_eq!(
        batches.next().unwrap(),
        Err(RecordError::Header(HeaderError::Magic(1)))
    );
    assert_eq!(batches.next(), None);
}

#[test]
fn records_in_clear_share_the_memory_of_their_batch() {
    let bytes = build(BatchOptions::default(), &few());
    for record in read(&one(&bytes)) {
        let value = record.value.unwrap();
        assert!(bytes.as_ptr_range().contains(&value.as_ptr()));
    }
}

#[test]
fn under_log_append_time_all_records_have_the_time_of_the_batch() {
    let batch = one(&build(BatchOptions::default(), &few()));
    let header = batch.header().for_append(&AppendHead {
        base_offset: 5,
        partition_leader_epoch: 1,
        timestamp_type: TimestampType::LogAppendTime,
        max_timestamp: 9_999,
    });
    let batch = one(&Bytes::from([&header.encode()[..], &batch.body()].concat()));
    assert_eq!(batch.verify_crc(), Ok(()));
    assert!(read(&batch).iter().all(|record| record.timestamp == 9_999));
}

#[test]
fn a_batch_emptied_by_compaction_has_no_records_whatever_its_codec() {
    let mut header = *one(&build(BatchOptions::default(), &few())).header();
    header.batch_length = 49;
    header.record_count = 0;
    header.attributes = Attributes::default().with_compression(Compression::Zstd);
    let batch = one(&Bytes::copy_from_slice(&header.encode()));
    assert!(read(&batch).is_empty());
}

#[test]
fn gaps_that_compaction_left_keep_their_offsets() {
    let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
    builder.append_at(3, 10, None, None, &[]).unwrap();
    builder.append_at(9, 5, None, None, &[]).unwrap();
    assert_eq!(
        builder.append_at(9, 5, None, None, &[]),
        Err(AppendError::OffsetDelta(9))
    );
    let batch = one(&builder.build().unwrap());
    let offsets: Vec<_> = read(&batch).iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [3, 9]);
    assert_eq!(batch.header().last_offset(), 9);
}

#[test]
fn a_record_behind_the_last_offset_is_refused() {
    let mut bytes = build(BatchOptions::default(), &few()).to_vec();
    bytes[23..27].copy_from_slice(&3_i32.to_be_bytes());
    let batch = one(&Bytes::from(bytes));
    let last = batch.records(&Limits::default()).unwrap().last();
    assert_eq!(last, Some(Err(RecordError::OffsetDelta(4))));
}

#[test]
fn a_header_key_that_is_not_utf8_is_read_with_replacements() {
    let mut record = Plain::new(0, "", "");
    record.headers = vec![Header::new("ab", "x")];
    let mut bytes = build(BatchOptions::default(), &[record]).to_vec();
    let at = bytes.windows(2).position(|pair| pair == b"ab").unwrap();
    bytes[at] = 0xff;
    let records = read(&one(&Bytes::from(bytes)));
    let header = records[0].headers().next().unwrap();
    assert_eq!(header.key, "\u{fffd}b");
    assert_eq!(header.value.as_deref(), Some(&b"x"[..]));
}

#[test]
fn the_last_of_equal_headers_counts() {
    let mut record = Plain::new(0, "", "");
    record.headers = vec![
        Header::new("a", "1"),
        Header::new("a", "2"),
        Header {
            key: "null".into(),
            value: None,
        },
    ];
    let record = &read(&one(&build(BatchOptions::default(), &[record])))[0];
    assert_eq!(record.header("a"), Some(Some(Bytes::from("2"))));
    assert_eq!(record.header("null"), Some(None));
    assert_eq!(record.header("b"), None);
}

#[test]
fn only_the_first_record_may_exceed_the_size_of_a_batch() {
    let mut builder = BatchBuilder::new(BatchOptions {
        max_size: 200,
        ..BatchOptions::default()
    })
    .unwrap();
    assert_eq!(builder.append(0, None, Some(&[7; 500]), &[]), Ok(0));
    assert_eq!(builder.append(0, None, None, &[]), Err(AppendError::Full));
    let size = builder.size();
    assert_eq!(builder.build().unwrap().len(), size);
    assert!(builder.is_empty());
    while builder.append(0, None, Some(b"0123456789"), &[]).is_ok() {}
    let bytes = builder.build().unwrap();
    // Eight records of 17 bytes behind the head.
    assert_eq!(bytes.len(), HEADER_LEN + 8 * 17);
    assert_eq!(read(&one(&bytes)).len(), 8);
}

#[test]
fn a_builder_without_records_builds_a_bare_head() {
    for compression in codecs() {
        let batch = one(&build(with_codec(compression), &[]));
        assert_eq!(batch.verify_crc(), Ok(()));
        assert_eq!(batch.bytes().len(), HEADER_LEN);
        assert!(read(&batch).is_empty());
    }
}
