//! Offsets by time and by leader epoch: ListOffsets (2), OffsetForLeaderEpoch (23).

use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    EpochEndOffset, ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest,
    ListOffsetsResponse, ListOffsetsTopicResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse, OffsetForLeaderPartition, OffsetForLeaderTopicResult, Response,
};
use ottla_storage::error::ReadError;
use ottla_storage::log::{Log, TimestampOffset};

use crate::core::Core;
use crate::memory_budget::DECOMPRESSION_BYTES;
use crate::partition::Partition;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

const READ_COMMITTED: i8 = 1;

/// Bytes that a look-up by time may take: half of what all may have. Which batch it has to
/// decompress shows only on the way.
const LOOKUP_BYTES: usize = DECOMPRESSION_BYTES / 2;

/// What KIP-320 says about a request that knows the leader's epoch; -1 knows none.
pub(super) fn check_leader_epoch(current: i32, partition: &Partition) -> Result<(), ErrorCode> {
    let ours = partition.log().leader_epoch();
    match current {
        -1 => Ok(()),
        epoch if epoch < ours => Err(ErrorCode::FencedLeaderEpoch),
        epoch if epoch > ours => Err(ErrorCode::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

pub(crate) fn list_offsets(
    core: &Arc<Core>,
    request: ListOffsetsRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let core = Arc::clone(core);
    async move {
        let committed = request.isolation_level == READ_COMMITTED;
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for wanted in topic.partitions {
                let found = core
                    .topics
                    .by_name(&topic.name)
                    .ok_or(ErrorCode::UnknownTopicOrPartition)
                    .and_then(|topic| topic.partition(wanted.partition_index).cloned());
                partitions.push(match found {
                    Ok(partition) => look_up(&core, partition, wanted, committed).await,
                    Err(error_code) => answer(wanted.partition_index, error_code),
                });
            }
            topics.push(ListOffsetsTopicResponse {
                name: topic.name,
                partitions,
            });
        }
        Response::ListOffsets(ListOffsetsResponse {
            topics,
            ..Default::default()
        })
    }
}

fn answer(partition_index: i32, error_code: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse {
        partition_index,
        error_code,
        ..Default::default()
    }
}

async fn look_up(
    core: &Arc<Core>,
    partition: Arc<Partition>,
    wanted: ListOffsetsPartition,
    committed: bool,
) -> ListOffsetsPartitionResponse {
    let index = wanted.partition_index;
    if let Err(error_code) = check_leader_epoch(wanted.current_leader_epoch, &partition) {
        return answer(index, error_code);
    }
    let shared = Arc::clone(core);
    let search = move || {
        let bytes = match wanted.timestamp {
            LATEST | EARLIEST | EARLIEST_LOCAL | LATEST_TIERED | EARLIEST_PENDING_UPLOAD => 0,
            // Any other may look into batches.
            _ => LOOKUP_BYTES,
        };
        let _claim = shared.lookups.claim(bytes);
        find(partition.log(), wanted.timestamp, committed)
    };
    let search = core.blocking(search).await;
    match search {
        Ok(Ok(found)) => ListOffsetsPartitionResponse {
            timestamp: found.timestamp,
            offset: found.offset,
            leader_epoch: found.leader_epoch,
            ..answer(index, ErrorCode::None)
        },
        Ok(Err(error)) => {
            tracing::error!(partition = index, %error, "offset look-up failed");
            answer(index, ErrorCode::KafkaStorageError)
        }
        Err(_) => answer(index, ErrorCode::UnknownServerError),
    }
}

fn find(log: &Log, timestamp: i64, committed: bool) -> Result<TimestampOffset, ReadError> {
    let offsets = log.offsets();
    let at = |offset| TimestampOffset {
        timestamp: -1,
        offset,
        leader_epoch: log.leader_epoch(),
    };
    let none = TimestampOffset {
        timestamp: -1,
        offset: -1,
        leader_epoch: -1,
    };
    let end = if committed {
        offsets.last_stable_offset
    } else {
        offsets.high_watermark
    };
    let visible = |found: Option<TimestampOffset>| found.filter(|found| found.offset < end);
    let found = match timestamp {
        LATEST => Some(at(end)),
        EARLIEST | EARLIEST_LOCAL => Some(at(offsets.log_start_offset)),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => None,
        MAX_TIMESTAMP => visible(log.max_timestamp()?),
        timestamp => visible(log.offset_for_timestamp(timestamp)?),
    };
    Ok(found.unwrap_or(none))
}

pub(crate) fn offset_for_leader_epoch(
    core: &Arc<Core>,
    request: OffsetForLeaderEpochRequest,
) -> Response {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| {
            let found = core.topics.by_name(&topic.topic);
            let partition = |wanted: OffsetForLeaderPartition| {
                found
                    .as_ref()
                    .ok_or(ErrorCode::UnknownTopicOrPartition)
                    .and_then(|topic| topic.partition(wanted.partition))
                    .and_then(|partition| epoch_end(partition, &wanted))
                    .unwrap_or_else(|error_code| EpochEndOffset {
                        error_code,
                        partition: wanted.partition,
                        ..Default::default()
                    })
            };
            OffsetForLeaderTopicResult {
                topic: topic.topic.clone(),
                partitions: topic.partitions.into_iter().map(partition).collect(),
            }
        })
        .collect();
    Response::OffsetForLeaderEpoch(OffsetForLeaderEpochResponse {
        topics,
        ..Default::default()
    })
}

fn epoch_end(
    partition: &Partition,
    wanted: &OffsetForLeaderPartition,
) -> Result<EpochEndOffset, ErrorCode> {
    check_leader_epoch(wanted.current_leader_epoch, partition)?;
    let (leader_epoch, end_offset) = partition.log().end_offset_for_epoch(wanted.leader_epoch);
    Ok(EpochEndOffset {
        partition: wanted.partition,
        leader_epoch,
        end_offset,
        ..Default::default()
    })
}
