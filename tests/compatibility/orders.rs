//! The worked example in Rust and in Java, on one topic and in one group.

use ottla_client::Client;
use ottla_tests::client::JAVA;
use ottla_tests::{Broker, Line, Program};

#[path = "../../client/examples/orders.rs"]
#[allow(dead_code, reason = "an example has a main of its own")]
mod example;

fn java(broker: &Broker, class: &str, arguments: &[&str]) -> Program {
    let mut command = JAVA.command();
    command.arg(format!("ottla.compatibility.{class}"));
    command.arg(broker.bootstrap()).args(arguments);
    Program::start(class, command)
}

fn event(order: &str) -> String {
    format!(r#"{order} {{"event":"ORDER_CREATED","orderId":"{order}"}}"#)
}

/// The orders that `group` has not seen, as the Rust example prints them.
async fn watch(client: &Client, group: &str, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let each = |order: &str, event: &str| {
        seen.push(format!("{order} {event}"));
        seen.len() < count
    };
    example::watch(client, group, each).await.unwrap();
    seen
}

#[test]
fn orders_written_in_one_language_are_read_in_the_other_once_by_each_group() {
    if !JAVA.is_here() {
        return;
    }
    // The example's names are fixed: a broker of its own, whatever OTTLA_BOOTSTRAP says.
    let broker = Broker::start_own(&[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = Client::builder().bootstrap_servers(broker.bootstrap());
    let client = runtime.block_on(client.connect()).unwrap();

    java(&broker, "OrderProducer", &["from-java", "lz4"]).finish();
    let seen = runtime.block_on(watch(&client, "inventory-service", 1));
    assert_eq!(seen, [event("from-java")]);

    // The group goes on in Java where it stopped in Rust.
    runtime
        .block_on(example::create(&client, "from-rust"))
        .unwrap();
    let mut inventory = java(&broker, "OrderConsumer", &["inventory-service"]);
    let printed = inventory.wait_for("it printed an order", |line| match line {
        Line::Text(text) => Some(text),
        _ => None,
    });
    assert_eq!(printed, event("from-rust"));
    inventory.terminate();

    let all = runtime.block_on(watch(&client, "email-service", 2));
    assert_eq!(all, [event("from-java"), event("from-rust")]);
}
