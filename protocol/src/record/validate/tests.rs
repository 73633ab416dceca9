//! One test per rule: a batch that breaks only this rule, and the error it gets.

use super::super::tests::{Plain, build, codecs};
use super::*;
use crate::record::{Attributes, BatchOptions, ProducerIdentity};

const NOW: i64 = 1_700_000_000_000;

fn records() -> Vec<Plain> {
    vec![
        Plain::new(NOW - 5, "a", "1"),
        Plain::new(NOW + 7, "b", "2"),
        Plain::new(NOW + 7, "c", "3"),
    ]
}

fn good() -> Bytes {
    build(BatchOptions::default(), &records())
}

/// A good batch with a changed head and the checksum that goes with it.
fn with_head(change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let bytes = good();
    let mut header = BatchHeader::decode(&bytes).unwrap();
    change(&mut header);
    header.crc = header.compute_crc(&bytes[HEADER_LEN..]);
    Bytes::from([&header.encode()[..], &bytes[HEADER_LEN..]].concat())
}

/// A good batch with other bytes for records and the checksum that goes with it.
fn with_body(change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let bytes = good();
    let mut body = bytes[HEADER_LEN..].to_vec();
    change(&mut body);
    let mut header = BatchHeader::decode(&bytes).unwrap();
    header.batch_length = i32::try_from(body.len() + 49).unwrap();
    header.crc = header.compute_crc(&body);
    Bytes::from([&header.encode()[..], &body].concat())
}

fn refusal(bytes: &Bytes, rules: &Rules) -> RejectReason {
    validate(bytes, rules, NOW).unwrap_err().reason
}

fn refused(bytes: &Bytes) -> RejectReason {
    refusal(bytes, &Rules::default())
}

#[test]
fn a_good_batch_of_any_codec_is_accepted_as_it_is() {
    for compression in codecs() {
        let options = BatchOptions {
            compression,
            ..BatchOptions::default()
        };
        let bytes = build(options, &records());
        let validated = validate(&bytes, &Rules::default(), NOW).unwrap();
        assert_eq!(validated.batch.bytes(), &bytes);
        assert_eq!(validated.max_timestamp, NOW + 7);
        assert_eq!(validated.offset_delta_of_max_timestamp, Some(1));
        assert!(!validated.has_null_key);
        assert_eq!(validated.decompressed_size, good().len() - HEADER_LEN);
    }
}

#[test]
fn the_head_for_the_log_has_the_brokers_fields_and_the_true_maximum() {
    let lying = with_head(|header| header.max_timestamp = 3);
    let validated = validate(&lying, &Rules::default(), NOW).unwrap();
    let head = validated.head(500, 8);
    assert_eq!((head.base_offset, head.partition_leader_epoch), (500, 8));
    assert_eq!(head.max_timestamp, NOW + 7);
    assert_eq!(head.crc, head.compute_crc(&validated.batch.body()));
    let honest = validate(&good(), &Rules::default(), NOW).unwrap();
    assert_eq!(honest.head(500, 8).crc, honest.batch.header().crc);
}

#[test]
fn log_append_time_is_set_for_the_batch_and_any_timestamp_accepted() {
    let bytes = build(BatchOptions::default(), &vec![Plain::new(5, "a", "1"); 2]);
    let rules = Rules {
        timestamp_type: TimestampType::LogAppendTime,
        timestamp_before_max: Some(Duration::ZERO),
        ..Rules::default()
    };
    let validated = validate(&bytes, &rules, NOW).unwrap();
    assert_eq!(validated.offset_delta_of_max_timestamp, Some(1));
    let head = validated.head(0, 0);
    assert_eq!(head.max_timestamp, NOW);
    let timestamp_type = head.attributes.timestamp_type();
    assert_eq!(timestamp_type, TimestampType::LogAppendTime);
    assert_eq!(head.crc, head.compute_crc(&validated.batch.body()));
}

#[test]
fn kafkajs_batches_without_a_producer_id_are_not_idempotent() {
    let bytes = with_head(|header| {
        header.producer_epoch = 0;
        header.base_sequence = 0;
        header.partition_leader_epoch = 0;
    });
    assert!(validate(&bytes, &Rules::default(), NOW).is_ok());
}

#[test]
fn anything_but_one_whole_batch_is_an_invalid_record() {
    let two = Bytes::from([&good()[..], &good()].concat());
    let longer = Bytes::from([&good()[..], b"?"].concat());
    let shorter = good().slice(..good().len() - 1);
    for bytes in [Bytes::new(), two, longer, shorter] {
        assert_eq!(refused(&bytes), RejectReason::InvalidRecord);
    }
}

#[test]
fn old_formats_are_invalid_and_unknown_ones_corrupt() {
    for (magic, reason) in [
        (0, RejectReason::InvalidRecord),
        (1, RejectReason::InvalidRecord),
        (3, RejectReason::CorruptMessage),
        (0xff, RejectReason::CorruptMessage),
    ] {
        let mut bytes = good().to_vec();
        bytes[16] = magic;
        assert_eq!(refused(&bytes.into()), reason);
    }
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_needs_a_new_enough_request() {
    let bytes = with_head(|header| {
        header.attributes = Attributes::default().with_compression(Compression::Zstd);
    });
    let rules = |produce_version| Rules {
        produce_version,
        ..Rules::default()
    };
    let reason = refusal(&bytes, &rules(6));
    assert_eq!(reason, RejectReason::UnsupportedCompressionType);
    assert_ne!(refusal(&bytes, &rules(7)), reason);
}

#[test]
fn unknown_codecs_are_unsupported() {
    let bytes = with_head(|header| header.attributes = Attributes(7));
    assert_eq!(refused(&bytes), RejectReason::UnsupportedCompressionType);
}

#[test]
fn the_base_offset_must_be_zero() {
    let bytes = with_head(|header| header.base_offset = 1);
    assert_eq!(refused(&bytes), RejectReason::InvalidRecord);
}

#[test]
fn a_batch_of_just_the_limit_is_accepted_and_one_byte_more_too_large() {
    let rules = |max_batch_size| Rules {
        max_batch_size,
        ..Rules::default()
    };
    let size = good().len();
    assert!(validate(&good(), &rules(size), NOW).is_ok());
    let reason = refusal(&good(), &rules(size - 1));
    assert_eq!(reason, RejectReason::MessageTooLarge);
}

#[test]
fn a_wrong_checksum_or_length_is_corrupt() {
    let mut flipped = good().to_vec();
    flipped[70] ^= 1;
    assert_eq!(refused(&flipped.into()), RejectReason::CorruptMessage);
    let mut short = good().to_vec();
    short[8..12].copy_from_slice(&48_i32.to_be_bytes());
    assert_eq!(refused(&short.into()), RejectReason::CorruptMessage);
}

#[test]
fn heads_that_no_client_may_send_are_invalid_records() {
    type Change = fn(&mut BatchHeader);
    let changes: [(&str, Change); 12] = [
        ("count 0", |h| h.record_count = 0),
        ("no records", |h| {
            h.record_count = 0;
            h.last_offset_delta = -1;
        }),
        ("count below offsets", |h| h.record_count = 2),
        ("count above offsets", |h| h.record_count = 4),
        ("negative count", |h| h.record_count = -1),
        ("smallest offset delta", |h| h.last_offset_delta = i32::MIN),
        ("count beyond the bytes", |h| {
            h.record_count = i32::MAX;
            h.last_offset_delta = i32::MAX - 1;
        }),
        ("control", |h| h.attributes = Attributes(0x20)),
        ("delete horizon", |h| h.attributes = Attributes(0x40)),
        ("no epoch", |h| {
            h.producer_id = 1;
            h.base_sequence = 0;
        }),
        ("no sequence", |h| {
            h.producer_id = 1;
            h.producer_epoch = 0;
        }),
        ("transaction of nobody", |h| h.attributes = Attributes(0x10)),
    ];
    for (name, change) in changes {
        assert_eq!(
            refused(&with_head(change)),
            RejectReason::InvalidRecord,
            "{name}"
        );
    }
}

#[test]
fn an_idempotent_and_a_transactional_batch_are_accepted() {
    for transactional in [false, true] {
        let options = BatchOptions {
            producer: ProducerIdentity {
                producer_id: 0,
                producer_epoch: 0,
                base_sequence: i32::MAX,
            },
            transactional,
            ..BatchOptions::default()
        };
        assert!(validate(&build(options, &records()), &Rules::default(), NOW).is_ok());
    }
}

#[test]
fn producers_must_not_set_log_append_time() {
    let bytes = with_head(|header| header.attributes = Attributes(0x08));
    assert_eq!(refused(&bytes), RejectReason::InvalidTimestamp);
}

#[test]
fn records_that_do_not_add_up_are_invalid() {
    type Change = fn(&mut Vec<u8>);
    // The first record: length 9 bytes (0x12), attributes, timestamp, offset, key, value, headers.
    let changes: [(&str, Change); 9] = [
        ("trailing byte", |body| body.push(0)),
        ("missing byte", |body| {
            body.pop();
        }),
        ("longer record", |body| body[0] += 2),
        ("shorter record", |body| body[0] -= 2),
        ("negative record", |body| body[0] = 1),
        ("offset 1 first", |body| body[3] = 2),
        ("key length -2", |body| body[4] = 3),
        ("value beyond the record", |body| body[6] = 0x7e),
        ("header count without headers", |body| body[8] = 2),
    ];
    for (name, change) in changes {
        let bytes = with_body(change);
        assert_eq!(refused(&bytes), RejectReason::InvalidRecord, "{name}");
    }
}

#[test]
fn a_header_without_a_key_is_invalid() {
    let mut record = Plain::new(NOW, "a", "1");
    record.headers = vec![crate::record::Header::new("", "")];
    let bytes = build(BatchOptions::default(), &[record]);
    assert!(validate(&bytes, &Rules::default(), NOW).is_ok());
    let mut bytes = bytes.to_vec();
    // Header key and value lengths are the last two bytes.
    let at = bytes.len() - 2;
    bytes[at] = 1;
    let mut header = BatchHeader::decode(&bytes).unwrap();
    header.crc = header.compute_crc(&bytes[HEADER_LEN..]);
    bytes[..HEADER_LEN].copy_from_slice(&header.encode());
    assert_eq!(refused(&bytes.into()), RejectReason::InvalidRecord);
}

#[test]
fn a_compacted_topic_names_the_records_without_a_key() {
    let mut records = records();
    records[1].key = None;
    let bytes = build(BatchOptions::default(), &records);
    assert!(
        validate(&bytes, &Rules::default(), NOW)
            .unwrap()
            .has_null_key
    );
    let rules = Rules {
        compacted: true,
        ..Rules::default()
    };
    let rejection = validate(&bytes, &rules, NOW).unwrap_err();
    assert_eq!(rejection.reason, RejectReason::InvalidRecord);
    let indexes: Vec<_> = rejection
        .records
        .iter()
        .map(|record| record.index)
        .collect();
    assert_eq!(indexes, [1]);
}

#[test]
fn timestamps_out_of_range_are_named_and_their_error_wins() {
    let hour = Duration::from_secs(3600);
    let rules = Rules {
        compacted: true,
        timestamp_before_max: Some(hour),
        timestamp_after_max: Some(hour),
        ..Rules::default()
    };
    let mut records: Vec<_> = [0, 3_600_000, 3_600_001, -3_600_000, -3_600_001, -NOW - 1]
        .map(|distance| Plain::new(NOW + distance, "k", "v"))
        .into();
    records[0].key = None;
    records.push(Plain::new(i64::MIN, "k", "v"));
    let bytes = build(BatchOptions::default(), &records);
    let rejection = validate(&bytes, &rules, NOW).unwrap_err();
    assert_eq!(rejection.reason, RejectReason::InvalidTimestamp);
    let indexes: Vec<_> = rejection
        .records
        .iter()
        .map(|record| record.index)
        .collect();
    assert_eq!(indexes, [0, 2, 4, 6]);
}

#[test]
fn records_without_timestamps_have_no_maximum() {
    let bytes = build(BatchOptions::default(), &vec![Plain::new(-1, "a", "1"); 2]);
    let validated = validate(&bytes, &Rules::default(), NOW).unwrap();
    assert_eq!(validated.max_timestamp, -1);
    assert_eq!(validated.offset_delta_of_max_timestamp, None);
}

#[test]
fn only_so_many_records_are_named() {
    let mut record = Plain::new(NOW, "a", "1");
    record.key = None;
    let bytes = build(BatchOptions::default(), &vec![record; 1_000]);
    let rules = Rules {
        compacted: true,
        ..Rules::default()
    };
    let rejection = validate(&bytes, &rules, NOW).unwrap_err();
    assert_eq!(rejection.records.len(), MAX_RECORD_ERRORS);
    assert!(rejection.message.contains("1000"));
}

#[test]
fn a_bomb_is_too_large_and_damaged_compression_invalid() {
    for compression in codecs() {
        if compression == Compression::None {
            continue;
        }
        let options = BatchOptions {
            compression,
            ..BatchOptions::default()
        };
        let record = Plain::new(NOW, "a", &"0".repeat(100_000));
        let bytes = build(options, &[record]);
        let rules = Rules {
            limits: Limits {
                max_decompressed: 50_000,
                ..Limits::default()
            },
            ..Rules::default()
        };
        assert_eq!(refusal(&bytes, &rules), RejectReason::MessageTooLarge);
        let rubbish = with_head(|header| {
            header.attributes = Attributes::default().with_compression(compression);
        });
        assert_eq!(refused(&rubbish), RejectReason::InvalidRecord);
    }
}

#[cfg(feature = "zstd")]
#[test]
fn a_record_of_a_few_megabytes_is_accepted_however_well_it_compresses() {
    let options = BatchOptions {
        compression: Compression::Zstd,
        ..BatchOptions::default()
    };
    let record = |size| Plain::new(NOW, "a", &"0".repeat(size));
    let bytes = build(options, &[record(6 << 20)]);
    assert!(bytes.len() < 10_000);
    assert!(validate(&bytes, &Rules::default(), NOW).is_ok());
    let bytes = build(options, &[record(9 << 20)]);
    let rejection = validate(&bytes, &Rules::default(), NOW).unwrap_err();
    assert_eq!(rejection.reason, RejectReason::MessageTooLarge);
    assert!(rejection.message.contains("100 times that"), "{rejection}");
}

#[cfg(feature = "lz4")]
#[test]
fn linked_lz4_blocks_are_refused() {
    use std::io::Write as _;

    use lz4_flex::frame::{BlockMode, FrameEncoder, FrameInfo};

    let plain = good();
    let batch = |info: FrameInfo| {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&plain[HEADER_LEN..]).unwrap();
        let body = encoder.finish().unwrap();
        let mut header = BatchHeader::decode(&plain).unwrap();
        header.attributes = Attributes::default().with_compression(Compression::Lz4);
        header.batch_length = i32::try_from(body.len() + 49).unwrap();
        header.crc = header.compute_crc(&body);
        Bytes::from([&header.encode()[..], &body].concat())
    };
    let linked = batch(FrameInfo::new().block_mode(BlockMode::Linked));
    let rejection = validate(&linked, &Rules::default(), NOW).unwrap_err();
    assert_eq!(rejection.reason, RejectReason::InvalidRecord);
    assert!(
        rejection.message.contains("linked lz4 blocks"),
        "{rejection}"
    );
    let independent = batch(FrameInfo::new().block_mode(BlockMode::Independent));
    assert!(validate(&independent, &Rules::default(), NOW).is_ok());
}

#[test]
fn reasons_have_kafkas_numbers() {
    let codes = [
        RejectReason::CorruptMessage,
        RejectReason::MessageTooLarge,
        RejectReason::InvalidTimestamp,
        RejectReason::UnsupportedCompressionType,
        RejectReason::InvalidRecord,
    ]
    .map(RejectReason::code);
    assert_eq!(codes, [2, 10, 32, 76, 87]);
}
