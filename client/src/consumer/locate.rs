//! Shell. Where partitions are to be read: what the group has committed, or an offset of the log.

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;

use super::Shared;
use super::membership::Membership;
use super::partition::{Find, Position};
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::offsets::{
    CommittedOffset, FETCH_BY_NAME, FoundOffset, OffsetSpec, ask_offsets, committed, fetch_request,
};
use crate::retry::Attempt;

/// Where a partition is to be read, and whether that was committed. None when there is no place
/// and none may be made up.
pub(super) type Located = BTreeMap<TopicPartition, Result<Option<(Position, bool)>, Error>>;

/// What the group has committed for these partitions, once it is settled.
pub(super) async fn fetch_committed(
    shared: &Shared,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, CommittedOffset>, Attempt> {
    let Some(group) = shared.config.group_id.as_deref() else {
        return Ok(BTreeMap::new());
    };
    let cluster = &shared.cluster;
    let node = shared.offsets_coordinator().await?;
    // Offsets of a transaction that is not decided would be read twice (KIP-447).
    let mut request = fetch_request(group, Some(partitions), true);
    let reader = {
        let state = shared.state.lock();
        state.membership.as_ref().and_then(Membership::reader)
    };
    for asked in &mut request.groups {
        asked.member_id = reader
            .as_ref()
            .map(|reader| reader.member_id.as_str().into());
        asked.member_epoch = reader.as_ref().map_or(-1, |reader| reader.generation_id);
    }
    let timeout = cluster.config.request_timeout;
    let lane = shared.lanes.offsets;
    let answer = cluster
        .call(node, lane, request, FETCH_BY_NAME, timeout)
        .await;
    let response = answer.map_err(|error| {
        shared.forget_coordinator();
        error.error
    })?;
    let found = committed(response);
    match found.as_ref().map_err(Error::code) {
        Err(Some(ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable)) => {
            shared.forget_coordinator();
        }
        // The member is in another epoch by now, or about to hear so.
        Err(Some(ErrorCode::StaleMemberEpoch | ErrorCode::UnknownMemberId)) => {
            let text = "the epoch of the member has changed".to_owned();
            return Err(Attempt::Again(Error::Unavailable(text)));
        }
        _ => {}
    }
    Ok(found?)
}

/// Finds places, within one attempt.
pub(super) async fn locate(shared: &Shared, wanted: &[(TopicPartition, Find)]) -> Located {
    let mut located = Located::new();
    let mut by_log = BTreeMap::new();
    let of_group = wanted.iter().filter(|(_, find)| *find == Find::Committed);
    let of_group: Vec<TopicPartition> = of_group.map(|(partition, _)| partition.clone()).collect();
    let mut committed = BTreeMap::new();
    if !of_group.is_empty() {
        match fetch_committed(shared, &of_group).await {
            Ok(offsets) => committed = offsets,
            Err(Attempt::Again(error) | Attempt::Stop(error)) => {
                let failed = of_group.into_iter();
                located.extend(failed.map(|partition| (partition, Err(error.clone()))));
            }
        }
    }
    for (partition, find) in wanted {
        if located.contains_key(partition) {
            continue;
        }
        if let Some(found) = committed.get(partition) {
            let position = Position {
                offset: found.offset,
                leader_epoch: found.leader_epoch.unwrap_or(-1),
            };
            located.insert(partition.clone(), Ok(Some((position, true))));
            continue;
        }
        let now_ms = shared.cluster.env.wall_ms();
        let spec = match find {
            Find::Spec(spec) => Some(*spec),
            Find::Committed | Find::Reset => Find::reset(shared.config.auto_offset_reset, now_ms),
        };
        match spec {
            Some(spec) => {
                by_log.insert(partition.clone(), spec);
            }
            None => {
                located.insert(partition.clone(), Ok(None));
            }
        }
    }
    located.extend(locate_in_logs(shared, by_log).await);
    located
}

/// Finds offsets of logs; beyond the newest record that is their end.
async fn locate_in_logs(shared: &Shared, wanted: BTreeMap<TopicPartition, OffsetSpec>) -> Located {
    let level = shared.config.isolation_level;
    let found = ask_offsets(&shared.cluster, wanted, level).await;
    let beyond = found.iter().filter(|(_, found)| matches!(found, Ok(None)));
    let beyond = beyond.map(|(partition, _)| (partition.clone(), OffsetSpec::Latest));
    let ends = ask_offsets(&shared.cluster, beyond.collect(), level).await;
    let all = found.into_iter().chain(ends);
    let place = |(partition, found): (TopicPartition, Result<Option<_>, Error>)| {
        let position = |found: FoundOffset| {
            let position = Position {
                offset: found.offset,
                leader_epoch: -1,
            };
            (position, false)
        };
        (partition, found.map(|found| found.map(position)))
    };
    all.map(place).collect()
}
