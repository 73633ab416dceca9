use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ottla_client::consumer::{Consumer, Event};
use ottla_client::{Client, Error};
use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    Coordinator, FetchRequest, FetchResponse, FetchableTopicResponse, FindCoordinatorResponse,
    HeartbeatResponse, JoinGroupResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic, PartitionData, Request, Response,
};
use tokio::time::Instant;

use super::faulty::{Fate, Faulty};
use super::{World, assigned, earliest, event, partitions, records, seconds};

/// Answers the requests that `rule` wants to, `times` times.
async fn consumer(
    world: &World,
    times: u32,
    rule: impl Fn(&Request) -> Option<Response> + Send + 'static,
) -> (Consumer, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let rule = move |request: &Request| match rule(request) {
        Some(response) if counted.fetch_add(1, Ordering::Relaxed) < times => Fate::Answer(response),
        _ => Fate::Pass,
    };
    let builder = world.member_through(rule).await;
    (builder.build().await.unwrap(), count)
}

fn fetch_error(request: &FetchRequest, code: ErrorCode) -> Response {
    let topic = |topic: &ottla_protocol::message::FetchTopic| FetchableTopicResponse {
        topic: topic.topic.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| PartitionData {
                partition_index: partition.partition,
                error_code: code,
                ..PartitionData::default()
            })
            .collect(),
    };
    Response::Fetch(FetchResponse {
        responses: request.topics.iter().map(topic).collect(),
        ..FetchResponse::default()
    })
}

#[tokio::test(start_paused = true)]
async fn after_a_leadership_change_the_new_leader_is_asked_for() {
    for code in [
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::FencedLeaderEpoch,
        ErrorCode::UnknownLeaderEpoch,
        ErrorCode::UnknownTopicId,
        ErrorCode::KafkaStorageError,
    ] {
        let world = World::new(1).await;
        world.produce(0, 0..1).await;
        let asked = Arc::new(AtomicU32::new(0));
        let asked_here = Arc::clone(&asked);
        let (mut consumer, fetches) = consumer(&world, 3, move |request| match request {
            Request::Fetch(request) => Some(fetch_error(request, code)),
            Request::Metadata(_) => {
                asked_here.fetch_add(1, Ordering::Relaxed);
                None
            }
            _ => None,
        })
        .await;
        assigned(&mut consumer).await;
        let before = asked.load(Ordering::Relaxed);
        assert_eq!(records(&mut consumer).await.len(), 1, "{code}");
        assert!(fetches.load(Ordering::Relaxed) >= 3);
        assert!(asked.load(Ordering::Relaxed) > before, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_the_group_forgot_joins_again_as_a_new_one() {
    let world = World::new(1).await;
    world.produce(0, 0..1).await;
    let (mut consumer, heartbeats) = consumer(&world, 1, |request| match request {
        Request::Heartbeat(_) => Some(Response::Heartbeat(HeartbeatResponse {
            error_code: ErrorCode::UnknownMemberId,
            ..HeartbeatResponse::default()
        })),
        _ => None,
    })
    .await;
    assigned(&mut consumer).await;
    let first = consumer.group_metadata().unwrap();
    let lost = loop {
        match event(&mut consumer).await {
            Event::Lost(lost) => break lost,
            Event::Records(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(lost, partitions([0]));
    assigned(&mut consumer).await;
    let second = consumer.group_metadata().unwrap();
    assert_ne!(first.member_id, second.member_id);
    assert!(heartbeats.load(Ordering::Relaxed) >= 1);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_the_group_refuses_is_not_used_for_ever() {
    let world = World::new(1).await;
    let (mut consumer, _) = consumer(&world, 1, |request| match request {
        Request::JoinGroup(request) if !request.member_id.is_empty() => {
            Some(Response::JoinGroup(JoinGroupResponse {
                error_code: ErrorCode::UnknownMemberId,
                ..JoinGroupResponse::default()
            }))
        }
        _ => None,
    })
    .await;
    assert_eq!(assigned(&mut consumer).await, partitions([0]));
}

pub(super) fn commit_error(request: &OffsetCommitRequest, code: ErrorCode) -> Response {
    let topic = |topic: &ottla_protocol::message::OffsetCommitRequestTopic| {
        let partition = |partition: &ottla_protocol::message::OffsetCommitRequestPartition| {
            OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: code,
            }
        };
        OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(partition).collect(),
        }
    };
    Response::OffsetCommit(OffsetCommitResponse {
        topics: request.topics.iter().map(topic).collect(),
        ..OffsetCommitResponse::default()
    })
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_repeated_while_that_may_help() {
    for code in [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::RequestTimedOut,
    ] {
        let world = World::new(1).await;
        world.produce(0, 0..1).await;
        let (mut consumer, _) = consumer(&world, 2, move |request| match request {
            Request::OffsetCommit(request) => Some(commit_error(request, code)),
            _ => None,
        })
        .await;
        let batch = records(&mut consumer).await;
        consumer.ack(&batch);
        consumer.commit().await.unwrap();
        let committed = consumer.committed(partitions([0])).await.unwrap();
        assert_eq!(committed[&partitions([0])[0]].offset, 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_is_not_there_yet_is_asked_for_again() {
    let world = World::new(1).await;
    world.produce(0, 0..1).await;
    let (mut consumer, asked) = consumer(&world, 5, |request| match request {
        Request::FindCoordinator(request) => {
            let coordinator = Coordinator {
                key: request.coordinator_keys[0].clone(),
                error_code: ErrorCode::CoordinatorNotAvailable,
                ..Coordinator::default()
            };
            Some(Response::FindCoordinator(FindCoordinatorResponse {
                coordinators: vec![coordinator],
                ..FindCoordinatorResponse::default()
            }))
        }
        _ => None,
    })
    .await;
    let batch = records(&mut consumer).await;
    consumer.ack(&batch);
    consumer.commit().await.unwrap();
    assert!(asked.load(Ordering::Relaxed) >= 5);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_the_group_fences_says_so_and_the_member_joins_again() {
    for code in [ErrorCode::IllegalGeneration, ErrorCode::UnknownMemberId] {
        let world = World::new(1).await;
        world.produce(0, 0..1).await;
        let (mut consumer, _) = consumer(&world, 1, move |request| match request {
            Request::OffsetCommit(request) => Some(commit_error(request, code)),
            _ => None,
        })
        .await;
        let batch = records(&mut consumer).await;
        consumer.ack(&batch);
        let error = consumer.commit().await.unwrap_err();
        assert!(error.is_fenced(), "{error}");
        // Not fatal: it comes back, and reads the record again.
        assert_eq!(records(&mut consumer).await.len(), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_was_damaged_is_told_once_and_can_be_passed() {
    let world = World::new(1).await;
    world.produce(0, 0..2).await;
    let damaged = |request: &Request| match request {
        Request::Fetch(request) if request.topics[0].partitions[0].fetch_offset == 0 => {
            let mut response = fetch_error(request, ErrorCode::None);
            if let Response::Fetch(response) = &mut response {
                let data = &mut response.responses[0].partitions[0];
                let options = ottla_protocol::record::BatchOptions::default();
                let mut builder = ottla_protocol::record::BatchBuilder::new(options).unwrap();
                builder.append(0, None, Some(b"value"), &[]).unwrap();
                let mut bytes = builder.build().unwrap().to_vec();
                *bytes.last_mut().unwrap() ^= 1;
                data.records = Some(bytes.into());
            }
            Some(response)
        }
        _ => None,
    };
    let (mut consumer, _) = consumer(&world, u32::MAX, damaged).await;
    assigned(&mut consumer).await;
    let error = consumer.next_event().await.unwrap_err();
    assert!(matches!(&error, Error::Corrupt(_)), "{error}");
    assert!(consumer.try_next_event().is_none());
    let partition = &partitions([0])[0];
    consumer
        .seek(partition, ottla_client::consumer::SeekTo::Offset(1))
        .unwrap();
    assert_eq!(
        records(&mut consumer).await.iter().next().unwrap().offset,
        1
    );
}

#[tokio::test(start_paused = true)]
async fn closing_ends_in_time_and_dropping_at_once_when_no_answer_comes() {
    let world = World::new(1).await;
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = Arc::clone(&silent);
    let faulty = Faulty::new(world.broker.in_process(), move |_| {
        if is_silent.load(Ordering::Relaxed) {
            Fate::Silence
        } else {
            Fate::Pass
        }
    });
    let client = Client::builder()
        .in_process(faulty)
        .seed(2)
        .connect()
        .await
        .unwrap();
    let builder = || {
        client
            .consumer("g")
            .with(earliest)
            .subscribe([super::TOPIC])
    };
    let mut first = builder().build().await.unwrap();
    assigned(&mut first).await;
    let second = builder().build().await.unwrap();
    silent.store(true, Ordering::Relaxed);
    let start = Instant::now();
    drop(second);
    assert_eq!(start.elapsed(), seconds(0));
    let error = first.close(seconds(7)).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(start.elapsed(), seconds(7));
}
