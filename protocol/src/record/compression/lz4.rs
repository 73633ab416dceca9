//! LZ4 frames. Written with independent 64 KiB blocks and no checksum of the content, the only
//! kind that Java reads; read with any block size and mode.

use std::io::{Read as _, Write as _};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{CompressionError, Output};

/// No length that a block has.
const SENTINEL: &[u8] = &[0xff; 4];

pub(super) fn compress(input: &[u8], output: &mut Vec<u8>) -> Result<(), std::io::Error> {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, output);
    encoder.write_all(input)?;
    encoder.finish()?;
    Ok(())
}

pub(super) fn decompress(mut input: &[u8], output: &mut Output) -> Result<(), CompressionError> {
    if input.is_empty() {
        return Err(output.corrupt("no frame"));
    }
    // The decoder takes the end of the input for the end of the frame. Behind an end mark it does
    // not look, and without one it finds a block that is too large.
    let mut sentinel = SENTINEL;
    output.read(FrameDecoder::new((&mut input).chain(&mut sentinel)))?;
    if !input.is_empty() {
        Err(output.corrupt("bytes behind the frame"))
    } else if sentinel.len() < SENTINEL.len() {
        Err(output.corrupt("frame is cut short"))
    } else {
        Ok(())
    }
}
