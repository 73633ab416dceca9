//! Whole runs of a broker and its clients in one thread, on tokio's paused clock and a simulated disk, with faults of
//! disk, connections and time that follow from a seed; each is held against what an acknowledgement promises.
//!
//! `OTTLA_SIM_SEEDS` sets the number of runs, `OTTLA_SIM_FIRST` the first seed; `OTTLA_SIM_SEED` tells one run in full.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that panics has failed, which is what it is for"
)]

mod chaos;
mod checker;
mod hanging;
mod history;
mod link;
#[path = "../crash/enumeration/parallel.rs"]
mod parallel;
mod run;
mod workload;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::parallel::in_parallel;
use crate::run::{Outcome, run};

/// Runs of a usual test run.
const SEEDS: u64 = 1_000;

/// Seeds that once found something. The file says what.
const FAILED: &str = include_str!("failed_seeds.txt");

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

/// Runs all `seeds` on all cores and panics if one finds something.
fn run_all(seeds: &[u64]) {
    let (events, faults) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    in_parallel(seeds.len(), |number| {
        let seed = seeds[number];
        match catch_unwind(AssertUnwindSafe(|| run(seed, false))) {
            Ok(outcome) => {
                events.fetch_add(outcome.events, Ordering::Relaxed);
                if !outcome.violations.is_empty() {
                    eprintln!("seed {seed}: {:#?}", outcome.violations);
                    faults.lock().push(seed);
                }
            }
            Err(_) => {
                eprintln!("seed {seed}: panicked");
                faults.lock().push(seed);
            }
        }
    });
    eprintln!("{} runs, {} events", seeds.len(), events.into_inner());
    let faults = faults.into_inner();
    assert!(
        faults.is_empty(),
        "seeds {faults:?} failed; OTTLA_SIM_SEED=<seed> cargo test -p ottla-tests --test sim -- --nocapture tells all of one"
    );
}

#[test]
fn whatever_fails_clients_see_what_was_promised() {
    if let Some(seed) = number("OTTLA_SIM_SEED") {
        let Outcome { violations, .. } = run(seed, true);
        assert!(violations.is_empty(), "{violations:#?}");
        return;
    }
    let first = number("OTTLA_SIM_FIRST").unwrap_or(0);
    let count = number("OTTLA_SIM_SEEDS").unwrap_or(SEEDS);
    run_all(&(first..first + count).collect::<Vec<_>>());
}

#[test]
fn seeds_that_failed_once_do_not_again() {
    let seeds = FAILED.lines().filter_map(|line| {
        let seed = line.split('#').next()?.trim();
        (!seed.is_empty()).then(|| seed.parse().expect("a seed"))
    });
    run_all(&seeds.collect::<Vec<_>>());
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..5 {
        let (first, second) = (run(seed, false), run(seed, false));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_ne!(first.trace, run(seed + 1, false).trace);
    }
}
