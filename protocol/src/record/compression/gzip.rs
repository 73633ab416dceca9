//! gzip, RFC 1952. A stream may be several members in a row.

use std::io::Write as _;

use super::{CompressionError, Output};

pub(super) fn level(level: Option<i32>) -> flate2::Compression {
    level
        .and_then(|level| u32::try_from(level.clamp(1, 9)).ok())
        .map_or_else(flate2::Compression::default, flate2::Compression::new)
}

pub(super) fn compress(
    level: flate2::Compression,
    input: &[u8],
    output: &mut Vec<u8>,
) -> std::io::Result<()> {
    let mut encoder = flate2::write::GzEncoder::new(output, level);
    encoder.write_all(input)?;
    encoder.finish().map(|_| ())
}

pub(super) fn decompress(input: &[u8], output: &mut Output) -> Result<(), CompressionError> {
    if input.is_empty() {
        return Err(output.corrupt("no member"));
    }
    output.read(flate2::bufread::MultiGzDecoder::new(input))
}
