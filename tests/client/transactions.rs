use std::collections::BTreeMap;
use std::task::Poll;

use ottla_client::admin::{CommittedOffset, OffsetSpec};
use ottla_client::config::{IsolationLevel, ProducerConfig};
use ottla_client::{
    Client, ConsumerGroupMetadata, Error, Producer, ProducerRecord, TopicPartition,
};
use ottla_protocol::ApiKey;

use crate::rewire::{Fault, transport};
use crate::stage::{Place, Stage, seconds};

/// The claims of this module hold for both protocols of transactions.
macro_rules! both_protocols {
    ($($name:ident)+) => {
        mod first_protocol {
            $(
                #[tokio::test]
                async fn $name() {
                    if let Some(stage) = crate::stage::Stage::new().await {
                        let client = super::without_features(&stage).await;
                        super::$name(&stage, client).await;
                    }
                }
            )+
        }

        mod second_protocol {
            $(
                #[tokio::test]
                async fn $name() {
                    if let Some(stage) = crate::stage::Stage::new().await {
                        let client = stage.client.clone();
                        super::$name(&stage, client).await;
                    }
                }
            )+
        }
    };
}

both_protocols! {
    committed_records_are_decided_and_an_open_transaction_is_not
    offsets_of_a_group_go_with_the_transaction
    a_zombie_is_fenced
    a_failed_record_breaks_the_transaction_and_the_next_one_goes_on
    an_error_of_the_work_aborts_and_its_value_comes_back
    a_transaction_that_is_dropped_is_aborted
    a_commit_whose_future_is_dropped_goes_on
    what_a_closed_producer_left_open_is_aborted
    java_reads_all_of_a_transaction_or_nothing
}

/// A client that cannot know that the second protocol is in force.
async fn without_features(stage: &Stage) -> Client {
    let transport = transport(&stage.place, Fault::NoFeatures);
    stage.client().transport(transport).connect().await.unwrap()
}

async fn producer(client: &Client, id: &str) -> Producer {
    let builder = client.producer().transactional_id(id);
    builder.build().await.unwrap()
}

fn record(topic: &str, value: &str) -> ProducerRecord {
    ProducerRecord::new(topic).value(value.to_owned())
}

/// Where what is decided ends.
async fn stable(stage: &Stage, topic: &str) -> i64 {
    end(stage, topic, IsolationLevel::ReadCommitted).await
}

async fn end(stage: &Stage, topic: &str, level: IsolationLevel) -> i64 {
    let partition = TopicPartition::new(topic, 0);
    let admin = stage.client.admin();
    let found = admin.list_offset(&partition, OffsetSpec::Latest, level);
    found.await.unwrap().unwrap().offset
}

async fn committed_records_are_decided_and_an_open_transaction_is_not(
    stage: &Stage,
    client: Client,
) {
    let topic = stage.topic(1).await;
    let producer = producer(&client, &topic).await;
    for round in 0..3 {
        let start = end(stage, &topic, IsolationLevel::ReadUncommitted).await;
        let mut transaction = producer.begin_transaction().await.unwrap();
        for value in ["a", "b", "c"] {
            drop(transaction.enqueue(record(&topic, value)).await.unwrap());
        }
        transaction.send(record(&topic, "d")).await.unwrap();
        assert_eq!(stable(stage, &topic).await, start, "round {round}");
        transaction.commit().await.unwrap();
        // Four records and the marker.
        crate::stage::eventually("the marker is written", async || {
            stable(stage, &topic).await == start + 5
        })
        .await;
    }
    producer.close(seconds(10)).await.unwrap();
}

async fn offsets_of_a_group_go_with_the_transaction(stage: &Stage, client: Client) {
    let topic = stage.topic(1).await;
    let group = ConsumerGroupMetadata::new(stage.name("group"));
    let producer = producer(&client, &topic).await;
    let offsets = |offset| {
        BTreeMap::from([(
            TopicPartition::new(topic.as_str(), 0),
            CommittedOffset::new(offset),
        )])
    };
    for (offset, commits) in [(3, true), (5, false), (7, true)] {
        let mut transaction = producer.begin_transaction().await.unwrap();
        transaction
            .send_offsets(offsets(offset), &group)
            .await
            .unwrap();
        if commits {
            transaction.commit().await.unwrap();
        } else {
            transaction.abort().await.unwrap();
        }
    }
    let admin = stage.client.admin();
    crate::stage::eventually("the offset is committed", async || {
        let committed = admin.list_group_offsets(&group.group_id).await.unwrap();
        committed == offsets(7)
    })
    .await;
    // A member that is not one of the group.
    let mut stranger = group.clone();
    stranger.member_id = "stranger".to_owned();
    stranger.generation_id = 4;
    let mut transaction = producer.begin_transaction().await.unwrap();
    let refused = transaction.send_offsets(offsets(9), &stranger).await;
    assert!(
        refused.as_ref().is_err_and(Error::is_abortable),
        "{refused:?}"
    );
    transaction.abort().await.unwrap();
}

async fn a_zombie_is_fenced(stage: &Stage, client: Client) {
    let topic = stage.topic(1).await;
    let old = producer(&client, &topic).await;
    let mut transaction = old.begin_transaction().await.unwrap();
    transaction.send(record(&topic, "old")).await.unwrap();
    let new = producer(&client, &topic).await;
    // Its transaction was aborted. It may write, and learns of it there or at the end.
    let _ = transaction.send(record(&topic, "zombie")).await;
    let refused = transaction.commit().await.unwrap_err();
    let fenced = match refused {
        Error::Abortable(_) => transaction.abort().await.unwrap_err(),
        error => error,
    };
    assert!(fenced.is_fenced(), "{fenced}");
    assert!(old.begin_transaction().await.err().unwrap().is_fenced());
    let mut transaction = new.begin_transaction().await.unwrap();
    transaction.send(record(&topic, "new")).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn a_failed_record_breaks_the_transaction_and_the_next_one_goes_on(
    stage: &Stage,
    client: Client,
) {
    let topic = stage.topic_up_to(1000).await;
    let producer = producer(&client, &topic).await;
    for _ in 0..2 {
        let mut transaction = producer.begin_transaction().await.unwrap();
        transaction.send(record(&topic, "fits")).await.unwrap();
        let large = record(&topic, &"x".repeat(5000));
        let large = transaction.enqueue(large).await.unwrap();
        let refused = transaction.commit().await.unwrap_err();
        assert!(refused.is_abortable(), "{refused}");
        assert!(!large.await.unwrap_err().may_have_been_written);
        transaction.abort().await.unwrap();
    }
    let mut transaction = producer.begin_transaction().await.unwrap();
    transaction.send(record(&topic, "fits")).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn an_error_of_the_work_aborts_and_its_value_comes_back(stage: &Stage, client: Client) {
    let topic = stage.topic(1).await;
    let producer = producer(&client, &topic).await;
    let written = producer
        .transaction(async |transaction| transaction.send(record(&topic, "kept")).await)
        .await
        .unwrap();
    assert_eq!(written.offset, Some(0));
    let failed: Result<(), Error> = producer
        .transaction(async |transaction| {
            transaction.send(record(&topic, "dropped")).await?;
            Err(Error::Invalid("no".to_owned()))
        })
        .await;
    assert_eq!(failed, Err(Error::Invalid("no".to_owned())));
    // It can run on another thread.
    let (shared, name) = (producer.clone(), topic.clone());
    let task = tokio::spawn(async move {
        shared
            .transaction(async |transaction| transaction.send(record(&name, "too")).await)
            .await
    });
    task.await.unwrap().unwrap();
}

async fn a_transaction_that_is_dropped_is_aborted(stage: &Stage, client: Client) {
    let topic = stage.topic(1).await;
    let producer = producer(&client, &topic).await;
    let transaction = producer.begin_transaction().await.unwrap();
    transaction.send(record(&topic, "dropped")).await.unwrap();
    drop(transaction);
    // The next one begins when the abort is through.
    let mut next = producer.begin_transaction().await.unwrap();
    next.commit().await.unwrap();
    crate::stage::eventually("the abort is written", async || {
        stable(stage, &topic).await == 2
    })
    .await;
}

async fn a_commit_whose_future_is_dropped_goes_on(stage: &Stage, client: Client) {
    let topic = stage.topic(1).await;
    let producer = producer(&client, &topic).await;
    let mut transaction = producer.begin_transaction().await.unwrap();
    let delivery = transaction.enqueue(record(&topic, "kept")).await.unwrap();
    let mut commit = Box::pin(transaction.commit());
    let once = std::future::poll_fn(|context| Poll::Ready(commit.as_mut().poll(context)));
    assert!(once.await.is_pending());
    drop(commit);
    drop(transaction);
    delivery.await.unwrap();
    crate::stage::eventually("the commit is written", async || {
        stable(stage, &topic).await == 2
    })
    .await;
}

async fn what_a_closed_producer_left_open_is_aborted(stage: &Stage, client: Client) {
    let topic = stage.topic(1).await;
    let producer = producer(&client, &topic).await;
    let transaction = producer.begin_transaction().await.unwrap();
    transaction.send(record(&topic, "open")).await.unwrap();
    producer.close(seconds(20)).await.unwrap();
    crate::stage::eventually("the abort is written", async || {
        stable(stage, &topic).await == 2
    })
    .await;
    let closed = transaction.enqueue(record(&topic, "late")).await;
    assert_eq!(closed.err(), Some(Error::Closed));
}

async fn java_reads_all_of_a_transaction_or_nothing(stage: &Stage, client: Client) {
    let Place::Address { bootstrap, .. } = &stage.place else {
        return;
    };
    let java = &ottla_tests::client::JAVA;
    if !java.is_here() {
        return;
    }
    let topic = stage.topic(1).await;
    let producer = producer(&client, &topic).await;
    for round in 0..4 {
        let mut transaction = producer.begin_transaction().await.unwrap();
        for value in 0..2 {
            let record = record(&topic, &format!("{round}-{value}"));
            drop(transaction.enqueue(record).await.unwrap());
        }
        if round % 2 == 0 {
            transaction.commit().await.unwrap();
        } else {
            // Sent, so that there is something to abort.
            transaction.send(record(&topic, "aborted")).await.unwrap();
            transaction.abort().await.unwrap();
        }
    }
    let broker = ottla_tests::Broker::at(bootstrap);
    let values = tokio::task::spawn_blocking(move || {
        let arguments = ["--topic", &topic, "--count", "4", "--set"];
        let committed = [&arguments[..], &["isolation.level=read_committed"]].concat();
        let read = java.run(&broker, "consume", &committed).records(4);
        let values = read.into_iter().map(|read| read.record.value.0.unwrap());
        values
            .map(|value| String::from_utf8(value).unwrap())
            .collect::<Vec<_>>()
    });
    assert_eq!(values.await.unwrap(), ["0-0", "0-1", "2-0", "2-1"]);
}

#[tokio::test]
async fn a_producer_without_a_transactional_id_has_no_transactions() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let refused = stage.producer().await.begin_transaction().await;
    assert!(matches!(refused.err(), Some(Error::Invalid(_))));
}

#[tokio::test]
async fn a_producer_with_a_transactional_id_writes_in_transactions_only() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let producer = producer(&stage.client, &topic).await;
    let refused = producer.enqueue(record(&topic, "x")).await;
    assert!(matches!(refused.err(), Some(Error::Invalid(_))));
}

#[tokio::test]
async fn a_transaction_timeout_that_the_broker_does_not_allow_is_refused() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let config = ProducerConfig::default()
        .transactional_id("impatient".to_owned())
        .transaction_timeout(seconds(86_400));
    let refused = stage.client.producer().config(config).build().await;
    let code = refused.err().and_then(|error| error.code());
    assert_eq!(
        code,
        Some(ottla_client::ErrorCode::InvalidTransactionTimeout)
    );
}

/// Whatever answer is lost, the transaction commits once.
#[tokio::test]
async fn lost_answers_do_not_break_a_transaction() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    for key in [ApiKey::Produce, ApiKey::EndTxn, ApiKey::TxnOffsetCommit] {
        let topic = stage.topic(1).await;
        let transport = transport(&stage.place, Fault::break_at(key, [0, 2]));
        let client = stage.client().transport(transport).connect().await.unwrap();
        let producer = producer(&client, &topic).await;
        let group = ConsumerGroupMetadata::new(stage.name("group"));
        for round in 1..=4 {
            let mut transaction = producer.begin_transaction().await.unwrap();
            drop(transaction.enqueue(record(&topic, "x")).await.unwrap());
            let offsets = (
                TopicPartition::new(topic.as_str(), 0),
                CommittedOffset::new(round),
            );
            transaction
                .send_offsets([offsets].into(), &group)
                .await
                .unwrap();
            transaction.commit().await.unwrap();
        }
        // Four records, each with its marker.
        crate::stage::eventually("all is decided", async || stable(&stage, &topic).await == 8)
            .await;
        let level = IsolationLevel::ReadUncommitted;
        assert_eq!(end(&stage, &topic, level).await, 8, "{key:?}");
    }
}
