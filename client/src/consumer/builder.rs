//! How a consumer is made.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::budget::Budget;
use super::chunk::Reading;
use super::membership::{ClassicMember, ConsumerMember, Identity, Membership, Options};
use super::partition::Find;
use super::progress::Progress;
use super::state::{State, Subscription};
use super::{Consumer, ConsumerInterceptor, Lanes, Shared};
use crate::client::Client;
use crate::cluster::Cluster;
use crate::config::{ConsumerConfig, GroupProtocol};
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::telemetry::ConsumerTelemetry;

/// What to read from the start.
enum Start {
    Nothing,
    Topics(BTreeSet<Arc<str>>),
    Pattern(String),
    Partitions(BTreeSet<TopicPartition>),
}

/// How a consumer is made. Made by [`Client::consumer`] and [`Client::reader`].
#[must_use]
pub struct ConsumerBuilder {
    client: Client,
    config: ConsumerConfig,
    start: Start,
    interceptors: Vec<Box<dyn ConsumerInterceptor>>,
}

impl ConsumerBuilder {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            config: client.consumer_config().clone(),
            client,
            start: Start::Nothing,
            interceptors: Vec::new(),
        }
    }

    pub(crate) fn group_id(mut self, group_id: String) -> Self {
        self.config.group_id = Some(group_id);
        self
    }

    /// Changes settings, beginning with those that the client gives its consumers.
    pub fn with(mut self, change: impl FnOnce(ConsumerConfig) -> ConsumerConfig) -> Self {
        self.config = change(self.config);
        self
    }

    /// Reads these topics, divided with the other members of the group.
    pub fn subscribe<T: Into<Arc<str>>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.start = Start::Topics(topics.into_iter().map(Into::into).collect());
        self
    }

    /// Reads all topics whose whole names match this regular expression, divided with the other
    /// members of the group.
    ///
    /// With the classic protocol the client looks for topics and finds those that come later
    /// within `metadata.max.age.ms`. With the consumer protocol the broker does, by the syntax of
    /// RE2; what is no pattern ends the consumer with [`Error::Refused`], and
    /// `exclude.internal.topics` has no effect.
    pub fn subscribe_pattern(mut self, pattern: impl Into<String>) -> Self {
        self.start = Start::Pattern(pattern.into());
        self
    }

    /// Reads these partitions, whatever others read.
    pub fn assign(mut self, partitions: impl IntoIterator<Item = TopicPartition>) -> Self {
        self.start = Start::Partitions(partitions.into_iter().collect());
        self
    }

    /// Lets this look on; several do so in the order in which they were added.
    pub fn interceptor(mut self, interceptor: impl ConsumerInterceptor + 'static) -> Self {
        self.interceptors.push(Box::new(interceptor));
        self
    }

    /// Starts the consumer. It joins its group in the background.
    ///
    /// # Errors
    /// [`Error::Config`] for settings that contradict each other; [`Error::Invalid`] for
    /// subscribing without a group or, with the classic protocol, to what is no regular expression.
    ///
    /// # Cancel safety
    /// Dropping it starts nothing.
    #[expect(
        clippy::unused_async,
        reason = "as the other parts of a client are built"
    )]
    pub async fn build(self) -> Result<Consumer, Error> {
        let config = self.config;
        config.validate()?;
        let cluster = Arc::clone(self.client.cluster());
        let now = cluster.env.now();
        let membership = membership(&config, &cluster, now);
        let is_group = membership.is_some();
        let progress = Progress::new(config.max_poll_interval, config.max_poll_extension, now);
        let mut state = State::new(membership, progress, is_group && config.enable_auto_commit);
        match self.start {
            Start::Nothing => {}
            Start::Topics(_) | Start::Pattern(_) if !is_group => {
                return Err(Error::Invalid("subscribing needs a group.id".to_owned()));
            }
            Start::Topics(topics) => state.subscribe(Subscription::Topics(topics)),
            Start::Pattern(pattern) => {
                state.subscribe(Subscription::pattern(&pattern, config.group_protocol)?);
            }
            Start::Partitions(partitions) => {
                state.subscribe(Subscription::Assigned);
                for partition in partitions {
                    state.add(partition, Find::Committed);
                }
            }
        }
        let (driver, application) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let waiters = [Arc::clone(&driver), Arc::clone(&application)];
        let telemetry =
            ConsumerTelemetry::new(&cluster.config.client_id, config.group_id.as_deref());
        let shared = Arc::new(Shared {
            lanes: Lanes::new(&cluster),
            reading: Reading {
                budget: Budget::new(config.buffer_memory, waiters),
                check_crcs: config.check_crcs,
            },
            config,
            cluster,
            interceptors: self.interceptors,
            telemetry,
            state: Mutex::new(state),
            coordinator: Mutex::default(),
            driver,
            application,
            ended: watch::Sender::new(false),
        });
        Ok(Consumer::start(shared))
    }
}

/// The member that these settings make, if they name a group.
fn membership(config: &ConsumerConfig, cluster: &Cluster, now: Instant) -> Option<Membership> {
    let options = Options {
        group_id: config.group_id.clone()?,
        group_instance_id: config.group_instance_id.clone(),
        rebalance_timeout: config.max_poll_interval,
        backoff: cluster.backoff(),
    };
    Some(match config.group_protocol {
        GroupProtocol::Classic => {
            let strategies = config.assignment_strategy.0.clone();
            let interval = config.heartbeat_interval;
            Membership::Classic(ClassicMember::new(options, interval, strategies, now))
        }
        GroupProtocol::Consumer => {
            let rack = &config.client_rack;
            let identity = Identity {
                member_id: cluster.env.uuid().to_string(),
                rack_id: (!rack.is_empty()).then(|| rack.clone()),
                assignor: config.group_remote_assignor.clone(),
            };
            Membership::Consumer(ConsumerMember::new(options, identity, now))
        }
    })
}
