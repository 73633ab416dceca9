//! One TCP connection: frames in, answers out in the order of the requests.
//!
//! Shell. Requests are applied as they arrive while earlier ones wait for their commit; how many
//! may wait, and how many bytes they may hold, is bounded.

mod incoming;
mod input_budget;
mod outgoing;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use ottla_protocol::error::RequestError;
use ottla_protocol::header::RequestHeader;
use ottla_protocol::{ApiKey, Frame, Response, StrBytes, decode_request, encode_response};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

use crate::core::Core;
use crate::handler::api_versions;
use crate::service::{self, Answer, Context};
use incoming::{Incoming, InputError};
pub(crate) use input_budget::InputBudget;
use input_budget::Share;
use outgoing::Outgoing;

/// Requests of one connection that may wait for their answers. Clients send five at the most
/// unless told otherwise.
const MAX_PIPELINED: usize = 64;

/// Answers are gathered for one write until they have this many bytes.
const MAX_GATHERED: usize = 64 << 10;

/// How long a stopping broker waits for the answers that a connection is owed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("{0}")]
    Request(#[from] RequestError),
    #[error("{0}")]
    Unanswerable(String),
    #[error("response cannot be encoded: {0}")]
    Encode(#[from] ottla_protocol::EncodeError),
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

/// An answer on its way, with what is needed to write it.
struct Finished {
    answer: Answer,
    api_version: i16,
    correlation_id: i32,
    /// Input bytes that the request holds until it is answered.
    _held: Share,
}

impl Finished {
    /// The frame of the answer, if there is one.
    fn encode(self) -> Result<Option<Frame>, Ended> {
        let response: Response = match self.answer {
            Answer::Reply(response) => response,
            Answer::Nothing => return Ok(None),
            Answer::Close(reason) => return Err(Ended::Unanswerable(reason)),
        };
        let frame = encode_response(&response, self.api_version, self.correlation_id)?;
        Ok(Some(frame))
    }
}

struct Connection {
    core: Arc<Core>,
    incoming: Incoming,
    writer: OwnedWriteHalf,
    waiting: FuturesOrdered<BoxFuture<'static, Finished>>,
    local: Option<SocketAddr>,
    client_host: StrBytes,
    /// What came last cannot be answered: what is owed goes out, then the connection ends.
    refused: bool,
}

/// Serves a connection until either side ends it.
pub(crate) async fn serve(
    core: Arc<Core>,
    stream: TcpStream,
    peer: SocketAddr,
    input_budget: InputBudget,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    let local = stream.local_addr().ok();
    let (reader, writer) = stream.into_split();
    let connection = Connection {
        incoming: Incoming::new(reader, input_budget, &core.config),
        core,
        writer,
        waiting: FuturesOrdered::new(),
        local,
        client_host: StrBytes::from(format!("/{}", peer.ip())),
        refused: false,
    };
    match connection.run().await {
        Ok(()) => tracing::debug!(%peer, "connection closed"),
        Err(Ended::Input(InputError::Io(error)) | Ended::Output(error)) => {
            tracing::debug!(%peer, %error, "connection lost");
        }
        Err(reason) => tracing::warn!(%peer, %reason, "connection ended"),
    }
}

impl Connection {
    async fn run(mut self) -> Result<(), Ended> {
        let mut draining = pin!(self.core.draining.clone().cancelled_owned());
        loop {
            let idle = self.waiting.is_empty();
            let may_read = self.waiting.len() < MAX_PIPELINED && !self.refused;
            tokio::select! {
                biased;
                Some(finished) = self.waiting.next(), if !idle => {
                    self.send(finished).await?;
                }
                () = &mut draining => return self.drain().await,
                frame = self.incoming.next(idle), if may_read => {
                    let accepted = match frame {
                        Ok(Some(frame)) => self.accept_all(frame),
                        Ok(None) => return Ok(()),
                        Err(error) => Err(error.into()),
                    };
                    if let Err(reason) = accepted {
                        self.refuse(reason)?;
                    }
                }
            }
        }
    }

    /// Sends what is owed and ends.
    async fn drain(mut self) -> Result<(), Ended> {
        let all = async {
            while let Some(finished) = self.waiting.next().await {
                self.send(finished).await?;
            }
            Ok::<(), Ended>(())
        };
        tokio::time::timeout(DRAIN_TIMEOUT, all)
            .await
            .unwrap_or(Ok(()))?;
        Ok(self.writer.shutdown().await?)
    }

    /// Applies a request, and those that came with it: their answers can go out together.
    fn accept_all(&mut self, first: incoming::Frame) -> Result<(), Ended> {
        let mut next = Some(first);
        while let Some(frame) = next.take() {
            self.accept(frame)?;
            if self.waiting.len() < MAX_PIPELINED {
                next = self.incoming.buffered()?;
            }
        }
        Ok(())
    }

    /// Applies a request.
    fn accept(&mut self, frame: incoming::Frame) -> Result<(), Ended> {
        let incoming::Frame { bytes, held } = frame;
        let (header, pending) = match decode_request(bytes) {
            Ok((header, request)) => {
                let context = self.context(&header);
                let pending = service::call(&self.core, &context, request);
                (header, pending)
            }
            Err(RequestError::UnsupportedVersion { header })
                if header.api_key == i16::from(ApiKey::ApiVersions) =>
            {
                let answer = Answer::Reply(api_versions::unsupported_version());
                // The answer goes out in the only version that every client can read.
                let header = RequestHeader {
                    api_version: 0,
                    ..header
                };
                (
                    header,
                    Box::pin(std::future::ready(answer)) as service::Pending,
                )
            }
            Err(error) => return Err(error.into()),
        };
        let RequestHeader {
            api_version,
            correlation_id,
            ..
        } = header;
        self.waiting.push_back(Box::pin(async move {
            Finished {
                answer: pending.await,
                api_version,
                correlation_id,
                _held: held,
            }
        }));
        Ok(())
    }

    /// Ends the connection once earlier requests are answered, as if this one had waited for them.
    /// A connection that is lost ends at once.
    fn refuse(&mut self, reason: Ended) -> Result<(), Ended> {
        if self.waiting.is_empty() || matches!(reason, Ended::Input(InputError::Io(_))) {
            return Err(reason);
        }
        self.refused = true;
        let answer = Answer::Close(reason.to_string());
        let last = Finished {
            answer,
            api_version: 0,
            correlation_id: 0,
            _held: Share::default(),
        };
        self.waiting.push_back(Box::pin(std::future::ready(last)));
        Ok(())
    }

    fn context(&self, header: &RequestHeader) -> Context {
        Context {
            api_version: header.api_version,
            client_id: header.client_id.clone().unwrap_or_default(),
            local: self.local,
            client_host: self.client_host.clone(),
        }
    }

    /// Sends an answer, and in the same write those behind it that are finished too.
    async fn send(&mut self, first: Finished) -> Result<(), Ended> {
        let mut outgoing = Outgoing::default();
        let mut next = Some(first);
        let mut ended = Ok(());
        while let Some(finished) = next.take() {
            match finished.encode() {
                Ok(Some(frame)) => outgoing.push(frame),
                Ok(None) => {}
                Err(reason) => {
                    ended = Err(reason);
                    break;
                }
            }
            if outgoing.len() < MAX_GATHERED {
                next = self.waiting.next().now_or_never().flatten();
            }
        }
        outgoing.write_to(self.writer.as_ref()).await?;
        self.incoming.answered();
        ended
    }
}
