use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::error::{DecodeError, EncodeError};

const CLASSIC: Version = Version {
    number: 0,
    flexible: false,
    nullable: true,
};
const COMPACT: Version = Version {
    number: 0,
    flexible: true,
    nullable: true,
};

fn written(fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    fill(&mut writer);
    let len = writer.len();
    let bytes = writer.finish().unwrap().concat();
    assert_eq!(bytes.len(), len);
    bytes
}

fn reader(bytes: &[u8]) -> Reader {
    Reader::new(Bytes::copy_from_slice(bytes))
}

fn decode<T: Wire>(bytes: &[u8], version: Version) -> Result<T, DecodeError> {
    T::decode(&mut reader(bytes), version)
}

proptest! {
    #[test]
    fn variable_length_integers_survive_a_round_trip(
        unsigned: u32,
        shift in 0..64_u32,
        int: i32,
        long: i64,
    ) {
        let (int, long) = (int >> (shift / 2), long >> shift);
        let bytes = written(|writer| {
            writer.put_unsigned_varint(unsigned);
            writer.put_varint(int);
            writer.put_varlong(long);
        });
        let mut reader = reader(&bytes);
        prop_assert_eq!(reader.unsigned_varint(), Ok(unsigned));
        prop_assert_eq!(reader.varint(), Ok(int));
        prop_assert_eq!(reader.varlong(), Ok(long));
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn whatever_varint_is_accepted_is_the_one_that_is_written(
        bytes in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut reader = reader(&bytes);
        if let Ok(value) = reader.varlong() {
            let taken = bytes.len() - reader.remaining();
            prop_assert_eq!(&written(|writer| writer.put_varlong(value)), &bytes[..taken]);
        }
    }

    #[test]
    fn fixed_types_survive_a_round_trip(short: u16, int: u32, double in any::<f64>()) {
        let bytes = written(|writer| {
            short.encode(writer, CLASSIC);
            int.encode(writer, CLASSIC);
            double.encode(writer, CLASSIC);
        });
        let mut reader = reader(&bytes);
        prop_assert_eq!(u16::decode(&mut reader, CLASSIC), Ok(short));
        prop_assert_eq!(u32::decode(&mut reader, CLASSIC), Ok(int));
        let read = f64::decode(&mut reader, CLASSIC).unwrap();
        prop_assert_eq!(read.to_bits(), double.to_bits());
    }

    #[test]
    fn the_size_counted_is_the_size_written(
        strings in proptest::collection::vec(".{0,20}", 0..5),
        flexible: bool,
    ) {
        let version = Version::new(0, flexible);
        let strings: Vec<StrBytes> = strings.into_iter().map(StrBytes::from).collect();
        let bytes = written(|writer| strings.encode(writer, version));
        prop_assert_eq!(strings.encoded_size(version), bytes.len());
        prop_assert_eq!(decode::<Vec<StrBytes>>(&bytes, version), Ok(strings));
    }
}

#[test]
fn known_varints_have_their_known_bytes() {
    assert_eq!(
        written(|writer| writer.put_unsigned_varint(300)),
        [0xac, 0x02]
    );
    assert_eq!(written(|writer| writer.put_varint(-1)), [0x01]);
    assert_eq!(
        written(|writer| writer.put_varint(i32::MIN)),
        [0xff, 0xff, 0xff, 0xff, 0x0f]
    );
    let longest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(written(|writer| writer.put_varlong(i64::MIN)), longest);
    assert_eq!(reader(&longest).varlong(), Ok(i64::MIN));
}

#[test]
fn overlong_and_too_large_varints_are_refused() {
    let refused: [&[u8]; 5] = [
        &[0x80, 0x00],
        &[0xff, 0x80, 0x00],
        &[0xff, 0xff, 0xff, 0xff, 0x1f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
    ];
    for bytes in refused {
        assert_eq!(
            reader(bytes).unsigned_varint(),
            Err(DecodeError::Varint),
            "{bytes:?}"
        );
    }
    let bytes = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
    assert_eq!(reader(&bytes).varlong(), Err(DecodeError::Varint));
    assert!(matches!(
        reader(&[0x80]).unsigned_varint(),
        Err(DecodeError::Truncated { .. })
    ));
}

#[test]
fn null_is_refused_where_there_is_none() {
    let nulls: [(&[u8], Version); 2] = [(&[0xff; 4], CLASSIC), (&[0], COMPACT)];
    for (bytes, version) in nulls {
        assert_eq!(
            decode::<StrBytes>(bytes, version),
            Err(DecodeError::UnexpectedNull)
        );
        assert_eq!(
            decode::<Bytes>(bytes, version),
            Err(DecodeError::UnexpectedNull)
        );
        assert_eq!(
            decode::<Vec<i8>>(bytes, version),
            Err(DecodeError::UnexpectedNull)
        );
        assert_eq!(decode::<Option<Bytes>>(bytes, version), Ok(None));
        let never = version.with_nullable(false);
        assert_eq!(
            decode::<Option<Bytes>>(bytes, never),
            Err(DecodeError::UnexpectedNull)
        );
    }
}

#[test]
fn null_is_written_as_empty_where_there_is_none() {
    let none: Option<StrBytes> = None;
    assert_eq!(written(|writer| none.encode(writer, CLASSIC)), [0xff, 0xff]);
    assert_eq!(
        written(|writer| none.encode(writer, CLASSIC.with_nullable(false))),
        [0, 0]
    );
    assert_eq!(written(|writer| none.encode(writer, COMPACT)), [0]);
    assert_eq!(
        written(|writer| none.encode(writer, COMPACT.with_nullable(false))),
        [1]
    );
}

#[test]
fn negative_lengths_other_than_null_are_refused() {
    let bytes = [0xff, 0xff, 0xff, 0xfe];
    assert_eq!(
        decode::<Option<Bytes>>(&bytes, CLASSIC),
        Err(DecodeError::NegativeLength(-2))
    );
    let bytes = [0xff, 0xfe];
    assert_eq!(
        decode::<Option<StrBytes>>(&bytes, CLASSIC),
        Err(DecodeError::NegativeLength(-2))
    );
}

#[test]
fn what_is_not_utf_8_is_read_with_replacements() {
    let read = decode::<StrBytes>(&[0, 3, b'a', 0xff, b'b'], CLASSIC);
    assert_eq!(read.as_deref(), Ok("a\u{fffd}b"));
}

#[test]
fn replacements_that_could_not_be_written_are_refused() {
    let string = |length: u16| {
        let bytes = [&length.to_be_bytes()[..], &vec![0xff; length.into()]].concat();
        decode::<StrBytes>(&bytes, CLASSIC)
    };
    assert!(string(10_922).is_ok());
    assert_eq!(string(10_923), Err(DecodeError::Utf8));
}

#[test]
fn a_count_that_cannot_fit_fails_before_anything_is_allocated() {
    let bytes = [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
    let expected = DecodeError::Count {
        count: 0x7fff_ffff,
        possible: 1,
    };
    assert_eq!(decode::<Vec<i64>>(&bytes, CLASSIC), Err(expected));
}

#[test]
fn many_small_elements_exceed_the_budget() {
    let count = 20_000_u16;
    let mut bytes = u32::from(count).to_be_bytes().to_vec();
    bytes.resize(4 + 2 * usize::from(count), 0);
    assert!(size_of::<StrBytes>() >= 2 * 8 + 8);
    assert!(matches!(
        decode::<Vec<StrBytes>>(&bytes, CLASSIC),
        Err(DecodeError::Budget(_))
    ));
}

#[test]
fn unknown_tags_are_skipped_and_known_ones_read_to_their_end() {
    let read = |bytes: &[u8]| {
        let mut reader = reader(bytes);
        let mut seen = None;
        reader.tags(|reader, tag| {
            if tag == 5 {
                seen = Some(i16::decode(reader, COMPACT)?);
            } else {
                reader.skip();
            }
            Ok(())
        })?;
        reader.finish()?;
        Ok(seen)
    };
    assert_eq!(read(&[0]), Ok(None));
    assert_eq!(read(&[3, 1, 1, 9, 5, 2, 0, 7, 8, 0]), Ok(Some(7)));
    assert_eq!(
        read(&[1, 5, 3, 0, 7, 0]),
        Err(DecodeError::TrailingBytes(1))
    );
    assert_eq!(
        read(&[2, 5, 2, 0, 7, 5, 2, 0, 7]),
        Err(DecodeError::TagOrder(5))
    );
    assert_eq!(read(&[2, 5, 2, 0, 7, 4, 0]), Err(DecodeError::TagOrder(4)));
    let truncated = DecodeError::Truncated {
        needed: 2,
        remaining: 1,
    };
    assert_eq!(read(&[1, 5, 1, 0, 7]), Err(truncated));
    let truncated = DecodeError::Truncated {
        needed: 100,
        remaining: 1,
    };
    assert_eq!(read(&[1, 5, 100, 0]), Err(truncated));
}

#[test]
fn a_string_too_long_for_its_length_is_an_error_and_not_a_broken_frame() {
    let long = StrBytes::from("x".repeat(40_000));
    let mut writer = Writer::new();
    long.encode(&mut writer, CLASSIC);
    assert_eq!(writer.finish(), Err(EncodeError::TooLong(40_000)));
    let bytes = written(|writer| long.encode(writer, COMPACT));
    assert_eq!(decode::<StrBytes>(&bytes, COMPACT), Ok(long));
}

#[test]
fn long_byte_fields_become_chunks_of_their_own_in_order() {
    let long = Bytes::from(vec![1; 4096]);
    let short = Bytes::from(vec![2; 10]);
    let frame = Frame::build(|writer| {
        for bytes in [&long, &long, &short, &long] {
            writer.put_shared(bytes);
        }
        writer.put(&[3]);
    })
    .unwrap();
    let lengths: Vec<_> = frame.chunks().iter().map(Bytes::len).collect();
    assert_eq!(lengths, [4, 4096, 4096, 10, 4096, 1]);
    assert_eq!(frame.chunks()[1].as_ptr(), long.as_ptr());
    assert_eq!(frame.len(), 4 + 3 * 4096 + 11);
    assert_eq!(frame.into_bytes()[..4], (3 * 4096 + 11_i32).to_be_bytes());
}
