//! Which partitions are fetched next, from which brokers, and what an answer means to each.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::budget::{Budget, Permit, charge};
use super::chunk::Chunk;
use super::partition::{Ends, Find, Place, Position};
use super::state::State;
use crate::config::{AutoOffsetReset, ConsumerConfig};
use crate::env::millis_i32;
use crate::error::{Error, check};
use crate::metadata::{Metadata, TopicPartition};
use crate::offsets::isolation;

/// The last version of Fetch that names topics by name.
const BY_NAME: i16 = 12;

/// Fetches of one broker under way, each on a connection of its own: one may wait for quiet
/// partitions while another reads busy ones.
pub(super) const FETCHES_PER_BROKER: usize = 2;

/// Bytes that are asked for at least, of one broker and of one partition.
const MIN_BYTES: usize = 64 << 10;

/// Which partition an answer is about, and what was asked of it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    partition: TopicPartition,
    from: Position,
    assignment: u64,
    seek: u64,
}

/// A fetch of one broker.
pub(super) struct Fetch {
    pub(super) node: i32,
    pub(super) slot: usize,
    pub(super) request: FetchRequest,
    /// The newest version that can name the topics.
    pub(super) cap: i16,
    pub(super) asked: Vec<Asked>,
    pub(super) names: BTreeMap<Uuid, Arc<str>>,
    pub(super) permit: Permit,
}

/// What came of looking at all partitions.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) fetches: Vec<Fetch>,
    /// Topics of partitions without a leader that is known.
    pub(super) leaderless: bool,
    /// When a partition that had an error may be fetched again.
    pub(super) retry_at: Option<Instant>,
}

/// What the plan goes by.
pub(super) struct Means<'a> {
    pub(super) config: &'a ConsumerConfig,
    pub(super) metadata: &'a Metadata,
    pub(super) budget: &'a Arc<Budget>,
    /// Fetches under way, by broker and slot.
    pub(super) busy: &'a BTreeMap<i32, [bool; FETCHES_PER_BROKER]>,
    pub(super) now: Instant,
}

/// Bytes of a partition below which more is fetched while the application works on them.
pub(super) fn ahead(config: &ConsumerConfig) -> usize {
    config.max_partition_fetch_bytes.div_ceil(2)
}

/// Chooses what to fetch, beginning where the last plan ended, so that everyone gets a turn.
pub(super) fn plan(state: &mut State, means: &Means<'_>) -> Plan {
    let mut plan = Plan::default();
    let ahead = ahead(means.config);
    let mut wanted: BTreeMap<i32, Vec<(Asked, i32)>> = BTreeMap::new();
    let after = state.last_fetched.clone();
    let (first, second): (Vec<_>, Vec<_>) = state
        .partitions
        .iter()
        .partition(|(partition, _)| after.as_ref().is_none_or(|after| *partition > after));
    for (partition, held) in first.into_iter().chain(second) {
        let Some(from) = held.wants_fetch(ahead) else {
            continue;
        };
        if let Some(after) = held.fetch_after.filter(|after| means.now < *after) {
            plan.retry_at = Some(plan.retry_at.map_or(after, |at| at.min(after)));
            continue;
        }
        let leader = means.metadata.leader(partition);
        let Some(leader) = leader.filter(|l| means.metadata.brokers.contains_key(&l.node_id))
        else {
            plan.leaderless = true;
            continue;
        };
        let asked = Asked {
            partition: partition.clone(),
            from,
            assignment: held.assignment,
            seek: held.seek,
        };
        let list = wanted.entry(leader.node_id).or_default();
        list.push((asked, leader.epoch));
    }
    let mut brokers = wanted.len();
    for (node, asked) in wanted {
        let slots = means.busy.get(&node).copied().unwrap_or_default();
        let share = brokers;
        brokers = brokers.saturating_sub(1);
        let Some(slot) = slots.iter().position(|busy| !busy) else {
            continue;
        };
        let Some(permit) = reserve(means, share, asked.len()) else {
            break;
        };
        plan.fetches
            .push(fetch(state, means, node, slot, asked, permit));
    }
    plan
}

/// Takes a part of what is free, unless that is too little to be worth a request.
fn reserve(means: &Means<'_>, brokers: usize, partitions: usize) -> Option<Permit> {
    let least = MIN_BYTES.min(means.budget.fetch_limit() / 4).max(1);
    if means.budget.fetchable() < least {
        // Looked at again, as room may have come in between.
        means.budget.starve();
    }
    let free = means.budget.fetchable();
    if free < least {
        return None;
    }
    let most = partitions.saturating_mul(means.config.max_partition_fetch_bytes);
    let most = most.min(means.config.fetch_max_bytes);
    // Half of it, so that the next request need not wait for this one.
    let part = (free / brokers.max(1)).div_ceil(2).max(least);
    Some(means.budget.fetch(part.min(most.max(least)).min(free)))
}

fn fetch(
    state: &mut State,
    means: &Means<'_>,
    node: i32,
    slot: usize,
    wanted: Vec<(Asked, i32)>,
    permit: Permit,
) -> Fetch {
    let share = means.budget.fetch_limit() / state.partitions.len().max(1);
    let most = means.config.max_partition_fetch_bytes;
    let partition_max_bytes = share.max(MIN_BYTES.min(most)).min(most).min(permit.bytes());
    let mut topics: Vec<FetchTopic> = Vec::new();
    let mut names = BTreeMap::new();
    let mut by_id = true;
    let mut list = Vec::with_capacity(wanted.len());
    for (asked, leader_epoch) in wanted {
        if let Some(held) = state.partitions.get_mut(&asked.partition) {
            held.fetch_begins();
        }
        let name = &asked.partition.topic;
        let partition = FetchPartition {
            partition: asked.partition.partition,
            current_leader_epoch: leader_epoch,
            fetch_offset: asked.from.offset,
            last_fetched_epoch: asked.from.leader_epoch,
            partition_max_bytes: i32::try_from(partition_max_bytes).unwrap_or(i32::MAX),
            ..FetchPartition::default()
        };
        match topics.last_mut().filter(|topic| *topic.topic == **name) {
            Some(topic) => topic.partitions.push(partition),
            None => {
                let topic = means.metadata.topics.get(name);
                let topic_id = topic.map_or(Uuid::nil(), |topic| topic.id);
                by_id &= !topic_id.is_nil();
                names.insert(topic_id, Arc::clone(name));
                topics.push(FetchTopic {
                    topic: (&**name).into(),
                    topic_id,
                    partitions: vec![partition],
                });
            }
        }
        list.push(asked);
    }
    state.last_fetched = list.first().map(|asked| asked.partition.clone());
    let request = FetchRequest {
        max_wait_ms: millis_i32(means.config.fetch_max_wait),
        min_bytes: means.config.fetch_min_bytes,
        max_bytes: i32::try_from(permit.bytes()).unwrap_or(i32::MAX),
        isolation_level: isolation(means.config.isolation_level),
        topics,
        ..FetchRequest::default()
    };
    Fetch {
        node,
        slot,
        request,
        cap: if by_id { i16::MAX } else { BY_NAME },
        asked: list,
        names,
        permit,
    }
}

/// What a fetch that came back means beyond its partitions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What is known of the leaders is out of date.
    pub(super) stale: bool,
}

/// An answer on its way to the partitions that it is about.
pub(super) struct Answer {
    pub(super) asked: Vec<Asked>,
    pub(super) names: BTreeMap<Uuid, Arc<str>>,
    pub(super) permit: Permit,
    pub(super) response: Result<FetchResponse, Error>,
}

/// Gives an answer to the partitions that it is about.
pub(super) fn take(
    state: &mut State,
    answer: Answer,
    reset: AutoOffsetReset,
    retry_at: Instant,
) -> Verdict {
    let mut verdict = Verdict::default();
    let mut permit = answer.permit;
    let mut found: BTreeMap<TopicPartition, PartitionData> = BTreeMap::new();
    let response = answer.response.unwrap_or_else(|_| FetchResponse {
        error_code: ErrorCode::NetworkException,
        ..FetchResponse::default()
    });
    for topic in response.responses {
        let name = match topic.topic.is_empty() {
            true => answer.names.get(&topic.topic_id).map(Arc::clone),
            false => Some(Arc::from(&*topic.topic)),
        };
        let Some(name) = name else { continue };
        for data in topic.partitions {
            let partition = TopicPartition::new(Arc::clone(&name), data.partition_index);
            found.insert(partition, data);
        }
    }
    let bytes = |data: &PartitionData| data.records.as_ref().map_or(0, Bytes::len);
    permit.resize(found.values().map(bytes).sum());
    let permit = Arc::new(permit);
    for asked in answer.asked {
        let held = state.partitions.get_mut(&asked.partition);
        let Some(held) = held.filter(|held| held.assignment == asked.assignment) else {
            continue;
        };
        held.fetching = false;
        let seek = held.seek == asked.seek;
        match found.remove(&asked.partition) {
            _ if !seek => {}
            None => {
                held.fetch_after = Some(retry_at);
                verdict.stale |= response.error_code == ErrorCode::NetworkException;
            }
            Some(data) => verdict.stale |= take_one(state, &asked, data, &permit, reset, retry_at),
        }
    }
    verdict
}

/// Takes the answer for one partition. True when its leader has to be asked for.
fn take_one(
    state: &mut State,
    asked: &Asked,
    data: PartitionData,
    permit: &Arc<Permit>,
    reset: AutoOffsetReset,
    retry_at: Instant,
) -> bool {
    let Some(held) = state.partitions.get_mut(&asked.partition) else {
        return false;
    };
    match data.error_code {
        ErrorCode::None => {}
        // What was fetched before is still good, and comes first.
        ErrorCode::OffsetOutOfRange if held.position() != Some(asked.from.offset) => {
            held.fetch_after = Some(retry_at);
            return false;
        }
        ErrorCode::OffsetOutOfRange => {
            if reset == AutoOffsetReset::None {
                let error = no_offset(&asked.partition);
                state.fail_partition(&asked.partition, error);
            } else {
                held.lose_place(Place::Unknown(Find::Reset));
            }
            return false;
        }
        code if code.is_retriable() => {
            held.fetch_after = Some(retry_at);
            return true;
        }
        code => {
            if let Err(error) = check("Fetch", code, None) {
                state.fail_partition(&asked.partition, error);
            }
            return false;
        }
    }
    held.ends = Ends {
        high_watermark: Some(data.high_watermark).filter(|offset| *offset >= 0),
        last_stable_offset: Some(data.last_stable_offset).filter(|offset| *offset >= 0),
    };
    if data.diverging_epoch.end_offset >= 0 {
        diverged(state, asked, &data, reset);
        return false;
    }
    if let Some(records) = data.records.filter(|records| !records.is_empty()) {
        let aborted = data.aborted_transactions.unwrap_or_default();
        let chunk = Chunk::new(charge(records, permit), aborted);
        held.fetched(asked.from, asked.seek, chunk);
        state.enqueue(&asked.partition);
    }
    false
}

/// The log was cut below what was read: it goes on where both agree (KIP-320).
fn diverged(state: &mut State, asked: &Asked, data: &PartitionData, reset: AutoOffsetReset) {
    let end = &data.diverging_epoch;
    let partition = &asked.partition;
    tracing::warn!(%partition, from = asked.from.offset, to = end.end_offset, "the log was truncated");
    if reset == AutoOffsetReset::None {
        state.fail_partition(partition, no_offset(partition));
    } else if let Some(held) = state.partitions.get_mut(partition) {
        held.truncate(Position {
            offset: end.end_offset,
            leader_epoch: end.epoch,
        });
    }
}

pub(super) fn no_offset(partition: &TopicPartition) -> Error {
    Error::NoOffset {
        topic: partition.topic.to_string(),
        partition: partition.partition,
    }
}
