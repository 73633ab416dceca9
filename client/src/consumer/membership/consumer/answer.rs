//! What the answers of the coordinator mean to a member.

use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{ConsumerGroupHeartbeatResponse, HeartbeatAssignment};
use tokio::time::Instant;

use super::{ConsumerMember, State};
use crate::consumer::membership::{Effect, has_moved, refused};
use crate::error::{Error, check};

/// The shortest time between heartbeats that a coordinator may ask for.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

impl ConsumerMember {
    pub(super) fn found_coordinator(
        &mut self,
        found: Result<i32, Error>,
        now: Instant,
        fraction: f64,
    ) {
        self.finding = false;
        match found {
            Ok(node) => self.coordinator = Some(node),
            Err(Error::Refused { code, .. }) if !code.is_retriable() => {
                self.fail(refused("FindCoordinator", code));
            }
            Err(_) => self.pause(now, fraction),
        }
    }

    pub(super) fn answered(
        &mut self,
        answer: Result<ConsumerGroupHeartbeatResponse, Error>,
        now: Instant,
        fraction: f64,
    ) {
        self.heartbeating = false;
        let joins = self.member_epoch == 0;
        match answer {
            Ok(response) if response.error_code != ErrorCode::None => {
                self.told = None;
                self.refused(&response, now, fraction);
            }
            Ok(response) if response.member_epoch > 0 => self.beaten(response, now),
            Err(error @ (Error::Unsupported(_) | Error::Invalid(_))) => self.fail(error),
            Ok(_) | Err(_) => {
                // Whether it was heard is not known: the next one says everything again.
                self.told = None;
                self.may_have_joined |= joins;
                self.coordinator = None;
                self.pause(now, fraction);
            }
        }
    }

    fn beaten(&mut self, response: ConsumerGroupHeartbeatResponse, now: Instant) {
        self.backoff.reset();
        self.may_have_joined = false;
        let interval = u64::try_from(response.heartbeat_interval_ms).unwrap_or_default();
        self.heartbeat_at = now + Duration::from_millis(interval).max(MIN_INTERVAL);
        self.member_epoch = response.member_epoch;
        if self.state == State::Joining {
            self.state = State::Stable;
        }
        if let Some(assignment) = response.assignment {
            self.assigned(&assignment, now);
        }
    }

    fn assigned(&mut self, assignment: &HeartbeatAssignment, now: Instant) {
        let topics = assignment.topic_partitions.iter();
        let partitions = topics.flat_map(|topic| {
            let numbers = topic.partitions.iter();
            numbers.map(|number| (topic.topic_id, *number))
        });
        self.target = Some(partitions.collect());
        self.acknowledge = true;
        self.reconcile(now);
        self.forget_names();
        if !self.unnamed().is_empty() {
            self.effects.push(Effect::NameTopics);
        }
    }

    fn refused(&mut self, response: &ConsumerGroupHeartbeatResponse, now: Instant, fraction: f64) {
        let code = response.error_code;
        match code {
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId => self.fence(now, fraction),
            // Since its session ended the group has gone on as a classic one, or was deleted.
            ErrorCode::GroupIdNotFound if self.member_epoch > 0 => self.fence(now, fraction),
            ErrorCode::UnreleasedInstanceId if !self.may_have_joined => {
                self.instance_is_taken("still belongs to another member, which has to leave first");
            }
            ErrorCode::FencedInstanceId => {
                self.instance_is_taken("was taken over by another member");
            }
            code if has_moved(code) => {
                self.coordinator = None;
                self.pause(now, fraction);
            }
            // It may be this member itself, whose first answer was lost, until its session ends.
            ErrorCode::UnreleasedInstanceId => self.pause(now, fraction),
            code if code.is_retriable() => self.pause(now, fraction),
            code => {
                let message = response.error_message.as_deref();
                let error = check("ConsumerGroupHeartbeat", code, message).err();
                self.fail(error.unwrap_or(Error::Closed));
            }
        }
    }

    /// The group goes on without this member, which joins again as a new one.
    fn fence(&mut self, now: Instant, fraction: f64) {
        self.reset();
        self.state = State::Joining;
        self.pause(now, fraction);
    }

    fn instance_is_taken(&mut self, how: &str) {
        let instance = self.options.group_instance_id.as_deref();
        let text = format!("group.instance.id {} {how}", instance.unwrap_or_default());
        // There is nothing to leave.
        self.reset();
        self.fail(Error::Fenced(text));
    }

    /// A commit of `member_epoch` told that this is not the member's any more.
    pub(super) fn committed(
        &mut self,
        member_epoch: i32,
        code: ErrorCode,
        now: Instant,
        fraction: f64,
    ) {
        if member_epoch != self.member_epoch || member_epoch <= 0 {
            return;
        }
        match code {
            // The next answer brings the new one.
            ErrorCode::StaleMemberEpoch => self.heartbeat_at = self.heartbeat_at.min(now),
            ErrorCode::UnknownMemberId
            | ErrorCode::FencedMemberEpoch
            | ErrorCode::IllegalGeneration => self.fence(now, fraction),
            ErrorCode::FencedInstanceId => {
                self.instance_is_taken("was taken over by another member");
            }
            _ => {}
        }
    }

    fn pause(&mut self, now: Instant, fraction: f64) {
        self.retry_at = Some(now + self.backoff.next(fraction));
    }
}
