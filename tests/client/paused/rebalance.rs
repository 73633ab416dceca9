use std::collections::BTreeMap;

use ottla_client::admin::CommittedOffset;
use ottla_client::config::{AssignmentStrategy, ConsumerConfig, GroupProtocol};
use ottla_client::consumer::{Acknowledged, Consumer, ConsumerBuilder, Event};
use tokio::time::{Instant, sleep};

use super::{World, assigned, drain, event, holds, manual, partitions, records, seconds, value};
use crate::stage::with_each_protocol;

with_each_protocol! {
    #[tokio::test(start_paused = true)]
    giving_partitions_back_does_not_wait_for_what_is_not_acknowledged,
    an_application_that_was_told_nothing_yet_does_not_hold_up_the_group,
    a_member_that_unsubscribes_commits_and_leaves,
    a_member_that_subscribes_again_at_once_reads_on,
    a_member_that_assigns_and_subscribes_again_at_once_reads_on,
    a_member_that_assigns_itself_what_it_had_reads_on,
    partitions_that_are_not_assigned_any_more_are_committed_and_lost,
    a_member_that_leaves_is_replaced_at_once,
    a_static_member_comes_back_to_its_partitions_without_a_rebalance,
    new_partitions_of_a_topic_are_divided_too,
    a_topic_that_is_created_after_its_consumer_joined_is_read,
    a_pattern_finds_topics_that_come_later,
}

fn cooperative(config: ConsumerConfig) -> ConsumerConfig {
    super::earliest(config).assignment_strategy([AssignmentStrategy::CooperativeSticky])
}

async fn committed(world: &World) -> BTreeMap<i32, i64> {
    let offsets = world.client.admin().list_group_offsets("g").await.unwrap();
    let offset = |(partition, offset): (ottla_client::TopicPartition, CommittedOffset)| {
        (partition.partition, offset.offset)
    };
    offsets.into_iter().map(offset).collect()
}

#[tokio::test(start_paused = true)]
async fn a_revocation_waits_for_what_was_handed_out_and_commits_it() {
    let world = World::new(2).await;
    world.produce(0, 0..1).await;
    let mut first = world.start().await;
    let batch = records(&mut first).await;
    let second = tokio::spawn({
        let mut second = world.start().await;
        async move {
            let got = assigned(&mut second).await;
            (second, got)
        }
    });
    let Event::Revoking(revoking) = event(&mut first).await else {
        panic!("not revoking");
    };
    assert_eq!(revoking.partitions(), partitions([0, 1]));
    drop(revoking);
    // In the middle of processing: nobody gets the partition, and the commit succeeds.
    sleep(seconds(100)).await;
    assert!(!second.is_finished());
    assert_eq!(first.ack(&batch), Acknowledged::Taken);
    assigned(&mut first).await;
    assert_eq!(second.await.unwrap().1.len(), 1);
    assert_eq!(committed(&world).await[&0], 1);
}

async fn giving_partitions_back_does_not_wait_for_what_is_not_acknowledged(
    protocol: GroupProtocol,
) {
    let world = World::of(protocol, 2).await;
    world.produce(0, 0..1).await;
    world.produce(1, 0..1).await;
    let mut first = world.start().await;
    let batches = [records(&mut first).await, records(&mut first).await];
    let mut second = drain(world.start().await);
    let Event::Revoking(revoking) = event(&mut first).await else {
        panic!("not revoking");
    };
    let gone = revoking.partitions()[0].clone();
    let start = Instant::now();
    revoking.done();
    // Who gets it reads it again.
    assert_eq!(second.recv().await, Some(0));
    assert!(start.elapsed() < seconds(11));
    let batch = batches.iter().find(|batch| *batch.partition() == gone);
    assert_eq!(first.ack(batch.unwrap()), Acknowledged::Fenced);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_nobody_answers_ends_at_its_deadline() {
    let world = World::new(1).await;
    world.produce(0, 0..1).await;
    let long = |config| manual(config).max_poll_interval(seconds(600));
    let mut first = world.member().with(long).build().await.unwrap();
    let _batch = records(&mut first).await;
    let mut second = world.member().with(long).build().await.unwrap();
    let Event::Revoking(revoking) = event(&mut first).await else {
        panic!("not revoking");
    };
    let deadline = revoking.deadline();
    // Keeps the interval open, so that only the revocation can end.
    let _extension = first.extend_poll_interval(seconds(3000));
    let Event::Lost(lost) = event(&mut first).await else {
        panic!("not lost");
    };
    assert_eq!(lost, partitions([0]));
    assert_eq!(Instant::now().duration_since(deadline).as_secs(), 0);
    tokio::select! {
        _ = assigned(&mut first) => {}
        _ = assigned(&mut second) => {}
    }
}

async fn an_application_that_was_told_nothing_yet_does_not_hold_up_the_group(
    protocol: GroupProtocol,
) {
    let world = World::of(protocol, 2).await;
    // Never asks for an event.
    let silent = world.start().await;
    sleep(seconds(10)).await;
    assert_eq!(silent.assignment().len(), 2);
    let start = Instant::now();
    let mut second = world.start().await;
    assert_eq!(assigned(&mut second).await.len(), 1);
    // Each of the two hears of it with its next heartbeat, in at most 5 s.
    assert!(start.elapsed() < seconds(11));
}

#[tokio::test(start_paused = true)]
async fn a_commit_during_a_rebalance_succeeds_for_what_the_member_keeps() {
    let world = World::new(2).await;
    world.produce(0, 0..1).await;
    world.produce(1, 0..1).await;
    let builder = || world.member().with(cooperative);
    let mut first = builder().build().await.unwrap();
    let batches = [records(&mut first).await, records(&mut first).await];
    let second = drain(builder().build().await.unwrap());
    // Wait until the rebalance has begun.
    let revoked = loop {
        if let Event::Revoking(revoking) = event(&mut first).await {
            break revoking;
        }
    };
    assert_eq!(revoked.partitions().len(), 1);
    for batch in &batches {
        assert_eq!(first.ack(batch), Acknowledged::Taken);
    }
    drop(revoked);
    first.commit().await.unwrap();
    let committed = committed(&world).await;
    assert_eq!((committed[&0], committed[&1]), (1, 1));
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn a_cooperative_member_reads_on_during_a_rebalance() {
    let world = World::new(2).await;
    let builder = || world.member().with(cooperative);
    let mut first = builder().build().await.unwrap();
    assert_eq!(assigned(&mut first).await.len(), 2);
    let second = drain(builder().build().await.unwrap());
    let Event::Revoking(revoking) = event(&mut first).await else {
        panic!("not revoking");
    };
    let kept = 1 - revoking.partitions()[0].partition;
    world.produce(kept, 0..1).await;
    let batch = records(&mut first).await;
    assert_eq!(batch.partition().partition, kept);
    first.ack(&batch);
    first.commit().await.unwrap();
    drop((revoking, second));
}

#[tokio::test(start_paused = true)]
async fn a_pause_does_not_survive_a_rebalance() {
    let world = World::new(1).await;
    let mut first = world.start().await;
    assigned(&mut first).await;
    first.pause(&partitions([0])).unwrap();
    world.produce(0, 0..1).await;
    let second = world.start().await;
    // Give back, and let the other one go again, so that the partition comes back.
    match event(&mut first).await {
        Event::Revoking(revoking) => revoking.done(),
        other => panic!("{other:?}"),
    }
    drop(second);
    assert_eq!(records(&mut first).await.len(), 1);
    assert_eq!(first.paused(), []);
}

async fn new_partitions_of_a_topic_are_divided_too(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    let mut consumer = world.start().await;
    assert_eq!(assigned(&mut consumer).await, partitions([0]));
    world
        .client
        .admin()
        .create_partitions(super::TOPIC, 2)
        .await
        .unwrap();
    assert_eq!(holds(&mut consumer, 2).await, partitions([0, 1]));
}

async fn a_topic_that_is_created_after_its_consumer_joined_is_read(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    let patient = |config: ConsumerConfig| config.allow_auto_create_topics(false);
    let builder = world.member().with(patient);
    let builder = builder.subscribe([super::TOPIC, "later"]);
    let mut consumer = builder.build().await.unwrap();
    assert_eq!(assigned(&mut consumer).await, partitions([0]));
    sleep(seconds(60)).await;
    let topic = ottla_client::admin::NewTopic::new("later").partitions(1);
    world.client.admin().create_topics([topic]).await.unwrap();
    assert_eq!(&*holds(&mut consumer, 2).await[0].topic, "later");
}

async fn a_member_that_unsubscribes_commits_and_leaves(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    world.produce(0, 0..1).await;
    let mut consumer = world.start().await;
    let batch = records(&mut consumer).await;
    consumer.ack(&batch);
    consumer.unsubscribe().unwrap();
    assert!(matches!(event(&mut consumer).await, Event::Lost(lost) if lost == partitions([0])));
    sleep(seconds(1)).await;
    let group = world.client.admin().describe_group("g").await.unwrap();
    assert_eq!(group.state, "Empty");
    assert_eq!(committed(&world).await[&0], 1);
}

async fn a_member_that_subscribes_again_at_once_reads_on(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    world.produce(0, 0..1).await;
    let mut consumer = world.start().await;
    let batch = records(&mut consumer).await;
    consumer.ack(&batch);
    consumer.unsubscribe().unwrap();
    tokio::task::yield_now().await;
    consumer.subscribe([super::TOPIC]).unwrap();
    world.produce(0, 1..2).await;
    while records(&mut consumer)
        .await
        .iter()
        .all(|record| record.offset != 1)
    {}
}

/// A consumer that has acknowledged the first record of its only partition.
async fn acknowledged(builder: ConsumerBuilder) -> Consumer {
    let mut consumer = builder.build().await.unwrap();
    let batch = records(&mut consumer).await;
    consumer.ack(&batch);
    consumer
}

async fn a_member_that_assigns_and_subscribes_again_at_once_reads_on(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    world.produce(0, 0..1).await;
    let mut consumer = acknowledged(world.member()).await;
    consumer.assign(partitions([0])).unwrap();
    consumer.subscribe([super::TOPIC]).unwrap();
    world.produce(0, 1..2).await;
    assert_eq!(
        records(&mut consumer).await.iter().next().unwrap().offset,
        1
    );
}

async fn a_member_that_assigns_itself_what_it_had_reads_on(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    world.produce(0, 0..1).await;
    let mut consumer = acknowledged(world.member()).await;
    consumer.assign(partitions([0])).unwrap();
    sleep(seconds(10)).await;
    world.produce(0, 1..2).await;
    assert_eq!(
        records(&mut consumer).await.iter().next().unwrap().offset,
        1
    );
}

async fn partitions_that_are_not_assigned_any_more_are_committed_and_lost(protocol: GroupProtocol) {
    type Change = fn(&Consumer);
    let changes: [Change; 3] = [
        |consumer| consumer.unsubscribe().unwrap(),
        |consumer| consumer.assign(partitions([1])).unwrap(),
        |consumer| consumer.subscribe(["other"]).unwrap(),
    ];
    for change in changes {
        let world = World::of(protocol, 2).await;
        world.produce(0, 0..1).await;
        let mut consumer = acknowledged(world.member().assign(partitions([0]))).await;
        change(&consumer);
        assert!(matches!(event(&mut consumer).await, Event::Lost(lost) if lost == partitions([0])));
        assert_eq!(committed(&world).await[&0], 1);
    }
}

async fn a_pattern_finds_topics_that_come_later(protocol: GroupProtocol) {
    let world = World::of(protocol, 1).await;
    let builder = world.client.consumer("p").with(super::earliest);
    let mut consumer = builder
        .subscribe_pattern("orders-.*")
        .build()
        .await
        .unwrap();
    for name in ["orders-eu", "all-orders-eu", "orders-us"] {
        let topic = ottla_client::admin::NewTopic::new(name).partitions(1);
        world.client.admin().create_topics([topic]).await.unwrap();
        sleep(seconds(301)).await;
    }
    let found = holds(&mut consumer, 2).await;
    let topics: Vec<&str> = found.iter().map(|partition| &*partition.topic).collect();
    assert_eq!(topics, ["orders-eu", "orders-us"]);
}

async fn static_member(world: &World, instance: &str) -> Consumer {
    let instance = Some(instance.to_owned());
    let builder = world.member();
    let builder = builder.with(|config| config.group_instance_id(instance));
    builder.build().await.unwrap()
}

async fn a_static_member_comes_back_to_its_partitions_without_a_rebalance(protocol: GroupProtocol) {
    let world = World::of(protocol, 2).await;
    let start = |instance| static_member(&world, instance);
    let mut first = start("one").await;
    assigned(&mut first).await;
    let mut second = start("two").await;
    let (_, b) = tokio::join!(holds(&mut first, 1), holds(&mut second, 1));
    let generation = first.group_metadata().unwrap().generation_id;
    second.close(seconds(5)).await.unwrap();
    let mut second = start("two").await;
    assert_eq!(assigned(&mut second).await, b);
    assert_eq!(second.group_metadata().unwrap().generation_id, generation);
    assert_eq!(first.group_metadata().unwrap().generation_id, generation);
}

#[tokio::test(start_paused = true)]
async fn a_static_leader_that_comes_back_notices_new_partitions() {
    let world = World::new(1).await;
    let start = || static_member(&world, "one");
    let mut consumer = start().await;
    assigned(&mut consumer).await;
    let generation = consumer.group_metadata().unwrap().generation_id;
    consumer.close(seconds(5)).await.unwrap();
    let mut consumer = start().await;
    assigned(&mut consumer).await;
    let back = consumer.group_metadata().unwrap().generation_id;
    assert_eq!(back, generation, "nothing was divided again");
    let admin = world.client.admin();
    admin.create_partitions(super::TOPIC, 2).await.unwrap();
    assert_eq!(holds(&mut consumer, 2).await, partitions([0, 1]));
}

#[tokio::test(start_paused = true)]
async fn a_second_holder_of_an_instance_id_ends_the_first() {
    let world = World::new(1).await;
    let start = || static_member(&world, "one");
    let mut first = start().await;
    assigned(&mut first).await;
    let mut second = start().await;
    assigned(&mut second).await;
    let error = loop {
        match first.next_event().await {
            Ok(Event::Lost(_)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert!(error.is_fenced(), "{error}");
    assert_eq!(
        first.next_event().await.unwrap_err(),
        ottla_client::Error::Closed
    );
}

#[tokio::test(start_paused = true)]
async fn members_with_different_strategies_agree_on_the_one_they_share() {
    let world = World::new(4).await;
    let with = |strategies: Vec<AssignmentStrategy>| {
        world
            .member()
            .with(move |config| config.assignment_strategy(strategies))
    };
    use AssignmentStrategy::{Range, RoundRobin, Sticky};
    let first = with(vec![Range, RoundRobin]).build().await.unwrap();
    let second = with(vec![Sticky, RoundRobin]).build().await.unwrap();
    let _values = [drain(first), drain(second)];
    sleep(seconds(30)).await;
    let group = world.client.admin().describe_group("g").await.unwrap();
    assert_eq!(group.protocol, "roundrobin");
    let shares: Vec<usize> = group.members.iter().map(|m| m.assignment.len()).collect();
    assert_eq!(shares, [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_member_of_every_strategy_takes_its_share_and_every_record_is_read() {
    for strategy in [
        AssignmentStrategy::Range,
        AssignmentStrategy::RoundRobin,
        AssignmentStrategy::Sticky,
        AssignmentStrategy::CooperativeSticky,
    ] {
        let world = World::new(6).await;
        let builder = || {
            world
                .member()
                .with(move |config| config.assignment_strategy([strategy]))
        };
        let (sender, mut values) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..3 {
            let mut consumer = builder().build().await.unwrap();
            let sender = sender.clone();
            tokio::spawn(async move {
                while let Ok(event) = consumer.next_event().await {
                    if let Event::Records(batch) = event {
                        consumer.ack(&batch);
                        for record in &batch {
                            let _ = sender.send(value(record));
                        }
                    }
                }
            });
            sleep(seconds(5)).await;
        }
        for partition in 0..6 {
            world
                .produce(
                    partition,
                    10 * partition as usize..10 * partition as usize + 10,
                )
                .await;
        }
        let mut seen = Vec::new();
        while seen.len() < 60 {
            seen.push(values.recv().await.unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..60).collect::<Vec<_>>(), "{strategy:?}");
        let group = world.client.admin().describe_group("g").await.unwrap();
        let shares: Vec<usize> = group.members.iter().map(|m| m.assignment.len()).collect();
        assert_eq!(shares, [2, 2, 2], "{strategy:?}");
    }
}

async fn a_member_that_leaves_is_replaced_at_once(protocol: GroupProtocol) {
    let world = World::of(protocol, 2).await;
    let mut first = world.start().await;
    let second = drain(world.start().await);
    sleep(seconds(10)).await;
    drop(event(&mut first).await);
    let start = Instant::now();
    first.close(seconds(10)).await.unwrap();
    let third = world.start().await;
    drop(third);
    world.produce(0, 0..1).await;
    world.produce(1, 1..2).await;
    let mut second = second;
    assert!(second.recv().await.is_some() && second.recv().await.is_some());
    assert!(start.elapsed() < seconds(20), "{:?}", start.elapsed());
}
