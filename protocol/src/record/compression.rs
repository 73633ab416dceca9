//! The codecs of record batches, bounded in both directions.
//!
//! Pure. Output has room for what the blocks of the input can hold and never for what the input
//! claims; a batch that would grow past its [`Limits`] is refused before it does. Each codec is a
//! Cargo feature.

use super::batch::Compression;

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

#[cfg(test)]
mod tests;

/// How far a compressed batch may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that no batch may exceed.
    pub max_decompressed: usize,
    /// Bytes of output per byte of input, for batches larger than `ratio_free`.
    pub max_ratio: usize,
    /// Bytes of output to which the ratio does not apply.
    pub ratio_free: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_decompressed: 64 << 20,
            max_ratio: 100,
            ratio_free: 8 << 20,
        }
    }
}

impl Limits {
    /// Limits for a batch that is stored, which was within limits when it was accepted and whose
    /// CRC tells whether it still is that batch. Without a ratio: a batch that was recompressed
    /// or compacted may be smaller than the one that was judged, for the same records.
    #[must_use]
    pub fn stored() -> Self {
        let accepted = Self::default();
        Self {
            // Compaction may rewrite the timestamps, which makes seven bytes of a record sixteen.
            max_decompressed: accepted.max_decompressed.saturating_mul(3),
            max_ratio: usize::MAX,
            ..accepted
        }
    }

    /// Bytes that `compressed` bytes may become.
    #[must_use]
    pub fn allowance(&self, compressed: usize) -> usize {
        compressed
            .saturating_mul(self.max_ratio)
            .max(self.ratio_free)
            .min(self.max_decompressed)
    }
}

/// Why a codec failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// The codec's Cargo feature is off.
    #[error("codec {0} is not built in")]
    NotBuiltIn(Compression),
    /// The output would exceed its limit, in bytes.
    #[error("batch decompresses to more than the {limit} bytes allowed")]
    TooLarge {
        /// The limit that applied.
        limit: usize,
    },
    /// The input is not what the codec writes.
    #[error("batch is not valid {compression}: {detail}")]
    Corrupt {
        /// The codec.
        compression: Compression,
        /// What the codec said.
        detail: String,
    },
    /// The codec could not compress, for want of memory or because of its level.
    #[error("codec {compression} failed: {detail}")]
    Failed {
        /// The codec.
        compression: Compression,
        /// What the codec said.
        detail: String,
    },
}

/// Decompresses the records of a batch within `limits`.
///
/// # Errors
/// [`CompressionError::NotBuiltIn`], [`CompressionError::TooLarge`] or
/// [`CompressionError::Corrupt`].
pub fn decompress(
    compression: Compression,
    input: &[u8],
    limits: &Limits,
) -> Result<Vec<u8>, CompressionError> {
    let mut output = Output::new(compression, limits.allowance(input.len()));
    match compression {
        Compression::None => output.extend(input)?,
        #[cfg(feature = "gzip")]
        Compression::Gzip => gzip::decompress(input, &mut output)?,
        #[cfg(feature = "snappy")]
        Compression::Snappy => snappy::decompress(input, &mut output)?,
        #[cfg(feature = "lz4")]
        Compression::Lz4 => lz4::decompress(input, &mut output)?,
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::decompress(input, &mut output)?,
        #[allow(unreachable_patterns, reason = "reached with a codec feature off")]
        other => return Err(CompressionError::NotBuiltIn(other)),
    }
    Ok(output.bytes)
}

/// Decompressed bytes, and the limit they keep.
#[derive(Debug)]
struct Output {
    compression: Compression,
    limit: usize,
    bytes: Vec<u8>,
}

#[cfg_attr(
    not(all(
        feature = "gzip",
        feature = "snappy",
        feature = "lz4",
        feature = "zstd"
    )),
    allow(dead_code, reason = "each codec uses its own part")
)]
impl Output {
    fn new(compression: Compression, limit: usize) -> Self {
        Self {
            compression,
            limit,
            bytes: Vec::new(),
        }
    }

    fn corrupt(&self, detail: impl ToString) -> CompressionError {
        CompressionError::Corrupt {
            compression: self.compression,
            detail: detail.to_string(),
        }
    }

    fn too_large(&self) -> CompressionError {
        CompressionError::TooLarge { limit: self.limit }
    }

    fn room(&self) -> usize {
        self.limit.saturating_sub(self.bytes.len())
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), CompressionError> {
        if bytes.len() > self.room() {
            return Err(self.too_large());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads `reader` to its end. Reads one byte more than fits to know that there is more.
    fn read(&mut self, reader: impl std::io::Read) -> Result<(), CompressionError> {
        use std::io::Read as _;
        let most = u64::try_from(self.room())
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let result = reader.take(most).read_to_end(&mut self.bytes);
        if self.bytes.len() > self.limit {
            return Err(self.too_large());
        }
        result.map(|_| ()).map_err(|error| self.corrupt(error))
    }
}

/// Compresses batch after batch with one codec and level, keeping the codec's memory.
pub struct Compressor {
    compression: Compression,
    #[cfg(feature = "gzip")]
    gzip: flate2::Compression,
    #[cfg(feature = "snappy")]
    snappy: snap::raw::Encoder,
    #[cfg(feature = "zstd")]
    zstd: Option<::zstd::bulk::Compressor<'static>>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor")
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

impl Compressor {
    /// A compressor. `level` is the codec's own scale: gzip 1 to 9, zstd -7 to 22; the others have
    /// none and ignore it. `None` is the codec's default; a level off the scale becomes the
    /// nearest on it.
    ///
    /// # Errors
    /// [`CompressionError::NotBuiltIn`] when the codec's feature is off,
    /// [`CompressionError::Failed`] when the codec gets no memory.
    #[cfg_attr(
        not(any(feature = "gzip", feature = "zstd")),
        allow(unused_variables, reason = "only these codecs have levels")
    )]
    pub fn new(compression: Compression, level: Option<i32>) -> Result<Self, CompressionError> {
        let built_in = match compression {
            Compression::None => true,
            Compression::Gzip => cfg!(feature = "gzip"),
            Compression::Snappy => cfg!(feature = "snappy"),
            Compression::Lz4 => cfg!(feature = "lz4"),
            Compression::Zstd => cfg!(feature = "zstd"),
        };
        if !built_in {
            return Err(CompressionError::NotBuiltIn(compression));
        }
        Ok(Self {
            compression,
            #[cfg(feature = "gzip")]
            gzip: gzip::level(level),
            #[cfg(feature = "snappy")]
            snappy: snap::raw::Encoder::new(),
            #[cfg(feature = "zstd")]
            zstd: match compression {
                Compression::Zstd => {
                    Some(zstd::compressor(level).map_err(|e| failed(compression, &e))?)
                }
                _ => None,
            },
        })
    }

    /// The codec.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Appends `input`, compressed, to `output`.
    ///
    /// # Errors
    /// [`CompressionError::Failed`]; `output` then ends in rubbish.
    pub fn compress(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), CompressionError> {
        let compression = self.compression;
        match compression {
            Compression::None => {
                output.extend_from_slice(input);
                Ok(())
            }
            #[cfg(feature = "gzip")]
            Compression::Gzip => {
                gzip::compress(self.gzip, input, output).map_err(|e| failed(compression, &e))
            }
            #[cfg(feature = "snappy")]
            Compression::Snappy => snappy::compress(&mut self.snappy, input, output)
                .map_err(|e| failed(compression, &e)),
            #[cfg(feature = "lz4")]
            Compression::Lz4 => lz4::compress(input, output).map_err(|e| failed(compression, &e)),
            #[cfg(feature = "zstd")]
            Compression::Zstd => match &mut self.zstd {
                Some(zstd) => {
                    zstd::compress(zstd, input, output).map_err(|e| failed(compression, &e))
                }
                None => Err(CompressionError::NotBuiltIn(compression)),
            },
            #[allow(unreachable_patterns, reason = "reached with a codec feature off")]
            other => Err(CompressionError::NotBuiltIn(other)),
        }
    }
}

#[cfg(any(
    feature = "gzip",
    feature = "snappy",
    feature = "lz4",
    feature = "zstd"
))]
fn failed(compression: Compression, detail: &dyn std::fmt::Display) -> CompressionError {
    CompressionError::Failed {
        compression,
        detail: detail.to_string(),
    }
}
