//! Shell. How a broker is reached: TCP here; TLS and a broker in the same process go through the
//! same seam.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::str::FromStr;

use ottla_protocol::message::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A future that can be kept and sent between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    /// Reads `host:port`, or `[address]:port`.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected host:port".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let port = port.parse().map_err(|_| expected())?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        if host.is_empty() {
            return Err(expected());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

/// A connected stream of bytes.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A broker that takes requests as they are, without bytes.
pub trait Direct: Send + Sync {
    /// Applies `request` before it returns; the future only waits for the answer. `None` is the
    /// answer to a request that wants none.
    fn call(
        &self,
        request: Request,
        api_version: i16,
        client_id: &str,
    ) -> BoxFuture<io::Result<Option<Response>>>;
}

/// What a transport makes of an endpoint.
pub enum Link {
    /// Frames are written to and read from it.
    Bytes(Box<dyn ByteStream>),
    /// Requests are handed over.
    Direct(Box<dyn Direct>),
}

/// A way to reach brokers.
pub trait Transport: Send + Sync {
    /// Connects. Dropping the future abandons the attempt.
    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<io::Result<Link>>;
}

/// Plain TCP, without Nagle's delay.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Transport for Tcp {
    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<io::Result<Link>> {
        let endpoint = endpoint.clone();
        Box::pin(async move {
            let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
            stream.set_nodelay(true)?;
            Ok(Link::Bytes(Box::new(stream)))
        })
    }
}
