//! The broker's configuration as it is now: what it was started with and what clients set since.
//!
//! Shell. The catalog decides what may be set and makes it durable.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::catalog::ConfigScope;
use crate::config::BrokerConfig;

/// See the module.
pub(crate) struct LiveConfig {
    started: Arc<BrokerConfig>,
    state: RwLock<State>,
}

struct State {
    cluster: BTreeMap<String, String>,
    broker: BTreeMap<String, String>,
    now: Arc<BrokerConfig>,
}

impl LiveConfig {
    /// Nothing was set by clients.
    pub(crate) fn new(started: Arc<BrokerConfig>) -> Self {
        let state = State {
            cluster: BTreeMap::new(),
            broker: BTreeMap::new(),
            now: Arc::clone(&started),
        };
        Self {
            started,
            state: RwLock::new(state),
        }
    }

    /// What holds now.
    pub(crate) fn get(&self) -> Arc<BrokerConfig> {
        Arc::clone(&self.state.read().now)
    }

    /// What the broker was started with.
    pub(crate) fn started(&self) -> &Arc<BrokerConfig> {
        &self.started
    }

    /// Replaces what clients have set for `scope`. What is set for another broker is kept by the
    /// catalog, in case this one is started under that id.
    pub(crate) fn set(&self, scope: ConfigScope, entries: BTreeMap<String, String>) {
        let mut state = self.state.write();
        match scope {
            ConfigScope::Cluster => state.cluster = entries,
            ConfigScope::Broker(id) if id == self.started.node_id => state.broker = entries,
            ConfigScope::Broker(_) => return,
        }
        match self.started.with_dynamic(&state.cluster, &state.broker) {
            Ok(config) => state.now = Arc::new(config),
            // They were checked when they were set; perhaps by a program that knew more settings,
            // or beside other settings at the start.
            Err(error) => tracing::error!(%error, "the settings of clients are not used"),
        }
    }
}
