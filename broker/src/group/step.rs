//! One event being handled: what rules may read and where their effects go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::timer::Timers;
use super::{Command, Effects, GroupConfig, GroupRecord, Now, Reply, Token};

pub(super) struct Step<'a> {
    pub(super) config: &'a GroupConfig,
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

    pub(super) fn after(&self, delay: Duration) -> Duration {
        self.now.monotonic.saturating_add(delay)
    }
}
