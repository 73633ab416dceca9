use ottla_storage::disk::simulated::{Loss, SimulatedDisk};
use proptest::prelude::*;

use super::*;

/// Much of a snapshot's batch, so that a few of them make several batches.
const PIECE: usize = 300 << 10;

/// Writes so much under one name that a snapshot is worth it.
async fn outgrow(world: &World) {
    for _ in 0..16 {
        world.put("z", PIECE).await.unwrap();
    }
}

fn compact(world: &World) {
    world.driver.compact(&mut world.driver.state.lock());
}

fn log_start(world: &World) -> i64 {
    let state = world.driver.state.lock();
    state.log.log().offsets().log_start_offset
}

#[tokio::test]
async fn a_long_log_is_cut_before_a_snapshot_of_what_it_says() {
    let world = World::inline();
    world.put("a", 1).await.unwrap();
    compact(&world);
    assert!(world.driver.state.lock().snapshot.is_none());
    outgrow(&world).await;
    compact(&world);
    assert_eq!(log_start(&world), 0);
    compact(&world);
    assert_eq!(log_start(&world), 17);
    world.put("b", 1).await.unwrap();
    assert_eq!(names(&world.crash().get().await.unwrap()), ["a", "b", "z"]);
}

#[tokio::test]
async fn the_task_compacts_and_cuts_by_itself() {
    let (world, _task) = World::running();
    outgrow(&world).await;
    for _ in 0..100 {
        world.put("a", 1).await.unwrap();
        // A reply that was there at once has not let the task run.
        tokio::task::yield_now().await;
    }
    assert!(log_start(&world) >= 14);
}

#[tokio::test]
async fn a_log_that_was_just_compacted_is_not_compacted_again_by_a_start() {
    let world = World::inline();
    for at in 0..16 {
        world.put(&format!("{at}"), PIECE).await.unwrap();
    }
    compact(&world);
    compact(&world);
    let again = world.crash();
    compact(&again);
    assert!(again.driver.state.lock().snapshot.is_none());
}

#[tokio::test]
async fn a_snapshot_waits_until_what_was_decided_before_it_is_done() {
    let (world, task) = World::running();
    task.abort();
    outgrow_without_task(&world).await;
    world.disk.hold_syncs("journal");
    let last = world.put("b", 1);
    compact(&world);
    assert!(world.driver.state.lock().snapshot.is_none());
    world.disk.let_syncs_go();
    settle(&world).await;
    last.await.unwrap();
    compact(&world);
    assert!(world.driver.state.lock().snapshot.is_some());
}

/// As the task would, but for compaction.
async fn settle(world: &World) {
    let partition = Arc::clone(world.driver.state.lock().log.partition());
    while let Some(offset) = {
        let mut state = world.driver.state.lock();
        world.driver.release(&mut state);
        state.wanted()
    } {
        let _registration = partition.wake_at(offset, &world.driver.wake);
        if world.driver.state.lock().durable() < offset {
            world.driver.wake.notified().await;
        }
    }
}

async fn outgrow_without_task(world: &World) {
    for _ in 0..16 {
        let put = world.put("z", PIECE);
        settle(world).await;
        put.await.unwrap();
    }
}

#[tokio::test]
async fn a_compaction_without_room_harms_nothing() {
    let world = World::inline();
    outgrow(&world).await;
    world.disk.fill(".log");
    // What the segment has reserved is still there.
    while world.put("z", PIECE).await.is_ok() {}
    compact(&world);
    assert!(world.driver.state.lock().snapshot.is_none());
    assert_eq!(names(&world.get().await.unwrap()), ["z"]);
    world.disk.make_room();
    world.put("b", 1).await.unwrap();
    assert_eq!(names(&world.crash().get().await.unwrap()), ["b", "z"]);
}

/// A world with a state of several batches.
async fn filled() -> World {
    let world = World::inline();
    for name in ["a", "b", "c", "d"] {
        world.put(name, PIECE).await.unwrap();
    }
    world
}

/// Compacts whether it is worth it or not. `false` when that fails.
fn force(world: &World) -> bool {
    let mut state = world.driver.state.lock();
    let State { machine, log, .. } = &mut *state;
    let Ok(snapshot) = log.compact(machine, 0) else {
        return false;
    };
    state.end = snapshot.1;
    state.snapshot = Some(snapshot);
    true
}

#[tokio::test]
async fn a_snapshot_that_a_crash_cuts_short_anywhere_is_passed_over() {
    for power in [true, false] {
        for operation in 0.. {
            let world = filled().await;
            world.disk.die_after(operation);
            let done = force(&world);
            if done {
                compact(&world);
            }
            let whole = done && log_start(&world) > 0;
            let disk = world.disk.clone();
            drop(world);
            if power {
                disk.lose_power(Loss::Everything);
            } else {
                disk.kill();
            }
            let again = World::on(disk, false);
            assert_eq!(names(&again.get().await.unwrap()), ["a", "b", "c", "d"]);
            again.put("e", 1).await.unwrap();
            let entries = again.crash().get().await.unwrap();
            assert_eq!(names(&entries), ["a", "b", "c", "d", "e"], "{operation}");
            if whole {
                assert!(operation > 5, "a snapshot takes several operations");
                break;
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, usize),
    /// A put while the disk is full.
    Fail(u8),
    Compact,
    Cut,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6_u8, 0..2000_usize).prop_map(|(name, len)| Step::Put(name, len)),
        1 => (0..6_u8).prop_map(Step::Fail),
        1 => Just(Step::Compact),
        1 => Just(Step::Cut),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_log_says_at_all_times_what_was_answered(steps in prop::collection::vec(step(), 0..40)) {
        let now = |call: Call<ledger::Ledger>| call.now_or_never().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let mut world = World::on(SimulatedDisk::new(), false);
        let mut expected = ledger::Entries::new();
        for step in steps {
            match step {
                Step::Put(name, len) => {
                    expected.insert(name.to_string(), vec![1; len]);
                    prop_assert_eq!(&now(world.put(&name.to_string(), len)).unwrap(), &expected);
                }
                Step::Fail(name) => {
                    world.disk.fill(".log");
                    let put = now(world.put(&name.to_string(), 2 * LARGE));
                    prop_assert_eq!(put, Err(Unavailable));
                    world.disk.make_room();
                }
                Step::Compact => prop_assert!(force(&world)),
                Step::Cut => compact(&world),
                Step::Crash => world = world.crash(),
            }
            prop_assert_eq!(&now(world.get()).unwrap(), &expected);
        }
        prop_assert_eq!(&now(world.crash().get()).unwrap(), &expected);
    }
}
