use ottla_client::admin::{ConfigResource, NewTopic, TopicDescription};
use ottla_client::{Error, ErrorCode};

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
