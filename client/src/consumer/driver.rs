//! Shell. The task of a consumer: does what its state asks for, and feeds back what comes of it.

mod done;
mod membership;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use ottla_protocol::message::SyncGroupRequestAssignment;
use tokio::time::{Instant, sleep_until};

use super::fetch::{self, FETCHES_PER_BROKER, Fetch, Means};
use super::job::{self, Round};
use super::locate::locate;
use super::membership::{Input, Membership};
use super::partition::Find;
use super::state::{Phase, State, Subscription};
use super::{ConsumerGroupMetadata, Shared};
use crate::cluster::Topics;
use crate::metadata::TopicPartition;
use crate::offsets::CommittedOffset;
use crate::retry::Backoff;
use crate::transport::BoxFuture;
use done::Done;

/// What the task remembers between its rounds.
pub(super) struct Driver {
    shared: Arc<Shared>,
    work: FuturesUnordered<BoxFuture<Done>>,
    /// Fetches under way, by broker and slot.
    busy: BTreeMap<i32, [bool; FETCHES_PER_BROKER]>,
    round: Option<Round>,
    assignments: Vec<SyncGroupRequestAssignment>,
    metadata: Retry,
    finding: Retry,
    committing: Retry,
    auto_commit_at: Instant,
    metadata_at: Instant,
    /// Leaders have to be asked for.
    stale: bool,
    leaving: bool,
    /// LeaveGroup requests under way.
    leaves: usize,
}

/// Something that is repeated after a pause when it failed.
struct Retry {
    under_way: bool,
    at: Option<Instant>,
    backoff: Backoff,
}

impl Retry {
    fn new(backoff: Backoff) -> Self {
        Self {
            under_way: false,
            at: None,
            backoff,
        }
    }

    fn may_start(&self, now: Instant) -> bool {
        !self.under_way && self.at.is_none_or(|at| at <= now)
    }

    fn start(&mut self) {
        self.under_way = true;
        self.at = None;
    }

    fn end(&mut self, succeeded: bool, now: Instant, fraction: f64) {
        self.under_way = false;
        if succeeded {
            self.backoff.reset();
        } else {
            self.at = Some(now + self.backoff.next(fraction));
        }
    }
}

/// The earliest of the moments at which there is something to do.
fn sooner(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// Runs until the consumer is closed.
pub(super) async fn run(shared: Arc<Shared>) {
    let now = shared.cluster.env.now();
    let backoff = shared.cluster.backoff();
    let mut driver = Driver {
        work: FuturesUnordered::new(),
        busy: BTreeMap::new(),
        round: None,
        assignments: Vec::new(),
        metadata: Retry::new(backoff),
        finding: Retry::new(backoff),
        committing: Retry::new(backoff),
        auto_commit_at: now + shared.config.auto_commit_interval,
        metadata_at: now,
        stale: false,
        leaving: false,
        leaves: 0,
        shared,
    };
    while let Some(wake_at) = driver.advance() {
        let shared = Arc::clone(&driver.shared);
        tokio::select! {
            biased;
            Some(done) = driver.work.next() => driver.take(done),
            () = shared.driver.notified() => {}
            () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {}
        }
    }
}

impl Driver {
    /// Starts what there is to do. Returns when there is more, or nothing when all is over.
    #[expect(clippy::option_option, reason = "the end is not the same as no moment")]
    fn advance(&mut self) -> Option<Option<Instant>> {
        let shared = Arc::clone(&self.shared);
        let now = shared.cluster.env.now();
        let mut state = shared.state.lock();
        self.close(&mut state, now);
        if state.phase == Phase::Closed {
            return None;
        }
        let mut wake_at = state.close_at;
        if state.phase == Phase::Running {
            self.hear(&mut state, now);
            wake_at = sooner(wake_at, self.watch_progress(&mut state, now));
            wake_at = sooner(wake_at, self.refresh_metadata(&state, now));
            wake_at = sooner(wake_at, self.find_places(&mut state, now));
        }
        wake_at = sooner(wake_at, self.auto_commit(&mut state, now));
        self.give_back(&mut state, now);
        wake_at = sooner(wake_at, self.commit(&mut state, now));
        self.tick(&mut state, Input::Tick, now);
        if let Some(membership) = &state.membership {
            wake_at = sooner(wake_at, membership.deadline());
        }
        if state.phase == Phase::Running {
            wake_at = sooner(wake_at, self.fetch(&mut state, now));
        }
        drop(state);
        shared.application.notify_one();
        Some(wake_at)
    }

    /// Ends in steps: commit, leave, stop.
    fn close(&mut self, state: &mut State, now: Instant) {
        if state.close_at.is_some_and(|at| at <= now) {
            state.phase = Phase::Closed;
        }
        if state.phase == Phase::Closing && state.commits.is_idle() {
            state.phase = Phase::Leaving;
        }
        if state.phase == Phase::Leaving && !self.leaving {
            self.leaving = true;
            self.tick(state, Input::Leave, now);
            // The last thing that is waited for is the answer to LeaveGroup.
            self.work.push(Box::pin(async { Done::Nothing }));
        } else if state.phase == Phase::Leaving && self.leaves == 0 {
            state.phase = Phase::Closed;
        }
    }

    /// Takes over what the application has said.
    fn hear(&mut self, state: &mut State, now: Instant) {
        if std::mem::take(&mut state.returned) {
            self.tick(state, Input::Returned, now);
        }
        if std::mem::take(&mut state.resubscribed) {
            self.stale = true;
            self.metadata.at = None;
            if !state.is_subscribed() {
                state.departing = true;
                state.stop_reading();
                state.commit_done();
            }
        }
        // What was done is committed while the group still takes it.
        if state.departing && state.commits.is_idle() {
            state.departing = false;
            self.tick(state, Input::Leave, now);
            // Who subscribes again begins anew, as what it had is not read any more.
            self.stale = true;
            self.metadata.at = None;
        }
        state.tell_departed();
    }

    fn watch_progress(&mut self, state: &mut State, now: Instant) -> Option<Instant> {
        let deadline = state.poll_deadline()?;
        if now < deadline {
            return Some(deadline);
        }
        tracing::warn!("no progress within max.poll.interval.ms; leaving the group");
        state.announcements.poll_exceeded();
        self.tick(state, Input::PollExpired, now);
        None
    }

    fn refresh_metadata(&mut self, state: &State, now: Instant) -> Option<Instant> {
        if matches!(state.subscription, Subscription::None) {
            // There is nothing to ask for; whoever subscribes asks anew.
            self.stale = false;
            return None;
        }
        if self.metadata.under_way {
            return None;
        }
        let due = self.stale || self.metadata_at <= now;
        if !due {
            return Some(self.metadata_at);
        }
        if !self.metadata.may_start(now) {
            return self.metadata.at;
        }
        let topics = match &state.subscription {
            Subscription::Pattern(_) => Topics::All,
            Subscription::Topics(topics) => {
                let divided = state.divided.keys().cloned();
                Topics::Named(topics.iter().cloned().chain(divided).collect())
            }
            Subscription::BrokerPattern(_) => {
                let membership = state.membership.as_ref();
                Topics::Identified(membership.map(Membership::topic_ids).unwrap_or_default())
            }
            Subscription::None | Subscription::Assigned => {
                let partitions = state.partitions.keys();
                Topics::Named(partitions.map(|p| Arc::clone(&p.topic)).collect())
            }
        };
        self.metadata.start();
        self.stale = false;
        let shared = Arc::clone(&self.shared);
        let create = shared.config.allow_auto_create_topics;
        self.start(async move {
            let refreshed = shared.cluster.refresh(&topics, create).await;
            Done::Metadata(refreshed)
        });
        None
    }

    fn find_places(&mut self, state: &mut State, now: Instant) -> Option<Instant> {
        let find = |(partition, held): (&TopicPartition, &super::partition::Partition)| {
            Some((
                partition.clone(),
                held.to_find()?,
                held.assignment,
                held.seek,
            ))
        };
        // What is being committed has to be found.
        let settled = |(partition, find, ..): &(TopicPartition, Find, u64, u64)| {
            *find != Find::Committed || !state.commits.holds(partition)
        };
        let wanted = state.partitions.iter().filter_map(find);
        let wanted: Vec<_> = wanted.filter(settled).collect();
        if wanted.is_empty() {
            return None;
        }
        if !self.finding.may_start(now) {
            return self.finding.at;
        }
        for (partition, ..) in &wanted {
            if let Some(held) = state.partitions.get_mut(partition) {
                held.finding = true;
            }
        }
        self.finding.start();
        let shared = Arc::clone(&self.shared);
        self.start(async move {
            let list: Vec<(TopicPartition, Find)> = wanted
                .iter()
                .map(|(p, find, ..)| (p.clone(), *find))
                .collect();
            let located = locate(&shared, &list).await;
            Done::Located(wanted, located)
        });
        None
    }

    fn auto_commit(&mut self, state: &mut State, now: Instant) -> Option<Instant> {
        let config = &self.shared.config;
        if !config.enable_auto_commit || config.group_id.is_none() {
            return None;
        }
        if self.auto_commit_at <= now {
            self.auto_commit_at = now + config.auto_commit_interval;
            state.commit_done();
        }
        Some(self.auto_commit_at)
    }

    /// Commits what was done of partitions that were given back, then lets go of them.
    fn give_back(&mut self, state: &mut State, now: Instant) {
        if !state.is_given_back() {
            return;
        }
        if !state.announcements.begin_commit() {
            state.commit_done();
        }
        if state.commits.is_idle() {
            self.tick(state, Input::Released, now);
        }
    }

    fn commit(&mut self, state: &mut State, now: Instant) -> Option<Instant> {
        if state.commits.is_under_way() || !state.commits.is_queued() {
            return None;
        }
        let group = self.group_of_commit(state)?;
        if !self.committing.may_start(now) {
            return self.committing.at;
        }
        let offsets = state.commits.take()?;
        self.committing.start();
        let shared = Arc::clone(&self.shared);
        self.start(async move {
            let outcome = shared
                .telemetry
                .commit(job::commit(&shared, &group, &offsets))
                .await;
            Done::Committed(group, offsets, outcome)
        });
        None
    }

    /// Who commits now: nobody while the group changes generations.
    fn group_of_commit(&self, state: &State) -> Option<ConsumerGroupMetadata> {
        let group_id = self.shared.config.group_id.as_deref()?;
        match &state.membership {
            Some(membership) if membership.may_commit() => Some(membership.metadata()),
            Some(membership) if membership.is_in() => None,
            _ => Some(ConsumerGroupMetadata::new(group_id)),
        }
    }

    fn fetch(&mut self, state: &mut State, now: Instant) -> Option<Instant> {
        let metadata = self.shared.cluster.metadata();
        let means = Means {
            config: &self.shared.config,
            metadata: &metadata,
            budget: &self.shared.reading.budget,
            busy: &self.busy,
            now,
        };
        let plan = fetch::plan(state, &means);
        if plan.leaderless && !self.metadata.under_way {
            self.stale = true;
        }
        for fetch in plan.fetches {
            self.start_fetch(fetch);
        }
        let stale = self.stale && !self.metadata.under_way;
        sooner(
            plan.retry_at,
            stale.then(|| self.metadata.at.unwrap_or(now)),
        )
    }

    fn start_fetch(&mut self, fetch: Fetch) {
        let slots = self.busy.entry(fetch.node).or_default();
        if let Some(slot) = slots.get_mut(fetch.slot) {
            *slot = true;
        }
        let shared = Arc::clone(&self.shared);
        self.start(async move {
            let (node, slot) = (fetch.node, fetch.slot);
            let lane = shared.lanes.fetch(slot);
            let timeout = shared.cluster.config.request_timeout + shared.config.fetch_max_wait;
            let call = shared
                .cluster
                .call(node, lane, fetch.request, fetch.cap, timeout);
            let answer = fetch::Answer {
                response: call.await.map_err(|error| error.error),
                asked: fetch.asked,
                names: fetch.names,
                permit: fetch.permit,
            };
            Done::Fetched { node, slot, answer }
        });
    }

    fn start(&self, work: impl Future<Output = Done> + Send + 'static) {
        self.work.push(Box::pin(work));
    }
}

/// However the task ends, nobody waits for it in vain.
impl Drop for Driver {
    fn drop(&mut self) {
        let shared = &self.shared;
        let mut state = shared.state.lock();
        state.phase = Phase::Closed;
        state.commits.abandon(&crate::error::Error::Closed);
        state.partitions.clear();
        drop(state);
        shared.lanes.close(&shared.cluster);
        shared.ended.send_replace(true);
        shared.application.notify_one();
    }
}

/// Offsets by partition.
pub(super) type Offsets = BTreeMap<TopicPartition, CommittedOffset>;
