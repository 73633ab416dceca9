//! Crashes after every change, as many as a budget allows.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_storage::disk::simulated::{Call, Loss, Operation, SECTORS, SimulatedDisk, Snapshot};
use ottla_storage::store::Store;
use parking_lot::Mutex;

use crate::caches;
use crate::ledger::Ledger;
use crate::parallel::in_parallel;
use crate::work::work;
use crate::world::{World, open};

/// States after a crash in a usual run.
const STATES: usize = 20_000;
/// Rounds of the workload; each way to stop comes at least once.
const ROUNDS: usize = 4;
/// States made of each loss: after the crash, after another one in recovery, after another one behind it.
const STATES_OF_A_LOSS: usize = 3;
/// Changes of the longest recovery, about.
const RECOVERY_CHANGES: usize = 128;
/// Of so many states, one is opened without its indexes as well.
const WITHOUT_INDEXES: u64 = 8;

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
            if call.operation.is_change() && !call.failed {
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
    let mut world = World::new(disk, ledger, true);
    work(&mut world, ROUNDS);
    world.close();
    std::mem::take(&mut *recorded.lock())
}

/// Opens what a crash left, holds it against the ledger, uses it, and takes the power away again.
pub(crate) fn recover(
    disk: &SimulatedDisk,
    ledger: &Ledger,
    power_lost: bool,
    number: u64,
) -> Result<(), String> {
    let durable = number.is_multiple_of(2);
    let opened = || -> Result<Store, String> {
        open(disk, durable).map_err(|error| format!("not opened: {error}"))
    };
    let store = opened()?;
    ledger.verify(&store, power_lost)?;
    drop(store);
    disk.kill();
    if number.is_multiple_of(WITHOUT_INDEXES) {
        caches::are_not_needed(disk, opened)?;
    }
    // What was served once is durable, and a recovered store works.
    let shared = Arc::new(Mutex::new(ledger.clone()));
    let mut world = World::new(disk.clone(), Arc::clone(&shared), durable);
    world.use_all()?;
    disk.lose_power(Loss::Everything);
    drop(world);
    let store = open(disk, !durable).map_err(|error| format!("not opened again: {error}"))?;
    let served = shared.lock().clone();
    served
        .verify(&store, true)
        .map_err(|error| format!("after it had been served: {error}"))
}

/// What `work` says, or that it panicked.
pub(crate) fn guarded(work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("it panicked".to_owned()))
}

/// The states of one moment; answers how many there were.
fn crash(moment: &Moment, losses: usize, seed: u64) -> usize {
    let mut states = 0;
    let losses = moment.snapshot.losses(losses, seed);
    for (loss, number) in losses.into_iter().zip(seed..) {
        let power_lost = loss != Loss::Nothing;
        let fail = |what: &str, error: String| {
            panic!("{what} {loss:?} at {:?}: {error}", moment.call);
        };
        let disk = moment.snapshot.crash(loss);
        let recovered = || recover(&disk, &moment.ledger, power_lost, number);
        if let Err(error) = guarded(recovered) {
            fail("after", error);
        }
        let disk = moment.snapshot.crash(loss);
        let again = seed.wrapping_mul(31).wrapping_add(number);
        disk.die_after(again % RECOVERY_CHANGES as u64);
        drop(open(&disk, number.is_multiple_of(2)));
        disk.lose_power(Loss::Random {
            seed: again,
            sector: SECTORS[usize::from(again.is_multiple_of(2))],
        });
        if let Err(error) = guarded(|| recover(&disk, &moment.ledger, true, again)) {
            fail("after a second crash, in recovery after", error);
        }
        states += STATES_OF_A_LOSS;
    }
    states
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

fn table(calls: &[Call]) -> BTreeMap<Operation, BTreeMap<String, usize>> {
    let mut table: BTreeMap<_, BTreeMap<_, usize>> = BTreeMap::new();
    for call in calls {
        let files = table.entry(call.operation).or_default();
        *files.entry(file_kind(call)).or_default() += 1;
    }
    table
}

#[test]
fn after_every_crash_the_store_keeps_its_promises() {
    let wanted = std::env::var("OTTLA_CRASH_STATES").map_or(STATES, |text| {
        text.parse().expect("OTTLA_CRASH_STATES is a number")
    });
    let (moments, calls) = record();
    let losses = wanted.div_ceil(moments.len() * STATES_OF_A_LOSS).max(2);
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
    for (operation, files) in table(&calls) {
        let files: Vec<_> = files
            .into_iter()
            .map(|(file, count)| format!("{file} {count}"))
            .collect();
        eprintln!("  {operation:?}: {}", files.join(", "));
    }
}
