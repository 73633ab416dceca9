//! The seam between a client and a broker in one process: requests and answers as they are.
//!
//! Broker and client do not know each other; what both know is this. The records of a Produce
//! request and of a Fetch answer are slices of shared buffers, so handing a message over copies
//! no record and encodes nothing.

use std::future::Future;
use std::io;
use std::pin::Pin;

use crate::message::{Request, Response};
use crate::primitive::StrBytes;

/// The wait for an answer. `None` answers a request that wants no answer.
pub type Answer = Pin<Box<dyn Future<Output = io::Result<Option<Response>>> + Send>>;

/// A broker that can be reached without a socket.
pub trait Service: Send + Sync {
    /// Opens a connection.
    ///
    /// # Errors
    /// `NotConnected` when the broker has stopped or is about to.
    fn connect(&self) -> io::Result<Box<dyn Connection>>;
}

/// A connection to a broker in the same process. Dropping it closes it; answers that are waited
/// for still come.
pub trait Connection: Send + Sync {
    /// Applies `request`, made in `api_version`, before it returns; the answer only waits.
    ///
    /// The answer is an error when the connection is of no more use: the broker has stopped, or
    /// the protocol has no answer for the request. It may then have been applied all the same.
    ///
    /// # Cancel safety
    /// Dropping the answer takes nothing back that was applied.
    fn call(&self, request: Request, api_version: i16, client_id: &StrBytes) -> Answer;
}
