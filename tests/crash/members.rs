//! Members of groups that read along with a load, each the only one of its group, and commit now and then.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use ottla_client::config::{AutoOffsetReset, ConsumerConfig};
use ottla_client::consumer::{Consumer, Event, Record as RustRecord};
use ottla_client::{Client as RustClient, Error};
use ottla_tests::record::Bytes;
use ottla_tests::{Broker, Client, Consumed, Deadline, Line, Program, Record};
use tokio::runtime::Runtime;

use crate::load::Ledger;

/// A member that goes on when the broker is gone.
trait Reads {
    /// What it has read, without waiting.
    fn try_next(&mut self) -> Option<Consumed>;
    /// What it reads next.
    fn next(&mut self, deadline: Deadline) -> Consumed;
    /// Leaves the group.
    fn finish(self: Box<Self>);
}

/// A client in a process of its own.
struct Foreign(Program);

impl Reads for Foreign {
    fn try_next(&mut self) -> Option<Consumed> {
        loop {
            if let Line::Record(record) = self.0.try_next()? {
                return Some(record);
            }
        }
    }

    fn next(&mut self, deadline: Deadline) -> Consumed {
        loop {
            match self.0.next(deadline) {
                Some(Line::Record(record)) => return record,
                Some(_) => {}
                None => panic!("a member ended"),
            }
        }
    }

    fn finish(mut self: Box<Self>) {
        self.0.finish();
    }
}

/// The Rust client's consumer in this process.
struct Native {
    runtime: Runtime,
    read: Receiver<Result<Consumed, Error>>,
}

impl Native {
    fn join(broker: &Broker, group: &str, topic: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let settings = |config: ConsumerConfig| {
            config
                .auto_offset_reset(AutoOffsetReset::Earliest)
                .enable_auto_commit(true)
                .auto_commit_interval(Duration::from_millis(100))
        };
        let consumer = runtime.block_on(async {
            let client = RustClient::builder()
                .bootstrap_servers(broker.bootstrap())
                .properties([("reconnect.backoff.max.ms", "500")])
                .expect("settings");
            let client = client.connect().await.expect("a connection");
            let consumer = client.consumer(group).with(settings);
            consumer.subscribe([topic]).build().await
        });
        let (told, read) = channel();
        runtime.spawn(consume(consumer.expect("a consumer"), told));
        Self { runtime, read }
    }
}

async fn consume(mut consumer: Consumer, told: Sender<Result<Consumed, Error>>) {
    loop {
        match consumer.next_event().await {
            Ok(Event::Records(records)) => {
                let partition = records.partition().partition;
                for record in records.iter() {
                    // The test may be over.
                    let _ = told.send(Ok(consumed(partition, record)));
                }
                consumer.ack(&records);
            }
            Ok(Event::Revoking(revoking)) => revoking.done(),
            Ok(_) => {}
            Err(error) => {
                let _ = told.send(Err(error));
                return;
            }
        }
    }
}

impl Reads for Native {
    fn try_next(&mut self) -> Option<Consumed> {
        let read = self.read.try_recv().ok()?;
        Some(read.unwrap_or_else(|error| panic!("the Rust consumer: {error}")))
    }

    fn next(&mut self, deadline: Deadline) -> Consumed {
        let read = self.read.recv_timeout(deadline.left());
        let read = read.expect("the Rust consumer reads more");
        read.unwrap_or_else(|error| panic!("the Rust consumer: {error}"))
    }

    fn finish(self: Box<Self>) {
        self.runtime.shutdown_background();
    }
}

fn consumed(partition: i32, record: &RustRecord) -> Consumed {
    let bytes = |bytes: Option<&[u8]>| Bytes(bytes.map(<[u8]>::to_vec));
    let headers = record
        .headers()
        .map(|header| (header.key.to_string(), bytes(header.value.as_deref())));
    Consumed {
        offset: record.offset,
        record: Record {
            partition,
            key: bytes(record.key.as_deref()),
            value: bytes(record.value.as_deref()),
            headers: headers.collect(),
            timestamp: record.timestamp,
        },
    }
}

/// A group of one, which commits now and then.
pub(crate) struct Member {
    pub(crate) topic: &'static str,
    source: Box<dyn Reads>,
    read: Vec<Consumed>,
}

impl Member {
    pub(crate) fn join(client: &Client, broker: &Broker, topic: &'static str) -> Self {
        let settings = [
            "--set",
            "enable.auto.commit=true",
            "--set",
            "auto.commit.interval.ms=100",
        ];
        let mut program = client.member(broker, &group_of(topic), topic, &settings);
        program.wait_for("it was given its partitions", |line| match line {
            Line::Assignment(assignment) => (!assignment.is_empty()).then_some(()),
            _ => None,
        });
        Self::with(Box::new(Foreign(program)), topic)
    }

    /// With the Rust client.
    pub(crate) fn join_native(broker: &Broker, topic: &'static str) -> Self {
        let native = Native::join(broker, &group_of(topic), topic);
        Self::with(Box::new(native), topic)
    }

    fn with(source: Box<dyn Reads>, topic: &'static str) -> Self {
        Self {
            topic,
            source,
            read: Vec::new(),
        }
    }

    /// Takes what it has read by now.
    pub(crate) fn look(&mut self) {
        while let Some(record) = self.source.try_next() {
            self.read.push(record);
        }
    }

    /// Waits until it has read all of the ledger, and holds it against it.
    pub(crate) fn check(mut self, ledger: &Ledger) {
        let is_last = |read: &[Consumed]| {
            let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
            for record in read {
                let end = ends.entry(record.record.partition).or_default();
                *end = (record.offset + 1).max(*end);
            }
            usize::try_from(ends.values().sum::<i64>()) == Ok(ledger.len())
        };
        let deadline = Deadline::generous();
        while !is_last(&self.read) {
            self.read.push(self.source.next(deadline));
        }
        self.source.finish();
        ledger.check(&self.read, false);
    }
}

fn group_of(topic: &str) -> String {
    format!("group-of-{topic}")
}
