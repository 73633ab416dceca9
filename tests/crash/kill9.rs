//! kill -9 under load: idempotent producers of three libraries and members of groups go on over it, and what was
//! acknowledged is there, in order, once, and was read as it is.
//!
//! `OTTLA_KILLS` sets how often; 10,000 before a release.

#[path = "load.rs"]
mod load;

use ottla_tests::Broker;
use ottla_tests::client::{CONFLUENT, JAVA};

use crate::load::{Foreign, Load, Member, Native};

const KILLS: usize = 50;
/// Records of each producer for each kill: many more than it waits for, so that each kill meets some under way.
const ROUND: usize = 80;
/// Acknowledgements that each producer waits for before a kill.
const ACKNOWLEDGED: usize = 20;

fn kills() -> usize {
    let given = std::env::var("OTTLA_KILLS").ok();
    given.map_or(KILLS, |kills| {
        kills.parse().expect("OTTLA_KILLS is a number")
    })
}

#[test]
fn kill_9_under_load_loses_reorders_and_repeats_nothing() {
    if !JAVA.is_here() || !CONFLUENT.is_here() {
        return;
    }
    let mut broker = Broker::start_own(&[]);
    let mut loads = [
        Load::new("java", Foreign::start(&JAVA, &broker, "load-of-java")),
        Load::new(
            "librdkafka",
            Foreign::start(&CONFLUENT, &broker, "load-of-librdkafka"),
        ),
        Load::new("rust", Native::start(&broker, "load-of-rust")),
    ];
    let mut members = [
        Member::join(&CONFLUENT, &broker, "load-of-java"),
        Member::join(&JAVA, &broker, "load-of-rust"),
    ];
    let kills = kills();
    for kill in 1..=kills {
        for load in &mut loads {
            load.feed(ROUND);
        }
        for load in &mut loads {
            load.acknowledged(ACKNOWLEDGED);
        }
        broker.kill();
        broker.start_again();
        for member in &mut members {
            member.look();
        }
        if kill % 1000 == 0 {
            eprintln!("{kill} kills");
        }
    }
    for load in &mut loads {
        load.feed(ROUND);
    }
    let readers = [&CONFLUENT, &JAVA, &CONFLUENT];
    let mut readers = readers.into_iter();
    let ledgers = loads.map(|load| load.check(&broker, readers.next().expect("a reader")));
    let acknowledged: usize = ledgers.iter().map(|ledger| ledger.len()).sum();
    for member in members {
        let ledger = ledgers.iter().find(|ledger| ledger.topic == member.topic);
        member.check(ledger.expect("a ledger"));
    }
    eprintln!("{kills} kills, {acknowledged} records acknowledged, none lost");
}
