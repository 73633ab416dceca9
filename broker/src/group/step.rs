//! One event being handled: what rules may read and where their effects go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::timer::Timers;
use super::topics::TopicImage;
use super::{Command, Effects, GroupConfig, GroupOverrides, GroupRecord, Now, Reply, Token};

pub(super) struct Step<'a> {
    pub(super) config: &'a GroupConfig,
    pub(super) topics: &'a TopicImage,
    pub(super) settings: &'a HashMap<Arc<str>, GroupOverrides>,
    pub(super) now: Now,
    pub(super) timers: &'a mut Timers,
    pub(super) parked: &'a mut HashMap<Token, (Arc<str>, Arc<str>)>,
    pub(super) effects: &'a mut Effects,
}

impl Step<'_> {
    /// Answers a request, parked or not.
    pub(super) fn reply(&mut self, token: Token, reply: Reply) {
        self.parked.remove(&token);
        self.effects.replies.push((token, reply));
    }

    pub(super) fn record(&mut self, record: GroupRecord) {
        self.effects.records.push(record);
    }

    pub(super) fn command(&mut self, command: Command) {
        self.effects.commands.push(command);
    }

    /// What holds for the members of the consumer protocol of a group.
    pub(super) fn settings(&self, group_id: &str) -> Settings {
        let own = self.settings.get(group_id).copied().unwrap_or_default();
        let Self { config, .. } = self;
        Settings {
            session_timeout: own
                .session_timeout
                .unwrap_or(config.consumer_session_timeout),
            heartbeat_interval: own
                .heartbeat_interval
                .unwrap_or(config.consumer_heartbeat_interval),
        }
    }

    pub(super) fn after(&self, delay: Duration) -> Duration {
        self.now.monotonic.saturating_add(delay)
    }
}

/// See [`Step::settings`].
pub(super) struct Settings {
    pub(super) session_timeout: Duration,
    pub(super) heartbeat_interval: Duration,
}
