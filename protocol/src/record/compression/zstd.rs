//! Zstandard frames, with or without their content size.
//!
//! A batch is decompressed in one step into the buffer that it stays in, so that a frame with a
//! large window takes no more memory than its content.

use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, CParameter, DCtx, zstd_sys::ZSTD_ErrorCode};

use super::{CompressionError, Output};

mod frame;

/// Base 2 logarithm of the largest window written: 8 MiB, what RFC 8878 asks all decoders to
/// support.
const WINDOW_LOG: u32 = 23;

/// The levels above this one have larger windows.
const LARGE_WINDOW_LEVEL: i32 = 19;

pub(super) fn compressor(level: Option<i32>) -> std::io::Result<Compressor<'static>> {
    let level = level.map_or(zstd::DEFAULT_COMPRESSION_LEVEL, |level| level.clamp(-7, 22));
    let mut compressor = Compressor::new(level)?;
    if level > LARGE_WINDOW_LEVEL {
        compressor.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
    }
    Ok(compressor)
}

pub(super) fn compress(
    compressor: &mut Compressor<'static>,
    input: &[u8],
    output: &mut Vec<u8>,
) -> std::io::Result<()> {
    let start = output.len();
    output.resize(start + zstd::zstd_safe::compress_bound(input.len()), 0);
    let room = output.get_mut(start..).unwrap_or_default();
    let written = compressor.compress_to_buffer(input, room)?;
    output.truncate(start + written);
    Ok(())
}

pub(super) fn decompress(input: &[u8], output: &mut Output) -> Result<(), CompressionError> {
    let most = frame::content_bound(input).map_err(|detail| output.corrupt(detail))?;
    let room = most.min(output.limit);
    let mut content = Vec::with_capacity(room);
    let mut context = DCtx::try_create().ok_or_else(|| output.corrupt("no memory"))?;
    let result = context.decompress(&mut content, input);
    let is_full = ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize;
    match result {
        Ok(_) if content.len() > output.limit => return Err(output.too_large()),
        Ok(_) => {}
        // The library returns the negative number of an error.
        Err(code) if code.wrapping_neg() == is_full && most > output.limit => {
            return Err(output.too_large());
        }
        Err(code) => return Err(output.corrupt(zstd_safe::get_error_name(code))),
    }
    // A frame without a content size has room for whole blocks.
    if content.len() < room / 2 {
        content.shrink_to_fit();
    }
    output.bytes = content;
    Ok(())
}
