//! A broker, a producer and a member of a group, in one process.
//!
//!   cargo run -p ottla --example quickstart
//!
//! The broker listens too: while it runs, any Kafka client can join.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use ottla_broker::Broker;
use ottla_client::{Client, Event, ProducerRecord};

/// Writes three orders and returns them as a consumer of the group `inventory-service` reads them.
///
/// # Errors
/// Whatever went wrong.
pub async fn run() -> Result<Vec<String>, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let broker = Broker::builder()
        .data_dir(directory.path())
        .listen("127.0.0.1:0")
        .start()
        .await?;
    let address = broker.local_addr().ok_or("the broker listens")?;

    let client = Client::builder().bootstrap_servers(address.to_string());
    let client = client.connect().await?;
    let producer = client.producer().build().await?;
    for order in ["order-1", "order-2", "order-3"] {
        let event = format!("{{\"event\":\"ORDER_CREATED\",\"orderId\":\"{order}\"}}");
        let record = ProducerRecord::new("order-events").key(order).value(event);
        // It is on disk when this returns.
        producer.send(record).await?;
    }

    let mut consumer = client
        .consumer("inventory-service")
        .with(|config| config.auto_offset_reset(ottla_client::config::AutoOffsetReset::Earliest))
        .subscribe(["order-events"])
        .build()
        .await?;
    let mut orders = Vec::new();
    while orders.len() < 3 {
        if let Event::Records(records) = consumer.next_event().await? {
            for record in &records {
                let key = record.key.as_deref().unwrap_or_default();
                orders.push(String::from_utf8_lossy(key).into_owned());
            }
            consumer.ack(&records);
        }
    }
    consumer.commit().await?;
    broker.shutdown().await?;
    Ok(orders)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for order in run().await? {
        println!("{order}");
    }
    Ok(())
}
