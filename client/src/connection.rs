//! Shell. One connection to one broker: a task that pipelines requests and matches answers.
//!
//! A handle only queues; dropping the wait for an answer leaves the request alone and its answer
//! unread. A request that is not answered in time ends the connection, as no later answer could
//! be told from it.

mod direct;
mod handshake;
mod run;
mod throttle;

use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::message::{Request, RequestMessage, Response};
use ottla_protocol::{ApiKey, StrBytes};
use tokio::sync::{mpsc, oneshot};

use crate::error::{CallError, Error};
use crate::transport::Link;

use handshake::Versions;

/// Requests that wait to be written to one connection.
const QUEUE: usize = 64;

/// Requests of one connection that wait for an answer.
const MAX_IN_FLIGHT: usize = 128;

/// What a connection needs to know of its client.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionOptions {
    pub(crate) client_id: StrBytes,
    pub(crate) setup_timeout: Duration,
    pub(crate) max_idle: Duration,
    pub(crate) receive_max_bytes: usize,
}

/// A request on its way to the connection's task.
struct Outgoing {
    request: Request,
    version: i16,
    timeout: Duration,
    /// Whether the broker answers at all.
    answered: bool,
    reply: Reply,
}

/// Where the outcome of a request goes.
type Reply = oneshot::Sender<Result<Option<Response>, CallError>>;

/// A handle on a connection. The task ends when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct Connection {
    queue: mpsc::Sender<Outgoing>,
    versions: Arc<Versions>,
}

impl Connection {
    /// Asks for the broker's versions and starts the task.
    pub(crate) async fn open(link: Link, options: ConnectionOptions) -> Result<Self, Error> {
        let handshake = handshake::handshake(link, &options);
        let (link, versions) = tokio::time::timeout(options.setup_timeout, handshake)
            .await
            .map_err(|_| Error::Unavailable("no answer to ApiVersions in time".to_owned()))??;
        let (queue, requests) = mpsc::channel(QUEUE);
        tokio::spawn(run::run(link, requests, options));
        Ok(Self {
            queue,
            versions: Arc::new(versions),
        })
    }

    /// Whether the task has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// The newest version that both sides know, up to `cap`.
    pub(crate) fn version(&self, key: ApiKey, cap: i16) -> Result<i16, CallError> {
        self.versions.choose(key, cap).map_err(CallError::unsent)
    }

    /// Whether the broker does not serve version `floor` of an API.
    pub(crate) fn serves_less(&self, key: ApiKey, floor: i16) -> bool {
        !self
            .version(key, i16::MAX)
            .is_ok_and(|version| version >= floor)
    }

    /// The level of `transaction.version` that the cluster runs with; 0 when it says none.
    pub(crate) fn transaction_version(&self) -> i16 {
        self.versions.transaction_version()
    }

    /// Sends `request` in the newest common version up to `cap` and waits for the answer, at most
    /// for `timeout` after it was written.
    pub(crate) async fn call<R: RequestMessage>(
        &self,
        request: R,
        cap: i16,
        timeout: Duration,
    ) -> Result<R::Response, CallError> {
        let version = self.version(R::API_KEY, cap)?;
        let answer = self.send(request.into(), version, timeout, true).await?;
        let typed = answer.and_then(|response| R::Response::try_from(response).ok());
        typed.ok_or_else(|| CallError::lost(Error::Corrupt("answer of another API".to_owned())))
    }

    /// Sends a request that the broker does not answer; returns when it was written.
    pub(crate) async fn send_unanswered<R: RequestMessage>(
        &self,
        request: R,
        cap: i16,
        timeout: Duration,
    ) -> Result<(), CallError> {
        let version = self.version(R::API_KEY, cap)?;
        self.send(request.into(), version, timeout, false)
            .await
            .map(|_| ())
    }

    async fn send(
        &self,
        request: Request,
        version: i16,
        timeout: Duration,
        answered: bool,
    ) -> Result<Option<Response>, CallError> {
        let gone = || Error::Unavailable("connection closed".to_owned());
        let (reply, answer) = oneshot::channel();
        let outgoing = Outgoing {
            request,
            version,
            timeout,
            answered,
            reply,
        };
        self.queue
            .send(outgoing)
            .await
            .map_err(|_| CallError::unsent(gone()))?;
        // The task answers everything it takes from the queue, unless the runtime ends.
        answer
            .await
            .unwrap_or_else(|_| Err(CallError::lost(gone())))
    }
}
