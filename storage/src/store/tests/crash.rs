//! Random work, a crash at a random place, and what must hold after it.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const TOPICS: [&str; 4] = ["a", "b", "c", "cached"];

#[derive(Debug, Clone)]
enum Step {
    Append {
        topic: usize,
        len: usize,
    },
    Checkpoint,
    Recreate {
        topic: usize,
    },
    Close,
    Kill,
    LosePower(u64),
    /// The disk dies after so many more operations; whatever runs then is interrupted.
    Die(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        60 => (0..TOPICS.len(), prop_oneof![10 => 1..300_usize, 1 => 3000..9000_usize])
            .prop_map(|(topic, len)| Step::Append { topic, len }),
        3 => Just(Step::Checkpoint),
        2 => (0..TOPICS.len()).prop_map(|topic| Step::Recreate { topic }),
        1 => Just(Step::Close),
        2 => Just(Step::Kill),
        4 => any::<u64>().prop_map(Step::LosePower),
        4 => (0..80_u64).prop_map(Step::Die),
    ]
}

/// What was sent to one incarnation of a topic, and how much of it was acknowledged.
#[derive(Default)]
struct Ledger {
    topic_id: u128,
    sent: Vec<Bytes>,
    acknowledged: usize,
    /// How much of it a power loss cannot take.
    durable: usize,
    /// A creation or deletion was interrupted.
    uncertain: bool,
}

struct Run {
    disk: SimulatedDisk,
    store: Option<Store>,
    ledgers: HashMap<&'static str, Ledger>,
    next: u128,
}

impl Run {
    fn new() -> Self {
        let mut run = Self {
            disk: SimulatedDisk::new(),
            store: None,
            ledgers: HashMap::new(),
            next: 1,
        };
        run.store = Some(open(&run.disk));
        for topic in TOPICS {
            assert!(run.create(topic));
        }
        run
    }

    fn create(&mut self, topic: &'static str) -> bool {
        let identity = LogIdentity {
            topic: topic.to_owned(),
            topic_id: Uuid::from_u128(self.next),
            partition: 0,
        };
        self.next += 1;
        let topic_id = identity.topic_id.as_u128();
        let store = self.store.as_ref().unwrap();
        let created = store.create_log(identity, config(topic)).is_ok();
        let ledger = Ledger {
            topic_id,
            uncertain: !created,
            ..Ledger::default()
        };
        self.ledgers.insert(topic, ledger);
        created
    }

    fn step(&mut self, step: &Step) {
        let store = self.store.as_ref().unwrap();
        match step {
            Step::Append { topic, len } => self.append(TOPICS[*topic], *len),
            Step::Checkpoint => drop(store.checkpoint()),
            Step::Recreate { topic } => {
                let topic = TOPICS[*topic];
                let deleted = store.delete_log(topic, 0).is_ok();
                if deleted {
                    self.create(topic);
                } else if let Some(ledger) = self.ledgers.get_mut(topic) {
                    ledger.uncertain = true;
                }
            }
            Step::Close => {
                let closed = store.close().is_ok();
                self.crash(closed, None);
            }
            Step::Kill => self.crash(false, None),
            Step::LosePower(seed) => self.crash(false, Some(*seed)),
            Step::Die(after) => self.disk.die_after(*after),
        }
    }

    fn append(&mut self, topic: &'static str, len: usize) {
        let Some(log) = self.store.as_ref().unwrap().log(topic, 0) else {
            return;
        };
        let ledger = self.ledgers.get_mut(topic).unwrap();
        let mut body = format!("{topic} {} {} ", ledger.topic_id, ledger.sent.len()).into_bytes();
        body.resize(body.len() + len, b'.');
        let body = Bytes::from(body);
        let before = log.offsets().log_end_offset;
        let appended = log.append(batch(body.clone()), 0);
        // What failed may be in the log all the same.
        if appended.is_ok() || log.offsets().log_end_offset > before {
            ledger.sent.push(body);
        }
        let committed = usize::try_from(log.offsets().high_watermark).unwrap();
        ledger.acknowledged = ledger.acknowledged.max(committed);
        if !topic.starts_with("cached") {
            ledger.durable = ledger.acknowledged;
        }
    }

    /// Stops, opens until it succeeds, and checks.
    fn crash(&mut self, closed: bool, power: Option<u64>) {
        match power {
            Some(seed) => {
                self.disk.lose_power(torn(seed));
                drop(self.store.take());
            }
            None => {
                drop(self.store.take());
                self.disk.kill();
            }
        }
        let opened = match power {
            // Dies while it recovers, and again.
            Some(seed) => {
                for at in 0..3_u64 {
                    self.disk.die_after((seed >> (at * 8)) % 64);
                    drop(try_open(&self.disk, options(false)));
                    self.disk.lose_power(torn(seed.rotate_left(7)));
                }
                open(&self.disk)
            }
            None => open(&self.disk),
        };
        assert!(!closed || opened.recovery_report().clean);
        self.store = Some(opened);
        self.check(power.is_some());
    }

    fn check(&mut self, power_lost: bool) {
        let store = self.store.as_ref().unwrap();
        let quarantined = store.quarantined();
        let mut missing = Vec::new();
        for (topic, ledger) in &mut self.ledgers {
            let name = layout::partition_dir(topic, 0);
            if quarantined.iter().any(|found| found.directory == name) {
                // Without the journal, a torn tail may have intact batches behind it.
                assert!(topic.starts_with("cached") && power_lost, "{quarantined:?}");
                missing.push((*topic, true));
                continue;
            }
            let Some(log) = store.log(topic, 0) else {
                assert!(ledger.uncertain, "{topic} is gone");
                missing.push((*topic, false));
                continue;
            };
            if log.identity().topic_id.as_u128() != ledger.topic_id {
                assert!(ledger.uncertain);
                continue;
            }
            let bodies = bodies(&log);
            let promised = if power_lost {
                ledger.durable
            } else {
                ledger.acknowledged
            };
            assert!(
                bodies.len() >= promised,
                "{topic}: {} of {promised}",
                bodies.len()
            );
            assert!(
                ledger.sent.starts_with(&bodies),
                "{topic}: not what was sent"
            );
            assert_eq!(log.offsets().high_watermark, log.offsets().log_end_offset);
            ledger.sent.truncate(bodies.len());
            ledger.acknowledged = bodies.len();
            ledger.durable = bodies.len();
            ledger.uncertain = false;
        }
        for (topic, quarantined) in missing {
            if quarantined {
                self.ledgers.remove(topic);
            } else {
                self.create(topic);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_recovered_log_is_a_prefix_with_all_that_was_acknowledged(
        steps in vec(step(), 1..120),
        seed in any::<u64>(),
    ) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
        run.crash(false, Some(seed));
    }
}

/// Once, a journal file whose preparation had been interrupted was used before its name was on
/// disk.
#[test]
fn a_half_prepared_journal_file_is_not_trusted() {
    let append = |topic| Step::Append { topic, len: 1 };
    let mut steps = vec![
        append(0),
        append(0),
        append(2),
        Step::Checkpoint,
        Step::Die(46),
    ];
    steps.extend([append(1), append(1), append(1), append(1)]);
    steps.extend([Step::Checkpoint, append(0), Step::Close, append(0)]);
    for seed in 0..16 {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
        run.crash(false, Some(seed));
    }
}

/// Once, a start that was killed before it had synced the parent left a data directory whose name
/// no later start made durable.
#[test]
fn a_data_directory_survives_although_its_first_start_was_killed() {
    for died_after in 0..40 {
        let disk = SimulatedDisk::new();
        disk.die_after(died_after);
        drop(try_open(&disk, options(false)));
        disk.kill();
        let store = open(&disk);
        append(&super::create(&store, "a", 1), "one");
        disk.lose_power(Loss::Everything);
        drop(store);
        assert_eq!(bodies(&open(&disk).log("a", 0).unwrap()), ["one"]);
    }
}
