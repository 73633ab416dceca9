//! The writing half of a connection: frames as chunks, without copying them together. What was read
//! through a map goes from the page cache into the socket (`sendfile`).

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, Bytes};
use ottla_protocol::Frame;
use ottla_storage::disk::FileRange;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::consume_budget;
use tokio::time::timeout;

/// A peer that takes nothing for this long is given up.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Chunks below this are cheaper to copy than to send by a call of their own.
const SMALLEST_RANGE: usize = 16 << 10;

/// Chunks of one call.
const MAX_SLICES: usize = 64;

/// Frames that are to go out with as few calls as the socket allows.
#[derive(Default)]
pub(super) struct Outgoing {
    chunks: VecDeque<Chunk>,
    len: usize,
}

enum Chunk {
    Memory(Bytes),
    /// The bytes keep the file from being closed or cut.
    File(FileRange, #[expect(dead_code, reason = "it is held")] Bytes),
}

impl Chunk {
    fn new(bytes: Bytes) -> Self {
        let is_large = bytes.len() >= SMALLEST_RANGE;
        match is_large.then(|| FileRange::of(&bytes)).flatten() {
            Some(range) => Self::File(range, bytes),
            None => Self::Memory(bytes),
        }
    }
}

impl Outgoing {
    pub(super) fn push(&mut self, frame: Frame) {
        frame
            .into_chunks()
            .into_iter()
            .for_each(|chunk| self.push_chunk(chunk));
    }

    fn push_chunk(&mut self, chunk: Bytes) {
        self.len += chunk.len();
        if !chunk.is_empty() {
            self.chunks.push_back(Chunk::new(chunk));
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
    pub(super) async fn write_to(mut self, stream: &TcpStream) -> io::Result<()> {
        while !self.chunks.is_empty() {
            let step = stream.async_io(Interest::WRITABLE, || self.write_some(stream));
            match timeout(STALL_TIMEOUT, step).await {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(written) => written?,
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
            // A peer that takes all that it is given at once does not get the whole thread.
            consume_budget().await;
        }
        Ok(())
    }

    /// Writes what one call takes.
    fn write_some(&mut self, stream: &TcpStream) -> io::Result<()> {
        if let Some(Chunk::File(range, _)) = self.chunks.front_mut() {
            range.send(stream)?;
            if range.is_empty() {
                self.chunks.pop_front();
            }
            return Ok(());
        }
        let mut slices = Vec::with_capacity(MAX_SLICES.min(self.chunks.len()));
        slices.extend(self.chunks.iter().map_while(in_memory).take(MAX_SLICES));
        let flags = flags(slices.len() < self.chunks.len());
        let written = sendmsg(stream, &slices, &mut SendAncillaryBuffer::default(), flags)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.advance(written);
        Ok(())
    }

    /// Takes off what was written of the chunks in memory.
    fn advance(&mut self, mut count: usize) {
        while let Some(Chunk::Memory(chunk)) = self.chunks.front_mut() {
            let step = chunk.len().min(count);
            chunk.advance(step);
            count -= step;
            if !chunk.is_empty() {
                return;
            }
            self.chunks.pop_front();
        }
    }
}

/// The peer is not to be woken for a header whose records come at once.
#[cfg(target_os = "linux")]
fn flags(more: bool) -> SendFlags {
    if more {
        SendFlags::NOSIGNAL | SendFlags::MORE
    } else {
        SendFlags::NOSIGNAL
    }
}

#[cfg(not(target_os = "linux"))]
fn flags(_more: bool) -> SendFlags {
    SendFlags::empty()
}

fn in_memory(chunk: &Chunk) -> Option<IoSlice<'_>> {
    match chunk {
        Chunk::Memory(bytes) => Some(IoSlice::new(bytes)),
        Chunk::File(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ottla_storage::disk::{Disk, OpenMode, OsDisk, Reads};
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    /// Bytes read from a file in each way.
    fn stored(dir: &Path, reads: Reads, contents: &[u8]) -> Bytes {
        let disk = OsDisk::with_reads(reads);
        let name = format!("{reads:?}-{}", contents.len());
        let file = disk.open(&dir.join(name), OpenMode::Any).unwrap();
        file.write_at(0, &[IoSlice::new(contents)]).unwrap();
        file.read_at(0, contents.len()).unwrap()
    }

    /// What a peer gets of chunks.
    async fn sent(chunks: Vec<Bytes>) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut outgoing = Outgoing::default();
        chunks
            .into_iter()
            .for_each(|chunk| outgoing.push_chunk(chunk));
        let write = async move {
            outgoing.write_to(&stream).await.unwrap();
            drop(stream);
        };
        let mut read = Vec::new();
        let (_, got) = tokio::join!(write, peer.read_to_end(&mut read));
        got.unwrap();
        read
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_peer_gets_all_chunks_in_order_wherever_they_are(
            chunks in prop::collection::vec((0_u8..3, 0_u8.., 0_usize..200_000), 0..8),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let contents = |fill: u8, len: usize| vec![fill; len];
            let made = chunks.iter().map(|(kind, fill, len)| match kind {
                0 => Bytes::from(contents(*fill, *len)),
                1 => stored(dir.path(), Reads::Map, &contents(*fill, *len)),
                _ => stored(dir.path(), Reads::Pread, &contents(*fill, *len)),
            });
            let expected: Vec<u8> = chunks.iter().flat_map(|(_, fill, len)| contents(*fill, *len)).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let read = runtime.block_on(sent(made.collect()));
            prop_assert!(read == expected, "{} bytes of {}", read.len(), expected.len());
        }
    }

    #[test]
    fn large_chunks_of_mapped_files_are_sent_from_the_page_cache() {
        let dir = tempfile::tempdir().unwrap();
        let is_file = |chunk: Bytes| matches!(Chunk::new(chunk), Chunk::File(..));
        let large = vec![7; SMALLEST_RANGE];
        let mapped = stored(dir.path(), Reads::Map, &large);
        assert_eq!(is_file(mapped.clone()), cfg!(target_os = "linux"));
        assert!(!is_file(mapped.slice(1..)));
        assert!(!is_file(stored(dir.path(), Reads::Pread, &large)));
        assert!(!is_file(Bytes::from(large)));
    }
}
