//! Shell. Connections to the brokers of a cluster, and what is known of it.
//!
//! Connections are kept per broker and lane. A lane is a producer, a fetcher or a member of a
//! group: brokers answer a connection in order, so a fetch that waits would hold up the rest.

mod pool;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ottla_protocol::message::{
    FindCoordinatorRequest, MetadataRequest, MetadataRequestTopic, RequestMessage,
};
use parking_lot::RwLock;
use tokio::time::Instant;
use uuid::Uuid;

use crate::config::ClientConfig;
use crate::connection::Connection;
use crate::env::Env;
use crate::error::{CallError, Error, check};
use crate::metadata::{Leader, Metadata, TopicPartition};
use crate::retry::{Attempt, Backoff, retry};
use crate::transport::{Endpoint, Transport};
use pool::Pool;

/// Topics of which metadata is kept. Beyond, what was learned first is forgotten on a refresh.
const MAX_TOPICS: usize = 100_000;

/// A line of its own to every broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Lane(u64);

impl Lane {
    /// For requests that are answered at once.
    pub(crate) const GENERAL: Self = Self(0);
}

/// Which topics to ask about.
#[derive(Debug, Clone)]
pub(crate) enum Topics {
    All,
    Named(BTreeSet<Arc<str>>),
    /// By their ids; a broker does not take names beside them.
    Identified(BTreeSet<Uuid>),
}

impl Topics {
    /// Asks about the brokers only.
    pub(crate) fn none() -> Self {
        Self::Named(BTreeSet::new())
    }
}

/// What a broker coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coordinated<'a> {
    /// A consumer group, by its id.
    Group(&'a str),
    /// The transactions of a `transactional.id`.
    Transaction(&'a str),
}

/// The cluster, shared by all parts of a client.
pub(crate) struct Cluster {
    pub(crate) config: ClientConfig,
    pub(crate) env: Env,
    pool: Pool,
    metadata: RwLock<Arc<Metadata>>,
    /// Held while metadata is asked for; the number counts answers.
    refreshing: tokio::sync::Mutex<()>,
    refreshed: AtomicU64,
    lanes: AtomicU64,
}

impl Cluster {
    pub(crate) fn new(
        config: ClientConfig,
        env: Env,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, Error> {
        config.validate()?;
        let servers = config.bootstrap_servers.0.iter();
        let bootstrap: Vec<Endpoint> = servers.filter_map(|server| server.parse().ok()).collect();
        if bootstrap.is_empty() {
            return Err(Error::Invalid("bootstrap.servers is empty".to_owned()));
        }
        Ok(Self {
            pool: Pool::new(&config, env.clone(), transport, bootstrap),
            config,
            env,
            metadata: RwLock::default(),
            refreshing: tokio::sync::Mutex::default(),
            refreshed: AtomicU64::new(0),
            lanes: AtomicU64::new(1),
        })
    }

    pub(crate) fn metadata(&self) -> Arc<Metadata> {
        Arc::clone(&self.metadata.read())
    }

    pub(crate) fn new_lane(&self) -> Lane {
        Lane(self.lanes.fetch_add(1, Ordering::Relaxed))
    }

    /// Closes the connections of a lane once they are idle.
    pub(crate) fn close_lane(&self, lane: Lane) {
        self.pool.close_lane(lane);
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.config.retry_backoff, self.config.retry_backoff_max)
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.env.now() + self.config.default_api_timeout
    }

    /// Repeats `attempt` as [`retry`] does, with this client's pauses.
    pub(crate) async fn retry<T, F, Fut>(
        &self,
        operation: &'static str,
        deadline: Instant,
        attempt: F,
    ) -> Result<T, Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Attempt>>,
    {
        retry(&self.env, operation, self.backoff(), deadline, attempt).await
    }

    /// A connection to the broker with this id.
    pub(crate) async fn node(&self, node_id: i32, lane: Lane) -> Result<Connection, CallError> {
        let endpoint = self.metadata().brokers.get(&node_id).cloned();
        let endpoint = endpoint.ok_or_else(|| {
            CallError::unsent(Error::Unavailable(format!("broker {node_id} is not known")))
        })?;
        self.pool
            .get(Some(node_id), lane, &endpoint)
            .await
            .map_err(CallError::unsent)
    }

    /// One request to one broker, in the newest common version up to `cap`.
    pub(crate) async fn call<R: RequestMessage>(
        &self,
        node_id: i32,
        lane: Lane,
        request: R,
        cap: i16,
        timeout: Duration,
    ) -> Result<R::Response, CallError> {
        let connection = self.node(node_id, lane).await?;
        connection.call(request, cap, timeout).await
    }

    /// One request to any broker.
    pub(crate) async fn call_any<R: RequestMessage>(
        &self,
        request: R,
        cap: i16,
    ) -> Result<R::Response, Error> {
        let connection = self.any().await?;
        let timeout = self.config.request_timeout;
        connection
            .call(request, cap, timeout)
            .await
            .map_err(|error| error.error)
    }

    /// One request to the controller, which in a cluster of one is the only broker.
    pub(crate) async fn call_controller<R: RequestMessage>(
        &self,
        request: R,
        cap: i16,
    ) -> Result<R::Response, Error> {
        let timeout = self.config.request_timeout;
        match self.metadata().controller_id {
            Some(id) if self.metadata().brokers.contains_key(&id) => {
                let answer = self.call(id, Lane::GENERAL, request, cap, timeout).await;
                answer.map_err(|error| error.error)
            }
            _ => self.call_any(request, cap).await,
        }
    }

    /// A connection to a broker that can be reached: one that is known, else a bootstrap server.
    async fn any(&self) -> Result<Connection, Error> {
        let mut last = Error::Unavailable("no broker is known".to_owned());
        let known = self.metadata().brokers.clone();
        let known = known.into_iter().map(|(id, endpoint)| (Some(id), endpoint));
        let first = self.pool.bootstrap().map(|endpoint| (None, endpoint));
        for (id, endpoint) in known.chain(first) {
            match self.pool.get(id, Lane::GENERAL, &endpoint).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Asks for metadata once. Concurrent callers share an answer that was asked for after they
    /// came, if it is about their topics.
    pub(crate) async fn refresh(&self, topics: &Topics, create: bool) -> Result<(), Error> {
        let seen = self.refreshed.load(Ordering::Acquire);
        let _guard = self.refreshing.lock().await;
        if self.refreshed.load(Ordering::Acquire) > seen && self.covers(topics) {
            return Ok(());
        }
        let asked = match topics {
            Topics::All => None,
            Topics::Named(names) => Some(
                names
                    .iter()
                    .map(|name| MetadataRequestTopic {
                        name: Some((&**name).into()),
                        ..MetadataRequestTopic::default()
                    })
                    .collect(),
            ),
            Topics::Identified(ids) => Some(
                ids.iter()
                    .map(|topic_id| MetadataRequestTopic {
                        topic_id: *topic_id,
                        name: None,
                    })
                    .collect(),
            ),
        };
        let request = MetadataRequest {
            topics: asked,
            allow_auto_topic_creation: create,
            ..MetadataRequest::default()
        };
        let response = self.call_any(request, i16::MAX).await?;
        check("Metadata", response.error_code, None)?;
        let mut metadata = Metadata::clone(&self.metadata());
        if matches!(topics, Topics::All) {
            metadata.topics.retain(|name, _| {
                response
                    .topics
                    .iter()
                    .any(|topic| topic.name.as_deref() == Some(name))
            });
        }
        metadata.update(&response, self.env.now());
        while metadata.topics.len() > MAX_TOPICS {
            metadata.topics.pop_first();
        }
        while metadata.errors.len() > MAX_TOPICS {
            metadata.errors.pop_first();
        }
        *self.metadata.write() = Arc::new(metadata);
        self.refreshed.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn covers(&self, topics: &Topics) -> bool {
        let Topics::Named(names) = topics else {
            return false;
        };
        let metadata = self.metadata();
        names.iter().all(|name| metadata.topics.contains_key(name))
    }

    /// Whether what is known of a topic is too old to rely on, or nothing.
    pub(crate) fn is_stale(&self, topic: &str) -> bool {
        let metadata = self.metadata();
        let known = metadata.topics.get(topic);
        known.is_none_or(|topic| topic.as_of + self.config.metadata_max_age <= self.env.now())
    }

    /// Another one for each answer about topics.
    pub(crate) fn version(&self) -> u64 {
        self.refreshed.load(Ordering::Acquire)
    }

    /// How many partitions a topic has, asking until `deadline` if that is not known.
    pub(crate) async fn partition_count(
        &self,
        topic: &Arc<str>,
        create: bool,
        deadline: Instant,
    ) -> Result<usize, Error> {
        let count = || {
            let metadata = self.metadata();
            metadata
                .topics
                .get(topic)
                .map(|topic| topic.leaders.len())
                .filter(|n| *n > 0)
        };
        if let Some(count) = count().filter(|_| !self.is_stale(topic)) {
            return Ok(count);
        }
        let names = Topics::Named([Arc::clone(topic)].into());
        self.retry("Metadata", deadline, || async {
            self.refresh(&names, create).await?;
            let code = self.metadata().errors.get(topic).copied();
            check(
                "Metadata",
                code.unwrap_or(ottla_protocol::ErrorCode::None),
                None,
            )?;
            count().ok_or_else(|| Attempt::Again(Error::Unavailable("no partitions".to_owned())))
        })
        .await
    }

    /// Who leads a partition, asking until `deadline` if that is not known.
    pub(crate) async fn leader(
        &self,
        partition: &TopicPartition,
        deadline: Instant,
    ) -> Result<Leader, Error> {
        if let Some(leader) = self.metadata().leader(partition) {
            return Ok(leader);
        }
        let names = Topics::Named([Arc::clone(&partition.topic)].into());
        self.retry("Metadata", deadline, || async {
            self.refresh(&names, false).await?;
            let code = self.metadata().errors.get(&partition.topic).copied();
            check(
                "Metadata",
                code.unwrap_or(ottla_protocol::ErrorCode::None),
                None,
            )?;
            self.metadata().leader(partition).ok_or_else(|| {
                Attempt::Again(Error::Unavailable(format!("{partition} has no leader")))
            })
        })
        .await
    }

    /// Asks once which broker coordinates a group, and makes it known by its id.
    pub(crate) async fn find_coordinator(&self, group: &str) -> Result<i32, Error> {
        self.find_coordinator_of(Coordinated::Group(group)).await
    }

    /// Asks once which broker coordinates something, and makes it known by its id.
    pub(crate) async fn find_coordinator_of(&self, of: Coordinated<'_>) -> Result<i32, Error> {
        let (key_type, key) = match of {
            Coordinated::Group(group) => (0, group),
            Coordinated::Transaction(id) => (1, id),
        };
        let request = FindCoordinatorRequest {
            key: key.into(),
            key_type,
            coordinator_keys: vec![key.into()],
        };
        let response = self.call_any(request, 5).await?;
        let (code, node_id, host, port) = match response.coordinators.into_iter().next() {
            Some(found) => (found.error_code, found.node_id, found.host, found.port),
            None => (
                response.error_code,
                response.node_id,
                response.host,
                response.port,
            ),
        };
        check("FindCoordinator", code, None)?;
        let port = u16::try_from(port).map_err(|_| Error::Corrupt("port".to_owned()))?;
        let endpoint = Endpoint {
            host: host.to_string(),
            port,
        };
        if self.metadata().brokers.get(&node_id) != Some(&endpoint) {
            let mut metadata = self.metadata.write();
            Arc::make_mut(&mut metadata)
                .brokers
                .insert(node_id, endpoint);
        }
        Ok(node_id)
    }
}
