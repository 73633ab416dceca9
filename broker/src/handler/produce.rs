//! Produce (key 0): validates a batch per partition, appends it, answers when it is durable.

use std::future::Future;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::message::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceRequest, ProduceResponse, Response,
    TopicProduceResponse,
};
use ottla_protocol::record::{
    Compressor, RecordBatch, RecordError, Rejection, Rules, Validated, validate,
};
use ottla_protocol::{ErrorCode, StrBytes};
use ottla_storage::error::AppendError;
use ottla_storage::log::{Append, Appended};
use tokio::sync::Notify;

use crate::config::Recompression;
use crate::core::Core;
use crate::memory_budget::{MemoryBudget, decompression_bytes};
use crate::partition::Partition;
use crate::service::{Answer, Context};
use crate::topics::Topic;
use crate::transaction::{AddRequest, Event, Participant, Reply};

/// The first version that names topics by id.
const FIRST_TOPIC_ID: i16 = 13;

/// The first version that knows `TRANSACTION_ABORTABLE`.
const FIRST_ABORTABLE_VERSION: i16 = 11;

/// The first version whose batches add their partition to the transaction (KIP-890).
const FIRST_ADDING_VERSION: i16 = 12;

/// How often a batch is tried while transactions of its producer end.
const MAX_ATTEMPTS: u32 = 3;

/// A batch that was appended.
struct Written {
    partition: Arc<Partition>,
    appended: Appended,
    /// What has to be durable besides: the log of the coordinator, up to an offset.
    coordinator: Option<(Arc<Partition>, i64)>,
}

/// What was appended and is not durable yet.
struct Pending {
    partition: Arc<Partition>,
    end: i64,
    /// Where the answer that waits for it stands: topic and partition of the response.
    at: (usize, usize),
}

/// Why a partition's records were refused.
struct Refusal {
    code: ErrorCode,
    message: Option<String>,
    records: Vec<(i32, String)>,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            records: Vec::new(),
        }
    }
}

pub(crate) fn produce(
    core: &Arc<Core>,
    context: &Context,
    request: ProduceRequest,
) -> impl Future<Output = Answer> + Send + use<> {
    let acks = request.acks;
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let mut pending = Vec::new();
    let mut response = ProduceResponse::default();
    let writer = Writer {
        now_ms: core.env.now().wall_ms,
        api_version: context.api_version,
        transactional_id: request.transactional_id.as_ref().map(|id| Arc::from(&**id)),
    };
    let refusal = request_refusal(&request);
    let by_id = context.api_version >= FIRST_TOPIC_ID;
    for data in request.topic_data {
        let topic = core.topics.find(&data.name, data.topic_id, by_id);
        let mut partitions = Vec::with_capacity(data.partition_data.len());
        for partition in data.partition_data {
            let at = (response.responses.len(), partitions.len());
            let outcome = match (refusal, &topic) {
                (Some(code), _) => Err(code.into()),
                (None, Err(code)) => Err((*code).into()),
                (None, Ok(topic)) => {
                    append(core, &writer, topic, partition.index, partition.records)
                }
            };
            partitions.push(answer(partition.index, outcome, at, &mut pending));
        }
        response.responses.push(TopicProduceResponse {
            name: data.name,
            topic_id: data.topic_id,
            partition_responses: partitions,
        });
    }
    finish(acks, timeout, pending, response)
}

/// What is wrong with the request as a whole.
fn request_refusal(request: &ProduceRequest) -> Option<ErrorCode> {
    (!matches!(request.acks, -1..=1)).then_some(ErrorCode::InvalidRequiredAcks)
}

/// Who writes, and when.
struct Writer {
    now_ms: i64,
    api_version: i16,
    transactional_id: Option<Arc<str>>,
}

/// What a compressed batch may grow to, whatever its ratio, in most cases.
const USUAL_BYTES: usize = 1 << 20;

/// Validates a batch and puts it under the topic's codec; the memory that it takes to look into
/// compressed ones is shared. Few need as much as they may, so each is tried with what most need
/// first, and does not keep others waiting for the rest.
fn check(
    budget: &MemoryBudget,
    records: &Bytes,
    rules: &Rules,
    recompression: Option<Recompression>,
    now_ms: i64,
) -> Result<Validated, Refusal> {
    let mut usual = rules.clone();
    usual.limits.ratio_free = USUAL_BYTES.min(rules.limits.ratio_free);
    let checked = check_within(budget, records, &usual, recompression, now_ms);
    let claim = |rules: &Rules| decompression_bytes(records, &rules.limits);
    match checked {
        Err(refusal)
            if refusal.code == ErrorCode::MessageTooLarge && claim(rules) > claim(&usual) =>
        {
            check_within(budget, records, rules, recompression, now_ms)
        }
        checked => checked,
    }
}

fn check_within(
    budget: &MemoryBudget,
    records: &Bytes,
    rules: &Rules,
    recompression: Option<Recompression>,
    now_ms: i64,
) -> Result<Validated, Refusal> {
    let _claim = budget.claim(decompression_bytes(records, &rules.limits));
    let mut valid = validate(records, rules, now_ms).map_err(refused)?;
    if let Some(recompression) = recompression {
        valid.batch = recompressed(valid.batch, recompression, rules)?;
    }
    Ok(valid)
}

fn append(
    core: &Core,
    writer: &Writer,
    topic: &Topic,
    index: i32,
    records: Option<Bytes>,
) -> Result<Written, Refusal> {
    let partition = topic.partition(index)?;
    let rules = topic.config.rules(writer.api_version);
    let records = records.unwrap_or_default();
    let recompression = topic.config.compression;
    let valid = check(
        &core.validation,
        &records,
        &rules,
        recompression,
        writer.now_ms,
    )?;
    let batch = Append {
        header: valid.head(0, 0),
        body: valid.batch.body(),
    };
    let is_transactional = batch.header.attributes.is_transactional();
    let appended = if is_transactional {
        append_to_transaction(core, writer, topic, index, batch)?
    } else {
        partition.log().append(batch, writer.now_ms)
    };
    let appended = appended.map_err(|error| append_refused(&topic.name, index, &error))?;
    // In the journal the coordinator's record is in front of the batch; elsewhere it may come later.
    let apart = is_transactional && !partition.log().is_journaled();
    Ok(Written {
        partition: Arc::clone(partition),
        appended,
        coordinator: apart.then(|| core.transactions.newest()),
    })
}

/// Appends a batch if its transaction has the partition, or gets it now.
///
/// What the coordinator writes down about it is in the journal before the batch is, so nothing
/// is waited for. A transaction that ends in between is noticed by the guard.
fn append_to_transaction(
    core: &Core,
    writer: &Writer,
    topic: &Topic,
    index: i32,
    batch: Append,
) -> Result<Result<Appended, AppendError>, Refusal> {
    let Some(transactional_id) = &writer.transactional_id else {
        return Err(ErrorCode::TransactionalIdAuthorizationFailed.into());
    };
    let adds = writer.api_version >= FIRST_ADDING_VERSION;
    let log = topic.partition(index)?.log();
    let mut attempts = 0;
    loop {
        let guard = log.transaction_guard(batch.header.producer_id, adds);
        let add = AddRequest {
            transactional_id: Arc::clone(transactional_id),
            producer_id: batch.header.producer_id,
            producer_epoch: batch.header.producer_epoch,
            partitions: vec![Participant {
                topic: Arc::from(&*topic.name),
                topic_id: topic.id.into_bytes(),
                partition: index,
            }],
            groups: Vec::new(),
            verify_only: !adds,
        };
        let event = |token| Event::Add(token, add);
        match core.transactions.decide(event, |reply| reply) {
            Ok(Reply::Added) => {}
            Ok(Reply::Error(code)) => {
                return Err(transaction_refusal(code, writer.api_version).into());
            }
            Ok(Reply::Producer { .. }) => return Err(ErrorCode::UnknownServerError.into()),
            Err(_) => return Err(ErrorCode::NotEnoughReplicas.into()),
        }
        attempts += 1;
        match log.append_guarded(batch.clone(), guard, writer.now_ms) {
            Err(AppendError::TransactionEnded { .. }) if attempts < MAX_ATTEMPTS => {}
            outcome => return Ok(outcome),
        }
    }
}

/// The coordinator's refusal as the client knows it. Older clients try again after
/// `NOT_ENOUGH_REPLICAS` only.
fn transaction_refusal(code: ErrorCode, api_version: i16) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if api_version < FIRST_ABORTABLE_VERSION => {
            ErrorCode::InvalidTxnState
        }
        ErrorCode::ConcurrentTransactions if api_version < FIRST_ADDING_VERSION => {
            ErrorCode::NotEnoughReplicas
        }
        ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable => {
            ErrorCode::NotEnoughReplicas
        }
        code => code,
    }
}

/// The batch under the codec that the topic asks for.
fn recompressed(
    batch: RecordBatch,
    wanted: Recompression,
    rules: &Rules,
) -> Result<RecordBatch, Refusal> {
    if batch.header().attributes.compression() == Ok(wanted.codec) {
        return Ok(batch);
    }
    let failed = |error: RecordError| refused(error.into());
    let mut compressor =
        Compressor::new(wanted.codec, wanted.level).map_err(|error| failed(error.into()))?;
    let batch = batch
        .recompress(&mut compressor, &rules.limits)
        .map_err(failed)?;
    let size = batch.header().size();
    if size > rules.max_batch_size {
        return Err(Refusal {
            message: Some(format!(
                "record batch has {size} bytes under the topic's codec, more than the {} allowed",
                rules.max_batch_size
            )),
            ..ErrorCode::MessageTooLarge.into()
        });
    }
    Ok(batch)
}

fn refused(rejection: Rejection) -> Refusal {
    Refusal {
        code: ErrorCode::from(rejection.reason.code()),
        message: Some(rejection.message),
        records: rejection
            .records
            .into_iter()
            .map(|record| (record.index, record.message))
            .collect(),
    }
}

fn append_refused(topic: &str, partition: i32, error: &AppendError) -> Refusal {
    let code = match error {
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::InvalidTransactionState { .. } => ErrorCode::InvalidTxnState,
        AppendError::TransactionEnded { .. } => ErrorCode::NotEnoughReplicas,
        AppendError::TooLarge { .. } => ErrorCode::RecordListTooLarge,
        _ => {
            tracing::error!(topic, partition, %error, "append failed");
            ErrorCode::KafkaStorageError
        }
    };
    Refusal {
        code,
        message: Some(error.to_string()),
        records: Vec::new(),
    }
}

fn answer(
    index: i32,
    outcome: Result<Written, Refusal>,
    at: (usize, usize),
    pending: &mut Vec<Pending>,
) -> PartitionProduceResponse {
    match outcome {
        Ok(Written {
            partition,
            appended,
            coordinator,
        }) => {
            let own = (partition, appended.last_offset + 1);
            let waits_for = iter::once(own).chain(coordinator);
            pending.extend(waits_for.map(|(partition, end)| Pending { partition, end, at }));
            PartitionProduceResponse {
                index,
                base_offset: appended.base_offset,
                log_append_time_ms: appended.log_append_time,
                log_start_offset: appended.log_start_offset,
                ..Default::default()
            }
        }
        Err(refusal) => PartitionProduceResponse {
            index,
            error_code: refusal.code,
            error_message: refusal.message.map(StrBytes::from),
            record_errors: refusal.records.into_iter().map(record_error).collect(),
            ..failed_partition()
        },
    }
}

fn failed_partition() -> PartitionProduceResponse {
    PartitionProduceResponse {
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        ..Default::default()
    }
}

fn record_error((batch_index, message): (i32, String)) -> BatchIndexAndErrorMessage {
    BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: Some(StrBytes::from(message)),
    }
}

async fn finish(
    acks: i16,
    timeout: Duration,
    pending: Vec<Pending>,
    mut response: ProduceResponse,
) -> Answer {
    if acks == 0 {
        return match first_error(&response) {
            Some(code) => Answer::Close(format!("produce with acks=0 failed: {code:?}")),
            None => Answer::Nothing,
        };
    }
    let waited = tokio::time::timeout(timeout, all_durable(&pending)).await;
    for batch in &pending {
        let log = batch.partition.log();
        if log.offsets().high_watermark >= batch.end {
            continue;
        }
        let code = if waited.is_err() && log.failure().is_none() {
            ErrorCode::RequestTimedOut
        } else {
            ErrorCode::KafkaStorageError
        };
        set_error(&mut response, batch.at, code);
    }
    Answer::Reply(Response::Produce(response))
}

/// Waits until every batch is durable or its log has failed.
///
/// One after the other, because what is settled stays so: a request for many partitions costs as
/// many looks as it has partitions, however often it is woken.
async fn all_durable(pending: &[Pending]) {
    let is_settled = |batch: &Pending| {
        let log = batch.partition.log();
        log.offsets().high_watermark >= batch.end || log.failure().is_some()
    };
    let signal = Arc::new(Notify::new());
    for batch in pending {
        if is_settled(batch) {
            continue;
        }
        let _registration = batch.partition.wake_at(batch.end, &signal);
        while !is_settled(batch) {
            signal.notified().await;
        }
    }
}

fn first_error(response: &ProduceResponse) -> Option<ErrorCode> {
    let partitions = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    partitions
        .map(|partition| partition.error_code)
        .find(|code| code.is_error())
}

fn set_error(response: &mut ProduceResponse, (topic, partition): (usize, usize), code: ErrorCode) {
    let answer = response
        .responses
        .get_mut(topic)
        .and_then(|topic| topic.partition_responses.get_mut(partition));
    if let Some(answer) = answer {
        *answer = PartitionProduceResponse {
            index: answer.index,
            error_code: code,
            ..failed_partition()
        };
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use ottla_protocol::record::{BatchBuilder, BatchOptions, Compression};

    use super::*;

    fn batch(compression: Compression) -> Bytes {
        batch_of(compression, 512 << 10)
    }

    fn batch_of(compression: Compression, size: usize) -> Bytes {
        let options = BatchOptions {
            compression,
            max_size: 64 << 20,
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::new(options).unwrap();
        builder.append(0, None, Some(&vec![7; size]), &[]).unwrap();
        builder.build().unwrap()
    }

    /// The most memory that was claimed while so many threads validated `batch` again and again.
    fn peak(batch: &Bytes, budget: &MemoryBudget) -> usize {
        let rules = Rules {
            max_batch_size: 64 << 20,
            timestamp_before_max: None,
            ..Rules::default()
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        let valid = check(budget, batch, &rules, None, 0);
                        assert!(valid.is_ok_and(|valid| valid.decompressed_size > 512 << 10));
                    }
                });
            }
        });
        budget.peak()
    }

    #[test]
    fn only_a_batch_that_needs_it_claims_more_than_most() {
        let claimed = |batch: &Bytes| {
            let budget = MemoryBudget::new(64 << 20);
            assert!(check(&budget, batch, &Rules::default(), None, 0).is_ok());
            budget.peak()
        };
        let [small, large] = [512 << 10, 2 << 20].map(|size| batch_of(Compression::Gzip, size));
        assert_eq!(claimed(&small), 2 * USUAL_BYTES);
        let most = decompression_bytes(&large, &Rules::default().limits);
        assert!(most > 2 * USUAL_BYTES);
        assert_eq!(claimed(&large), most);
    }

    #[test]
    fn validation_of_compressed_batches_on_many_threads_keeps_to_the_budget() {
        let batch = batch(Compression::Gzip);
        let each = 2 * USUAL_BYTES;
        let budget = MemoryBudget::new(2 * each);
        assert!(each > 512 << 10);
        assert!((each..=2 * each).contains(&peak(&batch, &budget)));
    }

    #[test]
    fn validation_of_plain_batches_takes_nothing_of_the_budget() {
        let budget = MemoryBudget::new(1);
        assert_eq!(peak(&batch(Compression::None), &budget), 0);
    }
}
