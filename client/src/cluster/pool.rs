//! Connections by broker and lane, made when they are needed, with a pause after a failure.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use super::Lane;
use crate::config::ClientConfig;
use crate::connection::{Connection, ConnectionOptions};
use crate::env::Env;
use crate::error::Error;
use crate::retry::Backoff;
use crate::transport::{Endpoint, Transport};

type Key = (Option<i32>, Lane, Endpoint);

/// Connections that are kept; idle ones go first. Brokers times producers and consumers.
const MAX_SLOTS: usize = 4096;

/// The connection to one broker on one lane.
struct Slot {
    connection: Option<Connection>,
    backoff: Backoff,
    not_before: Option<Instant>,
}

pub(super) struct Pool {
    options: ConnectionOptions,
    fresh: Backoff,
    env: Env,
    transport: Arc<dyn Transport>,
    bootstrap: Vec<Endpoint>,
    /// The outer lock is held only to find the slot, the inner one while connecting.
    slots: Mutex<BTreeMap<Key, Arc<tokio::sync::Mutex<Slot>>>>,
}

impl Pool {
    pub(super) fn new(
        config: &ClientConfig,
        env: Env,
        transport: Arc<dyn Transport>,
        bootstrap: Vec<Endpoint>,
    ) -> Self {
        Self {
            options: ConnectionOptions {
                client_id: config.client_id.as_str().into(),
                setup_timeout: config.connection_setup_timeout,
                max_idle: config.connections_max_idle,
                receive_max_bytes: config.receive_max_bytes,
            },
            fresh: Backoff::new(config.reconnect_backoff, config.reconnect_backoff_max),
            env,
            transport,
            bootstrap,
            slots: Mutex::default(),
        }
    }

    /// The bootstrap servers, starting at a random one.
    pub(super) fn bootstrap(&self) -> impl Iterator<Item = Endpoint> {
        let mut servers = self.bootstrap.clone();
        let len = u64::try_from(servers.len()).unwrap_or(1).max(1);
        servers.rotate_left(usize::try_from(self.env.random() % len).unwrap_or(0));
        servers.into_iter()
    }

    /// The connection on this lane, made if there is none. After a failure the next attempt waits.
    pub(super) async fn get(
        &self,
        node_id: Option<i32>,
        lane: Lane,
        endpoint: &Endpoint,
    ) -> Result<Connection, Error> {
        let slot = self.slot((node_id, lane, endpoint.clone()));
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.connection.as_ref().filter(|open| !open.is_closed()) {
            return Ok(connection.clone());
        }
        slot.connection = None;
        if let Some(not_before) = slot.not_before {
            sleep_until(not_before).await;
        }
        let pause = slot.backoff.next(self.env.fraction());
        slot.not_before = Some(self.env.now() + pause);
        let connection = self.connect(endpoint).await?;
        slot.backoff.reset();
        slot.connection = Some(connection.clone());
        Ok(connection)
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, Error> {
        let unavailable = |text: String| Error::Unavailable(format!("{endpoint}: {text}"));
        let connect = self.transport.connect(endpoint);
        let link = tokio::time::timeout(self.options.setup_timeout, connect)
            .await
            .map_err(|_| unavailable("no connection in time".to_owned()))?
            .map_err(|error| unavailable(error.to_string()))?;
        Connection::open(link, self.options.clone()).await
    }

    fn slot(&self, key: Key) -> Arc<tokio::sync::Mutex<Slot>> {
        let mut slots = self.slots.lock();
        if slots.len() >= MAX_SLOTS {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        let fresh = || Slot {
            connection: None,
            backoff: self.fresh,
            not_before: None,
        };
        let slot = slots
            .entry(key)
            .or_insert_with(|| Arc::new(tokio::sync::Mutex::new(fresh())));
        Arc::clone(slot)
    }

    pub(super) fn close_lane(&self, lane: Lane) {
        self.slots.lock().retain(|(_, of, _), _| *of != lane);
    }
}
