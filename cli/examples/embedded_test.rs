//! How to test a service of your own that reads and writes events.
//!
//!   cargo run -p ottla --example embedded_test
//!
//! The broker is in memory and in the same process. With a paused clock, what waits for a minute
//! takes none.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use ottla_broker::Broker;
use ottla_client::config::AutoOffsetReset;
use ottla_client::{Client, Consumer, Event, Producer, ProducerRecord};

/// The service under test: it keeps a stock, and answers each order with what became of it.
struct Inventory {
    stock: BTreeMap<String, u32>,
    orders: Consumer,
    outcomes: Producer,
}

impl Inventory {
    /// A service takes a client, and does not care where the broker is.
    async fn new(client: &Client, stock: BTreeMap<String, u32>) -> Result<Self, Box<dyn Error>> {
        let orders = client.consumer("inventory").subscribe(["orders"]);
        let orders = orders.with(|config| config.auto_offset_reset(AutoOffsetReset::Earliest));
        Ok(Self {
            stock,
            orders: orders.build().await?,
            outcomes: client.producer().build().await?,
        })
    }

    async fn run(mut self) -> Result<(), Box<dyn Error>> {
        loop {
            let Event::Records(records) = self.orders.next_event().await? else {
                continue;
            };
            for record in &records {
                let item = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
                let left = self.stock.get_mut(&*item);
                let outcome = match left.and_then(|left| left.checked_sub(1).map(|n| *left = n)) {
                    Some(()) => "reserved",
                    None => "sold out",
                };
                let answer = ProducerRecord::new("outcomes").value(outcome);
                let key = record.key.clone().unwrap_or_default();
                self.outcomes.send(answer.key(key)).await?;
            }
            self.orders.ack(&records);
        }
    }
}

/// The test. Returns what the service answered, in the order of the orders.
///
/// # Errors
/// Whatever went wrong.
pub async fn the_last_item_is_sold_once() -> Result<Vec<String>, Box<dyn Error>> {
    let broker = Broker::builder().ephemeral().seed(7).start().await?;
    let client = Client::builder().in_process(broker.in_process()).seed(7);
    let client = client.connect().await?;
    // A service runs as long as it is polled: nothing of it is left when the test ends.
    let stock = BTreeMap::from([("lamp".to_owned(), 1)]);
    let service = Inventory::new(&client, stock).await?.run();
    let test = async {
        let producer = client.producer().build().await?;
        for order in ["first", "second"] {
            let order = ProducerRecord::new("orders").key(order).value("lamp");
            producer.send(order).await?;
        }
        let mut outcomes = client
            .reader()
            .with(|config| config.auto_offset_reset(AutoOffsetReset::Earliest))
            .assign([ottla_client::TopicPartition::new("outcomes", 0)])
            .build()
            .await?;
        let mut seen = Vec::new();
        while seen.len() < 2 {
            if let Event::Records(records) = outcomes.next_event().await? {
                let values = records.iter().filter_map(|record| record.value.as_deref());
                seen.extend(values.map(|value| String::from_utf8_lossy(value).into_owned()));
            }
        }
        Ok::<_, Box<dyn Error>>(seen)
    };
    // In the time of the test; a wall clock has no part in it.
    tokio::select! {
        ended = service => Err(format!("the service ended: {ended:?}").into()),
        seen = tokio::time::timeout(Duration::from_secs(60), test) => seen?,
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    let outcomes = the_last_item_is_sold_once().await?;
    assert_eq!(outcomes, ["reserved", "sold out"]);
    Ok(())
}
