//! Orders as events: one program writes them, and each group of services reads each of them once.
//!
//!   cargo run -p ottla-client --example orders -- 127.0.0.1:9092 create order-12345
//!   cargo run -p ottla-client --example orders -- 127.0.0.1:9092 watch inventory-service
//!
//! Clients in other languages read and write the same topic: see `OrderProducer` and
//! `OrderConsumer` in the tests, for Java.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use ottla_client::config::AutoOffsetReset;
use ottla_client::{Client, Error, Event, ProducerRecord, RecordMetadata};

const TOPIC: &str = "order-events";

/// Writes an order, and returns when it is safe.
///
/// # Errors
/// As [`ottla_client::Producer::send`].
pub async fn create(client: &Client, order: &str) -> Result<RecordMetadata, Error> {
    let event = format!("{{\"event\":\"ORDER_CREATED\",\"orderId\":\"{order}\"}}");
    let record = ProducerRecord::new(TOPIC)
        .key(order.to_owned())
        .value(event);
    client.producer().build().await?.send(record).await
}

/// Calls `each` with the key and value of the orders that `group` has not seen, until it returns
/// false.
///
/// # Errors
/// As [`ottla_client::Consumer::next_event`].
pub async fn watch(
    client: &Client,
    group: &str,
    mut each: impl FnMut(&str, &str) -> bool,
) -> Result<(), Error> {
    let mut consumer = client
        .consumer(group)
        .with(|config| {
            config
                .auto_offset_reset(AutoOffsetReset::Earliest)
                .enable_auto_commit(false)
        })
        .subscribe([TOPIC])
        .build()
        .await?;
    loop {
        let Event::Records(records) = consumer.next_event().await? else {
            continue;
        };
        for record in &records {
            let text = |bytes: &Option<bytes::Bytes>| {
                String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned()
            };
            let wants_more = each(&text(&record.key), &text(&record.value));
            // Committed one by one: an order that was dealt with does not come again.
            consumer.ack_before(&records, record.offset + 1);
            consumer.commit().await?;
            if !wants_more {
                return consumer.close(std::time::Duration::from_secs(10)).await;
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, command, name] = arguments.as_slice() else {
        return Err("usage: orders HOST:PORT create ORDER | watch GROUP".into());
    };
    let client = Client::builder().bootstrap_servers(bootstrap.as_str());
    let client = client.connect().await?;
    match command.as_str() {
        "create" => {
            let written = create(&client, name).await?;
            println!("{name} is in partition {}", written.partition);
        }
        _ => {
            let print = |key: &str, value: &str| {
                println!("{key} {value}");
                true
            };
            watch(&client, name, print).await?;
        }
    }
    Ok(())
}
