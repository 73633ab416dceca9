//! Snappy: raw blocks, as librdkafka and franz-go write them, and the xerial framing of Java and
//! sarama. Writes xerial, which every client reads.

use super::{CompressionError, Output};

/// What a xerial stream starts with; a stream that was appended to has it again.
const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";

/// The magic, the version of the writer and the oldest version that can read it.
const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// Bytes of input per block, Java's default.
const BLOCK: usize = 32 << 10;

/// A three-byte copy makes at most 64 bytes, and nothing in the format makes more per byte.
const MAX_RATIO: usize = 22;

pub(super) fn compress(
    encoder: &mut snap::raw::Encoder,
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), snap::Error> {
    output.extend_from_slice(&HEADER);
    for block in input.chunks(BLOCK) {
        let start = output.len();
        output.resize(start + 4 + snap::raw::max_compress_len(block.len()), 0);
        let Some((length, room)) = output
            .get_mut(start..)
            .and_then(<[u8]>::split_first_chunk_mut::<4>)
        else {
            return Ok(());
        };
        let written = encoder.compress(block, room)?;
        *length = u32::try_from(written).unwrap_or(u32::MAX).to_be_bytes();
        output.truncate(start + 4 + written);
    }
    Ok(())
}

pub(super) fn decompress(input: &[u8], output: &mut Output) -> Result<(), CompressionError> {
    if !input.starts_with(&MAGIC) {
        return block(input, output);
    }
    let mut rest = input;
    while !rest.is_empty() {
        if rest.starts_with(&MAGIC) {
            rest = rest
                .get(HEADER.len()..)
                .ok_or_else(|| output.corrupt("xerial header is truncated"))?;
            continue;
        }
        let (length, blocks) = rest
            .split_first_chunk::<4>()
            .ok_or_else(|| output.corrupt("xerial block length is truncated"))?;
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (compressed, next) = blocks
            .split_at_checked(length)
            .ok_or_else(|| output.corrupt("xerial block is truncated"))?;
        block(compressed, output)?;
        rest = next;
    }
    Ok(())
}

fn block(input: &[u8], output: &mut Output) -> Result<(), CompressionError> {
    let claimed = snap::raw::decompress_len(input).map_err(|error| output.corrupt(error))?;
    if claimed > input.len().saturating_mul(MAX_RATIO) {
        return Err(output.corrupt("block claims more than the format can hold"));
    }
    if claimed > output.room() {
        return Err(output.too_large());
    }
    let start = output.bytes.len();
    output.bytes.resize(start + claimed, 0);
    let room = output.bytes.get_mut(start..).unwrap_or_default();
    let result = snap::raw::Decoder::new().decompress(input, room);
    let written = result.map_err(|error| output.corrupt(error))?;
    output.bytes.truncate(start + written);
    Ok(())
}
