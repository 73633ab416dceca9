use std::time::Duration;

use ottla_protocol::message::FetchableTopicResponse;
use ottla_protocol::record::{BatchBuilder, BatchOptions};

use super::*;
use crate::consumer::progress::Progress;
use crate::metadata::{Leader, Topic};
use crate::transport::Endpoint;

/// Partitions of topic `t`, all at offset 0 and led by broker 1.
struct World {
    state: State,
    metadata: Metadata,
    budget: Arc<Budget>,
    busy: BTreeMap<i32, [bool; FETCHES_PER_BROKER]>,
    config: ConsumerConfig,
    now: Instant,
}

impl World {
    fn new(partitions: i32, limit: usize) -> Self {
        let now = Instant::now();
        let mut state = State::new(
            None,
            Progress::new(Duration::MAX / 4, Duration::ZERO, now),
            false,
        );
        for number in 0..partitions {
            let partition = TopicPartition::new("t", number);
            state.add(partition.clone(), Find::Committed);
            state.update(&partition, |held| held.found(at(0), true));
        }
        let mut metadata = Metadata::default();
        let (host, port) = ("h".to_owned(), 1);
        metadata.brokers.insert(1, Endpoint { host, port });
        let leader = Leader {
            node_id: 1,
            epoch: 0,
        };
        let topic = Topic {
            id: Uuid::from_u128(7),
            is_internal: false,
            leaders: vec![leader; usize::try_from(partitions).unwrap()],
            as_of: now,
        };
        metadata.topics.insert("t".into(), topic);
        Self {
            state,
            metadata,
            budget: Budget::new(limit, Default::default()),
            busy: BTreeMap::new(),
            config: ConsumerConfig::default(),
            now,
        }
    }

    fn plan(&mut self) -> Plan {
        let means = Means {
            config: &self.config,
            metadata: &self.metadata,
            budget: &self.budget,
            busy: &self.busy,
            now: self.now,
        };
        plan(&mut self.state, &means)
    }

    fn only(&mut self) -> Fetch {
        let mut plan = self.plan();
        assert_eq!(plan.fetches.len(), 1);
        plan.fetches.remove(0)
    }

    /// Answers a fetch with this for partition 0.
    fn answer(&mut self, fetch: Fetch, data: PartitionData, reset: AutoOffsetReset) -> Verdict {
        let topic = FetchableTopicResponse {
            topic_id: Uuid::from_u128(7),
            partitions: vec![data],
            ..FetchableTopicResponse::default()
        };
        let response = FetchResponse {
            responses: vec![topic],
            ..FetchResponse::default()
        };
        let answer = Answer {
            asked: fetch.asked,
            names: fetch.names,
            permit: fetch.permit,
            response: Ok(response),
        };
        let retry_at = self.now + Duration::from_millis(100);
        take(&mut self.state, answer, reset, retry_at)
    }

    fn held(&self) -> &crate::consumer::partition::Partition {
        &self.state.partitions[&TopicPartition::new("t", 0)]
    }
}

fn at(offset: i64) -> Position {
    Position {
        offset,
        leader_epoch: 0,
    }
}

fn numbers(fetch: &Fetch) -> Vec<i32> {
    let topics = fetch.request.topics.iter();
    topics
        .flat_map(|topic| topic.partitions.iter().map(|p| p.partition))
        .collect()
}

fn records() -> PartitionData {
    let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
    builder.append(0, None, Some(b"v"), &[]).unwrap();
    PartitionData {
        records: Some(builder.build().unwrap()),
        ..PartitionData::default()
    }
}

fn failed(error_code: ErrorCode) -> PartitionData {
    PartitionData {
        error_code,
        ..PartitionData::default()
    }
}

const MIB: usize = 1 << 20;

#[test]
fn a_partition_is_in_one_fetch_at_a_time() {
    let mut world = World::new(3, 64 * MIB);
    assert_eq!(numbers(&world.only()), [0, 1, 2]);
    assert!(world.plan().fetches.is_empty());
}

#[test]
fn the_first_partition_is_another_one_each_time() {
    let mut world = World::new(3, 64 * MIB);
    let mut firsts = Vec::new();
    for _ in 0..4 {
        let fetch = world.only();
        firsts.push(numbers(&fetch)[0]);
        for partition in 0..3 {
            let partition = TopicPartition::new("t", partition);
            world.state.update(&partition, |held| held.fetching = false);
        }
    }
    assert_eq!(firsts, [0, 1, 2, 0]);
}

#[test]
fn what_is_asked_for_is_reserved_and_no_more_than_half_the_budget() {
    let mut world = World::new(1000, 64 * MIB);
    let fetch = world.only();
    let asked = usize::try_from(fetch.request.max_bytes).unwrap();
    assert_eq!((world.budget.used(), asked), (16 * MIB, 16 * MIB));
    let share = fetch.request.topics[0].partitions[0].partition_max_bytes;
    assert_eq!(share, 64 << 10);
}

#[test]
fn without_room_nothing_is_fetched() {
    let mut world = World::new(3, 64 * MIB);
    let held = world.budget.fetch(32 * MIB);
    assert!(world.plan().fetches.is_empty());
    drop(held);
    assert_eq!(numbers(&world.only()), [0, 1, 2]);
}

#[test]
fn a_broker_has_two_fetches_at_most() {
    let mut world = World::new(1, 64 * MIB);
    world.busy.insert(1, [true, false]);
    assert_eq!(world.only().slot, 1);
    world
        .state
        .update(&TopicPartition::new("t", 0), |held| held.fetching = false);
    world.busy.insert(1, [true, true]);
    assert!(world.plan().fetches.is_empty());
}

#[test]
fn a_partition_without_a_leader_makes_the_metadata_stale() {
    let mut world = World::new(1, 64 * MIB);
    world.metadata.brokers.clear();
    let plan = world.plan();
    assert!(plan.leaderless && plan.fetches.is_empty());
}

#[test]
fn an_answer_is_counted_as_it_is() {
    let mut world = World::new(1, 64 * MIB);
    let fetch = world.only();
    let data = records();
    let size = data.records.as_ref().map_or(0, Bytes::len);
    let verdict = world.answer(fetch, data, AutoOffsetReset::Latest);
    assert!(!verdict.stale);
    assert_eq!(world.budget.used(), size);
    assert!(world.held().has_buffered());
}

#[test]
fn an_error_that_passes_is_tried_again_after_a_pause() {
    let mut world = World::new(1, 64 * MIB);
    let fetch = world.only();
    let data = failed(ErrorCode::NotLeaderOrFollower);
    assert!(world.answer(fetch, data, AutoOffsetReset::Latest).stale);
    assert_eq!(world.budget.used(), 0);
    let plan = world.plan();
    assert_eq!(plan.retry_at, Some(world.now + Duration::from_millis(100)));
    assert!(plan.fetches.is_empty());
    world.now += Duration::from_millis(100);
    assert_eq!(numbers(&world.only()), [0]);
}

#[test]
fn an_offset_out_of_range_is_reset_only_when_all_before_it_is_read() {
    let mut world = World::new(1, 64 * MIB);
    let fetch = world.only();
    world.answer(fetch, records(), AutoOffsetReset::Latest);
    let fetch = world.only();
    assert_eq!(fetch.request.topics[0].partitions[0].fetch_offset, 1);
    world.answer(
        fetch,
        failed(ErrorCode::OffsetOutOfRange),
        AutoOffsetReset::Latest,
    );
    assert_eq!(world.held().place(), Place::At(at(0)));
    assert!(world.held().has_buffered());

    let mut world = World::new(1, 64 * MIB);
    let fetch = world.only();
    world.answer(
        fetch,
        failed(ErrorCode::OffsetOutOfRange),
        AutoOffsetReset::Latest,
    );
    assert_eq!(world.held().place(), Place::Unknown(Find::Reset));
}

#[test]
fn without_a_reset_an_offset_out_of_range_stops_the_partition() {
    let mut world = World::new(1, 64 * MIB);
    let fetch = world.only();
    world.answer(
        fetch,
        failed(ErrorCode::OffsetOutOfRange),
        AutoOffsetReset::None,
    );
    assert_eq!(world.held().place(), Place::Failed);
    world.now += Duration::from_secs(60);
    assert!(world.plan().fetches.is_empty());
}

#[test]
fn a_log_that_was_cut_is_read_on_where_it_ends() {
    let mut world = World::new(1, 64 * MIB);
    let partition = TopicPartition::new("t", 0);
    world
        .state
        .update(&partition, |held| held.seek(Place::At(at(9))));
    let fetch = world.only();
    let mut data = PartitionData::default();
    data.diverging_epoch.epoch = 0;
    data.diverging_epoch.end_offset = 4;
    world.answer(fetch, data, AutoOffsetReset::Latest);
    assert_eq!(world.held().place(), Place::At(at(4)));
}

#[test]
fn an_answer_for_what_was_assigned_before_is_passed_over() {
    let mut world = World::new(1, 64 * MIB);
    let fetch = world.only();
    let partition = TopicPartition::new("t", 0);
    world.state.remove(&partition);
    world.state.add(partition.clone(), Find::Committed);
    world
        .state
        .update(&partition, |held| held.found(at(0), true));
    world.answer(fetch, records(), AutoOffsetReset::Latest);
    assert!(!world.held().has_buffered());
}
