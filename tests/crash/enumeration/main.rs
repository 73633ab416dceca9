//! Crashes of a store on a simulated disk after every change that it makes there, as many as a budget allows.
//!
//! `OTTLA_CRASH_STATES` sets the number of states after a crash; the usual test run takes 20,000.

#![allow(clippy::print_stderr, reason = "it tells what it covered")]

mod ledger;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ottla_storage::disk::simulated::{Call, Loss, Operation, SECTORS, SimulatedDisk, Snapshot};
use parking_lot::Mutex;

use crate::ledger::Ledger;
use crate::world::{World, open};

/// States after a crash in a usual run.
const STATES: usize = 20_000;
/// States made of each loss: after the crash, after another one in recovery, after another one behind it.
const STATES_OF_A_LOSS: usize = 3;
/// Changes of the longest recovery, about.
const RECOVERY_CHANGES: usize = 96;

/// A moment at which the machine may stop.
struct Moment {
    snapshot: Snapshot,
    ledger: Ledger,
    call: Call,
}

/// Runs the workload and keeps every moment after a change, and every call.
fn record() -> (Vec<Moment>, Vec<Call>) {
    let disk = SimulatedDisk::new();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let recorded = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let observer = {
        // Weak would do as well: the disk lives no longer than this function.
        let (disk, ledger, recorded) = (disk.clone(), Arc::clone(&ledger), Arc::clone(&recorded));
        move |call: &Call| {
            let mut recorded = recorded.lock();
            let (moments, calls) = &mut *recorded;
            if call.operation.is_change() {
                moments.push(Moment {
                    snapshot: disk.snapshot(),
                    ledger: ledger.lock().clone(),
                    call: call.clone(),
                });
            }
            calls.push(call.clone());
        }
    };
    disk.observe(Arc::new(observer));
    World::new(disk, ledger).work(6);
    std::mem::take(&mut *recorded.lock())
}

/// Opens what a crash left, holds it against the ledger, uses it, and takes the power away again.
fn recover(disk: &SimulatedDisk, ledger: &Ledger, power_lost: bool) -> Result<(), String> {
    let store = open(disk).map_err(|error| format!("not opened: {error}"))?;
    ledger.verify(&store, power_lost)?;
    drop(store);
    disk.kill();
    // What was served once is durable, and a recovered store works.
    let shared = Arc::new(Mutex::new(ledger.clone()));
    let mut world = World::new(disk.clone(), Arc::clone(&shared));
    world.use_all()?;
    disk.lose_power(Loss::Everything);
    drop(world);
    let store = open(disk).map_err(|error| format!("not opened again: {error}"))?;
    let served = shared.lock().clone();
    served
        .verify(&store, true)
        .map_err(|error| format!("after it had been served: {error}"))
}

/// The states of one moment; answers how many there were.
fn crash(moment: &Moment, losses: usize, seed: u64) -> usize {
    let mut states = 0;
    for (loss, number) in moment
        .snapshot
        .losses(losses, seed)
        .into_iter()
        .zip(0_u64..)
    {
        let power_lost = loss != Loss::Nothing;
        let fail = |what: &str, error: String| {
            panic!("{what} {loss:?} at {:?}: {error}", moment.call);
        };
        let guarded = |disk: &SimulatedDisk, power_lost| {
            catch_unwind(AssertUnwindSafe(|| {
                recover(disk, &moment.ledger, power_lost)
            }))
            .unwrap_or_else(|_| Err("it panicked".to_owned()))
        };
        let disk = moment.snapshot.crash(loss);
        if let Err(error) = guarded(&disk, power_lost) {
            fail("after", error);
        }
        let disk = moment.snapshot.crash(loss);
        let again = seed.wrapping_mul(31).wrapping_add(number);
        disk.die_after(again % RECOVERY_CHANGES as u64);
        drop(open(&disk));
        disk.lose_power(Loss::Random {
            seed: again,
            sector: SECTORS[usize::from(again % 2 == 0)],
        });
        if let Err(error) = guarded(&disk, true) {
            fail("after a second crash, in recovery after", error);
        }
        states += STATES_OF_A_LOSS;
    }
    states
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Does `work` with the numbers below `count`, on all cores.
fn in_parallel(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    work(number);
                }
            });
        }
    });
}

/// What a call was about, without the numbers of segments.
fn file_kind(call: &Call) -> String {
    let name = call.path.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().filter(|c| !c.is_ascii_digit()).collect();
    match name.split_once('-') {
        Some((_, "")) => "partition".to_owned(),
        Some((_, rest)) if rest.starts_with('.') => "deleted partition".to_owned(),
        _ => name,
    }
}

fn table(calls: &[Call]) -> BTreeMap<(Operation, String), usize> {
    let mut table = BTreeMap::new();
    for call in calls {
        *table.entry((call.operation, file_kind(call))).or_default() += 1;
    }
    table
}

#[test]
fn after_every_crash_the_store_keeps_its_promises() {
    let wanted = std::env::var("OTTLA_CRASH_STATES").map_or(STATES, |text| {
        text.parse().expect("OTTLA_CRASH_STATES is a number")
    });
    let (moments, calls) = record();
    let losses = wanted.div_ceil(moments.len() * STATES_OF_A_LOSS).max(4);
    let states = AtomicUsize::new(0);
    in_parallel(moments.len(), |number| {
        let found = crash(&moments[number], losses, number as u64);
        states.fetch_add(found, Ordering::Relaxed);
    });
    eprintln!(
        "{} states of {} moments, at most {losses} losses each; {} calls:",
        states.into_inner(),
        moments.len(),
        calls.len()
    );
    for ((operation, file), count) in table(&calls) {
        eprintln!("  {operation:?} {file}: {count}");
    }
}
