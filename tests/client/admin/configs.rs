use ottla_client::ErrorCode;
use ottla_client::admin::{ConfigChange, ConfigEntry, ConfigResource, ConfigSource, ConfigType};

use crate::stage::{Stage, eventually};

async fn entry(stage: &Stage, resource: &ConfigResource, name: &str) -> ConfigEntry {
    let admin = stage.client.admin();
    let mut configs = admin.describe_configs(resource.clone()).await.unwrap();
    configs.remove(name).unwrap()
}

async fn becomes(stage: &Stage, resource: &ConfigResource, name: &str, value: &str) {
    eventually(&format!("{name} is {value}"), async || {
        let entry = entry(stage, resource, name).await;
        entry.value.as_deref() == Some(value)
    })
    .await;
}

#[tokio::test]
async fn entries_tell_where_their_values_come_from_and_what_they_mean() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = ConfigResource::Topic(stage.topic(1).await);
    let admin = stage.client.admin();
    let before = entry(&stage, &topic, "retention.ms").await;
    assert_eq!(before.source, ConfigSource::Default);
    assert_eq!(before.config_type, ConfigType::Long);
    assert!(before.is_default && !before.read_only && !before.is_sensitive);
    assert!(before.documentation.is_some_and(|text| text.len() > 20));
    let change = [("retention.ms", ConfigChange::Set("77777".to_owned()))];
    admin.alter_configs(&topic, change).await.unwrap();
    becomes(&stage, &topic, "retention.ms", "77777").await;
    let after = entry(&stage, &topic, "retention.ms").await;
    assert_eq!(after.source, ConfigSource::Topic);
    let first = &after.synonyms[0];
    assert_eq!(
        (first.name.as_str(), first.value.as_deref(), first.source),
        ("retention.ms", Some("77777"), ConfigSource::Topic)
    );
}

#[tokio::test]
async fn entries_are_set_deleted_appended_to_and_subtracted_from() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = ConfigResource::Topic(stage.topic(1).await);
    let admin = stage.client.admin();
    let alter = async |name: &'static str, change| {
        admin.alter_configs(&topic, [(name, change)]).await.unwrap();
    };
    let policy = "cleanup.policy";
    alter(policy, ConfigChange::Append("compact".to_owned())).await;
    becomes(&stage, &topic, policy, "delete,compact").await;
    alter(policy, ConfigChange::Subtract("delete".to_owned())).await;
    becomes(&stage, &topic, policy, "compact").await;
    alter("segment.ms", ConfigChange::Set("60000".to_owned())).await;
    becomes(&stage, &topic, "segment.ms", "60000").await;
    alter("segment.ms", ConfigChange::Delete).await;
    becomes(&stage, &topic, "segment.ms", "604800000").await;
    // What was not named stayed as it was.
    becomes(&stage, &topic, policy, "compact").await;
}

#[tokio::test]
async fn changes_are_checked_without_being_made() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = ConfigResource::Topic(stage.topic(1).await);
    let admin = stage.client.admin();
    let set = |name, value: &str| [(name, ConfigChange::Set(value.to_owned()))];
    let right = set("retention.ms", "5000");
    admin.validate_configs(&topic, right).await.unwrap();
    for wrong in [set("retention.ms", "soon"), set("retention.hours", "5")] {
        for refused in [
            admin.validate_configs(&topic, wrong.clone()).await,
            admin.alter_configs(&topic, wrong.clone()).await,
        ] {
            let error = refused.unwrap_err();
            assert_eq!(error.code(), Some(ErrorCode::InvalidConfig), "{error}");
        }
    }
    let entry = entry(&stage, &topic, "retention.ms").await;
    assert!(entry.is_default, "{entry:?}");
    let nowhere = ConfigResource::Topic(stage.name("nowhere"));
    let right = set("retention.ms", "5000");
    let error = admin.alter_configs(&nowhere, right).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
}

#[tokio::test]
async fn a_broker_and_a_group_have_configurations_too() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let admin = stage.client.admin();
    let cluster = admin.describe_cluster().await.unwrap();
    let id = *cluster.brokers.keys().next().unwrap();
    let broker = ConfigResource::Broker(id);
    let partitions = entry(&stage, &broker, "num.partitions").await;
    assert_eq!(partitions.config_type, ConfigType::Int);
    let group = ConfigResource::Group(stage.name("group"));
    let name = "consumer.session.timeout.ms";
    let set = |value: &str| [(name, ConfigChange::Set(value.to_owned()))];
    admin.alter_configs(&group, set("50000")).await.unwrap();
    becomes(&stage, &group, name, "50000").await;
    let source = entry(&stage, &group, name).await.source;
    assert_eq!(source, ConfigSource::Group);
}

#[tokio::test]
async fn the_cluster_shows_its_features_and_disks() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let admin = stage.client.admin();
    let features = admin.describe_features().await.unwrap();
    assert_eq!(features.finalized["group.version"], 1);
    assert!(features.supported["transaction.version"].1 >= 2);
    assert!(features.epoch.is_some());
    let topic = stage.topic(1).await;
    let record = ottla_client::ProducerRecord::new(topic.as_str());
    stage
        .producer()
        .await
        .send(record.value("1"))
        .await
        .unwrap();
    let cluster = admin.describe_cluster().await.unwrap();
    let id = *cluster.brokers.keys().next().unwrap();
    let dirs = admin.describe_log_dirs(id).await.unwrap();
    let mut logs = dirs.values().flat_map(|dir| &dir.as_ref().unwrap().logs);
    let log = logs.find(|(partition, _)| *partition.topic == *topic);
    assert!(*log.unwrap().1 > 0);
}
