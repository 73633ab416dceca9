//! The examples do what they say. They are compiled into this program as they are.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    dead_code,
    reason = "examples have a main of their own, and tests panic"
)]

use ottla_broker::Broker;
use ottla_client::Client;

#[path = "../../client/examples/back_pressure.rs"]
mod back_pressure;
#[path = "../../cli/examples/embedded_test.rs"]
mod embedded_test;
#[path = "../../client/examples/orders.rs"]
mod orders;
#[path = "../../cli/examples/quickstart.rs"]
mod quickstart;

async fn ephemeral() -> (Broker, Client) {
    let broker = Broker::builder().ephemeral().start().await.unwrap();
    let client = Client::builder().in_process(broker.in_process());
    let client = client.connect().await.unwrap();
    (broker, client)
}

#[tokio::test]
async fn quickstart_reads_what_it_wrote() {
    let orders = quickstart::run().await.unwrap();
    assert_eq!(orders, ["order-1", "order-2", "order-3"]);
}

#[tokio::test(start_paused = true)]
async fn a_user_tests_a_service() {
    let outcomes = embedded_test::the_last_item_is_sold_once().await.unwrap();
    assert_eq!(outcomes, ["reserved", "sold out"]);
}

#[tokio::test]
async fn each_group_sees_each_order_once() {
    let (_broker, client) = ephemeral().await;
    orders::create(&client, "order-1").await.unwrap();
    let watch = async |group: &str, count: usize| {
        let mut seen = Vec::new();
        let each = |order: &str, _: &str| {
            seen.push(order.to_owned());
            seen.len() < count
        };
        orders::watch(&client, group, each).await.unwrap();
        seen
    };
    assert_eq!(watch("inventory-service", 1).await, ["order-1"]);
    orders::create(&client, "order-2").await.unwrap();
    assert_eq!(watch("inventory-service", 1).await, ["order-2"]);
    assert_eq!(watch("email-service", 2).await, ["order-1", "order-2"]);
}

#[tokio::test]
async fn a_slow_handler_slows_the_reading_and_loses_nothing() {
    let (_broker, client) = ephemeral().await;
    let seen = back_pressure::run(&client, "numbers", 600).await.unwrap();
    assert_eq!(seen.read, 600);
    assert!(
        seen.refused > 0 && seen.largest <= 50 && !seen.lost,
        "{seen:?}"
    );
}
