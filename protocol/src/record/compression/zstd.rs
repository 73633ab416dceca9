//! Zstandard frames, with or without their content size.

use zstd::bulk::Compressor;
use zstd::stream::read::Decoder;
use zstd::zstd_safe::CParameter;

use super::{CompressionError, Output};

/// Base 2 logarithm of the largest window read or written: 8 MiB, what RFC 8878 asks all decoders
/// to support.
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
    if input.is_empty() {
        return Err(output.corrupt("no frame"));
    }
    let mut decoder = Decoder::with_buffer(input).map_err(|error| output.corrupt(error))?;
    decoder
        .window_log_max(WINDOW_LOG)
        .map_err(|error| output.corrupt(error))?;
    output.read(decoder)
}
