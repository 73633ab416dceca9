//! Members of the consumer protocol (KIP-848) when answers fail, and beside classic ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ottla_client::Error;
use ottla_client::config::{ConsumerConfig, GroupProtocol};
use ottla_client::consumer::{Consumer, Event};
use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, Request, Response,
};
use tokio::time::{Instant, sleep};

use super::faulty::Fate;
use super::{World, assigned, drain, earliest, event, holds, partitions, records, seconds};

async fn world(partitions: i32) -> World {
    World::of(GroupProtocol::Consumer, partitions).await
}

/// Replaces the answers to the heartbeats for which `rule` gives another, `times` times.
fn heartbeats(
    times: u32,
    rule: impl Fn(&ConsumerGroupHeartbeatRequest) -> Option<ErrorCode> + Send + 'static,
) -> impl FnMut(&Request) -> Fate + Send + 'static {
    let mut left = times;
    move |request| {
        let Request::ConsumerGroupHeartbeat(request) = request else {
            return Fate::Pass;
        };
        match rule(request) {
            Some(error_code) if left > 0 => {
                left -= 1;
                let response = ConsumerGroupHeartbeatResponse {
                    error_code,
                    ..ConsumerGroupHeartbeatResponse::default()
                };
                Fate::Answer(Response::ConsumerGroupHeartbeat(response))
            }
            _ => Fate::Pass,
        }
    }
}

async fn lost(consumer: &mut Consumer) -> Vec<ottla_client::TopicPartition> {
    loop {
        match event(consumer).await {
            Event::Lost(lost) => return lost,
            Event::Records(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn error(consumer: &mut Consumer) -> Error {
    loop {
        if let Err(error) = consumer.next_event().await {
            return error;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_fell_silent_is_replaced_when_its_session_of_45_s_is_over() {
    let world = world(2).await;
    world.produce(0, 0..1).await;
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = Arc::clone(&silent);
    let rule = move |_: &Request| match is_silent.load(Ordering::Relaxed) {
        true => Fate::Silence,
        false => Fate::Pass,
    };
    let mut first = world.member_through(rule).await.build().await.unwrap();
    holds(&mut first, 2).await;
    silent.store(true, Ordering::Relaxed);
    let start = Instant::now();
    let mut second = world.start().await;
    holds(&mut second, 2).await;
    let elapsed = start.elapsed();
    assert!(
        elapsed >= seconds(40) && elapsed < seconds(52),
        "{elapsed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_fenced_loses_its_partitions_and_comes_back_by_the_same_id() {
    for code in [ErrorCode::FencedMemberEpoch, ErrorCode::UnknownMemberId] {
        let world = world(1).await;
        let rule = heartbeats(1, move |request| {
            (request.member_epoch > 0 && request.topic_partitions.is_none()).then_some(code)
        });
        let mut consumer = world.member_through(rule).await.build().await.unwrap();
        assigned(&mut consumer).await;
        let before = consumer.group_metadata().unwrap();
        assert_eq!(lost(&mut consumer).await, partitions([0]), "{code}");
        assert_eq!(assigned(&mut consumer).await, partitions([0]), "{code}");
        let after = consumer.group_metadata().unwrap();
        assert_eq!(before.member_id, after.member_id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_is_moving_or_loading_is_asked_again() {
    for code in [
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::CoordinatorLoadInProgress,
    ] {
        let world = world(1).await;
        world.produce(0, 0..1).await;
        let rule = heartbeats(5, move |_| Some(code));
        let mut consumer = world.member_through(rule).await.build().await.unwrap();
        assert_eq!(records(&mut consumer).await.len(), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_is_asked_for_again() {
    let world = world(1).await;
    world.produce(0, 0..1).await;
    let mut left = 2;
    let rule = move |request: &Request| match request {
        Request::ConsumerGroupHeartbeat(_) if left > 0 => {
            left -= 1;
            Fate::Silence
        }
        _ => Fate::Pass,
    };
    let mut consumer = world.member_through(rule).await.build().await.unwrap();
    assert_eq!(records(&mut consumer).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_a_stale_epoch_is_repeated_with_the_new_one() {
    let world = world(1).await;
    world.produce(0, 0..1).await;
    let mut left = 3;
    let rule = move |request: &Request| match request {
        Request::OffsetCommit(request) if left > 0 => {
            left -= 1;
            Fate::Answer(super::faults::commit_error(
                request,
                ErrorCode::StaleMemberEpoch,
            ))
        }
        _ => Fate::Pass,
    };
    let builder = world.member_through(rule).await;
    let mut consumer = builder.with(super::manual).build().await.unwrap();
    let batch = records(&mut consumer).await;
    consumer.ack(&batch);
    consumer.commit().await.unwrap();
    let committed = consumer.committed(partitions([0])).await.unwrap();
    assert_eq!(committed[&partitions([0])[0]].offset, 1);
}

#[tokio::test(start_paused = true)]
async fn commits_go_through_while_members_come_and_go() {
    let world = world(8).await;
    for partition in 0..8 {
        world.produce(partition, 0..1).await;
    }
    let builder = world.member().with(super::manual);
    let mut first = builder.build().await.unwrap();
    let mut batches = Vec::new();
    while batches.len() < 8 {
        batches.push(records(&mut first).await);
    }
    // Each of them changes the epoch of the group.
    let mut others = Vec::new();
    for batch in &batches {
        others.push(world.start().await);
        sleep(seconds(6)).await;
        while let Some(event) = first.try_next_event() {
            drop(event.unwrap());
        }
        first.ack(batch);
        first.commit().await.unwrap();
    }
    let metadata = first.group_metadata().unwrap();
    assert!(metadata.generation_id > 1, "{metadata:?}");
    let committed = first.committed(partitions(0..8)).await.unwrap();
    assert_eq!(committed.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn the_broker_divides_as_the_members_want_it() {
    for assignor in ["range", "uniform"] {
        let world = world(4).await;
        let with = |config: ConsumerConfig| config.group_remote_assignor(Some(assignor.to_owned()));
        let mut first = world.member().with(with).build().await.unwrap();
        let mut second = world.member().with(with).build().await.unwrap();
        tokio::join!(holds(&mut first, 2), holds(&mut second, 2));
        let group = world.client.admin().describe_group("g").await.unwrap();
        assert_eq!(group.protocol, assignor);
        assert_eq!(group.group_protocol, GroupProtocol::Consumer);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_broker_refuses_ends_the_consumer_and_says_why() {
    let world = world(1).await;
    let strange = |config: ConsumerConfig| config.group_remote_assignor(Some("dice".to_owned()));
    let mut consumer = world.member().with(strange).build().await.unwrap();
    let refused = error(&mut consumer).await;
    assert_eq!(refused.code(), Some(ErrorCode::UnsupportedAssignor));
    assert!(refused.to_string().contains("dice"), "{refused}");

    let builder = world.client.consumer("p").subscribe_pattern("orders-(");
    let mut consumer = builder.build().await.unwrap();
    let refused = error(&mut consumer).await;
    assert_eq!(refused.code(), Some(ErrorCode::InvalidRegularExpression));
    assert_eq!(error(&mut consumer).await, Error::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_second_holder_of_an_instance_id_is_refused_while_the_first_lives() {
    let world = world(1).await;
    let start = async || {
        let instance = Some("one".to_owned());
        let builder = world.member();
        let builder = builder.with(|config| config.group_instance_id(instance));
        builder.build().await.unwrap()
    };
    let mut first = start().await;
    holds(&mut first, 1).await;
    let mut second = start().await;
    let refused = error(&mut second).await;
    assert!(refused.is_fenced(), "{refused}");
    world.produce(0, 0..1).await;
    assert_eq!(records(&mut first).await.len(), 1);
    // Whoever closes leaves the name to the next.
    first.close(seconds(10)).await.unwrap();
    let mut third = start().await;
    holds(&mut third, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_static_member_whose_first_answer_was_lost_gets_in_after_all() {
    let world = world(1).await;
    let instance = Some("one".to_owned());
    let mut left = 1;
    let (broker, heard) = (world.broker.in_process(), Arc::new(AtomicBool::new(false)));
    let hears = Arc::clone(&heard);
    // The broker takes the first heartbeat, and its answer gets lost.
    let rule = move |request: &Request| match request {
        Request::ConsumerGroupHeartbeat(_) if left > 0 => {
            left -= 1;
            let connection = ottla_protocol::service::Service::connect(&broker).unwrap();
            let name = ottla_protocol::StrBytes::from("lost");
            let request = request.clone();
            let hears = Arc::clone(&hears);
            tokio::spawn(async move {
                let answer = connection.call(request, 1, &name).await;
                hears.store(answer.is_ok(), Ordering::Relaxed);
            });
            Fate::Silence
        }
        _ => Fate::Pass,
    };
    let builder = world.member_through(rule).await;
    let builder = builder.with(|config| config.group_instance_id(instance));
    let mut consumer = builder.build().await.unwrap();
    holds(&mut consumer, 1).await;
    assert!(heard.load(Ordering::Relaxed));
}

/// While a group moves from the classic protocol to the new one, and back.
#[tokio::test(start_paused = true)]
async fn members_of_both_protocols_share_a_group() {
    let world = World::new(4).await;
    let new = |config: ConsumerConfig| {
        let config = earliest(ConsumerConfig::default()).group_id(config.group_id);
        config.group_protocol(GroupProtocol::Consumer)
    };
    let mut classic = world.start().await;
    holds(&mut classic, 4).await;
    let mut consumer = world.member().with(new).build().await.unwrap();
    let (a, b) = tokio::join!(holds(&mut classic, 2), holds(&mut consumer, 2));
    assert!(a.iter().all(|partition| !b.contains(partition)));
    for number in 0..4 {
        world.produce(number, 0..1).await;
    }
    for member in [&mut classic, &mut consumer] {
        for _ in 0..2 {
            let batch = records(member).await;
            member.ack(&batch);
        }
        member.commit().await.unwrap();
    }
    let group = world.client.admin().describe_group("g").await.unwrap();
    assert_eq!(group.group_protocol, GroupProtocol::Consumer);
    // The old member goes: the move is complete.
    classic.close(seconds(10)).await.unwrap();
    holds(&mut consumer, 4).await;
    // And back.
    let mut classic = world.start().await;
    tokio::join!(holds(&mut classic, 2), holds(&mut consumer, 2));
    consumer.close(seconds(10)).await.unwrap();
    holds(&mut classic, 4).await;
    let group = world.client.admin().describe_group("g").await.unwrap();
    assert_eq!(group.group_protocol, GroupProtocol::Classic);
    let offsets = world.client.admin().list_group_offsets("g").await.unwrap();
    assert_eq!(offsets.len(), 4);
}

/// The last member of the new protocol goes, and the group becomes a classic one under the others.
#[tokio::test(start_paused = true)]
async fn a_classic_member_keeps_what_it_has_when_its_group_moves_back() {
    use ottla_client::config::AssignmentStrategy::CooperativeSticky;
    let world = World::new(4).await;
    let sticky = |config: ConsumerConfig| config.assignment_strategy([CooperativeSticky]);
    let mut classic = world.member().with(sticky).build().await.unwrap();
    holds(&mut classic, 4).await;
    let new = |config: ConsumerConfig| {
        let config = earliest(ConsumerConfig::default()).group_id(config.group_id);
        config.group_protocol(GroupProtocol::Consumer)
    };
    let mut consumer = world.member().with(new).build().await.unwrap();
    let (kept, _) = tokio::join!(holds(&mut classic, 2), holds(&mut consumer, 2));
    sleep(seconds(20)).await;
    consumer.close(seconds(10)).await.unwrap();
    let given = assigned(&mut classic).await;
    assert!(given.iter().all(|partition| !kept.contains(partition)));
    assert_eq!(classic.assignment().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_with_the_partition_and_what_stays_stays_paused() {
    let world = world(2).await;
    let mut first = world.start().await;
    holds(&mut first, 2).await;
    first.pause(&partitions([0, 1])).unwrap();
    let mut second = world.start().await;
    let kept = holds(&mut first, 1).await;
    holds(&mut second, 1).await;
    drop(second);
    holds(&mut first, 2).await;
    assert_eq!(first.paused(), kept);
}

#[tokio::test(start_paused = true)]
async fn many_members_that_come_and_go_read_everything() {
    let world = world(6).await;
    let mut readers = Vec::new();
    for _ in 0..3 {
        readers.push(drain(world.start().await));
        sleep(seconds(5)).await;
    }
    let mut seen = Vec::new();
    for round in 0..4_usize {
        for partition in 0..6_usize {
            let first = 60 * round + 10 * partition;
            world.produce(partition as i32, first..first + 10).await;
        }
        sleep(seconds(1)).await;
        // The oldest goes, dropped where it is, and another comes.
        let mut gone = readers.remove(0);
        gone.close();
        while let Some(value) = gone.recv().await {
            seen.push(value);
        }
        readers.push(drain(world.start().await));
        sleep(seconds(20)).await;
    }
    sleep(seconds(60)).await;
    for reader in &mut readers {
        while let Ok(value) = reader.try_recv() {
            seen.push(value);
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (0..240).collect::<Vec<_>>());
}
