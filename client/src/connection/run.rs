//! The task of a connection.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use ottla_protocol::frame::FrameCodec;
use ottla_protocol::message::Response;
use ottla_protocol::{ApiKey, decode_response, encode_request};
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::codec::FramedRead;

use super::handshake::Ready;
use super::throttle::throttle;
use super::{ConnectionOptions, MAX_IN_FLIGHT, Outgoing};
use crate::error::{CallError, Error};
use crate::transport::{BoxFuture, ByteStream, Direct};

/// Bytes waiting to be written beyond which no further request is taken.
const WRITE_AHEAD: usize = 4 << 20;

type Reply = oneshot::Sender<Result<Option<Response>, CallError>>;

pub(super) async fn run(
    link: Ready,
    requests: mpsc::Receiver<Outgoing>,
    options: ConnectionOptions,
) {
    match link {
        Ready::Bytes(framed) => {
            let parts = framed.into_parts();
            let (read, write) = tokio::io::split(parts.io);
            let mut reader = FramedRead::new(read, parts.codec);
            *reader.read_buffer_mut() = parts.read_buf;
            Wire {
                reader,
                writer: write,
                out: Chunks::default(),
                waiting: VecDeque::new(),
                next_id: 1,
            }
            .run(requests, &options)
            .await;
        }
        Ready::Direct(direct) => run_direct(direct, requests, &options).await,
    }
}

/// A request that waits for its answer.
struct Waiting {
    correlation_id: i32,
    key: ApiKey,
    version: i16,
    deadline: Instant,
    reply: Reply,
}

/// A connection made of bytes.
struct Wire {
    reader: FramedRead<ReadHalf<Box<dyn ByteStream>>, FrameCodec>,
    writer: WriteHalf<Box<dyn ByteStream>>,
    out: Chunks,
    /// In the order in which they were written, which is the order of answers.
    waiting: VecDeque<Waiting>,
    next_id: i32,
}

impl Wire {
    async fn run(mut self, mut requests: mpsc::Receiver<Outgoing>, options: &ConnectionOptions) {
        let reason = self.exchange(&mut requests, options).await;
        requests.close();
        for waiting in self.waiting.drain(..) {
            let _ = waiting.reply.send(Err(CallError::lost(reason.clone())));
        }
        while let Ok(outgoing) = requests.try_recv() {
            let _ = outgoing.reply.send(Err(CallError::unsent(reason.clone())));
        }
    }

    /// Runs until the connection is of no more use, and says why.
    async fn exchange(
        &mut self,
        requests: &mut mpsc::Receiver<Outgoing>,
        options: &ConnectionOptions,
    ) -> Error {
        let mut muted_until = None::<Instant>;
        let mut open = true;
        loop {
            if !open && self.waiting.is_empty() && self.out.is_empty() {
                return Error::Closed;
            }
            let room = self.waiting.len() < MAX_IN_FLIGHT && self.out.len < WRITE_AHEAD;
            let timer = self.timer(options.max_idle);
            tokio::select! {
                frame = self.reader.next() => match frame {
                    Some(Ok(frame)) => match self.answer(frame) {
                        Ok(pause) if pause.is_zero() => {}
                        Ok(pause) => muted_until = Some(Instant::now() + pause),
                        Err(error) => return error,
                    },
                    Some(Err(error)) => return Error::Unavailable(error.to_string()),
                    None => return Error::Unavailable("closed by the broker".to_owned()),
                },
                written = self.writer.write_buf(&mut self.out), if !self.out.is_empty() => {
                    match written {
                        Ok(0) => return Error::Unavailable("closed by the broker".to_owned()),
                        Ok(_) => {}
                        Err(error) => return Error::Unavailable(error.to_string()),
                    }
                }
                outgoing = requests.recv(), if open && room && muted_until.is_none() => {
                    match outgoing {
                        Some(outgoing) => self.queue(outgoing, options),
                        None => open = false,
                    }
                }
                () = sleep_until(muted_until.unwrap_or(timer)), if muted_until.is_some() => {
                    muted_until = None;
                }
                () = sleep_until(timer) => {
                    let text = if self.waiting.is_empty() { "idle" } else { "no answer in time" };
                    return Error::Unavailable(text.to_owned());
                }
            }
        }
    }

    /// When the oldest request, or else the idle connection, runs out of time.
    fn timer(&self, max_idle: Duration) -> Instant {
        let deadlines = self.waiting.iter().map(|waiting| waiting.deadline);
        deadlines.min().unwrap_or_else(|| Instant::now() + max_idle)
    }

    fn queue(&mut self, outgoing: Outgoing, options: &ConnectionOptions) {
        let Outgoing {
            request,
            version,
            timeout,
            answered,
            reply,
        } = outgoing;
        if reply.is_closed() {
            // Nobody waits, and nothing was sent: as if it had never been queued.
            return;
        }
        let correlation_id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1) & i32::MAX;
        match encode_request(&request, version, correlation_id, Some(&options.client_id)) {
            Ok(frame) => {
                for chunk in frame.chunks() {
                    self.out.push(chunk.clone());
                }
            }
            Err(error) => {
                let _ = reply.send(Err(CallError::unsent(error.into())));
                return;
            }
        }
        if answered {
            let deadline = Instant::now() + timeout;
            let key = request.api_key();
            self.waiting.push_back(Waiting {
                correlation_id,
                key,
                version,
                deadline,
                reply,
            });
        } else {
            let _ = reply.send(Ok(None));
        }
    }

    /// Hands an answer to who waits for it. Returns how long to send nothing.
    fn answer(&mut self, frame: Bytes) -> Result<Duration, Error> {
        let corrupt = |text: &str| Error::Corrupt(text.to_owned());
        let unasked = corrupt("an answer to nothing");
        let waiting = self.waiting.pop_front().ok_or(unasked)?;
        let (header, response) = match decode_response(waiting.key, waiting.version, frame) {
            Ok(decoded) => decoded,
            Err(error) => {
                let error = Error::from(error);
                let _ = waiting.reply.send(Err(CallError::lost(error.clone())));
                return Err(error);
            }
        };
        if header.correlation_id != waiting.correlation_id {
            let error = corrupt("an answer out of order");
            let _ = waiting.reply.send(Err(CallError::lost(error.clone())));
            return Err(error);
        }
        let pause = throttle(&response);
        let _ = waiting.reply.send(Ok(Some(response)));
        Ok(pause)
    }
}

/// Bytes to write, as the chunks that frames consist of.
#[derive(Default)]
struct Chunks {
    chunks: VecDeque<Bytes>,
    len: usize,
}

impl Chunks {
    fn push(&mut self, chunk: Bytes) {
        self.len += chunk.len();
        self.chunks.push_back(chunk);
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = std::io::IoSlice::new(chunk);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        self.len = self.len.saturating_sub(count);
        while let Some(front) = self.chunks.front_mut() {
            if front.len() > count {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.chunks.pop_front();
        }
    }
}

/// A connection without bytes: requests are applied in order, answers come in that order.
async fn run_direct(
    direct: Box<dyn Direct>,
    mut requests: mpsc::Receiver<Outgoing>,
    options: &ConnectionOptions,
) {
    let mut waiting: FuturesOrdered<BoxFuture<()>> = FuturesOrdered::new();
    loop {
        tokio::select! {
            outgoing = requests.recv(), if waiting.len() < MAX_IN_FLIGHT => {
                let Some(Outgoing { request, version, timeout, reply, .. }) = outgoing else {
                    break;
                };
                let answer = direct.call(request, version, &options.client_id);
                waiting.push_back(Box::pin(async move {
                    let answer = match tokio::time::timeout(timeout, answer).await {
                        Ok(answer) => answer.map_err(|error| error.to_string()),
                        Err(_) => Err("no answer in time".to_owned()),
                    };
                    let lost = |text| CallError::lost(Error::Unavailable(text));
                    let _ = reply.send(answer.map_err(lost));
                }));
            }
            Some(()) = waiting.next() => {}
        }
    }
    while waiting.next().await.is_some() {}
}
