//! What the answers of the coordinator mean to a member.

use std::collections::BTreeSet;

use ottla_protocol::ErrorCode;
use tokio::time::Instant;

use super::{ClassicMember, Effect, State};
use crate::consumer::membership::{Failure, Joined, has_moved, refused};
use crate::error::Error;
use crate::metadata::TopicPartition;

impl ClassicMember {
    pub(super) fn found_coordinator(
        &mut self,
        found: Result<i32, Error>,
        now: Instant,
        fraction: f64,
    ) {
        self.finding = false;
        match found {
            Ok(node) => {
                self.coordinator = Some(node);
                self.backoff.reset();
            }
            Err(Error::Refused { code, .. }) if !code.is_retriable() => {
                self.fail(refused("FindCoordinator", code));
            }
            Err(_) => self.pause(now, fraction),
        }
    }

    pub(super) fn joined(
        &mut self,
        answer: Result<Joined, (Failure, Option<String>)>,
        now: Instant,
        fraction: f64,
    ) {
        let (failure, member_id) = match answer {
            Ok(joined) => {
                self.backoff.reset();
                self.generation_id = joined.generation_id;
                self.member_id = joined.member_id;
                self.is_leader = joined.is_leader;
                if joined.is_leader {
                    self.state = State::Dividing;
                    self.effects.push(Effect::Divide(self.attempt));
                } else {
                    self.sync();
                }
                return;
            }
            Err(failed) => failed,
        };
        if let (Failure::Code(ErrorCode::MemberIdRequired), Some(member_id)) = (&failure, member_id)
        {
            self.member_id = member_id;
            self.state = State::Unjoined;
            return;
        }
        self.failed("JoinGroup", failure, now, fraction);
    }

    pub(super) fn synced(
        &mut self,
        answer: Result<BTreeSet<TopicPartition>, Failure>,
        now: Instant,
        fraction: f64,
    ) {
        let assigned = match answer {
            Ok(assigned) => assigned,
            Err(failure) => return self.failed("SyncGroup", failure, now, fraction),
        };
        self.state = State::Stable;
        self.heartbeat_at = now + self.heartbeat_interval;
        let added: BTreeSet<_> = assigned.difference(&self.owned).cloned().collect();
        let revoked: BTreeSet<_> = self.owned.difference(&assigned).cloned().collect();
        self.owned.extend(added.iter().cloned());
        // Told even when there is nothing: the group has settled.
        self.effects.push(Effect::Assign(added));
        if !revoked.is_empty() {
            self.revoke(revoked, now);
        } else if self.rejoin {
            self.rejoin(now);
        }
    }

    pub(super) fn heartbeat(
        &mut self,
        attempt: u64,
        answer: Result<(), Failure>,
        now: Instant,
        fraction: f64,
    ) {
        let beats = matches!(self.state, State::Stable | State::Revoking { .. });
        if attempt != self.attempt || !beats {
            return;
        }
        self.heartbeating = false;
        self.heartbeat_at = now + self.heartbeat_interval;
        match answer {
            Ok(()) => {}
            Err(Failure::Code(ErrorCode::RebalanceInProgress)) => {
                if self.state == State::Stable {
                    self.rejoin(now);
                }
            }
            Err(Failure::Lost(_)) => {
                self.coordinator = None;
                self.pause(now, fraction);
            }
            Err(Failure::Code(code)) if has_moved(code) => {
                self.coordinator = None;
                self.pause(now, fraction);
            }
            Err(Failure::Code(code)) if code.is_retriable() => {}
            Err(failure) => self.failed("Heartbeat", failure, now, fraction),
        }
    }

    /// A commit of `generation_id` told that the group goes on without this member, or anew.
    pub(super) fn committed(&mut self, generation_id: i32, code: ErrorCode, now: Instant) {
        let current = generation_id == self.generation_id && generation_id >= 0;
        let beats = matches!(self.state, State::Stable | State::Revoking { .. });
        if !current || !beats {
            return;
        }
        match code {
            ErrorCode::RebalanceInProgress if self.state == State::Stable => self.rejoin(now),
            ErrorCode::UnknownMemberId
            | ErrorCode::IllegalGeneration
            | ErrorCode::FencedInstanceId => {
                self.failed("OffsetCommit", Failure::Code(code), now, 0.5)
            }
            _ => {}
        }
    }

    /// A request did not succeed; what the member is now depends on why.
    fn failed(&mut self, operation: &'static str, failure: Failure, now: Instant, fraction: f64) {
        let code = match failure {
            Failure::Code(code) => code,
            Failure::Lost(error @ (Error::Unsupported(_) | Error::Invalid(_))) => {
                return self.fail(error);
            }
            Failure::Lost(_) => {
                self.coordinator = None;
                self.state = State::Unjoined;
                return self.pause(now, fraction);
            }
        };
        match code {
            ErrorCode::UnknownMemberId => {
                self.lose();
                self.member_id.clear();
                self.generation_id = -1;
                self.state = State::Unjoined;
                self.pause(now, fraction);
            }
            ErrorCode::IllegalGeneration => {
                self.lose();
                self.generation_id = -1;
                self.state = State::Unjoined;
            }
            ErrorCode::RebalanceInProgress => self.state = State::Unjoined,
            ErrorCode::FencedInstanceId => {
                let instance = self
                    .options
                    .group_instance_id
                    .as_deref()
                    .unwrap_or_default();
                let text = format!("another member took over group.instance.id {instance}");
                self.fail(Error::Fenced(text));
            }
            code if has_moved(code) => {
                self.coordinator = None;
                self.state = State::Unjoined;
                self.pause(now, fraction);
            }
            code if code.is_retriable() => {
                self.state = State::Unjoined;
                self.pause(now, fraction);
            }
            code => self.fail(refused(operation, code)),
        }
    }

    fn pause(&mut self, now: Instant, fraction: f64) {
        self.retry_at = Some(now + self.backoff.next(fraction));
    }
}
