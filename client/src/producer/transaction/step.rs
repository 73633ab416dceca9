//! Shell. Asks coordinators what the machine wants to know.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_protocol::message::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, EndTxnRequest,
    InitProducerIdRequest, RequestMessage, TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
};
use ottla_protocol::{ApiKey, ErrorCode};
use parking_lot::Mutex;

use super::machine::{Answer, GroupOffsets, Protocol, Refusal, Step, classify};
use crate::cluster::{Coordinated, Lane};
use crate::env::millis_i32;
use crate::error::{CallError, Error};
use crate::metadata::TopicPartition;
use crate::producer::Shared;
use crate::producer::sequence::Identity;

/// The level of `transaction.version` from which brokers add partitions by themselves.
const IMPLICIT: i16 = 2;

/// The first versions that do, and the last of the protocol before.
pub(in crate::producer) const PRODUCE_V2: i16 = 12;
pub(in crate::producer) const PRODUCE_V1: i16 = 11;
const END_TXN_V2: i16 = 5;
const END_TXN_V1: i16 = 4;
const TXN_OFFSET_COMMIT_V2: i16 = 5;
const TXN_OFFSET_COMMIT_V1: i16 = 4;
/// The last version of AddPartitionsToTxn for clients.
const ADD_PARTITIONS: i16 = 3;

/// Groups whose coordinators are remembered.
const MAX_GROUPS: usize = 1000;

/// Which brokers coordinate, as far as is known.
#[derive(Debug, Default)]
pub(in crate::producer) struct Coordinators {
    transaction: Mutex<Option<i32>>,
    groups: Mutex<BTreeMap<String, i32>>,
}

impl Coordinators {
    fn get(&self, of: Coordinated<'_>) -> Option<i32> {
        match of {
            Coordinated::Transaction(_) => *self.transaction.lock(),
            Coordinated::Group(group) => self.groups.lock().get(group).copied(),
        }
    }

    fn set(&self, of: Coordinated<'_>, node: Option<i32>) {
        match (of, node) {
            (Coordinated::Transaction(_), node) => *self.transaction.lock() = node,
            (Coordinated::Group(group), Some(node)) => {
                let mut groups = self.groups.lock();
                if groups.len() >= MAX_GROUPS {
                    groups.clear();
                }
                groups.insert(group.to_owned(), node);
            }
            (Coordinated::Group(group), None) => {
                self.groups.lock().remove(group);
            }
        }
    }
}

/// Asks once.
pub(in crate::producer) async fn ask(
    shared: Arc<Shared>,
    step: Step,
) -> (Step, Result<Answer, Refusal>) {
    let answer = match &step {
        Step::Init(identity) => init(&shared, *identity).await,
        Step::AddPartitions(identity, partitions) => {
            add_partitions(&shared, *identity, partitions.iter()).await
        }
        Step::AddOffsets(identity, group) => add_offsets(&shared, *identity, group).await,
        Step::CommitOffsets(identity, protocol, offsets) => {
            commit_offsets(&shared, *identity, *protocol, offsets).await
        }
        Step::End {
            identity,
            protocol,
            committed,
        } => end(&shared, *identity, *protocol, *committed).await,
    };
    (step, answer)
}

async fn init(shared: &Shared, identity: Option<Identity>) -> Result<Answer, Refusal> {
    let id = transactional_id(shared);
    let request = InitProducerIdRequest {
        transactional_id: Some(id.into()),
        transaction_timeout_ms: millis_i32(shared.config.transaction_timeout),
        producer_id: identity.map_or(-1, |identity| identity.producer_id),
        producer_epoch: identity.map_or(-1, |identity| identity.epoch),
    };
    let of = Coordinated::Transaction(id);
    let (node, response) = call(shared, of, request, i16::MAX).await?;
    checked(shared, of, "InitProducerId", response.error_code)?;
    let connection = shared.cluster.node(node, Lane::GENERAL).await;
    let connection = connection.map_err(|error| refusal(error.error))?;
    let floors = [
        (ApiKey::EndTxn, END_TXN_V2),
        (ApiKey::TxnOffsetCommit, TXN_OFFSET_COMMIT_V2),
        (ApiKey::Produce, PRODUCE_V2),
    ];
    let implicit = connection.transaction_version() >= IMPLICIT
        && !floors
            .iter()
            .any(|(key, floor)| connection.serves_less(*key, *floor));
    let protocol = if implicit { Protocol::V2 } else { Protocol::V1 };
    let identity = Identity {
        producer_id: response.producer_id,
        epoch: response.producer_epoch,
    };
    Ok(Answer::Is(identity, protocol))
}

async fn add_partitions(
    shared: &Shared,
    identity: Identity,
    partitions: impl Iterator<Item = &TopicPartition>,
) -> Result<Answer, Refusal> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        let numbers = topics.entry(&partition.topic).or_default();
        numbers.push(partition.partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        let name = name.into();
        AddPartitionsToTxnTopic { name, partitions }
    });
    let id = transactional_id(shared);
    let request = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: id.into(),
        v3_and_below_producer_id: identity.producer_id,
        v3_and_below_producer_epoch: identity.epoch,
        v3_and_below_topics: topics.collect(),
        ..AddPartitionsToTxnRequest::default()
    };
    let of = Coordinated::Transaction(id);
    let (_, response) = call(shared, of, request, ADD_PARTITIONS).await?;
    let topics = response.results_by_topic_v3_and_below.iter();
    let codes = topics
        .flat_map(|topic| &topic.results_by_partition)
        .map(|partition| partition.partition_error_code)
        // Those say nothing of themselves: another partition failed.
        .filter(|code| *code != ErrorCode::OperationNotAttempted);
    all_checked(shared, of, "AddPartitionsToTxn", codes)
}

async fn add_offsets(shared: &Shared, identity: Identity, group: &str) -> Result<Answer, Refusal> {
    let id = transactional_id(shared);
    let request = AddOffsetsToTxnRequest {
        transactional_id: id.into(),
        producer_id: identity.producer_id,
        producer_epoch: identity.epoch,
        group_id: group.into(),
    };
    let of = Coordinated::Transaction(id);
    let (_, response) = call(shared, of, request, i16::MAX).await?;
    checked(shared, of, "AddOffsetsToTxn", response.error_code)?;
    Ok(Answer::Done)
}

async fn commit_offsets(
    shared: &Shared,
    identity: Identity,
    protocol: Protocol,
    offsets: &GroupOffsets,
) -> Result<Answer, Refusal> {
    let GroupOffsets { group, offsets } = offsets;
    let mut topics: BTreeMap<&str, Vec<TxnOffsetCommitRequestPartition>> = BTreeMap::new();
    for (partition, committed) in offsets {
        let of_topic = topics.entry(&partition.topic).or_default();
        of_topic.push(TxnOffsetCommitRequestPartition {
            partition_index: partition.partition,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(committed.metadata.as_str().into()),
        });
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        let name = name.into();
        TxnOffsetCommitRequestTopic { name, partitions }
    });
    let request = TxnOffsetCommitRequest {
        transactional_id: transactional_id(shared).into(),
        group_id: group.group_id.as_str().into(),
        producer_id: identity.producer_id,
        producer_epoch: identity.epoch,
        generation_id: group.generation_id,
        member_id: group.member_id.as_str().into(),
        group_instance_id: group.group_instance_id.as_deref().map(Into::into),
        topics: topics.collect(),
    };
    let cap = match protocol {
        Protocol::V1 => TXN_OFFSET_COMMIT_V1,
        Protocol::V2 => TXN_OFFSET_COMMIT_V2,
    };
    let of = Coordinated::Group(&group.group_id);
    let (_, response) = call(shared, of, request, cap).await?;
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    let codes = partitions.map(|partition| partition.error_code);
    all_checked(shared, of, "TxnOffsetCommit", codes)
}

async fn end(
    shared: &Shared,
    identity: Identity,
    protocol: Protocol,
    committed: bool,
) -> Result<Answer, Refusal> {
    let id = transactional_id(shared);
    let request = EndTxnRequest {
        transactional_id: id.into(),
        producer_id: identity.producer_id,
        producer_epoch: identity.epoch,
        committed,
    };
    let cap = match protocol {
        Protocol::V1 => END_TXN_V1,
        Protocol::V2 => i16::MAX,
    };
    let of = Coordinated::Transaction(id);
    let (_, response) = call(shared, of, request, cap).await?;
    checked(shared, of, "EndTxn", response.error_code)?;
    if protocol == Protocol::V2 && response.producer_id >= 0 {
        return Ok(Answer::Next(Identity {
            producer_id: response.producer_id,
            epoch: response.producer_epoch,
        }));
    }
    Ok(Answer::Done)
}

fn transactional_id(shared: &Shared) -> &str {
    shared
        .config
        .transactional_id
        .as_deref()
        .unwrap_or_default()
}

/// Sends one request to the coordinator, finding it if it is not known.
async fn call<R: RequestMessage>(
    shared: &Shared,
    of: Coordinated<'_>,
    request: R,
    cap: i16,
) -> Result<(i32, R::Response), Refusal> {
    let node = match shared.coordinators.get(of) {
        Some(node) => node,
        None => {
            let found = shared.cluster.find_coordinator_of(of).await;
            let node = found.map_err(refusal)?;
            shared.coordinators.set(of, Some(node));
            node
        }
    };
    let timeout = shared.config.request_timeout;
    let answer = shared
        .cluster
        .call(node, Lane::GENERAL, request, cap, timeout)
        .await;
    match answer {
        Ok(response) => Ok((node, response)),
        Err(CallError { error, .. }) => {
            shared.coordinators.set(of, None);
            Err(refusal(error))
        }
    }
}

/// What a failure without an answer means. All steps may be asked twice.
fn refusal(error: Error) -> Refusal {
    match error {
        Error::Refused {
            operation,
            code,
            message,
        } => classify(operation, code, message),
        Error::Unavailable(_) | Error::Corrupt(_) | Error::Closed => Refusal::Again(error),
        _ => Refusal::Fatal(error),
    }
}

fn checked(
    shared: &Shared,
    of: Coordinated<'_>,
    operation: &'static str,
    code: ErrorCode,
) -> Result<(), Refusal> {
    if matches!(
        code,
        ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable
    ) {
        shared.coordinators.set(of, None);
    }
    match code {
        ErrorCode::None => Ok(()),
        code => Err(classify(operation, code, None)),
    }
}

/// The first failure among several, those that are final before those that pass.
fn all_checked(
    shared: &Shared,
    of: Coordinated<'_>,
    operation: &'static str,
    codes: impl Iterator<Item = ErrorCode>,
) -> Result<Answer, Refusal> {
    let mut failures: Vec<_> = codes.filter(|code| *code != ErrorCode::None).collect();
    failures.sort_by_key(|code| code.is_retriable());
    match failures.first() {
        None => Ok(Answer::Done),
        Some(code) => checked(shared, of, operation, *code).map(|()| Answer::Done),
    }
}
