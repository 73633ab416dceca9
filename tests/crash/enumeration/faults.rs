//! Every call of a workload fails, in every way: nothing acknowledged is lost, nothing wrong is
//! served, nothing panics, and afterwards the store works.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_storage::disk::simulated::{Call, Fault, FaultKind, Loss, SECTORS, SimulatedDisk};
use parking_lot::Mutex;

use crate::crashes::{guarded, recover};
use crate::ledger::Ledger;
use crate::parallel::in_parallel;
use crate::scars;
use crate::sites::{self, Site};
use crate::work::work;
use crate::world::{CACHED, World};

/// Rounds of the workload: enough for each call site to be reached.
const ROUNDS: usize = 3;
/// In a usual run, each call site fails so often in each way, once for good and once for a moment.
const SAMPLES: usize = 1;

/// Call sites that the workload does not reach, and why.
const EXEMPT: [(&str, &str); 2] = [
    (
        "recovery/redo.rs: self.disk.open(&path, OpenMode::Existing)?",
        "more than 256 segments",
    ),
    (
        "journal/file.rs: self.disk.remove(&self.unfinished())?;",
        "needs a thread that is stopped",
    ),
];

/// A call of the workload that is to fail.
#[derive(Debug, Clone, Copy)]
struct Case {
    call: usize,
    kind: FaultKind,
    lasting: bool,
}

/// A call, and the line of the storage crate that made it.
struct Recorded {
    call: Call,
    /// `None` for a call of the test.
    site: Option<(String, usize)>,
}

fn run(disk: &SimulatedDisk) -> (World, Arc<Mutex<Ledger>>) {
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut world = World::new(disk.clone(), Arc::clone(&ledger), true);
    disk.fill("00000001.journal");
    work(&mut world, 1);
    disk.make_room();
    work(&mut world, ROUNDS);
    scars::suffer(&mut world);
    scars::interrupt_compaction(&mut world);
    world.store = None;
    disk.kill();
    scars::leave(disk);
    world.reopen(true);
    world.look();
    work(&mut world, 1);
    world.look();
    scars::expose(&mut world);
    world.store = None;
    disk.kill();
    scars::damage(disk);
    // Nothing is promised of it any more.
    ledger.lock().topics.remove(CACHED);
    world.reopen(true);
    (world, ledger)
}

fn record() -> Vec<Recorded> {
    let disk = SimulatedDisk::new();
    let recorded = Arc::new(Mutex::new(Vec::new()));
    let calls = Arc::clone(&recorded);
    disk.observe(Arc::new(move |call: &Call| {
        calls.lock().push(Recorded {
            call: call.clone(),
            site: sites::calling(),
        });
    }));
    drop(run(&disk));
    std::mem::take(&mut *recorded.lock())
}

/// Runs the workload with a fault and holds the store against the ledger: at the end of the
/// workload, and after a crash.
fn fail(case: Case) -> Result<(), String> {
    let disk = SimulatedDisk::new();
    disk.inject(Fault {
        operation: None,
        path: String::new(),
        after: case.call as u64,
        kind: case.kind,
        lasting: case.lasting,
    });
    let (world, ledger) = run(&disk);
    disk.heal();
    if let Some(store) = &world.store {
        let ledger = ledger.lock();
        ledger
            .verify_logs(store, false, false)
            .map_err(|error| format!("while it was served: {error}"))?;
    }
    let seed = case.call as u64;
    let power_lost = !seed.is_multiple_of(3);
    match seed % 3 {
        0 => disk.kill(),
        1 => disk.lose_power(Loss::Everything),
        _ => disk.lose_power(Loss::Random {
            seed,
            sector: SECTORS[0],
        }),
    }
    drop(world);
    let promised = ledger.lock().clone();
    recover(&disk, &promised, power_lost, seed)
}

/// All cases, or some of each call site.
fn cases(recorded: &[Recorded], all: bool) -> Vec<Case> {
    let mut taken: BTreeMap<_, usize> = BTreeMap::new();
    let mut cases = Vec::new();
    // Later calls of a site come upon more.
    for (call, found) in recorded.iter().enumerate().rev() {
        for kind in FaultKind::ALL {
            if found.site.is_none() || !kind.suits(found.call.operation) {
                continue;
            }
            for lasting in [false, true] {
                let count = taken
                    .entry((&found.site, found.call.operation, kind, lasting))
                    .or_default();
                *count += 1;
                if all || *count <= SAMPLES {
                    cases.push(Case {
                        call,
                        kind,
                        lasting,
                    });
                }
            }
        }
    }
    cases
}

fn covers(recorded: &[Recorded], site: &Site) -> bool {
    recorded
        .iter()
        .filter_map(|found| found.site.as_ref())
        .any(|(file, line)| *file == site.file && (site.first_line..=site.last_line).contains(line))
}

#[test]
fn whichever_call_fails_the_store_keeps_its_promises() {
    let recorded = record();
    assert!(
        recorded.iter().any(|found| found.site.is_some()),
        "a build without line numbers: leave out --release, or set CARGO_PROFILE_RELEASE_DEBUG=line-tables-only"
    );
    let all = std::env::var("OTTLA_FAULTS").is_ok_and(|which| which == "all");
    let cases = cases(&recorded, all);
    let sites = sites::all();
    let missed: BTreeSet<_> = sites
        .iter()
        .filter(|site| !covers(&recorded, site))
        .filter(|site| !EXEMPT.iter().any(|(place, _)| *place == site.place()))
        .collect();
    let covered = sites.iter().filter(|site| covers(&recorded, site)).count();
    for site in &missed {
        eprintln!("never called: {site}");
    }
    let failures = AtomicUsize::new(0);
    in_parallel(cases.len(), |number| {
        let case = cases[number];
        if let Err(error) = guarded(|| fail(case)) {
            let Recorded { call, site } = &recorded[case.call];
            eprintln!("{case:?} at {site:?}, {call:?}: {error}");
            failures.fetch_add(1, Ordering::Relaxed);
        }
    });
    let failures = failures.into_inner();
    eprintln!(
        "{} faults of {} calls at {covered} of {} call sites, {failures} promises broken",
        cases.len(),
        recorded.len(),
        sites.len(),
    );
    assert_eq!(failures, 0, "promises were broken");
    assert!(missed.is_empty(), "call sites were not reached");
}
