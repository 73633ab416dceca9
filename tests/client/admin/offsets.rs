use std::collections::BTreeMap;

use ottla_client::admin::{CommittedOffset, OffsetSpec};
use ottla_client::config::IsolationLevel;
use ottla_client::{ErrorCode, ProducerRecord, TopicPartition};

use crate::stage::Stage;

#[tokio::test]
async fn offsets_of_a_log_are_found_by_position_and_time() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let producer = stage.producer().await;
    for at in [1000, 3000, 2000] {
        let record = ProducerRecord::new(topic.as_str()).timestamp(at);
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
    // Nothing is kept elsewhere.
    assert_eq!(find(OffsetSpec::EarliestLocal).await, Some(0));
    assert_eq!(find(OffsetSpec::LatestTiered).await, None);
    assert_eq!(find(OffsetSpec::EarliestPendingUpload).await, None);
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

#[tokio::test]
async fn records_are_deleted_up_to_an_offset_and_all_of_them() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let producer = stage.producer().await;
    for value in ["0", "1", "2"] {
        let record = ProducerRecord::new(topic.as_str()).value(value);
        producer.send(record).await.unwrap();
    }
    let admin = stage.client.admin();
    let partition = TopicPartition::new(topic.as_str(), 0);
    let earliest = async || {
        let wanted = BTreeMap::from([(partition.clone(), OffsetSpec::Earliest)]);
        let level = IsolationLevel::ReadUncommitted;
        let found = admin.list_offsets(&wanted, level).await.unwrap();
        found[&partition].unwrap().offset
    };
    assert_eq!(admin.delete_records(&partition, Some(2)).await, Ok(2));
    assert_eq!(earliest().await, 2);
    // Nothing comes back.
    assert_eq!(admin.delete_records(&partition, Some(1)).await, Ok(2));
    let beyond = admin.delete_records(&partition, Some(4)).await;
    let error = beyond.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::OffsetOutOfRange));
    assert_eq!(admin.delete_records(&partition, None).await, Ok(3));
    assert_eq!(earliest().await, 3);
}
