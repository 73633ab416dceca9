//! The broker's configuration as it is now: what it was started with and what clients set since.
//!
//! Shell. The catalog decides what may be set and makes it durable.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::catalog::ConfigScope;
use crate::config::{BrokerConfig, GroupOverrides};

/// See the module.
pub(crate) struct LiveConfig {
    started: Arc<BrokerConfig>,
    state: RwLock<State>,
}

struct State {
    cluster: BTreeMap<String, String>,
    broker: BTreeMap<String, String>,
    /// By group, without groups for which nothing is set.
    groups: BTreeMap<String, BTreeMap<String, String>>,
    now: Arc<BrokerConfig>,
}

impl LiveConfig {
    /// Nothing was set by clients.
    pub(crate) fn new(started: Arc<BrokerConfig>) -> Self {
        let state = State {
            cluster: BTreeMap::new(),
            broker: BTreeMap::new(),
            groups: BTreeMap::new(),
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

    /// What clients have set for each group.
    pub(crate) fn groups(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        self.state.read().groups.clone()
    }

    /// What clients have set for a group.
    pub(crate) fn group(&self, group_id: &str) -> BTreeMap<String, String> {
        let state = self.state.read();
        state.groups.get(group_id).cloned().unwrap_or_default()
    }

    /// Replaces what clients have set for a group, and tells what that means.
    pub(crate) fn set_group(
        &self,
        group_id: String,
        entries: BTreeMap<String, String>,
    ) -> GroupOverrides {
        let overrides = self.overrides(&group_id, &entries);
        let mut state = self.state.write();
        if entries.is_empty() {
            state.groups.remove(&group_id);
        } else {
            state.groups.insert(group_id, entries);
        }
        overrides
    }

    /// What is set for each group, as groups understand it.
    pub(crate) fn group_overrides(&self) -> HashMap<Arc<str>, GroupOverrides> {
        let overrides = |(group_id, entries): (String, BTreeMap<String, String>)| {
            let overrides = self.overrides(&group_id, &entries);
            (Arc::from(group_id), overrides)
        };
        self.groups().into_iter().map(overrides).collect()
    }

    fn overrides(&self, group_id: &str, entries: &BTreeMap<String, String>) -> GroupOverrides {
        // They were checked when they were set; perhaps beside other limits at the start.
        GroupOverrides::from_entries(entries, &self.started).unwrap_or_else(|error| {
            tracing::error!(group = group_id, %error, "the settings of the group are not used");
            GroupOverrides::default()
        })
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
