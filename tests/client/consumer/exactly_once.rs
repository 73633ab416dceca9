use ottla_client::config::{ConsumerConfig, GroupProtocol, IsolationLevel, ProducerConfig};
use ottla_client::consumer::{Consumer, SeekTo};
use ottla_client::{Error, Producer, ProducerRecord, TopicPartition};

use super::{PATIENCE, earliest, numbers, produce, records, values};
use crate::stage::{Stage, with_each_protocol};

with_each_protocol! {
    #[tokio::test]
    what_is_read_transformed_and_written_in_transactions_counts_once,
}

fn committed(config: ConsumerConfig) -> ConsumerConfig {
    earliest(config)
        .isolation_level(IsolationLevel::ReadCommitted)
        .enable_auto_commit(false)
}

async fn transactional(stage: &Stage) -> Producer {
    let config = ProducerConfig::default().transactional_id(Some(stage.name("transactions")));
    stage
        .client
        .producer()
        .config(config)
        .build()
        .await
        .unwrap()
}

async fn reader(
    stage: &Stage,
    topic: &str,
    settings: impl FnOnce(ConsumerConfig) -> ConsumerConfig,
) -> Consumer {
    let partition = TopicPartition::new(topic, 0);
    let reader = stage.client.reader().with(settings).assign([partition]);
    reader.build().await.unwrap()
}

fn record(topic: &str, value: impl ToString) -> ProducerRecord {
    ProducerRecord::new(topic)
        .partition(0)
        .value(value.to_string())
}

#[tokio::test]
async fn a_reader_of_committed_records_sees_no_aborted_and_no_open_transaction() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = &stage.topic(1).await;
    let producers = [
        transactional(&stage).await,
        transactional(&stage).await,
        transactional(&stage).await,
    ];
    let mut aborted = producers[0].begin_transaction().await.unwrap();
    let mut decided = producers[1].begin_transaction().await.unwrap();
    let mut open = producers[2].begin_transaction().await.unwrap();
    aborted.send(record(topic, 0)).await.unwrap();
    decided.send(record(topic, 1)).await.unwrap();
    aborted.send(record(topic, 2)).await.unwrap();
    produce(&stage, topic, 0, 3..4).await;
    aborted.abort().await.unwrap();
    decided.commit().await.unwrap();
    open.send(record(topic, 4)).await.unwrap();
    produce(&stage, topic, 0, 5..6).await;

    let mut all = reader(&stage, topic, earliest).await;
    assert_eq!(values(&mut all, 6).await, numbers(0..6));
    let mut some = reader(&stage, topic, committed).await;
    assert_eq!(values(&mut some, 2).await, ["1", "3"]);
    let more = tokio::time::timeout(std::time::Duration::from_millis(300), some.next_event());
    assert!(more.await.is_err());
    // Up to what is decided there is nothing more to read.
    assert_eq!(some.lag(&TopicPartition::new(topic.as_str(), 0)), Some(0));
    open.commit().await.unwrap();
    assert_eq!(values(&mut some, 2).await, ["4", "5"]);
}

async fn what_is_read_transformed_and_written_in_transactions_counts_once(protocol: GroupProtocol) {
    let Some(stage) = Stage::of(protocol).await else {
        return;
    };
    let (source, sink) = (stage.topic(1).await, stage.topic(1).await);
    produce(&stage, &source, 0, 0..40).await;
    let producer = transactional(&stage).await;
    let few = |config| committed(config).max_poll_records(5_usize);
    let consumer = stage.client.consumer(stage.name("group")).with(few);
    let mut consumer = consumer.subscribe([source.as_str()]).build().await.unwrap();
    let (mut done, mut round) = (0, 0);
    while done < 40 {
        let batch = records(&mut consumer).await;
        let group = consumer.group_metadata().unwrap();
        let fails = round % 3 == 1;
        round += 1;
        let worked = producer
            .transaction(async |transaction| {
                for read in &batch {
                    let value = String::from_utf8(read.value.clone().unwrap().to_vec()).unwrap();
                    transaction
                        .enqueue(record(&sink, value))
                        .await?
                        .await
                        .unwrap();
                }
                let offsets = [(batch.partition().clone(), batch.next())].into();
                transaction.send_offsets(offsets, &group).await?;
                if fails { Err(Error::Closed) } else { Ok(()) }
            })
            .await;
        if worked.is_ok() {
            consumer.ack(&batch);
            done += batch.len();
        } else {
            // Nothing of it counts: it is read again.
            consumer.seek(batch.partition(), SeekTo::Committed).unwrap();
        }
    }
    consumer.close(PATIENCE).await.unwrap();
    let mut written = reader(&stage, &sink, committed).await;
    assert_eq!(values(&mut written, 40).await, numbers(0..40));
}
