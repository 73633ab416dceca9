//! The way in: settings, connecting, and the handles that share one cluster.

use std::sync::Arc;

use crate::admin::Admin;
use crate::cluster::{Cluster, Topics};
use crate::config::{ClientConfig, ConsumerConfig, List, ProducerConfig, Settings};
use crate::consumer::ConsumerBuilder;
use crate::env::Env;
use crate::error::Error;
use crate::producer::ProducerBuilder;
use crate::transport::{InProcess, Service, Tcp, Transport};

/// Stands for the address of a broker in this process.
const IN_PROCESS: &str = "in-process:0";

/// How a client is made. Made by [`Client::builder`].
#[must_use]
pub struct ClientBuilder {
    settings: Settings,
    transport: Arc<dyn Transport>,
    seed: Option<u64>,
}

impl ClientBuilder {
    /// Where to ask first: one or more `host:port`, separated by commas.
    pub fn bootstrap_servers(mut self, servers: impl Into<List<String>>) -> Self {
        self.settings.client.bootstrap_servers = servers.into();
        self
    }

    /// The name that the client gives itself.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.settings.client.client_id = client_id.into();
        self
    }

    /// All settings of the client at once.
    pub fn config(mut self, config: ClientConfig) -> Self {
        self.settings.client = config;
        self
    }

    /// Properties with Kafka's names, for the client and for the producers and consumers that it
    /// will make.
    ///
    /// # Errors
    /// [`Error::Config`] for unknown names, with the nearest known one, and for bad values.
    pub fn properties<K: AsRef<str>, V: AsRef<str>>(
        mut self,
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, Error> {
        for (name, value) in properties {
            self.settings.set(name.as_ref(), value.as_ref())?;
        }
        Ok(self)
    }

    /// How brokers are reached, if not by TCP.
    pub fn transport(mut self, transport: impl Transport + 'static) -> Self {
        self.transport = Arc::new(transport);
        self
    }

    /// Reaches a broker in this process, without a socket: pass what the broker gives for it. The
    /// bootstrap servers are not used then.
    pub fn in_process(mut self, broker: impl Service + 'static) -> Self {
        self.settings.client.bootstrap_servers = IN_PROCESS.into();
        self.transport(InProcess::new(broker))
    }

    /// Takes randomness from a seed and wall-clock time from tokio's clock.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Asks the cluster for its brokers, so that a client that is returned has been connected.
    ///
    /// # Errors
    /// [`Error::Config`] or [`Error::Invalid`] for settings that cannot be used,
    /// [`Error::Timeout`] when no broker answered within `default.api.timeout.ms`.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    pub async fn connect(self) -> Result<Client, Error> {
        let env = self.seed.map_or_else(Env::system, Env::seeded);
        let cluster = Arc::new(Cluster::new(
            self.settings.client.clone(),
            env,
            self.transport,
        )?);
        cluster
            .retry("connecting", cluster.deadline(), || async {
                Ok(cluster.refresh(&Topics::none(), false).await?)
            })
            .await?;
        Ok(Client {
            cluster,
            settings: Arc::new(self.settings),
        })
    }
}

/// A client of one cluster. Cheap to clone; clones share connections and metadata.
#[derive(Clone)]
pub struct Client {
    cluster: Arc<Cluster>,
    settings: Arc<Settings>,
}

impl Client {
    /// A builder with the default settings.
    pub fn builder() -> ClientBuilder {
        ClientBuilder {
            settings: Settings::default(),
            transport: Arc::new(Tcp),
            seed: None,
        }
    }

    /// The effective settings, as properties.
    #[must_use]
    pub fn explain(&self) -> String {
        self.settings.client.explain()
    }

    /// A producer, with the client's settings for producers unless it is told otherwise.
    pub fn producer(&self) -> ProducerBuilder {
        ProducerBuilder::new(self.clone())
    }

    /// A consumer that is a member of this group, with the client's settings for consumers unless
    /// it is told otherwise.
    pub fn consumer(&self, group_id: impl Into<String>) -> ConsumerBuilder {
        self.reader().group_id(group_id.into())
    }

    /// A consumer as the client's settings say: without a group, unless they have a `group.id`.
    pub fn reader(&self) -> ConsumerBuilder {
        ConsumerBuilder::new(self.clone())
    }

    /// A handle for administration.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    pub(crate) fn consumer_config(&self) -> &ConsumerConfig {
        &self.settings.consumer
    }

    pub(crate) fn producer_config(&self) -> &ProducerConfig {
        &self.settings.producer
    }
}
