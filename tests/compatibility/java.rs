//! What only Apache Kafka's own client can do, and the worked example of the README.

use std::collections::BTreeSet;

use ottla_tests::client::{JAVA, settle};
use ottla_tests::{Broker, Line, Log, Program};

use crate::scenarios::{send, small, unique};

const ORDER: &str = "ottla.compatibility.OrderProducer";
const INVENTORY: &str = "ottla.compatibility.OrderConsumer";

fn start(broker: &Broker, class: &str, arguments: &[&str]) -> Program {
    let mut command = JAVA.command();
    command.args([class, broker.bootstrap()]).args(arguments);
    Program::start(class, command)
}

fn printed(consumer: &mut Program) -> String {
    consumer.wait_for("it printed an order", |line| match line {
        Line::Text(text) => Some(text),
        _ => None,
    })
}

#[test]
fn each_group_sees_each_order_once() {
    if !JAVA.is_here() {
        return;
    }
    // The example's names are fixed: a broker of its own, whatever OTTLA_BOOTSTRAP says.
    let broker = Broker::start_own(&[]);
    let first = r#"order-12345 {"event":"ORDER_CREATED","orderId":"order-12345"}"#;
    let second = r#"order-12346 {"event":"ORDER_CREATED","orderId":"order-12346"}"#;

    start(&broker, ORDER, &[]).finish();
    let mut inventory = start(&broker, INVENTORY, &["inventory-service"]);
    assert_eq!(printed(&mut inventory), first);
    inventory.terminate();

    start(&broker, ORDER, &["order-12345", "snappy"]).finish();
    let mut inventory = start(&broker, INVENTORY, &["inventory-service"]);
    assert_eq!(printed(&mut inventory), first, "of the second run");
    inventory.terminate();

    start(&broker, ORDER, &["order-12346"]).finish();
    let mut inventory = start(&broker, INVENTORY, &["inventory-service"]);
    assert_eq!(
        printed(&mut inventory),
        second,
        "neither of the first two comes again"
    );

    let mut email = start(&broker, INVENTORY, &["email-service"]);
    assert_eq!(
        [(); 3].map(|()| printed(&mut email)),
        [first, first, second]
    );
}

#[test]
fn a_cooperative_member_keeps_what_it_need_not_give_away() {
    if !JAVA.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(&JAVA, "cooperative");
    let group = format!("{topic}-group");
    let cooperative = [
        "--set",
        "partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
    ];
    JAVA.create_topic(&broker, &topic, 4);
    let mut producer = JAVA.producer(&broker, &topic, "none");
    let records = small(&topic, 0, 80);
    send(&mut producer, 0, &records[..40]);

    let mut first = JAVA.member(&broker, &group, &topic, &cooperative);
    let mut read = first.records(40);
    let mut second = JAVA.member(&broker, &group, &topic, &cooperative);
    let revoked = first.wait_for("it gave partitions back", |line| match line {
        Line::Revoked(revoked) => Some(BTreeSet::from_iter(revoked)),
        _ => None,
    });
    assert_eq!(revoked.len(), 2, "partitions given back: {revoked:?}");
    let held = settle(&mut [&mut first, &mut second], 4);
    assert_eq!(BTreeSet::from_iter(held[1].iter().copied()), revoked);

    send(&mut producer, 40, &records[40..]);
    read.extend(first.records(20));
    read.extend(second.records(20));
    Log::of(&records).expect("a cooperative group", &read);
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    if !JAVA.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(&JAVA, "static");
    let group = format!("{topic}-group");
    JAVA.create_topic(&broker, &topic, 4);
    let mut first = JAVA.member(&broker, &group, &topic, &["--set", "group.instance.id=one"]);
    let mut second = JAVA.member(&broker, &group, &topic, &["--set", "group.instance.id=two"]);
    let held = settle(&mut [&mut first, &mut second], 4);

    // Closing does not make a static member leave.
    second.finish();
    let mut second = JAVA.member(&broker, &group, &topic, &["--set", "group.instance.id=two"]);
    let again = second.wait_for("it holds partitions", |line| match line {
        Line::Assignment(assignment) => Some(assignment),
        _ => None,
    });
    assert_eq!(again, held[1]);

    let records = small(&topic, 0, 40);
    send(&mut JAVA.producer(&broker, &topic, "none"), 0, &records);
    let mut read = second.records(20);
    for _ in 0..20 {
        read.push(first.wait_for("it read on", |line| match line {
            Line::Record(record) => Some(record),
            Line::Revoked(_) | Line::Assignment(_) => panic!("the first member was rebalanced"),
            _ => None,
        }));
    }
    Log::of(&records).expect("a static group", &read);
}

#[test]
fn partitions_of_a_member_that_was_killed_are_taken_over() {
    if !JAVA.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(&JAVA, "killed");
    let group = format!("{topic}-group");
    JAVA.create_topic(&broker, &topic, 4);
    let short = ["--set", "session.timeout.ms=6000"];
    let mut first = JAVA.member(&broker, &group, &topic, &short);
    let mut second = JAVA.member(&broker, &group, &topic, &short);
    settle(&mut [&mut first, &mut second], 4);
    second.kill();
    settle(&mut [&mut first], 4);
}
