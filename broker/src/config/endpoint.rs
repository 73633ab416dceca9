//! Pure. Addresses as `listeners` and `advertised.listeners` give them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A name or an IP address, without brackets. Empty for every address of the machine.
    pub host: String,
    /// The port; 0 for one that the system chooses.
    pub port: u16,
}

impl Endpoint {
    /// Whether this is every address of the machine, to which no client can connect.
    #[must_use]
    pub fn is_unspecified(&self) -> bool {
        self.host.is_empty()
            || self
                .host
                .parse()
                .is_ok_and(|ip: IpAddr| ip.is_unspecified())
    }

    /// The address to bind, which is never without a host: an empty one becomes `0.0.0.0`.
    #[must_use]
    pub fn to_bind(&self) -> String {
        if self.host.is_empty() {
            format!("0.0.0.0:{}", self.port)
        } else {
            self.to_string()
        }
    }
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

/// The text is not `host:port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `host:port`")]
pub struct EndpointError;

impl FromStr for Endpoint {
    type Err = EndpointError;

    /// Reads `host:port`, `[ipv6]:port` or `:port`.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (host, port) = text.rsplit_once(':').ok_or(EndpointError)?;
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(EndpointError);
        }
        let port = port.parse().map_err(|_| EndpointError)?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let host = match bracketed {
            Some(host) if host.parse::<std::net::Ipv6Addr>().is_ok() => host,
            None if host.len() <= 255 && host.chars().all(plain) => host,
            _ => return Err(EndpointError),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

/// How the names of listeners are to be understood.
pub(super) struct ListenerNames {
    /// Kafka's controllers listen there; these are passed over.
    pub(super) controllers: Vec<String>,
    /// The protocol that a name stands for.
    pub(super) protocols: BTreeMap<String, String>,
}

impl ListenerNames {
    /// Reads `NAME:PROTOCOL` pairs. The error is what a pair must be.
    pub(super) fn new(controllers: Vec<String>, pairs: &[String]) -> Result<Self, &'static str> {
        let pair = |pair: &String| {
            let (name, protocol) = pair.split_once(':')?;
            Some((name.trim().to_uppercase(), protocol.trim().to_uppercase()))
        };
        let protocols = pairs.iter().map(pair).collect::<Option<_>>();
        let protocols = protocols.ok_or("`NAME:PROTOCOL` pairs, separated by commas")?;
        Ok(Self {
            controllers,
            protocols,
        })
    }

    /// The one address for clients. The error is what the list must be.
    pub(super) fn client_endpoint(&self, listeners: &[String]) -> Result<Endpoint, &'static str> {
        let mut found = None;
        for listener in listeners {
            let (name, address) = match listener.split_once("://") {
                Some((name, address)) => (name.to_uppercase(), address),
                None => ("PLAINTEXT".to_owned(), listener.as_str()),
            };
            if self
                .controllers
                .iter()
                .any(|other| other.eq_ignore_ascii_case(&name))
            {
                continue;
            }
            if self.protocols.get(&name).unwrap_or(&name) != "PLAINTEXT" {
                return Err("`PLAINTEXT://host:port`, because there is no TLS and no \
                            authentication yet");
            }
            let endpoint = address
                .parse()
                .map_err(|_| "`host:port` or `PLAINTEXT://host:port`")?;
            if found.replace(endpoint).is_some() {
                return Err("one address, because Ottla does not listen on several yet");
            }
        }
        found.ok_or("`host:port` or `PLAINTEXT://host:port`")
    }
}
