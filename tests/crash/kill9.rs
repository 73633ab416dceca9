//! kill -9 in the middle of a load from two idempotent producers: what was acknowledged is there, in order, once.

use std::collections::{BTreeMap, BTreeSet};

use ottla_tests::client::{CONFLUENT, JAVA};
use ottla_tests::deadline::now_ms;
use ottla_tests::record::Numbered;
use ottla_tests::{Broker, Client, Consumed, Line, Program, Shape};

const PARTITIONS: i32 = 4;
const KILLS: usize = 5;
/// Records of each producer for each kill: many more than it waits for, so that each kill meets some under way.
const ROUND: usize = 3000;
/// Acknowledgements that each producer waits for before a kill.
const ACKNOWLEDGED: usize = 300;

#[test]
fn kill_9_under_load_loses_reorders_and_repeats_nothing() {
    if !JAVA.is_here() || !CONFLUENT.is_here() {
        return;
    }
    let mut broker = Broker::start_own(&[]);
    let mut loads = [&JAVA, &CONFLUENT].map(|client| Load::start(client, &broker));

    for _ in 0..KILLS {
        for load in &mut loads {
            load.feed(ROUND);
        }
        for load in &mut loads {
            load.acknowledged(ACKNOWLEDGED);
        }
        broker.kill();
        broker.start_again();
    }
    for load in &mut loads {
        load.feed(ROUND);
    }
    for load in loads {
        load.check(&broker);
    }
}

/// A producer with its ledger: what it was told to send, and at which offset the broker says that it is.
struct Load {
    client: &'static Client,
    topic: String,
    shape: Shape,
    producer: Program,
    sent: usize,
    /// Index to partition and offset.
    ledger: BTreeMap<u64, (i32, i64)>,
}

impl Load {
    fn start(client: &'static Client, broker: &Broker) -> Self {
        let topic = format!("load-of-{}", client.name);
        client.create_topic(broker, &topic, PARTITIONS);
        let producer = client.producer(broker, &topic, "lz4");
        let shape = Shape {
            partitions: PARTITIONS,
            timestamp: now_ms(),
            ..Shape::PLAIN
        };
        Self {
            client,
            topic,
            shape,
            producer,
            sent: 0,
            ledger: BTreeMap::new(),
        }
    }

    fn feed(&mut self, count: usize) {
        for index in self.sent..self.sent + count {
            let record = self.shape.record(&self.topic, index);
            let index = u64::try_from(index).expect("an index of 64 bits");
            self.producer.send(&Numbered {
                index,
                record: &record,
            });
        }
        self.sent += count;
    }

    /// Waits until `count` more records are acknowledged.
    fn acknowledged(&mut self, count: usize) {
        for ack in self.producer.acks(count) {
            self.note(ack.index, ack.partition, ack.offset);
        }
    }

    fn note(&mut self, index: u64, partition: i32, offset: i64) {
        let before = self.ledger.insert(index, (partition, offset));
        assert_eq!(
            before, None,
            "{}: record {index} was acknowledged twice",
            self.client.name
        );
    }

    /// Ends the load and holds what a consumer of the other kind reads against the ledger.
    fn check(mut self, broker: &Broker) {
        for line in self.producer.finish() {
            if let Line::Ack(ack) = line {
                self.note(ack.index, ack.partition, ack.offset);
            }
        }
        assert_eq!(
            self.ledger.len(),
            self.sent,
            "{}: acknowledged records",
            self.client.name
        );
        let other = if self.client.name == JAVA.name {
            &CONFLUENT
        } else {
            &JAVA
        };
        let read = other.consume(broker, &self.topic, self.sent);
        self.check_order(&read);
        let offsets = other.offsets(broker, &self.topic, 0);
        let stored: i64 = offsets.iter().map(|of| of.latest - of.earliest).sum();
        assert_eq!(
            usize::try_from(stored),
            Ok(self.sent),
            "{}: records stored",
            self.client.name
        );
    }

    fn check_order(&self, read: &[Consumed]) {
        let mut found = BTreeSet::new();
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        for record in read {
            let partition = record.record.partition;
            let offset = next.entry(partition).or_default();
            assert_eq!(
                record.offset, *offset,
                "{}: a gap in {partition}",
                self.client.name
            );
            // Records go round the partitions: the n-th of a partition is known.
            let index = *offset * i64::from(PARTITIONS) + i64::from(partition);
            let index = u64::try_from(index).expect("an index");
            let expected = self
                .shape
                .record(&self.topic, usize::try_from(index).expect("an index"));
            assert_eq!(
                record.record, expected,
                "{}: record {index}",
                self.client.name
            );
            assert_eq!(
                self.ledger.get(&index),
                Some(&(partition, *offset)),
                "record {index}"
            );
            found.insert(index);
            *offset += 1;
        }
        assert_eq!(found.len(), self.sent, "{}: records read", self.client.name);
    }
}
