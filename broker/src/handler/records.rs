//! What a log holds: DeleteRecords (21), DescribeLogDirs (35).

use std::sync::Arc;

use ottla_protocol::message::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteRecordsTopicResult, DescribableLogDirTopic,
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic, Response,
};
use ottla_protocol::{ErrorCode, StrBytes};
use ottla_storage::error::ChangeError;
use ottla_storage::log::Log;

use crate::core::Core;
use crate::topics::Topic;

/// The offset that stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;

/// Where a log starts that is not there.
const UNKNOWN: i64 = -1;

pub(crate) fn delete(
    core: &Arc<Core>,
    request: DeleteRecordsRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let core = Arc::clone(core);
    async move {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let found = core.topics.by_name(&topic.name);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for wanted in topic.partitions {
                let outcome = delete_before(&core, found.as_deref(), &wanted).await;
                partitions.push(DeleteRecordsPartitionResult {
                    partition_index: wanted.partition_index,
                    low_watermark: outcome.unwrap_or(UNKNOWN),
                    error_code: outcome.err().unwrap_or(ErrorCode::None),
                });
            }
            topics.push(DeleteRecordsTopicResult {
                name: topic.name,
                partitions,
            });
        }
        Response::DeleteRecords(DeleteRecordsResponse {
            topics,
            ..Default::default()
        })
    }
}

/// Deletes the records of a partition below an offset. Answers where its log starts then.
async fn delete_before(
    core: &Core,
    topic: Option<&Topic>,
    wanted: &DeleteRecordsPartition,
) -> Result<i64, ErrorCode> {
    let topic = topic.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = topic.partition(wanted.partition_index)?;
    let policy = topic.config.cleanup_policy;
    // The newest record of each key is promised to stay.
    if policy.compact && !policy.delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let log = Arc::clone(partition.log());
    let offset = wanted.offset;
    core.blocking(move || advance(&log, offset))
        .await
        .unwrap_or(Err(ErrorCode::KafkaStorageError))
}

fn advance(log: &Log, offset: i64) -> Result<i64, ErrorCode> {
    let to = match offset {
        HIGH_WATERMARK => log.offsets().high_watermark,
        0.. => offset,
        _ => return Err(ErrorCode::OffsetOutOfRange),
    };
    log.advance_log_start(to).map_err(|error| match error {
        ChangeError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        error => {
            let identity = log.identity();
            tracing::error!(topic = identity.topic, partition = identity.partition, %error, "records not deleted");
            ErrorCode::KafkaStorageError
        }
    })
}

pub(crate) fn describe_log_dirs(
    core: &Arc<Core>,
    request: DescribeLogDirsRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let core = Arc::clone(core);
    async move {
        let mut result = DescribeLogDirsResult {
            log_dir: StrBytes::from(core.store.dir().to_string_lossy().into_owned()),
            ..Default::default()
        };
        if core.store.failure().is_some() {
            result.error_code = ErrorCode::KafkaStorageError;
        } else {
            result.topics = match request.topics {
                None => core.topics.all().iter().map(|topic| all(topic)).collect(),
                Some(wanted) => wanted
                    .iter()
                    .filter_map(|topic| some(&core, topic))
                    .collect(),
            };
            let store = Arc::clone(&core.store);
            let space = core.blocking(move || store.space()).await;
            if let Ok(Ok(Some(space))) = space {
                result.total_bytes = i64::try_from(space.total).unwrap_or(i64::MAX);
                result.usable_bytes = i64::try_from(space.usable).unwrap_or(i64::MAX);
            }
        }
        Response::DescribeLogDirs(DescribeLogDirsResponse {
            results: vec![result],
            ..Default::default()
        })
    }
}

fn all(topic: &Topic) -> DescribeLogDirsTopic {
    let partitions = (0..)
        .take(topic.partition_count())
        .filter_map(|index| described(topic, index));
    DescribeLogDirsTopic {
        name: topic.name.clone(),
        partitions: partitions.collect(),
    }
}

/// The partitions that are there of those that were asked for, as Kafka answers.
fn some(core: &Core, wanted: &DescribableLogDirTopic) -> Option<DescribeLogDirsTopic> {
    let topic = core.topics.by_name(&wanted.topic)?;
    let partitions = wanted
        .partitions
        .iter()
        .filter_map(|index| described(&topic, *index));
    Some(DescribeLogDirsTopic {
        name: topic.name.clone(),
        partitions: partitions.collect(),
    })
}

fn described(topic: &Topic, index: i32) -> Option<DescribeLogDirsPartition> {
    let log = topic.partition(index).ok()?.log();
    Some(DescribeLogDirsPartition {
        partition_index: index,
        partition_size: i64::try_from(log.size()).unwrap_or(i64::MAX),
        ..Default::default()
    })
}
