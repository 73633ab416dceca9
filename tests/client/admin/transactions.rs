use std::time::Duration;

use ottla_client::admin::OffsetSpec;
use ottla_client::admin::TransactionFilter;
use ottla_client::config::{IsolationLevel, ProducerConfig};
use ottla_client::{Error, ErrorCode, Producer, ProducerRecord, TopicPartition};

use crate::stage::{Stage, eventually};

async fn transactional(stage: &Stage, id: &str) -> Producer {
    let config = ProducerConfig::default().transactional_id(Some(id.to_owned()));
    let builder = stage.client.producer().config(config);
    builder.build().await.unwrap()
}

#[tokio::test]
async fn transactions_are_listed_and_described() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let (topic, id) = (stage.topic(1).await, stage.name("transaction"));
    let admin = stage.client.admin();
    let unknown = admin.describe_transaction(&id).await.unwrap_err();
    assert_eq!(
        unknown.code(),
        Some(ErrorCode::TransactionalIdNotFound),
        "{unknown}"
    );
    let producer = transactional(&stage, &id).await;
    let mut transaction = producer.begin_transaction().await.unwrap();
    let record = || ProducerRecord::new(topic.as_str()).partition(0).value("1");
    transaction.send(record()).await.unwrap();
    let described = admin.describe_transaction(&id).await.unwrap();
    assert_eq!(described.state, "Ongoing");
    assert_eq!(described.timeout, Duration::from_secs(60));
    assert_eq!(
        described.partitions,
        [TopicPartition::new(topic.as_str(), 0)]
    );
    assert!(described.start_timestamp.is_some());
    let all = || TransactionFilter::new().producer_ids([described.producer_id]);
    let listed = async |filter: TransactionFilter| {
        let listed = admin.list_transactions(&filter).await.unwrap();
        listed
            .into_iter()
            .map(|listed| listed.transactional_id)
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(all()).await, [id.as_str()]);
    assert_eq!(listed(all().states(["Ongoing"])).await, [id.as_str()]);
    assert!(listed(all().states(["CompleteAbort"])).await.is_empty());
    let day = Duration::from_secs(86_400);
    assert!(listed(all().longer_than(day)).await.is_empty());
    assert_eq!(
        listed(all().pattern(format!("{id}.?"))).await,
        [id.as_str()]
    );
    assert!(listed(all().pattern("nothing")).await.is_empty());
    let wrong = TransactionFilter::new().states(["Undecided"]);
    let refused = admin.list_transactions(&wrong).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    transaction.commit().await.unwrap();
    eventually("it is over", async || {
        let described = admin.describe_transaction(&id).await.unwrap();
        described.state == "CompleteCommit" && described.partitions.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_hangs_in_a_partition_is_aborted_there() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let (topic, id) = (stage.topic(1).await, stage.name("transaction"));
    let partition = TopicPartition::new(topic.as_str(), 0);
    let admin = stage.client.admin();
    let producer = transactional(&stage, &id).await;
    let transaction = producer.begin_transaction().await.unwrap();
    let record = ProducerRecord::new(topic.as_str()).partition(0).value("1");
    transaction.send(record).await.unwrap();
    let stable = async || {
        let level = IsolationLevel::ReadCommitted;
        let latest = OffsetSpec::Latest;
        let found = admin.list_offset(&partition, latest, level).await.unwrap();
        found.unwrap().offset
    };
    assert_eq!(stable().await, 0);
    let producers = admin.describe_producers(&partition).await.unwrap();
    let [open] = &producers[..] else {
        panic!("{producers:?}");
    };
    assert_eq!(open.transaction_start_offset, Some(0));
    assert_eq!(
        (open.last_sequence, open.coordinator_epoch),
        (Some(0), None)
    );
    let mut stranger = open.clone();
    stranger.producer_epoch = -1;
    let refused = admin.abort_transaction(&partition, &stranger).await;
    assert!(refused.is_err(), "{refused:?}");
    admin.abort_transaction(&partition, open).await.unwrap();
    // Behind the record and its marker.
    assert_eq!(stable().await, 2);
    let producers = admin.describe_producers(&partition).await.unwrap();
    assert_eq!(producers[0].transaction_start_offset, None);
    let nowhere = TopicPartition::new(topic.as_str(), 7);
    drop(transaction);
    let described = admin.describe_producers(&nowhere);
    let waited = tokio::time::timeout(Duration::from_millis(200), described).await;
    assert!(!matches!(waited, Ok(Ok(_))));
}
