use std::collections::BTreeMap;

use ottla_client::TopicPartition;
use ottla_client::admin::CommittedOffset;
use ottla_client::config::{AssignmentStrategy, ConsumerConfig, GroupProtocol};

use super::{PATIENCE, earliest, group, holds, numbers, produce, records, values};
use crate::stage::{Stage, eventually, with_each_protocol};

with_each_protocol! {
    #[tokio::test]
    a_member_goes_on_where_the_group_has_committed,
    a_member_shows_who_it_is_to_its_group,
    offsets_are_committed_with_what_is_to_be_kept_beside_them,
    without_subscribing_offsets_are_committed_too,
    acknowledged_offsets_are_committed_in_the_background,
    a_seek_does_not_move_what_is_committed,
}

async fn a_member_goes_on_where_the_group_has_committed(protocol: GroupProtocol) {
    let Some(stage) = Stage::of(protocol).await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..100).await;
    let builder = || {
        stage
            .client
            .consumer(format!("{topic}-group"))
            .with(earliest)
    };
    let mut first = builder().subscribe([topic.as_str()]).build().await.unwrap();
    assert_eq!(values(&mut first, 100).await, numbers(0..100));
    first.commit().await.unwrap();
    first.close(PATIENCE).await.unwrap();
    produce(&stage, &topic, 0, 100..200).await;
    let mut second = builder().subscribe([topic.as_str()]).build().await.unwrap();
    assert_eq!(values(&mut second, 100).await, numbers(100..200));
}

async fn a_member_shows_who_it_is_to_its_group(protocol: GroupProtocol) {
    let Some(stage) = Stage::of(protocol).await else {
        return;
    };
    let topic = stage.topic(1).await;
    let mut consumer = group(&stage)
        .subscribe([topic.as_str()])
        .build()
        .await
        .unwrap();
    let before = consumer.group_metadata().unwrap();
    assert_eq!((before.generation_id, before.member_id.as_str()), (-1, ""));
    super::assigned(&mut consumer).await;
    let after = consumer.group_metadata().unwrap();
    assert!(after.generation_id > 0 && !after.member_id.is_empty());
}

fn manual(config: ConsumerConfig) -> ConsumerConfig {
    config.enable_auto_commit(false)
}

async fn offsets_are_committed_with_what_is_to_be_kept_beside_them(protocol: GroupProtocol) {
    let Some(stage) = Stage::of(protocol).await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..10).await;
    let consumer = group(&stage).with(manual).subscribe([topic.as_str()]);
    let mut consumer = consumer.build().await.unwrap();
    let batch = records(&mut consumer).await;
    let mut offset = batch.next();
    offset.metadata = "worker 7".to_owned();
    let offsets = BTreeMap::from([(batch.partition().clone(), offset)]);
    consumer.commit_offsets(offsets.clone()).await.unwrap();
    let committed = consumer
        .committed([batch.partition().clone()])
        .await
        .unwrap();
    assert_eq!(committed, offsets);
}

async fn without_subscribing_offsets_are_committed_too(protocol: GroupProtocol) {
    let Some(stage) = Stage::of(protocol).await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..10).await;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let name = stage.name("group");
    let builder = || {
        stage
            .client
            .consumer(&name)
            .with(earliest)
            .assign([partition.clone()])
    };
    let mut consumer = builder().build().await.unwrap();
    assert_eq!(values(&mut consumer, 10).await, numbers(0..10));
    // Closing commits what is acknowledged.
    consumer.close(PATIENCE).await.unwrap();
    produce(&stage, &topic, 0, 10..12).await;
    let mut consumer = builder().build().await.unwrap();
    assert_eq!(values(&mut consumer, 2).await, numbers(10..12));
}

async fn acknowledged_offsets_are_committed_in_the_background(protocol: GroupProtocol) {
    let Some(stage) = Stage::of(protocol).await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..10).await;
    let often =
        |config: ConsumerConfig| config.auto_commit_interval(std::time::Duration::from_millis(50));
    let consumer = group(&stage).with(often).subscribe([topic.as_str()]);
    let mut consumer = consumer.build().await.unwrap();
    assert_eq!(values(&mut consumer, 10).await, numbers(0..10));
    let partition = TopicPartition::new(topic.as_str(), 0);
    eventually("the offset is committed", async || {
        let committed = consumer.committed([partition.clone()]).await.unwrap();
        committed.get(&partition)
            == Some(&CommittedOffset {
                leader_epoch: Some(0),
                ..CommittedOffset::new(10)
            })
            || committed
                .get(&partition)
                .is_some_and(|offset| offset.offset == 10)
    })
    .await;
}

async fn a_seek_does_not_move_what_is_committed(protocol: GroupProtocol) {
    let Some(stage) = Stage::of(protocol).await else {
        return;
    };
    let topic = stage.topic(1).await;
    produce(&stage, &topic, 0, 0..10).await;
    let consumer = group(&stage).subscribe([topic.as_str()]);
    let mut consumer = consumer.build().await.unwrap();
    assert_eq!(values(&mut consumer, 10).await, numbers(0..10));
    let partition = TopicPartition::new(topic.as_str(), 0);
    consumer
        .seek(&partition, ottla_client::consumer::SeekTo::Offset(3))
        .unwrap();
    consumer.commit().await.unwrap();
    let batch = records(&mut consumer).await;
    assert_eq!(batch.iter().next().unwrap().offset, 3);
    consumer.commit().await.unwrap();
    let committed = consumer.committed([partition.clone()]).await.unwrap();
    assert_eq!(committed[&partition].offset, 10);
}

#[tokio::test]
async fn members_of_every_strategy_share_a_group() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    for strategy in [
        AssignmentStrategy::Range,
        AssignmentStrategy::RoundRobin,
        AssignmentStrategy::Sticky,
        AssignmentStrategy::CooperativeSticky,
    ] {
        let topic = stage.topic(4).await;
        let builder = group(&stage).with(|config| config.assignment_strategy([strategy]));
        let mut first = builder.subscribe([topic.as_str()]).build().await.unwrap();
        let name = first.group_metadata().unwrap().group_id;
        let builder = stage.client.consumer(name).with(earliest);
        let builder = builder.with(|config| config.assignment_strategy([strategy]));
        let mut second = builder.subscribe([topic.as_str()]).build().await.unwrap();
        tokio::join!(holds(&mut first, 2), holds(&mut second, 2));
    }
}
