//! A stand-in with the shape of the broker, which listens and answers nothing. It goes when the
//! broker lands.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::TcpListener;

use crate::config::BrokerConfig;

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct StartError {
    address: String,
    source: std::io::Error,
}

/// Why a broker did not end cleanly.
#[derive(Debug, thiserror::Error)]
#[error("the data was not synced")]
pub struct ShutdownError;

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    listener: TcpListener,
    advertised: Option<(String, u16)>,
}

/// What a broker is started with.
#[derive(Debug, Default)]
pub struct BrokerBuilder {
    listen: String,
    advertise: Option<(String, u16)>,
}

impl Broker {
    /// A builder with the defaults.
    #[must_use]
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::default()
    }

    /// The address that is listened on.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// The address that clients are told.
    #[must_use]
    pub fn advertised(&self) -> (String, u16) {
        let own = || {
            self.local_addr()
                .map(|address| (address.ip().to_string(), address.port()))
        };
        self.advertised.clone().or_else(own).unwrap_or_default()
    }

    /// Drains and ends.
    ///
    /// # Errors
    ///
    /// None, in a stand-in.
    #[expect(clippy::unused_async, reason = "the broker's own will wait")]
    pub async fn shutdown(self) -> Result<(), ShutdownError> {
        Ok(())
    }
}

impl BrokerBuilder {
    /// Sets the configuration.
    #[must_use]
    pub fn config(self, _config: BrokerConfig) -> Self {
        self
    }

    /// Sets the data directory.
    #[must_use]
    pub fn data_dir(self, _path: impl Into<PathBuf>) -> Self {
        self
    }

    /// Sets the address to listen on.
    #[must_use]
    pub fn listen(self, address: impl Into<String>) -> Self {
        Self {
            listen: address.into(),
            ..self
        }
    }

    /// Sets the address that clients are told.
    #[must_use]
    pub fn advertise(self, address: impl AsRef<str>) -> Self {
        let address = address.as_ref().rsplit_once(':');
        let advertise =
            address.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
        Self { advertise, ..self }
    }

    /// Starts.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind.
    pub async fn start(self) -> Result<Broker, StartError> {
        let Self {
            listen,
            advertise: advertised,
        } = self;
        match TcpListener::bind(&listen).await {
            Ok(listener) => Ok(Broker {
                listener,
                advertised,
            }),
            Err(source) => Err(StartError {
                address: listen,
                source,
            }),
        }
    }
}
