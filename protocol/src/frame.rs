//! Frames on a byte stream: a four-byte length and that many bytes.
//!
//! Pure. The limit is known before the first byte is buffered, and the buffer grows with what
//! arrives, not with what is announced. The codec for tokio is behind the feature `codec`.

/// Bytes of the length before each frame.
pub const PREFIX_LEN: usize = 4;

/// A length that no frame may have. The stream cannot be used any further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A length of zero or below.
    #[error("frame length {0} is not positive")]
    Length(i32),
    /// A length above the limit.
    #[error("frame of {len} bytes exceeds the limit of {limit}")]
    TooLong {
        /// Bytes announced.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The stream itself failed.
    #[cfg(feature = "codec")]
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The length of the frame that `prefix` announces.
///
/// # Errors
/// [`FrameError`] when it is not positive or above `limit`.
pub fn frame_len(prefix: [u8; PREFIX_LEN], limit: usize) -> Result<usize, FrameError> {
    let raw = i32::from_be_bytes(prefix);
    let len = usize::try_from(raw).map_err(|_| FrameError::Length(raw))?;
    match len {
        0 => Err(FrameError::Length(raw)),
        len if len > limit => Err(FrameError::TooLong { len, limit }),
        len => Ok(len),
    }
}

/// How long frames may be, by what they ask. Only batches of records need much room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Bytes of a Produce request.
    pub produce: usize,
    /// Bytes of any other frame.
    pub other: usize,
}

impl FrameLimits {
    /// The same limit for all frames, as for responses, and for requests before authentication.
    #[must_use]
    pub fn uniform(limit: usize) -> Self {
        Self {
            produce: limit,
            other: limit,
        }
    }
}

#[cfg(feature = "codec")]
pub use codec::FrameCodec;

#[cfg(feature = "codec")]
mod codec {
    use bytes::{Buf, Bytes, BytesMut};
    use tokio_util::codec::{Decoder, Encoder};

    use super::{FrameError, FrameLimits, PREFIX_LEN, frame_len};
    use crate::api::ApiKey;
    use crate::primitive::Frame;

    /// The least room made for a frame that has only begun to arrive.
    const GROW_BY: usize = 8 * 1024;

    /// Splits a stream into frames without their prefix, and writes [`Frame`]s.
    ///
    /// Writing copies. A server that wants to avoid it writes [`Frame::chunks`] itself.
    #[derive(Debug, Clone)]
    pub struct FrameCodec {
        limits: FrameLimits,
    }

    impl FrameCodec {
        /// Accepts frames whose length after the prefix is within `limits`.
        #[must_use]
        pub fn new(limits: FrameLimits) -> Self {
            Self { limits }
        }

        /// Changes the limits, from the next frame on.
        pub fn set_limits(&mut self, limits: FrameLimits) {
            self.limits = limits;
        }

        /// The length of the frame at the head of `buffer`, once enough of it has arrived to tell
        /// whether it is too long.
        fn len(&self, buffer: &[u8]) -> Result<Option<usize>, FrameError> {
            let Some((prefix, rest)) = buffer.split_first_chunk::<PREFIX_LEN>() else {
                return Ok(None);
            };
            let FrameLimits { produce, other } = self.limits;
            let len = frame_len(*prefix, produce.max(other))?;
            if len <= other {
                return Ok(Some(len));
            }
            let Some(key) = rest.first_chunk::<2>() else {
                return Ok(None);
            };
            let is_produce = i16::from_be_bytes(*key) == i16::from(ApiKey::Produce);
            frame_len(*prefix, if is_produce { produce } else { other }).map(Some)
        }
    }

    impl Decoder for FrameCodec {
        type Item = Bytes;
        type Error = FrameError;

        fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
            let Some(len) = self.len(buffer)? else {
                return Ok(None);
            };
            let missing = PREFIX_LEN.saturating_add(len).saturating_sub(buffer.len());
            if missing > 0 {
                buffer.reserve(missing.min(buffer.len().max(GROW_BY)));
                return Ok(None);
            }
            buffer.advance(PREFIX_LEN);
            Ok(Some(buffer.split_to(len).freeze()))
        }
    }

    impl Encoder<Frame> for FrameCodec {
        type Error = FrameError;

        fn encode(&mut self, frame: Frame, buffer: &mut BytesMut) -> Result<(), FrameError> {
            buffer.reserve(frame.len());
            for chunk in frame.chunks() {
                buffer.extend_from_slice(chunk);
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
