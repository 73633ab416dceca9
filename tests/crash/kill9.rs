//! kill -9 under load: idempotent producers of three libraries and members of groups go on over it, and what was
//! acknowledged is there, in order, once, and was read as it is.
//!
//! `OTTLA_KILLS` sets how often; 10,000 before a release.

#[path = "load.rs"]
mod load;
#[path = "members.rs"]
mod members;

use ottla_tests::Broker;
use ottla_tests::client::{CONFLUENT, JAVA};

use crate::load::{Foreign, Load, Native};
use crate::members::Member;

const KILLS: usize = 50;
/// Kills of one broker and its clients. Those of more kills are new ones, so that what they remember stays small.
const KILLS_OF_ONE: usize = 250;
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

/// Kills a broker so often. Answers how many records were acknowledged.
fn kill_under_load(kills: usize) -> usize {
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
        Member::join_native(&broker, "load-of-librdkafka"),
    ];
    for _ in 0..kills {
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
    }
    for load in &mut loads {
        load.feed(ROUND);
    }
    let readers = [&CONFLUENT, &JAVA, &CONFLUENT];
    let mut readers = readers.into_iter();
    let ledgers = loads.map(|load| load.check(&broker, readers.next().expect("a reader")));
    for member in members {
        let ledger = ledgers.iter().find(|ledger| ledger.topic == member.topic);
        member.check(ledger.expect("a ledger"));
    }
    ledgers.iter().map(|ledger| ledger.len()).sum()
}

#[test]
fn kill_9_under_load_loses_reorders_and_repeats_nothing() {
    if !JAVA.is_here() || !CONFLUENT.is_here() {
        return;
    }
    let wanted = kills();
    let (mut kills, mut acknowledged) = (0, 0);
    while kills < wanted {
        let more = KILLS_OF_ONE.min(wanted - kills);
        acknowledged += kill_under_load(more);
        kills += more;
        eprintln!("{kills} kills, {acknowledged} records acknowledged, none lost");
    }
}
