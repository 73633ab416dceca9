//! Reading transactions, written without a producer.

use ottla_client::config::{ConsumerConfig, IsolationLevel};
use ottla_client::consumer::Consumer;
use ottla_protocol::message::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, EndTxnRequest, InitProducerIdRequest,
    PartitionProduceData, ProduceRequest, RequestMessage, TopicProduceData,
};
use ottla_protocol::record::{BatchBuilder, BatchOptions, ProducerIdentity};
use ottla_protocol::service::{Connection, Service as _};
use ottla_protocol::{ErrorCode, StrBytes};

use super::{TOPIC, World, event, partitions, records, value};

/// A transactional producer of one partition, by the first protocol of transactions.
struct Writer {
    connection: Box<dyn Connection>,
    id: StrBytes,
    producer_id: i64,
    producer_epoch: i16,
    sequence: i32,
}

impl Writer {
    async fn new(world: &World, id: &str) -> Self {
        let mut writer = Self {
            connection: world.broker.in_process().connect().unwrap(),
            id: id.into(),
            producer_id: -1,
            producer_epoch: -1,
            sequence: 0,
        };
        let request = InitProducerIdRequest {
            transactional_id: Some(writer.id.clone()),
            transaction_timeout_ms: 60_000,
            ..InitProducerIdRequest::default()
        };
        let response = writer.call(request, 4).await;
        assert_eq!(response.error_code, ErrorCode::None);
        (writer.producer_id, writer.producer_epoch) =
            (response.producer_id, response.producer_epoch);
        writer
    }

    async fn call<R: RequestMessage>(&self, request: R, version: i16) -> R::Response {
        let client_id = StrBytes::from_static("writer");
        let answer = self.connection.call(request.into(), version, &client_id);
        let response = answer.await.unwrap().expect("an answer");
        R::Response::try_from(response).unwrap_or_else(|_| panic!("an answer of another API"))
    }

    async fn write(&mut self, value: usize) {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.clone(),
            v3_and_below_producer_id: self.producer_id,
            v3_and_below_producer_epoch: self.producer_epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: TOPIC.into(),
                partitions: vec![0],
            }],
            ..AddPartitionsToTxnRequest::default()
        };
        let added = self.call(request, 3).await;
        let added = &added.results_by_topic_v3_and_below[0].results_by_partition[0];
        assert_eq!(added.partition_error_code, ErrorCode::None);
        let options = BatchOptions {
            producer: ProducerIdentity {
                producer_id: self.producer_id,
                producer_epoch: self.producer_epoch,
                base_sequence: self.sequence,
            },
            transactional: true,
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::new(options).unwrap();
        let text = value.to_string();
        builder.append(0, None, Some(text.as_bytes()), &[]).unwrap();
        self.sequence += 1;
        let request = ProduceRequest {
            transactional_id: Some(self.id.clone()),
            acks: -1,
            timeout_ms: 1000,
            topic_data: vec![TopicProduceData {
                name: TOPIC.into(),
                partition_data: vec![PartitionProduceData {
                    index: 0,
                    records: Some(builder.build().unwrap()),
                }],
                ..TopicProduceData::default()
            }],
        };
        let written = self.call(request, 9).await;
        let written = &written.responses[0].partition_responses[0];
        assert_eq!(written.error_code, ErrorCode::None);
    }

    async fn end(&self, committed: bool) {
        let request = EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            committed,
        };
        assert_eq!(self.call(request, 3).await.error_code, ErrorCode::None);
    }
}

async fn reader(world: &World, level: IsolationLevel) -> Consumer {
    let settings = |config: ConsumerConfig| super::earliest(config).isolation_level(level);
    let reader = world.client.reader().with(settings);
    reader.assign(partitions([0])).build().await.unwrap()
}

async fn read(consumer: &mut Consumer, count: usize) -> Vec<usize> {
    let mut values = Vec::new();
    while values.len() < count {
        values.extend(records(consumer).await.iter().map(value));
    }
    values
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_committed_records_sees_no_aborted_and_no_open_transaction() {
    let world = World::new(1).await;
    let (mut first, mut second) = (
        Writer::new(&world, "a").await,
        Writer::new(&world, "b").await,
    );
    first.write(0).await;
    second.write(1).await;
    first.write(2).await;
    world.produce(0, 3..4).await;
    first.end(false).await;
    second.end(true).await;
    let open = Writer::new(&world, "c").await;
    let mut open = open;
    open.write(4).await;
    world.produce(0, 5..6).await;

    let mut all = reader(&world, IsolationLevel::ReadUncommitted).await;
    assert_eq!(read(&mut all, 6).await, [0, 1, 2, 3, 4, 5]);
    let mut committed = reader(&world, IsolationLevel::ReadCommitted).await;
    assert_eq!(read(&mut committed, 2).await, [1, 3]);
    // The lag is up to what is decided: the markers are behind it, the open transaction ahead.
    let partition = &partitions([0])[0];
    let waited = tokio::time::timeout(super::seconds(5), event(&mut committed)).await;
    assert!(waited.is_err(), "{waited:?}");
    assert_eq!(committed.lag(partition), Some(0));
    assert!(all.lag(partition).is_some());
    open.end(true).await;
    assert_eq!(read(&mut committed, 2).await, [4, 5]);
}
