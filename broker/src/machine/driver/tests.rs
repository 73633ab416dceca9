mod compaction;
mod ledger;

use super::*;
use ledger::{ALARM, Event, LARGE, World, names};

#[tokio::test]
async fn neither_reply_nor_command_leaves_before_its_records_are_durable() {
    let (world, _task) = World::running();
    world.disk.hold_syncs("journal");
    let mut put = world.put("a", 1);
    assert!((&mut put).now_or_never().is_none());
    assert_eq!(world.ran(), [""; 0]);
    world.disk.let_syncs_go();
    assert_eq!(names(&put.await.unwrap()), ["a"]);
    assert_eq!(world.ran(), ["a"]);
}

#[tokio::test]
async fn a_reply_without_records_waits_for_the_records_before_it_and_not_for_those_behind() {
    let (world, _task) = World::running();
    world.disk.hold_syncs("journal");
    let first = world.put("a", 1);
    let mut get = world.get();
    let second = world.put("b", 1);
    assert!((&mut get).now_or_never().is_none());
    world.disk.let_syncs_go();
    assert_eq!(names(&get.await.unwrap()), ["a"]);
    assert_eq!(names(&first.await.unwrap()), ["a"]);
    assert_eq!(names(&second.await.unwrap()), ["a", "b"]);
    assert_eq!(world.ran(), ["a", "b"]);
}

#[tokio::test]
async fn an_event_whose_append_fails_is_refused_and_leaves_no_trace() {
    let world = World::inline();
    world.put("a", 1).await.unwrap();
    world.disk.fill(".log");
    assert_eq!(world.put("b", LARGE).await, Err(Unavailable));
    assert_eq!(names(&world.get().await.unwrap()), ["a"]);
    world.disk.make_room();
    world.put("c", LARGE).await.unwrap();
    assert_eq!(names(&world.crash().get().await.unwrap()), ["a", "c"]);
}

#[tokio::test]
async fn everyone_who_waits_is_refused_when_the_machine_is_dropped() {
    let world = World::inline();
    let parked = world.park();
    world.disk.fill(".log");
    assert_eq!(world.put("b", LARGE).await, Err(Unavailable));
    assert_eq!(parked.await, Err(Unavailable));
}

#[tokio::test]
async fn what_was_decided_before_a_failed_append_is_still_answered() {
    let (world, _task) = World::running();
    world.disk.hold_syncs("journal");
    let first = world.put("a", 1);
    world.disk.fill(".log");
    assert_eq!(world.put("b", LARGE).await, Err(Unavailable));
    let get = world.get();
    world.disk.let_syncs_go();
    assert_eq!(names(&first.await.unwrap()), ["a"]);
    assert_eq!(names(&get.await.unwrap()), ["a"]);
    assert_eq!(world.ran(), ["a"]);
}

#[tokio::test]
async fn a_machine_that_was_loaded_again_keeps_time() {
    let world = World::inline();
    world.disk.fill(".log");
    assert_eq!(world.put("b", LARGE).await, Err(Unavailable));
    assert!(world.driver.inspect(|ledger| ledger.alarm.is_some()));
}

#[tokio::test]
async fn when_the_log_fails_for_good_what_is_not_durable_is_refused_and_the_rest_is_told() {
    let (world, _task) = World::running();
    world.put("a", 1).await.unwrap();
    world.disk.hold_syncs("journal");
    let lost = world.put("b", 1);
    let parked = world.park();
    world.disk.fail_syncs("journal");
    world.disk.let_syncs_go();
    assert_eq!(lost.await, Err(Unavailable));
    assert_eq!(parked.await, Err(Unavailable));
    assert_eq!(names(&world.get().await.unwrap()), ["a"]);
    assert_eq!(world.put("c", 1).await, Err(Unavailable));
    assert_eq!(names(&world.get().await.unwrap()), ["a"]);
    assert_eq!(world.ran(), ["a"]);
}

#[tokio::test]
async fn a_machine_whose_log_cannot_be_read_again_decides_nothing_until_it_can() {
    let world = World::inline();
    world.put("a", 1).await.unwrap();
    world.disk.fill(".log");
    world.disk.fail_reads(".log");
    assert_eq!(world.put("b", LARGE).await, Err(Unavailable));
    assert_eq!(world.get().await, Err(Unavailable));
    world.disk.heal();
    assert_eq!(names(&world.get().await.unwrap()), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_could_not_be_read_again_is_read_later_without_being_asked() {
    let world = World::inline();
    world.spawn();
    world.put("a", 1).await.unwrap();
    world.disk.fill(".log");
    world.disk.fail_reads(".log");
    assert_eq!(world.put("b", LARGE).await, Err(Unavailable));
    tokio::time::sleep(RELOAD_INTERVAL * 3).await;
    assert_eq!(world.driver.inspect(|ledger| ledger.entries.len()), 2);
    world.disk.heal();
    tokio::time::sleep(RELOAD_INTERVAL * 3).await;
    assert_eq!(world.driver.inspect(|ledger| ledger.entries.len()), 1);
}

#[tokio::test(start_paused = true)]
async fn the_machine_is_told_the_time_when_it_asked_to() {
    let world = World::inline();
    world.spawn();
    tokio::time::sleep(ALARM / 2).await;
    assert_eq!(world.driver.inspect(|ledger| ledger.entries.len()), 0);
    tokio::time::sleep(ALARM).await;
    assert_eq!(names(&world.get().await.unwrap()), ["alarm"]);
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_cannot_be_written_is_tried_again_later_and_not_at_once() {
    let world = World::inline();
    world.spawn();
    world.disk.fill(".log");
    tokio::time::sleep(ALARM * 2).await;
    assert_eq!(world.driver.inspect(|ledger| ledger.entries.len()), 0);
    world.disk.make_room();
    tokio::time::sleep(RELOAD_INTERVAL * 2).await;
    assert_eq!(names(&world.get().await.unwrap()), ["alarm"]);
}

#[tokio::test]
async fn the_machine_learns_that_nobody_waits_any_more() {
    let world = World::inline();
    let parked = world.park();
    assert_eq!(world.driver.inspect(|ledger| ledger.parked.len()), 1);
    drop(parked);
    assert_eq!(world.driver.inspect(|ledger| ledger.parked.len()), 0);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_no_event() {
    let (world, _task) = World::running();
    world.disk.hold_syncs("journal");
    let token = world.put("a", 1).token;
    drop(world.put("b", 1));
    world.disk.let_syncs_go();
    world.driver.tell(Event::Abandoned(token));
    assert_eq!(names(&world.get().await.unwrap()), ["a", "b"]);
    assert_eq!(world.ran(), ["a", "b"]);
}

#[tokio::test]
async fn a_driver_that_is_stopped_lets_out_what_it_holds() {
    let (world, task) = World::running();
    world.disk.hold_syncs("journal");
    let put = world.put("a", 1);
    world.stop.cancel();
    tokio::task::yield_now().await;
    world.disk.let_syncs_go();
    task.await.unwrap();
    assert_eq!(names(&put.await.unwrap()), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_is_stopped_does_not_wait_for_ever() {
    let (world, task) = World::running();
    world.disk.hold_syncs("journal");
    let mut put = world.put("a", 1);
    world.stop.cancel();
    task.await.unwrap();
    assert!((&mut put).now_or_never().is_none());
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_crash() {
    let world = World::inline();
    for name in ["a", "b", "c"] {
        world.put(name, 10).await.unwrap();
    }
    let again = world.crash();
    assert_eq!(names(&again.get().await.unwrap()), ["a", "b", "c"]);
    again.put("d", 10).await.unwrap();
    assert_eq!(
        names(&again.crash().get().await.unwrap()),
        ["a", "b", "c", "d"]
    );
}
