//! Shell. The task of a producer: sends what the accumulator gives, feeds back what returns.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use ottla_protocol::message::{
    InitProducerIdRequest, PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use ottla_protocol::{ApiKey, ErrorCode, StrBytes};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::Shared;
use super::accumulator::Verdict;
use super::batch::Batch;
use super::sequence::Identity;
use super::transaction::machine::{Answer, Next, Protocol, Refusal, Step};
use super::transaction::step::{self, PRODUCE_V1, PRODUCE_V2};
use crate::cluster::Topics;
use crate::config::Acks;
use crate::connection::Connection;
use crate::env::millis_i32;
use crate::error::{CallError, Error, check};
use crate::transport::BoxFuture;

/// The last version of Produce that names topics by name.
const BY_NAME: i16 = 12;

/// A request came back: the broker, and what became of each batch.
type Returned = (i32, Vec<(Batch, Verdict)>);

/// Runs until the producer is closed and nothing is left to send.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut sender = Sender::new(shared);
    loop {
        let wake_at = sender.begin();
        if sender.is_done() {
            break;
        }
        sender.wait(wake_at).await;
    }
    sender.shared.end_transactions();
    sender.shared.cluster.close_lane(sender.shared.lane);
}

/// What the task has under way.
struct Sender {
    shared: Arc<Shared>,
    requests: FuturesUnordered<BoxFuture<Returned>>,
    /// How many of them go to each broker.
    busy: BTreeMap<i32, usize>,
    identity: Option<BoxFuture<Result<Identity, Error>>>,
    refresh: Option<BoxFuture<()>>,
    step: Option<BoxFuture<(Step, Result<Answer, Refusal>)>>,
    /// Set when the producer closes: a transaction may take until then to end.
    give_up_at: Option<Instant>,
}

impl Sender {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            requests: FuturesUnordered::new(),
            busy: BTreeMap::new(),
            identity: None,
            refresh: None,
            step: None,
            give_up_at: None,
        }
    }

    /// Begins all that can begin. Returns when to look again if nothing else happens.
    fn begin(&mut self) -> Option<Instant> {
        let shared = &self.shared;
        let now = shared.cluster.env.now();
        if shared.is_closing() {
            let limit = now + shared.config.transaction_timeout;
            shared.abandon(*self.give_up_at.get_or_insert(limit));
        }
        let mut drained = drain(shared, &self.busy);
        for (node, batches) in std::mem::take(&mut drained.requests) {
            *self.busy.entry(node).or_default() += 1;
            let request = Box::pin(send(Arc::clone(shared), node, batches));
            self.requests.push(request);
        }
        if drained.needs_identity && self.identity.is_none() {
            self.identity = Some(Box::pin(init_producer_id(Arc::clone(shared))));
        }
        // While one is under way, those that come up wait for the next.
        if self.refresh.is_none() {
            let stale = shared.take_stale(std::mem::take(&mut drained.leaderless));
            if !stale.is_empty() {
                self.refresh = Some(Box::pin(refresh_metadata(Arc::clone(shared), stale)));
            }
        }
        match next_step(shared) {
            Next::Nothing => {}
            Next::At(at) => drained.wake_by(at),
            Next::Ask(step) => self.step = Some(Box::pin(step::ask(Arc::clone(shared), step))),
        }
        if let Some(at) = self.give_up_at.filter(|at| *at > now) {
            drained.wake_by(at);
        }
        drained.wake_at
    }

    fn is_done(&self) -> bool {
        self.shared.is_closing() && self.requests.is_empty() && self.shared.is_settled()
    }

    /// Waits until something comes back, or there may be something new.
    async fn wait(&mut self, wake_at: Option<Instant>) {
        let shared = &self.shared;
        tokio::select! {
            biased;
            Some((node, returned)) = self.requests.next() => {
                if let Some(count) = self.busy.get_mut(&node) {
                    *count = count.saturating_sub(1);
                }
                take_back(shared, returned);
            }
            answer = under_way(&mut self.identity) => match answer {
                Ok(new) => shared.accumulator.lock().set_identity(new),
                Err(error) if error.is_retriable() => {}
                Err(error) => shared.fail_queued(&error),
            },
            (step, answer) = under_way(&mut self.step) => step_answered(shared, &step, answer),
            () = under_way(&mut self.refresh) => {}
            () = shared.wake.notified() => {}
            () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {}
        }
    }
}

/// The outcome of what is under way; waits for ever if nothing is.
async fn under_way<T>(what: &mut Option<BoxFuture<T>>) -> T {
    let Some(future) = what else {
        return std::future::pending().await;
    };
    let outcome = future.await;
    *what = None;
    outcome
}

fn next_step(shared: &Shared) -> Next {
    let now = shared.cluster.env.now();
    let next = shared.accumulator.lock().next_step(now);
    shared.has_turned();
    next
}

fn step_answered(shared: &Shared, step: &Step, answer: Result<Answer, Refusal>) {
    let (now, fraction) = (shared.cluster.env.now(), shared.cluster.env.fraction());
    let mut accumulator = shared.accumulator.lock();
    accumulator.step_answered(step, answer, now, fraction);
}

fn drain(shared: &Shared, busy: &BTreeMap<i32, usize>) -> super::accumulator::Drained {
    let metadata = shared.cluster.metadata();
    let now = shared.cluster.env.now();
    let leader = |topic: &Arc<str>, index: usize| {
        let leader = metadata.topics.get(topic)?.leaders.get(index)?;
        let known = metadata.brokers.contains_key(&leader.node_id);
        known.then_some(leader.node_id)
    };
    let hurry = shared.is_closing() || shared.has_waiters();
    let drained = shared.accumulator.lock().drain(now, leader, busy, hurry);
    shared.release(drained.released);
    drained
}

fn take_back(shared: &Shared, returned: Vec<(Batch, Verdict)>) {
    let now = shared.cluster.env.now();
    let mut released = 0;
    let mut moved = BTreeSet::new();
    {
        let mut accumulator = shared.accumulator.lock();
        for (batch, verdict) in returned {
            if leads_elsewhere(&verdict) {
                moved.insert(Arc::clone(&batch.topic));
            }
            let fraction = shared.cluster.env.fraction();
            released += accumulator.complete(batch, verdict, now, fraction);
        }
    }
    shared.mark_stale(moved);
    shared.release(released);
}

/// Whether the failure may come from metadata that is out of date.
fn leads_elsewhere(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Refused { code, .. } => matches!(
            code,
            ErrorCode::NotLeaderOrFollower
                | ErrorCode::LeaderNotAvailable
                | ErrorCode::UnknownTopicOrPartition
                | ErrorCode::UnknownTopicId
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::UnknownLeaderEpoch
                | ErrorCode::KafkaStorageError
        ),
        Verdict::Unanswered(_) => true,
        Verdict::Written { .. } => false,
    }
}

/// Asks for the leaders of topics, and pauses when some are missing: what is queued for those has
/// them asked for again, and nothing else does.
async fn refresh_metadata(shared: Arc<Shared>, topics: BTreeSet<Arc<str>>) {
    let cluster = &shared.cluster;
    let named = Topics::Named(topics.clone());
    if cluster.refresh(&named, false).await.is_err() {
        tokio::time::sleep(cluster.config.retry_backoff).await;
        shared.mark_stale(topics);
        return;
    }
    let metadata = cluster.metadata();
    let is_complete = |topic: &Arc<str>| {
        let known = metadata.topics.get(topic);
        known.is_some_and(|topic| topic.leaders.iter().all(|leader| leader.node_id >= 0))
    };
    if !topics.iter().all(is_complete) {
        tokio::time::sleep(cluster.config.retry_backoff).await;
    }
}

/// Asks until there is an answer.
async fn init_producer_id(shared: Arc<Shared>) -> Result<Identity, Error> {
    let cluster = &shared.cluster;
    let request = || InitProducerIdRequest {
        transaction_timeout_ms: i32::MAX,
        ..InitProducerIdRequest::default()
    };
    cluster
        .retry("InitProducerId", cluster.deadline(), || async {
            let response = cluster.call_any(request(), i16::MAX).await?;
            check("InitProducerId", response.error_code, None)?;
            let (producer_id, epoch) = (response.producer_id, response.producer_epoch);
            Ok(Identity { producer_id, epoch })
        })
        .await
}

/// Sends one request and gives every batch its verdict.
async fn send(shared: Arc<Shared>, node: i32, mut batches: Vec<Batch>) -> Returned {
    let timeout = shared.config.request_timeout;
    let connecting = tokio::time::timeout(timeout, shared.cluster.node(node, shared.lane));
    let connection = match while_in_time(&mut batches, false, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return (node, unanswered(batches, &error)),
        Err(_) => return (node, unanswered(batches, &no_connection())),
    };
    let (expired, batches) = batches
        .into_iter()
        .partition(|batch| batch.expired.is_some());
    let mut returned = unanswered(expired, &no_connection());
    if !batches.is_empty() {
        returned.extend(send_over(&shared, &connection, batches).await);
    }
    (node, returned)
}

/// Waits for `answer`, to what may have been sent or not. Batches whose time is up meanwhile fail,
/// and the others go on.
async fn while_in_time<T>(batches: &mut [Batch], sent: bool, answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(answer);
    loop {
        let waiting = batches.iter().filter(|batch| batch.expired.is_none());
        let deadline = waiting.map(|batch| batch.deadline).min();
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                let waiting = batches.iter_mut().filter(|batch| batch.expired.is_none());
                let late = waiting.filter(|batch| Some(batch.deadline) <= deadline);
                late.for_each(|batch| batch.expire(sent));
            }
        }
    }
}

/// Sends one request over a connection and gives every batch its verdict.
async fn send_over(
    shared: &Shared,
    connection: &Connection,
    mut batches: Vec<Batch>,
) -> Vec<(Batch, Verdict)> {
    let protocol = shared.protocol();
    let (request, ids) = match build(shared, &mut batches) {
        Ok(request) => request,
        Err(error) => return unanswered(batches, &CallError::unsent(error)),
    };
    // A topic without id can only be named by name.
    let cap = if ids { i16::MAX } else { BY_NAME };
    let cap = match protocol {
        Some(Protocol::V1) => cap.min(PRODUCE_V1),
        Some(Protocol::V2) | None => cap,
    };
    if protocol == Some(Protocol::V2) && connection.serves_less(ApiKey::Produce, PRODUCE_V2) {
        let error = Error::Unsupported("transactions that add partitions by themselves".to_owned());
        return unanswered(batches, &CallError::unsent(error));
    }
    let timeout = shared.config.request_timeout;
    if shared.config.acks == Acks::None {
        let sent = connection.send_unanswered(request, cap, timeout);
        return match while_in_time(&mut batches, true, sent).await {
            Ok(()) => batches.into_iter().map(unacknowledged).collect(),
            Err(error) => unanswered(batches, &error),
        };
    }
    let answer = connection.call(request, cap, timeout);
    match while_in_time(&mut batches, true, answer).await {
        Ok(response) => verdicts(shared, batches, &response),
        Err(error) => unanswered(batches, &error),
    }
}

/// A batch of which nobody tells whether it is in the log.
fn unacknowledged(batch: Batch) -> (Batch, Verdict) {
    let verdict = Verdict::Written {
        base_offset: -1,
        log_append_time: None,
    };
    (batch, verdict)
}

fn no_connection() -> CallError {
    CallError::unsent(Error::Unavailable("no connection in time".to_owned()))
}

fn unanswered(batches: Vec<Batch>, error: &CallError) -> Vec<(Batch, Verdict)> {
    let verdict = |batch| (batch, Verdict::Unanswered(error.clone()));
    batches.into_iter().map(verdict).collect()
}

/// The request with these batches, and whether all topics have ids.
fn build(shared: &Shared, batches: &mut [Batch]) -> Result<(ProduceRequest, bool), Error> {
    let metadata = shared.cluster.metadata();
    let mut topics: BTreeMap<Arc<str>, TopicProduceData> = BTreeMap::new();
    for batch in batches {
        let (bytes, builder) = batch.bytes()?;
        if let Some(builder) = builder {
            shared.accumulator.lock().recycle(builder);
        }
        let id = metadata
            .topics
            .get(&batch.topic)
            .map_or(Uuid::nil(), |topic| topic.id);
        let topic = topics
            .entry(Arc::clone(&batch.topic))
            .or_insert_with(|| TopicProduceData {
                name: StrBytes::from(&*batch.topic),
                topic_id: id,
                partition_data: Vec::new(),
            });
        let data = PartitionProduceData {
            index: batch.partition,
            records: Some(bytes),
        };
        topic.partition_data.push(data);
    }
    let ids = topics.values().all(|topic| !topic.topic_id.is_nil());
    let request = ProduceRequest {
        transactional_id: shared.config.transactional_id.as_deref().map(Into::into),
        acks: match shared.config.acks {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        },
        timeout_ms: millis_i32(shared.config.request_timeout),
        topic_data: topics.into_values().collect(),
    };
    Ok((request, ids))
}

/// Finds the part of the response that is about each batch.
fn verdicts(
    shared: &Shared,
    batches: Vec<Batch>,
    response: &ProduceResponse,
) -> Vec<(Batch, Verdict)> {
    let metadata = shared.cluster.metadata();
    let mut outcomes = BTreeMap::new();
    for topic in &response.responses {
        let name = if topic.name.is_empty() {
            metadata.topic_name(topic.topic_id)
        } else {
            Some(Arc::from(&*topic.name))
        };
        let Some(name) = name else { continue };
        for partition in &topic.partition_responses {
            outcomes.insert((Arc::clone(&name), partition.index), partition);
        }
    }
    let verdict = |batch: Batch| {
        let verdict = match outcomes.get(&(Arc::clone(&batch.topic), batch.partition)) {
            None => Verdict::Unanswered(CallError::lost(Error::Corrupt(
                "the answer leaves out a partition".to_owned(),
            ))),
            Some(outcome) if outcome.error_code == ErrorCode::None => Verdict::Written {
                base_offset: outcome.base_offset,
                log_append_time: Some(outcome.log_append_time_ms).filter(|time| *time >= 0),
            },
            Some(outcome) => Verdict::Refused {
                code: outcome.error_code,
                message: outcome.error_message.as_ref().map(ToString::to_string),
            },
        };
        (batch, verdict)
    };
    batches.into_iter().map(verdict).collect()
}
