//! Transactions in both protocols, and what each version is refused with.

use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::message::*;
use ottla_protocol::record::{BatchOptions, ProducerIdentity};

use crate::support::{
    Client, Server, Topic, batch, batch_with, fetch_request, only_partition, produce_request, text,
};

/// The last Produce version of the first protocol, and the first of the second.
const FIRST_PROTOCOL: i16 = 11;
const SECOND_PROTOCOL: i16 = 12;

async fn init(client: &mut Client) -> (i64, i16) {
    let request = InitProducerIdRequest {
        transactional_id: Some(text("tx")),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let given = client.call(4, request).await;
    assert_eq!(given.error_code, ErrorCode::None);
    (given.producer_id, given.producer_epoch)
}

fn transactional((producer_id, producer_epoch): (i64, i16), base_sequence: i32) -> Bytes {
    let options = BatchOptions {
        producer: ProducerIdentity {
            producer_id,
            producer_epoch,
            base_sequence,
        },
        transactional: true,
        ..BatchOptions::default()
    };
    batch_with(options, &["a"])
}

async fn produce(client: &mut Client, version: i16, topic: &Topic, records: Bytes) -> ErrorCode {
    let request = ProduceRequest {
        transactional_id: Some(text("tx")),
        ..produce_request(topic, Some(records))
    };
    let response = client.call(version, request).await;
    response.responses[0].partition_responses[0].error_code
}

async fn add(
    client: &mut Client,
    topics: &[(&str, i32)],
    (id, epoch): (i64, i16),
) -> Vec<ErrorCode> {
    let topic = |(name, partition): &(&str, i32)| AddPartitionsToTxnTopic {
        name: text(name),
        partitions: vec![*partition],
    };
    let request = AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: text("tx"),
        v3_and_below_producer_id: id,
        v3_and_below_producer_epoch: epoch,
        v3_and_below_topics: topics.iter().map(topic).collect(),
        ..Default::default()
    };
    let response = client.call(3, request).await;
    response
        .results_by_topic_v3_and_below
        .iter()
        .map(|topic| topic.results_by_partition[0].partition_error_code)
        .collect()
}

async fn end(
    client: &mut Client,
    version: i16,
    producer: (i64, i16),
    committed: bool,
) -> EndTxnResponse {
    let request = EndTxnRequest {
        transactional_id: text("tx"),
        producer_id: producer.0,
        producer_epoch: producer.1,
        committed,
    };
    client.call(version, request).await
}

async fn fetch_committed(client: &mut Client, topic: &Topic) -> PartitionData {
    let request = FetchRequest {
        isolation_level: 1,
        ..fetch_request(topic, 0)
    };
    only_partition(client.call(12, request).await)
}

/// The end of the log for readers of an isolation level.
async fn latest(client: &mut Client, topic: &Topic, isolation_level: i8) -> i64 {
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level,
        topics: vec![ListOffsetsTopic {
            name: topic.name.clone(),
            partitions: vec![ListOffsetsPartition {
                timestamp: -1,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    client.call(7, request).await.topics[0].partitions[0].offset
}

#[tokio::test]
async fn a_transaction_of_the_first_protocol_holds_readers_until_it_ends() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let producer = init(&mut client).await;
    let records = || transactional(producer, 0);
    let early = produce(&mut client, FIRST_PROTOCOL, &topic, records()).await;
    assert_eq!(early, ErrorCode::TransactionAbortable);
    let early = produce(&mut client, 9, &topic, records()).await;
    assert_eq!(early, ErrorCode::InvalidTxnState);
    assert_eq!(
        add(&mut client, &[("t", 0)], producer).await,
        [ErrorCode::None]
    );
    let written = produce(&mut client, FIRST_PROTOCOL, &topic, records()).await;
    assert_eq!(written, ErrorCode::None);
    let held = fetch_committed(&mut client, &topic).await;
    assert_eq!((held.high_watermark, held.last_stable_offset), (1, 0));
    assert!(held.records.is_none_or(|records| records.is_empty()));
    assert_eq!(latest(&mut client, &topic, 0).await, 1);
    assert_eq!(latest(&mut client, &topic, 1).await, 0);
    assert_eq!(
        end(&mut client, 3, producer, true).await.error_code,
        ErrorCode::None
    );
    let read = fetch_committed(&mut client, &topic).await;
    assert_eq!(read.last_stable_offset, 2);
    assert_eq!(read.aborted_transactions, Some(Vec::new()));
}

#[tokio::test]
async fn the_second_protocol_adds_by_writing_and_raises_the_epoch_at_each_end() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let producer = init(&mut client).await;
    let records = transactional(producer, 0);
    let written = produce(&mut client, SECOND_PROTOCOL, &topic, records.clone()).await;
    assert_eq!(written, ErrorCode::None);
    let ended = end(&mut client, 5, producer, false).await;
    assert_eq!(ended.error_code, ErrorCode::None);
    assert_eq!(
        (ended.producer_id, ended.producer_epoch),
        (producer.0, producer.1 + 1)
    );
    let late = produce(&mut client, SECOND_PROTOCOL, &topic, records).await;
    assert_eq!(late, ErrorCode::InvalidProducerEpoch);
    let read = fetch_committed(&mut client, &topic).await;
    let aborted = read.aborted_transactions.unwrap();
    assert_eq!(
        (aborted[0].producer_id, aborted[0].first_offset),
        (producer.0, 0)
    );
    assert_eq!(read.last_stable_offset, 2);
}

#[tokio::test]
async fn a_partition_that_does_not_exist_refuses_those_that_do() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let producer = init(&mut client).await;
    let added = add(&mut client, &[("t", 0), ("t", 5), ("none", 0)], producer).await;
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(added, [ErrorCode::OperationNotAttempted, unknown, unknown]);
    assert_eq!(
        end(&mut client, 3, producer, true).await.error_code,
        ErrorCode::InvalidTxnState
    );
}

#[tokio::test]
async fn a_fenced_producer_is_told_in_words_that_its_version_knows() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let old = init(&mut client).await;
    init(&mut client).await;
    for (version, code) in [
        (1, ErrorCode::InvalidProducerEpoch),
        (2, ErrorCode::ProducerFenced),
    ] {
        assert_eq!(end(&mut client, version, old, true).await.error_code, code);
    }
    assert_eq!(
        add(&mut client, &[("t", 0)], old).await,
        [ErrorCode::ProducerFenced]
    );
    let stranger = (old.0 + 9, 0);
    let added = add(&mut client, &[("t", 0)], stranger).await;
    assert_eq!(added, [ErrorCode::InvalidProducerIdMapping]);
}

#[tokio::test]
async fn a_transactional_batch_needs_a_transactional_id() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let producer = init(&mut client).await;
    let request = produce_request(&topic, Some(transactional(producer, 0)));
    let response = client.call(SECOND_PROTOCOL, request).await;
    let code = response.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ErrorCode::TransactionalIdAuthorizationFailed);
}

#[tokio::test]
async fn a_batch_without_a_transaction_is_taken_from_a_transactional_producer() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    let written = produce(&mut client, SECOND_PROTOCOL, &topic, batch(&["a"])).await;
    assert_eq!(written, ErrorCode::None);
}

#[tokio::test]
async fn a_timeout_above_the_limit_is_refused() {
    let server = Server::with(&[("transaction.max.timeout.ms", "1000")]).await;
    let mut client = server.connect().await;
    for (timeout, code) in [
        (1_000, ErrorCode::None),
        (1_001, ErrorCode::InvalidTransactionTimeout),
        (0, ErrorCode::InvalidTransactionTimeout),
    ] {
        let request = InitProducerIdRequest {
            transactional_id: Some(text("tx")),
            transaction_timeout_ms: timeout,
            ..Default::default()
        };
        assert_eq!(client.call(4, request).await.error_code, code, "{timeout}");
    }
}

#[tokio::test]
async fn the_group_and_transaction_protocols_are_finalized_features() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for (version, supported) in [(3, 0), (4, 2)] {
        let request = ApiVersionsRequest {
            client_software_name: text("test"),
            client_software_version: text("1"),
        };
        let answer = client.call(version, request).await;
        assert_eq!(answer.supported_features.len(), supported);
        let finalized: Vec<_> = answer
            .finalized_features
            .iter()
            .map(|feature| (&*feature.name, feature.max_version_level))
            .collect();
        assert_eq!(
            finalized,
            [("group.version", 1), ("transaction.version", 2)]
        );
    }
}

#[tokio::test]
async fn filters_that_mean_nothing_are_named_and_patterns_must_be_right() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    init(&mut client).await;
    let list = |state: &str, pattern: &str| ListTransactionsRequest {
        state_filters: vec![text(state)],
        transactional_id_pattern: Some(text(pattern)),
        ..Default::default()
    };
    let listed = client.call(2, list("Empty", "t.")).await;
    assert_eq!(&*listed.transaction_states[0].transactional_id, "tx");
    let listed = client.call(2, list("Empty", "t")).await;
    assert!(listed.transaction_states.is_empty());
    let listed = client.call(2, list("Asleep", "")).await;
    assert_eq!(&*listed.unknown_state_filters[0], "Asleep");
    assert!(listed.transaction_states.is_empty());
    let listed = client.call(2, list("Empty", "(")).await;
    assert_eq!(listed.error_code, ErrorCode::InvalidRegularExpression);
}
