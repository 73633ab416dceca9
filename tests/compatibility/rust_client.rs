//! The Rust consumer and Kafka's own in one group, whoever of them leads it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ottla_client::Client;
use ottla_client::config::{AssignmentStrategy, AutoOffsetReset, ConsumerConfig, GroupProtocol};
use ottla_client::consumer::{ConsumerHandle, Event};
use ottla_tests::client::JAVA;
use ottla_tests::{Broker, Deadline, Line, Program};

use crate::consumer_protocol::QUICK;
use crate::scenarios::{send, small, unique};

const PARTITIONS: usize = 4;

/// How the Rust member takes part.
#[derive(Clone, Copy)]
enum Protocol {
    Classic(AssignmentStrategy),
    /// KIP-848.
    Consumer,
}

/// A Rust consumer on a thread of its own. It leaves when this is dropped.
struct Member {
    seen: Arc<Mutex<Seen>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// A member, once there is one, and what it has read.
#[derive(Default)]
struct Seen {
    handle: Option<ConsumerHandle>,
    values: Vec<Vec<u8>>,
}

impl Member {
    fn start(broker: &Broker, group: &str, topic: &str, protocol: Protocol) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (group, topic) = (group.to_owned(), topic.to_owned());
        let (bootstrap, seen_there) = (broker.bootstrap().to_owned(), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let run = run(&bootstrap, group, topic, protocol, seen_there, stopped);
                run.await.expect("a consumer without errors");
            });
        });
        Self {
            seen,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// What it has now, as its handle says: no event tells that what was given back is gone.
    fn partitions(&self) -> BTreeSet<i32> {
        let seen = self.seen.lock().expect("the lock");
        let assignment = seen.handle.iter().flat_map(|handle| handle.assignment());
        assignment.map(|partition| partition.partition).collect()
    }

    fn read(&self) -> Vec<Vec<u8>> {
        self.seen.lock().expect("the lock").values.clone()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn run(
    bootstrap: &str,
    group: String,
    topic: String,
    protocol: Protocol,
    seen: Arc<Mutex<Seen>>,
    mut stopped: tokio::sync::oneshot::Receiver<()>,
) -> Result<(), ottla_client::Error> {
    let client = Client::builder()
        .bootstrap_servers(bootstrap)
        .connect()
        .await?;
    let settings = |config: ConsumerConfig| {
        let earliest = config.auto_offset_reset(AutoOffsetReset::Earliest);
        match protocol {
            Protocol::Classic(strategy) => earliest
                .heartbeat_interval(Duration::from_millis(500))
                .assignment_strategy([strategy]),
            Protocol::Consumer => earliest.group_protocol(GroupProtocol::Consumer),
        }
    };
    let consumer = client.consumer(group).with(settings).subscribe([topic]);
    let mut consumer = consumer.build().await?;
    seen.lock().expect("the lock").handle = Some(consumer.handle());
    loop {
        let event = tokio::select! {
            _ = &mut stopped => break,
            event = consumer.next_event() => event?,
        };
        if let Event::Records(records) = &event {
            let values = records.iter().map(|record| record.value.as_deref());
            let values = values.map(|value| value.unwrap_or_default().to_vec());
            seen.lock().expect("the lock").values.extend(values);
            consumer.ack(records);
        }
    }
    consumer.close(Duration::from_secs(30)).await
}

/// Waits until the two together have all partitions, each of them half.
fn settle(java: &mut Program, rust: &Member) {
    let mut of_java = BTreeSet::new();
    let settled = Deadline::generous().poll(|| {
        while let Some(line) = java.try_next() {
            if let Line::Assignment(assignment) = line {
                of_java = assignment.into_iter().collect();
            }
        }
        let of_rust = rust.partitions();
        let half = of_java.len() == PARTITIONS / 2 && of_rust.len() == PARTITIONS / 2;
        (half && of_java.is_disjoint(&of_rust)).then_some(())
    });
    assert!(
        settled.is_some(),
        "java has {of_java:?}, rust {:?}",
        rust.partitions()
    );
}

fn with_strategy(strategy: AssignmentStrategy, java_name: &str) {
    let assignor = format!(
        "partition.assignment.strategy=org.apache.kafka.clients.consumer.{java_name}Assignor"
    );
    with_java(Protocol::Classic(strategy), &assignor);
}

/// One group of a Rust member and one of Java with this setting, whoever comes first.
fn with_java(protocol: Protocol, java_setting: &str) {
    if !JAVA.is_here() {
        return;
    }
    let broker = Broker::start_own(QUICK);
    let set = ["--set", java_setting];
    for java_leads in [true, false] {
        let topic = unique(&JAVA, "with-rust");
        let group = format!("{topic}-group");
        JAVA.create_topic(&broker, &topic, 4);
        let start_rust = || Member::start(&broker, &group, &topic, protocol);
        // Who comes first leads a classic group as long as it stays.
        let (mut java, rust) = if java_leads {
            let mut java = JAVA.member(&broker, &group, &topic, &set);
            java.wait_for("it has all", |line| match line {
                Line::Assignment(all) if all.len() == PARTITIONS => Some(()),
                _ => None,
            });
            (java, start_rust())
        } else {
            let rust = start_rust();
            let all = Deadline::generous().poll(|| (rust.partitions().len() == 4).then_some(()));
            assert!(all.is_some(), "the rust member has {:?}", rust.partitions());
            (JAVA.member(&broker, &group, &topic, &set), rust)
        };
        settle(&mut java, &rust);

        let records = small(&topic, 0, 40);
        send(&mut JAVA.producer(&broker, &topic, "lz4"), 0, &records);
        let mut of_java = 0;
        let all = Deadline::generous().poll(|| {
            while let Some(line) = java.try_next() {
                of_java += usize::from(matches!(line, Line::Record(_)));
            }
            (of_java + rust.read().len() >= 40).then_some(())
        });
        let of_rust = rust.read().len();
        assert!(all.is_some(), "java has read {of_java}, rust {of_rust}");
        assert!(of_java > 0 && of_rust > 0 && of_java + of_rust == 40);

        // When the one leaves, the other goes on with everything, from where both had got to.
        java.finish();
        let all = Deadline::generous().poll(|| (rust.partitions().len() == 4).then_some(()));
        assert!(all.is_some(), "the rust member has {:?}", rust.partitions());
        let more = small(&topic, 40, 40);
        send(&mut JAVA.producer(&broker, &topic, "none"), 40, &more);
        Deadline::generous().poll(|| (rust.read().len() >= of_rust + 40).then_some(()));
        assert_eq!(rust.read().len(), of_rust + 40);
    }
}

#[test]
fn range_divides_a_group_of_rust_and_java() {
    with_strategy(AssignmentStrategy::Range, "Range");
}

#[test]
fn round_robin_divides_a_group_of_rust_and_java() {
    with_strategy(AssignmentStrategy::RoundRobin, "RoundRobin");
}

#[test]
fn sticky_divides_a_group_of_rust_and_java() {
    with_strategy(AssignmentStrategy::Sticky, "Sticky");
}

#[test]
fn cooperative_sticky_divides_a_group_of_rust_and_java() {
    with_strategy(AssignmentStrategy::CooperativeSticky, "CooperativeSticky");
}

#[test]
fn the_broker_divides_a_group_of_rust_and_java() {
    with_java(Protocol::Consumer, "group.protocol=consumer");
}

/// While a group moves from the classic protocol to the new one, whoever moves first.
#[test]
fn a_group_has_members_of_both_protocols_in_rust_and_java() {
    with_java(
        Protocol::Consumer,
        "partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
    );
    with_java(
        Protocol::Classic(AssignmentStrategy::CooperativeSticky),
        "group.protocol=consumer",
    );
}
