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

#[cfg(feature = "codec")]
pub use codec::FrameCodec;

#[cfg(feature = "codec")]
mod codec {
    use bytes::{Buf, Bytes, BytesMut};
    use tokio_util::codec::{Decoder, Encoder};

    use super::{FrameError, PREFIX_LEN, frame_len};
    use crate::primitive::Frame;

    /// The least room made for a frame that has only begun to arrive.
    const GROW_BY: usize = 8 * 1024;

    /// Splits a stream into frames without their prefix, and writes [`Frame`]s.
    ///
    /// Writing copies. A server that wants to avoid it writes [`Frame::chunks`] itself.
    #[derive(Debug, Clone)]
    pub struct FrameCodec {
        limit: usize,
    }

    impl FrameCodec {
        /// Accepts frames of up to `limit` bytes after the prefix.
        #[must_use]
        pub fn new(limit: usize) -> Self {
            Self { limit }
        }

        /// Changes the limit, from the next frame on.
        pub fn set_limit(&mut self, limit: usize) {
            self.limit = limit;
        }
    }

    impl Decoder for FrameCodec {
        type Item = Bytes;
        type Error = FrameError;

        fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
            let Some(prefix) = buffer.first_chunk::<PREFIX_LEN>() else {
                return Ok(None);
            };
            let len = frame_len(*prefix, self.limit)?;
            let whole = PREFIX_LEN.saturating_add(len);
            let Some(missing) = whole
                .checked_sub(buffer.len())
                .filter(|&missing| missing > 0)
            else {
                buffer.advance(PREFIX_LEN);
                return Ok(Some(buffer.split_to(len).freeze()));
            };
            buffer.reserve(missing.min(buffer.len().max(GROW_BY)));
            Ok(None)
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
