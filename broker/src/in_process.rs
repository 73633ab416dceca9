//! The way in without a socket: requests and answers are handed over as they are.
//!
//! Shell. What a connection over TCP refuses when it decodes is refused here too; limits that
//! guard against other programs do not apply within one.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use ottla_protocol::StrBytes;
use ottla_protocol::message::{Request, Response};
use ottla_protocol::service::{self, Connection, Service};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::core::Core;
use crate::service::{Answer, Context, Pending, call};

/// What groups show as the address of a member in the broker's own process.
const CLIENT_HOST: &str = "in-process";

/// A broker as clients in the same process reach it. Made by
/// [`Broker::in_process`](crate::Broker::in_process); cheap to clone. It does not keep the broker
/// alive: when that is dropped or shut down, connecting fails and answers that are waited for
/// become errors.
#[derive(Clone)]
pub struct InProcess {
    core: Weak<Core>,
    /// Cancelled when the broker is gone.
    stop: CancellationToken,
    /// The calls that an orderly stop waits for.
    calls: TaskTracker,
}

impl InProcess {
    pub(crate) fn new(core: &Arc<Core>, stop: CancellationToken, calls: TaskTracker) -> Self {
        Self {
            core: Arc::downgrade(core),
            stop,
            calls,
        }
    }

    fn core(&self) -> io::Result<Arc<Core>> {
        let core = self.core.upgrade();
        core.filter(|core| !core.draining.is_cancelled() && !self.stop.is_cancelled())
            .ok_or_else(stopped)
    }

    /// Applies a request.
    fn apply(&self, request: Request, context: &Context) -> io::Result<Pending> {
        let core = self.core()?;
        let api = request.api_key().api();
        if !api.served || !api.supports(context.api_version) {
            let (name, version) = (api.key.name(), context.api_version);
            let reason = format!("version {version} of {name} is not served");
            return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
        }
        catch_unwind(AssertUnwindSafe(|| call(&core, context, request))).map_err(|_| internal())
    }
}

impl Service for InProcess {
    fn connect(&self) -> io::Result<Box<dyn Connection>> {
        self.core()?;
        Ok(Box::new(self.clone()))
    }
}

impl Connection for InProcess {
    fn call(&self, request: Request, api_version: i16, client_id: &StrBytes) -> service::Answer {
        let context = Context {
            api_version,
            client_id: client_id.clone(),
            local: None,
            client_host: StrBytes::from_static(CLIENT_HOST),
        };
        // Before anything is done: an orderly stop waits for what it has counted.
        let counted = self.calls.token();
        match self.apply(request, &context) {
            Ok(pending) => Box::pin(answer(pending, self.stop.clone(), counted)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

/// Waits for the answer or the end of the broker. `_counted` lets an orderly stop wait for it.
async fn answer(
    pending: Pending,
    stop: CancellationToken,
    _counted: TaskTrackerToken,
) -> io::Result<Option<Response>> {
    tokio::select! {
        biased;
        answer = AssertUnwindSafe(pending).catch_unwind() => match answer {
            Ok(Answer::Reply(response)) => Ok(Some(response)),
            Ok(Answer::Nothing) => Ok(None),
            Ok(Answer::Close(reason)) => {
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, reason))
            }
            Err(_) => Err(internal()),
        },
        () = stop.cancelled() => Err(stopped()),
    }
}

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the broker has stopped")
}

fn internal() -> io::Error {
    tracing::error!("request ended by an internal error");
    io::Error::other("the request was ended by an internal error of the broker")
}
