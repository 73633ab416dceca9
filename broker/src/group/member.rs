//! A member of a group. Pure.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::record::{Blob, MemberValue};
use super::step::Step;
use super::timer::{Timer, TimerId};
use super::{Protocol, Token};

#[derive(Debug)]
pub(super) struct Member {
    pub(super) member_id: Arc<str>,
    pub(super) group_instance_id: Option<Arc<str>>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    pub(super) protocols: Vec<Protocol>,
    /// What the leader assigned last; taken back when a rebalance overtakes the assignment.
    pub(super) assignment: Bytes,
    /// Its JoinGroup waits for the others. Having one means having joined the coming generation.
    pub(super) awaiting_join: Option<Token>,
    /// Its SyncGroup waits for the leader's.
    pub(super) awaiting_sync: Option<Token>,
    /// It does not know yet that it is a member, so waiting is no sign of life.
    pub(super) is_new: bool,
    pub(super) session: Option<TimerId>,
}

impl Member {
    pub(super) fn is_static(&self) -> bool {
        self.group_instance_id.is_some()
    }

    /// What the member said under a protocol.
    pub(super) fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols
            .iter()
            .find(|offer| &*offer.name == protocol)
            .map(|offer| &offer.metadata)
    }

    pub(super) fn offers(&self, protocol: &str) -> bool {
        self.metadata(protocol).is_some()
    }

    /// A waiting member is alive: it cannot send heartbeats behind its own waiting request.
    pub(super) fn is_alive_by_waiting(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    /// Bytes it brings into the group's record.
    pub(super) fn weight(&self) -> usize {
        protocols_weight(&self.protocols) + self.assignment.len()
    }

    /// Starts the session anew.
    pub(super) fn refresh(&mut self, group_id: &Arc<str>, step: &mut Step<'_>) {
        self.refresh_for(self.session_timeout, group_id, step);
    }

    pub(super) fn refresh_for(
        &mut self,
        timeout: Duration,
        group_id: &Arc<str>,
        step: &mut Step<'_>,
    ) {
        step.timers.cancel(self.session);
        let timer = Timer::Session {
            group_id: group_id.clone(),
            member_id: self.member_id.clone(),
        };
        self.session = Some(step.timers.arm(step.after(timeout), timer));
    }

    pub(super) fn to_value(&self) -> MemberValue {
        MemberValue {
            member_id: self.member_id.clone(),
            group_instance_id: self.group_instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            session_timeout_ms: to_ms(self.session_timeout),
            rebalance_timeout_ms: to_ms(self.rebalance_timeout),
            protocols: self
                .protocols
                .iter()
                .map(|offer| (offer.name.clone(), Blob(offer.metadata.clone())))
                .collect(),
            assignment: Blob(self.assignment.clone()),
        }
    }

    pub(super) fn from_value(value: &MemberValue) -> Self {
        Self {
            member_id: value.member_id.clone(),
            group_instance_id: value.group_instance_id.clone(),
            client_id: value.client_id.clone(),
            client_host: value.client_host.clone(),
            session_timeout: Duration::from_millis(value.session_timeout_ms.into()),
            rebalance_timeout: Duration::from_millis(value.rebalance_timeout_ms.into()),
            protocols: value
                .protocols
                .iter()
                .map(|(name, Blob(metadata))| Protocol {
                    name: name.clone(),
                    metadata: metadata.clone(),
                })
                .collect(),
            assignment: value.assignment.0.clone(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
            session: None,
        }
    }
}

/// Bytes of a list of protocols.
pub(super) fn protocols_weight(protocols: &[Protocol]) -> usize {
    protocols
        .iter()
        .map(|offer| offer.name.len() + offer.metadata.len())
        .sum()
}

fn to_ms(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)
}
