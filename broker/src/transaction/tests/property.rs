//! Whatever happens in whatever order: the log tells the hard state, and every participant of a
//! transaction hears of one end.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Act {
    Init {
        present: bool,
    },
    Add {
        partition: i32,
        behind: i16,
    },
    Group,
    End {
        commit: bool,
        bumps: bool,
        behind: i16,
    },
    Written,
    Pass(u64),
    Exhaust,
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    let behind = || prop_oneof![6 => Just(0_i16), 1 => Just(1), 1 => Just(-1)];
    prop_oneof![
        3 => any::<bool>().prop_map(|present| Act::Init { present }),
        8 => (0..10_i32, behind()).prop_map(|(partition, behind)| Act::Add { partition, behind }),
        2 => Just(Act::Group),
        8 => (any::<bool>(), any::<bool>(), behind())
            .prop_map(|(commit, bumps, behind)| Act::End { commit, bumps, behind }),
        4 => Just(Act::Written),
        3 => (0..15_000_u64).prop_map(Act::Pass),
        1 => Just(Act::Exhaust),
        2 => Just(Act::Restart),
    ]
}

/// The end of which a participant has heard last, by producer id: later epochs only.
#[derive(Default)]
struct Heard(BTreeMap<(i64, i32), i16>);

struct World {
    bench: Bench,
    heard: Heard,
    /// What is in the open transaction.
    open: BTreeSet<i32>,
}

impl World {
    /// Takes in what an act brought about.
    fn settle(&mut self) {
        let attachments = std::mem::take(&mut self.bench.attachments);
        let mut orders: Vec<MarkerOrder> = Vec::new();
        for attachment in attachments {
            if let Attachment::Marker(order) = attachment {
                orders.push(order);
            }
        }
        for order in &orders {
            let key = (order.producer_id, order.participant.partition);
            let before = self.heard.0.insert(key, order.producer_epoch);
            assert!(before.is_none_or(|before| before <= order.producer_epoch));
            assert!(
                self.open.remove(&order.participant.partition),
                "it was in the transaction"
            );
        }
        if let Some(known) = self.bench.coordinator.get("t") {
            if known.state.is_prepared() {
                assert!(known.partitions.iter().all(|p| p.partition == 9));
            } else if known.state != Ongoing {
                assert!(known.partitions.is_empty() && known.groups.is_empty());
                self.open.retain(|partition| *partition >= 8);
                assert!(self.open.is_subset(&BTreeSet::from([8, 9])));
                self.open.clear();
            }
        }
    }

    fn act(&mut self, act: &Act) {
        let (id, epoch) = self.bench.producer;
        match *act {
            Act::Init { present } => {
                let reply = if present {
                    self.bench.init_as(id, epoch)
                } else {
                    self.bench.init_as(-1, -1)
                };
                self.bench.adopt(reply);
            }
            Act::Add { partition, behind } => {
                let producer = (id, epoch.saturating_sub(behind));
                if self.bench.add_as(producer, partition, false) == Reply::Added {
                    let known = self.bench.known();
                    let present = (known.producer_id, known.producer_epoch);
                    assert_eq!(producer, present, "only the present producer adds");
                    self.open.insert(partition);
                }
            }
            Act::Group => drop(self.bench.add_group()),
            Act::End {
                commit,
                bumps,
                behind,
            } => {
                let producer = (id, epoch.saturating_sub(behind));
                let reply = self.bench.end_as(producer, commit, bumps);
                if bumps {
                    self.bench.adopt(reply);
                }
            }
            Act::Written => {
                let producer = self.bench.coordinator.get("t");
                let producer = producer.map_or((0, 0), |k| (k.producer_id, k.producer_epoch));
                self.bench.handle(Event::MarkersWritten {
                    transactional_id: Arc::from("t"),
                    producer,
                    done: vec![participant(9)],
                });
            }
            Act::Pass(ms) => self.bench.pass(ms),
            Act::Exhaust => {
                // As if thousands of instances had come and gone.
                let known = self.bench.coordinator.get("t").cloned();
                if let Some(mut value) = known.filter(|known| known.state == Empty) {
                    value.producer_epoch = LARGEST_USED_EPOCH;
                    self.bench.producer = (value.producer_id, value.producer_epoch);
                    let record = TransactionRecord::Set {
                        transactional_id: Arc::from("t"),
                        value,
                    };
                    self.bench.coordinator.replay(record.clone());
                    self.bench.log.push(record);
                }
            }
            Act::Restart => self.restart(),
        }
        self.settle();
    }

    fn restart(&mut self) {
        let mut coordinator = coordinator();
        for record in self.bench.log.clone() {
            coordinator.replay(record);
        }
        assert_eq!(
            coordinator.transactions,
            self.bench.coordinator.transactions
        );
        let mut from_snapshot = super::coordinator();
        for record in self.bench.coordinator.snapshot() {
            from_snapshot.replay(record);
        }
        assert_eq!(from_snapshot.transactions, coordinator.transactions);
        self.bench.coordinator = coordinator;
        let effects = self.bench.coordinator.loaded(self.bench.now);
        self.bench.take(effects);
        // No id is given out twice.
        let first = 10_000 + i64::try_from(self.bench.log.len()).unwrap() * 1_000;
        self.bench.handle(Event::ProducerIds(first..first + 1_000));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replaying_the_log_gives_the_same_state_and_each_end_is_heard_once(acts in vec(act(), 1..120)) {
        let mut world = World {
            bench: Bench::new(),
            heard: Heard::default(),
            open: BTreeSet::new(),
        };
        for act in &acts {
            world.act(act);
        }
        world.restart();
        world.bench.pass(120_000);
        let known = world.bench.coordinator.get("t");
        prop_assert!(known.is_none_or(|known| known.state != Ongoing), "nothing is open for ever");
    }
}
