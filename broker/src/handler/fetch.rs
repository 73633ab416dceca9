//! Fetch (key 1): reads below the high watermark, or below the last stable offset where only what
//! is committed is wanted; waits for appends when there is too little.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    AbortedTransaction, DivergingEpoch, FetchPartition, FetchRequest, FetchResponse,
    FetchableTopicResponse, PartitionData, Response,
};
use ottla_protocol::record::{Batches, Compression};
use ottla_storage::error::ReadError;
use ottla_storage::log::{Bound, Log, LogRead};
use ottla_storage::offsets::Offsets;
use tokio::sync::Notify;

use crate::core::Core;
use crate::fetch_session::Fetch;
use crate::handler::list_offsets::check_leader_epoch;
use crate::partition::{Partition, Registration};
use crate::service::Context;
use crate::topics::Topic;

/// The first version in which a client says that it can read zstd.
const FIRST_ZSTD_VERSION: i16 = 10;

/// The first version that names topics by id.
const FIRST_TOPIC_ID: i16 = 13;

/// Before this version a client knows no `KAFKA_STORAGE_ERROR`.
const FIRST_STORAGE_ERROR_VERSION: i16 = 6;

const READ_COMMITTED: i8 = 1;

/// One fetch with what does not change while it waits.
struct Plan {
    core: Arc<Core>,
    request: FetchRequest,
    topics: Vec<Result<Arc<Topic>, ErrorCode>>,
    api_version: i16,
}

/// A partition that a fetch may read.
struct Target<'a> {
    partition: &'a Arc<Partition>,
    wanted: &'a FetchPartition,
}

pub(crate) fn fetch(
    core: &Arc<Core>,
    context: &Context,
    mut request: FetchRequest,
) -> impl Future<Output = Response> + Send + use<> {
    let by_id = context.api_version >= FIRST_TOPIC_ID;
    let now = core.env.now().monotonic;
    let mut begun = core.fetch_sessions.lock().begin(&request, by_id, now);
    if let Ok(Fetch::Incremental { topics, .. }) = &mut begun {
        request.topics = std::mem::take(topics);
    }
    let topics = request
        .topics
        .iter()
        .map(|topic| core.topics.find(&topic.topic, topic.topic_id, by_id))
        .collect();
    let plan = Plan {
        core: Arc::clone(core),
        request,
        topics,
        api_version: context.api_version,
    };
    async move {
        let answered = match begun {
            Ok(fetch) => plan.answer(&fetch, by_id).await,
            Err(error_code) => Err(error_code),
        };
        Response::Fetch(answered.unwrap_or_else(|error_code| FetchResponse {
            error_code,
            ..Default::default()
        }))
    }
}

impl Plan {
    /// Waits, reads, and leaves out what the client's session knows already.
    async fn answer(&self, fetch: &Fetch, by_id: bool) -> Result<FetchResponse, ErrorCode> {
        self.wait().await;
        let mut responses = self.read_all().await;
        let now = self.core.env.now().monotonic;
        let mut sessions = self.core.fetch_sessions.lock();
        let session_id =
            sessions.complete(fetch, &self.request.topics, by_id, &mut responses, now)?;
        Ok(FetchResponse {
            session_id,
            responses,
            ..Default::default()
        })
    }

    fn targets(&self) -> impl Iterator<Item = Result<Target<'_>, ErrorCode>> {
        self.request
            .topics
            .iter()
            .zip(&self.topics)
            .flat_map(|(topic, found)| {
                topic.partitions.iter().map(move |wanted| {
                    let topic = found.as_ref().map_err(|code| *code)?;
                    let partition = topic.partition(wanted.partition)?;
                    Ok(Target { partition, wanted })
                })
            })
    }

    /// Returns when there are enough bytes, when waiting is over, or when a partition has an
    /// error to tell.
    async fn wait(&self) {
        let max_wait = u64::try_from(self.request.max_wait_ms).unwrap_or(0);
        if max_wait == 0 || self.has_enough() {
            return;
        }
        let signal = Arc::new(Notify::new());
        let _registrations: Vec<Registration> = self
            .targets()
            .flatten()
            .map(|target| {
                target
                    .partition
                    .wake_at(target.wanted.fetch_offset + 1, &signal)
            })
            .collect();
        let enough = async {
            while !self.has_enough() {
                signal.notified().await;
            }
        };
        tokio::select! {
            biased;
            () = enough => {}
            () = tokio::time::sleep(Duration::from_millis(max_wait)) => {}
            () = self.core.draining.cancelled() => {}
        }
    }

    fn has_enough(&self) -> bool {
        let min_bytes = usize::try_from(self.request.min_bytes).unwrap_or(0);
        let mut available = 0;
        let mut partitions = 0;
        for target in self.targets() {
            partitions += 1;
            match target.and_then(|target| target.available(self.isolation())) {
                Ok(bytes) => available += bytes,
                Err(_) => return true,
            }
        }
        partitions == 0 || available >= min_bytes
    }

    async fn read_all(&self) -> Vec<FetchableTopicResponse> {
        let mut left = usize::try_from(self.request.max_bytes)
            .unwrap_or(0)
            .min(self.core.config.fetch_max_bytes);
        let mut first = true;
        let mut answers = Vec::new();
        for (at, topic) in self.request.topics.iter().enumerate() {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for wanted in &topic.partitions {
                let answer = self.read(at, wanted, left, first).await;
                let bytes = answer.records.as_ref().map_or(0, Bytes::len);
                left = left.saturating_sub(bytes);
                first &= bytes == 0;
                partitions.push(answer);
            }
            answers.push(FetchableTopicResponse {
                topic: topic.topic.clone(),
                topic_id: topic.topic_id,
                partitions,
            });
        }
        answers
    }

    /// The answer for one partition, with at most `left` bytes of records; the first non-empty
    /// answer may exceed it by a batch, so that a large batch cannot block a consumer.
    async fn read(
        &self,
        topic: usize,
        wanted: &FetchPartition,
        left: usize,
        first: bool,
    ) -> PartitionData {
        match self.try_read(topic, wanted, left, first).await {
            Ok(data) => data,
            Err(code) => PartitionData {
                partition_index: wanted.partition,
                error_code: self.code(code),
                high_watermark: -1,
                last_stable_offset: -1,
                log_start_offset: -1,
                records: Some(Bytes::new()),
                ..Default::default()
            },
        }
    }

    fn code(&self, code: ErrorCode) -> ErrorCode {
        if code == ErrorCode::KafkaStorageError && self.api_version < FIRST_STORAGE_ERROR_VERSION {
            ErrorCode::NotLeaderOrFollower
        } else {
            code
        }
    }

    async fn try_read(
        &self,
        topic: usize,
        wanted: &FetchPartition,
        left: usize,
        first: bool,
    ) -> Result<PartitionData, ErrorCode> {
        let topic = self
            .topics
            .get(topic)
            .ok_or(ErrorCode::UnknownServerError)?;
        let partition = topic
            .as_ref()
            .map_err(|code| *code)?
            .partition(wanted.partition)?;
        let target = Target { partition, wanted };
        target.check()?;
        if let Some(diverging) = target.divergence()? {
            let mut data = self.data(wanted, partition.log().offsets(), Bytes::new());
            data.diverging_epoch = diverging;
            return Ok(data);
        }
        let limit = left.min(usize::try_from(wanted.partition_max_bytes).unwrap_or(0));
        let (read, aborted) = self
            .read_log(partition, wanted.fetch_offset, limit, first)
            .await?;
        if self.api_version < FIRST_ZSTD_VERSION && has_zstd(&read.records) {
            return Err(ErrorCode::UnsupportedCompressionType);
        }
        let mut data = self.data(wanted, read.offsets, read.records);
        data.aborted_transactions = aborted;
        Ok(data)
    }

    /// What there is from `from` on, but not batches that compaction has left without records, unless there
    /// is nothing else: kafkajs takes an answer of nothing but them for the end of the log, and stays
    /// in front of them.
    async fn read_log(
        &self,
        partition: &Partition,
        from: i64,
        limit: usize,
        first: bool,
    ) -> Result<(LogRead, Option<Vec<AbortedTransaction>>), ErrorCode> {
        let mut found = self.read_from(partition, from, limit, first).await?;
        while has_only_empty_batches(&found.0.records) {
            let next = found.0.next_offset;
            // What is wrong there is told to who asks for it.
            match self.read_from(partition, next, limit, first).await {
                Ok(further) if !further.0.records.is_empty() => found = further,
                _ => break,
            }
            // Many segments may have nothing left.
            tokio::task::consume_budget().await;
        }
        Ok(found)
    }

    /// Reads in place what is in memory; what is not is read where waiting harms nobody.
    async fn read_from(
        &self,
        partition: &Partition,
        from: i64,
        limit: usize,
        first: bool,
    ) -> Result<(LogRead, Option<Vec<AbortedTransaction>>), ErrorCode> {
        let log = Arc::clone(partition.log());
        let bound = self.isolation();
        if log.is_resident(from, limit) {
            return read(&log, from, limit, first, bound).map_err(|error| read_code(&error));
        }
        let reading = move || read(&log, from, limit, first, bound);
        self.core
            .blocking(reading)
            .await
            .map_err(|_| ErrorCode::UnknownServerError)?
            .map_err(|error| read_code(&error))
    }

    /// How far this reader may read.
    fn isolation(&self) -> Bound {
        if self.request.isolation_level == READ_COMMITTED {
            Bound::LastStable
        } else {
            Bound::HighWatermark
        }
    }

    fn data(&self, wanted: &FetchPartition, offsets: Offsets, records: Bytes) -> PartitionData {
        let aborted: Option<Vec<AbortedTransaction>> =
            (self.isolation() == Bound::LastStable).then(Vec::new);
        PartitionData {
            partition_index: wanted.partition,
            high_watermark: offsets.high_watermark,
            last_stable_offset: offsets.last_stable_offset,
            log_start_offset: offsets.log_start_offset,
            aborted_transactions: aborted,
            records: Some(records),
            ..Default::default()
        }
    }
}

impl Target<'_> {
    fn check(&self) -> Result<(), ErrorCode> {
        check_leader_epoch(self.wanted.current_leader_epoch, self.partition)
    }

    /// Bytes that a read would give now.
    fn available(&self, bound: Bound) -> Result<usize, ErrorCode> {
        self.check()?;
        if self.divergence()?.is_some() {
            // There is something to tell: no reason to wait.
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let limit = usize::try_from(self.wanted.partition_max_bytes).unwrap_or(0);
        let log = self.partition.log();
        log.available(self.wanted.fetch_offset, limit, bound)
            .map_err(|error| read_code(&error))
    }

    /// Where the reader's log parts from ours, if the epoch of its last record tells (KIP-595).
    /// An epoch that never was tells nothing; the reader has to find a place anew.
    fn divergence(&self) -> Result<Option<DivergingEpoch>, ErrorCode> {
        let last = self.wanted.last_fetched_epoch;
        if last < 0 {
            return Ok(None);
        }
        let (epoch, end_offset) = self.partition.log().end_offset_for_epoch(last);
        if epoch < 0 {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let parted = epoch < last || end_offset < self.wanted.fetch_offset;
        Ok(parted.then_some(DivergingEpoch { epoch, end_offset }))
    }
}

/// What a reader gets, with the aborted transactions that it must skip if it wants to.
fn read(
    log: &Log,
    from: i64,
    limit: usize,
    first: bool,
    bound: Bound,
) -> Result<(LogRead, Option<Vec<AbortedTransaction>>), ReadError> {
    let read = log.read(from, limit, first, bound)?;
    if bound != Bound::LastStable {
        return Ok((read, None));
    }
    let aborted = log.aborted_transactions(from, read.next_offset)?;
    let entry = |aborted: &ottla_storage::log::AbortedTransaction| AbortedTransaction {
        producer_id: aborted.producer_id,
        first_offset: aborted.first_offset,
    };
    let aborted = aborted.iter().map(entry).collect();
    Ok((read, Some(aborted)))
}

fn read_code(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        _ => {
            tracing::error!(%error, "read failed");
            ErrorCode::KafkaStorageError
        }
    }
}

fn has_only_empty_batches(records: &Bytes) -> bool {
    !records.is_empty()
        && Batches::new(records.clone())
            .flatten()
            .all(|batch| batch.header().record_count == 0)
}

fn has_zstd(records: &Bytes) -> bool {
    Batches::new(records.clone())
        .flatten()
        .any(|batch| batch.header().attributes.compression() == Ok(Compression::Zstd))
}
