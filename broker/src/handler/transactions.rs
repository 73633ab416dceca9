//! What producers ask of their transactions: AddPartitionsToTxn (24), AddOffsetsToTxn (25),
//! EndTxn (26).

use std::collections::HashSet;
use std::sync::Arc;

use ottla_protocol::message::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult, AddPartitionsToTxnTransaction,
    EndTxnRequest, EndTxnResponse, Response,
};
use ottla_protocol::{ErrorCode, StrBytes};

use crate::core::Core;
use crate::machine::Token;
use crate::service::Context;
use crate::topics::Topics;
use crate::transaction::{AddRequest, EndRequest, Event, Participant, Reply};

/// The first version of the three that knows `PRODUCER_FENCED`.
const FIRST_FENCED_VERSION: i16 = 2;

/// The first AddPartitionsToTxn version with several transactions.
const FIRST_BATCHED_ADD: i16 = 4;

/// The first EndTxn version of the second protocol.
const FIRST_BUMPING_END: i16 = 5;

/// Asks the coordinator now; the future waits for its reply.
pub(super) fn ask<F: FnOnce(Token) -> Event>(
    core: &Arc<Core>,
    event: F,
) -> impl Future<Output = Result<Reply, ErrorCode>> + Send + use<F> {
    let call = core.transactions.call(event);
    let draining = core.draining.clone();
    async move {
        tokio::select! {
            biased;
            reply = call => match reply {
                Ok(Reply::Error(code)) => Err(code),
                Ok(reply) => Ok(reply),
                Err(_) => Err(ErrorCode::CoordinatorNotAvailable),
            },
            () = draining.cancelled() => Err(ErrorCode::CoordinatorNotAvailable),
        }
    }
}

/// The code for a fenced producer as the client knows it.
pub(super) fn fenced_as(code: ErrorCode, knows_fenced: bool) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced if !knows_fenced => ErrorCode::InvalidProducerEpoch,
        code => code,
    }
}

pub(crate) fn add_partitions(
    core: &Arc<Core>,
    context: &Context,
    request: AddPartitionsToTxnRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let is_batched = context.api_version >= FIRST_BATCHED_ADD;
    let knows_fenced = context.api_version >= FIRST_FENCED_VERSION;
    let transactions = if is_batched {
        request.transactions
    } else {
        vec![AddPartitionsToTxnTransaction {
            transactional_id: request.v3_and_below_transactional_id,
            producer_id: request.v3_and_below_producer_id,
            producer_epoch: request.v3_and_below_producer_epoch,
            verify_only: false,
            topics: request.v3_and_below_topics,
        }]
    };
    let results: Vec<_> = transactions
        .into_iter()
        .map(|transaction| add_to_one(core, transaction, knows_fenced))
        .collect();
    async move {
        let mut added = Vec::with_capacity(results.len());
        for result in results {
            added.push(result.await);
        }
        Response::AddPartitionsToTxn(if is_batched {
            AddPartitionsToTxnResponse {
                results_by_transaction: added,
                ..Default::default()
            }
        } else {
            AddPartitionsToTxnResponse {
                results_by_topic_v3_and_below: added
                    .pop()
                    .map(|result| result.topic_results)
                    .unwrap_or_default(),
                ..Default::default()
            }
        })
    }
}

fn add_to_one(
    core: &Arc<Core>,
    request: AddPartitionsToTxnTransaction,
    knows_fenced: bool,
) -> impl Future<Output = AddPartitionsToTxnResult> + Send + use<> {
    let (partitions, is_complete) = participants(&core.topics, &request.topics);
    // One that does not exist refuses all.
    let reply = is_complete.then(|| {
        let add = AddRequest {
            transactional_id: Arc::from(&*request.transactional_id),
            producer_id: request.producer_id,
            producer_epoch: request.producer_epoch,
            partitions: partitions.clone(),
            groups: Vec::new(),
            verify_only: request.verify_only,
        };
        ask(core, |token| Event::Add(token, add))
    });
    async move {
        let outcome = match reply {
            Some(reply) => reply.await.err().unwrap_or(ErrorCode::None),
            None => ErrorCode::OperationNotAttempted,
        };
        let outcome = fenced_as(outcome, knows_fenced);
        let known = partitions
            .iter()
            .map(|known| (&*known.topic, known.partition));
        let known: HashSet<(&str, i32)> = known.collect();
        let exists = |topic: &StrBytes, partition: i32| known.contains(&(&**topic, partition));
        let result = |topic: &StrBytes, partition: i32| AddPartitionsToTxnPartitionResult {
            partition_index: partition,
            partition_error_code: if is_complete || exists(topic, partition) {
                outcome
            } else {
                ErrorCode::UnknownTopicOrPartition
            },
        };
        let topic = |topic: AddPartitionsToTxnTopic| AddPartitionsToTxnTopicResult {
            results_by_partition: topic
                .partitions
                .iter()
                .map(|partition| result(&topic.name, *partition))
                .collect(),
            name: topic.name,
        };
        AddPartitionsToTxnResult {
            transactional_id: request.transactional_id,
            topic_results: request.topics.into_iter().map(topic).collect(),
        }
    }
}

/// The partitions that exist, and whether all do.
fn participants(topics: &Topics, wanted: &[AddPartitionsToTxnTopic]) -> (Vec<Participant>, bool) {
    let mut found = Vec::new();
    let mut is_complete = true;
    for wanted in wanted {
        let topic = topics.by_name(&wanted.name);
        for &partition in &wanted.partitions {
            let topic = topic.as_ref().filter(|topic| {
                usize::try_from(partition).is_ok_and(|index| index < topic.partition_count())
            });
            match topic {
                Some(topic) => found.push(Participant {
                    topic: Arc::from(&*topic.name),
                    topic_id: topic.id.into_bytes(),
                    partition,
                }),
                None => is_complete = false,
            }
        }
    }
    (found, is_complete)
}

pub(crate) fn add_offsets(
    core: &Arc<Core>,
    context: &Context,
    request: AddOffsetsToTxnRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let knows_fenced = context.api_version >= FIRST_FENCED_VERSION;
    let is_valid = !request.group_id.is_empty();
    let reply = is_valid.then(|| {
        let add = AddRequest {
            transactional_id: Arc::from(&*request.transactional_id),
            producer_id: request.producer_id,
            producer_epoch: request.producer_epoch,
            partitions: Vec::new(),
            groups: vec![Arc::from(&*request.group_id)],
            verify_only: false,
        };
        ask(core, |token| Event::Add(token, add))
    });
    async move {
        let outcome = match reply {
            Some(reply) => reply.await.err().unwrap_or(ErrorCode::None),
            None => ErrorCode::InvalidGroupId,
        };
        Response::AddOffsetsToTxn(AddOffsetsToTxnResponse {
            error_code: fenced_as(outcome, knows_fenced),
            ..Default::default()
        })
    }
}

pub(crate) fn end_txn(
    core: &Arc<Core>,
    context: &Context,
    request: EndTxnRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let knows_fenced = context.api_version >= FIRST_FENCED_VERSION;
    let end = EndRequest {
        transactional_id: Arc::from(&*request.transactional_id),
        producer_id: request.producer_id,
        producer_epoch: request.producer_epoch,
        committed: request.committed,
        bumps_epoch: context.api_version >= FIRST_BUMPING_END,
    };
    let reply = ask(core, |token| Event::End(token, end));
    async move {
        Response::EndTxn(match reply.await {
            Ok(Reply::Producer {
                producer_id,
                producer_epoch,
            }) => EndTxnResponse {
                producer_id,
                producer_epoch,
                ..Default::default()
            },
            Ok(_) => EndTxnResponse {
                error_code: ErrorCode::UnknownServerError,
                ..Default::default()
            },
            Err(code) => EndTxnResponse {
                error_code: fenced_as(code, knows_fenced),
                ..Default::default()
            },
        })
    }
}
