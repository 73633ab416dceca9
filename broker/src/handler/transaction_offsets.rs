//! TxnOffsetCommit (key 28): offsets that come into force with the transaction.

use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    Response, TxnOffsetCommitRequest, TxnOffsetCommitRequestTopic, TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};

use super::groups::{MISMATCH, arc, ask, code, text};
use crate::core::Core;
use crate::group::{self, Reply};
use crate::service::Context;
use crate::transaction::{self, AddRequest};

/// The first version that knows `TRANSACTION_ABORTABLE`.
const FIRST_ABORTABLE_VERSION: i16 = 4;

/// The first version that adds the group by itself.
const FIRST_ADDING_VERSION: i16 = 5;

pub(crate) fn commit(
    core: &Arc<Core>,
    context: &Context,
    request: TxnOffsetCommitRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let add = AddRequest {
        transactional_id: arc(&request.transactional_id),
        producer_id: request.producer_id,
        producer_epoch: request.producer_epoch,
        partitions: Vec::new(),
        groups: vec![arc(&request.group_id)],
        verify_only: context.api_version < FIRST_ADDING_VERSION,
    };
    let api_version = context.api_version;
    let (commit, unknown) = offsets(core, api_version, &request);
    let producer_id = request.producer_id;
    // The group takes the offsets before the transaction can end: otherwise nobody would ever
    // bring them into force.
    let decided = if request.group_id.is_empty() {
        Err(ErrorCode::InvalidGroupId)
    } else {
        let event = |token| transaction::Event::Add(token, add);
        let then = move |reply| match reply {
            transaction::Reply::Added => Ok(ask(core, move |token| {
                group::Event::CommitInTransaction(token, producer_id, commit)
            })),
            transaction::Reply::Error(code) => Err(refusal(code, api_version)),
            transaction::Reply::Producer { .. } => Err(MISMATCH),
        };
        let decided = core.transactions.decide(event, then);
        decided.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))
    };
    async move {
        let outcome = match decided {
            Ok(reply) => reply.await,
            Err(code) => Err(code),
        };
        let mut topics = match outcome {
            Ok(Reply::CommitOffsets(topics)) => topics.iter().map(committed).collect(),
            Ok(_) => failed(&request.topics, MISMATCH),
            Err(code) => failed(&request.topics, code),
        };
        if outcome_is_partial(&topics, &request.topics) {
            topics.extend(unknown);
        }
        Response::TxnOffsetCommit(TxnOffsetCommitResponse {
            topics,
            ..Default::default()
        })
    }
}

/// Whether the answers leave out the partitions that do not exist.
fn outcome_is_partial(
    answered: &[TxnOffsetCommitResponseTopic],
    asked: &[TxnOffsetCommitRequestTopic],
) -> bool {
    let answers: usize = answered.iter().map(|topic| topic.partitions.len()).sum();
    let questions: usize = asked.iter().map(|topic| topic.partitions.len()).sum();
    answers < questions
}

/// The coordinator's refusal as the client knows it.
fn refusal(code: ErrorCode, api_version: i16) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if api_version < FIRST_ABORTABLE_VERSION => {
            ErrorCode::InvalidTxnState
        }
        // Older clients do not try again after this, but after that.
        ErrorCode::ConcurrentTransactions if api_version < FIRST_ADDING_VERSION => {
            ErrorCode::CoordinatorLoadInProgress
        }
        code => code,
    }
}

/// What the group is told, and the answers for partitions that do not exist.
fn offsets(
    core: &Core,
    api_version: i16,
    request: &TxnOffsetCommitRequest,
) -> (
    group::CommitOffsetsRequest,
    Vec<TxnOffsetCommitResponseTopic>,
) {
    let mut known = Vec::new();
    let mut unknown = Vec::new();
    for topic in &request.topics {
        let count = core
            .topics
            .by_name(&topic.name)
            .map_or(0, |topic| topic.partition_count());
        let (exists, missing): (Vec<_>, Vec<_>) = topic.partitions.iter().partition(|partition| {
            usize::try_from(partition.partition_index).is_ok_and(|index| index < count)
        });
        if !missing.is_empty() {
            unknown.push(TxnOffsetCommitResponseTopic {
                name: topic.name.clone(),
                partitions: missing
                    .iter()
                    .map(|partition| TxnOffsetCommitResponsePartition {
                        partition_index: partition.partition_index,
                        error_code: ErrorCode::UnknownTopicOrPartition,
                    })
                    .collect(),
            });
        }
        if exists.is_empty() {
            continue;
        }
        known.push(group::CommitTopic {
            name: arc(&topic.name),
            topic_id: None,
            partitions: exists
                .iter()
                .map(|partition| group::CommitPartition {
                    partition_index: partition.partition_index,
                    committed_offset: partition.committed_offset,
                    committed_leader_epoch: partition.committed_leader_epoch,
                    committed_metadata: partition.committed_metadata.as_ref().map(arc),
                })
                .collect(),
        });
    }
    let commit = group::CommitOffsetsRequest {
        api_version,
        group_id: arc(&request.group_id),
        generation_id: request.generation_id,
        member_id: arc(&request.member_id),
        group_instance_id: request.group_instance_id.as_ref().map(arc),
        retention_time_ms: -1,
        topics: known,
    };
    (commit, unknown)
}

fn committed(topic: &group::TopicErrors) -> TxnOffsetCommitResponseTopic {
    TxnOffsetCommitResponseTopic {
        name: text(&topic.name),
        partitions: topic
            .partitions
            .iter()
            .map(
                |(partition_index, error)| TxnOffsetCommitResponsePartition {
                    partition_index: *partition_index,
                    error_code: code(*error),
                },
            )
            .collect(),
    }
}

fn failed(
    topics: &[TxnOffsetCommitRequestTopic],
    error_code: ErrorCode,
) -> Vec<TxnOffsetCommitResponseTopic> {
    let failed = |topic: &TxnOffsetCommitRequestTopic| TxnOffsetCommitResponseTopic {
        name: topic.name.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|partition| TxnOffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code,
            })
            .collect(),
    };
    topics.iter().map(failed).collect()
}
