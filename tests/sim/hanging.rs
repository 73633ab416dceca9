//! A kill between what the coordinator notes of a transaction and what it is about.

use std::time::Duration;

use bytes::Bytes;
use ottla_broker::env::SEEDED_START_MS;
use ottla_broker::testing::JournalOptions;
use ottla_protocol::ErrorCode;
use ottla_protocol::message::{
    DescribeTransactionsRequest, EndTxnRequest, InitProducerIdRequest, PartitionProduceData,
    ProduceRequest, TopicProduceData, TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
};
use ottla_protocol::record::{BatchBuilder, BatchOptions, ProducerIdentity};
use tokio::time::{sleep, timeout};

use crate::history::Place;
use crate::link::{Link, value};
use crate::workload::pump::fetch_offsets;
use crate::world::{BOOKS, CACHED, GROUP, ORDERS, World};

const TRANSACTIONAL_ID: &str = "hanging";

/// A broker, and a producer that has just begun.
async fn begin() -> (World, Link, (i64, i16)) {
    // Room enough that nothing is on record of a log but what the journal has of it.
    let journal = JournalOptions {
        first_file_bytes: 1 << 20,
        file_bytes: 1 << 20,
        ..JournalOptions::default()
    };
    let world = World::with_journal(journal, 1, false);
    world.set_up().await;
    let mut link = world.link("producer");
    let producer = init(&mut link, TRANSACTIONAL_ID).await;
    (world, link, producer)
}

async fn init(link: &mut Link, transactional_id: &'static str) -> (i64, i16) {
    let request = InitProducerIdRequest {
        transactional_id: Some(transactional_id.into()),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let answer = link.ask(request).await.unwrap();
    assert_eq!(answer.error_code, ErrorCode::None);
    (answer.producer_id, answer.producer_epoch)
}

/// Kills the process, which loses nothing that it has written, and starts it again.
async fn kill(world: &World) {
    world.kill();
    world.disk.kill();
    world.start().await.unwrap();
}

fn produce(world: &World, topic: &'static str, producer: (i64, i16)) -> ProduceRequest {
    produce_as(TRANSACTIONAL_ID, world, topic, producer)
}

fn produce_as(
    transactional_id: &'static str,
    world: &World,
    topic: &'static str,
    producer: (i64, i16),
) -> ProduceRequest {
    let options = BatchOptions {
        producer: ProducerIdentity {
            producer_id: producer.0,
            producer_epoch: producer.1,
            base_sequence: 0,
        },
        transactional: true,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options).unwrap();
    let value: Bytes = value(1, 1, 0);
    builder
        .append(SEEDED_START_MS, None, Some(&value), &[])
        .unwrap();
    ProduceRequest {
        transactional_id: Some(transactional_id.into()),
        acks: -1,
        timeout_ms: 2_000,
        topic_data: vec![TopicProduceData {
            name: topic.into(),
            topic_id: world.topic_id(topic),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(builder.build().unwrap()),
            }],
        }],
    }
}

async fn produced(link: &mut Link, request: ProduceRequest) -> ErrorCode {
    let answer = link.ask(request).await.unwrap();
    answer.responses[0].partition_responses[0].error_code
}

/// What was aborted in the name of a coordinator that had lost it must not pass for written.
async fn refuses_what_it_has_aborted(topic: &'static str) {
    let (world, mut link, producer) = begin().await;
    let sent = link.ask(produce(&world, topic, producer));
    // Written, and the journal has not come to it.
    assert!(timeout(Duration::ZERO, sent).await.is_err());
    kill(&world).await;
    let mut link = world.link("producer");
    let again = produce(&world, topic, producer);
    let code = produced(&mut link, again).await;
    assert_eq!(code, ErrorCode::InvalidProducerEpoch);
    let request = EndTxnRequest {
        transactional_id: TRANSACTIONAL_ID.into(),
        producer_id: producer.0,
        producer_epoch: producer.1,
        committed: false,
    };
    let ended = link.ask(request).await.unwrap();
    let next = (ended.producer_id, ended.producer_epoch);
    let code = produced(&mut link, produce(&world, topic, next)).await;
    assert_eq!(code, ErrorCode::None, "the next transaction");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_was_aborted_because_the_coordinator_lost_it_does_not_pass_for_written() {
    refuses_what_it_has_aborted(BOOKS).await;
}

#[tokio::test(start_paused = true)]
async fn neither_does_one_of_a_partition_that_bypasses_the_journal() {
    refuses_what_it_has_aborted(CACHED).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_besides_the_journal_is_acknowledged_when_a_kill_cannot_take_it_from_its_transaction()
 {
    let (world, mut link, producer) = begin().await;
    let code = produced(&mut link, produce(&world, CACHED, producer)).await;
    assert_eq!(code, ErrorCode::None);
    kill(&world).await;
    let request = DescribeTransactionsRequest {
        transactional_ids: vec![TRANSACTIONAL_ID.into()],
    };
    let answer = world.link("admin").ask(request).await.unwrap();
    let topics = &answer.transaction_states[0].topics;
    assert_eq!(topics.len(), 1, "{answer:?}");
    assert_eq!(topics[0].topic, CACHED);
}

fn commit_offset(transactional_id: &'static str, producer: (i64, i16)) -> TxnOffsetCommitRequest {
    TxnOffsetCommitRequest {
        transactional_id: transactional_id.into(),
        group_id: GROUP.into(),
        producer_id: producer.0,
        producer_epoch: producer.1,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: ORDERS.into(),
            partitions: vec![TxnOffsetCommitRequestPartition {
                committed_offset: 1,
                ..Default::default()
            }],
        }],
        generation_id: -1,
        ..Default::default()
    }
}

/// The group has no offset, and none that waits for a transaction.
async fn assert_no_offset(world: &World) {
    let place = Place {
        topic: ORDERS,
        partition: 0,
    };
    let mut link = world.link("consumer");
    let offset = fetch_offsets(world, &mut link, GROUP, place, true).await;
    assert_eq!(offset.unwrap(), 0, "not an unstable one");
}

#[tokio::test(start_paused = true)]
async fn offsets_that_wait_for_a_transaction_that_the_coordinator_lost_are_forgotten() {
    let (world, mut link, producer) = begin().await;
    let request = commit_offset(TRANSACTIONAL_ID, producer);
    assert!(timeout(Duration::ZERO, link.ask(request)).await.is_err());
    kill(&world).await;
    assert_no_offset(&world).await;
}

/// They have a partition and a group in common, and come due at the same moment.
#[tokio::test(start_paused = true)]
async fn transactions_that_time_out_while_the_broker_is_down_are_all_aborted() {
    const OTHER: &str = "other";
    let (world, mut link, first) = begin().await;
    let second = init(&mut link, OTHER).await;
    for (id, producer) in [(TRANSACTIONAL_ID, first), (OTHER, second)] {
        let code = produced(&mut link, produce_as(id, &world, ORDERS, producer)).await;
        assert_eq!(code, ErrorCode::None);
        let answer = link.ask(commit_offset(id, producer)).await.unwrap();
        assert_eq!(answer.topics[0].partitions[0].error_code, ErrorCode::None);
    }
    world.kill();
    world.disk.kill();
    sleep(Duration::from_secs(120)).await;
    world.start().await.unwrap();
    sleep(Duration::from_secs(5)).await;

    let request = DescribeTransactionsRequest {
        transactional_ids: vec![TRANSACTIONAL_ID.into(), OTHER.into()],
    };
    let answer = world.link("admin").ask(request).await.unwrap();
    let states = answer.transaction_states.iter();
    let states: Vec<_> = states.map(|of| of.transaction_state.to_string()).collect();
    assert_eq!(states, ["CompleteAbort"; 2]);
    assert_no_offset(&world).await;
}
