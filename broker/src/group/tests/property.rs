//! Whatever happens in whatever order, some things always hold.

mod invariants;
mod world;

use proptest::prelude::*;

use super::*;
use world::World;

const GROUPS: [&str; 2] = ["a", "b"];
const TOPICS: [&str; 2] = ["orders", "payments"];
const MAX_SIZE: usize = 4;

/// Something a client, an administrator or time does. Clients are numbered; each remembers the member id
/// and generation it was last told, and some of what it sends is out of date on purpose.
#[derive(Debug, Clone)]
enum Act {
    Join {
        client: usize,
        forgets_id: bool,
        offer: u8,
        version: i16,
    },
    Sync {
        client: usize,
        behind: i32,
    },
    Heartbeat {
        client: usize,
        behind: i32,
    },
    Leave {
        client: usize,
    },
    Commit {
        client: usize,
        behind: i32,
        offset: i64,
    },
    CommitAlone {
        group: usize,
        offset: i64,
    },
    CommitInTransaction {
        group: usize,
        producer_id: i64,
        offset: i64,
    },
    EndTransaction {
        producer_id: i64,
        committed: bool,
    },
    Abandon {
        nth: usize,
    },
    Pass {
        ms: u64,
    },
    DeleteGroup {
        group: usize,
    },
    DeleteOffsets {
        group: usize,
        topic: usize,
    },
    DeleteTopic {
        topic: usize,
    },
    Look,
    Restart,
}

const CLIENTS: usize = 10;
const PRODUCERS: i64 = 2;

fn act() -> impl Strategy<Value = Act> {
    let client = || 0..CLIENTS;
    let behind = || prop_oneof![8 => Just(0), 1 => Just(1), 1 => Just(-1)];
    let join = (
        client(),
        prop::bool::weighted(0.2),
        0..4_u8,
        prop_oneof![Just(3), Just(4), Just(9)],
    )
        .prop_map(|(client, forgets_id, offer, version)| Act::Join {
            client,
            forgets_id,
            offer,
            version,
        });
    let commit =
        (client(), behind(), 0..100_i64).prop_map(|(client, behind, offset)| Act::Commit {
            client,
            behind,
            offset,
        });
    let commit_alone = (0..GROUPS.len(), 0..100_i64)
        .prop_map(|(group, offset)| Act::CommitAlone { group, offset });
    let in_transaction =
        (0..GROUPS.len(), 0..PRODUCERS, 0..100_i64).prop_map(|(group, producer_id, offset)| {
            Act::CommitInTransaction {
                group,
                producer_id,
                offset,
            }
        });
    let end =
        (0..PRODUCERS, any::<bool>()).prop_map(|(producer_id, committed)| Act::EndTransaction {
            producer_id,
            committed,
        });
    let time = prop_oneof![4 => 0..5_000_u64, 2 => 5_000..70_000_u64, 1 => 0..700_000_000_u64];
    let delete_offsets = (0..GROUPS.len(), 0..TOPICS.len())
        .prop_map(|(group, topic)| Act::DeleteOffsets { group, topic });
    prop_oneof![
        30 => join,
        20 => (client(), behind()).prop_map(|(client, behind)| Act::Sync { client, behind }),
        10 => (client(), behind()).prop_map(|(client, behind)| Act::Heartbeat { client, behind }),
        4 => client().prop_map(|client| Act::Leave { client }),
        10 => commit,
        3 => commit_alone,
        3 => in_transaction,
        3 => end,
        4 => (0..8_usize).prop_map(|nth| Act::Abandon { nth }),
        12 => time.prop_map(|ms| Act::Pass { ms }),
        1 => (0..GROUPS.len()).prop_map(|group| Act::DeleteGroup { group }),
        1 => delete_offsets,
        1 => (0..TOPICS.len()).prop_map(|topic| Act::DeleteTopic { topic }),
        2 => Just(Act::Look),
        1 => Just(Act::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_and_the_log_tells_the_hard_state(
        acts in prop::collection::vec(act(), 1..120),
        delay_ms in prop_oneof![Just(0), Just(3_000)],
    ) {
        let mut world = World::new(delay_ms);
        for act in acts {
            world.act(act);
        }
        world.check_replay();
        for producer_id in 0..PRODUCERS {
            world.end_transaction(producer_id, false);
        }
        world.pass(Duration::from_secs(3_600));
        prop_assert!(world.outstanding.is_empty(), "every request is answered in the end");
        world.pass(Duration::from_secs(8 * 24 * 3_600));
        prop_assert_eq!(world.bench.coordinator.groups.len(), 0, "nothing is kept for ever");
        prop_assert_eq!(world.bench.coordinator.snapshot(), vec![]);
        world.check_replay();
    }
}
