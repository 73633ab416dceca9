//! Producers with a ledger of what was acknowledged.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};

use ottla_client::producer::Producer;
use ottla_client::{Client as RustClient, Header, ProducerRecord};
use ottla_tests::client::JAVA;
use ottla_tests::deadline::now_ms;
use ottla_tests::program::Ack;
use ottla_tests::record::Numbered;
use ottla_tests::{Broker, Client, Consumed, Deadline, Line, Program, Record, Shape};
use tokio::runtime::Runtime;

const PARTITIONS: i32 = 4;

/// A producer that goes on when the broker is gone.
pub(crate) trait Produces {
    fn send(&mut self, index: u64, record: &Record);
    /// Waits for `count` more acknowledgements.
    fn acks(&mut self, count: usize) -> Vec<Ack>;
    /// Sends what is queued and answers the rest.
    fn finish(&mut self, left: usize) -> Vec<Ack>;
}

/// A foreign client in a process of its own.
pub(crate) struct Foreign(Program);

impl Foreign {
    pub(crate) fn start(client: &'static Client, broker: &Broker, topic: &str) -> Box<Self> {
        client.create_topic(broker, topic, PARTITIONS);
        Box::new(Self(client.producer(broker, topic, "lz4")))
    }
}

impl Produces for Foreign {
    fn send(&mut self, index: u64, record: &Record) {
        self.0.send(&Numbered { index, record });
    }

    fn acks(&mut self, count: usize) -> Vec<Ack> {
        self.0.acks(count)
    }

    fn finish(&mut self, _left: usize) -> Vec<Ack> {
        let rest = self.0.finish().into_iter();
        rest.filter_map(|line| match line {
            Line::Ack(ack) => Some(ack),
            _ => None,
        })
        .collect()
    }
}

/// The Rust client in this process.
pub(crate) struct Native {
    runtime: Runtime,
    producer: Producer,
    topic: String,
    told: Sender<Result<Ack, String>>,
    outcomes: Receiver<Result<Ack, String>>,
}

impl Native {
    pub(crate) fn start(broker: &Broker, topic: &str) -> Box<Self> {
        JAVA.create_topic(broker, topic, PARTITIONS);
        let runtime = Runtime::new().expect("a runtime");
        let producer = runtime.block_on(async {
            let settings = [
                ("delivery.timeout.ms", "600000"),
                ("max.block.ms", "600000"),
                ("reconnect.backoff.max.ms", "500"),
            ];
            let client = RustClient::builder()
                .bootstrap_servers(broker.bootstrap())
                .properties(settings)
                .expect("settings");
            let client = client.connect().await.expect("a connection");
            client.producer().build().await.expect("a producer")
        });
        let (told, outcomes) = channel();
        Box::new(Self {
            runtime,
            producer,
            topic: topic.to_owned(),
            told,
            outcomes,
        })
    }

    fn next(&self) -> Ack {
        let outcome = self.outcomes.recv_timeout(Deadline::generous().left());
        let outcome = outcome.expect("the Rust producer says more");
        outcome.unwrap_or_else(|error| panic!("the Rust producer: {error}"))
    }
}

impl Produces for Native {
    fn send(&mut self, index: u64, record: &Record) {
        let mut sent = ProducerRecord::new(self.topic.as_str())
            .partition(record.partition)
            .timestamp(record.timestamp);
        sent.key = record.key.0.clone().map(Into::into);
        sent.value = record.value.0.clone().map(Into::into);
        for (name, value) in &record.headers {
            let value = value.0.clone().expect("a header with a value");
            sent.headers.push(Header::new(name.as_str(), value));
        }
        let told = self.told.clone();
        let delivery = self.runtime.block_on(self.producer.enqueue(sent));
        let delivery = delivery.expect("room in the buffer");
        self.runtime.spawn(async move {
            let outcome = delivery.await.map_err(|error| error.to_string());
            // The test may be over.
            let _ = told.send(outcome.map(|written| Ack {
                index,
                partition: written.partition,
                offset: written.offset.expect("an offset"),
            }));
        });
    }

    fn acks(&mut self, count: usize) -> Vec<Ack> {
        (0..count).map(|_| self.next()).collect()
    }

    fn finish(&mut self, left: usize) -> Vec<Ack> {
        self.acks(left)
    }
}

/// A producer with its ledger: what it was told to send, and at which offset the broker says that it is.
pub(crate) struct Load {
    name: &'static str,
    shape: Shape,
    producer: Box<dyn Produces>,
    sent: usize,
    ledger: Ledger,
}

/// What was acknowledged.
pub(crate) struct Ledger {
    pub(crate) topic: String,
    shape: Shape,
    /// Index to partition and offset.
    places: BTreeMap<u64, (i32, i64)>,
}

impl Load {
    pub(crate) fn new(name: &'static str, producer: Box<dyn Produces>) -> Self {
        let topic = format!("load-of-{name}");
        let shape = Shape {
            partitions: PARTITIONS,
            timestamp: now_ms(),
            ..Shape::PLAIN
        };
        Self {
            name,
            shape,
            producer,
            sent: 0,
            ledger: Ledger {
                topic,
                shape,
                places: BTreeMap::new(),
            },
        }
    }

    pub(crate) fn feed(&mut self, count: usize) {
        for index in self.sent..self.sent + count {
            let record = self.shape.record(&self.ledger.topic, index);
            let index = u64::try_from(index).expect("an index of 64 bits");
            self.producer.send(index, &record);
        }
        self.sent += count;
    }

    /// Waits until `count` more records are acknowledged.
    pub(crate) fn acknowledged(&mut self, count: usize) {
        let acks = self.producer.acks(count);
        acks.into_iter().for_each(|ack| self.note(ack));
    }

    fn note(&mut self, ack: Ack) {
        let before = (self.ledger.places).insert(ack.index, (ack.partition, ack.offset));
        assert_eq!(
            before, None,
            "{}: record {} was acknowledged twice",
            self.name, ack.index
        );
    }

    /// Ends the load and holds what a consumer reads against the ledger.
    pub(crate) fn check(mut self, broker: &Broker, reader: &Client) -> Ledger {
        let left = self.sent - self.ledger.places.len();
        let rest = self.producer.finish(left);
        rest.into_iter().for_each(|ack| self.note(ack));
        assert_eq!(
            self.ledger.places.len(),
            self.sent,
            "{}: acknowledged records",
            self.name
        );
        let read = reader.consume(broker, &self.ledger.topic, self.sent);
        self.ledger.check(&read, true);
        let offsets = reader.offsets(broker, &self.ledger.topic, 0);
        let stored: i64 = offsets.iter().map(|of| of.latest - of.earliest).sum();
        assert_eq!(
            usize::try_from(stored),
            Ok(self.sent),
            "{}: records stored",
            self.name
        );
        self.ledger
    }
}

impl Ledger {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Every record was read, each at its place and as it was sent; with `once`, in order and not again.
    pub(crate) fn check(&self, read: &[Consumed], once: bool) {
        let topic = &self.topic;
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
        for record in read {
            let partition = record.record.partition;
            let wanted = next.entry(partition).or_default();
            assert!(
                record.offset == *wanted || (!once && record.offset < *wanted),
                "{topic}-{partition}: {} was read, not {wanted}",
                record.offset
            );
            *wanted = record.offset + 1;
            let end = ends.entry(partition).or_default();
            *end = (*wanted).max(*end);
            // Records go round the partitions: the n-th of a partition is known.
            let index = record.offset * i64::from(PARTITIONS) + i64::from(partition);
            let index = usize::try_from(index).expect("an index");
            let expected = self.shape.record(topic, index);
            assert_eq!(record.record, expected, "{topic}: record {index}");
            let place = self.places.get(&u64::try_from(index).expect("an index"));
            assert_eq!(
                place,
                Some(&(partition, record.offset)),
                "{topic}: record {index}"
            );
        }
        let ends: i64 = ends.values().sum();
        assert_eq!(
            usize::try_from(ends),
            Ok(self.len()),
            "{topic}: records read"
        );
    }
}
