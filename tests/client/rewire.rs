//! Connections that are not as they should be: a transport around that of the stage.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut as _, BytesMut};
use ottla_client::transport::{
    BoxFuture, Direct, Endpoint, InProcess, Link, Service, Tcp, Transport,
};
use ottla_protocol::message::{ApiVersionsResponse, Request, Response};
use ottla_protocol::service::Answer;
use ottla_protocol::{ApiKey, StrBytes, decode_response, encode_response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use crate::stage::Place;

/// Bytes that fit between the client and what stands in its way.
const PIPE: usize = 1 << 20;

/// What stands in the way.
#[derive(Clone)]
pub enum Fault {
    /// The broker does not say which features are in force.
    NoFeatures,
    /// The connection breaks in place of the answer to this request to this API, counted over all connections. The
    /// request has been applied.
    Break(ApiKey, Vec<usize>, Arc<AtomicUsize>),
}

impl Fault {
    /// Breaks the connections that carry these requests to `key`, counted from 0.
    pub fn break_at(key: ApiKey, numbers: impl IntoIterator<Item = usize>) -> Self {
        Self::Break(key, numbers.into_iter().collect(), Arc::default())
    }

    /// Whether the connection breaks at this request.
    fn breaks(&self, request: ApiKey) -> bool {
        match self {
            Self::Break(key, numbers, seen) if *key == request => {
                numbers.contains(&seen.fetch_add(1, Ordering::Relaxed))
            }
            _ => false,
        }
    }

    fn change(&self, response: &mut ApiVersionsResponse) {
        if let Self::NoFeatures = self {
            response.finalized_features.clear();
        }
    }
}

/// The way to the broker of a stage, with a fault.
pub fn transport(place: &Place, fault: Fault) -> Rewired {
    match place {
        Place::InProcess(broker) => {
            let service = broker.in_process();
            Rewired::InProcess(InProcess::new(Faulty { service, fault }))
        }
        Place::Address { .. } => Rewired::Tcp(fault),
    }
}

pub enum Rewired {
    InProcess(InProcess),
    Tcp(Fault),
}

impl Transport for Rewired {
    fn connect(&self, endpoint: &Endpoint) -> BoxFuture<io::Result<Link>> {
        let fault = match self {
            Self::InProcess(transport) => return transport.connect(endpoint),
            Self::Tcp(fault) => fault.clone(),
        };
        let connect = Tcp.connect(endpoint);
        Box::pin(async move {
            let Link::Bytes(broker) = connect.await? else {
                return Err(io::ErrorKind::Unsupported.into());
            };
            let (client, ours) = duplex(PIPE);
            tokio::spawn(async move {
                // Either end may go at any time; then the other goes too.
                let _ = relay(ours, broker, &fault).await;
            });
            Ok(Link::Bytes(Box::new(client)))
        })
    }
}

/// Carries frames to and fro until one side closes or the fault strikes. One request at a time, as a broker would.
async fn relay(
    mut client: DuplexStream,
    mut broker: Box<dyn ottla_client::transport::ByteStream>,
    fault: &Fault,
) -> io::Result<()> {
    loop {
        let request = frame(&mut client).await?;
        broker.write_all(&request).await?;
        let key = ApiKey::try_from(i16::from_be_bytes([request[4], request[5]])).unwrap();
        let version = i16::from_be_bytes([request[6], request[7]]);
        let response = frame(&mut broker).await?;
        if fault.breaks(key) {
            return Ok(());
        }
        let response = match key {
            ApiKey::ApiVersions => changed(response, version, fault),
            _ => response,
        };
        client.write_all(&response).await?;
    }
}

async fn frame(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<BytesMut> {
    let len = stream.read_i32().await?;
    let mut frame = BytesMut::new();
    frame.put_i32(len);
    frame.resize(4 + usize::try_from(len).unwrap(), 0);
    stream.read_exact(&mut frame[4..]).await?;
    Ok(frame)
}

fn changed(frame: BytesMut, version: i16, fault: &Fault) -> BytesMut {
    let decoded = decode_response(
        ApiKey::ApiVersions,
        version,
        frame.clone().freeze().slice(4..),
    );
    // A refusal of the version is in another version.
    let Ok((header, response)) = decoded else {
        return frame;
    };
    let mut response = ApiVersionsResponse::try_from(response).unwrap();
    fault.change(&mut response);
    let encoded = encode_response(&response.into(), version, header.correlation_id).unwrap();
    BytesMut::from(&encoded.into_bytes()[..])
}

/// A broker in this process that is reached through a fault.
struct Faulty<S> {
    service: S,
    fault: Fault,
}

impl<S: Service> Service for Faulty<S> {
    fn connect(&self) -> io::Result<Box<dyn Direct>> {
        Ok(Box::new(FaultyConnection {
            connection: self.service.connect()?,
            fault: self.fault.clone(),
        }))
    }
}

struct FaultyConnection {
    connection: Box<dyn Direct>,
    fault: Fault,
}

impl Direct for FaultyConnection {
    fn call(&self, request: Request, api_version: i16, client_id: &StrBytes) -> Answer {
        let breaks = self.fault.breaks(request.api_key());
        let fault = self.fault.clone();
        let answer = self.connection.call(request, api_version, client_id);
        Box::pin(async move {
            let answer = answer.await?;
            if breaks {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            Ok(answer.map(|response| match response {
                Response::ApiVersions(mut versions) => {
                    fault.change(&mut versions);
                    Response::ApiVersions(versions)
                }
                response => response,
            }))
        })
    }
}
