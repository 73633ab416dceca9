//! What administrators see of transactions, and how they free a hanging one: WriteTxnMarkers (27),
//! DescribeProducers (61), DescribeTransactions (65), ListTransactions (66). KIP-664.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use ottla_protocol::message::{
    DescribeProducersPartitionResponse, DescribeProducersRequest, DescribeProducersResponse,
    DescribeProducersTopicResponse, DescribeTransactionsRequest, DescribeTransactionsResponse,
    DescribedTransaction, DescribedTransactionTopic, ListTransactionsRequest,
    ListTransactionsResponse, ListedTransaction, ProducerState, Response, WritableTxnMarker,
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use ottla_protocol::record::{EndTransactionMarker, TransactionResult};
use ottla_protocol::{ErrorCode, StrBytes};
use ottla_storage::error::AppendError;
use ottla_storage::log::{Marker, ProducerInfo};
use tokio::sync::Notify;

use super::once::once;
use crate::core::Core;
use crate::partition::Partition;
use crate::transaction::{State, Transaction};

/// The transaction protocol in which each end raises the epoch.
const BUMPING_PROTOCOL: i8 = 2;

pub(crate) fn describe_producers(core: &Core, request: DescribeProducersRequest) -> Response {
    let partition = |name: &StrBytes, partition_index: i32| {
        let found = core
            .topics
            .by_name(name)
            .ok_or(ErrorCode::UnknownTopicOrPartition)
            .and_then(|topic| topic.partition(partition_index).cloned());
        match found {
            Ok(partition) => DescribeProducersPartitionResponse {
                partition_index,
                active_producers: partition.log().producers().iter().map(producer).collect(),
                ..Default::default()
            },
            Err(error_code) => DescribeProducersPartitionResponse {
                partition_index,
                error_code,
                ..Default::default()
            },
        }
    };
    let mut told = HashSet::new();
    let topics = request
        .topics
        .iter()
        .map(|topic| DescribeProducersTopicResponse {
            name: topic.name.clone(),
            partitions: topic
                .partition_indexes
                .iter()
                .filter(|index| told.insert((topic.name.clone(), **index)))
                .map(|index| partition(&topic.name, *index))
                .collect(),
        });
    Response::DescribeProducers(DescribeProducersResponse {
        topics: topics.collect(),
        ..Default::default()
    })
}

fn producer(info: &ProducerInfo) -> ProducerState {
    ProducerState {
        producer_id: info.producer_id,
        producer_epoch: i32::from(info.producer_epoch),
        last_sequence: info.last_sequence,
        last_timestamp: info.last_timestamp,
        coordinator_epoch: info.coordinator_epoch,
        current_txn_start_offset: info.current_transaction_first_offset.unwrap_or(-1),
    }
}

pub(crate) fn describe(core: &Core, request: DescribeTransactionsRequest) -> Response {
    let transaction_states = core.transactions.inspect(|coordinator| {
        let described = |id: &StrBytes| match coordinator.get(id) {
            _ if id.is_empty() => undescribed(id, ErrorCode::InvalidRequest),
            Some(known) => described(id, known),
            None => undescribed(id, ErrorCode::TransactionalIdNotFound),
        };
        let ids = once(request.transactional_ids, StrBytes::clone);
        ids.iter().map(described).collect()
    });
    Response::DescribeTransactions(DescribeTransactionsResponse {
        transaction_states,
        ..Default::default()
    })
}

fn undescribed(id: &StrBytes, error_code: ErrorCode) -> DescribedTransaction {
    DescribedTransaction {
        error_code,
        transactional_id: id.clone(),
        ..Default::default()
    }
}

fn described(id: &StrBytes, known: &Transaction) -> DescribedTransaction {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for participant in &known.partitions {
        let partitions = topics.entry(&participant.topic).or_default();
        partitions.push(participant.partition);
    }
    DescribedTransaction {
        transactional_id: id.clone(),
        transaction_state: StrBytes::from_static(known.state.as_str()),
        transaction_timeout_ms: known.timeout_ms,
        transaction_start_time_ms: known.start_ms,
        producer_id: known.producer_id,
        producer_epoch: known.producer_epoch,
        topics: topics
            .into_iter()
            .map(|(topic, partitions)| DescribedTransactionTopic {
                topic: StrBytes::from(topic),
                partitions,
            })
            .collect(),
        ..Default::default()
    }
}

pub(crate) fn list(core: &Core, request: ListTransactionsRequest) -> Response {
    let pattern = request.transactional_id_pattern.as_deref();
    let pattern = match pattern
        .filter(|text| !text.is_empty())
        .map(anchored)
        .transpose()
    {
        Ok(pattern) => pattern,
        Err(_) => {
            return Response::ListTransactions(ListTransactionsResponse {
                error_code: ErrorCode::InvalidRegularExpression,
                ..Default::default()
            });
        }
    };
    let is_state = |name: &StrBytes| State::ALL.iter().any(|state| state.as_str() == &**name);
    let (states, unknown_state_filters): (Vec<_>, Vec<_>) =
        request.state_filters.iter().cloned().partition(is_state);
    let now_ms = core.env.now().wall_ms;
    let passes = |id: &str, known: &Transaction| {
        let open_ms = now_ms.saturating_sub(known.start_ms);
        let is_old = known.start_ms >= 0 && open_ms > request.duration_filter;
        (request.state_filters.is_empty()
            || states.iter().any(|state| **state == *known.state.as_str()))
            && (request.producer_id_filters.is_empty()
                || request.producer_id_filters.contains(&known.producer_id))
            && (request.duration_filter < 0 || is_old)
            && pattern.as_ref().is_none_or(|pattern| pattern.is_match(id))
    };
    let transaction_states = core.transactions.inspect(|coordinator| {
        let passing = coordinator.iter().filter(|(id, known)| passes(id, known));
        let listed = passing.map(|(id, known)| ListedTransaction {
            transactional_id: StrBytes::from(&**id),
            producer_id: known.producer_id,
            transaction_state: StrBytes::from_static(known.state.as_str()),
        });
        listed.collect()
    });
    Response::ListTransactions(ListTransactionsResponse {
        unknown_state_filters,
        transaction_states,
        ..Default::default()
    })
}

/// The pattern must match the whole id.
fn anchored(pattern: &str) -> Result<regex_lite::Regex, regex_lite::Error> {
    // By itself first, so that it cannot close the group around it.
    regex_lite::Regex::new(pattern)?;
    regex_lite::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(1 << 20)
        .build()
}

/// Where the answer of a marker stands, and what it waits for.
struct Pending {
    partition: Arc<Partition>,
    end: i64,
    at: (usize, usize, usize),
}

pub(crate) fn write_markers(
    core: &Arc<Core>,
    request: WriteTxnMarkersRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let now_ms = core.env.now().wall_ms;
    let mut pending = Vec::new();
    let mut markers = Vec::with_capacity(request.markers.len());
    for (number, marker) in request.markers.iter().enumerate() {
        let mut topics = Vec::with_capacity(marker.topics.len());
        for (topic_number, topic) in marker.topics.iter().enumerate() {
            let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
            for (at, &partition_index) in topic.partition_indexes.iter().enumerate() {
                let outcome = write_marker(core, marker, &topic.name, partition_index, now_ms);
                let error_code = outcome.as_ref().err().copied().unwrap_or(ErrorCode::None);
                if let Ok((partition, end)) = outcome {
                    pending.push(Pending {
                        partition,
                        end,
                        at: (number, topic_number, at),
                    });
                }
                partitions.push(WritableTxnMarkerPartitionResult {
                    partition_index,
                    error_code,
                });
            }
            topics.push(WritableTxnMarkerTopicResult {
                name: topic.name.clone(),
                partitions,
            });
        }
        markers.push(WritableTxnMarkerResult {
            producer_id: marker.producer_id,
            topics,
        });
    }
    async move {
        for written in &pending {
            if !is_durable(&written.partition, written.end).await {
                let (marker, topic, partition) = written.at;
                let answer = markers
                    .get_mut(marker)
                    .and_then(|marker: &mut WritableTxnMarkerResult| marker.topics.get_mut(topic))
                    .and_then(|topic| topic.partitions.get_mut(partition));
                if let Some(answer) = answer {
                    answer.error_code = ErrorCode::KafkaStorageError;
                }
            }
        }
        Response::WriteTxnMarkers(WriteTxnMarkersResponse { markers })
    }
}

/// Appends the marker of a partition. Answers the offset behind it.
fn write_marker(
    core: &Core,
    marker: &WritableTxnMarker,
    topic: &StrBytes,
    partition: i32,
    now_ms: i64,
) -> Result<(Arc<Partition>, i64), ErrorCode> {
    let found = core
        .topics
        .by_name(topic)
        .ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = Arc::clone(found.partition(partition)?);
    let marker = Marker {
        producer_id: marker.producer_id,
        producer_epoch: marker.producer_epoch,
        end: EndTransactionMarker {
            result: if marker.transaction_result {
                TransactionResult::Commit
            } else {
                TransactionResult::Abort
            },
            coordinator_epoch: marker.coordinator_epoch,
        },
        bumps_epoch: marker.transaction_version >= BUMPING_PROTOCOL,
    };
    match partition.log().append_marker(marker, now_ms) {
        Ok(appended) => Ok((partition, appended.last_offset + 1)),
        Err(AppendError::InvalidProducerEpoch { .. }) => Err(ErrorCode::InvalidProducerEpoch),
        Err(AppendError::TransactionCoordinatorFenced { .. }) => {
            Err(ErrorCode::TransactionCoordinatorFenced)
        }
        Err(error) => {
            tracing::error!(topic = &**topic, %error, "a transaction marker could not be written");
            Err(ErrorCode::KafkaStorageError)
        }
    }
}

/// Waits until all below `end` is durable; `false` when it will not be.
async fn is_durable(partition: &Arc<Partition>, end: i64) -> bool {
    let signal = Arc::new(Notify::new());
    let _registration = partition.wake_at(end, &signal);
    loop {
        if partition.log().offsets().high_watermark >= end {
            return true;
        }
        if partition.log().failure().is_some() {
            return false;
        }
        signal.notified().await;
    }
}
