//! Every public future of the client, the producer and the administrator, dropped at each of its await points: nothing
//! is lost, doubled, or hung.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;

use ottla_client::admin::{
    CommittedOffset, ConfigChange, ConfigResource, NewTopic, OffsetSpec, TransactionFilter,
};
use ottla_client::config::{AutoOffsetReset, IsolationLevel, ProducerConfig};
use ottla_client::{ConsumerGroupMetadata, Error, Event, Producer, ProducerRecord, TopicPartition};

use crate::stage::{Stage, seconds};

/// More await points than any future here has; beyond, it hangs.
const MOST_POLLS: usize = 10_000;

/// Polls the future until it has waited `waits` times, and drops it then.
async fn dropped_after<T>(waits: usize, future: impl Future<Output = T>) -> Option<T> {
    if waits == 0 {
        return None;
    }
    let mut future = Box::pin(future);
    let mut waited = 0;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => {
            waited += 1;
            if waited == waits {
                return Poll::Ready(None);
            }
            Poll::Pending
        }
    })
    .await
}

/// Drops what `make` makes after no wait, one, two, and so on, until one is ready; its value is returned.
async fn dropped_everywhere<T>(make: impl AsyncFn(usize) -> T) -> T {
    for waits in 0..MOST_POLLS {
        if let Some(value) = dropped_after(waits, make(waits)).await {
            return value;
        }
    }
    panic!("it hangs");
}

/// The values in a topic of one partition, as far as they count.
async fn values(stage: &Stage, topic: &str) -> Vec<String> {
    let partition = TopicPartition::new(topic, 0);
    let mut reader = stage
        .client
        .reader()
        .with(|config| {
            config
                .auto_offset_reset(AutoOffsetReset::Earliest)
                .isolation_level(IsolationLevel::ReadCommitted)
        })
        .assign([partition.clone()])
        .build()
        .await
        .unwrap();
    let mut values = Vec::new();
    // A record that ends what is read: behind a marker there may be nothing to hand out, and Apache
    // Kafka writes markers after it has answered.
    let last = stage.producer().await;
    last.send(record(topic, "last")).await.unwrap();
    while values.last().is_none_or(|value| value != "last") {
        if let Event::Records(records) = reader.next_event().await.unwrap() {
            for record in &records {
                let value = record.value.clone().unwrap();
                values.push(String::from_utf8(value.to_vec()).unwrap());
            }
        }
    }
    values.pop();
    values
}

fn record(topic: &str, value: &str) -> ProducerRecord {
    ProducerRecord::new(topic).value(value.to_owned())
}

/// Whether the values rise, so that none is doubled or out of place.
fn rise(values: &[String]) -> bool {
    let numbers: Vec<usize> = values.iter().map(|value| value.parse().unwrap()).collect();
    numbers.is_sorted_by(|a, b| a < b)
}

#[tokio::test]
async fn a_dropped_enqueue_queues_the_record_fully_or_not_at_all() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    // Room for two records, so that the third waits.
    let config = ProducerConfig::default()
        .buffer_memory(2200_usize)
        .batch_size(1_usize);
    let producer = stage.client.producer().config(config);
    let producer = producer.build().await.unwrap();
    let value = |number: usize| format!("{number:01000}");
    let mut written = Vec::new();
    for number in 0..60 {
        let enqueue = producer.enqueue(record(&topic, &value(number)));
        if let Some(delivery) = dropped_after(number % 4, enqueue).await {
            drop(delivery.unwrap());
            written.push(value(number));
        }
    }
    producer.flush().await.unwrap();
    assert_eq!(producer.buffer_available(), 2200);
    let seen = values(&stage, &topic).await;
    assert!(rise(&seen), "{seen:?}");
    let missing: Vec<_> = written
        .iter()
        .filter(|value| !seen.contains(value))
        .collect();
    assert!(missing.is_empty() && !written.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn a_dropped_send_or_flush_takes_no_record_along() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let producer = stage.producer().await;
    let number = |waits: usize| format!("{waits:06}");
    dropped_everywhere(async |waits| producer.send(record(&topic, &number(waits))).await)
        .await
        .unwrap();
    let kept = producer.enqueue(record(&topic, "999998")).await.unwrap();
    dropped_everywhere(async |_| producer.flush().await)
        .await
        .unwrap();
    kept.await.unwrap();
    let seen = values(&stage, &topic).await;
    assert!(rise(&seen), "{seen:?}");
    assert_eq!(seen.last().map(String::as_str), Some("999998"));
}

#[tokio::test]
async fn a_dropped_close_still_sends_what_is_queued() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    for waits in 0..4 {
        let topic = stage.topic(1).await;
        let producer = stage.producer().await;
        let delivery = producer.enqueue(record(&topic, "1")).await.unwrap();
        let _ = dropped_after(waits, producer.close(seconds(20))).await;
        delivery.await.unwrap();
    }
}

async fn transactional(stage: &Stage, id: &str) -> Producer {
    let builder = stage.client.producer().transactional_id(id);
    builder.build().await.unwrap()
}

#[tokio::test]
async fn a_dropped_begin_or_abort_leaves_a_producer_that_goes_on() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let producer = transactional(&stage, &topic).await;
    for waits in 0..6 {
        let begun = dropped_everywhere(async |_| producer.begin_transaction().await).await;
        let mut transaction = begun.unwrap();
        transaction.send(record(&topic, "0")).await.unwrap();
        let _ = dropped_after(waits, transaction.abort()).await;
    }
    let mut transaction = producer.begin_transaction().await.unwrap();
    transaction.send(record(&topic, "1")).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(values(&stage, &topic).await, ["1"]);
}

#[tokio::test]
async fn a_dropped_commit_counts_as_soon_as_it_was_polled() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let group = ConsumerGroupMetadata::new(stage.name("group"));
    let producer = transactional(&stage, &topic).await;
    let mut expected = Vec::new();
    for waits in 0..6_i64 {
        let mut transaction = producer.begin_transaction().await.unwrap();
        drop(
            transaction
                .enqueue(record(&topic, &waits.to_string()))
                .await
                .unwrap(),
        );
        let offsets = || {
            let partition = TopicPartition::new(topic.as_str(), 0);
            BTreeMap::from([(partition, CommittedOffset::new(waits))])
        };
        let sent = dropped_everywhere(async |_| transaction.send_offsets(offsets(), &group).await);
        sent.await.unwrap();
        let polls = usize::try_from(waits).unwrap();
        if let Some(committed) = dropped_after(polls, transaction.commit()).await {
            committed.unwrap();
        }
        if waits > 0 {
            expected.push(waits.to_string());
        }
    }
    // Waits for the last commit.
    drop(producer.begin_transaction().await.unwrap());
    crate::stage::eventually("all is committed", async || {
        let offsets = stage
            .client
            .admin()
            .list_group_offsets(&group.group_id)
            .await;
        let offsets = offsets.unwrap();
        offsets
            .values()
            .next()
            .is_some_and(|committed| committed.offset == 5)
    })
    .await;
    assert_eq!(values(&stage, &topic).await, expected);
}

#[tokio::test]
async fn a_dropped_transaction_counts_whole_and_once_or_not_at_all() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let producer = transactional(&stage, &topic).await;
    let last = std::cell::Cell::new(0);
    let work = async |waits: usize| {
        last.set(waits);
        let pair = [2 * waits, 2 * waits + 1].map(|number| format!("{number:06}"));
        let sent = producer.transaction(async |transaction| {
            for value in &pair {
                transaction.send(record(&topic, value)).await?;
            }
            Ok::<_, Error>(())
        });
        sent.await
    };
    dropped_everywhere(work).await.unwrap();
    let seen = values(&stage, &topic).await;
    assert!(rise(&seen), "{seen:?}");
    let numbers: Vec<usize> = seen.iter().map(|value| value.parse().unwrap()).collect();
    assert!(
        numbers
            .chunks(2)
            .all(|pair| pair[0] % 2 == 0 && pair[0] + 1 == pair[1]),
        "{seen:?}"
    );
    assert_eq!(numbers.last(), Some(&(2 * last.get() + 1)));
}

#[tokio::test]
async fn a_dropped_build_of_a_transactional_producer_leaves_nothing_in_the_way() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let topic = stage.topic(1).await;
    let build = async |_| {
        let builder = stage.client.producer().transactional_id(&topic);
        builder.build().await
    };
    let producer = dropped_everywhere(build).await.unwrap();
    let mut transaction = producer.begin_transaction().await.unwrap();
    transaction.send(record(&topic, "1")).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_dropped_connect_leaves_nothing_in_the_way() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let client = dropped_everywhere(async |_| stage.client().connect().await).await;
    client.unwrap().admin().describe_cluster().await.unwrap();
}

#[tokio::test]
async fn dropped_calls_of_the_administrator_can_be_made_again() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let admin = stage.client.admin();
    let name = stage.name("made");
    let partition = TopicPartition::new(name.as_str(), 0);
    let create = async |_| {
        let made = admin
            .create_topics([NewTopic::new(&name).partitions(1)])
            .await;
        made.unwrap().remove(&name).unwrap()
    };
    let made = dropped_everywhere(create).await;
    let code = made.err().and_then(|error| error.code());
    assert!(matches!(
        code,
        None | Some(ottla_client::ErrorCode::TopicAlreadyExists)
    ));
    crate::stage::eventually("it is there", async || {
        admin.describe_topics([&name]).await.unwrap()[&name].is_ok()
    })
    .await;
    dropped_everywhere(async |_| admin.describe_topics([&name]).await)
        .await
        .unwrap();
    dropped_everywhere(async |_| admin.list_topics(true).await)
        .await
        .unwrap();
    dropped_everywhere(async |_| admin.describe_cluster().await)
        .await
        .unwrap();
    dropped_everywhere(async |_| {
        admin
            .describe_configs(ConfigResource::Topic(name.clone()))
            .await
    })
    .await
    .unwrap();
    let level = IsolationLevel::ReadUncommitted;
    dropped_everywhere(async |_| {
        admin
            .list_offset(&partition, OffsetSpec::Latest, level)
            .await
    })
    .await
    .unwrap();
    dropped_everywhere(async |_| admin.delete_records(&partition, None).await)
        .await
        .unwrap();
    let grown = dropped_everywhere(async |_| admin.create_partitions(&name, 2).await).await;
    // The call before may have done it.
    assert!(
        matches!(grown, Ok(()) | Err(Error::Refused { .. })),
        "{grown:?}"
    );

    let group = stage.name("group");
    let offsets = BTreeMap::from([(partition.clone(), CommittedOffset::new(0))]);
    dropped_everywhere(async |_| admin.alter_group_offsets(&group, &offsets).await)
        .await
        .unwrap();
    let listed = dropped_everywhere(async |_| admin.list_group_offsets(&group).await).await;
    assert_eq!(listed.unwrap(), offsets);
    dropped_everywhere(async |_| admin.list_groups().await)
        .await
        .unwrap();
    dropped_everywhere(async |_| admin.describe_group(&group).await)
        .await
        .unwrap();
    let partitions = [partition];
    dropped_everywhere(async |_| admin.delete_group_offsets(&group, &partitions).await)
        .await
        .unwrap();
    let deleted = dropped_everywhere(async |_| admin.delete_group(&group).await).await;
    assert!(
        matches!(deleted, Ok(()) | Err(Error::Refused { .. })),
        "{deleted:?}"
    );
    let gone = dropped_everywhere(async |_| admin.delete_topics([&name]).await).await;
    gone.unwrap();
}

#[tokio::test]
async fn calls_about_configurations_transactions_and_members_may_be_dropped() {
    let Some(stage) = Stage::new().await else {
        return;
    };
    let admin = stage.client.admin();
    let topic = stage.topic(1).await;
    let partition = TopicPartition::new(topic.as_str(), 0);
    let resource = ConfigResource::Topic(topic);
    let change = || [("retention.ms", ConfigChange::Set("5000".to_owned()))];
    dropped_everywhere(async |_| admin.validate_configs(&resource, change()).await)
        .await
        .unwrap();
    dropped_everywhere(async |_| admin.alter_configs(&resource, change()).await)
        .await
        .unwrap();
    dropped_everywhere(async |_| admin.describe_features().await)
        .await
        .unwrap();
    let cluster = admin.describe_cluster().await.unwrap();
    let id = *cluster.brokers.keys().next().unwrap();
    dropped_everywhere(async |_| admin.describe_log_dirs(id).await)
        .await
        .unwrap();
    let all = TransactionFilter::new();
    dropped_everywhere(async |_| admin.list_transactions(&all).await)
        .await
        .unwrap();
    dropped_everywhere(async |_| admin.describe_producers(&partition).await)
        .await
        .unwrap();
    let unknown = dropped_everywhere(async |_| admin.describe_transaction("none").await).await;
    assert!(unknown.is_err());
    let level = IsolationLevel::ReadUncommitted;
    let wanted = BTreeMap::from([(partition.clone(), OffsetSpec::Earliest)]);
    dropped_everywhere(async |_| admin.list_offsets(&wanted, level).await)
        .await
        .unwrap();
    let group = stage.name("group");
    let offsets = BTreeMap::from([(partition, CommittedOffset::new(0))]);
    admin.alter_group_offsets(&group, &offsets).await.unwrap();
    let removed = dropped_everywhere(async |_| admin.remove_all_group_members(&group).await).await;
    assert!(removed.unwrap().is_empty());
    let stranger = dropped_everywhere(async |_| admin.remove_group_members(&group, ["x"]).await);
    assert!(stranger.await.unwrap()["x"].is_err());
}
