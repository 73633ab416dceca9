//! Codecs against hostile and foreign input.

use proptest::prelude::*;

use super::*;
use crate::record::tests::codecs;

fn compress(compression: Compression, input: &[u8]) -> Vec<u8> {
    let mut output = b"kept".to_vec();
    let mut compressor = Compressor::new(compression, None).unwrap();
    compressor.compress(input, &mut output).unwrap();
    assert_eq!(&output[..4], b"kept");
    output.split_off(4)
}

fn text() -> Vec<u8> {
    (0..20_000_u32)
        .flat_map(|n| (n / 7).to_le_bytes())
        .collect()
}

fn is_corrupt(result: &Result<Vec<u8>, CompressionError>) -> bool {
    matches!(result, Err(CompressionError::Corrupt { .. }))
}

#[test]
fn every_codec_survives_the_round_trip() {
    for codec in codecs() {
        for input in [&text()[..], b"", b"x", &[0; 65_536], &[1; 65_537]] {
            let packed = compress(codec, input);
            let limits = Limits::default();
            let unpacked = decompress(codec, &packed, &limits);
            if codec == Compression::None || !packed.is_empty() {
                assert_eq!(unpacked.as_deref(), Ok(input), "{codec}");
            }
        }
    }
}

#[test]
fn one_compressor_serves_many_batches() {
    for codec in codecs() {
        let mut compressor = Compressor::new(codec, None).unwrap();
        for length in [10, 70_000, 3] {
            let mut packed = Vec::new();
            compressor.compress(&text()[..length], &mut packed).unwrap();
            let unpacked = decompress(codec, &packed, &Limits::default());
            assert_eq!(unpacked.unwrap(), &text()[..length]);
        }
    }
}

#[test]
fn bombs_are_refused_before_they_have_grown() {
    let zeros = vec![0_u8; 48 << 20];
    for codec in codecs() {
        let bomb = compress(codec, &zeros);
        // The ratio stops what is far from the size limit, where the codec reaches it at all.
        let unpacked = decompress(codec, &bomb, &Limits::default());
        let allowance = Limits::default().allowance(bomb.len());
        match unpacked {
            Ok(bytes) => assert!(bytes.len() <= allowance, "{codec}"),
            Err(error) => assert_eq!(error, CompressionError::TooLarge { limit: allowance }),
        }
        let limits = Limits {
            max_decompressed: 1_000_000,
            ..Limits::default()
        };
        let unpacked = decompress(codec, &bomb, &limits);
        assert_eq!(
            unpacked,
            Err(CompressionError::TooLarge { limit: 1_000_000 })
        );
    }
}

#[test]
fn the_memory_of_a_refused_bomb_is_bounded_by_the_limit() {
    let limit = 100_000;
    let mut output = Output::new(Compression::None, limit);
    let refused = output.read(std::io::repeat(0));
    assert_eq!(refused, Err(CompressionError::TooLarge { limit }));
    assert!(
        output.bytes.capacity() <= 3 * limit,
        "{}",
        output.bytes.capacity()
    );
}

#[test]
fn output_of_just_the_limit_is_accepted() {
    for codec in codecs() {
        let packed = compress(codec, &text());
        let limits = |max_decompressed| Limits {
            max_decompressed,
            ..Limits::default()
        };
        let length = text().len();
        assert!(decompress(codec, &packed, &limits(length)).is_ok());
        let refused = decompress(codec, &packed, &limits(length - 1));
        assert_eq!(
            refused,
            Err(CompressionError::TooLarge { limit: length - 1 })
        );
    }
}

#[test]
fn a_batch_may_grow_a_hundredfold_once_it_is_large() {
    let limits = Limits::default();
    assert_eq!(limits.allowance(1), 8 << 20);
    assert_eq!(limits.allowance(200_000), 20_000_000);
    assert_eq!(limits.allowance(1 << 20), 64 << 20);
    assert_eq!(limits.allowance(usize::MAX), 64 << 20);
}

proptest! {
    #[test]
    fn damaged_streams_never_panic_nor_outgrow_their_limit(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end: prop::sample::Index,
        cut: bool,
    ) {
        let limits = Limits { max_decompressed: 100_000, ..Limits::default() };
        for codec in codecs() {
            let mut stream = compress(codec, &text());
            for (index, byte) in &flips {
                // Headers and block lengths are at the front; hit them more often.
                let reach = if byte % 2 == 0 { stream.len() } else { stream.len().min(64) };
                stream[index.index(reach)] ^= byte;
            }
            if cut {
                stream.truncate(end.index(stream.len()));
            }
            if let Ok(bytes) = decompress(codec, &stream, &limits) {
                prop_assert!(bytes.len() <= 100_000);
            }
        }
    }
}

#[test]
fn empty_input_is_no_stream() {
    for codec in codecs() {
        let unpacked = decompress(codec, b"", &Limits::default());
        assert_eq!(is_corrupt(&unpacked), codec != Compression::None, "{codec}");
    }
}

#[cfg(feature = "gzip")]
#[test]
fn gzip_members_in_a_row_are_one_stream() {
    let packed = [
        compress(Compression::Gzip, b"one "),
        compress(Compression::Gzip, b"two"),
    ]
    .concat();
    let unpacked = decompress(Compression::Gzip, &packed, &Limits::default());
    assert_eq!(unpacked.unwrap(), b"one two");
}

#[cfg(feature = "gzip")]
#[test]
fn gzip_levels_off_the_scale_are_clamped() {
    for level in [i32::MIN, 0, 5, i32::MAX] {
        let mut packed = Vec::new();
        let mut compressor = Compressor::new(Compression::Gzip, Some(level)).unwrap();
        compressor.compress(&text(), &mut packed).unwrap();
        let unpacked = decompress(Compression::Gzip, &packed, &Limits::default());
        assert_eq!(unpacked.unwrap(), text());
    }
}

#[cfg(feature = "snappy")]
mod snappy {
    use super::*;

    fn unpack(packed: &[u8]) -> Result<Vec<u8>, CompressionError> {
        decompress(Compression::Snappy, packed, &Limits::default())
    }

    #[test]
    fn raw_blocks_are_read() {
        let packed = snap::raw::Encoder::new().compress_vec(&text()).unwrap();
        assert_eq!(unpack(&packed).unwrap(), text());
    }

    #[test]
    fn xerial_streams_are_written_as_java_does_and_may_be_appended_to() {
        let packed = compress(Compression::Snappy, &text());
        assert_eq!(packed[..8], [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0]);
        assert_eq!(packed[8..16], [0, 0, 0, 1, 0, 0, 0, 1]);
        let twice = [&packed[..], &packed].concat();
        assert_eq!(unpack(&twice).unwrap(), [text(), text()].concat());
    }

    #[test]
    fn a_block_that_claims_what_it_cannot_hold_is_corrupt() {
        // Four gigabytes in six bytes, and twenty in one copy too few.
        assert!(is_corrupt(&unpack(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0])));
        let packed = compress(Compression::Snappy, b"hello");
        for end in 0..packed.len() {
            assert!(is_corrupt(&unpack(&packed[..end])) || end == 16, "{end}");
        }
        let negative = [&packed[..16], &[0xff; 4]].concat();
        assert!(is_corrupt(&unpack(&negative)));
    }
}

#[cfg(feature = "lz4")]
mod lz4 {
    use std::io::Write as _;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

    use super::*;

    fn unpack(packed: &[u8]) -> Result<Vec<u8>, CompressionError> {
        decompress(Compression::Lz4, packed, &Limits::default())
    }

    #[test]
    fn frames_have_the_kind_of_blocks_that_java_reads() {
        let packed = compress(Compression::Lz4, &text());
        assert_eq!(packed[..4], [0x04, 0x22, 0x4d, 0x18]);
        // Version 1, independent blocks, no checksums, no content size; blocks of 64 KiB.
        assert_eq!(packed[4..6], [0b0110_0000, 0x40]);
    }

    #[test]
    fn all_block_sizes_modes_and_checksums_are_read() {
        let sizes = [
            BlockSize::Max64KB,
            BlockSize::Max256KB,
            BlockSize::Max1MB,
            BlockSize::Max4MB,
        ];
        for (size, mode) in sizes
            .into_iter()
            .flat_map(|size| [BlockMode::Independent, BlockMode::Linked].map(|mode| (size, mode)))
        {
            let info = FrameInfo::new()
                .block_size(size)
                .block_mode(mode)
                .block_checksums(true)
                .content_checksum(true)
                .content_size(Some(text().len() as u64));
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(&text()).unwrap();
            assert_eq!(unpack(&encoder.finish().unwrap()).unwrap(), text());
        }
    }

    fn linked() -> Vec<u8> {
        let info = FrameInfo::new()
            .block_size(BlockSize::Max64KB)
            .block_mode(BlockMode::Linked);
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&text().repeat(4)).unwrap();
        encoder.finish().unwrap()
    }

    proptest! {
        #[test]
        fn damaged_linked_blocks_never_panic(
            flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut stream = linked();
            for (index, byte) in flips {
                // Behind the header, whose checksum would refuse it.
                let at = 7 + index.index(stream.len() - 7);
                stream[at] ^= byte;
            }
            let _ = unpack(&stream);
        }
    }

    #[test]
    fn a_frame_that_is_cut_short_is_corrupt() {
        let short = &text()[..200];
        let info = FrameInfo::new().content_checksum(true);
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(short).unwrap();
        let checked = encoder.finish().unwrap();
        for packed in [compress(Compression::Lz4, short), checked] {
            for end in 0..packed.len() {
                assert!(is_corrupt(&unpack(&packed[..end])), "{end}");
            }
        }
    }

    #[test]
    fn bytes_behind_the_frame_are_corrupt() {
        let packed = compress(Compression::Lz4, b"hello");
        assert!(is_corrupt(&unpack(&[&packed[..], b"?"].concat())));
        assert!(is_corrupt(&unpack(&[&packed[..], &packed].concat())));
    }
}

#[cfg(feature = "zstd")]
mod zstd {
    use std::io::Write as _;

    use super::*;

    fn unpack(packed: &[u8]) -> Result<Vec<u8>, CompressionError> {
        decompress(Compression::Zstd, packed, &Limits::default())
    }

    fn stream(window_log: u32) -> Vec<u8> {
        let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        encoder.write_all(&text()).unwrap();
        encoder.flush().unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn frames_without_a_content_size_are_read() {
        assert_eq!(unpack(&stream(20)).unwrap(), text());
    }

    #[test]
    fn windows_are_read_up_to_the_size_that_kafka_reads() {
        // Levels 20 to 22 of a stream have 25 to 27.
        assert_eq!(unpack(&stream(27)).unwrap(), text());
        assert!(is_corrupt(&unpack(&stream(28))));
    }

    #[test]
    fn a_large_window_takes_no_more_memory_than_the_content() {
        let packed = stream(27);
        let content = text().len();
        for limit in [content, content - 1] {
            let mut output = Output::new(Compression::Zstd, limit);
            let unpacked = super::super::zstd::decompress(&packed, &mut output);
            assert_eq!(unpacked.is_ok(), limit == content);
            assert!(output.bytes.capacity() <= 2 * content);
        }
    }

    #[test]
    fn frames_in_a_row_are_one_stream() {
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7];
        let sized = compress(Compression::Zstd, &text());
        let packed = [&stream(20)[..], &skipped, &sized, &stream(27)].concat();
        assert_eq!(unpack(&packed).unwrap(), text().repeat(3));
    }

    #[test]
    fn a_frame_that_is_cut_short_or_followed_by_rubbish_is_corrupt() {
        for packed in [stream(20), compress(Compression::Zstd, &text())] {
            for end in 0..packed.len() {
                assert!(is_corrupt(&unpack(&packed[..end])), "{end}");
            }
            assert!(is_corrupt(&unpack(&[&packed[..], b"?"].concat())));
        }
    }

    #[test]
    fn a_frame_that_claims_less_than_it_holds_is_corrupt() {
        let mut packed = compress(Compression::Zstd, &text());
        // A content size of four bytes follows the descriptor and the window.
        let size = u32::try_from(text().len()).unwrap().to_le_bytes();
        let at = packed.windows(4).position(|bytes| *bytes == size).unwrap();
        packed[at] -= 1;
        assert!(is_corrupt(&unpack(&packed)));
    }

    #[test]
    fn the_highest_level_stays_within_the_window() {
        let mut packed = Vec::new();
        let mut compressor = Compressor::new(Compression::Zstd, Some(22)).unwrap();
        compressor.compress(&text(), &mut packed).unwrap();
        assert_eq!(unpack(&packed).unwrap(), text());
    }
}

#[test]
fn a_codec_that_is_off_says_so() {
    for codec in (0..=4).filter_map(Compression::from_bits) {
        if !codecs().contains(&codec) {
            let unpacked = decompress(codec, b"x", &Limits::default());
            assert_eq!(unpacked, Err(CompressionError::NotBuiltIn(codec)));
        }
    }
}
