//! The writing half of a connection: frames as chunks, without copying them together.

use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, Bytes};
use ottla_protocol::Frame;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::timeout;

/// A peer that takes nothing for this long is given up.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Frames that are to go out with as few calls as the socket allows.
#[derive(Default)]
pub(super) struct Outgoing {
    chunks: Vec<Bytes>,
    len: usize,
}

impl Outgoing {
    pub(super) fn push(&mut self, frame: Frame) {
        let mut chunks = frame.into_chunks();
        self.len += chunks.iter().map(Bytes::len).sum::<usize>();
        if self.chunks.is_empty() {
            self.chunks = chunks;
        } else {
            self.chunks.append(&mut chunks);
        }
    }

    /// Bytes of all frames.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Writes all frames, whole.
    ///
    /// # Errors
    /// As the socket, and `TimedOut` when the peer reads nothing for a minute.
    ///
    /// # Cancel safety
    /// None: a frame may be cut short, and the connection cannot be used any more.
    pub(super) async fn write_to(self, writer: &mut OwnedWriteHalf) -> io::Result<()> {
        let mut chunks = Chunks {
            chunks: self.chunks,
            first: 0,
        };
        while chunks.has_remaining() {
            match timeout(STALL_TIMEOUT, writer.write_buf(&mut chunks)).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written?,
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            };
        }
        Ok(())
    }
}

/// Chunks as one buffer that can be written with one vectored call.
struct Chunks {
    chunks: Vec<Bytes>,
    first: usize,
}

impl Chunks {
    fn rest(&self) -> &[Bytes] {
        self.chunks.get(self.first..).unwrap_or_default()
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.rest().iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.rest()
            .iter()
            .find(|chunk| !chunk.is_empty())
            .map_or(&[], |chunk| chunk)
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(chunk) = self.chunks.get_mut(self.first) {
            let step = chunk.len().min(count);
            chunk.advance(step);
            count -= step;
            if !chunk.is_empty() {
                return;
            }
            self.first += 1;
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let chunks = self.rest().iter().filter(|chunk| !chunk.is_empty());
        let mut filled = 0;
        for (slice, chunk) in slices.iter_mut().zip(chunks) {
            *slice = IoSlice::new(chunk);
            filled += 1;
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn chunks_read_as_their_concatenation(
            parts in proptest::collection::vec(proptest::collection::vec(0_u8.., 0..5), 0..6),
            steps in proptest::collection::vec(1_usize..7, 40),
        ) {
            let whole = parts.concat();
            let mut chunks =
                Chunks { chunks: parts.into_iter().map(Bytes::from).collect(), first: 0 };
            let mut read = Vec::new();
            for step in steps {
                let step = step.min(chunks.chunk().len());
                read.extend_from_slice(&chunks.chunk()[..step]);
                chunks.advance(step);
                proptest::prop_assert_eq!(chunks.remaining(), whole.len() - read.len());
            }
            proptest::prop_assert_eq!(read, whole);
        }
    }
}
