//! What the membership asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::Driver;
use super::done::Done;
use crate::consumer::job;
use crate::consumer::membership::{Effect, Input, Membership};
use crate::consumer::state::State;

impl Driver {
    /// Tells the membership what happened and does what it asks for.
    pub(super) fn tick(&mut self, state: &mut State, input: Input, now: Instant) {
        let Some(membership) = &mut state.membership else {
            return;
        };
        let fraction = self.shared.cluster.env.fraction();
        for effect in membership.handle(input, now, fraction) {
            self.run_effect(state, effect, now);
        }
    }

    fn run_effect(&mut self, state: &mut State, effect: Effect, now: Instant) {
        match effect {
            Effect::Revoke {
                partitions,
                deadline,
            } => state.revoking(&partitions, deadline),
            Effect::Release(partitions) => state.released(&partitions),
            Effect::Assign(partitions) => state.assigned(partitions),
            Effect::Lose(partitions) => state.lost(&partitions),
            Effect::Fail(error) => state.fail(error),
            Effect::NameTopics => {
                if !self.name_topics(state, now) {
                    self.stale = true;
                    self.metadata.at = None;
                }
            }
            request => {
                if let Some(membership) = &state.membership {
                    self.request(membership, request);
                }
            }
        }
    }

    /// Tells the membership the names of topics that it knows by their ids only. False when some
    /// are not known here either.
    pub(super) fn name_topics(&mut self, state: &mut State, now: Instant) -> bool {
        let unnamed = state.membership.as_ref().map(Membership::unnamed);
        let unnamed = unnamed.filter(|unnamed| !unnamed.is_empty());
        let Some(unnamed) = unnamed else { return true };
        let metadata = self.shared.cluster.metadata();
        let named = metadata.topics.iter().map(|(name, topic)| (topic.id, name));
        let named = named.filter(|(id, _)| unnamed.contains(id));
        let names: BTreeMap<_, _> = named.map(|(id, name)| (id, Arc::clone(name))).collect();
        let all = names.len() == unnamed.len();
        if !names.is_empty() {
            self.tick(state, Input::TopicNames(names), now);
        }
        all
    }

    /// Sends what goes to the coordinator.
    fn request(&mut self, membership: &Membership, effect: Effect) {
        let shared = Arc::clone(&self.shared);
        let group = membership.metadata();
        let node = membership.coordinator().unwrap_or(-1);
        match effect {
            Effect::FindCoordinator => self.start(async move {
                let found = shared.cluster.find_coordinator(&group.group_id).await;
                Done::Input(Input::Coordinator(found))
            }),
            Effect::Join { attempt, owned } => {
                let topics = membership.topics();
                self.start(async move {
                    let joined = job::join(&shared, node, group, topics, owned).await;
                    Done::Joined(attempt, joined)
                });
            }
            Effect::Divide(attempt) => {
                let Some(round) = self.round.clone() else {
                    return;
                };
                self.start(async move {
                    let (assignments, counts) = job::divide_among(&shared, &round).await;
                    Done::Divided(attempt, assignments, counts)
                });
            }
            Effect::Sync(attempt) => {
                let protocol = self.round.as_ref().map(|round| round.protocol.clone());
                let protocol = protocol.unwrap_or_default();
                let assignments = std::mem::take(&mut self.assignments);
                self.start(async move {
                    let synced = job::sync(&shared, node, group, protocol, assignments).await;
                    Done::Input(Input::Synced(attempt, synced))
                });
            }
            Effect::Heartbeat(attempt) => self.start(async move {
                let answer = job::heartbeat(&shared, node, group).await;
                Done::Input(Input::Heartbeat(attempt, answer))
            }),
            Effect::LeaveGroup(member_id) => {
                self.leaves += 1;
                self.start(async move {
                    job::leave(&shared, node, &group.group_id, &member_id).await;
                    Done::Left
                });
            }
            Effect::ConsumerHeartbeat(attempt, request) => self.start(async move {
                let answer = job::consumer_heartbeat(&shared, node, *request).await;
                Done::Input(Input::Answered(attempt, answer))
            }),
            Effect::LeaveConsumerGroup(request) => {
                self.leaves += 1;
                self.start(async move {
                    let answer = job::consumer_heartbeat(&shared, node, *request).await;
                    if let Err(error) = answer {
                        tracing::debug!(%error, "leaving the group was not confirmed");
                    }
                    Done::Left
                });
            }
            Effect::NameTopics
            | Effect::Revoke { .. }
            | Effect::Release(_)
            | Effect::Assign(_)
            | Effect::Lose(_)
            | Effect::Fail(_) => {}
        }
    }
}
