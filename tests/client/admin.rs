use std::collections::BTreeMap;

use ottla_client::admin::{
    CommittedOffset, ConfigResource, NewTopic, OffsetSpec, TopicDescription,
};
use ottla_client::config::IsolationLevel;
use ottla_client::{Error, ErrorCode, TopicPartition};

use crate::stage::{Stage, eventually};

#[tokio::test]
async fn topics_are_created_described_extended_and_deleted() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let admin = stage.client.admin();
    let name = stage.name("made");
    let topic = || {
        NewTopic::new(&name)
            .partitions(2)
            .config("retention.ms", "1234567")
    };
    let id = *admin.create_topics([topic()]).await.unwrap()[&name]
        .as_ref()
        .unwrap();
    let again = admin.create_topics([topic()]).await.unwrap();
    let error = again[&name].as_ref().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TopicAlreadyExists));
    eventually("it is there", async || {
        describe(&stage, &name).await.is_ok()
    })
    .await;
    let described = describe(&stage, &name).await.unwrap();
    assert_eq!((described.id, described.partitions.len()), (id, 2));
    assert!(
        described
            .partitions
            .iter()
            .all(|partition| partition.leader.is_some())
    );
    let configs = admin
        .describe_configs(ConfigResource::Topic(name.clone()))
        .await
        .unwrap();
    assert_eq!(configs["retention.ms"].value.as_deref(), Some("1234567"));
    assert!(!configs["retention.ms"].is_default && configs["segment.bytes"].is_default);
    admin.create_partitions(&name, 5).await.unwrap();
    eventually("it is extended", async || {
        let described = describe(&stage, &name).await.unwrap();
        described.partitions.len() == 5
    })
    .await;
    assert!(admin.list_topics(false).await.unwrap().contains(&name));
    admin.delete_topics([&name]).await.unwrap()[&name]
        .as_ref()
        .unwrap();
    eventually("it is gone", async || {
        let gone = describe(&stage, &name).await.err();
        gone.is_some_and(|error| error.code() == Some(ErrorCode::UnknownTopicOrPartition))
    })
    .await;
}

async fn describe(stage: &Stage, name: &str) -> Result<TopicDescription, Error> {
    let mut described = stage.client.admin().describe_topics([name]).await.unwrap();
    described.remove(name).unwrap()
}

#[tokio::test]
async fn the_cluster_names_its_brokers_and_controller() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let cluster = stage.client.admin().describe_cluster().await.unwrap();
    assert!(!cluster.cluster_id.is_empty());
    assert!(
        cluster
            .brokers
            .contains_key(&cluster.controller_id.unwrap())
    );
}

#[tokio::test]
async fn offsets_of_a_log_are_found_by_position_and_time() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let producer = stage.producer().await;
    for at in [1000, 3000, 2000] {
        let record = ottla_client::ProducerRecord::new(topic.as_str()).timestamp(at);
        producer.send(record).await.unwrap();
    }
    let admin = stage.client.admin();
    let partition = TopicPartition::new(topic.as_str(), 0);
    let find = async |spec| {
        let level = IsolationLevel::ReadUncommitted;
        let found = admin.list_offset(&partition, spec, level).await.unwrap();
        found.map(|found| found.offset)
    };
    assert_eq!(find(OffsetSpec::Earliest).await, Some(0));
    assert_eq!(find(OffsetSpec::Latest).await, Some(3));
    assert_eq!(find(OffsetSpec::Timestamp(1500)).await, Some(1));
    assert_eq!(find(OffsetSpec::Timestamp(5000)).await, None);
    assert_eq!(find(OffsetSpec::MaxTimestamp).await, Some(1));
}

#[tokio::test]
async fn offsets_of_a_group_are_set_listed_and_deleted_with_their_metadata() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(2).await;
    let admin = stage.client.admin();
    let group = stage.name("group");
    let partition = |number| TopicPartition::new(topic.as_str(), number);
    let committed = |offset, metadata: &str| CommittedOffset {
        metadata: metadata.to_owned(),
        ..CommittedOffset::new(offset)
    };
    let offsets = BTreeMap::from([
        (partition(0), committed(7, "seven")),
        (partition(1), committed(9, "")),
    ]);
    admin.alter_group_offsets(&group, &offsets).await.unwrap();
    assert_eq!(admin.list_group_offsets(&group).await.unwrap(), offsets);
    let listed = admin.list_groups().await.unwrap();
    assert!(listed.iter().any(|listing| listing.group_id == group));
    assert_eq!(admin.describe_group(&group).await.unwrap().state, "Empty");
    admin
        .delete_group_offsets(&group, &[partition(0)])
        .await
        .unwrap();
    let left = admin.list_group_offsets(&group).await.unwrap();
    assert_eq!(left.keys().collect::<Vec<_>>(), [&partition(1)]);
    admin.delete_group(&group).await.unwrap();
    let gone = admin.describe_group(&group).await.unwrap_err();
    assert_eq!(gone.code(), Some(ErrorCode::GroupIdNotFound));
}
