//! The coordinator under the contract of logged machines.

use std::time::Duration;

use super::{Command, Event, GroupCoordinator, GroupRecord, Reply};
use crate::env::Now;
use crate::machine::{Effects, Machine, Never, Token};
use crate::record_codec::{EncodedRecord, RecordError};

impl From<super::Effects> for Effects<GroupRecord, Reply, Command> {
    fn from(effects: super::Effects) -> Self {
        let super::Effects {
            records,
            replies,
            commands,
        } = effects;
        Self {
            records,
            replies,
            commands,
            ..Self::default()
        }
    }
}

impl Machine for GroupCoordinator {
    type Event = Event;
    type Record = GroupRecord;
    type Reply = Reply;
    type Command = Command;
    type Attachment = Never;

    fn handle(&mut self, event: Event, now: Now) -> Effects<GroupRecord, Reply, Command> {
        self.handle(event, now).into()
    }

    fn abandoned(token: Token) -> Option<Event> {
        Some(Event::Abandoned(token))
    }

    fn tick(&mut self, now: Now) -> Effects<GroupRecord, Reply, Command> {
        self.handle(Event::Tick, now).into()
    }

    fn deadline(&self) -> Option<Duration> {
        self.deadline()
    }

    fn replay(&mut self, record: GroupRecord) {
        self.replay(record);
    }

    fn loaded(&mut self, now: Now) -> Effects<GroupRecord, Reply, Command> {
        self.loaded(now).into()
    }

    fn snapshot(&self) -> Vec<GroupRecord> {
        self.snapshot()
    }

    fn encode(record: &GroupRecord) -> Result<EncodedRecord, RecordError> {
        record.encode()
    }

    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<GroupRecord, RecordError> {
        GroupRecord::decode(key, value)
    }
}
