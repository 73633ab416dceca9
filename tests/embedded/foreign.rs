//! A client in another language in the same test.

use ottla_broker::Broker;
use ottla_client::config::AutoOffsetReset;
use ottla_client::consumer::Record;
use ottla_client::{Client, Event, ProducerRecord, TopicPartition};
use ottla_tests::Shape;
use ottla_tests::client::JAVA;
use ottla_tests::record::Bytes;

const TOPIC: &str = "orders";

/// The first `count` values of the topic.
async fn read(client: &Client, count: usize) -> Vec<Bytes> {
    let reader = client
        .reader()
        .with(|config| config.auto_offset_reset(AutoOffsetReset::Earliest))
        .assign([TopicPartition::new(TOPIC, 0)]);
    let mut reader = reader.build().await.unwrap();
    let mut values = Vec::new();
    while values.len() < count {
        if let Event::Records(records) = reader.next_event().await.unwrap() {
            let value = |record: &Record| Bytes(record.value.as_ref().map(|value| value.to_vec()));
            values.extend(records.iter().map(value));
        }
    }
    values
}

#[test]
fn a_java_client_joins_a_test_whose_own_client_has_no_socket() {
    if !JAVA.is_here() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let builder = Broker::builder().ephemeral().listen("127.0.0.1:0");
    let broker = runtime.block_on(builder.start()).unwrap();
    let address = broker.local_addr().unwrap().to_string();
    let over_tcp = ottla_tests::Broker::at(&address);
    let client = Client::builder().in_process(broker.in_process()).connect();
    let client = runtime.block_on(client).unwrap();

    let records = Shape::PLAIN.records(TOPIC, 7);
    JAVA.create_topic(&over_tcp, TOPIC, 1);
    JAVA.produce(&over_tcp, TOPIC, "lz4", &records);
    let written: Vec<_> = records.iter().map(|record| record.value.clone()).collect();
    let seen = runtime.block_on(read(&client, records.len()));
    assert!(seen == written, "{seen:?}");

    runtime.block_on(async {
        let producer = client.producer().build().await.unwrap();
        let record = ProducerRecord::new(TOPIC).value("from Rust");
        producer.send(record).await.unwrap();
    });
    let consumed = JAVA.consume(&over_tcp, TOPIC, records.len() + 1);
    let last = consumed.last().unwrap();
    assert_eq!(last.record.value.0.as_deref(), Some(&b"from Rust"[..]));
}
