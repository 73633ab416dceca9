//! A store, and a broker, on a simulated disk: crashes after every change that it makes there, and faults of every call.
//!
//! `OTTLA_CRASH_STATES` sets the number of states after a crash (20,000 in the usual test run), and
//! `OTTLA_FAULTS=all` fails every call in every way.

#![allow(clippy::print_stderr, reason = "it tells what it covered")]

mod broker;
mod caches;
mod crashes;
mod faults;
mod ledger;
mod parallel;
mod recorded;
mod scars;
mod sites;
mod transactions;
mod work;
mod world;
