//! The reading half of a connection: length-prefixed frames within limits.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use ottla_protocol::ApiKey;
use ottla_protocol::frame::{FrameError, PREFIX_LEN, frame_len};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Instant, timeout_at};

use super::input_budget::{InputBudget, Share};
use crate::config::BrokerConfig;

/// Longest frame of any API but Produce.
const MAX_OTHER_FRAME: usize = 16 << 20;

/// A frame that has begun must go on arriving.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Room made for input at a time while nothing is known about it.
const READ_BYTES: usize = 8 << 10;

/// Room made at a time for a long frame, so that what is only announced costs little.
const GROW_BYTES: usize = 1 << 20;

/// Why no more frames can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error("cannot read: {0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("a frame stopped arriving half way")]
    Stalled,
    #[error("requests of other connections fill the input buffers (queued.max.request.bytes)")]
    Crowded,
    #[error("closed after being idle")]
    Idle,
}

/// A request as it came.
pub(super) struct Frame {
    pub(super) bytes: Bytes,
    /// The frame's share of the bytes that all connections together may hold.
    pub(super) held: Share,
}

/// A frame whose length is known and that is not whole yet.
struct Begun {
    len: usize,
    held: Share,
}

pub(super) struct Incoming {
    reader: OwnedReadHalf,
    buffer: BytesMut,
    begun: Option<Begun>,
    budget: InputBudget,
    max_frame: usize,
    idle: Duration,
    last_input: Instant,
}

impl Incoming {
    pub(super) fn new(reader: OwnedReadHalf, budget: InputBudget, config: &BrokerConfig) -> Self {
        Self {
            reader,
            buffer: BytesMut::new(),
            begun: None,
            budget,
            max_frame: config.socket_request_max_bytes,
            idle: config.connections_max_idle,
            last_input: Instant::now(),
        }
    }

    /// The next frame, or `None` when the peer has closed between two.
    ///
    /// `idle` says that no request waits for its answer, so that silence counts.
    ///
    /// # Cancel safety
    /// Nothing that was read is lost.
    pub(super) async fn next(&mut self, idle: bool) -> Result<Option<Frame>, InputError> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Some(frame));
            }
            self.make_room().await?;
            if self.read(idle).await? == 0 {
                let between = self.begun.is_none() && self.buffer.is_empty();
                return if between {
                    Ok(None)
                } else {
                    Err(InputError::Stalled)
                };
            }
        }
    }

    /// The next frame if it has been read already.
    pub(super) fn buffered(&mut self) -> Result<Option<Frame>, InputError> {
        if self.begun.is_none() {
            self.begun = self.begin()?;
        }
        let whole = self.begun.take_if(|begun| self.buffer.len() >= begun.len);
        Ok(whole.map(|begun| Frame {
            bytes: self.buffer.split_to(begun.len).freeze(),
            held: begun.held,
        }))
    }

    /// Takes the length off the buffer once it is there.
    fn begin(&mut self) -> Result<Option<Begun>, InputError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX_LEN>() else {
            return Ok(None);
        };
        let prefix = *prefix;
        let len = frame_len(prefix, self.max_frame)?;
        if len > MAX_OTHER_FRAME {
            // Only of a long frame does it matter whose it is.
            let Some(head) = self.buffer.first_chunk::<{ PREFIX_LEN + 2 }>() else {
                return Ok(None);
            };
            let [.., high, low] = *head;
            if i16::from_be_bytes([high, low]) != i16::from(ApiKey::Produce) {
                frame_len(prefix, MAX_OTHER_FRAME)?;
            }
        }
        self.buffer.advance(PREFIX_LEN);
        let held = Share::default();
        Ok(Some(Begun { len, held }))
    }

    /// Makes room for more input. What a frame needs beyond a small buffer is taken from what all
    /// connections share, step by step: what is only announced takes nothing.
    async fn make_room(&mut self) -> Result<(), InputError> {
        if self.buffer.capacity() > self.buffer.len() {
            return Ok(());
        }
        let Some(begun) = &mut self.begun else {
            self.buffer.reserve(READ_BYTES);
            return Ok(());
        };
        let step = (begun.len - self.buffer.len()).clamp(READ_BYTES, GROW_BYTES);
        let share = u32::try_from(step).unwrap_or(u32::MAX);
        let extend = self.budget.extend(&mut begun.held, share);
        let extended = timeout_at(self.last_input + STALL_TIMEOUT, extend).await;
        extended
            .map_err(|_| InputError::Crowded)?
            .map_err(|_| InputError::Idle)?;
        self.buffer.reserve(step);
        Ok(())
    }

    /// An answer has gone out: silence counts from here.
    pub(super) fn answered(&mut self) {
        if self.begun.is_none() && self.buffer.is_empty() {
            self.last_input = Instant::now();
        }
    }

    async fn read(&mut self, idle: bool) -> Result<usize, InputError> {
        let partial = self.begun.is_some() || !self.buffer.is_empty();
        let (patience, late) = match (partial, idle) {
            (true, _) => (STALL_TIMEOUT, InputError::Stalled),
            (false, true) => (self.idle, InputError::Idle),
            (false, false) => return self.read_now().await,
        };
        match timeout_at(self.last_input + patience, self.read_now()).await {
            Ok(read) => read,
            Err(_) => Err(late),
        }
    }

    async fn read_now(&mut self) -> Result<usize, InputError> {
        let read = self.reader.read_buf(&mut self.buffer).await?;
        self.last_input = Instant::now();
        Ok(read)
    }
}
