//! Produce (key 0): validates a batch per partition, appends it, answers when it is durable.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::message::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceRequest, ProduceResponse, Response,
    TopicProduceResponse,
};
use ottla_protocol::record::{Compressor, RecordBatch, RecordError, Rejection, Rules, validate};
use ottla_protocol::{ErrorCode, StrBytes};
use ottla_storage::error::AppendError;
use ottla_storage::log::{Append, Appended};
use tokio::sync::Notify;

use crate::config::Recompression;
use crate::core::Core;
use crate::partition::{Partition, Registration};
use crate::service::{Answer, Context};
use crate::topics::Topic;

/// The first version that names topics by id.
const FIRST_TOPIC_ID: i16 = 13;

/// A batch that was appended and is not durable yet.
struct Pending {
    partition: Arc<Partition>,
    end: i64,
    /// Where its answer stands: topic and partition of the response.
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
    let now_ms = core.env.now().wall_ms;
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
                    append(topic, partition.index, partition.records, context, now_ms)
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
    if !matches!(request.acks, -1..=1) {
        Some(ErrorCode::InvalidRequiredAcks)
    } else if request.transactional_id.is_some() {
        // Without a transaction coordinator no producer id can belong to a transaction.
        Some(ErrorCode::InvalidProducerIdMapping)
    } else {
        None
    }
}

fn append(
    topic: &Topic,
    index: i32,
    records: Option<Bytes>,
    context: &Context,
    now_ms: i64,
) -> Result<(Arc<Partition>, Appended), Refusal> {
    let partition = topic.partition(index)?;
    let rules = topic.config.rules(context.api_version);
    let mut valid = validate(&records.unwrap_or_default(), &rules, now_ms).map_err(refused)?;
    if let Some(recompression) = topic.config.compression {
        valid.batch = recompressed(valid.batch, recompression, &rules)?;
    }
    let batch = Append {
        header: valid.head(0, 0),
        body: valid.batch.body(),
    };
    match partition.log().append(batch, now_ms) {
        Ok(appended) => Ok((Arc::clone(partition), appended)),
        Err(error) => Err(append_refused(&topic.name, index, &error)),
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
    outcome: Result<(Arc<Partition>, Appended), Refusal>,
    at: (usize, usize),
    pending: &mut Vec<Pending>,
) -> PartitionProduceResponse {
    match outcome {
        Ok((partition, appended)) => {
            pending.push(Pending {
                partition,
                end: appended.last_offset + 1,
                at,
            });
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
async fn all_durable(pending: &[Pending]) {
    let is_settled = |batch: &Pending| {
        let log = batch.partition.log();
        log.offsets().high_watermark >= batch.end || log.failure().is_some()
    };
    let signal = Arc::new(Notify::new());
    let _registrations: Vec<Registration> = pending
        .iter()
        .filter(|batch| !is_settled(batch))
        .map(|batch| batch.partition.wake_at(batch.end, &signal))
        .collect();
    while !pending.iter().all(is_settled) {
        signal.notified().await;
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
